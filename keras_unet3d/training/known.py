"""Which channels and classes of the data are those of the model that training begins with."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_unet3d.annotation.cases import AnnotatedDataset, unnamed_channels
from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.serving.description import ModelDescription, read_description
from keras_unet3d.training.plan import Decision
from keras_unet3d.training.settings import Settings
from keras_unet3d.training.working_spacing import working_grid
from keras_unet3d.volumes.spacing import Spacing, unusual_spacing
from keras_unet3d.wording import counted

Places = tuple[int | None, ...]
"""For each channel or class of the data, which of the model's it is; None for a new one."""


@dataclass(frozen=True)
class Known:
    """What a model knows of the data.

    Attributes:
        channels: of the data.
        classes: of the data.
        sentence: how much that is, and what is known under another name.
    """

    channels: Places
    classes: Places
    sentence: str

    @classmethod
    def of(cls, description: ModelDescription, channels: Sequence[str], scheme: LabelScheme) -> "Known":
        """Channels and classes are the same where their names are.

        Where nobody named them, on either side, channels are the same by their place if there are as many, and classes
        by their label value; if values differ and there are as many, by their place.
        """
        theirs = description.scheme
        places = known_channels(description, channels)
        classes = _known_classes(scheme, theirs)
        return cls(
            places,
            classes,
            f"{_counted(places)} channels and "
            f"{_counted(classes)} classes are known to it"
            f"{_renamed(places, channels, description.channels)}{_renamed(classes, scheme.names, theirs.names)}",
        )


def known_channels(description: ModelDescription, channels: Sequence[str]) -> Places:
    """The places of channels alone."""
    theirs, count = description.channels, len(channels)
    unnamed = unnamed_channels(count) in (tuple(channels), theirs)
    if count == len(theirs) and (unnamed or tuple(channels) == theirs):
        return tuple(range(count))
    return _by_name(channels, theirs)


def resolve_start(settings: Settings, dataset: AnnotatedDataset) -> tuple[list[Decision], list[Problem]]:
    """What is known to the model that training begins with, and what looks as if something else were meant."""
    if settings.start is None:
        return [], []
    description = read_description(settings.start)
    known = Known.of(description, dataset.channel_names, dataset.scheme)
    problems = []
    for what, places, theirs in (
        ("channels", known.channels, description.channels),
        ("classes", known.classes, description.scheme.names),
    ):
        if all(place is None for place in places):
            found = f"none of its {what} ({', '.join(theirs)}) is in the data."
            fix = "They are told by their names: give them the same ones in dataset.json, or begin without a model."
            problems.append(Problem(settings.start, found, fix, "warning"))
    return [Decision("start", settings.start, known.sentence)], problems + _unusual(settings, description, dataset)


def _unusual(settings: Settings, description: ModelDescription, dataset: AnnotatedDataset) -> list[Problem]:
    """Cases whose voxels are far longer or shorter than those that the model knows."""
    grids = [working_grid(case, settings.resampled_to) for case in dataset]
    found = [unusual_spacing(grid, description.spacing, description.unit) for grid in grids]
    told = [(case, sentence) for case, sentence in zip(dataset, found, strict=True) if sentence]
    if not told:
        return []
    (case, sentence), *others = told
    more = f" So are those of {counted(len(others), 'other case')}." if others else ""
    fix = f"--working-spacing '{Spacing(description.spacing or (1, 1, 1), description.unit)}' resamples them."
    return [Problem(str(case.image.source or case.name), f"{sentence}.{more}", fix, "warning")]


def _known_classes(ours: LabelScheme, theirs: LabelScheme) -> Places:
    if not (ours.is_unnamed or theirs.is_unnamed):
        return _by_name(ours.names, theirs.names)
    fewer, more = sorted((set(ours.values), set(theirs.values)), key=len)
    if ours.classes == theirs.classes and not fewer <= more:
        return tuple(range(ours.classes))
    return tuple(theirs.values.index(value) if value in theirs.values else None for value in ours.values)


def _by_name(names: Sequence[str], known: Sequence[str]) -> Places:
    return tuple(known.index(name) if name in known else None for name in names)


def _counted(places: Places) -> str:
    return f"{sum(place is not None for place in places)} of {len(places)}"


def _renamed(places: Places, ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Such as ``, channel 0 as MRI``."""
    pairs = [(name, theirs[place]) for name, place in zip(ours, places, strict=True) if place is not None]
    return "".join(f", {name} as its {known}" for name, known in pairs if name != known)
