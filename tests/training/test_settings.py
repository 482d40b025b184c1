"""Settings are validated before any work."""

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.training.settings import Settings, read_settings
from keras_unet3d.volumes.intensity import Window


def test_what_is_written_is_read_back(tmp_path):
    settings = read_settings(None, {"steps": 10, "tile": "x=64 y=56 z=48", "network.padding": "same", "seed": 3})
    settings.write(tmp_path / "settings.toml")
    assert 'tile = "x=64 y=56 z=48"' in (tmp_path / "settings.toml").read_text(encoding="utf-8")
    assert read_settings(tmp_path / "settings.toml") == settings
    assert settings.tile == (48, 56, 64)


def test_steps_replace_the_default_minutes_and_flags_replace_the_file(tmp_path):
    assert read_settings(None, {"steps": 10}).minutes is None
    (tmp_path / "a.toml").write_text("steps = 10\n[network]\nfilters = 8\n")
    settings = read_settings(tmp_path / "a.toml", {"minutes": 5, "network.depth": 2})
    assert (settings.steps, settings.minutes, settings.network.filters, settings.network.depth) == (None, 5, 8, 2)


def test_every_mistake_is_named_with_its_place_at_once(tmp_path):
    (tmp_path / "bad.toml").write_text(
        "minuts = 5\n[network]\nfilters = -1\npadding = 'full'\n[augmentation]\nnoise = -1\n"
    )
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path / "bad.toml")
    for part in ("bad.toml", "minuts: no such setting", "network.filters", "Received: -1", "network.padding", "noise"):
        assert part in str(caught.value)


def test_a_tile_that_the_network_cannot_take_is_refused():
    paper = {"tile": "x=132 y=130 z=116", "network.padding": "valid", "network.unpooled": "x=0 y=0 z=0"}
    with pytest.raises(InputError, match=r"^tile y=130: .* the next is 132\.$"):
        read_settings(None, paper)
    assert read_settings(None, paper | {"network.unpooled": "y=2"}).tile == (116, 130, 132)


def test_two_ends_of_one_training_are_refused(tmp_path):
    """A single value replaces the other end of a file, two at once do not replace each other."""
    both = r"minutes = 10 and steps = 100 are two ends of one training\. Give one of them\."
    with pytest.raises(InputError, match=both):
        read_settings(None, {"minutes": 10, "steps": 100})
    (tmp_path / "both.toml").write_text("minutes = 10\nsteps = 100\n")
    with pytest.raises(InputError, match=rf"both\.toml: {both}"):
        read_settings(tmp_path / "both.toml")
    (tmp_path / "minutes.toml").write_text("minutes = 10\n")
    settings = read_settings(tmp_path / "minutes.toml", {"steps": 100})
    assert (settings.minutes, settings.steps) == (None, 100)
    with pytest.raises(InputError, match=both):
        read_settings(tmp_path / "minutes.toml", {"minutes": 10, "steps": 100})


def test_axes_that_every_level_pools_are_left_out(tmp_path):
    settings = read_settings(None, {"network.unpooled": "z=1"})
    assert settings.network.unpooled == (1, 0, 0)
    settings.write(tmp_path / "settings.toml")
    assert 'unpooled = "x=0 y=0 z=1"' in (tmp_path / "settings.toml").read_text(encoding="utf-8")
    assert read_settings(tmp_path / "settings.toml") == settings
    for wrong in ("z=4", "z=0.5", "z=-1", "z=1 z=2", "w=1", "1"):
        with pytest.raises(InputError, match=r"^network"):
            read_settings(None, {"network.unpooled": wrong})


def test_a_tile_with_a_missing_axis_is_refused():
    with pytest.raises(InputError, match="one value of at least 1 for each axis"):
        read_settings(None, {"tile": "x=132 y=132"})


def test_broken_toml_is_one_sentence(tmp_path):
    (tmp_path / "broken.toml").write_text("steps = = 3")
    with pytest.raises(InputError, match=r"broken\.toml: not readable as TOML"):
        read_settings(tmp_path / "broken.toml")


def test_augmentation_is_part_of_the_tree():
    settings = Settings.model_validate({"augmentation": {"displacement_sigma": 2, "mirror": ["x"]}})
    assert settings.augmentation.displacement_sigma == 2
    assert settings.augmentation.mirror == ("x",)


