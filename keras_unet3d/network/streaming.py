"""A 3D U-Net computed plane by plane along z: nothing twice, and no layer's features held as a whole.

Every layer works as soon as the planes that it needs have come, and keeps only those that it needs again: a 3×3×3
convolution its last two, a skip connection those that wait for the coarser levels (40, 16 and 4 planes in the
paper's network). The result is that of the whole tile, bit for bit where the backend sums in the same order; memory
does not depend on how many planes there are.

Plain Keras, so that it runs on every backend.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

Moments = Mapping[str, tuple[Any, Any]]
"""Mean and variance of each channel, by the name of the normalisation that they are for."""

Compiler = Callable[[Callable[..., Any], int], Callable[..., Any]]
"""Takes a function of planes, and the channels of those; gives the same function, compiled."""


class StreamedNetwork:
    """The steps of a functional network, ready to be started for any number of tiles.

    Attributes:
        normalizations: names of those layers that normalise by the statistics of what they are given, in order.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        dtype: str = "float32",
        mirrored: Sequence[int] = (),
        compiled: Compiler = lambda function, _: function,
    ) -> None:
        """Take a network of `build_unet3d`; its weights are read at every step.

        Args:
            model: functional, of built-in layers, from ``(batch, z, y, x, channel)``, sizes of None.
            dtype: of the features; weights are cast to it.
            mirrored: axes (0, 1, 2 for z, y, x) along which all kernels are mirrored: the result is that of the
                network for a mirrored tile, mirrored back.
            compiled: compiles the steps.

        Raises:
            ValueError: if a layer is none that can be streamed.
        """
        self._dtype = dtype
        self._mirrored = tuple(axis for axis in mirrored)
        names: dict[int, str] = {}
        self._steps: list[_Step] = []
        self.normalizations: list[str] = []
        for layer in model.layers:
            names[id(layer.output)] = layer.name
            if isinstance(layer, layers.InputLayer):
                self._input = layer.name
                continue
            sources = layer.input if isinstance(layer.input, list) else [layer.input]
            if isinstance(layer, layers.GroupNormalization):
                self.normalizations.append(layer.name)
            self._add(layer, [names[id(source)] for source in sources])
        for step in self._steps:
            step.function = compiled(step.function, step.channels) if step.compiled else step.function
        self._output = names[id(model.output)]

    def start(self, moments: Moments | None = None, until: str | None = None) -> "Stream":
        """Begin a tile.

        Args:
            moments: for the normalisations that are computed; for all that `normalizations` names, unless `until`.
            until: the normalisation whose input is wanted instead of logits.
        """
        steps, output = self._steps, self._output
        if until is not None:
            end = next(index for index, step in enumerate(steps) if step.normalization == until)
            output = steps[end].inputs[0]
            steps = _needed(steps[:end], output)
        return Stream(steps, self._input, output, self._dtype, moments or {})

    def _add(self, layer: Any, inputs: list[str]) -> None:
        """Append a step, or let the step before do what works on every voxel by itself."""
        step = self._step(layer, inputs)
        before = next((each for each in self._steps if each.name == inputs[0]), None)
        joins = isinstance(layer, layers.ReLU | layers.BatchNormalization) and before is not None and before.compiled
        if joins and before is not None:
            first, second = before.function, step.function
            before.function = lambda planes, *rest: second(first(planes, *rest))
            before.name = step.name
        else:
            self._steps.append(step)

    def _step(self, layer: Any, inputs: list[str]) -> "_Step":
        channels = (layer.input[0] if isinstance(layer.input, list) else layer.input).shape[-1]
        step = _Step(layer.name, inputs, ops.relu, channels)
        match layer:
            case layers.Conv3D() if layer.strides == (1, 1, 1) and layer.kernel_size in ((3, 3, 3), (1, 1, 1)):
                step.window = layer.kernel_size[0]
                step.border = step.window // 2 if layer.padding == "same" else 0
                step.function = self._convolution(layer, step.border)
            case layers.Conv3DTranspose() if layer.strides == layer.kernel_size == (2, 2, 2):
                step.function = self._transposed(layer)
            case layers.MaxPooling3D() if layer.pool_size == (2, 2, 2):
                step.group, step.function = 2, _pooled
            case layers.Cropping3D():
                (step.lead, _), *sides = layer.cropping
                step.function, step.compiled = _cropped(sides), False
            case layers.Concatenate():
                step.function, step.compiled = _joined, False
            case layers.BatchNormalization():
                step.function = self._frozen(layer)
            case layers.GroupNormalization():
                step.function, step.normalization = self._fixed(layer), layer.name
            case layers.ReLU():
                pass
            case _:
                raise ValueError(f"A network with a layer {layer.name!r} ({type(layer).__name__}) cannot be streamed.")
        return step

    def _convolution(self, layer: Any, border: int) -> Callable[[Any], Any]:
        def convolve(planes: Any) -> Any:
            if border:  # along z, the stream pads
                planes = ops.pad(planes, [(0, 0), (0, 0), (border, border), (border, border), (0, 0)])
            # `add`, not `+`: TensorFlow then computes convolution, bias and ReLU as one.
            return ops.add(ops.conv(planes, self._kernel(layer)), ops.cast(layer.bias, self._dtype))

        return convolve

    def _transposed(self, layer: Any) -> Callable[[Any], Any]:
        return lambda planes: ops.conv_transpose(planes, self._kernel(layer), strides=2)

    def _kernel(self, layer: Any) -> Any:
        kernel = ops.cast(layer.kernel, self._dtype)
        return ops.flip(kernel, axis=self._mirrored) if self._mirrored else kernel

    def _frozen(self, layer: Any) -> Callable[[Any], Any]:
        return lambda planes: self._scaled(planes, *_scale(layer, layer.moving_mean, layer.moving_variance))

    def _fixed(self, layer: Any) -> Callable[..., Any]:
        def normalise(planes: Any, mean: Any, variance: Any) -> Any:
            return self._scaled(planes, *_scale(layer, mean, variance))

        return normalise

    def _scaled(self, planes: Any, scale: Any, shift: Any) -> Any:
        return planes * ops.cast(scale, self._dtype) + ops.cast(shift, self._dtype)


