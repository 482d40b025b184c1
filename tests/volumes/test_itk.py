from dataclasses import replace

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, open_image, read_image, read_labels, write_image, write_labels
from keras_unet3d.volumes.itk_data import stored_voxels
from keras_unet3d.volumes.voxels import held_bytes

OBLIQUE = ((0.0, -0.6, 0.8), (1.0, 0.0, 0.0), (0.0, 0.8, 0.6))
GRID = Grid((4, 5, 6), (2.04, 1.76, 1.5), (10.0, -20.0, 1 / 3), OBLIQUE, "mm")


def random(shape, kind="float32"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(kind)


def theirs(voxels, grid=GRID, **metadata):
    image = SimpleITK.GetImageFromArray(voxels, isVector=voxels.ndim == 4)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.origin)
    image.SetDirection(np.ravel(grid.direction).tolist())
    for key, value in metadata.items():
        image.SetMetaData(key, value)
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr"])
@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 3)])
def test_what_simpleitk_writes_is_read(tmp_path, suffix, shape):
    voxels = random(shape, "int16")
    SimpleITK.WriteImage(theirs(voxels), str(tmp_path / f"a{suffix}"), useCompression=True)
    image = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(image.voxels, voxels.reshape(4, 5, 6, -1))
    assert replace(image.grid, unit="mm").matches(GRID, 1e-9)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@settings(max_examples=10)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    spacing=st.tuples(*[st.floats(0.01, 100)] * 3),
    origin=st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    unit=st.sampled_from(["mm", "µm", "cm", ""]),
    direction=st.sampled_from([OBLIQUE, ((1.0, 0.6, 0.0), (0.0, 0.8, 0.0), (0.0, 0.0, -1.0))]),
)
def test_what_is_written_simpleitk_reads(tmp_path_factory, suffix, shape, spacing, origin, unit, direction):
    file = tmp_path_factory.mktemp("itk") / f"a{suffix}"
    grid = Grid(shape[:3], spacing, origin, direction, unit)
    written = Volume(random(shape), grid)
    write_image(file, written)
    back = SimpleITK.ReadImage(str(file))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(back).reshape(shape), written.voxels)
    np.testing.assert_allclose(back.GetSpacing(), spacing[::-1], rtol=1e-9)
    np.testing.assert_allclose(back.GetOrigin(), origin, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(back.GetDirection(), np.ravel(direction), atol=1e-9)
    ours = read_image(file)
    assert ours.grid.unit == unit
    assert ours.grid.matches(grid, 1e-6)
    np.testing.assert_array_equal(ours.voxels, written.voxels)


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16", "int32"])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_labels_keep_their_type(tmp_path, suffix, kind):
    write_labels(tmp_path / f"a{suffix}", Volume(random((4, 5, 6), kind) % 100, GRID))
    back = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"a{suffix}")))
    assert back.dtype == kind
    labels = read_labels(tmp_path / f"a{suffix}")
    assert labels.voxels.dtype == kind
    np.testing.assert_array_equal(labels.voxels, back)


def test_the_unit_is_a_field_of_the_format(tmp_path):
    volume = Volume(random((4, 5, 6, 1)), replace(GRID, unit="µm"))
    write_image(tmp_path / "a.nrrd", volume)
    assert b'\nspace units: "um" "um" "um"\n' in (tmp_path / "a.nrrd").read_bytes()
    write_image(tmp_path / "a.mha", volume)
    assert b"\nDistanceUnits = um\n" in (tmp_path / "a.mha").read_bytes()


@pytest.mark.parametrize(("unit", "written"), [("nm", "µm"), ("m", "mm")])
def test_metaimage_knows_three_units(tmp_path, unit, written):
    grid = replace(GRID, unit=unit)
    write_image(tmp_path / "a.mha", Volume(random((4, 5, 6, 1)), grid))
    back = read_image(tmp_path / "a.mha").grid
    assert back.unit == written
    assert back.matches(grid, 1e-6)


def nrrd(tmp_path, *lines, data=None):
    voxels = np.arange(24, dtype="<i2") if data is None else data
    file = tmp_path / "a.nrrd"
    head = ["NRRD0005", "type: short", "endian: little", "encoding: raw", *lines]
    file.write_bytes("\n".join(head).encode() + b"\n\n" + voxels.tobytes())
    return file


