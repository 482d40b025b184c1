"""What came of an experiment: its trainings, and the table that stands beside the paper's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.evaluation.protocols import NETWORKS, PAPER, Protocol
from keras_unet3d.evaluation.tables import score_text
from keras_unet3d.metrics import CaseScores, Overlap, Scores, ScoreTable
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
    def mean_iou(self) -> float:
        """Mean over the cases of their mean over the classes."""
        return mean_of_present([overlap.mean_iou for overlap in self.overlaps.values()])

    def iou(self, number: int) -> float:
        """Of a class, by its index: mean over the cases."""
        return mean_of_present([float(overlap.iou[number]) for overlap in self.overlaps.values()])

    def as_json(self, scheme: LabelScheme) -> dict[str, Any]:
        """Plain values."""
        return {
            "part": self.part,
            "network": self.network,
            "labelled": self.labelled,
            "steps": self.steps,
            "minutes": round(self.minutes, 3),
            "mean_iou": _number(self.mean_iou),
            "iou": {name: _number(self.iou(number)) for number, name in enumerate(scheme.names)},
            "cases": {name: Scores.of(overlap, scheme).as_json() for name, overlap in self.overlaps.items()},
        }


@dataclass(frozen=True, eq=False)
class ExperimentScores:
    """The scores of an experiment's trainings.

    Attributes:
        protocol: of the experiment.
        scheme: the classes.
        trials: in the order of the parts, networks within.
        notes: what is not as its row says.
    """

    protocol: Protocol
    scheme: LabelScheme
    trials: tuple[TrialScore, ...]
    notes: tuple[str, ...] = ()

    @property
    def networks(self) -> list[str]:
        """That were compared, in the paper's order."""
        found = {trial.network for trial in self.trials}
        return [network.name for network in NETWORKS if network.name in found]

    @property
    def parts(self) -> list[str]:
        """The rows."""
        return list(dict.fromkeys(trial.part for trial in self.trials))

    def mean_iou(self, part: str | None, network: str) -> float:
        """Mean over the trainings of a network in a row of the table, or in all rows."""
        of_network = [trial for trial in self.trials if trial.network == network and part in (None, trial.part)]
        return mean_of_present([trial.mean_iou for trial in of_network])

    def of_cases(self, network: str) -> ScoreTable:
        """The scores of each case, at all voxels at which a network was scored, whichever training it was."""
        together: dict[str, Overlap] = {}
        for trial in self.trials:
            for name, overlap in trial.overlaps.items() if trial.network == network else ():
                together[name] = together[name] + overlap if name in together else overlap
        why = "Distances between borders are not measured in experiments."
        return ScoreTable(
            [
                CaseScores(name, overlap, Scores.of(overlap, self.scheme, not_measured=why))
                for name, overlap in together.items()
            ],
            self.scheme,
        )

    def labelled(self, part: str) -> float:
        """Share of the voxels that the trainings of a row learned from, 0–1."""
        return mean_of_present([trial.labelled for trial in self.trials if trial.part == part])

    def table(self) -> list[list[str]]:
        """Rows of text, the header first, beside the paper's results: IoU, mean over classes, then over cases."""
        return self._growing() if self.protocol == "sparsity" else self._networks()

    def as_markdown(self) -> str:
        """The same as a table in Markdown."""
        header, *rows = self.table()
        lines = (header, ["---"] * len(header), *rows)
        return "".join(f"| {' | '.join(map(_in_cell, line))} |\n" for line in lines)

    def as_json(self) -> dict[str, Any]:
        """Plain values, with the paper's."""
        return {
            "protocol": self.protocol,
            "score": "intersection over union of each class at voxels that were not learned from; mean over cases",
            "trials": [trial.as_json(self.scheme) for trial in self.trials],
            "notes": list(self.notes),
            "paper": {name: list(values) for name, values in PAPER[self.protocol].items()},
        }

    def _networks(self) -> list[list[str]]:
        names, paper = self.networks, PAPER[self.protocol]
        rows = [[part, *(score_text(self.mean_iou(part, name)) for name in names)] for part in self.parts]
        rows.append(["average", *(score_text(self.mean_iou(None, name)) for name in names)])
        rows.append(["the paper's average", *(score_text(mean_of_present(paper[name])) for name in names)])
        rows.append(["the paper's three", *(_listed(paper[name]) for name in names)])
        return [["mean IoU", *names], *rows]

    def _growing(self) -> list[list[str]]:
        cases = list(dict.fromkeys(case for trial in self.trials for case in trial.overlaps))
        shown = cases if len(cases) <= MOST_COLUMNS else []
        header = ["slices", "labelled", "network", *shown, "mean", "the paper's, samples 1, 2, 3"]
        rows = []
        for part, network in product(self.parts, self.networks):
            of_cell = [trial for trial in self.trials if (trial.part, trial.network) == (part, network)]
            ious = {name: overlap.mean_iou for trial in of_cell for name, overlap in trial.overlaps.items()}
            paper = PAPER[self.protocol].get(part, ()) if network == "3D with BN" else ()
            rows.append(
                [
                    part,
                    f"{self.labelled(part):.1%}",
                    network,
                    *(score_text(ious.get(name, math.nan)) for name in shown),
                    score_text(self.mean_iou(part, network)),
                    _listed(paper) or "–",
                ]
            )
        return [header, *rows]


def _in_cell(text: str) -> str:
    """In Markdown, where a bar would end the cell."""
    return text.replace("|", r"\|")


def _listed(scores: Sequence[float]) -> str:
    return ", ".join(map(score_text, scores))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
