"""phantom → check → fit → info → segment → evaluate, each in its own process."""

import json

import nibabel
import numpy as np
import pytest
import SimpleITK

pytestmark = pytest.mark.slow

IMAGE = "kidneys/images/kidney_1.nii.gz"


def test_check_says_what_will_be_trained_on(user):
    out, err = user.run("check", "kidneys")
    assert err == ""
    assert "x=24 y=20 z=16" in out
    assert "lectin, nuclei, membranes" in out


def test_fit_exports_a_version_and_reports_in_json_with_nothing_of_tensorflow_s_own(user, trained):
    out, err = trained
    report = json.loads(out)
    assert report["model"] == "models/unet3d/1"
    assert report["steps"] == 4
    assert (user.folder / report["model"] / "saved_model.pb").is_file()
    assert (user.folder / report["run"] / "settings.toml").is_file()
    assert list((user.folder / report["run"]).rglob("events.out.tfevents*"))
    page = (user.folder / report["report"]).read_text(encoding="utf-8")
    assert "Loss of the training tiles" in page
    assert "<figcaption>Disagreement</figcaption>" in page
    assert report["held_out"]["mean"]["iou"] is not None
    assert report["settings"]["network"]["filters"] == 2
    for noise in ("oneDNN", "cuda", "absl", "E0000", "I0000", "W0000", "WARNING"):
        assert noise not in err
    assert "Training 100%: step 4, loss " in err


def test_info_knows_how_it_was_trained(user, trained):
    report = json.loads(user.run("info", "models/unet3d", "--json")[0])
    assert report["channels"] == ["lectin", "nuclei", "membranes"]
    assert [each["name"] for each in report["classes"]] == ["inside", "tubule", "background"]
    assert report["training"]["steps"] == 4
    assert report["spacing"] == pytest.approx({"z": 2.04, "y": 1.76, "x": 1.76})
    out, err = user.run("info", "models/unet3d/1")
    assert err == ""
    assert "x=1.76 y=1.76 z=2.04 µm" in out


