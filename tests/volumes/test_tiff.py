import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, read_image, read_labels, write_image, write_labels

EMBRYOS = Path(__file__).parents[3] / "shared" / "data" / "mouse_embryo_nuclei"
GRID = Grid((7, 8, 9), (2.04, 1.76, 1.5), unit="µm")


def random(shape, kind="uint16"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(kind)


@pytest.mark.parametrize(
    ("axes", "shape"), [("ZYX", (7, 8, 9)), ("ZCYX", (7, 2, 8, 9)), ("ZYXS", (7, 8, 9, 3)), ("ZCYX", (7, 20, 8, 9))]
)
@pytest.mark.parametrize("form", ["imagej", "ome", "shaped"])
def test_axes_come_from_the_metadata(tmp_path, form, axes, shape):
    voxels = random(shape, "uint8")
    file = tmp_path / ("a.ome.tif" if form == "ome" else "a.tif")
    rgb = "rgb" if axes.endswith("S") else "minisblack"
    options = {} if form == "shaped" else {form: True}
    tifffile.imwrite(file, voxels, metadata={"axes": axes}, photometric=rgb, **options)
    expected = np.moveaxis(voxels, 1, -1) if "C" in axes else voxels.reshape(7, 8, 9, -1)
    np.testing.assert_array_equal(read_image(file).voxels, expected)


@pytest.mark.parametrize(
    ("unit", "expected", "factor"),
    [("micron", "µm", 1), ("um", "µm", 1), ("mm", "mm", 1), ("inch", "mm", 25.4), ("pixel", "", 1), (None, "", 1)],
)
def test_imagejs_spacing_and_unit(tmp_path, unit, expected, factor):
    metadata = {"axes": "ZYX", "spacing": 2.0, **({"unit": unit} if unit else {})}
    tifffile.imwrite(tmp_path / "a.tif", random((7, 8, 9)), imagej=True, resolution=(4.0, 2.0), metadata=metadata)
    grid = read_image(tmp_path / "a.tif").grid
    assert grid.unit == expected
    assert grid.spacing == pytest.approx((2.0 * factor, 0.5 * factor, 0.25 * factor))


def test_omes_spacing_units_and_channel_names(tmp_path):
    metadata = {
        "axes": "CZYX",
        "PhysicalSizeX": 500.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 0.002,
        "PhysicalSizeZUnit": "mm",
        "Channel": {"Name": ["lectin", "nuclei"]},
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", random((2, 7, 8, 9)), metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif")
    assert image.channels == ("lectin", "nuclei")
    assert image.grid.unit == "nm"
    assert image.grid.spacing == pytest.approx((2000, 500, 500))


def test_ome_without_sizes_says_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", random((7, 8, 9)), metadata={"axes": "ZYX"})
    assert read_image(tmp_path / "a.ome.tif").grid == Grid((7, 8, 9))


def test_pages_are_slices_and_dots_per_inch_no_spacing(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane in random((7, 8, 9)):
            tif.write(plane, metadata=None, resolution=(72, 72), resolutionunit="INCH", compression="zlib")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.voxels[..., 0], random((7, 8, 9)))
    assert image.grid == Grid((7, 8, 9))


@settings(max_examples=15)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    spacing=st.tuples(*[st.floats(0.01, 100)] * 3),
    unit=st.sampled_from(["mm", "µm", "nm", ""]),
    name=st.sampled_from(["a.tif", "a.tiff", "a.ome.tif", "a.ome.tiff"]),
    kind=st.sampled_from(["uint8", "uint16", "int16", "float32"]),
)
def test_what_is_written_is_read_with_its_whole_grid(tmp_path_factory, shape, spacing, unit, name, kind):
    file = tmp_path_factory.mktemp("tiff") / name
    direction = ((0.0, -0.6, 0.8), (1.0, 0.0, 0.0), (0.0, 0.8, 0.6))
    volume = Volume(random(shape, kind), Grid(shape[:3], spacing, (1.5, -2.0, 1 / 3), direction, unit))
    write_image(file, volume)
    back = read_image(file)
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    assert back.grid.unit == unit
    assert back.grid.matches(volume.grid, 1e-9)
    theirs = tifffile.imread(file)
    assert theirs.dtype == kind
    assert theirs.size == volume.voxels.size


def test_fiji_gets_axes_spacing_and_unit(tmp_path):
    write_image(tmp_path / "a.tif", Volume(random((7, 8, 9, 2)), GRID))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert (tif.series[0].axes, tif.series[0].shape) == ("ZCYX", (7, 2, 8, 9))
        assert tif.imagej_metadata["unit"] == "micron"
        assert tif.imagej_metadata["spacing"] == 2.04
        numbers = [tif.pages[0].tags[name].value for name in ("XResolution", "YResolution")]
        assert [pixels / units for pixels, units in numbers] == pytest.approx([1 / 1.5, 1 / 1.76])
        np.testing.assert_array_equal(tif.asarray(), random((7, 8, 9, 2)).transpose(0, 3, 1, 2))


