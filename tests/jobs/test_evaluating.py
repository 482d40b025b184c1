"""`evaluate`, `evaluate_cases` and `compare`, where their rooms meet."""

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d import api
from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.score_notes import score_notes
from keras_unet3d.metrics.measures import ASSD, DICE, HAUSDORFF, SURFACE_DICE
from keras_unet3d.volumes import Segment

SCHEME = LabelScheme((0, 1, 2), ("background", "a", "b"))
DENSE = unet3d.Meaning(dense=True)  # of plates one voxel thick
GRID = unet3d.Grid((4, 6, 8), (2, 1, 1), unit="µm")
PLATE, MOVED, EMPTY = np.zeros((3, *GRID.shape), np.uint8)
PLATE[1, 1:5, 1:7] = 1
MOVED[2, 1:5, 1:7] = 1


@pytest.fixture
def write(tmp_path):
    def write_labels(name, voxels, grid=GRID):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        unet3d.write_labels(path, unet3d.Volume(voxels, grid))
        return path

    return write_labels


def test_a_score_names_the_file_whose_values_are_unknown(tmp_path, write):
    for name, value in (("prediction", 7), ("truth", 1)):
        write(f"{name}.nii.gz", np.full(GRID.shape, value, np.uint8))
    with pytest.raises(unet3d.InputError, match=r"prediction\.nii\.gz: The label values 7 are no class; expected 0"):
        unet3d.evaluate(tmp_path / "prediction.nii.gz", tmp_path / "truth.nii.gz", scheme=SCHEME)


def test_distances_are_in_the_unit_of_the_grid(write):
    """A plate that lies one slice of 2 µm too deep."""
    paths = write("p.nii.gz", MOVED), write("t.nii.gz", PLATE)
    scores = unet3d.evaluate(*paths, meaning=DENSE)
    assert (scores.classes[1].hausdorff, scores.classes[1].assd, scores.ruler.unit) == (2, 2, "µm")
    assert (scores.ruler.tolerance, scores.classes[1].surface_dice) == (2, 1)
    assert np.isnan(scores.classes[0].assd)
    assert unet3d.evaluate(*paths, meaning=DENSE, tolerance="0.0019 mm").classes[1].surface_dice == 0
    assert unet3d.evaluate(*paths, meaning=DENSE, tolerance=2).classes[1].surface_dice == 1


def test_a_tiff_without_spacing_is_measured_by_its_counterpart_or_in_voxels(write):
    bare = unet3d.Grid(GRID.shape, placed=False)
    paths = write("p.tif", MOVED, bare), write("t.nii.gz", PLATE)
    assert unet3d.evaluate(*paths, meaning=DENSE).classes[1].hausdorff == 2
    scores = unet3d.evaluate(paths[0], write("t.tif", PLATE, bare), meaning=DENSE)
    assert (scores.classes[1].hausdorff, scores.ruler.unit) == (1, "voxels")


def test_sparse_labels_are_scored_by_overlap_alone(write):
    sparse = PLATE.copy()
    sparse[3] = 9
    scores = unet3d.evaluate(write("p.nii.gz", PLATE), write("t.nii.gz", sparse), meaning=unet3d.Meaning(unlabeled=9))
    assert scores.mean_iou == 1
    assert scores.ruler is None
    assert "overlap alone" in scores.not_measured
    assert np.isnan(scores.classes[1].assd)


@pytest.fixture
def painted(write):
    """A ball that was found to the voxel, and what ITK-SNAP saves where one slice of it was painted."""
    ball = (sum((axis - 8) ** 2 for axis in np.ogrid[:16, :16, :16]) < 30).astype(np.uint8)
    slices = unet3d.AnnotatedSlices(z=(8,))
    grid = unet3d.Grid(ball.shape, unit="mm")
    truth = write("truth/a.nii.gz", np.where(slices.mask(ball.shape), ball, 0).astype(np.uint8), grid)
    return write("found/a.nii.gz", ball, grid), truth, unet3d.Meaning(slices)


def test_0_is_not_taken_for_background_where_one_slice_is_painted(painted):
    found, truth, _ = painted
    for call in (unet3d.evaluate, unet3d.evaluate_cases):
        with pytest.raises(
            unet3d.InputError, match=r"^\S*truth.a\.nii\.gz: is painted in z=8 only .*slices 'z=8' if 0"
        ):
            call(found, truth)
    assert unet3d.evaluate(found, truth, meaning=DENSE).classes[1].iou < 0.2


def test_painted_slices_are_scored_by_overlap_alone(painted):
    found, truth, meaning = painted
    scores = unet3d.evaluate(found, truth, meaning=meaning)
    assert (scores.mean_iou, scores.voxels) == (1, 16 * 16)
    assert "overlap alone" in scores.not_measured
    by_name = unet3d.Meaning({"a": meaning.annotated_slices})
    assert unet3d.evaluate_cases(found.parent, truth.parent, meaning=by_name).mean_iou.mean == 1
    assert unet3d.compare(found, found, truth, meaning=by_name).difference(DICE).first == 1


