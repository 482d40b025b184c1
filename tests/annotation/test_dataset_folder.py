import json

import pytest

from keras_unet3d.annotation import read_dataset
from keras_unet3d.errors import InputError

LABELS = {"labels": {"0": "background", "1": "cell"}}


@pytest.fixture
def folder(tmp_path):
    def folder(description, *names):
        if description is not None:
            text = description if isinstance(description, str) else json.dumps(description)
            (tmp_path / "dataset.json").write_text(text)
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return folder


def found(dataset):
    return {case.name: [dataset.shown(path) for path in (*case.images, case.labels)] for case in dataset.cases}


def test_decathlon(folder):
    entry = {"image": "./images/a.nii.gz", "label": "./labels/a.nii.gz"}
    root = folder({**LABELS, "modality": {"1": "T2", "0": "T1"}, "training": [entry], "test": ["./imagesTs/b.nii.gz"]})
    dataset = read_dataset(root)
    assert found(dataset) == {"a": ["images/a.nii.gz", "labels/a.nii.gz"]}
    assert dataset.channel_names == ("T1", "T2")
    assert dataset.scheme.names == ("background", "cell")
    assert not dataset.problems


def test_nnunet_v2(folder):
    description = {
        "channel_names": {"0": "DAPI", "1": "actin"},
        "labels": {"background": 0, "cell": 1, "ignore": 2},
        "numTraining": 1,
        "file_ending": ".tif",
    }
    root = folder(description, "imagesTr/a_0000.tif", "imagesTr/a_0001.tif", "labelsTr/a.tif")
    dataset = read_dataset(root)
    assert found(dataset) == {"a": ["imagesTr/a_0000.tif", "imagesTr/a_0001.tif", "labelsTr/a.tif"]}
    assert dataset.scheme.unlabeled == 2
    assert dataset.channel_names == ("DAPI", "actin")


def test_nnunets_dict_of_files(folder):
    entry = {"images": ["x/a_0000.tif", "y/a_0001.tif"], "label": "z/a.tif"}
    assert found(read_dataset(folder({**LABELS, "dataset": {"case 1": entry}}))) == {
        "case 1": ["x/a_0000.tif", "y/a_0001.tif", "z/a.tif"]
    }


def test_an_image_listed_without_the_channel_number_it_has(folder):
    entry = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}
    root = folder({**LABELS, "training": [entry]}, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz")
    assert found(read_dataset(root))["a"][:2] == ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"]


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("imagesTr", "labelsTr")])
def test_two_folders_without_dataset_json(folder, images, labels):
    dataset = read_dataset(folder(None, f"{images}/a.nii", f"{labels}/a.nii"))
    assert found(dataset) == {"a": [f"{images}/a.nii", f"{labels}/a.nii"]}
    assert dataset.scheme is None


def test_the_spacing_is_by_axis_and_may_have_a_unit(folder):
    spacing = {"z": 2.18, "y": 1, "x": 0.5}
    root = folder({**LABELS, "training": [], "spacing": spacing}, "images/a.tif", "labels/a.tif")
    dataset = read_dataset(root)
    assert (dataset.spacing, dataset.spacing_unit) == ((2.18, 1, 0.5), "")
    folder({**LABELS, "spacing": {**spacing, "unit": "um"}})
    assert read_dataset(root).spacing_unit == "µm"


@pytest.mark.parametrize(
    "path", ["../secret.nii", "/etc/hostname", "images/../../secret.nii", "images/../../folder2/a.nii"]
)
def test_a_path_that_leaves_the_folder_is_a_problem(folder, path):
    for entry in ({"image": path, "label": "labels/a.nii"}, {"image": "images/a.nii", "label": path}):
        dataset = read_dataset(folder({**LABELS, "training": [entry]}))
        assert not dataset.cases
        assert f"names {path}, which is outside" in str(dataset.problems[0])


def test_an_absolute_path_within_the_folder_is_read(folder):
    root = folder(None)
    entry = {"image": str(root / "a.nii"), "label": "b/../l.nii"}
    dataset = read_dataset(folder({**LABELS, "training": [entry]}))
    assert not dataset.problems
    assert dataset.cases[0].images == (root / "a.nii",)


def test_all_wrong_entries_are_listed(folder):
    good = {"image": "a.nii", "label": "l.nii"}
    dataset = read_dataset(
        folder({**LABELS, "training": [good, "b.nii", {"label": "c.nii"}, {"image": 3}, good, good]})
    )
    assert len(dataset.cases) == 1
    assert [str(problem).split()[1] for problem in dataset.problems] == [
        "'training[1]'",
        "'training[2]'",
        "'training[3]'",
        "'training[4]'",
        "'training[5]'",
    ]


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("{", "no readable JSON"),
        ("[1]", "expected an object"),
        ({}, "no dataset was found"),
        ({"training": "all"}, "expected a list"),
        ({"training": [1], "labels": ["a", "b"]}, "expected labels such as"),
        ({"training": [1], "labels": {"background": 0, "both": [1, 2]}}, "region"),
        ({"training": [1], **LABELS, "spacing": {"z": 1, "y": 1}}, "expected a spacing such as"),
        ({"training": [1], **LABELS, "spacing": {"z": 1, "y": 1, "x": 0}}, "expected a spacing such as"),
        ({"training": [1], **LABELS, "channel_names": {"first": "T1"}}, "expected the channels"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_file(folder, description, words):
    with pytest.raises(InputError, match=words) as error:
        read_dataset(folder(description))
    assert str(error.value).count("dataset.json:") == (0 if description == {} else 1)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        read_dataset(tmp_path / "nowhere")


def test_real_datasets_are_understood(real_dataset):
    dataset = read_dataset(real_dataset)
    assert len(dataset.cases) == {"hippocampus": 208, "mouse_embryo_nuclei": 6}[real_dataset.name]
    assert dataset.scheme.names[0] == "background"
    assert dataset.spacing == {"hippocampus": None, "mouse_embryo_nuclei": (2.18, 1, 1)}[real_dataset.name]
