"""`unet3d fit --folds`: cross-validate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from unet3d_cli.tables import MOST_CASES, MOST_CLASSES
from unet3d_cli.training_plan import plan_as_json, print_next, print_plan, print_settings

from keras_unet3d.evaluation.tables import score_text
from keras_unet3d.wording import counted

if TYPE_CHECKING:
    from unet3d_cli.terminal import Terminal

    from keras_unet3d.annotation import Dataset
    from keras_unet3d.api import CrossValidation, CrossValidationPlan
    from keras_unet3d.metrics import ScoreTable
    from keras_unet3d.training.settings import Settings


def cross_validate(
    terminal: Terminal, files: Dataset, settings: Settings, call: dict[str, Any], *, quiet: bool
) -> None:
    """Cross-validate, and print what came of it."""
    from unet3d_cli.progress import TrainingProgress

    from keras_unet3d import api

    plans: list[CrossValidationPlan] = []

    def on_plan(plan: CrossValidationPlan) -> None:
        plans.append(plan)
        print_plan(terminal, plan.fit)
        terminal.note(f"{_trainings(plan)}. After Ctrl-C the same command continues.")

    with TrainingProgress(terminal, on_plan) as progress:
        found = api.cross_validate(files, settings, listener=progress, **call)
    if quiet:
        click.echo(found.model)
    terminal.say(f"\n{found.steps:,} steps in {found.minutes:.1f} minutes, of {counted(call['folds'], 'fold')}.")
    print_score_table(terminal, found)
    if found.report is not None:
        terminal.say(f"Report: {found.report}  (open it in a browser)")
    print_next(terminal, found.model, found.run, files.cases[0].images, call["runs"])
    terminal.result({**_as_json(found), **_plan_as_json(plans[0])})


def print_plan_of_folds(terminal: Terminal, plan: CrossValidationPlan) -> None:
    """What would be done, which cases each fold leaves out, and with which settings."""
    aside = terminal.aside()
    print_plan(aside, plan.fit)
    aside.say(f"{_trainings(plan)}.")
    rows = [[str(number), str(len(names)), ", ".join(names)] for number, names in enumerate(plan.left_out, 1)]
    aside.table(["fold", "cases", "left out"], rows)
    print_settings(terminal, plan.settings)
    terminal.result(_plan_as_json(plan))


def print_score_table(terminal: Terminal, found: CrossValidation) -> None:
    """Dice of each case, the worst first, and its mean and spread over the cases."""
    scores = found.scores
    many_classes = len(scores.names) > MOST_CLASSES
    names = () if many_classes else scores.names
    rows = [
        [
            case.name,
            str(case.fold),
            *(score_text(each.dice) for each in case.scores.classes[: len(names)]),
            score_text(case.scores.mean_dice),
        ]
        for case in scores.cases[:MOST_CASES]
    ]
    terminal.say("Dice on what each fold left out, the worst first:")
    terminal.table(["case", "fold", *names, "mean"], rows)
    if len(scores.cases) > MOST_CASES:
        terminal.say(
            f"… and {counted(len(scores.cases) - MOST_CASES, 'case')} more in {found.run}/cross_validation.csv"
        )
    terminal.say("Mean ± standard deviation over the cases:")
    _print_spread(terminal, scores)


def _print_spread(terminal: Terminal, scores: ScoreTable) -> None:
    columns = zip(scores.names, scores.iou, scores.dice, strict=True)
    rows = [[name, str(dice.cases), str(iou), str(dice)] for name, iou, dice in columns]
    mean = ["mean", str(scores.mean_dice.cases), str(scores.mean_iou), str(scores.mean_dice)]
    terminal.table(["class", "cases", "IoU", "Dice"], [*rows, mean], total=True)


def _trainings(plan: CrossValidationPlan) -> str:
    settings, folds = plan.fit.settings, len(plan.left_out)
    each = counted(settings.steps, "step") if settings.steps else f"{settings.minutes:.3g} minutes"
    included = "" if settings.steps else f"; with scoring and export {plan.minutes:g}"
    return f"{folds} trainings of {each} each, one for each fold{included}"


def _plan_as_json(plan: CrossValidationPlan) -> dict[str, Any]:
    settings = plan.settings.model_dump(mode="json", exclude_none=True)
    return {**plan_as_json(plan.fit), "settings": settings, "folds": [list(names) for names in plan.left_out]}


def _as_json(found: CrossValidation) -> dict[str, Any]:
    return {
        "model": str(found.model),
        "run": str(found.run),
        "report": str(found.report) if found.report else None,
        "steps": found.steps,
        "minutes": round(found.minutes, 3),
        "cross_validation": found.scores.as_json(),
    }
