"""`unet3d suggest`: what it says, and what to do next."""

import json

import numpy as np

from keras_unet3d.evaluation.suggestion import Suggestion


def test_slices_are_named_and_the_next_command_is_said(unet3d, write, monkeypatch):
    from pathlib import Path

    from keras_unet3d import api
    from keras_unet3d.annotation import AnnotatedSlices, Meaning
    from keras_unet3d.jobs.suggesting import Suggestions

    calls = []

    def suggest(image, annotation, folder, **options):
        calls.append((image, annotation, folder, options["count"], options["meaning"].annotated_slices))
        slices = (Suggestion(0, 31, 0.12, 0.2, 15.0), Suggestion(2, 80, 0.05, 0.1, np.inf))
        return Suggestions(
            slices,
            folder / "1",
            folder / "1" / "annotation.nii.gz",
            (Path("1.png"), Path("2.png")),
            "µm",
            ("axial", "coronal", ""),
            Meaning(AnnotatedSlices(z=(3, 31)), unlabeled=9),
        )

    monkeypatch.setattr(api, "suggest", suggest)
    image = write("my scan.nii.gz", np.zeros((4, 4, 4, 1), np.float32))
    arguments = ("suggest", image, "--annotation", "l.nii.gz", "--count", 2, "--annotated-slices", "z=3")
    done = unet3d(*arguments)
    assert done.exit_code == 0, done.stderr
    assert " axial z=31 " in done.stdout
    assert " x=80 " in done.stdout
    assert "0.120" in done.stdout
    assert "none" in done.stdout  # is annotated of that orientation
    said = "--annotation suggestions/1/annotation.nii.gz --annotated-slices z=3,31 --unlabeled 9"
    assert f"unet3d fit --image '{image}' {said}\n" in done.stdout
    assert f"unet3d suggest '{image}' {said} --count 2\n" in done.stdout
    assert calls[0][0] == (image,)
    assert calls[0][3] == 2
    assert calls[0][4] == AnnotatedSlices(z=(3,))
    plain = json.loads(unet3d(*arguments, "--json").stdout)
    assert [each["slice"] for each in plain["slices"]] == ["z=31", "x=80"]
    assert [each["plane"] for each in plain["slices"]] == ["axial", None]
    assert plain["slices"][1]["distance"] is None
    assert (plain["annotated_slices"], plain["unlabeled"]) == ("z=3,31", 9)


def test_where_nothing_is_to_teach_no_slice_is_asked_for(unet3d, write, monkeypatch):
    from pathlib import Path

    from keras_unet3d import api
    from keras_unet3d.annotation import Meaning
    from keras_unet3d.jobs.suggesting import Suggestions

    nothing = Suggestions((), Path("1"), Path("1/annotation.nii.gz"), (), "", ("", "", ""), Meaning())
    monkeypatch.setattr(api, "suggest", lambda *_, **__: nothing)
    image = write("a.nii.gz", np.zeros((4, 4, 4, 1), np.float32))
    done = unet3d("suggest", image, "--annotation", "l.nii.gz")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("No slice would teach anything")
    assert "Correct" not in done.stdout


def test_what_is_missing_is_said_before_a_model_is_loaded(unet3d, write, model):
    image = write("a.nii.gz", np.zeros((4, 4, 4, 1), np.float32))
    done = unet3d("suggest", image, "--annotation", "none.nii.gz", "--model", model)
    assert done.exit_code == 2
    assert "none.nii.gz" in done.stderr
