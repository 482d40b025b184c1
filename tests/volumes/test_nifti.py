import gzip
import itertools
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, read_image, read_labels, write_image, write_labels

ORIENTATIONS = [
    nibabel.orientations.inv_ornt_aff(np.array(list(zip(order, flips, strict=True))), (4, 5, 6))
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]
KINDS = ["uint8", "int16", "uint16", "int32", "float32", "float64"]


def an_array(shape=(4, 5, 6), kind="int16", seed=0):
    """Voxels x, y, z[, channel], as nibabel has them."""
    return np.random.default_rng(seed).integers(0, 200, shape).astype(kind)


def saved(path, voxels, affine=None, kind=nibabel.Nifti1Image, **header):
    image = kind(voxels, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def rotation(angles):
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        i, j = {0, 1, 2} - {axis}
        turn[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        matrix = matrix @ turn
    return matrix


SPACE = (
    "dim",
    "pixdim",
    "sform_code",
    "qform_code",
    "srow_x",
    "srow_y",
    "srow_z",
    "quatern_b",
    "quatern_c",
    "quatern_d",
)
PLACE = (*SPACE[2:], "qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units", "descrip", "aux_file", "dim_info")


def check_same_header(read, written, fields=PLACE):
    first, second = nibabel.load(read).header, nibabel.load(written).header
    for name in fields:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    np.testing.assert_array_equal(first["pixdim"][:4], second["pixdim"][:4])
    np.testing.assert_array_equal(first["dim"][1:4], second["dim"][1:4])


@pytest.mark.parametrize("number", range(48))
def test_any_of_48_orientations_stays(tmp_path, number):
    affine = np.diag([-1.0, 1.0, 1.0, 1.0]) @ ORIENTATIONS[number] @ np.diag([2.0, 0.5, 3.0, 1.0])
    voxels = an_array()
    source = saved(tmp_path / "in.nii", voxels, affine)
    image = read_image(source)
    # Our array is theirs with the axes reversed, whatever the orientation.
    np.testing.assert_array_equal(image.voxels[..., 0], voxels.transpose(2, 1, 0))
    np.testing.assert_array_equal(np.diag([-1, -1, 1, 1]) @ image.grid.affine, affine)
    assert image.grid.spacing == (3.0, 0.5, 2.0)
    write_labels(tmp_path / "out.nii.gz", image.with_voxels(image.voxels[..., 0].astype(np.uint8)))
    check_same_header(source, tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(nibabel.load(tmp_path / "out.nii.gz").affine, affine)


@settings(max_examples=40)
@given(data=st.data())
def test_everything_about_space_stays(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("nifti")
    number = st.floats(-3, 3, width=32)
    shear = np.eye(3) + np.triu(
        np.array([data.draw(st.floats(-0.5, 0.5, width=32)) for _ in range(9)]).reshape(3, 3), 1
    )
    turned = rotation([data.draw(number) for _ in range(3)])
    spacing = np.diag([data.draw(st.floats(0.125, 8, width=32)) for _ in range(3)])
    offset = [data.draw(st.floats(-500, 500, width=32)) for _ in range(3)]
    sform, qform = np.eye(4), np.eye(4)
    sform[:3, :3], sform[:3, 3] = turned @ shear @ spacing, offset
    qform[:3, :3], qform[:3, 3] = turned @ spacing, offset
    kind = data.draw(st.sampled_from(KINDS))
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    written_as = data.draw(st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]))
    unit = data.draw(st.sampled_from([("mm", "mm"), ("micron", "µm"), ("meter", "m"), ("unknown", "")]))
    suffix = data.draw(st.sampled_from([".nii", ".nii.gz"]))

    voxels = an_array(shape, kind)
    theirs = written_as(voxels, None)
    theirs.header.set_qform(qform, data.draw(st.integers(0, 4)), strip_shears=True)
    theirs.header.set_sform(sform, data.draw(st.integers(0, 4)))
    theirs.header.set_xyzt_units(unit[0], "sec")
    theirs.header["descrip"] = b"scanner 7"
    nibabel.save(theirs, folder / f"in{suffix}")

    image = read_image(folder / f"in{suffix}")
    np.testing.assert_array_equal(image.voxels[..., 0], voxels.T)
    assert image.grid.unit == unit[1]
    best = nibabel.load(folder / f"in{suffix}").affine
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ image.grid.affine, best, rtol=1e-12, atol=1e-9)

    labels = image.with_voxels((image.voxels[..., 0] > 100).astype(np.uint8))
    for other in (".nii", ".nii.gz"):
        write_labels(folder / f"labels{other}", labels)
        check_same_header(folder / f"in{suffix}", folder / f"labels{other}")
        back = nibabel.load(folder / f"labels{other}")
        assert type(back) is written_as
        assert back.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(np.asarray(back.dataobj), voxels > 100)
        assert read_labels(folder / f"labels{other}").grid == image.grid
    write_image(folder / f"image{suffix}", image)
    check_same_header(folder / f"in{suffix}", folder / f"image{suffix}")
    np.testing.assert_array_equal(
        np.asarray(nibabel.load(folder / f"image{suffix}").dataobj), voxels.astype(np.float32)
    )

    # In other formats, the same places.
    for name in ("a.nrrd", "a.mha", "a.ome.tif", "a.tif", "a.h5"):
        write_image(folder / name, image)
        back = read_image(folder / name)
        np.testing.assert_array_equal(back.voxels, image.voxels, err_msg=name)
        assert back.grid.matches(image.grid, tolerance=1e-6), name


def test_labels_say_that_they_are_labels(tmp_path):
    source = saved(tmp_path / "in.nii", an_array(), cal_max=100)
    image = read_image(source)
    write_labels(tmp_path / "out.nii", image.with_voxels(np.full((6, 5, 4), 3, np.int16)))
    raw = (tmp_path / "out.nii").read_bytes()
    slope, offset = np.frombuffer(raw, "<f4", 2, 112)
    assert (slope, offset) == (1, 0)
    header = nibabel.load(tmp_path / "out.nii").header
    assert header.get_intent()[0] == "label"
    assert header["cal_max"] == 0
    assert header.get_data_dtype() == np.int16
    # Probabilities of the same case are no labels.
    labels = read_labels(tmp_path / "out.nii")
    write_image(tmp_path / "p.nii", labels.with_voxels(np.zeros((6, 5, 4, 3), np.float32)))
    assert nibabel.load(tmp_path / "p.nii").header.get_intent()[0] == "none"


def test_a_big_endian_file_stays_one(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    theirs = nibabel.Nifti1Image(an_array(kind="int16"), np.eye(4), header)
    nibabel.save(theirs, tmp_path / "in.nii")
    labels = read_labels(tmp_path / "in.nii")
    assert labels.voxels.dtype == np.dtype("=i2")
    write_labels(tmp_path / "out.nii", labels)
    assert (tmp_path / "out.nii").read_bytes()[:4] == (348).to_bytes(4, "big")
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "out.nii").dataobj), an_array(kind="int16"))


