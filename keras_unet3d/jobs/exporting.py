"""`export`: a trained model as what is served: under another name, with other tiles, several as one, with a label."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from keras_unet3d.errors import InputError
from keras_unet3d.inference.axis import shortest_of_many
from keras_unet3d.inference.budget import shown
from keras_unet3d.inference.planning import WHOLE_TILE_BYTES
from keras_unet3d.jobs.models import PathLike, described_models, load_model, name_of
from keras_unet3d.jobs.working_image import WorkingImage
from keras_unet3d.serving.description import package_version
from keras_unet3d.serving.served_folder import check_served, name_to_server
from keras_unet3d.serving.versions import version_folder
from keras_unet3d.volumes import Volume, read_image
from keras_unet3d.volumes.axes import named
from keras_unet3d.volumes.outputs import check_output_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keras_unet3d.serving.conversion import OtherFormat
    from keras_unet3d.serving.description import ModelDescription
    from keras_unet3d.serving.saved_model import LoadedModel
    from keras_unet3d.serving.served_folder import ServedFolder
    from keras_unet3d.volumes.box import Triple

OF_EACH = {"spacing", "unit", "mirrored_axes", "settings", "training", "bfloat16"}
"""What may differ between models that become one: how each was trained, and what was seen of it. A spacing that they
expect is compared where they are read."""
OF_EXPORT = {"members", "parameters", "tile", "created", "package_version", "format"}
"""What an export fills in."""


@dataclass(frozen=True)
class Export:
    """What `export` leaves.

    Attributes:
        model: the version, ``models/<name>/<n>``.
        is_new: whether it was written; False where a version that was there has got a label.
        served: what was done beside the model.
    """

    model: Path
    is_new: bool
    served: ServedFolder

    @property
    def sentence(self) -> str:
        """What was done for a server, and what it needs to know."""
        return serving_sentence(self.model, self.served)


def export(
    models: PathLike | LoadedModel | Sequence[PathLike | LoadedModel],
    folder: PathLike,
    *,
    tile: Triple | None = None,
    memory: float | None = None,
    label: str | None = None,
) -> Export:
    """Export a model, or several as one, as the next version of a served model, and name it to TensorFlow Serving.

    Several give the mean of the probabilities of all their networks: in the place of all of them, and with as much time
    and disk as they take together. Nothing is overwritten.

    A label for a version in its own folder, and nothing else, takes no copy of it: the version itself gets the label.

    Args:
        models: folders, with or without the version, or loaded models.
        folder: of the served model, such as ``models/kidney``; beside it is the ``models.config`` that names it.
        tile: voxels of a tile of ``segment_volume`` along z, y, x; of one model it stays that of the model.
        memory: bytes that such a tile may take, in place of its size.
        label: of the version from now on, such as ``"stable"``.

    Returns:
        The version, and what was done beside it.

    Raises:
        InputError: if one is no model, several differ in more than their training, or what is asked for cannot be.
        WorkError: if writing fails.
    """
    if tile is not None and memory is not None:
        raise InputError("Expected the size of a tile or the memory that it may take. Received: both")
    described = described_models(list(models) if isinstance(models, list | tuple) else [models])
    folder = Path(folder)
    if label is not None and len(described) == 1 and (tile, memory) == (None, None):
        version = _place(described[0][0])
        if version.parent == folder.resolve():
            check_served(folder, label)
            return Export(folder / version.name, is_new=False, served=name_to_server(folder / version.name, label))
    description = _tiled(_together(described), tile, memory)
    check_destination(folder, label)

    from keras_unet3d.serving.export import export_model

    networks = [network for model, _ in described for network in _loaded(model).networks]
    version = export_model(networks, folder, description)
    return Export(version, is_new=True, served=name_to_server(version, label))


def convert(
    models: PathLike | LoadedModel | Sequence[PathLike | LoadedModel], folder: PathLike, form: OtherFormat
) -> Path:
    """Export a model, or several as one, for another runtime: raw tiles of any valid size to probabilities.

    Args:
        models: as for `export`.
        folder: of the model, such as ``models/kidney-onnx``; the next version is written.
        form: ``"openvino"`` or ``"onnx"``.

    Returns:
        The folder of the version, with ``model.xml`` and ``model.bin``, or ``model.onnx``, and ``unet3d.json``.

    Raises:
        InputError: as `export`, and if what writes the format is not installed.
        WorkError: if writing fails, or the format's runtime does not give what TensorFlow gives.
    """
    from keras_unet3d.serving.conversion import convert_model

    described = described_models(list(models) if isinstance(models, list | tuple) else [models])
    check_output_folder(Path(folder))
    with _as_one(described) as model:
        return convert_model(model, Path(folder), form)


def package(
    models: PathLike | LoadedModel | Sequence[PathLike | LoadedModel],
    folder: PathLike,
    *,
    name: str | None = None,
    authors: Sequence[str] = (),
    licence: str | None = None,
    example: PathLike | Sequence[PathLike] | Volume | None = None,
) -> Path:
    """Pack a model, or several as one, for the BioImage Model Zoo: for Fiji's deepImageJ, ilastik, bioimageio.core.

    Args:
        models: as for `export`. The ``README.md`` beside the versions of one model is its model card.
        folder: of the packages, such as ``models/kidney-bioimageio``; the next version is written.
        name: of the model; that of the folder unless given.
        authors: of the model.
        licence: of the model, an SPDX identifier such as ``"CC-BY-4.0"``.
        example: an image, or its channels, whose middle becomes test input and cover; without one is made up.

    Returns:
        The zip file.

    Raises:
        InputError: as `export`, and if the format has no words for the model, or the example is none for it.
        WorkError: if writing fails, or the package does not give what the model gives.
    """
    from keras_unet3d.serving.bioimageio import write_package
    from keras_unet3d.serving.zoo_description import Publication

    described = described_models(list(models) if isinstance(models, list | tuple) else [models])
    folder = Path(folder)
    check_output_folder(folder)
    seen = None
    if example is not None:
        image = example if isinstance(example, Volume) else read_image(example)
        seen = WorkingImage.of(image, [each for _, each in described]).volume.voxels[:].astype("float32")
    with _as_one(described) as model:
        card = _card(model.path) if len(described) == 1 else None
        publication = Publication(name or folder.resolve().name, tuple(authors), licence, card)
        return write_package(model, folder, publication, seen)


@contextmanager
def _as_one(described: Sequence[tuple[PathLike | LoadedModel, ModelDescription]]) -> Iterator[LoadedModel]:
    """The only model, or all of them as one, exported to a place of its own for as long as it takes."""
    if len(described) == 1:
        yield _loaded(described[0][0])
        return

    from keras_unet3d.serving.export import export_model

    networks = [network for model, _ in described for network in _loaded(model).networks]
    with TemporaryDirectory(prefix="unet3d_") as place:
        yield load_model(export_model(networks, place, _together(described)))


def _card(version: Path) -> str | None:
    """The model card that lies beside the versions of a model."""
    version = version.resolve()
    file = version.parent / "README.md"
    return file.read_text(encoding="utf-8") if version.name.isdigit() and file.is_file() else None


def check_destination(folder: Path, label: str | None = None) -> None:
    """Make sure that a model can be exported into a folder, and named to a server; nothing is made.

    Raises:
        InputError: if it cannot.
    """
    check_output_folder(folder)
    check_served(folder, label)


def serving_sentence(version: Path, served: ServedFolder) -> str:
    """What was done for a server, and what it needs to know."""
    new = [file.name for file in served.written if file != served.config]
    done = f"Named in {served.config}" + (f"; {', '.join(new)} beside it are new" if new else "")
    if served.only is None:
        return f"TensorFlow Serving: {done}."
    listed = ", ".join(map(str, served.only))
    these = f"version {listed} is" if len(served.only) == 1 else f"versions {listed} are"
    missing = "" if int(version.name) in served.only else f", {version.name} is not: give it a label (--label)"
    return f"TensorFlow Serving: {done}; {these} served{missing}."


def _loaded(model: PathLike | LoadedModel) -> LoadedModel:
    return load_model(model) if isinstance(model, str | Path) else model


def _place(model: PathLike | LoadedModel) -> Path:
    """The folder of a version."""
    return version_folder(model if isinstance(model, str | Path) else model.path).resolve()


def _together(described: Sequence[tuple[PathLike | LoadedModel, ModelDescription]]) -> ModelDescription:
    """What the models are together; of one, what it is."""
    if len(described) > 1:
        return _common([(name_of(model), description) for model, description in described])
    return described[0][1].model_copy(update={"package_version": package_version()})


def _tiled(description: ModelDescription, tile: Triple | None, memory: float | None) -> ModelDescription:
    """The same with other tiles.

    Raises:
        InputError: if the network takes no such tiles, or none in so little memory.
    """
    geometry = description.geometry.geometry
    if tile is not None:
        z, y, x = (
            axis.nearest_valid(max(length, shortest_of_many(axis)))
            for axis, length in zip(geometry.axes, tile, strict=True)
        )
        if (z, y, x) != tuple(tile):
            raise InputError(
                f"The network takes no tiles of {named(tile)}. The next that it does: --tile '{named((z, y, x))}'"
            )
        return description.model_copy(update={"tile": (z, y, x)})
    if memory is None:
        return description
    described = description.model_copy(update={"tile": None}).with_tile(memory)
    needed = WHOLE_TILE_BYTES * description.size.held_whole(described.tile or (0, 0, 0))
    if needed > memory:
        raise InputError(
            f"A tile of this model takes at least {shown(needed, rounded_up=True)}; {shown(memory)} were given "
            f"(--memory)."
        )
    return described


def _common(named: Sequence[tuple[str, ModelDescription]]) -> ModelDescription:
    """What all models are together.

    Raises:
        InputError: if they are not of one kind.
    """
    (name, first), *others = named
    for other_name, other in others:
        for field in type(first).model_fields:
            if field not in OF_EACH | OF_EXPORT and getattr(first, field) != getattr(other, field):
                raise InputError(
                    f"{other_name}: its {field} is {getattr(other, field)}, that of {name} {getattr(first, field)}. "
                    "Only models that differ in nothing but their training can become one: train the second with the "
                    "settings.toml of the first's run as --config. `unet3d segment` averages any with several --model."
                )
    every = [description for _, description in named]
    same_space = first.resampled or all((each.spacing, each.unit) == (first.spacing, first.unit) for each in every)
    axes = tuple(axis for axis in first.mirrored_axes if all(axis in each.mirrored_axes for each in every))
    kept = {field: getattr(first, field) for field in type(first).model_fields if field not in OF_EXPORT}
    of_all = {
        "spacing": first.spacing if same_space else None,
        "unit": first.unit if same_space else "",
        "mirrored_axes": axes,
        "settings": first.settings if all(each.settings == first.settings for each in every) else {},
        "training": {"averaged": [{"model": name, **each.training} for name, each in named]},
        "bfloat16": _agreement(every),
        "parameters": sum(each.parameters for each in every),
    }
    return type(first)(**(kept | of_all))


def _agreement(every: Sequence[ModelDescription]) -> dict[str, float | None] | None:
    """The worst of all, by class; unknown where it is unknown of one."""
    seen = [each.bfloat16 for each in every if each.bfloat16 is not None]
    if len(seen) < len(every):
        return None
    return {name: min((dice for each in seen if (dice := each[name]) is not None), default=None) for name in seen[0]}
