"""`unet3d experiment`: what a call says and refuses."""

import json

import pytest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["semi", "--minutes", 1, "--steps", 2], "only one of --minutes and --steps"),
        (["full", "--folds", 2], "--folds is for the experiment 'semi', not for 'full'"),
        (["semi", "--slices", "x=1 y=1 z=1"], "--slices is for the experiment 'sparsity', not for 'semi'"),
        (["semi"], "either the folder of a dataset, or --image"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(unet3d, arguments, sentence):
    done = unet3d("experiment", *arguments)
    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.split())


def test_a_dry_run_names_every_training(unet3d, dataset, tmp_path):
    done = unet3d("experiment", "full", dataset, "--dry-run", "--json", "--network", "2D with BN")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"trials": ["2D with BN, without a", "2D with BN, without b"]}
    assert "2 trainings of 30 minutes each" in done.stderr
    assert not (tmp_path / "runs").exists()