def test_a_slice_that_is_off_by_one_is_said(painted):
    found, truth, _ = painted
    warnings = []
    unet3d.evaluate_cases(found, truth, meaning=unet3d.Meaning(unet3d.AnnotatedSlices(z=(9,))), warn=warnings.append)
    assert [" ".join(warning.split()[1:6]) for warning in warnings] == [
        "nothing is painted in z=9,",
        "is painted outside of z=9",
    ]


def test_slices_that_cannot_be_are_refused(painted):
    found, truth, _ = painted
    with pytest.raises(unet3d.InputError, match=r"^\S*truth.a\.nii\.gz: The annotated slice z=16 lies outside"):
        unet3d.evaluate_cases(found, truth, meaning=unet3d.Meaning(unet3d.AnnotatedSlices(z=(16,))))
    with pytest.raises(unet3d.InputError, match="given for b; the cases are a"):
        unet3d.evaluate(found, truth, meaning=unet3d.Meaning({"b": unet3d.AnnotatedSlices(z=(8,))}))


@pytest.fixture
def folders(tmp_path, write):
    """Two cases: in one the plate was moved, in the other it was missed; another truth has no prediction."""
    for name, prediction in (("moved", MOVED), ("missed", EMPTY)):
        write(f"truth/{name}.nii.gz", PLATE)
        write(f"found/{name}.nii.gz", prediction)
        write(f"perfect/{name}.nrrd", PLATE)
    write("truth/other.nii.gz", 3 * PLATE)
    return tmp_path / "found", tmp_path / "truth", tmp_path / "perfect"


def test_folders_are_scored_case_by_case_and_what_is_alone_is_said(folders):
    warnings, told = [], []
    table = unet3d.evaluate_cases(
        *folders[:2], meaning=DENSE, warn=warnings.append, progress=lambda *how: told.append(how)
    )
    assert [case.name for case in table.cases] == ["moved", "missed"]
    assert table.scheme.values == (0, 1)
    assert table.spread(HAUSDORFF, 1).mean == 2
    assert table.spread(HAUSDORFF, 1).infinite == 1
    assert table.spread(SURFACE_DICE).mean == 0.5
    assert len(warnings) == 1
    assert "1 volume without a prediction, not scored: other" in warnings[0]
    assert told == [(0, 2, "missed"), (1, 2, "moved"), (2, 2, "")]


def test_a_class_that_only_one_case_has_is_known_in_all(folders, write):
    """The other case has a class 3: the first two have neither it nor a score of it."""
    write("found/other.nii.gz", 3 * PLATE)
    table = unet3d.evaluate_cases(*folders[:2], meaning=DENSE)
    assert table.scheme.values == (0, 1, 3)
    assert table.spread(DICE, 2).cases == 1
    assert table.spread(DICE, 1).cases == 2


def test_all_that_is_wrong_comes_at_once(folders, write):
    for name in ("moved", "missed"):
        write(f"found/{name}.nii.gz", np.zeros((4, 6, 9), np.uint8), unet3d.Grid((4, 6, 9), (2, 1, 1), unit="µm"))
    with pytest.raises(unet3d.InputError) as caught:
        unet3d.evaluate_cases(*folders[:2], meaning=DENSE)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all("x=9 y=6 z=4" in line and "Both must lie on the same grid" in line for line in lines)
    for path in folders[0].iterdir():
        path.write_bytes(b"no volume")
    with pytest.raises(unet3d.InputError) as caught:
        unet3d.evaluate_cases(*folders[:2], meaning=DENSE)
    assert len(str(caught.value).splitlines()) == 2


def test_a_unit_is_converted_and_voxels_are_no_unit(folders, write):
    in_mm = unet3d.Grid(GRID.shape, (0.002, 0.001, 0.001), unit="mm")
    write("found/moved.nii.gz", MOVED, in_mm)
    write("truth/moved.nii.gz", PLATE, in_mm)
    table = unet3d.evaluate_cases(*folders[:2], meaning=DENSE)
    assert (table.unit, table.scores(ASSD, 1)["moved"]) == ("µm", pytest.approx(2))
    for folder, voxels in (("found", MOVED), ("truth", PLATE)):
        (folders[0].parent / folder / "moved.nii.gz").unlink()
        write(f"{folder}/moved.tif", voxels, unet3d.Grid(GRID.shape, placed=False))
    with pytest.raises(
        unet3d.InputError, match=r"moved\.tif: distances can be measured in voxels only, those of .* µm"
    ):
        unet3d.evaluate_cases(*folders[:2], meaning=DENSE)


