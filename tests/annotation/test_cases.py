import json

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile

from keras_unet3d.annotation import (
    UNLABELED,
    AnnotatedSlices,
    Meaning,
    check_dataset,
    dataset_from_pairs,
    load_case,
    load_cases,
    read_dataset,
)
from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Volume, read_labels, write_image


def refusal(folder, **meaning):
    with pytest.raises(InputError) as error:
        load_cases(read_dataset(folder), Meaning(**meaning))
    return str(error.value).splitlines()


def few_slices():
    """Foreground painted in z=2 and y=4 of a volume of x=12 y=11 z=10, 0 everywhere else."""
    labels = np.zeros((10, 11, 12), np.uint8)
    labels[2, 2:9, 3:10] = 1
    labels[1:8, 4, 3:10] = 1
    return labels


@pytest.fixture
def painted_few(write):
    image = np.random.default_rng(0).normal(size=(10, 11, 12, 1)).astype(np.float32)
    return write({"images/a.nii.gz": image, "labels/a.nii.gz": few_slices()})


def test_a_dense_dataset_is_read(write, image, labels):
    loaded = load_cases(read_dataset(write({"images/a.nii.gz": image, "labels/a.nii.gz": labels * 7})))
    (case,) = loaded
    assert loaded.scheme.values == (0, 7)
    assert loaded.scheme.names == ("background", "label 7")
    np.testing.assert_array_equal(case.class_index, labels)
    np.testing.assert_array_equal(case.image.voxels, image)
    assert (case.image.voxels.dtype, case.class_index.dtype) == (np.float32, np.int16)
    assert [problem.severity for problem in loaded.warnings] == ["warning"]  # a single case


def test_all_problems_come_in_one_go(write, image, labels):
    folder = write(
        {
            "images/damaged.nii.gz": image,
            "labels/damaged.nii.gz": labels,
            "images/cropped.nii.gz": image,
            "labels/cropped.nii.gz": labels[1:],
            "images/channels.nii.gz": np.concatenate([image, image], axis=3),
            "labels/channels.nii.gz": labels,
            "images/fine.nii.gz": image,
            "labels/fine.nii.gz": labels,
            "images/fine2.nii.gz": image,
            "labels/fine2.nii.gz": labels,
            "images/lonely.nii.gz": image,
            "labels/orphan.nii.gz": labels,
        }
    )
    path = folder / "images/damaged.nii.gz"
    path.write_bytes(path.read_bytes()[:50])
    lines = refusal(folder)
    assert sorted(line.split(":")[0] for line in lines) == [
        "images/channels.nii.gz",
        "images/damaged.nii.gz",
        "images/lonely.nii.gz",
        "labels/cropped.nii.gz",
        "labels/orphan.nii.gz",
    ]
    (cropped,) = (line for line in lines if "cropped" in line)
    assert "x=6 y=5 z=3, its image images/cropped.nii.gz has x=6 y=5 z=4. Annotate on the image's own grid" in cropped
    (channels,) = (line for line in lines if "channels" in line)
    assert "has 2 channels, most cases have 1" in channels
    problems = check_dataset(folder)  # the very same opinion
    assert [str(problem) for problem in problems if problem.severity == "error"] == lines


def test_labels_at_another_place_are_refused_with_both_grids(write, image, labels):
    folder = write({"images/a.nii.gz": image}, spacing=(2.0, 1.0, 1.0))
    write({"labels/a.nii.gz": labels}, spacing=(2.1, 1.0, 1.0))
    (line,) = refusal(folder)
    assert line.startswith("labels/a.nii.gz: lies elsewhere than its image images/a.nii.gz")
    assert "x=1 y=1 z=2.1 mm" in line
    assert "x=1 y=1 z=2 mm" in line


def test_labels_without_a_place_belong_to_an_image_of_their_shape(write, image, labels):
    folder = write({"images/a.nii.gz": image}, spacing=(2.0, 1.0, 1.0))
    write({"labels/a.tif": labels}, unit="")
    (case,) = load_cases(read_dataset(folder))
    assert case.image.grid.spacing == (2, 1, 1)


