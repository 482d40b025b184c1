import json

import h5py
import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, read_image, read_labels, write_image, write_labels

GRID = Grid(
    (4, 5, 6), (2.04, 1.76, 1.5), (10.0, 20.0, 30.0), ((0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), "mm"
)


def random(shape, kind="uint16"):
    return np.random.default_rng(0).integers(0, 200, shape).astype(kind)


def saved(path, voxels, name="raw", labels="", **attributes):
    with h5py.File(path, "a") as file:
        dataset = file.create_dataset(name, data=voxels)
        dataset.attrs.update(attributes)
        for index, label in enumerate(labels):
            dataset.dims[index].label = label
    return path


def tags(axes):
    return json.dumps({"axes": [{"key": axis, "typeFlags": 1 if axis == "c" else 2} for axis in axes]})


def test_a_volume_of_pytorch_3dunet_has_its_channels_first(tmp_path):
    voxels = random((2, 4, 5, 6))
    saved(tmp_path / "a.h5", voxels, element_size_um=[2.0, 0.5, 0.25])
    image = read_image(f"{tmp_path}/a.h5:raw")
    np.testing.assert_array_equal(image.voxels, np.moveaxis(voxels, 0, -1))
    assert image.grid == Grid((4, 5, 6), (2.0, 0.5, 0.25), unit="µm")


@pytest.mark.parametrize("axes", ["zyxc", "czyx", "xyzc", "tzyxc"])
def test_axes_are_told_by_ilastiks_tags_or_by_labels(tmp_path, axes):
    sizes = {"z": 4, "y": 5, "x": 6, "c": 3, "t": 1}
    voxels = random([sizes[axis] for axis in axes])
    expected = np.einsum(f"{axes}->zyxc", voxels)
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.h5", voxels, axistags=tags(axes))).voxels, expected)
    np.testing.assert_array_equal(read_image(saved(tmp_path / "b.h5", voxels, labels=axes)).voxels, expected)


def test_four_axes_without_names_and_with_channels_last_are_asked_about(tmp_path):
    with pytest.raises(InputError, match="4×5×6×2 are not named"):
        read_image(saved(tmp_path / "a.h5", random((4, 5, 6, 2))))


def test_the_only_dataset_needs_no_name(tmp_path):
    file = saved(tmp_path / "a.h5", random((4, 5, 6)))
    assert read_image(file).voxels.shape == (4, 5, 6, 1)
    saved(file, 3.5, name="version")
    assert read_image(file).voxels.shape == (4, 5, 6, 1)
    saved(file, random((4, 5, 6)), name="volumes/labels")
    with pytest.raises(InputError, match=r"2 datasets \(raw, volumes/labels\).*a\.h5:raw"):
        read_image(file)
    assert read_labels(f"{file}:volumes/labels").voxels.dtype == np.uint16
    with pytest.raises(InputError, match=r"no dataset 'lables', but 2 datasets"):
        read_labels(f"{file}:lables")
    with pytest.raises(InputError, match="no dataset 'volumes'"):
        read_labels(f"{file}:volumes")


@pytest.mark.parametrize("unit", ["mm", "µm", "nm", ""])
def test_what_is_written_has_its_whole_grid_and_the_usual_attributes(tmp_path, unit):
    grid = Grid(GRID.shape, GRID.spacing, GRID.origin, GRID.direction, unit)
    volume = Volume(random((4, 5, 6, 2), "float32"), grid)
    write_image(f"{tmp_path}/a.h5:group/image", volume)
    back = read_image(f"{tmp_path}/a.h5:group/image")
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    assert back.grid == grid
    with h5py.File(tmp_path / "a.h5") as file:
        dataset = file["group/image"]
        np.testing.assert_array_equal(dataset[()], volume.voxels)
        assert [axis["key"] for axis in json.loads(dataset.attrs["axistags"])["axes"]] == ["z", "y", "x", "c"]
        factor = {"mm": 1e3, "µm": 1, "nm": 1e-3}.get(unit)
        if factor:
            np.testing.assert_allclose(dataset.attrs["element_size_um"], np.array(GRID.spacing) * factor)
        else:
            assert "element_size_um" not in dataset.attrs


def test_other_datasets_stay(tmp_path):
    file = saved(tmp_path / "a.h5", random((4, 5, 6)))
    for value in (1, 2):
        write_labels(f"{file}:labels", Volume(np.full((4, 5, 6), value, np.uint8), GRID))
    assert read_labels(f"{file}:labels").voxels.max() == 2
    np.testing.assert_array_equal(read_image(f"{file}:raw").voxels[..., 0], random((4, 5, 6)))
    assert [one.name for one in tmp_path.iterdir()] == ["a.h5"]


def test_labels_of_64_bits_become_small(tmp_path):
    assert read_labels(saved(tmp_path / "a.h5", random((4, 5, 6), "int64"))).voxels.dtype == np.uint8


@pytest.mark.parametrize(
    ("shape", "words"), [((5, 6), "has 2 axes of 5×6"), ((2, 3, 4, 5, 6), "5 axes"), ((0, 5, 6), "no voxels")]
)
def test_odd_shapes_are_refused(tmp_path, shape, words):
    with pytest.raises(InputError, match=words):
        read_image(saved(tmp_path / "a.h5", np.zeros(shape)))


def test_time_is_refused(tmp_path):
    with pytest.raises(InputError, match="t=2 z=3"):
        read_image(saved(tmp_path / "a.h5", random((2, 3, 4, 5)), axistags=tags("tzyx")))


def test_a_volume_that_only_claims_its_size_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", shape=(10**5, 10**5, 10**5), dtype="u1", chunks=(64, 64, 64))
    with pytest.raises(InputError, match="GiB of memory are free"):
        read_image(tmp_path / "a.h5")


@pytest.mark.parametrize("size", [[1, 2], [1, 0, 1], [1, float("nan"), 1]])
def test_an_odd_spacing_is_refused(tmp_path, size):
    with pytest.raises(InputError, match="three lengths, of z, y and x, in µm"):
        read_image(saved(tmp_path / "a.h5", random((4, 5, 6)), element_size_um=size))


def test_texts_are_no_voxels(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", data=np.full((2, 2, 2), b"text"))
    with pytest.raises(InputError, match="real number"):
        read_image(tmp_path / "a.h5")


@pytest.mark.parametrize("content", [b"hello", b"\x89HDF\r\n\x1a\n" + b"0" * 100])
def test_no_hdf5(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(InputError, match="no HDF5"):
        read_image(tmp_path / "a.h5")
