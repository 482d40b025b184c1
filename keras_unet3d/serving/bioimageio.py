"""A package for the BioImage Model Zoo: what Fiji's deepImageJ, ilastik and bioimageio.core load, in one zip file."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.annotation.pictures import slice_panel
from keras_unet3d.errors import WorkError
from keras_unet3d.inference.tiles import one_tile
from keras_unet3d.serving.conversion import OPSET, TOLERANCE
from keras_unet3d.serving.description import DESCRIPTION_FILE, ModelDescription
from keras_unet3d.serving.saved_model import LoadedModel
from keras_unet3d.serving.trusted_graph import check_graph
from keras_unet3d.serving.variables import members_variables
from keras_unet3d.serving.versions import written_version
from keras_unet3d.serving.zoo_axes import zoo_axes
from keras_unet3d.serving.zoo_description import EPSILON, INPUT, OUTPUT, Publication, preprocessing, zoo_description
from keras_unet3d.serving.zoo_readme import zoo_readme
from keras_unet3d.volumes.box import Box, Triple, read_mirrored

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From ``(batch, z, y, x, channel)``, offset and scaled, to probabilities."""

_COVER = (512, 256)
"""Pixels; the zoo wants covers twice as wide as high."""


def write_package(
    model: LoadedModel, folder: Path, publication: Publication, example: NDArray[np.float32] | None = None
) -> Path:
    """Write the next version of a model as a package of the BioImage Model Zoo, checked, whole or not at all.

    It holds ``rdf.yaml``, the weights as a SavedModel of their own (and as ONNX, where ``keras-unet3d[onnx]`` is
    installed), a test input and its output, a cover picture, the model card and ``unet3d.json``.

    Args:
        model: that was exported for TensorFlow.
        folder: of the packages of this model; its versions are numbered folders within.
        publication: name, authors, licence, card.
        example: raw ``(z, y, x, channel)`` whose middle becomes test input and cover; None makes one up.

    Returns:
        The zip file.

    Raises:
        InputError: if the format has no words for the model, or the folder cannot be written to.
        WorkError: if writing fails, or the package does not give what the model gives.
    """
    description = model.description
    preprocessing(description)  # or it says, before anything is computed, that the format has no words for it
    with written_version(folder) as (version, unfinished), TemporaryDirectory(prefix="unet3d_") as place:
        files = Path(place)
        runs = _write_weights(model, files)
        if not all(_same(model, run) for run, _ in runs.values()):
            raise WorkError(f"{folder}: its package does not give what the model gives; nothing was published.")
        highest = _write_tests(model, files, runs["tensorflow_saved_model_bundle"][0], example)
        readme = zoo_readme(description, publication, list(runs), synthetic=example is None)
        (files / "README.md").write_text(readme, encoding="utf-8")
        (files / "unet3d.json").write_bytes((model.path / DESCRIPTION_FILE).read_bytes())
        weights = {name: entry for name, (_, entry) in runs.items()}
        content = zoo_description(description, publication, weights, highest)
        _pack(content | {"version": version.name}, files, unfinished / f"{publication.name}.zip")
    return version / f"{publication.name}.zip"