def test_labels_that_fiji_saved_belong_to_an_image_of_their_spacing(tmp_path, image, labels):
    """TIFF has a spacing and no place."""
    placed = Grid((4, 5, 6), (2.0, 1.0, 1.0), (5.0, 6.0, 7.0), ((-1.0, 0, 0), (0, -1.0, 0), (0, 0, 1.0)), "mm")
    write_image(tmp_path / "a.nii.gz", Volume(image, placed))
    fiji = {"axes": "ZYX", "spacing": 2.0, "unit": "mm"}
    tifffile.imwrite(tmp_path / "a.tif", labels, imagej=True, resolution=(1, 1), metadata=fiji)
    assert len(load_cases(dataset_from_pairs([tmp_path / "a.nii.gz"], [tmp_path / "a.tif"]))) == 1
    tifffile.imwrite(tmp_path / "b.tif", labels, imagej=True, resolution=(1, 1), metadata={**fiji, "spacing": 3.0})
    with pytest.raises(InputError, match="lies elsewhere"):
        load_cases(dataset_from_pairs([tmp_path / "a.nii.gz"], [tmp_path / "b.tif"]))


def test_a_tiff_is_annotated_with_software_that_does_not_read_its_spacing(tmp_path, image, labels):
    fiji = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", image[..., 0], imagej=True, resolution=(2, 2), metadata=fiji)
    painted = SimpleITK.GetImageFromArray(labels)
    painted.CopyInformation(SimpleITK.ReadImage(str(tmp_path / "a.tif")))
    SimpleITK.WriteImage(painted, str(tmp_path / "painted.nii.gz"))
    assert read_labels(tmp_path / "painted.nii.gz").grid == Grid((4, 5, 6), unit="mm")
    (case,) = load_cases(dataset_from_pairs([tmp_path / "a.tif"], [tmp_path / "painted.nii.gz"]))
    assert case.image.grid == Grid((4, 5, 6), (2.0, 0.5, 0.5), unit="µm")


def test_a_nifti_without_a_place_is_annotated_with_software_that_makes_one_up(tmp_path, image, labels):
    """With sform and qform codes of 0, ITK-SNAP and 3D Slicer (ITK) put it elsewhere than nibabel does."""
    theirs = nibabel.Nifti1Image(image[..., 0].T, None)
    theirs.header.set_zooms((1.0, 1.0, 2.0))
    nibabel.save(theirs, tmp_path / "a.nii")
    painted = SimpleITK.GetImageFromArray(labels)
    painted.CopyInformation(SimpleITK.ReadImage(str(tmp_path / "a.nii")))
    SimpleITK.WriteImage(painted, str(tmp_path / "painted.nii"))
    (case,) = load_cases(dataset_from_pairs([tmp_path / "a.nii"], [tmp_path / "painted.nii"]))
    assert not case.image.grid.matches(read_labels(tmp_path / "painted.nii").grid)
    np.testing.assert_array_equal(case.class_index, labels)


@pytest.mark.parametrize("name", ["painted.seg.nrrd", "painted.mha", "painted.nii.gz"])
def test_an_image_in_microns_is_annotated_with_software_that_means_millimetres(tmp_path, image, labels, name):
    volume = Volume(image, Grid((4, 5, 6), (2.04, 1.76, 1.76), (10.0, 20.0, 30.0), unit="µm"))
    write_image(tmp_path / "a.nii.gz", volume)
    painted = SimpleITK.GetImageFromArray(labels)
    painted.CopyInformation(SimpleITK.ReadImage(str(tmp_path / "a.nii.gz")))
    assert painted.GetSpacing()[2] == pytest.approx(0.00204)
    SimpleITK.WriteImage(painted, str(tmp_path / name))
    (case,) = load_cases(dataset_from_pairs([tmp_path / "a.nii.gz"], [tmp_path / name]))
    assert case.image.grid.spacing == pytest.approx((2.04, 1.76, 1.76))
    assert case.image.grid.unit == "µm"


def test_the_datasets_spacing_holds_for_files_without_one(write, image, labels):
    folder = write({"images/a.tif": image, "labels/a.tif": labels}, unit="")
    write({"images/b.nii.gz": image, "labels/b.nii.gz": labels}, spacing=(3.0, 2.0, 1.0))
    spacing = {"z": 4, "y": 1, "x": 1, "unit": "micron"}
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "cell": 1}, "spacing": spacing}))
    a, b = load_cases(read_dataset(folder))
    assert (a.image.grid.spacing, a.image.grid.unit) == ((4, 1, 1), "µm")
    assert (b.image.grid.spacing, b.image.grid.unit) == ((3, 2, 1), "mm")


