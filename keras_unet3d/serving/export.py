"""From a trained network, or several, to a SavedModel that needs none of this package's code."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import WorkError
from keras_unet3d.inference.tiles import one_tile
from keras_unet3d.serving.description import DESCRIPTION_FILE, ModelDescription, parse_description
from keras_unet3d.serving.versions import written_version
from keras_unet3d.serving.warm_up import try_warm_up, write_warm_up
from keras_unet3d.volumes.box import Box, read_mirrored

MEMORY_OF_A_SERVED_TILE = 2e9
"""Bytes that one tile inside ``segment_volume`` may take: a served model knows nothing of its host."""


def export_model(model: Any, folder: str | os.PathLike[str], description: ModelDescription) -> Path:
    """Write the next version of a served model, checked, whole or not at all.

    Args:
        model: a network of `build_unet3d` in float32, which gives logits; or a list of several, alike but for their
            weights: the mean of their probabilities is served.
        folder: of the model; its versions are numbered folders within.
        description: what the model is; `members` and, unless given, `parameters` and `tile` are filled in.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: if the model does not compute in float32, or is not what the description says.
        InputError: if the folder cannot be written to.
        WorkError: if writing fails, or what was written does not give what the model gives.
    """
    models = list(model) if isinstance(model, list | tuple) else [model]
    for each in models:
        _check(each, description)
    networks = [served_network(each, description) for each in models]
    # A model that was exported before knows how many it was trained with: frozen statistics have taken some since.
    parameters = description.parameters or sum(each.count_params() for each in models)
    counts = {"members": len(models), "parameters": parameters}
    description = description.model_copy(update=counts).with_tile(MEMORY_OF_A_SERVED_TILE)
    with written_version(Path(folder)) as (version, unfinished):
        _write_graph(networks, description, unfinished)
        file = unfinished / DESCRIPTION_FILE
        file.parent.mkdir(exist_ok=True)
        file.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")
        write_warm_up(unfinished, description)
        _try(unfinished, networks)
    return version


def _check(model: Any, description: ModelDescription) -> None:
    policies = {layer.compute_dtype for layer in model.layers} | {variable.dtype for variable in model.variables}
    if policies != {"float32"}:
        raise ValueError(
            f"Only float32 networks are exported: build the same network with dtype float32 and set_weights. "
            f"Received: {', '.join(sorted(policies))}"
        )
    found = (model.input_shape[-1], model.output_shape[-1])
    expected = (len(description.channels), len(description.classes))
    if found != expected:
        raise ValueError(
            f"The description has {expected[0]} channels and {expected[1]} classes. Received: a network of "
            f"{found[0]} and {found[1]}"
        )


def served_network(model: Any, description: ModelDescription) -> Any:
    """The same for tiles of any size, with the statistics that the description names: frozen ones folded.

    Raises:
        ValueError: if the model does not have the normalisations that the description names.
    """
    from keras_unet3d.network.folding import folded
    from keras_unet3d.network.statistics import tile_normalizations, with_current_statistics

    network = with_current_statistics(model) if description.statistics == "current" else folded(model)
    if bool(tile_normalizations(network)) != description.tile_dependent:
        raise ValueError(
            f"The network does not have the layers of {description.normalization!r} normalisation with "
            f"{description.statistics} statistics, which its description names."
        )
    return network


def _write_graph(networks: Sequence[Any], description: ModelDescription, folder: Path) -> None:
    import tensorflow as tf

    from keras_unet3d.serving.intensity_graph import intensity_graph
    from keras_unet3d.serving.mean_graph import summed_probabilities
    from keras_unet3d.serving.variables import members_variables
    from keras_unet3d.serving.volume_graph import segment_volume_graph

    if description.tile is None:
        raise ValueError("The description has no tile.")
    channels = len(description.channels)
    scheme, rule = description.scheme, description.intensities
    label_values = scheme.label_values(np.arange(len(scheme.values)))
    segment = segment_volume_graph(networks, description.size, description.tile, label_values, rule)
    volume = tf.TensorSpec([None, None, None, channels], tf.float32, name="image")
    tiles = tf.TensorSpec([None, None, None, None, channels], tf.float32, name="image")
    intensities = tf.TensorSpec([None, channels, 2], tf.float32, name="intensity")
    numbers = tf.TensorSpec([None], tf.float32, name="batch")

    def segment_volume(image: Any) -> dict[str, Any]:
        return {"labels": segment(image)}

    def serving_default(image: Any, intensity: Any) -> dict[str, Any]:
        tile = rule.normalised(image, intensity, tf.clip_by_value)
        frozen = [partial(network, training=False) for network in networks]
        return {"probabilities": summed_probabilities(frozen, tile) / len(frozen)}

    def intensity(image: Any) -> dict[str, Any]:
        return {"intensity": intensity_graph(image, rule)}

    def describe(batch: Any) -> dict[str, Any]:
        # The file lies on the server's disk. An input, as TensorFlow Serving refuses signatures without one, and along
        # a batch, as it merges requests along their first axis.
        return {"description": tf.fill(tf.shape(batch), description.model_dump_json())}

    # Not Keras' ExportArchive: it stores every variable twice.
    module = tf.Module()
    module.weights = members_variables(networks)
    signatures = {
        "serving_default": tf.function(serving_default, [tiles, intensities], autograph=False),
        "segment_volume": tf.function(segment_volume, [volume], autograph=False),
        "intensity": tf.function(intensity, [volume], autograph=False),
        "describe": tf.function(describe, [numbers], autograph=False),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def _try(folder: Path, networks: Sequence[Any]) -> None:
    """Load what was written as a user will, ask every signature about a tiny volume, and compare with the networks."""
    import keras

    from keras_unet3d.serving.saved_model import load_model

    written = load_model(folder)
    rule = written.description.intensities
    image = np.random.default_rng(0).normal(1000, 300, (2, 3, 4, len(written.description.channels))).astype(np.float32)
    for number, window in rule.windows.items():  # as many values on both sides of its bounds as between them
        image[..., number] = np.linspace(2 * window.low - window.high, 2 * window.high - window.low, 24).reshape(
            2, 3, 4
        )
    axes = one_tile(image.shape, written.geometry).axes
    read = Box.at([axis.read_start(0) for axis in axes], [axis.tile for axis in axes])
    kept = Box.at([axis.crop_start(0) for axis in axes], image.shape[:3]).slices
    tile, intensity = read_mirrored(image, read)[None], rule.of(image)

    def probabilities(models: Sequence[Any]) -> NDArray[np.float32]:
        """Of each model."""
        logits = [model(rule.normalised(tile, intensity[None]), training=False) for model in models]
        return np.stack([np.asarray(keras.ops.softmax(each)) for each in logits])

    of_each = probabilities(networks)
    expected = of_each.mean(axis=0)
    best = np.sort(expected[0][kept], axis=-1)
    sure = best[..., -1] - best[..., -2] > 1e-4
    labels = written.description.scheme.label_values(expected[0][kept].argmax(axis=-1))
    same = (
        np.allclose(probabilities(written.networks), of_each, atol=1e-4)
        and np.allclose(written.probabilities(tile, intensity[None]), expected, atol=1e-4)
        and np.allclose(written.served_intensity(image), intensity, rtol=1e-4)
        and (written.segment_volume(image) == labels)[sure].all()
        and parse_description(written.served_description(), str(folder)) == written.description
    )
    if not same:
        raise WorkError(
            f"{folder.parent}: the exported model does not give what the network gives; nothing was published."
        )
    try_warm_up(folder, written.description, written.ask)
