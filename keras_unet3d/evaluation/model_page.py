"""The page of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_unet3d.evaluation.page import Page, Section, cards
from keras_unet3d.evaluation.score_sections import held_out_section, spread_words
from keras_unet3d.evaluation.tables import score_text
from keras_unet3d.evaluation.training_sections import training_sections
from keras_unet3d.metrics import ScoreTable
from keras_unet3d.metrics.measures import DICE, IOU
from keras_unet3d.serving.description import ModelDescription, package_version

Card = tuple[str, str, str]


def model_page(
    title: str,
    description: ModelDescription,
    sections: Sequence[Section] = (),
    scores: ScoreTable | None = None,
    lead: Sequence[str] = (),
) -> Page:
    """Everything there is to judge a model by.

    Args:
        title: of the page.
        description: of the model.
        sections: what was found of cases.
        scores: of these cases, where they were compared; they come before what training says of itself.
        lead: what to say first; without, what the model is.
    """
    held_out = [section for section in [held_out_section(description.training)] if section]
    first = [*held_out, *sections] if scores is None else [*sections, *held_out]
    names = ", ".join(each.name for each in description.classes)
    says = lead or [f"A 3D U-Net that tells {names} apart in volumes of {', '.join(description.channels)}."]
    facts = [*(_of_cases(scores) if scores else _of_held_out(description.training)), *_of_training(description)]
    return Page(
        title,
        [*says, cards(facts)],
        [*first, *training_sections(description)],
        footer(description),
        volume_view=any('class="view"' in part for section in sections for part in section.parts),
    )


def footer(description: ModelDescription) -> str:
    """By what the model was made, and by what the page."""
    return (
        f"Model of {description.created:%Y-%m-%d %H:%M} UTC by keras-unet3d {description.package_version}; page by "
        f"keras-unet3d {package_version()}. It holds everything it shows and loads nothing."
    )


def _of_cases(scores: ScoreTable) -> list[Card]:
    found = []
    for measure in (DICE, IOU):
        spread = scores.spread(measure)
        found.append((f"mean {measure.title}", measure.text(spread.mean), spread_words(spread)))
    if len(scores.cases) > 1:
        worst = scores.cases[0]
        found.append(("worst case", score_text(worst.scores.mean_dice), f"Dice of {worst.name}"))
    return found


def _of_held_out(training: Mapping[str, Any]) -> list[Card]:
    dice = ((training.get("validation") or {}).get("mean") or {}).get(DICE.key)
    return [] if dice is None else [("mean Dice", score_text(dice), "on what training held out")]


def _of_training(description: ModelDescription) -> list[Card]:
    training = description.training
    found = []
    if "steps" in training and "minutes" in training:
        found.append(("training", f"{training['minutes']:g} min", f"{training['steps']:,} steps"))
    if isinstance(training.get("labelled_voxels"), dict):
        words = f"in {training.get('cases', '?')} {'case' if training.get('cases') == 1 else 'cases'}"
        found.append(("labelled voxels", f"{sum(training['labelled_voxels'].values()):,}", words))
    found.append(("network", f"{description.parameters / 1e6:.2g} M", f"parameters, {description.filters} filters"))
    return found