def test_a_label_map_has_the_grid_of_its_image_for_nibabel_and_simpleitk(user, trained):
    user.run("segment", IMAGE, "labels.nii.gz", "--probabilities", "probabilities.nii.gz", "--quiet")
    image, labels, probabilities = (
        nibabel.load(user.folder / name) for name in (IMAGE, "labels.nii.gz", "probabilities.nii.gz")
    )
    assert labels.shape == image.shape[:3] == (24, 20, 16)
    for found in (labels, probabilities):
        np.testing.assert_array_equal(found.affine, image.affine)
        assert found.header.get_xyzt_units()[0] == image.header.get_xyzt_units()[0] == "micron"
        assert [int(found.header[code]) for code in ("sform_code", "qform_code")] == [
            int(image.header[code]) for code in ("sform_code", "qform_code")
        ]
    values = np.asarray(labels.dataobj)
    assert values.dtype == np.uint8
    assert set(np.unique(values)) <= {0, 1, 2}
    chances = np.asarray(probabilities.dataobj).reshape(24, 20, 16, 3)
    np.testing.assert_allclose(chances.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(chances.argmax(-1), values)

    read = SimpleITK.ReadImage(user.folder / "labels.nii.gz")
    original = SimpleITK.ReadImage(user.folder / "kidneys/truth/kidney_1.nii.gz")
    assert read.GetSize() == original.GetSize()
    for found, expected in zip(
        (read.GetSpacing(), read.GetOrigin(), read.GetDirection()),
        (original.GetSpacing(), original.GetOrigin(), original.GetDirection()),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_keep_leaves_what_was_annotated_and_another_suffix_is_another_format(user, trained):
    annotation = "kidneys/labels/kidney_1.nii.gz"
    out, _ = user.run("segment", IMAGE, "kept.seg.nrrd", "--keep", annotation, "--json")
    shares = json.loads(out)["segmented"][0]["shares"]
    assert sum(shares.values()) == pytest.approx(1)
    kept = SimpleITK.ReadImage(user.folder / "kept.seg.nrrd")
    names = {kept.GetMetaData(key) for key in kept.GetMetaDataKeys() if key.endswith("_Name")}
    assert names == {"tubule", "background"}  # in this format 0, here the inside, is no segment
    scored = user.run("evaluate", "kept.seg.nrrd", annotation, "--model", "models/unet3d", "--json")[0]
    assert json.loads(scored)["mean"]["iou"] == 1


def test_many_images_into_a_folder_of_which_one_is_bad(user, trained):
    (user.folder / "broken.nii.gz").write_bytes(b"no volume")
    out, err = user.run(
        "segment", IMAGE, "broken.nii.gz", "kidneys/images/kidney_2.nii.gz", "--out-dir", "all/of/them", status=1
    )
    assert sorted(path.name for path in (user.folder / "all/of/them").iterdir()) == [
        ".segmented",
        "kidney_1.nii.gz",
        "kidney_2.nii.gz",
    ]
    assert "2 of 3 images were segmented" in out
    assert err.rstrip().endswith("Not segmented: broken.nii.gz")


def test_evaluate_scores_against_the_truth(user, trained):
    user.run("segment", IMAGE, "scored.nii.gz", "--quiet")
    out, err = user.run("evaluate", "scored.nii.gz", "kidneys/truth/kidney_1.nii.gz", "--model", "models/unet3d")
    assert err == ""
    assert "tubule" in out
    assert "7,680" in out  # all voxels: the truth is dense
    perfect = json.loads(user.run("evaluate", *["kidneys/truth/kidney_1.nii.gz"] * 2, "--json")[0])
    assert (perfect["mean"]["iou"], perfect["mean"]["hausdorff"], perfect["surfaces"]["unit"]) == (1, 0, "µm")


def test_a_report_shows_the_cases_and_how_the_model_learned(user, trained):
    plain = json.loads(user.run("report", "models/unet3d", "kidneys", "--json")[0])
    page = (user.folder / plain["report"]).read_text(encoding="utf-8")
    assert plain["scores"]["cases"][0]["case"] in {"kidney_1", "kidney_2"}
    assert "all of these cases" in page  # were learned from
    assert "Loss of the training tiles" in page
    assert 'class="view"' in page


def test_the_demo_tells_the_whole_story_and_starts_over(user):
    stale = user.folder / "demo" / "models" / "kidney-phantom" / "7"
    stale.mkdir(parents=True)
    (user.folder / "demo" / ".unet3d-demo").touch()
    out, _ = user.run("demo", "--steps", 1)
    assert out.rstrip().splitlines()[-1].startswith("mean IoU 0.")
    demo = user.folder / "demo"
    assert [path.name for path in (demo / "models" / "kidney-phantom").iterdir()] == ["1"]
    assert len(list((demo / "segmented").iterdir())) == 3
    page = (demo / "report.html").read_text(encoding="utf-8")
    for panel in ("Annotation", "Truth", "Prediction", "Disagreement", "Uncertainty"):
        assert f"<figcaption>{panel}</figcaption>" in page
    assert 'class="view"' in page


def test_a_plan_is_said_and_followed_and_results_beside_the_labels_have_their_grid(user, trained):
    (plan,) = json.loads(user.run("segment", IMAGE, "--plan", "--json", "--precision", "float32")[0])["planned"]
    assert plan["volume"] == {"x": 24, "y": 20, "z": 16}
    flags = ("--uncertainty", "unsure.nii.gz", "--largest-component", "--fill-holes", "--json")
    out, err = user.run("segment", IMAGE, "tidy.nii.gz", "--precision", "float32", *flags)
    (done,) = json.loads(out)["segmented"]
    for of_tiles in ("tiles", "counts", "tile", "slab", "overhead", "flop", "precision", "statistics"):
        assert done["plan"][of_tiles] == plan[of_tiles]
    assert "Computing in float32; statistics of normalisation: those of training." in err
    assert set(done["changes"]) <= {"inside", "tubule"}  # the classes but the background
    unsure, image = (nibabel.load(user.folder / name) for name in ("unsure.nii.gz", IMAGE))
    np.testing.assert_array_equal(unsure.affine, image.affine)
    values = np.asarray(unsure.dataobj)
    assert values.min() >= 0
    assert 0 < values.max() <= 1