def test_unknown_values_are_listed(write, image, labels):
    folder = write({"images/a.nii.gz": image, "labels/a.nii.gz": labels * 5})
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "cell": 1}}))
    assert "labels/a.nii.gz: The label values 5 are no class; expected 0 (background), 1 (cell)." in refusal(folder)[0]


def test_an_unlabelled_value_from_the_call(write, image, labels):
    labels[0] = 9
    folder = write({"images/a.nii.gz": image, "labels/a.nii.gz": labels})
    loaded = load_cases(read_dataset(folder), Meaning(unlabeled=9))
    assert loaded.scheme.values == (0, 1)
    assert (loaded.cases[0].class_index[0] == UNLABELED).all()
    assert (loaded.cases[0].class_index[1:] >= 0).all()
    (line,) = refusal(folder, unlabeled=0, annotated_slices=AnnotatedSlices(z=(1,)))
    assert "only one of --annotated-slices and --unlabeled 0" in line


def test_a_single_class_teaches_nothing(write, image, labels):
    folder = write({"images/a.nii.gz": image, "labels/a.nii.gz": labels})
    (line,) = refusal(folder, unlabeled=0)
    assert "only one class, 'label 1', is labelled" in line
    write({"labels/a.nii.gz": np.zeros_like(labels)})
    assert "only one class, 'background', is labelled" in refusal(folder)[0]
    assert "no voxel is labelled" in refusal(folder, unlabeled=0)[0]


def test_paint_in_a_few_slices_is_refused_until_its_meaning_is_said(painted_few):
    (line,) = refusal(painted_few)
    assert line.startswith("labels/a.nii.gz: is painted in z=2 y=4 only and 0 everywhere else")
    assert "--annotated-slices 'z=2 y=4' if 0 is background in these slices" in line
    assert "--dense if 0 is background everywhere." in line
    (dense,) = load_cases(read_dataset(painted_few), Meaning(dense=True))
    assert (dense.class_index >= 0).all()

    (sparse,) = load_cases(read_dataset(painted_few), Meaning(annotated_slices=AnnotatedSlices(z=(2,), y=(4,))))
    inside = AnnotatedSlices(z=(2,), y=(4,)).mask((10, 11, 12))
    np.testing.assert_array_equal(sparse.class_index, np.where(inside, few_slices().astype(np.int16), UNLABELED))
    assert sparse.annotated_slices == AnnotatedSlices(z=(2,), y=(4,))


def test_paint_in_pairs_of_slices_is_asked_about(write):
    labels = np.zeros((20, 11, 12), np.uint8)
    labels[[5, 6, 13, 14], 2:9, 3:10] = 1
    read = load_cases(read_dataset(write({"images/a.nii.gz": np.ones((20, 11, 12, 1)), "labels/a.nii.gz": labels})))
    (line,) = [str(warning) for warning in read.warnings if "painted" in str(warning)]
    assert "0 counts as background everywhere else" in line
    assert "--annotated-slices 'z=5,6,13,14'" in line


def test_several_cases_are_told_apart_in_the_refusal(painted_few, write):
    image = np.random.default_rng(1).normal(size=(10, 11, 12, 1)).astype(np.float32)
    labels = few_slices()
    labels[labels == 1] = 2
    write({"images/b.nii.gz": image, "labels/b.nii.gz": np.where(np.indices(labels.shape)[0] == 2, labels, 0)})
    lines = refusal(painted_few)
    assert "--annotated-slices 'a:z=2 y=4'" in lines[0]
    assert "--annotated-slices 'b:z=2'" in lines[1]
    slices = {"a": AnnotatedSlices(z=(2,), y=(4,)), "b": AnnotatedSlices(z=(2,))}
    loaded = load_cases(read_dataset(painted_few), Meaning(annotated_slices=slices))
    assert [str(case.annotated_slices) for case in loaded] == ["z=2 y=4", "z=2"]
    (line,) = refusal(painted_few, annotated_slices={**slices, "c": AnnotatedSlices(z=(1,))})
    assert "given for c; the cases are a, b" in line


