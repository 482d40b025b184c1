"""Windows of channels whose numbers mean the same in every volume."""

import numpy as np
import pytest

from keras_unet3d.annotation.cases import AnnotatedCase, AnnotatedDataset
from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import DESCRIPTION_FILE, ModelDescription
from keras_unet3d.training import windows
from keras_unet3d.training.settings import Settings, read_settings
from keras_unet3d.training.windows import hounsfield_hints, resolve_windows
from keras_unet3d.volumes.intensity import Window
from keras_unet3d.volumes.volume import Grid, Volume

SCHEME = LabelScheme((0, 1, 2), ("background", "liver", "tumour"))


def case(values, class_index, name="a"):
    """Of one row of voxels in three planes; values ``(3, x)`` or ``(3, x, channel)``."""
    values = np.asarray(values, np.float32)
    values = values.reshape(3, 1, -1, values.shape[2] if values.ndim == 3 else 1)
    labels = np.asarray(class_index, np.int16).reshape(values.shape[:3])
    return AnnotatedCase(name, Volume(values, Grid(labels.shape)), labels)


def dataset(*cases, channels=("CT",), scheme=SCHEME):
    return AnnotatedDataset(cases, scheme, channels)


def ramp(low, high, background=-1000.0):
    """A case whose structure has evenly spaced values; as much air around, and what is unlabelled is brighter."""
    values = np.stack([np.full(101, background), np.linspace(low, high, 101), np.full(101, 3000.0)])
    return case(values, np.repeat([[0], [1], [UNLABELED]], 101, axis=1))


@pytest.mark.parametrize("name", ["CT", "ct", " Ct "])
def test_the_window_of_ct_holds_all_but_a_hundredth_of_what_is_labelled_in_all_cases(name):
    """Of 0, 1, … 100 and 100, 101, … 200 together the 0.5 and 99.5 percentiles are 1 and 199; the mean is 100."""
    settings, (decision,) = resolve_windows(Settings(), dataset(ramp(0, 100), ramp(100, 200), channels=(name,)))
    window = settings.intensity.windows[name]
    assert (window.low, window.high) == pytest.approx((1, 199), abs=0.01)
    values = np.r_[np.arange(101), np.arange(100, 201)].clip(window.low, window.high)
    assert (window.offset, window.scale) == pytest.approx((100, values.std()))
    assert decision.setting == "intensity.windows"
    assert decision.value.startswith(f"{name} 1.0")
    for told in ("Hounsfield", "0.5 % of the labelled values of all classes but background", "mean 100.0"):
        assert told in decision.reason
    assert resolve_windows(settings, dataset(ramp(5, 6), channels=(name,))) == (settings, [])  # and stays so


def test_other_channels_are_measured_in_each_volume():
    settings, decisions = resolve_windows(Settings(), dataset(ramp(0, 100), channels=("MRI",)))
    assert (settings, decisions) == (Settings(), [])


def test_ct_can_be_measured_in_each_volume_where_that_is_set():
    asked = read_settings(None, {"intensity.windows.CT": "volume"})
    assert resolve_windows(asked, dataset(ramp(0, 100))) == (asked, [])


def test_bounds_that_are_set_get_the_moments_of_what_lies_within():
    asked = read_settings(None, {"intensity.windows.MRI": "50 100"})
    settings, (decision,) = resolve_windows(asked, dataset(ramp(0, 100), channels=("MRI",)))
    values = np.arange(101).clip(50, 100)
    window = settings.intensity.windows["MRI"]
    assert (window.low, window.high) == (50, 100)
    assert (window.offset, window.scale) == pytest.approx((values.mean(), values.std()))
    assert str(decision).startswith("intensity.windows = MRI 50 to 100: as set; minus mean")


def test_without_a_background_every_label_counts():
    scheme = LabelScheme((3, 4), ("liver", "spleen"))
    settings, (decision,) = resolve_windows(Settings(), dataset(ramp(0, 100), scheme=scheme))
    assert settings.intensity.windows["CT"].low == -1000
    assert "of the labelled values of all classes lie" in decision.reason
    only_background = case(np.arange(9).reshape(3, 3), np.zeros((3, 3)))
    settings, _ = resolve_windows(Settings(), dataset(only_background))
    assert settings.intensity.windows["CT"].offset == pytest.approx(4)


