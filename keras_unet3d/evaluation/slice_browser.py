"""Slices of a case to go through, panel beside panel; without JavaScript they lie below each other."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.evaluation.case_view import UNKNOWN, CaseView, disagreement
from keras_unet3d.evaluation.html import Html, element
from keras_unet3d.evaluation.slice_choice import Profile, Shown, kinds_in_words, slices_to_show
from keras_unet3d.evaluation.slice_layers import (
    HEAT,
    KIND_COLOURS,
    Colour,
    Window,
    classes_source,
    coloured_source,
    disagreement_source,
    image_source,
    layer_size,
    uncertainty_source,
)
from keras_unet3d.volumes.axes import AXES, named
from keras_unet3d.volumes.volume import Grid
from keras_unet3d.volumes.voxels import Voxels

KIND_NAMES = ("true positive", "false negative: missed", "false positive: too much", "another class")
SCALE_SHARE = 0.3
"""Of the width of a slice that a scale bar takes at most."""
_ROLES = {(True, True): " first worth", (False, True): " worth", (False, False): ""}
_COLUMNS = {6: 3}  # of panels in a wide window; else all are in a row


def slice_browser(case: CaseView) -> Html:
    """Slices through a case, the one to look at first of each axis marked."""
    window = Window.of(case.image)
    chosen = slices_to_show(Profile.of(case))
    where = f"{named(case.grid.shape)} voxels of {named(case.grid.spacing, case.grid.unit)}."
    slices = [_slice(case, shown, window) for shown in chosen]
    axes = [axis for axis in reversed(AXES) if any(shown.axis == axis for shown in chosen)]
    return element(
        "div",
        element("p", where, class_="quiet"),
        element("div", *slices, class_="slices"),
        class_="browser",
        data_axes=" ".join(axes),
        data_name=case.name,
    )


def _slice(case: CaseView, shown: Shown, window: Window) -> Html:
    dimension = AXES.index(shown.axis)
    rows, columns = (other for other in range(3) if other != dimension)
    edges = tuple(case.grid.shape[other] * case.grid.spacing[other] for other in (rows, columns))
    size = layer_size((edges[0], edges[1]))
    image = _plane(case.image, dimension, shown.index)
    panels = [_Panel("Image", coloured_source(image, window))]
    maps = {name: _plane(voxels, dimension, shown.index) for name, voxels in case.maps.items()}
    for name, classes in maps.items():
        panels.append(_Panel(name, classes_source(classes, case.colours, case.background, size)))
    kinds = None
    if case.truth is not None and case.prediction is not None:
        kinds = disagreement(maps[case.truth_name], maps["Prediction"], case.background)
        panels.append(_Panel("Disagreement", disagreement_source(kinds, size)))
    if case.uncertainty is not None:
        steps = _plane(case.uncertainty, dimension, shown.index)
        panels.append(_Panel("Uncertainty", uncertainty_source(steps, size)))
    place = f"{shown.axis}={shown.index}"
    corner = [_axes_of(rows, columns), _scale_bar(case.grid, columns)]
    figures = [
        panel.figure(f"{case.name}, slice {place}", size, corner if not number else ())
        for number, panel in enumerate(panels)
    ]
    return element(
        "figure",
        element("div", *figures, class_="panels", style=f"--columns:{_COLUMNS.get(len(figures), len(figures))}"),
        element("figcaption", element("strong", f"Slice {place}"), f" {_words(case, shown, kinds)}"),
        class_=f"slice{_ROLES[shown.first, bool(shown.why)]}",
        style=f"--image:url({image_source(image, window)})",
        data_axis=shown.axis,
        data_index=shown.index,
    )


class _Panel:
    """A picture of a slice: the image of the slice, and a layer on it."""

    def __init__(self, name: str, layer: str | None) -> None:
        self._name, self._layer = name, layer

    def figure(self, of: str, size: tuple[int, int], corner: Sequence[Html]) -> Html:
        layers = [element("img", src=self._layer, alt="")] if self._layer else []
        described = f"{of}: {self._name.lower()}"
        frame = element(
            "div",
            *layers,
            *corner,
            class_=f"frame {self._name.lower()}",
            role="img",
            aria_label=described,
            style=f"aspect-ratio:{size[1]}/{size[0]}",
        )
        return element("figure", frame, element("figcaption", self._name), class_="panel")


def _plane(voxels: Voxels, dimension: int, index: int) -> NDArray[Any]:
    part = tuple(slice(index, index + 1) if axis == dimension else slice(None) for axis in range(3))
    plane: NDArray[Any] = np.squeeze(voxels[part], axis=dimension)
    return plane


def _words(case: CaseView, shown: Shown, kinds: NDArray[np.uint8] | None) -> str:
    parts = [f"of 0 to {case.grid.shape[AXES.index(shown.axis)] - 1}"]
    if shown.why:
        parts[0] += f", {shown.why}"
    if kinds is not None and (kinds != UNKNOWN).any():
        parts.append(kinds_in_words(kinds))
    elif kinds is not None:
        parts.append("nothing here is annotated")
    return "; ".join(parts) + "."


def _axes_of(rows: int, columns: int) -> Html:
    """Which axis runs to the right, and which one down."""
    return element("span", f"{AXES[columns]} →", element("br"), f"{AXES[rows]} ↓", class_="axes")


def _scale_bar(grid: Grid, columns: int) -> Html:
    """A bar of a round length; nothing where the unit is not known."""
    width = grid.shape[columns] * grid.spacing[columns]
    if not grid.unit:
        return Html()
    power = 10.0 ** math.floor(math.log10(width * SCALE_SHARE))
    length = next(factor * power for factor in (5, 2, 1) if factor * power <= width * SCALE_SHARE)
    bar = element("i", style=f"width:{100 * length / width:.2f}%")
    return element("span", f"{length:g} {grid.unit}", bar, class_="scale")


def slice_legend(case: CaseView) -> Html:
    """What the colours and patterns of slices mean, of this case and others of the same model."""
    classes = [
        element("span", element("i", class_="key paint", style=f"--paint:{_css(colour)}"), name)
        for index, (name, colour) in enumerate(zip(case.scheme.names, case.colours, strict=True))
        if index != case.background
    ]
    if case.annotation is not None or case.truth is not None:
        classes.append(element("span", element("i", class_="key dimmed"), "dimmed: not annotated"))
    lines = [("Classes", classes)]
    if case.truth is not None and case.prediction is not None:
        kinds = [
            element("span", element("i", class_=f"key kind-{kind}", style=f"--paint:{_css(colour)}"), name)
            for name, (kind, colour) in zip(KIND_NAMES, KIND_COLOURS.items(), strict=True)
        ]
        lines.append(("Disagreement", kinds))
    if case.uncertainty is not None:
        bar = element("i", class_="key heat", style=f"background:linear-gradient(90deg,{','.join(map(_css, HEAT))})")
        lines.append(("Uncertainty", [element("span", "0, sure ", bar, " 1, undecided")]))
    rows = (element("p", element("b", name), *keys, class_="legend") for name, keys in lines)
    return element("div", *rows, class_="legends")


def _css(colour: Colour) -> str:
    return f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"
