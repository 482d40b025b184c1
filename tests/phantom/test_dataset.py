import json

import nibabel
import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.errors import InputError
from keras_unet3d.phantom.dataset import SAMPLES, write_phantom_dataset
from keras_unet3d.phantom.kidney import CHANNELS, SPACING, kidney

SHAPE = (16, 32, 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_phantom_dataset(tmp_path_factory.mktemp("phantom") / "kidneys", SHAPE, volumes=2, seed=5)


def test_the_paper_s_slices_are_77():
    assert sum(sum(sample.slices) for sample in SAMPLES) == 77
    assert [sample.slices_at(sample.shape) for sample in SAMPLES] == [sample.slices for sample in SAMPLES]


def test_a_smaller_volume_keeps_about_the_labelled_share():
    def share(shape, slices):
        return 1 - np.prod([1 - count / size for count, size in zip(slices, shape, strict=True)])

    for sample in SAMPLES:
        small = (32, 96, 96)
        assert abs(share(small, sample.slices_at(small)) - share(sample.shape, sample.slices)) < 0.05
        assert min(sample.slices_at((16, 16, 16))) >= 1


def test_the_folder_is_a_decathlon_dataset_with_the_truth_beside(folder):
    description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert description["labels"] == {"0": "inside", "1": "tubule", "2": "background", "3": "unlabeled"}
    assert list(description["modality"].values()) == list(CHANNELS) == ["lectin", "nuclei", "membranes"]
    assert description["numTraining"] == len(description["training"]) == 2
    for pair in description["training"]:
        assert (folder / pair["image"]).is_file()
        assert (folder / pair["label"]).is_file()
        assert (folder / pair["label"].replace("labels", "truth")).is_file()
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    names = [f"{part}/kidney_{number}.nii.gz" for part in ("images", "labels", "truth") for number in (1, 2)]
    assert files == sorted(["dataset.json", *names])


def test_what_is_written_is_the_kidney_in_micrometres(folder):
    for index in range(2):
        phantom = kidney(SHAPE, (5, index))
        image, labels, truth = (
            nibabel.load(folder / part / f"kidney_{index + 1}.nii.gz") for part in ("images", "labels", "truth")
        )
        np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0, 3), phantom.image)
        np.testing.assert_array_equal(np.asarray(truth.dataobj).T, phantom.truth)
        sparse = np.asarray(labels.dataobj).T
        painted = sparse != 3
        np.testing.assert_array_equal(sparse[painted], phantom.truth[painted])
        assert 0.15 < painted.mean() < 0.5
        for file in (image, labels, truth):
            np.testing.assert_allclose(file.header.get_zooms()[:3], SPACING[::-1], rtol=1e-6)
            assert file.header.get_xyzt_units()[0] == "micron"
            np.testing.assert_array_equal(file.affine, image.affine)


def test_it_is_public():
    assert unet3d.write_phantom_dataset is write_phantom_dataset


def test_each_volume_is_announced_once_it_is_written(tmp_path):
    seen = []
    write_phantom_dataset(tmp_path / "kidneys", (16, 16, 16), volumes=4, on_volume=seen.append)
    assert seen == ["kidney_1", "kidney_2", "kidney_3", "kidney_4"]


def test_a_failure_leaves_no_folder(tmp_path):
    def fail(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom_dataset(tmp_path / "kidneys", (16, 16, 16), on_volume=fail)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused_before_work_starts(tmp_path):
    (tmp_path / "kidneys").mkdir()
    (tmp_path / "kidneys" / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_phantom_dataset(tmp_path / "kidneys", (16, 16, 16))
    assert (tmp_path / "kidneys" / "precious.txt").read_text(encoding="utf-8") == "mine"


def test_no_volumes_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least one volume"):
        write_phantom_dataset(tmp_path / "kidneys", (16, 16, 16), volumes=0)
