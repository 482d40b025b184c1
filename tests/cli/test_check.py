import json

import numpy as np


def test_a_good_dataset_is_summed_up(unet3d, dataset):
    done = unet3d("check", dataset)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "x=8 y=7 z=6" in done.stdout
    assert "672" in done.stdout
    plain = json.loads(unet3d("check", dataset, "--json").stdout)
    assert plain["ok"]
    assert plain["problems"] == []
    assert sum(plain["data"]["voxels"].values()) == 672


def test_all_problems_come_at_once_and_end_with_2(unet3d, dataset, write):
    write("data/labels/a.nii.gz", np.zeros((6, 7, 9), np.uint8))
    (dataset / "labels" / "b.nii.gz").unlink()
    done = unet3d("check", dataset)
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert lines[-1] == "To mend: 2."
    assert all(line.startswith("Error: ") for line in lines[:-1])
    assert any("x=9 y=7 z=6" in line and "x=8" in line for line in lines)
    plain = json.loads(unet3d("check", dataset, "--json").stdout)
    assert not plain["ok"]
    assert plain["data"] is None
    assert {"file", "found", "fix", "severity"} == set(plain["problems"][0])
    assert [each["severity"] for each in plain["problems"]] == ["error", "error"]


def test_slices_painted_as_in_itk_snap_need_a_meaning(unet3d, write):
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[4, 3:9, 3:9] = 1
    image = write("i.nii.gz", np.random.default_rng(0).normal(size=(12, 14, 16, 1)).astype(np.float32))
    arguments = ["check", "--image", image, "--annotation", write("l.nii.gz", labels)]
    refused = unet3d(*arguments)
    assert refused.exit_code == 2
    assert "--annotated-slices" in refused.stderr
    assert "--dense" in refused.stderr
    accepted = unet3d(*arguments, "--annotated-slices", "z=4", "--json")
    assert accepted.exit_code == 0
    assert json.loads(accepted.stdout)["data"]["voxels"] == {"background": 14 * 16 - 36, "label 1": 36}
    dense = json.loads(unet3d(*arguments, "--dense", "--json").stdout)
    assert dense["data"]["voxels"] == {"background": 12 * 14 * 16 - 36, "label 1": 36}


def test_what_is_no_dataset_is_one_problem(unet3d):
    done = unet3d("check", "nothing")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: nothing: ")
    assert done.stderr.count("nothing: ") == 1
