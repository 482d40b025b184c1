"""The forward pass as training computes it: the layers of the network, for less memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers

_WEIGHTED = (layers.Conv3D, layers.Conv3DTranspose)
_LEVEL_ENDS = (
    layers.MaxPooling3D,
    layers.Cropping3D,
    layers.Conv3DTranspose,
    layers.Concatenate,
)

Run = Callable[..., Sequence[Any]]
"""From the tensors that some layers read to those that others read of them."""


def training_forward(model: keras.Model, *, recompute: bool = False) -> Callable[[Any], Any]:
    """The same logits and gradients as of ``model(image, training=True)``, for less memory.

    What comes back for a cropped skip is added to what comes back from the pooling beside it: nothing of the size of
    the level is made of it.

    Args:
        model: functional, of `build_unet3d`.
        recompute: gradient checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost"): hold what
            passes from level to level and across the skips, and compute a level again when its gradients are due; even
            then hold only what its convolutions return. Up to a third more work; nothing changes but rounding.

    Returns:
        From ``(batch, z, y, x, channel)`` to logits, within a gradient tape or without.
    """
    whole = _Part(model.layers[1:], [id(model.input)], [id(model.output)], weights_first=recompute)
    if not recompute:
        return lambda image: whole(image)[0]
    levels = _cut(whole, _LEVEL_ENDS)
    runs: list[Run] = []
    for level in levels:
        if isinstance(level.layers[0], layers.Concatenate):  # nothing but what it returns is held
            runs.append(level)
            continue
        pieces = _cut(level, (*_LEVEL_ENDS, layers.Conv3D))
        run = _chain(level, pieces, map(_computed_again, pieces))
        # Of the last level the gradients are due at once.
        runs.append(run if level is levels[-1] else _computed_again(run))
    checkpointed = _chain(whole, levels, runs)
    return lambda image: checkpointed(image)[0]


@dataclass(frozen=True, eq=False)
class _Part:
    """Some layers of a network, called as a `Run`.

    Attributes:
        layers: in their order.
        inputs: Keras tensors that they read of others, by their id.
        outputs: Keras tensors that others read of them, by their id.
        weights_first: see `_weights_first`.
    """

    layers: list[keras.layers.Layer]
    inputs: list[int]
    outputs: list[int]
    weights_first: bool

    def __call__(self, *inputs: Any) -> list[Any]:
        """Layer by layer."""
        crops = {id(layer.input): layer for layer in self.layers if isinstance(layer, layers.Cropping3D)}
        known = dict(zip(self.inputs, inputs, strict=True))
        for layer in self.layers:
            if id(layer.output) in known:
                continue
            values = [known[each] for each in _inputs(layer)]
            made = id(layer.output)
            if self.weights_first and isinstance(layer, _WEIGHTED):
                known[made] = _weights_first(layer)(*values)
            else:
                known[made] = layer(values if len(values) > 1 else values[0], training=True)
            if made in crops:
                known[made], known[id(crops[made].output)] = _with_crop(known[made], crops[made].cropping)
        return [known[each] for each in self.outputs]


def _cut(part: _Part, ends: tuple[type[keras.layers.Layer], ...]) -> list[_Part]:
    """Cut behind layers of some types, and before skips join; in an order in which the parts can be computed."""
    groups: list[list[keras.layers.Layer]] = []
    group_of: dict[int, list[keras.layers.Layer]] = {}
    for layer in part.layers:
        home = group_of.get(_inputs(layer)[0])
        if home is None or isinstance(layer, layers.Concatenate):
            groups.append(home := [])
        home.append(layer)
        if not isinstance(layer, ends):
            group_of[id(layer.output)] = home
    parts = []
    for group in groups:
        made = [id(layer.output) for layer in group]
        read = dict.fromkeys(each for layer in group for each in _inputs(layer) if each not in made)
        elsewhere = {each for layer in part.layers if layer not in group for each in _inputs(layer)}
        outputs = [each for each in made if each in elsewhere or each in part.outputs]
        parts.append(_Part(group, list(read), outputs, part.weights_first))
    return parts


def _chain(whole: _Part, parts: Sequence[_Part], runs: Iterable[Run]) -> Run:
    """One run of many, each of a part."""
    pairs = list(zip(parts, runs, strict=True))

    def chained(*inputs: Any) -> list[Any]:
        known = dict(zip(whole.inputs, inputs, strict=True))
        for part, run in pairs:
            known.update(zip(part.outputs, run(*(known[each] for each in part.inputs)), strict=True))
        return [known[each] for each in whole.outputs]

    return chained


def _computed_again(run: Run) -> Run:
    """The same, holding nothing but the inputs until gradients are due."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def checkpointed(*inputs: Any) -> Any:
        def gradient(*of_outputs: Any, variables: Any = None) -> Any:
            with tf.control_dependencies(of_outputs):  # not before they are due
                again = [tf.identity(each) for each in inputs]
            with tf.GradientTape() as tape:
                tape.watch(again)
                outputs = run(*again)
            found = tape.gradient(outputs, [*again, *(variables or [])], output_gradients=list(of_outputs))
            return found[: len(again)], found[len(again) :]

        return run(*inputs), gradient

    return checkpointed  # type: ignore[no-any-return]


def _weights_first(layer: keras.layers.Layer) -> Callable[[Any], Any]:
    """The same layer, whose input's gradient is computed after those of its weights.

    Nothing waits for these, and TensorFlow would compute many of them last; and hold what they need until then.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def call(values: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(values)
            output = layer(values, training=True)

        def gradient(of_output: Any, variables: Any = None) -> Any:
            weights = list(variables or [])
            of_weights = tape.gradient(output, weights, output_gradients=of_output)
            with tf.control_dependencies(of_weights):
                of_output = tf.identity(of_output)
            return tape.gradient(output, values, output_gradients=of_output), of_weights

        return output, gradient

    return call  # type: ignore[no-any-return]


def _with_crop(whole: Any, cropping: Sequence[tuple[int, int]]) -> tuple[Any, Any]:
    """A tensor ``(batch, z, y, x, channel)`` and its crop, whose gradients are added in place."""
    edges = [(0, 0), *((before, -after) for before, after in cropping), (0, 0)]
    inside = tuple(slice(before, end or None) for before, end in edges)
    begin, end = zip(*edges, strict=True)
    whole_axes = sum(1 << axis for axis, edge in enumerate(edges) if edge == (0, 0))  # batch, channels, z in 2D

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def both(whole: Any) -> Any:
        def gradient(of_whole: Any, of_crop: Any) -> Any:
            return tf.raw_ops.TensorStridedSliceUpdate(
                input=of_whole,
                begin=begin,
                end=end,
                strides=[1] * len(inside),
                value=of_whole[inside] + of_crop,
                begin_mask=whole_axes,
                end_mask=whole_axes,
            )

        return (tf.identity(whole), whole[inside]), gradient

    of_whole, of_crop = both(whole)
    return of_whole, of_crop


def _inputs(layer: keras.layers.Layer) -> list[int]:
    return [id(each) for each in (layer.input if isinstance(layer.input, list) else [layer.input])]
