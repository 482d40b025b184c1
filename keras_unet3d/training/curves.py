"""The curves of a training as a plain file in the run's folder: one JSON object a line, continued where a run is."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from keras_unet3d.errors import InputError
from keras_unet3d.metrics.overlap import Overlap
from keras_unet3d.volumes.whole_file import written_whole

CURVES_FILE = "curves.jsonl"
MOST_POINTS = 200
"""That `Curves.thinned` leaves: as many as a chart can show."""

_Point = TypeVar("_Point")


@dataclass(frozen=True)
class Learned:
    """How training did around a step.

    Attributes:
        step: the last of the steps that this is the mean of, 50 at most.
        loss: of their tiles.
        mean_iou: of their tiles; not a number where they had no label of any class.
    """

    step: int
    loss: float
    mean_iou: float


@dataclass(frozen=True)
class Validated:
    """One validation.

    Attributes:
        step: after which it was made.
        mean_iou: on what is held out.
        iou: of each class, by name; not a number for a class that does not occur.
    """

    step: int
    mean_iou: float
    iou: dict[str, float]


@dataclass(frozen=True)
class Curves:
    """How a training went.

    Attributes:
        learned: by step.
        validated: by step; empty where nothing was held out.
    """

    learned: tuple[Learned, ...] = ()
    validated: tuple[Validated, ...] = ()

    def thinned(self, most: int = MOST_POINTS) -> "Curves":
        """The same with at most so many points of each, evenly chosen, the last of them included.

        A point is the mean of those it stands for, which lie before it; a validation stays as it was.
        """
        return Curves(_averaged(self.learned, most), _chosen(self.validated, most))

    def as_json(self) -> dict[str, Any]:
        """Columns of plain values, rounded; null where a value is not a number."""
        names = list(self.validated[0].iou) if self.validated else []
        return {
            "learned": {
                "step": [point.step for point in self.learned],
                "loss": [_rounded(point.loss) for point in self.learned],
                "mean_iou": [_rounded(point.mean_iou) for point in self.learned],
            },
            "validated": {
                "step": [point.step for point in self.validated],
                "mean_iou": [_rounded(point.mean_iou) for point in self.validated],
                "iou": {name: [_rounded(point.iou.get(name, math.nan)) for point in self.validated] for name in names},
            },
        }

    @classmethod
    def from_json(cls, plain: Any) -> "Curves":
        """What `as_json` gave; no curves for anything else, such as what a model of an older version says."""
        try:
            learned, validated = plain["learned"], plain["validated"]
            columns = [list(map(_number, learned[name])) for name in ("loss", "mean_iou")]
            scores, of_class = list(map(_number, validated["mean_iou"])), validated["iou"]
            points = tuple(Learned(int(step), *values) for step, *values in zip(learned["step"], *columns, strict=True))
            validations = tuple(
                Validated(int(step), score, {name: _number(of_class[name][place]) for name in of_class})
                for place, (step, score) in enumerate(zip(validated["step"], scores, strict=True))
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            return cls()
        return cls(points, validations)


class CurvesFile:
    """Writes the curves of a run, a line at a time, so that a killed run leaves what it had.

    Args:
        folder: of the run.
        names: of the classes.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._path, self._names = folder / CURVES_FILE, names
        self._last = 0

    def continue_at(self, step: int) -> None:
        """Remove what a call that was killed has written of later steps, which are taken again."""
        kept = [line for line, plain in _lines(self._path) if plain["step"] <= step]
        with written_whole(self._path) as file:
            file.write_text("".join(kept), encoding="utf-8")
        self._last = step

    def learned(self, step: int, loss: float, mean_iou: float) -> None:
        """Add a point of training, unless it is there already."""
        if step > self._last:
            self._add({"step": step, "loss": _rounded(loss), "mean_iou": _rounded(mean_iou)})
            self._last = step

    def validated(self, step: int, overlap: Overlap) -> None:
        """Add a validation."""
        iou = {name: _rounded(float(score)) for name, score in zip(self._names, overlap.iou, strict=True)}
        self._add({"step": step, "validation": {"mean_iou": _rounded(overlap.mean_iou), "iou": iou}})

    def _add(self, plain: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain) + "\n")


def read_curves(folder: Path) -> Curves:
    """Read the curves of a run from its folder; none where it has no such file.

    Raises:
        InputError: if the file cannot be read.
    """
    learned, validated = [], []
    try:
        for _, plain in _lines(folder / CURVES_FILE):
            if "validation" in plain:
                iou = {name: _number(score) for name, score in plain["validation"]["iou"].items()}
                validated.append(Validated(plain["step"], _number(plain["validation"]["mean_iou"]), iou))
            else:
                learned.append(Learned(plain["step"], _number(plain["loss"]), _number(plain["mean_iou"])))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / CURVES_FILE}: is damaged. Remove it, and the curves are left out.") from error
    return Curves(tuple(learned), tuple(validated))


def _lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The whole lines of a file and what they say; a last one that a kill cut short is no line."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            plain = json.loads(line)
        except ValueError:
            break
        if not isinstance(plain, dict) or not isinstance(plain.get("step"), int) or not line.endswith("\n"):
            break
        found.append((line, plain))
    return found


def _averaged(points: Sequence[Learned], most: int) -> tuple[Learned, ...]:
    if len(points) <= most:
        return tuple(points)
    ends = [len(points) * (number + 1) // most for number in range(most)]
    return tuple(
        Learned(part[-1].step, _mean([point.loss for point in part]), _mean([point.mean_iou for point in part]))
        for part in (points[start:end] for start, end in zip([0, *ends], ends, strict=False))
    )


def _chosen(points: Sequence[_Point], most: int) -> tuple[_Point, ...]:
    if len(points) <= most:
        return tuple(points)
    return tuple(points[len(points) * (number + 1) // most - 1] for number in range(most))


def _mean(values: Sequence[float]) -> float:
    present = [value for value in values if not math.isnan(value)]
    return sum(present) / len(present) if present else math.nan


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.4g}")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