def test_slope_and_intercept_are_applied(tmp_path):
    theirs = nibabel.Nifti1Image(an_array(kind="int16"), np.eye(4))
    theirs.header.set_slope_inter(0.5, -10)
    nibabel.save(theirs, tmp_path / "in.nii")
    stored = np.asarray(nibabel.load(tmp_path / "in.nii").dataobj)
    image = read_image(tmp_path / "in.nii")
    np.testing.assert_allclose(image.voxels[..., 0], stored.T)
    assert np.any(image.voxels < 0)
    write_image(tmp_path / "out.nii", image)
    np.testing.assert_allclose(np.asarray(nibabel.load(tmp_path / "out.nii").dataobj), stored)


@pytest.mark.parametrize(
    ("shape", "channels"), [((4, 5, 6, 1), 1), ((4, 5, 6, 3), 3), ((4, 5, 6, 1, 3), 3), ((4, 5, 1), 1)]
)
def test_the_fourth_axis_or_a_vector_is_the_channel(tmp_path, shape, channels):
    voxels = an_array(shape, "float32")
    theirs = nibabel.Nifti1Image(voxels, np.diag([2, 3, 4, 1]))
    theirs.header["pixdim"][4] = 1.5
    if len(shape) == 5:
        theirs.header.set_intent("vector")
    nibabel.save(theirs, tmp_path / "in.nii")
    image = read_image(tmp_path / "in.nii")
    assert image.voxels.shape == (*shape[2::-1], channels)
    np.testing.assert_array_equal(image.voxels, voxels.reshape(*shape[:3], channels).transpose(2, 1, 0, 3))
    write_image(tmp_path / "out.nii", image)
    back = nibabel.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(np.asarray(back.dataobj), voxels)
    check_same_header(tmp_path / "in.nii", tmp_path / "out.nii", (*PLACE, "dim", "pixdim", "intent_code"))


def test_rgb_is_three_channels(tmp_path):
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    voxels = np.zeros((4, 5, 6), kind)
    voxels["G"] = an_array()
    saved(tmp_path / "rgb.nii", voxels)
    image = read_image(tmp_path / "rgb.nii")
    assert image.voxels.shape == (6, 5, 4, 3)
    np.testing.assert_array_equal(image.voxels[..., 1], voxels["G"].T)
    assert not image.voxels[..., [0, 2]].any()
    with pytest.raises(InputError, match="3 channels"):
        read_labels(tmp_path / "rgb.nii")


def test_a_probability_map_goes_round(tmp_path):
    image = read_image(saved(tmp_path / "in.nii", an_array()))
    probabilities = np.random.default_rng(1).random((6, 5, 4, 3), np.float32)
    write_image(tmp_path / "p.nii.gz", image.with_voxels(probabilities))
    back = read_image(tmp_path / "p.nii.gz")
    np.testing.assert_array_equal(back.voxels, probabilities)
    assert back.grid == image.grid


