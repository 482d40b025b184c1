"""Which channels and classes a model knows already."""

from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.annotation.cases import AnnotatedCase, AnnotatedDataset
from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.serving.description import read_description
from keras_unet3d.training.known import Known, known_channels, resolve_start
from keras_unet3d.training.settings import read_settings
from keras_unet3d.volumes.volume import Grid, Volume

MODELS = Path(__file__).parents[2] / "models"
KIDNEY, HIPPOCAMPUS = (read_description(MODELS / name) for name in ("kidney-phantom", "hippocampus"))


def unnamed(*values):
    return LabelScheme.from_values(values)


def test_channels_and_classes_are_known_by_their_names():
    scheme = LabelScheme((0, 1, 2), ("tubule", "new", "inside"))
    known = Known.of(KIDNEY, ["new", "lectin"], scheme)
    assert (known.channels, known.classes) == ((None, 0), (1, None, 0))
    assert known.sentence == "1 of 2 channels and 2 of 3 classes are known to it"


def test_where_nobody_named_them_channels_go_by_place_and_classes_by_value():
    """As with --image and --annotation, which name nothing."""
    known = Known.of(HIPPOCAMPUS, ["channel 0"], unnamed(0, 1, 2))
    assert (known.channels, known.classes) == ((0,), (0, 1, 2))
    assert known.sentence == (
        "1 of 1 channels and 3 of 3 classes are known to it, channel 0 as its MRI, label 1 as its anterior, "
        "label 2 as its posterior"
    )
    assert Known.of(HIPPOCAMPUS, ["channel 0"], unnamed(0, 2)).classes == (0, 2)
    assert Known.of(HIPPOCAMPUS, ["channel 0"], unnamed(0, 1, 2, 3)).classes == (0, 1, 2, None)
    assert Known.of(HIPPOCAMPUS, ["channel 0"], unnamed(1, 2, 3)).classes == (0, 1, 2)


def test_other_numbers_of_channels_are_not_the_same_by_place():
    assert known_channels(KIDNEY, ["channel 0"]) == (None,)
    assert known_channels(KIDNEY, ["channel 0", "channel 1", "channel 2"]) == (0, 1, 2)
    twice = KIDNEY.model_copy(update={"channels": ("MRI", "MRI")})  # from two DICOM series
    assert known_channels(twice, ["MRI", "MRI"]) == (0, 1)


def test_what_a_model_learned_without_names_it_knows_by_place_and_value():
    nameless = KIDNEY.model_copy(
        update={
            "channels": ("channel 0", "channel 1", "channel 2"),
            "classes": tuple(
                each.model_copy(update={"name": name})
                for each, name in zip(KIDNEY.classes, unnamed(0, 1, 2).names, strict=True)
            ),
        }
    )
    known = Known.of(nameless, KIDNEY.channels, LabelScheme((0, 1, 2), ("inside", "tubule", "background")))
    assert (known.channels, known.classes) == ((0, 1, 2), (0, 1, 2))


@pytest.mark.parametrize(
    ("names", "scheme", "warned"),
    [
        ("channel 0", unnamed(0, 1, 2), []),
        ("T1", unnamed(0, 1, 2), ["none of its channels (MRI)"]),
        ("MRI", LabelScheme((0, 1), ("air", "bone")), ["none of its classes (background, anterior, posterior)"]),
    ],
)
def test_what_is_known_is_a_decision_and_nothing_a_warning(names, scheme, warned):
    image = Volume(np.zeros((4, 4, 4, 1), np.float32), Grid((4, 4, 4), (1, 1, 1), unit="mm"))
    dataset = AnnotatedDataset((AnnotatedCase("a", image, np.zeros((4, 4, 4), np.int16)),), scheme, (names,))
    settings = read_settings(None, {"start": str(MODELS / "hippocampus")})
    (decision,), problems = resolve_start(settings, dataset)
    assert (decision.setting, decision.value) == ("start", settings.start)
    assert "are known to it" in decision.reason
    assert [problem.found[: len(text)] for problem, text in zip(problems, warned, strict=True)] == warned
    assert all(problem.severity == "warning" for problem in problems)
    assert resolve_start(read_settings(None), dataset) == ([], [])


def test_voxels_far_from_those_that_the_model_knows_are_warned_of():
    """The hippocampus has voxels of 1 mm; resampled to that, nothing is unusual."""
    cases = [
        AnnotatedCase(name, Volume(np.zeros((4, 4, 4, 1)), Grid((4, 4, 4), (z, 1, 1), unit="mm")), np.zeros((4, 4, 4)))
        for name, z in (("a", 1), ("b", 3), ("c", 3))
    ]
    dataset = AnnotatedDataset(tuple(cases), unnamed(0, 1, 2), ("channel 0",))
    settings = {"start": str(MODELS / "hippocampus")}
    _, (problem,) = resolve_start(read_settings(None, settings), dataset)
    assert (problem.file, problem.severity) == ("b", "warning")
    assert "3.0 times along z" in problem.found
    assert "1 other case." in problem.found
    assert problem.fix == "--working-spacing 'x=1 y=1 z=1 mm' resamples them."
    assert resolve_start(read_settings(None, settings | {"working_spacing": "x=1 y=1 z=1 mm"}), dataset)[1] == []