@dataclass
class _Step:
    """One or more layers, and what of their input has to wait for more.

    Attributes:
        name: of the last of the layers.
        inputs: names of the steps, or the input, whose planes it takes.
        function: of those planes.
        channels: of the first input.
        window: planes that give one plane.
        border: planes of zeros before the first and after the last.
        group: planes that are taken together.
        lead: planes that are left out at the start.
        compiled: whether the function is worth compiling.
        normalization: name of the layer whose moments the function needs.
    """

    name: str
    inputs: list[str]
    function: Callable[..., Any]
    channels: int
    window: int = 1
    border: int = 0
    group: int = 1
    lead: int = 0
    compiled: bool = True
    normalization: str = ""


class Stream:
    """A tile on its way through a network. Started by `StreamedNetwork.start`."""

    def __init__(self, steps: Sequence[_Step], source: str, output: str, dtype: str, moments: Moments) -> None:
        """Begin before the first plane."""
        self._steps = steps
        self._source, self._output, self._dtype = source, output, dtype
        self._moments = moments
        self._waiting: dict[str, list[_Queue]] = {step.name: [_Queue() for _ in step.inputs] for step in steps}
        self._to_leave_out = {step.name: step.lead for step in steps}
        self._begun: set[str] = set()
        self._last_use = {name: index for index, step in enumerate(steps) for name in step.inputs}

    def push(self, planes: Any, *, last: bool = False) -> Any | None:
        """Let the next planes in, and what has become ready out.

        Args:
            planes: normalised ``(1, z, y, x, channel)``, any number along z.
            last: whether the tile ends with them.

        Returns:
            Logits ``(1, z, y, x, class)`` of the next planes of the tile's output; None where none is ready.
        """
        ready = {self._source: ops.cast(planes, self._dtype)}
        del planes
        for index, step in enumerate(self._steps):
            queues = self._waiting[step.name]
            for name, queue in zip(step.inputs, queues, strict=True):
                if name in ready:
                    queue.append(ready[name] if self._last_use[name] > index else ready.pop(name))
            result = self._advance(step, queues, last=last)
            if result is not None:
                ready[step.name] = result
            del result  # or the features of this step would live through the next
        return ready.get(self._output)

    def _advance(self, step: _Step, queues: list["_Queue"], *, last: bool) -> Any | None:
        if step.border:
            if queues[0].planes and step.name not in self._begun:
                self._begun.add(step.name)
                queues[0].prepend_zeros(step.border)
            if last:
                queues[0].append_zeros(step.border)
        if step.lead:
            self._to_leave_out[step.name] -= queues[0].leave_out(self._to_leave_out[step.name])
        available = min(queue.planes for queue in queues)
        taken = available // step.group * step.group
        if taken < step.window:
            return None
        inputs = [queue.take(taken, keep=step.window - 1) for queue in queues]
        if step.normalization:
            return step.function(inputs.pop(), *self._moments[step.normalization])
        return step.function(*inputs)


