"""What must hold for the cases of a dataset together."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from keras_unet3d.annotation.case_facts import CaseFacts
from keras_unet3d.annotation.dataset import Dataset
from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.annotation.open_meaning import open_meaning
from keras_unet3d.annotation.problems import Problem
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.volume import Segment

_MOST_UNNAMED = 64  # label values that nobody named; more are the numbers of objects, not classes
_FAR_SPACING = 2.0


def decide_scheme(
    dataset: Dataset, meaning: Meaning, facts: Sequence[CaseFacts]
) -> tuple[LabelScheme | None, list[Problem]]:
    """Decide the classes, by the names of the dataset or else by the values that occur.

    Returns:
        The scheme, None where it cannot be decided, and what is wrong with names and values.
    """
    segments, problems = _segments(dataset, meaning, facts)
    if dataset.scheme is not None:
        return meaning.declared(dataset.scheme).with_colours(segments), problems
    values = {value for one in facts for value in one.voxels_of}
    if len(values) > _MOST_UNNAMED:
        return None, [*problems, _too_many(dataset, facts)]
    return meaning.declared(LabelScheme.from_values(values, segments, meaning.unlabeled)), problems


def check_labels(dataset: Dataset, scheme: LabelScheme, facts: Sequence[CaseFacts]) -> Iterable[Problem]:
    """Every case is labelled, with known values only."""
    for one in facts:
        unknown = set(one.voxels_of) - set(scheme.values) - {scheme.unlabeled}
        file = dataset.shown_labels(one.case)
        if unknown:
            fix = "Name them in dataset.json, or correct the labels."
            yield Problem(file, scheme.unknown_values(unknown), fix)
        elif not any(one.voxels_of.get(value) for value in scheme.values):
            yield Problem(file, "no voxel is labelled.", "Annotate a slice, or take the case out.")


def _too_many(dataset: Dataset, facts: Sequence[CaseFacts]) -> Problem:
    worst = max(facts, key=lambda one: len(one.voxels_of))
    return Problem(
        dataset.shown_labels(worst.case),
        f"holds {len(worst.voxels_of)} label values without names; they look like the numbers of single objects.",
        "Give all objects of a kind one value, or name the classes in dataset.json.",
    )


def _segments(
    dataset: Dataset, meaning: Meaning, facts: Sequence[CaseFacts]
) -> tuple[dict[int, Segment], list[Problem]]:
    """Names and colours from the label files, and where a name stands for different values in two of them."""
    scheme = dataset.scheme and meaning.declared(dataset.scheme)
    value_of = {name.lower(): value for value, name in zip(scheme.values, scheme.names, strict=True)} if scheme else {}
    together: dict[int, Segment] = {}
    problems = []
    for one in facts:
        for value, segment in one.segments.items():
            if not one.voxels_of.get(value):
                continue
            elsewhere = value_of.setdefault(segment.name.lower(), value)
            if elsewhere != value:
                problems.append(renamed_segment(dataset.shown_labels(one.case), segment.name, value, elsewhere))
            together.setdefault(value, segment)
    return together, problems


def renamed_segment(file: str, name: str, value: int, elsewhere: int) -> Problem:
    """A name stands for another value than in another file, or in the model."""
    return Problem(
        file,
        f"the segment {name!r} has the value {value}; elsewhere that name means {elsewhere}.",
        "Give each segment the same label value in all files.",
    )


def check_learnable(dataset: Dataset, scheme: LabelScheme, facts: Sequence[CaseFacts]) -> Iterable[Problem]:
    """What the dataset lacks as a whole to be learned from: a second class, labels of a class, a second case."""
    labelled = [
        name
        for value, name in zip(scheme.values, scheme.names, strict=True)
        if any(one.voxels_of.get(value) for one in facts)
    ]
    folder = dataset.shown_folder
    if len(labelled) == 1:
        yield Problem(
            folder,
            f"only one class, {labelled[0]!r}, is labelled; there is nothing to tell it from.",
            "Annotate a second class (the background is one), or say with --annotated-slices where 0 is background.",
        )
    elif labelled:
        for name in scheme.names:
            if name not in labelled:
                found = f"the class {name!r} is labelled in no case."
                yield Problem(folder, found, "It cannot be learned; annotate it somewhere.", "warning")
    if len(facts) == 1 and len(dataset.cases) == 1:
        found = "there is only one case; it can be completed, and how well others go cannot be validated."
        yield Problem(folder, found, "Add a second volume to learn for others.", "warning")


def check_meaning(dataset: Dataset, facts: Sequence[CaseFacts]) -> Iterable[Problem]:
    """Cases of which only a few slices are painted: nobody can know what 0 means in the others."""
    for one in facts:
        if one.open_slices is None:
            continue
        yield open_meaning(
            dataset.shown_labels(one.case),
            one.open_slices,
            one.case.name if len(dataset.cases) > 1 else "",
            values=one.voxels_of,
            unlabeled=None if dataset.scheme is None else dataset.scheme.unlabeled,
        )


def check_channels(dataset: Dataset, facts: Sequence[CaseFacts]) -> Iterable[Problem]:
    """All images have the channels that ``dataset.json`` names, or else as many as most have."""
    expected = len(dataset.channel_names) or Counter(one.channels for one in facts).most_common(1)[0][0]
    source = f"dataset.json names {expected}" if dataset.channel_names else f"most cases have {expected}"
    for one in facts:
        if one.channels != expected:
            plural = "channel" if one.channels == 1 else "channels"
            yield Problem(
                dataset.shown(one.case.images[0]),
                f"has {one.channels} {plural}, {source}.",
                "Give all images the same channels in the same order.",
            )


def check_spacing(dataset: Dataset, facts: Sequence[CaseFacts]) -> Iterable[Problem]:
    """Warn of a case whose spacing is far from that of the others in the same unit."""
    for unit in sorted({one.grid.unit for one in facts}):
        same = [one for one in facts if one.grid.unit == unit]
        typical = np.median([one.grid.spacing for one in same], axis=0)
        for one in same:
            times = one.grid.spacing / typical
            if max(times.max(), (1 / times).max()) > _FAR_SPACING:
                yield Problem(
                    dataset.shown(one.case.images[0]),
                    f"has a spacing of {named(one.grid.spacing, unit)}, more than {_FAR_SPACING:g} times away from the "
                    f"usual {named(typical.tolist(), unit)}.",
                    "Check the header; where it is right, `unet3d fit` resamples all cases to one spacing.",
                    "warning",
                )