def _pack(content: dict[str, Any], files: Path, package: Path) -> None:
    """Write a description and the files that it names, with their checksums."""
    with ZipFile(package, "w", ZIP_DEFLATED) as packed:
        for name in _with_checksums(content, files):
            packed.write(files / name, name)
        # JSON is YAML. Under this name, as Fiji looks for no other.
        packed.writestr("rdf.yaml", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _with_checksums(content: Any, files: Path) -> list[str]:
    """Add its checksum to every file that a description names as ``source``; all files that it names."""
    if isinstance(content, str):
        return [content] if (files / content).is_file() else []
    if isinstance(content, list):
        return [name for each in content for name in _with_checksums(each, files)]
    if not isinstance(content, dict):
        return []
    names = [name for each in content.values() for name in _with_checksums(each, files)]
    if "source" in content:
        content["sha256"] = hashlib.sha256((files / content["source"]).read_bytes()).hexdigest()
    return names


def _write_weights(model: LoadedModel, files: Path) -> dict[str, tuple[Run, dict[str, Any]]]:
    """Write the weights in all formats that can be written: how each runs, and its entry, by the format's name."""
    import tensorflow as tf

    from keras_unet3d.serving.zoo_graph import zoo_graph

    description = model.description
    graph = zoo_graph(model.networks, zoo_axes(description), description.intensities)
    tensor = tf.TensorSpec([None, None, None, None, len(description.channels)], tf.float32, name=INPUT)

    def serving_default(image: Any) -> dict[str, Any]:
        return {OUTPUT: graph(image)}

    module = tf.Module()
    module.weights = members_variables(model.networks)
    function = tf.function(serving_default, [tensor], autograph=False)
    bundle = files / "saved_model"
    tf.saved_model.save(module, str(bundle), signatures={"serving_default": function})
    check_graph(bundle, ["serving_default"])
    shutil.make_archive(str(files / "tensorflow_saved_model_bundle"), "zip", bundle)
    written = tf.saved_model.load(str(bundle))

    def run(tiles: NDArray[np.float32]) -> Any:
        return written.signatures["serving_default"](tf.constant(tiles))[OUTPUT].numpy()

    entry = {"source": "tensorflow_saved_model_bundle.zip", "tensorflow_version": tf.__version__}
    return {"tensorflow_saved_model_bundle": (run, entry)} | _write_onnx(function, tensor, files / "weights.onnx")


def _write_onnx(function: Any, tensor: Any, file: Path) -> dict[str, tuple[Run, dict[str, Any]]]:
    """The same in ONNX; nothing where what writes it is not installed."""
    try:
        import onnxruntime
        import tf2onnx
    except ImportError:
        return {}
    tf2onnx.convert.from_function(function, [tensor], opset=OPSET, output_path=str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(tiles: NDArray[np.float32]) -> Any:
        return session.run([OUTPUT], {INPUT: tiles})[0]

    entry = {"source": file.name, "opset_version": OPSET, "parent": "tensorflow_saved_model_bundle"}
    return {"onnx": (run, entry)}


def _same(model: LoadedModel, run: Run) -> bool:
    """Whether a package gives what the model gives, for a volume in one piece."""
    axes = zoo_axes(model.description)
    shape = [2 * axis.geometry.multiple + (0 if axis.margin else 1) for axis in axes]
    image = np.random.default_rng(0).normal(1000, 300, (*shape, len(model.description.channels))).astype(np.float32)
    rule = model.description.intensities
    intensity = rule.of(image)
    tile = one_tile(image.shape, model.geometry)[0]
    expected = model.probabilities(read_mirrored(image, tile.read)[None], intensity[None])[0][tile.crop.slices]
    # Mirrored where the network is unpadded: a padded one sees zeros at the border of a volume in one piece.
    around = [axis.halo if axis.margin else 0 for axis in axes]
    whole = Box((0, 0, 0), tile.write.shape)
    given = (read_mirrored(image, whole.grown(around)) - intensity[:, 0]) / intensity[:, 1]
    return np.allclose(run(given[None])[0][whole.shifted(around).slices], expected, atol=TOLERANCE)


def _write_tests(model: LoadedModel, files: Path, run: Run, example: NDArray[np.float32] | None) -> float:
    """Write a test input, its output, and a cover picture that shows a slice of both; the highest probability."""
    from PIL import Image, ImageOps

    description = model.description
    image = _made_up(description) if example is None else example
    z, y, x = (max(axis.minimum, 4 * axis.geometry.multiple) for axis in zoo_axes(description))
    middle = [(length - size) // 2 for length, size in zip(image.shape, (z, y, x), strict=False)]
    given = read_mirrored(image, Box.at(middle, (z, y, x)))[None]
    np.save(files / "test_input.npy", given)
    found = run(_preprocessed(description, given))
    np.save(files / "test_output.npy", found)

    shown = Box.at(middle, (z, y, x)).clipped(image.shape[:3])
    picture = image[shown.slices]
    at: Triple = (picture.shape[0] // 2, picture.shape[1] // 2, picture.shape[2] // 2)
    scheme = description.scheme
    labels = scheme.class_index(model.segment_volume(picture))
    panel = slice_panel(
        picture, [labels], axis="z", at=at, spacing=description.spacing or (1, 1, 1), colours=scheme.colours
    )
    ImageOps.pad(Image.fromarray(panel), _COVER, color="white").save(files / "cover.png", optimize=True)
    return float(found.max())


def _preprocessed(description: ModelDescription, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the operations of the format make of raw tiles ``(batch, z, y, x, channel)``."""
    for operation in preprocessing(description):
        kwargs = operation["kwargs"]
        if operation["id"] == "scale_linear":
            tiles = tiles * np.float32(kwargs["gain"]) + np.float32(kwargs["offset"])
        else:
            mean, deviation = (of(tiles, axis=(1, 2, 3), keepdims=True, dtype=np.float64) for of in (np.mean, np.std))
            tiles = ((tiles - mean) / (deviation + EPSILON)).astype(np.float32)
    return tiles


def _made_up(description: ModelDescription) -> NDArray[np.float32]:
    """A synthetic kidney, its stains in turn; channels that have a window have intensities within."""
    from keras_unet3d.phantom.kidney import kidney

    stains = kidney((32, 96, 96)).image
    image = np.stack([stains[..., number % stains.shape[-1]] for number in range(len(description.channels))], axis=-1)
    for number, window in description.intensities.windows.items():
        channel = image[..., number]
        image[..., number] = window.offset + window.scale * (channel - channel.mean()) / channel.std()
    return image
