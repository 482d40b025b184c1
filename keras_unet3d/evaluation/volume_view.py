"""Volumes to look at from all sides: NIfTI files in the page, which NiiVue shows."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.labels import UNLABELED
from keras_unet3d.evaluation.case_view import AGREE, CONFUSED, MISSED, TOO_MUCH, CaseView, disagreement
from keras_unet3d.evaluation.html import Html, element
from keras_unet3d.evaluation.slice_browser import KIND_NAMES
from keras_unet3d.evaluation.slice_layers import KIND_COLOURS, Colour, Window
from keras_unet3d.volumes import Grid, Volume, write_image, write_labels
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.resampling import ResampledClasses, ResampledVoxels, resampled_grid
from keras_unet3d.volumes.spacing import Spacing
from keras_unet3d.volumes.voxels import Voxels

MOST_VOXELS = 6_000_000
"""Of all images of a page, channels counted: a byte each, which makes eight million characters at most. With slices,
maps and NiiVue a page stays below 15 MB."""
MOST_CHANNELS = 4
"""Of an image; further ones are left out."""
DENSE = 0.5
"""A map of which less is labelled is not shown from all sides: slices of it would hang in the air."""


@dataclass(frozen=True)
class ClassMap:
    """A map of classes in a view.

    Attributes:
        name: what the map is.
        file: NIfTI in base64; class i has the value i + 1, and 0 is nothing.
        classes: name, colour, and whether it is shown at first, of each.
    """

    name: str
    file: str
    classes: Sequence[tuple[str, Colour, bool]]


@dataclass(frozen=True)
class VolumeView:
    """A case to be seen from all sides.

    Attributes:
        name: of the case.
        grid: that it is shown on.
        original: that it lies on.
        images: name and file of each channel.
        maps: what is said of it, the one to begin with first.
    """

    name: str
    grid: Grid
    original: Grid
    images: Sequence[tuple[str, str]]
    maps: Sequence[ClassMap]

    @classmethod
    def of(cls, case: CaseView, most: int = MOST_VOXELS) -> "VolumeView":
        """Make the files of a case.

        Args:
            case: in memory, or read part by part.
            most: voxels of all channels together that the view may have.
        """
        channels = min(case.image.shape[3], MOST_CHANNELS)
        grid = view_grid(case.grid, most // channels)
        image: Any = case.image if grid == case.grid else ResampledVoxels(case.image, case.grid, grid)
        voxels = image[:, :, :]
        bytes_ = np.rint(255 * Window.of(voxels).shares(voxels)).astype(np.uint8)
        names = [*case.channels, *(f"channel {number}" for number in range(len(case.channels), channels))]
        images = [(names[number], _file(bytes_[..., number : number + 1], grid)) for number in range(channels)]
        return cls(case.name, grid, case.grid, images, tuple(_maps(case, grid)))

    @property
    def spacing_words(self) -> str:
        """At which spacing it is shown."""
        shown = f"{named(self.grid.shape)} voxels of {named(self.grid.spacing, self.grid.unit)}"
        if self.grid == self.original:
            return f"{self.name}: all of its {shown}."
        return f"{self.name}: reduced to {shown}, from {named(self.original.shape)}."


def views_html(views: Sequence[VolumeView]) -> Html:
    """A viewer of some cases, and their files; `volume_view.js` brings it to life."""
    data, described = [], []
    for number, view in enumerate(views):
        files = [file for _, file in view.images] + [each.file for each in view.maps]
        data += [
            element("script", Html(file), type="application/octet-stream", id=f"view-{number}-{place}")
            for place, file in enumerate(files)
        ]
        described.append(_described(view, number))
    setting = json.dumps(described).replace("<", "\\u003c")
    stage = element(
        "div",
        element("canvas", tabindex="0", aria_label="3D view. Arrow keys turn it, plus and minus zoom."),
        element("div", "The 3D view needs JavaScript and WebGL 2.", class_="message", role="status"),
        class_="stage",
    )
    return element(
        "div",
        element("div", class_="controls before", hidden=True),
        stage,
        element("div", class_="controls legend after", hidden=True),
        element("p", class_="quiet where"),
        element("script", Html(setting), type="application/json", class_="views"),
        *data,
        class_="view",
    )


def view_grid(grid: Grid, most: int) -> Grid:
    """The grid of at most so many voxels that a volume is shown on: the shortest edges get longer first."""
    if prod(grid.shape) <= most:
        return grid
    extents = [length * edge for length, edge in zip(grid.shape, grid.spacing, strict=True)]
    low, high = min(grid.spacing), 2 * max(extents)  # which leaves one voxel
    for _ in range(40):
        edge = math.sqrt(low * high)
        z, y, x = (max(edge, old) for old in grid.spacing)
        if prod(resampled_grid(grid, Spacing((z, y, x), grid.unit)).shape) > most:
            low = edge
        else:
            high = edge
    z, y, x = (max(high, old) for old in grid.spacing)
    return resampled_grid(grid, Spacing((z, y, x), grid.unit))


def _maps(case: CaseView, grid: Grid) -> list[ClassMap]:
    """Those that are dense, the prediction first."""
    shown = [
        (name, colour, index != case.background)
        for index, (name, colour) in enumerate(zip(case.scheme.names, case.colours, strict=True))
    ]
    found: dict[str, NDArray[np.uint16]] = {}
    for name, voxels in reversed(case.maps.items()):
        classes = _on(voxels, case.grid, grid)
        if np.count_nonzero(classes) >= DENSE * classes.size:
            found[name] = classes
    maps = [ClassMap(name, _file(classes, grid), shown) for name, classes in found.items()]
    if "Prediction" in found and case.truth_name in found:
        true, predicted = (found[name].astype(np.int32) - 1 for name in (case.truth_name, "Prediction"))
        kinds = disagreement(true, predicted, case.background)
        kinds[kinds > CONFUSED] = 0
        entries = [
            (name, KIND_COLOURS[kind], kind != AGREE)
            for name, kind in zip(KIND_NAMES, (AGREE, MISSED, TOO_MUCH, CONFUSED), strict=True)
        ]
        maps.append(ClassMap("Disagreement", _file(kinds, grid), entries))
    return maps


def _on(voxels: Voxels, of: Grid, onto: Grid) -> NDArray[np.uint16]:
    """A map of class indices on another grid; 0 is unlabelled."""
    source = _Shifted(voxels)
    found: NDArray[np.uint16] = (source if of == onto else ResampledClasses(source, of, onto))[:, :, :]
    return found


class _Shifted:
    """Class indices that begin at 1, so that what is unlabelled is 0."""

    def __init__(self, voxels: Voxels) -> None:
        self._voxels = voxels
        self.shape, self.ndim, self.dtype = voxels.shape, voxels.ndim, np.dtype(np.uint16)

    def __getitem__(self, part: Any, /) -> NDArray[np.uint16]:
        shifted: NDArray[np.uint16] = (self._voxels[part].astype(np.int32) - UNLABELED).astype(np.uint16)
        return shifted


def _file(voxels: NDArray[Any], grid: Grid) -> str:
    """A volume as a compressed NIfTI file in base64, which says where the voxels lie."""
    if voxels.ndim == 3 and voxels.max(initial=0) < 256:
        voxels = voxels.astype(np.uint8)
    with TemporaryDirectory(prefix="unet3d_") as folder:
        path = Path(folder) / "view.nii.gz"
        (write_labels if voxels.ndim == 3 else write_image)(path, Volume(voxels, grid))
        return base64.b64encode(path.read_bytes()).decode("ascii")


def _described(view: VolumeView, number: int) -> dict[str, Any]:
    """What the script needs to know of a view."""
    files = [f"view-{number}-{place}" for place in range(len(view.images) + len(view.maps))]
    return {
        "name": view.name,
        "where": view.spacing_words,
        # x, y and z of the voxels in the axes of NIfTI: right, anterior, superior.
        "axes": (np.diag([-1, -1, 1]) @ np.asarray(view.grid.direction)).T.tolist(),
        "images": [{"name": name, "file": file} for (name, _), file in zip(view.images, files, strict=False)],
        "maps": [
            {
                "name": each.name,
                "file": file,
                "classes": [{"name": name, "colour": colour, "shown": shown} for name, colour, shown in each.classes],
            }
            for each, file in zip(view.maps, files[len(view.images) :], strict=True)
        ],
    }