@pytest.mark.parametrize(
    ("unit", "written", "factor"), [("cm", "mm", 10), ("nm", "µm", 1e-3), ("µm", "µm", 1), ("", "", 1)]
)
def test_a_new_header_says_the_unit(tmp_path, unit, written, factor):
    direction = ((0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    volume = Volume(np.ones((2, 3, 4), np.uint8), Grid((2, 3, 4), (3, 2, 1), (4, 5, 6), direction, unit))
    write_labels(tmp_path / "new.nii", volume)
    back = read_labels(tmp_path / "new.nii").grid
    assert back.unit == written
    assert back.spacing == pytest.approx((3 * factor, 2 * factor, factor))
    assert back.matches(volume.grid, 1e-5)
    header = nibabel.load(tmp_path / "new.nii").header
    assert (header["qform_code"], header["sform_code"]) == (1, 1)
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-5)


def test_a_sheared_grid_gets_no_qform(tmp_path):
    direction = ((1.0, 0.6, 0.0), (0.0, 0.8, 0.0), (0.0, 0.0, 1.0))
    volume = Volume(np.ones((2, 3, 4), np.uint8), Grid((2, 3, 4), direction=direction, unit="mm"))
    write_labels(tmp_path / "new.nii", volume)
    header = nibabel.load(tmp_path / "new.nii").header
    assert (header["qform_code"], header["sform_code"]) == (0, 1)
    assert read_labels(tmp_path / "new.nii").grid.matches(volume.grid, 1e-5)


def test_a_header_of_another_place_is_not_used(tmp_path):
    image = read_image(saved(tmp_path / "in.nii", an_array()))
    moved = replace(image, grid=replace(image.grid, spacing=(2.0, 2.0, 2.0)))
    write_image(tmp_path / "out.nii", moved)
    assert read_image(tmp_path / "out.nii").grid == moved.grid


def test_simpleitk_agrees_where_the_voxels_lie(tmp_path):
    import SimpleITK

    affine = np.eye(4)
    affine[:3, :3] = rotation([0.1, -0.3, 0.7]) @ np.diag([1.5, 2, 2.5])
    affine[:3, 3] = [10, -20, 30]
    theirs = nibabel.Nifti1Image(an_array(kind="float32"), affine)
    theirs.header.set_qform(affine, 1)
    theirs.header.set_xyzt_units("mm")
    nibabel.save(theirs, tmp_path / "in.nii")
    image, itk = read_image(tmp_path / "in.nii"), SimpleITK.ReadImage(str(tmp_path / "in.nii"))
    np.testing.assert_array_equal(image.voxels[..., 0], SimpleITK.GetArrayFromImage(itk))
    for index in [(0, 0, 0), (3, 4, 5)]:
        place = itk.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((image.grid.affine @ [*index, 1])[:3], place, atol=1e-4)


def test_bad_nifti_files_are_sentences(tmp_path):
    good = saved(tmp_path / "good.nii", an_array(kind="float32")).read_bytes()
    cases = {
        "cut.nii": (good[:-1], "cut off or damaged.*x=4 y=5 z=6, 480 bytes"),
        "cut.nii.gz": (gzip.compress(np.random.default_rng(0).bytes(2000) and good)[:-100], "cut off"),
        "header.nii": (good[:100], "damaged or no NIfTI"),
        "text.nii": (b"hello" * 100, "damaged or no NIfTI"),
        "text.nii.gz": (b"hello" * 100, "damaged or no NIfTI"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            read_image(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "again" in str(caught.value)


def header_with(tmp_path, **fields):
    """A file of a few bytes whose header says anything."""
    raw = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).header.copy()
    for name, value in fields.items():
        raw[name] = value
    raw["vox_offset"] = 352
    raw["magic"] = b"n+1"
    path = tmp_path / "odd.nii"
    path.write_bytes(raw.binaryblock + bytes(4) + bytes(64))
    (tmp_path / "odd.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "cut off or damaged"),
        ({"dim": [3, 0, 5, 5, 1, 1, 1, 1]}, "no voxels"),
        ({"dim": [3, -4, 5, 5, 1, 1, 1, 1]}, "no voxels"),
        ({"dim": [4, 4, 4, 4, 0, 1, 1, 1]}, "no voxels"),
        ({"dim": [2, 4, 5, 1, 1, 1, 1, 1]}, "2 axes.*a volume has x, y and z"),
        ({"dim": [5, 2, 2, 2, 2, 2, 1, 1]}, "2×2 behind x=2 y=2 z=2"),
        ({"sform_code": 1, "srow_x": [0, 0, 0, 0]}, "sform or qform is damaged"),
        ({"sform_code": 1, "srow_x": [np.nan, 0, 0, 0]}, "sform or qform is damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.filterwarnings("ignore")
def test_odd_headers_are_refused_before_anything_is_allocated(tmp_path, fields, words, suffix):
    path = header_with(tmp_path, **fields).with_name(f"odd{suffix}")
    with pytest.raises(InputError, match=words):
        read_image(path)


def test_complex_voxels_are_refused(tmp_path):
    saved(tmp_path / "c.nii", np.ones((2, 2, 2), np.complex64))
    with pytest.raises(InputError, match="complex64"):
        read_image(tmp_path / "c.nii")