def test_a_nrrd_by_hand_in_another_space_and_unit(tmp_path):
    file = nrrd(
        tmp_path,
        "dimension: 3",
        "sizes: 4 3 2",
        "space: right-anterior-superior",
        "space directions: (1,0,0) (0,2,0) (0,0,3)",
        "space origin: (5,6,7)",
        'space units: "inch" "inch" "inch"',
    )
    image = read_image(file)
    assert image.voxels[1, 2, 3, 0] == 23
    assert image.voxels[0, 0, 1, 0] == 1
    assert image.grid.unit == "mm"
    # One step along y is 2 inch to anterior: 50.8 mm against our second axis.
    np.testing.assert_allclose(image.grid.affine @ [0, 1, 0, 1], [-5 * 25.4, -6 * 25.4 - 50.8, 7 * 25.4, 1])


def test_channels_may_come_last_in_the_file(tmp_path):
    space = [
        "space: left-posterior-superior",
        "space directions: (1,0,0) (0,2,0) (0,0,3) none",
        "space origin: (0,0,0)",
    ]
    file = nrrd(
        tmp_path,
        "dimension: 4",
        "sizes: 4 3 2 2",
        *space,
        "kinds: domain domain domain list",
        data=np.arange(48, dtype="<i2"),
    )
    image = read_image(file)
    assert image.voxels.shape == (2, 3, 4, 2)
    assert image.voxels[0, 0, 1].tolist() == [1, 25]
    assert image.grid.spacing == (3, 2, 1)


def test_axes_of_different_units_are_refused(tmp_path):
    file = nrrd(
        tmp_path,
        "dimension: 3",
        "sizes: 4 3 2",
        "space: left-posterior-superior",
        "space directions: (1,0,0) (0,2,0) (0,0,3)",
        "space origin: (5,6,7)",
        'space units: "um" "um" "mm"',
    )
    with pytest.raises(InputError, match="different units"):
        read_image(file)


def test_keys_of_the_header_go_along_within_a_format(tmp_path):
    SimpleITK.WriteImage(theirs(random((4, 5, 6)), Patient="Hänsel"), str(tmp_path / "a.nrrd"))
    image = read_image(tmp_path / "a.nrrd")
    write_labels(tmp_path / "b.nrrd", image.with_voxels(np.ones((4, 5, 6), np.uint8)))
    assert SimpleITK.ReadImage(str(tmp_path / "b.nrrd")).GetMetaData("Patient") == "Hänsel"
    write_labels(tmp_path / "b.mha", image.with_voxels(np.ones((4, 5, 6), np.uint8)))
    assert "Patient" not in SimpleITK.ReadImage(str(tmp_path / "b.mha")).GetMetaDataKeys()


def test_a_fourth_axis_is_the_channel(tmp_path):
    image = SimpleITK.GetImageFromArray(random((3, 4, 5, 6)), isVector=False)
    image.SetSpacing((1, 2, 3, 9))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    ours = read_image(tmp_path / "a.mha")
    assert ours.voxels.shape == (4, 5, 6, 3)
    np.testing.assert_array_equal(ours.voxels[..., 2], random((3, 4, 5, 6))[2])
    assert ours.grid.spacing == (3, 2, 1)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_files_that_are_cut_off_are_sentences(tmp_path, suffix, compressed):
    file = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(theirs(np.random.default_rng(0).random((20, 20, 20))), str(file), useCompression=compressed)
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(InputError, match="cut off"):
        read_image(file)


@pytest.mark.parametrize(
    ("size", "words"), [("0 3 2", "no voxels"), ("4 3", "2 axes"), ("30000 30000 30000", "cut off|of memory are free")]
)
def test_odd_sizes_are_refused(tmp_path, size, words):
    (tmp_path / "a.mha").write_text(
        f"ObjectType = Image\nNDims = {len(size.split())}\nBinaryData = True\nCompressedData = False\n"
        f"DimSize = {size}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n" + "0" * 48
    )
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / "a.mha")
    with pytest.raises(InputError, match=words):
        read_image(nrrd(tmp_path, f"dimension: {len(size.split())}", f"sizes: {size}"))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.seg.nrrd", "a.nhdr"])
