"""The page of a model."""

from collections.abc import Sequence

from keras_unet3d.evaluation.measures import MEASURES, around_text
from keras_unet3d.evaluation.page import Page, Section, cards
from keras_unet3d.evaluation.score_sections import held_out_section
from keras_unet3d.evaluation.tables import score_text
from keras_unet3d.evaluation.training_sections import training_sections
from keras_unet3d.metrics import ScoreTable
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
    facts = [*(_of_cases(scores) if scores else ()), *_of_training(description)]
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
    several = len(scores.cases) > 1
    found = []
    for measure in MEASURES:
        spread = measure.over_cases(scores, None)
        words = f"{around_text(spread)}over {spread.cases} cases" if several else "of one case"
        found += [(f"mean {measure.name}", score_text(spread.mean), words)] if measure.is_share else []
    if several:
        worst, first = scores.cases[0], MEASURES[0]
        words = f"{first.name} of {worst.name}"
        found.append(("worst case", score_text(first.of_case(worst.scores, None)), words))
    return found


def _of_training(description: ModelDescription) -> list[Card]:
    training = description.training
    found = []
    validation = training.get("validation")
    if validation:
        first = MEASURES[0]
        score = score_text(first.of_json(validation["mean"]))
        found.append((f"mean {first.name}", score, "on what training held out"))
    if "steps" in training and "minutes" in training:
        found.append(("training", f"{training['minutes']:g} min", f"{training['steps']:,} steps"))
    if isinstance(training.get("labelled_voxels"), dict):
        words = f"in {training.get('cases', '?')} {'case' if training.get('cases') == 1 else 'cases'}"
        found.append(("labelled voxels", f"{sum(training['labelled_voxels'].values()):,}", words))
    found.append(("network", f"{description.parameters / 1e6:.2g} M", f"parameters, {description.filters} filters"))
    return found