def test_painting_the_background_too_offers_a_third_meaning(painted_few, write):
    labels = few_slices()
    labels[2][labels[2] == 0] = 2
    write({"labels/a.nii.gz": labels})
    (line,) = refusal(painted_few)
    assert line.endswith("or --unlabeled 0 if you painted the background too.")
    loaded = load_cases(read_dataset(painted_few), Meaning(unlabeled=0))
    assert loaded.scheme.values == (1, 2)
    names = {"background": 0, "a": 1, "b": 2, "ignore": 3}  # 3 is unlabelled; 0 cannot be, too
    (painted_few / "dataset.json").write_text(json.dumps({"labels": names}))
    (line,) = refusal(painted_few)
    assert line.endswith("--dense if 0 is background everywhere.")


def test_a_slice_that_is_off_by_one_is_said(painted_few):
    loaded = load_cases(read_dataset(painted_few), Meaning(annotated_slices=AnnotatedSlices(z=(9,), y=(4,))))
    warnings = "\n".join(map(str, loaded.warnings))
    assert "nothing is painted in z=9, all of it counts as background" in warnings
    assert "is painted outside of z=9 y=4 too, in z=2; that paint is kept" in warnings


def test_a_slice_outside_the_volume_is_refused(painted_few):
    (line,) = refusal(painted_few, annotated_slices=AnnotatedSlices(z=(10,)))
    assert "z=10 lies outside the volume of x=12 y=11 z=10" in line


def test_object_numbers_are_no_classes(write, image, labels):
    labels = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape)
    (line,) = refusal(write({"images/a.nii.gz": image, "labels/a.nii.gz": labels}))
    assert "holds 120 label values without names; they look like the numbers of single objects" in line


def test_pairs(write, image, labels):
    folder = write({"a.nii.gz": image, "a_labels.nii.gz": labels})
    (case,) = load_cases(dataset_from_pairs([folder / "a.nii.gz"], [folder / "a_labels.nii.gz"]))
    assert case.name == "a"
    with pytest.raises(InputError, match=r"nowhere\.nii\.gz: does not exist"):
        load_cases(dataset_from_pairs([folder / "a.nii.gz"], [folder / "nowhere.nii.gz"]))


def test_three_painted_slices_of_a_real_case_are_refused(real_dataset, write):
    dataset = read_dataset(real_dataset)
    (case,) = load_cases(dataset_from_pairs(dataset.cases[0].images, [dataset.cases[0].labels]))
    middle = [round(float(np.median(where))) for where in np.nonzero(case.class_index)]
    slices = AnnotatedSlices(*((index,) for index in middle))
    painted = np.where(slices.mask(case.class_index.shape), case.class_index, 0).astype(np.uint8)
    folder = write({"images/a.nii.gz": case.image.voxels, "labels/a.nii.gz": painted})
    assert f"--annotated-slices '{slices}'" in refusal(folder)[0]
    (sparse,) = load_cases(read_dataset(folder), Meaning(annotated_slices=slices))
    assert sparse.annotated_slices == slices


@pytest.mark.parametrize(
    "meaning", [Meaning(dense=True), Meaning(AnnotatedSlices(z=(2,), y=(4,))), Meaning(unlabeled=0)]
)
def test_one_case_is_read_again_as_it_was_among_all(write, meaning):
    image = np.random.default_rng(0).normal(size=(10, 11, 12, 1)).astype(np.float32)
    other = few_slices()
    other[0, 0, 0] = 2  # a class that the first case does not have
    names = {"images/a.nii.gz": image, "labels/a.nii.gz": few_slices(), "images/b.nii.gz": image}
    dataset = read_dataset(write({**names, "labels/b.nii.gz": other}))
    together = load_cases(dataset, meaning)
    for case, files in zip(together, dataset.cases, strict=True):
        again = load_case(dataset, files, together.scheme, meaning)
        assert again.name == case.name
        np.testing.assert_array_equal(again.class_index, case.class_index)
        np.testing.assert_array_equal(again.image.voxels, case.image.voxels)
        assert again.image.grid == case.image.grid
    dataset.cases[0].labels.unlink()
    with pytest.raises(InputError, match=r"labels/a\.nii\.gz"):
        load_case(dataset, dataset.cases[0], together.scheme, meaning)