def test_two_channels_of_ct_share_a_window():
    values = np.stack([np.full((3, 50), 10.0), np.full((3, 50), 20.0), np.full((3, 50), 7.0)], axis=-1)
    both = dataset(case(values, np.ones((3, 50))), channels=("CT", "CT", "PET"))
    settings, decisions = resolve_windows(Settings(), both)
    assert settings.intensity.windows == {"CT": Window(10.0, 20.0, 15.0, 5.0)}
    assert len(decisions) == 1
    assert set(settings.intensity.of(both.channel_names).windows) == {0, 1}


def test_what_is_remembered_of_a_large_case_is_spread_evenly(monkeypatch):
    monkeypatch.setattr(windows, "REMEMBERED_VALUES", 40)
    many = case(np.arange(300).reshape(3, 100), np.ones((3, 100)))
    values = windows._values(many, [0], 0)
    assert values.tolist() == list(range(0, 300, 8))


def test_one_value_is_no_window():
    settings, (decision,) = resolve_windows(Settings(), dataset(ramp(7, 7)))
    assert settings.intensity.windows == {"CT": "volume"}
    assert "are all 7" in decision.reason
    with pytest.raises(InputError, match=r"intensity\.windows\.CT: .* go from 0 to 100\. Set another window"):
        resolve_windows(read_settings(None, {"intensity.windows.CT": "200 300"}), dataset(ramp(0, 100)))


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"intensity\.windows\.ct: no channel is called so; there are CT, PET\."):
        resolve_windows(read_settings(None, {"intensity.windows.ct": "volume"}), dataset(channels=("CT", "PET")))


def test_whole_numbers_from_air_on_that_nobody_named_are_asked_about():
    air = ramp(0, 100, background=-1000)
    (hint,) = hounsfield_hints(Settings(), dataset(air, channels=("channel 0",)))
    assert hint.severity == "warning"
    assert hint.found.startswith("channel 0 has whole numbers down to -1000, as of CT")
    name, value = hint.fix.split("--set '")[1].removesuffix("'.").split("=")
    said, _ = resolve_windows(read_settings(None, {name: value}), dataset(air, channels=("channel 0",)))
    assert said.intensity.windows["channel 0"].low == -160
    for settings, cases, channel in (
        (said, [air], "channel 0"),
        (Settings(), [air], "MRI"),
        (Settings(), [air, ramp(0, 100, background=-10)], "channel 0"),
        (Settings(), [case(air.image.voxels + 0.5, air.class_index)], "channel 0"),
    ):
        assert not hounsfield_hints(settings, dataset(*cases, channels=(channel,)))


@pytest.fixture
def start(tmp_path):
    """The folder of a model with a window for CT, and two channels that it measures in each volume."""
    description = ModelDescription.model_validate(
        {
            "classes": [{"value": 0, "name": "background"}, {"value": 1, "name": "liver"}],
            "channels": ["CT", "MRI", "ct"],
            "normalization": "batch",
            "filters": 8,
            "geometry": {"padding": "valid", "depth": 3},
            "intensity": {"windows": {"CT": {"low": -1, "high": 1, "offset": 0, "scale": 1}}},
        }
    )
    file = tmp_path / "1" / DESCRIPTION_FILE
    file.parent.mkdir(parents=True)
    file.write_text(description.model_dump_json())
    (tmp_path / "1" / "saved_model.pb").touch()
    return tmp_path


def test_weights_that_know_a_window_keep_it(start):
    asked = read_settings(None, {"start": str(start)})
    ours = dataset(case(np.zeros((3, 4, 3)), np.ones((3, 4))), channels=("MRI", "CT", "ct"))
    settings, decisions = resolve_windows(asked, ours)
    assert settings.intensity.windows == {"CT": Window(-1.0, 1.0, 0.0, 1.0), "ct": "volume"}
    assert [str(each) for each in decisions] == [
        "intensity.windows = CT -1 to 1: as the model has it that training begins with",
        "intensity.windows = ct volume: as the model has it that training begins with",
    ]
    nameless = dataset(*ours.cases, channels=("channel 0", "channel 1", "channel 2"))
    assert resolve_windows(asked, nameless)[0].intensity.windows == {"channel 0": Window(-1.0, 1.0, 0.0, 1.0)}
    other = read_settings(None, {"start": str(start), "intensity.windows.CT": "volume"})
    assert resolve_windows(other, dataset(ramp(0, 100)))[0].intensity.windows == {"CT": "volume"}
