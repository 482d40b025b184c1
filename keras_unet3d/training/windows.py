"""Which channels hold absolute numbers, as those of CT do, and the fixed windows that they get."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.cases import AnnotatedCase, AnnotatedDataset, unnamed_channels
from keras_unet3d.annotation.labels import UNLABELED, LabelScheme
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.errors import InputError
from keras_unet3d.inference.postprocessing import background_of
from keras_unet3d.serving.description import read_description
from keras_unet3d.training.known import known_channels
from keras_unet3d.training.plan import Decision
from keras_unet3d.training.settings import AnySettings, Settings
from keras_unet3d.volumes.intensity import Window

ABSOLUTE = "ct"
"""The name, in any case, of a channel in Hounsfield units."""

PERCENTILES = (0.5, 99.5)
"""Of the values of labelled structures: the bounds of a window (Isensee et al. 2021, nnU-Net, Nature Methods 18)."""

_AIR = (-4096.0, -900.0)
"""Hounsfield units, from what scanners pad with to the densest air."""

REMEMBERED_VALUES = 100_000
"""Of each case and channel, at most; evenly spread."""


def resolve_windows(settings: AnySettings, dataset: AnnotatedDataset) -> tuple[AnySettings, list[Decision]]:
    """Give each channel of CT a window, unless the settings say something else of it.

    Args:
        settings: as the user gave them, or resolved but for this.
        dataset: with raw images.

    Returns:
        Settings in which every window is whole, and what was decided.

    Raises:
        InputError: if a channel that is named does not exist, or no labelled value lies inside the window that is set.
    """
    names = list(dict.fromkeys(dataset.channel_names))
    given = settings.intensity.windows
    if unknown := [name for name in given if name not in names]:
        raise InputError(f"intensity.windows.{unknown[0]}: no channel is called so; there are {', '.join(names)}.")
    known = _windows_of_start(settings, names)
    windows, decisions = dict(given), []

    def decide(name: str, window: Window | Literal["volume"], reason: str) -> None:
        shown = f"{window.low:g} to {window.high:g}" if isinstance(window, Window) else window
        windows[name] = window
        decisions.append(Decision("intensity.windows", f"{name} {shown}", reason))

    for name in names:
        asked = given.get(name)
        absolute = name.strip().lower() == ABSOLUTE
        if isinstance(asked, tuple):
            decide(name, *_window_as_set(name, asked, dataset))
        elif asked is None and name in known and (absolute or known[name] != "volume"):
            decide(name, known[name], "as the model has it that training begins with")
        elif asked is None and absolute:
            decide(name, *_window_of_data(name, dataset))
    intensity = settings.intensity.model_copy(update={"windows": windows})
    return settings.model_copy(update={"intensity": intensity}), decisions


def hounsfield_hints(settings: Settings, dataset: AnnotatedDataset) -> list[Problem]:
    """A warning for each channel that nobody named, that has no window, and whose values look like Hounsfield units.

    Args:
        settings: with resolved windows.
        dataset: with raw images.
    """
    names = dataset.channel_names
    if names != unnamed_channels(len(names)):
        return []
    fix = (
        'If they are, call it CT in dataset.json ("channel_names": {{"{number}": "CT"}}), or set a window: '
        "--set 'intensity.windows.{name}=-160 240'."
    )
    return [
        Problem(
            str(dataset.cases[0].image.source or dataset.cases[0].name),
            f"{name} has whole numbers down to {lowest:g}, as of CT in Hounsfield units, and nothing says that they "
            "are: it is normalised in each volume.",
            fix.format(number=number, name=name),
            "warning",
        )
        for number, name in enumerate(names)
        if name not in settings.intensity.windows and (lowest := _lowest_hounsfield(dataset, number)) is not None
    ]


def _lowest_hounsfield(dataset: AnnotatedDataset, channel: int) -> float | None:
    """The lowest value, where each case holds whole numbers that go down to about that of air."""
    lowest = 0.0
    for case in dataset.cases:
        if case.image.voxels.dtype.kind == "u":  # of a large image, of which nothing is read for this
            return None
        image = case.image.voxels[:, :, :][..., channel]
        low, middle = float(image.min()), image[len(image) // 2]
        if not (_AIR[0] <= low <= _AIR[1] and (middle == np.round(middle)).all()):
            return None
        lowest = min(lowest, low)
    return lowest


def _windows_of_start(settings: Settings, names: Sequence[str]) -> Mapping[str, Window | Literal["volume"]]:
    """What the model that training begins with has for each of its channels: its weights know no other."""
    if settings.start is None:
        return {}
    description = read_description(settings.start)
    places = zip(names, known_channels(description, names), strict=True)
    theirs = {name: description.channels[place] for name, place in places if place is not None}
    return {name: description.intensity.windows.get(known, "volume") for name, known in theirs.items()}


def _window_as_set(name: str, bounds: tuple[float, float], dataset: AnnotatedDataset) -> tuple[Window, str]:
    values, whose = _labelled_values(name, dataset)
    low, high = bounds
    drawn_in = values.clip(low, high)
    if not drawn_in.std() > 0:
        raise InputError(
            f"intensity.windows.{name}: all {whose} lie on one side of {low:g} to {high:g}; they go from "
            f"{values.min():g} to {values.max():g}. Set another window."
        )
    return _window(low, high, drawn_in), f"as set; minus mean and by standard deviation of {whose}, drawn in to it"


def _window_of_data(name: str, dataset: AnnotatedDataset) -> tuple[Window | Literal["volume"], str]:
    values, whose = _labelled_values(name, dataset)
    low, high = (float(bound) for bound in np.percentile(values, PERCENTILES))
    drawn_in = values.clip(low, high)
    if not drawn_in.std() > 0:
        return "volume", f"{whose} are all {low:g}, which is no window"
    return _window(low, high, drawn_in), (
        f"CT is in Hounsfield units, which mean the same in every volume: {PERCENTILES[0]:g} % of {whose} lie below, "
        f"{100 - PERCENTILES[1]:g} % above. Minus their mean {drawn_in.mean():.1f}, by their standard deviation "
        f"{drawn_in.std():.1f}"
    )


def _window(low: float, high: float, drawn_in: NDArray[np.float64]) -> Window:
    return Window(low, high, float(drawn_in.mean()), float(drawn_in.std()))


def _labelled_values(name: str, dataset: AnnotatedDataset) -> tuple[NDArray[np.float64], str]:
    """Raw values at labelled voxels of all channels of that name, and what they are, for people.

    They are those of all classes but the background, where there is one and others are labelled, too.
    """
    channels = [number for number, each in enumerate(dataset.channel_names) if each == name]
    background = _background(dataset.scheme)
    values = np.concatenate([_values(case, channels, background) for case in dataset.cases])
    whose = "the labelled values of all classes"
    if background is not None and len(values):
        return values, f"{whose} but {dataset.scheme.names[background]}"
    return np.concatenate([_values(case, channels, None) for case in dataset.cases]), whose


def _background(scheme: LabelScheme) -> int | None:
    try:
        return background_of(scheme)
    except InputError:
        return None


def _values(case: AnnotatedCase, channels: Sequence[int], background: int | None) -> NDArray[np.float64]:
    """Plane by plane: a large volume is not held twice."""
    parts, seen = [np.empty(0)], 0
    count = sum(int(np.count_nonzero(_wanted(plane, background))) for plane in case.class_index)
    stride = max(-(-count // REMEMBERED_VALUES), 1)
    for image, labels in zip(case.image.voxels[:, :, :], case.class_index, strict=True):
        here = image[_wanted(labels, background)]
        parts.append(here[-seen % stride :: stride, channels].ravel().astype(np.float64))
        seen += len(here)
    return np.concatenate(parts)


def _wanted(class_index: NDArray[np.int16], background: int | None) -> NDArray[np.bool_]:
    labelled: NDArray[np.bool_] = class_index != UNLABELED
    return labelled if background is None else labelled & (class_index != background)
