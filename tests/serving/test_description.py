"""What a model says of itself."""

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from keras_unet3d.errors import InputError
from keras_unet3d.network.sizes import Geometry
from keras_unet3d.serving.description import (
    DESCRIPTION_FILE,
    FORMAT,
    ModelDescription,
    describe_classes,
    read_description,
)
from keras_unet3d.volumes.intensity import LIMIT, Window
from keras_unet3d.volumes.spacing import Spacing


@pytest.fixture
def written(tmp_path, describe):
    """Write a description as a model's first version, with changes to its JSON."""

    def write(text=None, **changes):
        plain = json.loads(describe().model_dump_json()) | changes
        folder = tmp_path / "1"
        (folder / DESCRIPTION_FILE).parent.mkdir(parents=True, exist_ok=True)
        (folder / "saved_model.pb").touch()
        (folder / DESCRIPTION_FILE).write_text(json.dumps(plain) if text is None else text)
        return tmp_path

    return write


def test_what_was_written_is_read(written, describe):
    description = describe(
        spacing=(2.04, 1.76, 1.76), unit="µm", mirrored_axes=("x", "y"), settings={"steps": 7}, tile=(22, 22, 18)
    )
    assert read_description(written(description.model_dump_json())) == description


def test_other_languages_find_the_sizes_of_tiles(describe):
    plain = json.loads(describe(Geometry("valid", 3, (1, 0, 0))).model_dump_json())
    assert plain["geometry"] == {
        "padding": "valid", "depth": 3, "unpooled": [1, 0, 0], "dimensions": 3, "multiple": [4, 8, 8],
        "remainder": [0, 4, 4], "minimum": [52, 92, 92], "margin": [48, 88, 88], "halo": [24, 44, 44],
    }  # fmt: skip
    assert plain["axis_order"] == ["z", "y", "x", "channel"]


def test_classes_are_those_of_the_annotation(describe):
    scheme = describe(values=(0, 7, 300)).scheme
    assert (scheme.values, scheme.unlabeled) == ((0, 7, 300), 3)
    assert scheme.names == ("structure 0", "structure 7", "structure 300")
    assert describe_classes(scheme) == describe().classes


@pytest.mark.parametrize(
    ("normalization", "statistics", "expected"),
    [
        ("batch", "moving", False),
        ("batch", "current", True),
        ("group", "moving", True),
        ("instance", "moving", True),
        (None, "moving", False),
        (None, "current", False),
    ],
)
def test_which_statistics_are_those_of_the_tile(normalization, statistics, expected, describe):
    assert describe(normalization=normalization, statistics=statistics).tile_dependent is expected


def test_the_served_tile_fits_into_its_memory(describe):
    # The first pair of convolutions needs most: of n voxels a side, 32 channels of n - 2 and 64 of n - 4.
    description = describe(Geometry(), filters=32)
    at_140, at_148 = (10 * (32 * (n - 2) ** 3 + 64 * (n - 4) ** 3) for n in (140, 148))
    assert description.with_tile(at_140).tile == (140, 140, 140)
    assert description.with_tile(at_148 - 1).tile == (140, 140, 140)
    assert description.with_tile(at_148).tile == (148, 148, 148)
    assert description.with_tile(1).tile == (100, 100, 100)
    assert describe(Geometry("valid", 3, (1, 0, 0))).with_tile(1).tile == (56, 100, 100)  # moves by 8 along each axis
    assert describe(Geometry(), tile=(100, 132, 116)).with_tile(1e12).tile == (100, 132, 116)


@pytest.mark.parametrize(
    "changes", [{"tile": (92, 100, 100)}, {"tile": (101, 100, 100)}, {"unlabeled": 7}, {"bfloat16": {"structure 7": 1}}]
)
def test_contradictions_are_refused(changes, describe):
    with pytest.raises(ValidationError):
        describe(Geometry(), **changes)


def test_a_newer_package_is_named(written):
    with pytest.raises(InputError, match=rf"keras-unet3d 9\.1.*format {FORMAT + 1}.*pip install --upgrade"):
        read_description(written(format=FORMAT + 1, package_version="9.1", classes="in a new form"))


def test_an_older_format_is_to_be_exported_again(written):
    with pytest.raises(InputError, match=rf"format 1; .* format {FORMAT}\. Export the model again"):
        read_description(written(format=1, package_version="0.0.9"))


@pytest.mark.parametrize(
    ("dice", "agrees"),
    [
        (None, False),
        ({"structure 0": 1.0, "structure 7": 0.999, "structure 300": None}, True),
        ({"structure 0": 1.0, "structure 7": 0.9989, "structure 300": None}, False),
    ],
)
def test_bfloat16_agrees_where_every_class_was_seen_to(dice, agrees, describe):
    assert describe(bfloat16=dice).bfloat16_agrees is agrees


def test_a_wrong_entry_is_named(written):
    with pytest.raises(InputError, match=r"unet3d\.json: does not describe a model \(geometry\.depth: "):
        read_description(written(geometry={"padding": "valid", "depth": 0}))
    with pytest.raises(InputError, match="0 to 1 levels that do not pool"):
        read_description(written(geometry={"padding": "valid", "depth": 1, "unpooled": [2, 0, 0]}))
    with pytest.raises(InputError, match="intensity: "):
        read_description(written(intensity="percentiles"))


def test_windows_belong_to_channels_by_name(written, describe):
    window = Window(-160.0, 240.0, 55.5, 48.25)
    described = describe(channels=["PET", "CT"], intensity={"windows": {"CT": window}})
    assert dict(read_description(written(described.model_dump_json())).intensities.windows) == {1: window}
    assert not describe().intensities.windows
    assert f" {LIMIT:g} " in describe().intensity.rule
    with pytest.raises(ValidationError, match="no channel is called 'CT'"):
        describe(channels=["PET", "MRI"], intensity={"windows": {"CT": window}})
    plain = {"low": 240, "high": -160, "offset": 0, "scale": 1}
    with pytest.raises(InputError, match=r"intensity\.windows\.CT.*low < high"):
        read_description(written(channels=["PET", "CT"], intensity={"windows": {"CT": plain}}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000, "\ud7ff{"])
def test_damaged_json_is_a_sentence(text, written):
    with pytest.raises(InputError, match=r"unet3d\.json: "):
        read_description(written(text))


def test_a_savedmodel_of_another_program(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(InputError, match="not one of keras-unet3d"):
        read_description(tmp_path)


def test_reading_needs_no_tensorflow(written):
    code = (
        "import sys; from keras_unet3d.serving.description import read_description; "
        f"read_description({str(written())!r}); "
        "print([name for name in ('tensorflow', 'keras', 'scipy', 'SimpleITK') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_schema_is_one_that_json_can_hold():
    assert ModelDescription.model_json_schema(mode="serialization")["properties"]["classes"]["type"] == "array"


def test_a_working_spacing_is_one_that_training_resampled_to(describe):
    trained = {"spacing": (2.0, 1.0, 1.0), "unit": "µm"}
    assert describe(**trained).working_spacing is None
    assert describe(**trained, resampled=True).working_spacing == Spacing((2.0, 1.0, 1.0), "µm")
    with pytest.raises(ValidationError, match="no spacing says to which"):
        describe(resampled=True)