def test_text_is_no_image(tmp_path, name):
    (tmp_path / name).write_text("hello")
    with pytest.raises(InputError, match=r"a\..*damaged or no"):
        read_image(tmp_path / name)


def metaimage(tmp_path, *lines, data):
    file = tmp_path / "a.mha"
    head = ["ObjectType = Image", "NDims = 3", "DimSize = 4 3 2", *lines]
    file.write_bytes("\n".join(head).encode() + b"\n" + data)
    return file


VOXELS = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("lines", "kind", "in_file"),
    [
        (["BinaryData = True", "BinaryDataByteOrderMSB = True", "ElementType = MET_SHORT"], ">i2", True),
        (["BinaryData = True", "ElementByteOrderMSB = True", "ElementType = MET_FLOAT"], ">f4", True),
        (["BinaryData = True", "BinaryDataByteOrderMSB = False", "ElementType = MET_LONG"], "<i4", False),
        (
            ["BinaryData = True", "BinaryDataByteOrderMSB = False", "HeaderSize = 0", "ElementType = MET_UCHAR"],
            "u1",
            True,
        ),
        (["BinaryData = False", "ElementType = MET_SHORT"], None, False),
    ],
)
def test_a_metaimage_by_hand(tmp_path, lines, kind, in_file):
    data = VOXELS.astype(kind).tobytes() if kind else (" ".join(map(str, range(24))) + "\n").encode()
    file = metaimage(tmp_path, *lines, "ElementDataFile = LOCAL", data=data)
    np.testing.assert_array_equal(read_image(file).voxels[..., 0], VOXELS)
    with open_image(file) as image:
        np.testing.assert_array_equal(image.voxels[1:, :2][..., 0], VOXELS[1:, :2])
        assert (held_bytes(image.voxels) == 0) == in_file


@pytest.mark.parametrize(
    ("lines", "data", "in_file"),
    [
        (["data file: a.raw"], None, True),
        (["data file: ./a.raw"], None, True),
        (["data file: other/a.raw"], None, False),
        (["data file: LIST", *[f"a{z}.raw" for z in range(2)]], None, False),
        (["data file: a%d.raw 0 1 1"], None, False),
        (["byte skip: 5"], b"hello", False),
        (["line skip: 1"], b"hello\n", False),
    ],
)
def test_unusual_nrrds_are_read_too(tmp_path, lines, data, in_file):
    voxels = VOXELS.astype("<i2")
    (tmp_path / "other").mkdir()
    for name in ("a.raw", "other/a.raw"):
        (tmp_path / name).write_bytes(voxels.tobytes())
    for z in range(2):
        (tmp_path / f"a{z}.raw").write_bytes(voxels[z].tobytes())
    head = ["NRRD0005", "type: short", "endian: little", "encoding: raw", "dimension: 3", "sizes: 4 3 2", *lines]
    file = tmp_path / ("a.nhdr" if data is None else "a.nrrd")
    file.write_bytes("\n".join(head).encode() + b"\n\n" + (b"" if data is None else data + voxels.tobytes()))
    if data is None:
        file.write_bytes(file.read_bytes()[:-1])
    np.testing.assert_array_equal(read_image(file).voxels[..., 0], VOXELS)
    with open_image(file) as image:
        np.testing.assert_array_equal(image.voxels[1:, :2][..., 0], VOXELS[1:, :2])
        assert (held_bytes(image.voxels) == 0) == in_file


def test_a_link_to_a_data_file_elsewhere_is_not_followed_here(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "a.raw").write_bytes(VOXELS.astype("<i2").tobytes())
    (tmp_path / "here" / "a.raw").symlink_to(tmp_path / "a.raw")
    fields = {"encoding": "raw", "endian": "little", "sizes": "4 3 2", "data file": "a.raw"}
    for folder, found in ((tmp_path, True), (tmp_path / "here", False)):
        assert bool(stored_voxels(folder / "a.nhdr", fields, None, (4, 3, 2), 1, 2)) == found
