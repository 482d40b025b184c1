"""What to know when reading a table of scores, in sentences: for the terminal and for reports."""

from keras_unet3d.metrics import ScoreTable
from keras_unet3d.metrics.ruler import IN_VOXELS
from keras_unet3d.metrics.spread import FEW_CASES
from keras_unet3d.wording import counted, rounded


def score_notes(table: ScoreTable) -> list[str]:
    """How distances were measured, or why not, and what signs in the tables mean."""
    rulers = [case.scores.ruler for case in table.cases if case.scores.ruler]
    notes = []
    if rulers:
        tolerances = list(dict.fromkeys(map(rounded, sorted(ruler.tolerance for ruler in rulers))))
        span = " to ".join(tolerances[:: max(1, len(tolerances) - 1)])
        notes.append(
            "HD: the largest distance between borders; HD95: its 95th percentile; ASSD: the mean; surface Dice: the "
            f"share within {span} {table.unit}."
        )
        if table.scheme.background is not None:
            name = table.names[table.scheme.background]
            notes.append(f"The borders of {name} are those of the other classes, and not measured.")
        if table.unit == IN_VOXELS:
            notes.append("The label maps have no spacing: distances are in voxels, as if these were cubes.")
        if any(ruler.assumed for ruler in rulers):
            notes.append("The label maps have a spacing without a unit: it was taken as mm.")
    notes += sorted({case.scores.not_measured for case in table.cases if case.scores.not_measured})
    every = [score for case in table.cases for score in case.scores.classes]
    if any(score.one_sided for score in every):
        notes.append(
            "0 and ∞: only one of truth and prediction has the class, so that there is no border to measure to."
            + (" Means over cases leave ∞ out, and say how often." if len(table.cases) > 1 else "")
        )
    if any(score.voxels == score.predicted_voxels == 0 for score in every):
        notes.append("–: neither truth nor prediction has the class; it is in no mean.")
    return notes


def few_cases_note(table: ScoreTable) -> str:
    """What an interval of few cases is worth; empty where there are enough of them, or only one."""
    if not 1 < len(table.cases) < FEW_CASES:
        return ""
    return (
        f"An interval of {counted(len(table.cases), 'case')} says little: it knows of no case unlike these, and is too "
        "narrow."
    )
