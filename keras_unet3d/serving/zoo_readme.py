"""The page that goes with a package of the BioImage Model Zoo."""

import re
from collections.abc import Sequence

from keras_unet3d.serving.description import ModelDescription
from keras_unet3d.serving.facts import model_facts
from keras_unet3d.serving.zoo_axes import zoo_axes
from keras_unet3d.serving.zoo_description import Publication
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.intensity import FARTHEST, LIMIT

_ELSEWHERE = re.compile(r"\[([^]]*)\]\((?![a-z]+:)[^)]*\)")
"""A link to a place that the package does not hold."""


def zoo_readme(
    description: ModelDescription, publication: Publication, weights: Sequence[str], *, synthetic: bool
) -> str:
    """The model card, or what is known of the model, and what becomes of it in the zoo's format.

    Args:
        description: of the model.
        publication: name and card.
        weights: names of the formats that its weights are in.
        synthetic: whether the test input is no image of the kind that the model is for.
    """
    card = _ELSEWHERE.sub(r"\1", publication.card) if publication.card else _facts(description, publication.name)
    values = ", ".join(f"{each.value} is {each.name}" for each in description.classes)
    what = (
        f"The weights are here as {' and '.join(weights)}. What goes in is one tensor, batch · z · y · x · channel; "
        f"what comes out is as large, with a probability for each class in place of the channels, softmax included. "
        f"The label of a voxel is the value of its most probable class: {values}."
    )
    lines = [
        what,
        _intensities(description),
        _tiles(description),
        _space(description),
        "The test input is synthetic: it shows that a program computes as it should, not what the model is good for."
        if synthetic
        else "The test input is the middle of an image that was given for it.",
    ]
    text = "\n\n".join(["## In the BioImage Model Zoo's format", *filter(None, lines), _validation(publication.name)])
    return f"{card.rstrip()}\n\n{text}\n"


def _facts(description: ModelDescription, name: str) -> str:
    rows = [f"| {about} | {' '.join(said.split())} |" for about, said in model_facts(description).items()]
    return "\n".join([f"# {name}", "", "A 3D U-Net (Çiçek et al. 2016).", "", "| | |", "| --- | --- |", *rows])


def _intensities(description: ModelDescription) -> str:
    if description.intensities.windows:
        return (
            "Intensities are scaled by fixed numbers (`scale_linear`); the weights draw in what lies beyond each "
            "channel's window. That is all that the model knows of intensities: nothing is lost in this format."
        )
    return (
        "Intensities are normalised by mean and standard deviation of each channel over the whole image "
        f"(`zero_mean_unit_variance`); the weights draw in what lies more than {FARTHEST:.0f} of these from the mean. "
        f"The model itself measures them anew once what lies more than {LIMIT:.0f} from it is drawn in, for which the "
        "format has no words: where nothing lies there, as in most images, it is the same. Remove hot pixels first, or "
        "leave that to `unet3d segment`."
    )


def _tiles(description: ModelDescription) -> str:
    axes = zoo_axes(description)
    halo = named([axis.halo for axis in axes])
    if description.tile_dependent:
        cropped = f" Mirror {halo} voxels to each side and crop them afterwards." if any(a.halo for a in axes) else ""
        return (
            "The network normalises by the statistics of what it is given: give it the image in one piece, of any "
            f"size.{cropped} In tiles each would be another image to it, with seams between them."
        )
    border = (
        " At the border of the image it sees what is mirrored there, and not zeros as in `unet3d segment`."
        if description.geometry.padding == "same"
        else ""
    )
    return (
        f"Tiles have a halo of {halo} voxels, lengths in steps of {named([axis.step for axis in axes])} from "
        f"{named([axis.minimum for axis in axes])} on, and no seams if they begin at multiples of these steps, as they "
        f"do where a tool crops the halo and goes on from there.{border}"
    )


def _space(description: ModelDescription) -> str:
    if description.working_spacing is None:
        return ""
    return f"Resample images to voxels of {description.working_spacing} first: no tool of the zoo does it by itself."


def _validation(name: str) -> str:
    return (
        "### Validation\n\nLabel some images that the model has not seen, segment them, and compare each class: "
        f"`unet3d evaluate segmented labels --model models/{name}` gives Dice, IoU and distances between borders. What "
        "was measured, if anything, stands above. Look at the images, too."
    )
