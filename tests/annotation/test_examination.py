import json

import numpy as np

from keras_unet3d.annotation import check_dataset


def warnings(folder):
    problems = check_dataset(folder)
    assert all(problem.severity == "warning" for problem in problems)
    return [str(problem) for problem in problems]


def two_cases(write, image, labels, spacing=(1.0, 1.0, 1.0)):
    write({"images/a.nii.gz": image, "labels/a.nii.gz": labels})
    return write({"images/b.nii.gz": image, "labels/b.nii.gz": labels}, spacing)


def test_a_good_dataset_has_no_problem(write, image, labels):
    assert check_dataset(two_cases(write, image, labels)) == []


def test_a_missing_dataset_is_a_problem(tmp_path):
    (problem,) = check_dataset(tmp_path / "nowhere")
    assert problem.severity == "error"
    assert str(problem).count("nowhere") == 1


def test_a_class_without_labels_is_said(write, image, labels):
    folder = two_cases(write, image, labels)
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "cell": 1, "wall": 2}}))
    (warning,) = warnings(folder)
    assert "the class 'wall' is labelled in no case" in warning


def test_a_constant_channel_is_said(write, image, labels):
    image = np.concatenate([image, np.full_like(image, 3)], axis=3)
    assert [line for line in warnings(two_cases(write, image, labels)) if "channel 1 is 3 everywhere" in line]


def test_spacings_far_apart_are_said(write, image, labels):
    folder = two_cases(write, image, labels)
    write({"images/c.nii.gz": image, "labels/c.nii.gz": labels}, (2.5, 1.0, 1.0))
    (warning,) = warnings(folder)
    assert warning.startswith("images/c.nii.gz: has a spacing of x=1 y=1 z=2.5 mm, more than 2 times away")


def test_one_segment_name_for_two_values_is_an_error(write, image, labels):
    from keras_unet3d.volumes import Grid, Segment, Volume, write_labels

    folder = two_cases(write, image, labels)
    for name, values in (("a", {1: "tumour", 2: "liver"}), ("b", {1: "liver", 2: "tumour"})):
        (folder / f"labels/{name}.nii.gz").unlink()
        painted = labels.copy()
        painted[0, 0] = 2
        segments = {value: Segment(text) for value, text in values.items()}
        write_labels(
            folder / f"labels/{name}.seg.nrrd", Volume(painted, Grid(painted.shape, unit="mm"), segments=segments)
        )
    errors = [str(problem) for problem in check_dataset(folder) if problem.severity == "error"]
    assert any("the segment 'liver' has the value 1; elsewhere that name means 2" in error for error in errors)


def test_real_datasets_are_fine(real_dataset):
    assert check_dataset(real_dataset) == []
