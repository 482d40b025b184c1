import pytest

from keras_unet3d.annotation.matching import match_folders, match_predictions


@pytest.fixture
def folder(tmp_path):
    def folder(*names):
        for name in ("images", "labels"):
            (tmp_path / name).mkdir()
        for name in names:
            (tmp_path / name).touch()
        return tmp_path

    return folder


def match(folder, ending=None):
    cases, problems = match_folders(folder, "images", "labels", ending)
    found = {case.name: ([path.name for path in case.images], case.labels and case.labels.name) for case in cases}
    return found, [f"{problem.severity} {problem}" for problem in problems]


def test_names_match_across_formats(folder):
    root = folder("images/a.nii.gz", "labels/a.seg.nrrd", "images/b.v2.ome.tif", "labels/b.v2.tif", "images/.hidden")
    assert match(root) == ({"a": (["a.nii.gz"], "a.seg.nrrd"), "b.v2": (["b.v2.ome.tif"], "b.v2.tif")}, [])


def test_channels_come_in_order(folder):
    root = folder("images/a_0001.tif", "images/a_0000.tif", "labels/a.tif", "labels/b.tif")
    for channel in range(12):
        (root / f"images/b_c{channel}.tif").touch()
    found, problems = match(root)
    assert found["a"] == (["a_0000.tif", "a_0001.tif"], "a.tif")
    assert found["b"][0] == [f"b_c{channel}.tif" for channel in range(12)]
    assert problems == []


def test_a_year_is_no_channel_where_the_labels_have_it_too(folder):
    found, problems = match(folder("images/scan_2021.nii", "labels/scan_2021.nii"))
    assert found == {"scan_2021": (["scan_2021.nii"], "scan_2021.nii")}
    assert problems == []


def test_what_has_no_counterpart_is_said(folder):
    found, problems = match(folder("images/a.nii", "labels/b.nii", "images/notes.txt"))
    assert found == {"a": (["a.nii"], None)}
    assert [problem.split(":")[0] for problem in problems] == ["warning images/", "error labels/b.nii"]
    assert "notes.txt" in problems[0]
    assert "expected images/b" in problems[1]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["images/a_0000.tif", "images/a_0002.tif"], "channels are missing"),
        (["images/a_0001.tif"], "channels are missing"),
        (["images/a.tif", "images/a.nii"], "several files could be the same image: a.nii, a.tif"),
        (["images/a.tif", "images/a_0000.tif"], "several files"),
        (["images/a.tif", "labels/a.nii"], "has the same name"),
    ],
)
def test_names_that_can_be_read_two_ways_are_refused(folder, names, words):
    _, problems = match(folder("labels/a.tif", *names))
    assert len(problems) == 1
    assert problems[0].startswith("error")
    assert words in problems[0]


def test_nnunets_file_ending_decides(folder):
    root = folder("images/a_0000.nii.gz", "images/a_0000.json", "labels/a.nii.gz")
    found, problems = match(root, ".nii.gz")
    assert found == {"a": (["a_0000.nii.gz"], "a.nii.gz")}
    assert problems[0].startswith("warning images/")


def test_predictions_match_truths_by_name_and_what_is_alone_is_said(folder):
    root = folder("images/a.nii.gz", "images/b_0001.tif", "images/c.tif", "labels/a.seg.nrrd", "labels/b_0001.tif")
    (root / "labels" / "d.tif").touch()
    pairs, problems = match_predictions(root / "images", root / "labels")
    assert [(name, one.name, other.name) for name, one, other in pairs] == [
        ("a", "a.nii.gz", "a.seg.nrrd"),
        ("b_0001", "b_0001.tif", "b_0001.tif"),
    ]
    assert [problem.severity for problem in problems] == ["warning", "warning"]
    assert [str(problem).removeprefix(f"{root}/") for problem in problems] == [
        "images: 1 volume without a truth, not scored: c.",
        "labels: 1 volume without a prediction, not scored: d.",
    ]


def test_two_predictions_of_one_name_are_an_error(folder):
    root = folder("images/a.nii.gz", "images/a.tif", "labels/a.tif")
    _, (problem,) = match_predictions(root / "images", root / "labels")
    assert problem.severity == "error"
    assert "a.tif: a.nii.gz has the same name. Keep one of the two." in str(problem)