def test_angles_are_named_by_axis_and_come_back_to_the_last_bit(tmp_path):
    settings = read_settings(None, {"augmentation.rotation_degrees": "x=10 y=0 z=33.333333333333336"})
    assert settings.augmentation.rotation_degrees == (100 / 3, 0, 10)
    settings.write(tmp_path / "settings.toml")
    assert 'rotation_degrees = "x=10.0 y=0.0 z=33.3' in (tmp_path / "settings.toml").read_text(encoding="utf-8")
    assert read_settings(tmp_path / "settings.toml") == settings
    with pytest.raises(InputError, match="for each axis"):
        read_settings(None, {"augmentation.rotation_degrees": "x=10"})


def test_a_training_needs_an_end():
    with pytest.raises(ValueError, match="give minutes or steps"):
        Settings(minutes=None)


def test_a_value_in_the_place_of_a_table_is_refused(tmp_path):
    (tmp_path / "bad.toml").write_text("network = 3\n")
    with pytest.raises(InputError, match=r"bad\.toml: network: "):
        read_settings(tmp_path / "bad.toml", {"network.filters": 8})


def test_a_sentence_of_our_own_is_said_once():
    with pytest.raises(InputError) as caught:
        read_settings(None, {"augmentation.displacement_spacing": 2})
    assert str(caught.value) == (
        "augmentation: displacement_spacing, the voxels between two control points, is at least 4. Received: 2"
    )


def test_what_runs_on_cpu_threads_only_is_not_asked_of_a_device():
    with pytest.raises(InputError, match=r"elasticdeform runs on CPU threads only\. Take engine = 'compiled'"):
        read_settings(None, {"engine": "elasticdeform", "augment_on": "device"})
    assert read_settings(None, {"engine": "elasticdeform"}).augment_on == "auto"


def test_the_paper_s_preset_is_what_the_paper_names_and_can_be_changed(tmp_path):
    settings = read_settings(None, preset="paper")
    assert settings.tile == (116, 132, 132)
    assert (settings.network.filters, settings.network.padding, settings.network.statistics) == (32, "valid", "current")
    assert settings.network.unpooled == (0, 0, 0)
    assert (settings.optimizer.name, settings.loss.dice, settings.batch_size) == ("sgd", 0, 1)
    assert (settings.optimizer.clip_norm, settings.optimizer.warm_up_steps) == (0, 0)
    assert (settings.precision, settings.hold_out) == ("float32", "nothing")
    file = tmp_path / "settings.toml"
    file.write_text("batch_size = 2\n[network]\nfilters = 16\n")
    changed = read_settings(file, {"loss.dice": 1.0}, "paper")
    assert (changed.batch_size, changed.network.filters, changed.network.depth, changed.loss.dice) == (2, 16, 3, 1)
    assert changed.network.statistics == "current"
    assert read_settings(None, preset="paper") == settings  # nothing was changed in the preset itself


def test_windows_are_set_by_the_name_of_their_channel(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('[intensity.windows]\nPET = [0, 12.5]\n"channel 0" = "volume"\n')
    settings = read_settings(file, {"intensity.windows.CT": "-160 240"})
    assert settings.intensity.windows == {"PET": (0, 12.5), "channel 0": "volume", "CT": (-160, 240)}
    assert settings.intensity.resolved_windows == {}  # what to subtract and divide by is not known yet


def test_a_resolved_window_is_read_back_to_the_last_bit(tmp_path):
    window = Window(-160.1, 240.3, 100 / 3, 1e2 / 7)
    settings = Settings.model_validate({"intensity": {"windows": {"my CT": window, "PET": "volume"}}})
    settings.write(tmp_path / "settings.toml")
    assert read_settings(tmp_path / "settings.toml") == settings
    assert dict(settings.intensity.of(["PET", "other", "my CT"]).windows) == {2: window}


@pytest.mark.parametrize(
    "wrong", ["240 -160", "5", "a b", [1, 2, 3], [1, float("inf")], {"low": 1, "high": 2}, 7, True, "none"]
)
def test_what_is_no_window_is_refused(wrong):
    with pytest.raises(
        InputError, match=r"^intensity\.windows\.CT: expected a low and a high number, such as '-160 240'"
    ):
        read_settings(None, {"intensity.windows.CT": wrong})
