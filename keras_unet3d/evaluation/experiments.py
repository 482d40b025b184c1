"""What came of an experiment: its trainings, and the table that stands beside the paper's."""

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.evaluation.protocols import NETWORKS, PAPER, Protocol
from keras_unet3d.metrics import Overlap, Scores
from keras_unet3d.metrics.overlap import mean_of_present

MOST_COLUMNS = 6
"""With more cases than these, a table has their mean only."""


@dataclass(frozen=True, eq=False)
class TrialScore:
    """What one training reached on what it did not learn from.

    Attributes:
        part: what was learned and scored, a row of the table.
        network: the name of the network.
        overlaps: by case, at the voxels that are scored.
        labelled: share of all voxels that was learned from, 0–1.
        steps: that were trained.
        minutes: that they took.
    """

    part: str
    network: str
    overlaps: dict[str, Overlap]
    labelled: float
    steps: int
    minutes: float

    @property
    def together(self) -> Overlap:
        """Of all cases."""
        return reduce(add, self.overlaps.values())

    def as_json(self, scheme: LabelScheme) -> dict[str, Any]:
        """Plain values."""
        return {
            "part": self.part,
            "network": self.network,
            "labelled": self.labelled,
            "steps": self.steps,
            "minutes": round(self.minutes, 3),
            "scores": Scores.of(self.together, scheme).as_json(),
            "cases": {name: Scores.of(overlap, scheme).as_json() for name, overlap in self.overlaps.items()},
        }


@dataclass(frozen=True, eq=False)
class ExperimentScores:
    """The scores of an experiment's trainings.

    Attributes:
        protocol: of the experiment.
        scheme: the classes.
        trials: in the order of the parts, networks within.
    """

    protocol: Protocol
    scheme: LabelScheme
    trials: tuple[TrialScore, ...]

    @property
    def networks(self) -> list[str]:
        """That were compared, in the paper's order."""
        found = {trial.network for trial in self.trials}
        return [network.name for network in NETWORKS if network.name in found]

    @property
    def parts(self) -> list[str]:
        """The rows."""
        return list(dict.fromkeys(trial.part for trial in self.trials))

    @property
    def averages(self) -> dict[str, float]:
        """Mean IoU by network, over the trainings; not a number where it has none."""
        return {
            name: mean_of_present([trial.together.mean_iou for trial in self.trials if trial.network == name])
            for name in self.networks
        }

    def table(self) -> list[list[str]]:
        """Rows of text, the header first, beside the paper's results: mean IoU over the classes."""
        return self._growing() if self.protocol == "sparsity" else self._networks()

    def as_markdown(self) -> str:
        """The same as a table in Markdown."""
        header, *rows = self.table()
        return "".join(f"| {' | '.join(row)} |\n" for row in (header, ["---"] * len(header), *rows))

    def as_json(self) -> dict[str, Any]:
        """Plain values, with the paper's."""
        return {
            "protocol": self.protocol,
            "score": "intersection over union of each class at voxels that were not learned from",
            "average_mean_iou": {name: _number(value) for name, value in self.averages.items()},
            "trials": [trial.as_json(self.scheme) for trial in self.trials],
            "paper": {name: list(values) for name, values in PAPER[self.protocol].items()},
        }

    def _networks(self) -> list[list[str]]:
        names = self.networks
        of = {(trial.part, trial.network): trial.together.mean_iou for trial in self.trials}
        rows = [[part, *(_shown(of.get((part, name), math.nan)) for name in names)] for part in self.parts]
        rows.append(["average", *map(_shown, self.averages.values())])
        rows.append(["the paper's average", *(_shown(*PAPER[self.protocol].get(name, [math.nan])) for name in names)])
        return [["mean IoU", *names], *rows]

    def _growing(self) -> list[list[str]]:
        cases = list(dict.fromkeys(case for trial in self.trials for case in trial.overlaps))
        shown = cases if len(cases) <= MOST_COLUMNS else []
        header = ["slices", "labelled", "network", *shown, "mean", "the paper's, samples 1, 2, 3"]
        rows = []
        for trial in self.trials:
            ious = {name: overlap.mean_iou for name, overlap in trial.overlaps.items()}
            paper = PAPER[self.protocol].get(trial.part, ()) if trial.network == "3D with BN" else ()
            rows.append(
                [
                    trial.part,
                    f"{trial.labelled:.1%}",
                    trial.network,
                    *(_shown(ious.get(name, math.nan)) for name in shown),
                    _shown(mean_of_present(list(ious.values()))),
                    ", ".join(map(_shown, paper)) or "–",
                ]
            )
        return [header, *rows]


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