class _Queue:
    """Planes of one tensor that wait, in the pieces in which they came."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self.planes = 0

    def append(self, piece: Any) -> None:
        self._pieces.append(piece)
        self.planes += piece.shape[1]

    def prepend_zeros(self, planes: int) -> None:
        self._pieces.insert(0, ops.zeros_like(self._pieces[0][:, :planes]))
        self.planes += planes

    def append_zeros(self, planes: int) -> None:
        self.append(ops.zeros_like(self._pieces[-1][:, :planes]))

    def leave_out(self, planes: int) -> int:
        """Drop up to so many planes from the front; how many were dropped."""
        planes = min(planes, self.planes)
        self._drop(planes)
        return planes

    def take(self, planes: int, keep: int = 0) -> Any:
        """The first planes, of which the last `keep` also stay."""
        pieces, missing = [], planes
        for piece in self._pieces:
            if missing:
                part = piece if piece.shape[1] <= missing else piece[:, :missing]
                pieces.append(part)
                missing -= part.shape[1]
        taken = pieces[0] if len(pieces) == 1 else ops.concatenate(pieces, axis=1)
        del pieces, piece, part  # what is kept below must be all that is left of the pieces
        self._drop(planes - keep)
        return taken

    def _drop(self, planes: int) -> None:
        self.planes -= planes
        while planes:
            size = self._pieces[0].shape[1]
            if size > planes:
                self._pieces[0] = self._pieces[0][:, planes:]
                return
            del self._pieces[0]
            planes -= size


def _needed(steps: Iterable[_Step], output: str) -> list[_Step]:
    """The steps that lead to an output."""
    wanted, needed = {output}, []
    for step in reversed(list(steps)):
        if step.name in wanted:
            wanted |= set(step.inputs)
            needed.append(step)
    return needed[::-1]


def _pooled(planes: Any) -> Any:
    return ops.max_pool(planes, 2)


def _joined(*parts: Any) -> Any:
    return ops.concatenate(parts, axis=-1)


def _cropped(sides: Sequence[tuple[int, int]]) -> Callable[[Any], Any]:
    """Crop y and x; along z, planes are left out instead."""
    y, x = (slice(low, -high or None) for low, high in sides)
    return lambda planes: planes[:, :, y, x]


def _scale(layer: Any, mean: Any, variance: Any) -> tuple[Any, Any]:
    """The factor and the summand per channel that a normalisation with given moments comes to."""
    scale = layer.gamma * ops.rsqrt(variance + layer.epsilon)
    return scale, layer.beta - mean * scale