def test_two_predictions_are_compared_in_one_unit(write):
    """The truth says none: each has that of its own prediction, and µm were subtracted from mm."""
    truth = write("t.tif", PLATE, unet3d.Grid(GRID.shape, placed=False))
    one = write("one.nii.gz", MOVED)
    other = write("other.nii.gz", MOVED, unet3d.Grid(GRID.shape, (0.002, 0.001, 0.001), unit="mm"))
    paired = unet3d.compare(one, other, truth, meaning=DENSE)
    assert paired.difference(HAUSDORFF).first == 2
    assert paired.difference(HAUSDORFF).difference.mean == pytest.approx(0, abs=1e-6)
    bare = write("bare.tif", MOVED, unet3d.Grid(GRID.shape, placed=False))
    with pytest.raises(unet3d.InputError, match=r"bare\.tif: distances can be measured in voxels only"):
        unet3d.compare(one, bare, truth, meaning=DENSE)


def test_a_truth_without_labels_is_refused(folders, write):
    nothing, unlabelled = np.full(GRID.shape, 9, np.uint8), unet3d.Meaning(unlabeled=9)
    truth = write("truth/moved.nii.gz", nothing)
    with pytest.raises(unet3d.InputError, match=r"moved\.nii\.gz: no voxel is labelled"):
        unet3d.evaluate(folders[0] / "moved.nii.gz", truth, meaning=unlabelled)
    with pytest.raises(unet3d.InputError, match=r"moved\.nii\.gz: no voxel is labelled"):
        unet3d.evaluate_cases(*folders[:2], meaning=unlabelled)


def test_a_file_is_one_case_and_goes_with_no_folder(folders):
    found, truth, _ = folders
    table = unet3d.evaluate_cases(found / "moved.nii.gz", truth / "other.nii.gz", meaning=DENSE)
    assert [case.name for case in table.cases] == ["other"]
    assert not api.holds_cases(found / "moved.nii.gz")
    with pytest.raises(unet3d.InputError, match="is no folder of label maps"):
        unet3d.evaluate_cases(found, truth / "moved.nii.gz")
    (found / "moved.nii.gz").rename(found / "a.nii.gz")
    (found / "missed.nii.gz").rename(found / "b.nii.gz")
    with pytest.raises(unet3d.InputError, match="no file has the name of one in"):
        unet3d.evaluate_cases(found, truth)


def test_two_predictions_are_compared_case_by_case(folders):
    found, truth, perfect = folders
    warnings, told = [], []
    paired = unet3d.compare(
        perfect, found, truth, meaning=DENSE, warn=warnings.append, progress=lambda *how: told.append(how[:2])
    )
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(warnings) == 2  # of each, that the truth has one case more
    assert paired.first.mean_dice.mean == 1
    assert paired.cases == ("missed", "moved")
    assert paired.difference(DICE, 1).difference.mean == 1
    assert paired.difference(HAUSDORFF, 1).difference.cases == 1  # the other was missed, at an infinite distance
    assert paired.difference(HAUSDORFF, 1).difference.mean == -2


def test_a_tolerance_of_thousands_is_said(write):
    table = unet3d.evaluate_cases(write("p.nii.gz", MOVED), write("t.nii.gz", PLATE), meaning=DENSE, tolerance="2 mm")
    assert "within 2,000 µm" in score_notes(table)[0]


def test_a_name_that_stands_for_another_value_is_refused(tmp_path):
    """Else identical segments that the editor has numbered otherwise would score 0."""
    both = np.where(PLATE == 1, 1, 2 * MOVED)
    for name, voxels, names in (
        ("p", both, {1: "tumor", 2: "vessel"}),
        ("t", np.where(both, 3 - both, 0), {1: "Vessel", 2: "Tumor"}),
    ):
        segments = {value: Segment(each) for value, each in names.items()}
        unet3d.write_labels(
            tmp_path / f"{name}.seg.nrrd", unet3d.Volume(voxels.astype(np.uint8), GRID, segments=segments)
        )
    paths = tmp_path / "p.seg.nrrd", tmp_path / "t.seg.nrrd"
    found = r"segment '\w+' has the value \d; elsewhere that name means \d\. Give each segment the same"
    with pytest.raises(unet3d.InputError, match=rf"\.seg\.nrrd: the {found}"):
        unet3d.evaluate(*paths, meaning=DENSE)
    named = LabelScheme((0, 1, 2), ("background", "tumor", "vessel"))
    with pytest.raises(unet3d.InputError, match=rf"t\.seg\.nrrd: the {found}"):
        unet3d.evaluate(*paths, meaning=DENSE, scheme=named)
    assert unet3d.evaluate(paths[0], paths[0], meaning=DENSE, scheme=named).mean(DICE) == 1
