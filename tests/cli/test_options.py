from pathlib import Path

import click
import pytest
from unet3d_cli.options import Channels, Setting, Sizes, choose_dataset


@pytest.mark.parametrize("text", ["x=3 y=2 z=1", "z=1 x=3 y=2", "x=3,y=2,z=1"])
def test_sizes_are_read_in_any_order_as_z_y_x(text):
    assert Sizes().convert(text, None, None) == (1, 2, 3)


def test_numbers_that_may_be_0_may_be_left_out():
    assert Sizes(minimum=0).convert("z=2", None, None) == (2, 0, 0)
    with pytest.raises(click.BadParameter):
        Sizes(minimum=0).convert("z=-1", None, None)


@pytest.mark.parametrize("text", ["3 2 1", "x=3 y=2", "x=0 y=1 z=1", "x=1.5 y=2 z=1", "x=a y=2 z=1"])
def test_sizes_without_axes_are_refused(text):
    with pytest.raises(click.BadParameter):
        Sizes().convert(text, None, None)


def test_channels_have_commas_between(tmp_path):
    assert Channels().convert("a_c0.nii,a_c1.nii", None, None) == (Path("a_c0.nii"), Path("a_c1.nii"))
    with pytest.raises(click.BadParameter):
        Channels().convert("a.nii,", None, None)
    one = tmp_path / "mouse,left.nii"
    one.touch()
    assert Channels().convert(str(one), None, None) == (one,)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("network.filters=16", 16),
        ("network.padding=same", "same"),
        ('network.padding="same"', "same"),
        ("augmentation.scaling=[0.9, 1.1]", [0.9, 1.1]),
        ("tile=x=64 y=64 z=32", "x=64 y=64 z=32"),
        ("loss.class_weights={cell = 2.0}", {"cell": 2.0}),
    ],
)
def test_settings_have_toml_values_or_text(text, value):
    assert Setting().convert(text, None, None) == (text.split("=")[0], value)


@pytest.mark.parametrize("text", ["filters", "=3", "network..filters=3", "a b=3", "intensity.windows.=3"])
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(click.BadParameter):
        Setting().convert(text, None, None)


def test_a_dataset_is_a_folder_or_pairs():
    assert choose_dataset(Path("data"), (), ()) == Path("data")
    pairs = choose_dataset(None, ((Path("a_c0.nii"), Path("a_c1.nii")),), (Path("a_labels.nii"),))
    assert pairs.cases[0].images == (Path("a_c0.nii"), Path("a_c1.nii"))
    assert pairs.cases[0].labels == Path("a_labels.nii")
    for wrong in [(None, (), ()), (Path("data"), ((Path("a.nii"),),), (Path("b.nii"),))]:
        with pytest.raises(click.UsageError, match="either the folder"):
            choose_dataset(*wrong)