def test_ome_readers_get_axes_spacing_and_unit(tmp_path):
    image = Volume(random((7, 8, 9, 2)), GRID, channels=("a", "b"))
    write_image(tmp_path / "a.ome.tif", image)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert (tif.series[0].axes, tif.series[0].shape) == ("CZYX", (2, 7, 8, 9))
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{axis}"] for axis in "XYZ"] == [1.5, 1.76, 2.04]
    assert [pixels[f"PhysicalSize{axis}Unit"] for axis in "XYZ"] == ["µm"] * 3
    assert read_image(tmp_path / "a.ome.tif").channels == ("a", "b")


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "int32"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_labels_keep_their_type_even_where_imagej_has_none(tmp_path, name, kind):
    write_labels(tmp_path / name, Volume(random((7, 8, 9), kind), GRID))
    assert tifffile.imread(tmp_path / name).dtype == kind
    labels = read_labels(tmp_path / name)
    assert labels.voxels.dtype == kind
    np.testing.assert_array_equal(labels.voxels, random((7, 8, 9), kind))


def test_a_grid_that_other_software_left_behind_is_not_believed(tmp_path):
    """Cropped and binned by something that kept the description's line."""
    write_image(tmp_path / "a.tif", Volume(random((7, 8, 9, 1)), Grid((7, 8, 9), (2, 1, 1), (50, 50, 50), unit="mm")))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        line = tif.imagej_metadata["unet3d_grid"]
    for shape, spacing in [((5, 8, 9), 2.0), ((7, 8, 9), 3.0)]:
        metadata = {"axes": "ZYX", "spacing": spacing, "unit": "mm", "unet3d_grid": line}
        tifffile.imwrite(tmp_path / "b.tif", random(shape), imagej=True, metadata=metadata)
        assert read_image(tmp_path / "b.tif").grid == Grid(shape, (spacing, 1, 1), unit="mm")


@pytest.mark.parametrize(
    ("axes", "shape", "words"),
    [
        ("YX", (8, 9), "is a 2D image"),
        ("CYX", (4, 8, 9), "is a 2D image.*saved as channels"),
        ("TYX", (7, 8, 9), "T=7.*tells time from depth"),
        ("TZYX", (2, 7, 8, 9), "one time point"),
    ],
)
def test_two_dimensions_and_time_are_refused(tmp_path, axes, shape, words):
    tifffile.imwrite(tmp_path / "a.tif", random(shape), imagej=True, metadata={"axes": axes})
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / "a.tif")


def test_four_axes_without_names_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", random((2, 7, 8, 9)))
    with pytest.raises(InputError, match="axes z, y, x and channel"):
        read_image(tmp_path / "a.tif")


def test_several_volumes_in_a_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(random((7, 8, 9)))
        tif.write(random((5, 6, 7)))
    with pytest.raises(InputError, match="holds 2 images"):
        read_image(tmp_path / "a.tif")


def test_a_thumbnail_beside_the_volume_is_passed_over(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(random((7, 8, 9)))
        tif.write(random((5, 6)))
    assert read_image(tmp_path / "a.tif").grid.shape == (7, 8, 9)


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("form", ["imagej", "ome", "shaped", "pages"])
def test_no_part_of_a_file_passes_for_the_whole(tmp_path, form, part):
    voxels = np.random.default_rng(0).integers(0, 2**16, (30, 16, 16)).astype(np.uint16)
    file = tmp_path / ("a.ome.tif" if form == "ome" else "a.tif")
    if form == "pages":
        with tifffile.TiffWriter(file) as tif:
            for plane in voxels:
                tif.write(plane, metadata=None, compression="zlib")
    else:
        tifffile.imwrite(file, voxels, metadata={"axes": "ZYX"}, **({} if form == "shaped" else {form: True}))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(part * len(whole))])
    if form == "imagej" and part >= 0.9:  # the tables of later pages are missing, and ImageJ needs only the first
        np.testing.assert_array_equal(read_image(file).voxels[..., 0], voxels)
        return
    with pytest.raises(InputError, match=str(file)):
        read_image(file)


def test_text_is_no_tiff(tmp_path):
    (tmp_path / "a.tif").write_text("hello")
    with pytest.raises(InputError, match="no TIFF"):
        read_image(tmp_path / "a.tif")


def test_a_codec_that_is_missing_is_named(tmp_path):
    first, *others = [Image.fromarray(plane) for plane in random((7, 8, 9), "uint8")]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others, compression="tiff_lzw")
    if importlib.util.find_spec("imagecodecs"):
        assert read_image(tmp_path / "a.tif").grid.shape == (7, 8, 9)
        return
    with pytest.raises(InputError, match=r"compressed with LZW.*pip install imagecodecs"):
        read_image(tmp_path / "a.tif")


@pytest.mark.skipif(not EMBRYOS.exists(), reason="the shared mouse embryo stacks are not here")
def test_real_stacks(tmp_path):
    for file in sorted((EMBRYOS / "images").glob("*.tif"))[:2]:
        image, labels = read_image(file), read_labels(EMBRYOS / "labels" / file.name)
        np.testing.assert_array_equal(image.voxels[..., 0], tifffile.imread(file))
        assert image.grid.shape[0] == 51
        assert image.grid.matches(labels.grid)
        assert set(np.unique(labels.voxels)) == {0, 1}
        write_labels(tmp_path / "a.tif", image.with_voxels(labels.voxels))
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels.voxels)


def test_nothing_is_said_on_the_terminal(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_image(tmp_path / "a.tif", Volume(random((7, 8, 9, 2)), GRID))
        read_image(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")
