import json

import numpy as np
import pytest

from keras_unet3d.annotation import AnnotatedSlices, Meaning, load_cases, read_dataset, summarize


def test_labelled_voxels_and_slices_are_counted(write):
    labels = np.zeros((10, 11, 12), np.uint8)
    labels[2, 2:9, 3:10] = 1
    image = np.random.default_rng(0).normal(size=(10, 11, 12, 1)).astype(np.float32)
    folder = write({"images/a.nii.gz": image, "labels/a.nii.gz": labels})
    slices = AnnotatedSlices(z=(2, 6), y=(0,))
    summary = summarize(load_cases(read_dataset(folder), Meaning(annotated_slices=slices)))
    (row,) = summary.rows
    assert row.slices == {"z": 2, "y": 1, "x": 0}
    labelled = 2 * 11 * 12 + 10 * 12 - 2 * 12  # two slices of z, one of y, and the two lines where they cross
    assert row.labelled == labelled
    assert row.share == pytest.approx(labelled / 1320)
    assert summary.voxels == {"background": labelled - 49, "label 1": 49}
    assert summary.slices == 3
    assert not row.dense
    plain = json.loads(json.dumps(summary.as_json()))
    assert plain["rows"][0]["shape"] == {"z": 10, "y": 11, "x": 12}


def test_dense_labels_are_no_slices(write, image, labels):
    summary = summarize(load_cases(read_dataset(write({"images/a.nii.gz": image, "labels/a.nii.gz": labels}))))
    assert summary.rows[0].dense
    assert summary.slices == 0
    assert summary.share == pytest.approx({"background": 112 / 120, "label 1": 8 / 120})


def test_a_class_is_as_bright_as_its_voxels_in_standard_deviations_of_their_volume(write):
    labels = np.full((4, 10, 10), 2, np.uint8)  # unlabelled
    labels[0], labels[1] = 0, 1
    image = np.zeros((4, 10, 10, 1), np.float32)
    image[1] = 4000  # a quarter of all: mean 1000, standard deviation 1000 √3
    told = {"labels": {"0": "background", "1": "cell", "2": "unlabeled"}, "channel_names": {"0": "nuclei"}}
    folder = write({"images/a.nii.gz": image, "labels/a.nii.gz": labels})
    (folder / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    summary = summarize(load_cases(read_dataset(folder)))
    (background,), (cell,) = summary.intensities.values()
    assert (background.mean, background.deviation) == pytest.approx((-1 / np.sqrt(3), 0), abs=1e-6)
    assert (cell.mean, cell.deviation) == pytest.approx((3 / np.sqrt(3), 0), abs=1e-6)
    assert summary.rows[0].volume == {}


def test_the_size_of_a_class_is_known_where_all_is_labelled(write, image, labels):
    (row,) = summarize(load_cases(read_dataset(write({"images/a.nii.gz": image, "labels/a.nii.gz": labels})))).rows
    assert row.volume == {name: count * np.prod(row.spacing) for name, count in row.voxels.items()}
