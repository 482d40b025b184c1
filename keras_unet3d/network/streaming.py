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

from keras_unet3d.network.statistics import scale_and_shift

Moments = Mapping[str, tuple[Any, Any]]
"""Mean and variance of each channel, by the name of the normalisation that they are for."""

Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Gives a function of planes back, compiled for planes of any size."""


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
        compiled: Compiler = lambda function: function,
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
        scales: dict[str, int] = {}
        self._steps: list[_Step] = []
        self.normalizations: list[str] = []
        for layer in model.layers:
            names[id(layer.output)] = layer.name
            if isinstance(layer, layers.InputLayer):
                self._input = layer.name
                scales[layer.name] = 1
                continue
            sources = layer.input if isinstance(layer.input, list) else [layer.input]
            if isinstance(layer, layers.GroupNormalization):
                self.normalizations.append(layer.name)
            self._add(layer, [names[id(source)] for source in sources], scales)
        for step in self._steps:
            step.function = compiled(step.function) if step.compiled else step.function
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

    def _add(self, layer: Any, inputs: list[str], scales: dict[str, int]) -> None:
        """Append a step, or let the step before do what works on every voxel by itself."""
        step = self._step(layer, inputs)
        step.scale = scales[inputs[0]]
        comes_up = isinstance(layer, layers.Conv3DTranspose)
        scales[layer.name] = step.scale // layer.strides[0] if comes_up else step.scale * step.group
        before = next((each for each in self._steps if each.name == inputs[0]), None)
        joins = isinstance(layer, layers.ReLU | layers.BatchNormalization) and before is not None and before.compiled
        if joins and before is not None:
            first, second = before.function, step.function
            before.function = lambda planes, *rest: second(first(planes, *rest))
            before.name = step.name
        else:
            self._steps.append(step)

    def _step(self, layer: Any, inputs: list[str]) -> "_Step":
        step = _Step(layer.name, inputs, ops.relu)
        match layer:
            case layers.Conv3D() if layer.strides == (1, 1, 1):
                step.window, *_ = layer.kernel_size
                if layer.padding == "same":
                    step.border, *step.sides = (length // 2 for length in layer.kernel_size)
                step.function = self._convolution(layer)
            case layers.Conv3DTranspose() if layer.strides == layer.kernel_size:
                step.function = self._transposed(layer)
            case layers.MaxPooling3D() if layer.strides == layer.pool_size:
                step.group, step.function = layer.pool_size[0], _pooled(layer.pool_size)
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

    def _convolution(self, layer: Any) -> Callable[[Any], Any]:
        def convolve(planes: Any) -> Any:
            # `add`, not `+`: TensorFlow then computes convolution, bias and ReLU as one.
            return ops.add(ops.conv(planes, self._kernel(layer)), ops.cast(layer.bias, self._dtype))

        return convolve

    def _transposed(self, layer: Any) -> Callable[[Any], Any]:
        return lambda planes: ops.conv_transpose(planes, self._kernel(layer), strides=layer.strides)

    def _kernel(self, layer: Any) -> Any:
        kernel = ops.cast(layer.kernel, self._dtype)
        return ops.flip(kernel, axis=self._mirrored) if self._mirrored else kernel

    def _frozen(self, layer: Any) -> Callable[[Any], Any]:
        return lambda planes: self._scaled(planes, *scale_and_shift(layer, layer.moving_mean, layer.moving_variance))

    def _fixed(self, layer: Any) -> Callable[..., Any]:
        def normalise(planes: Any, mean: Any, variance: Any) -> Any:
            return self._scaled(planes, *scale_and_shift(layer, mean, variance))

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
        scale: planes of the tile that one plane of its input comes of.
        window: planes that give one plane.
        border: planes of zeros before the first and after the last.
        sides: zeros at both ends of y and x, as a convolution wants them.
        group: planes that are taken together.
        lead: planes that are left out at the start.
        compiled: whether the function is worth compiling.
        normalization: name of the layer whose moments the function needs.
    """

    name: str
    inputs: list[str]
    function: Callable[..., Any]
    scale: int = 1
    window: int = 1
    border: int = 0
    sides: Sequence[int] = (0, 0)
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
        self._queues = {step.name: [_Queue() for _ in step.inputs] for step in steps}
        self._readers: dict[str, list[_Queue]] = {}
        for step in steps:
            for name, queue in zip(step.inputs, self._queues[step.name], strict=True):
                self._readers.setdefault(name, []).append(queue)
        self._to_leave_out = {step.name: step.lead for step in steps}
        self._begun: set[str] = set()
        self._closed: set[str] = set()
        self._ended: set[str] = set()
        self._portion = 1
        self._ready: list[Any] = []

    def push(self, planes: Any, *, last: bool = False) -> Any | None:
        """Let the next planes in, and what has become ready out.

        No layer takes more planes at a time than have come at once, those of coarser levels as many fewer: also at the
        end, when a zero-padded network gives all that had to wait for the last plane.

        Args:
            planes: normalised ``(1, z, y, x, channel)``, any number along z.
            last: whether the tile ends with them.

        Returns:
            Logits ``(1, z, y, x, class)`` of the next planes of the tile's output; None where none is ready.
        """
        self._portion = max(self._portion, planes.shape[1])
        self._hand_on(self._source, ops.cast(planes, self._dtype))
        del planes
        if last:
            self._ended.add(self._source)
        while self._round():
            pass
        ready, self._ready = self._ready, []
        if len(ready) > 1:
            return ops.concatenate(ready, axis=1)
        return ready[0] if ready else None

    def _round(self) -> bool:
        """Let every step take a portion; whether any could, or has come to its end."""
        moved = False
        for step in self._steps:
            if step.name in self._ended:
                continue
            upstream_ended = all(name in self._ended for name in step.inputs)
            taken = self._advance(step, last=upstream_ended)
            if not taken and upstream_ended:
                self._ended.add(step.name)
            moved = moved or taken or upstream_ended
        return moved

    def _hand_on(self, name: str, planes: Any) -> None:
        for queue in self._readers.get(name, ()):
            queue.append(planes)
        if name == self._output:
            self._ready.append(planes)

    def _advance(self, step: _Step, *, last: bool) -> bool:
        """Let a step take a portion of what waits for it; whether there was enough."""
        queues = self._queues[step.name]
        if step.border:
            self._pad(step, queues[0], last=last)
        if step.lead:
            self._to_leave_out[step.name] -= queues[0].leave_out(self._to_leave_out[step.name])
        portion = max(self._portion // step.scale, 1) + step.window - 1
        available = min(queue.planes for queue in queues)
        taken = min(available, max(portion, step.group)) // step.group * step.group
        if taken < step.window:
            return False
        inputs = [queue.take(taken, keep=step.window - 1) for queue in queues]
        if any(step.sides):  # not in the function, where TensorFlow's fused padding takes more time and memory
            y, x = ((side, side) for side in step.sides)
            inputs.append(ops.pad(inputs.pop(), [(0, 0), (0, 0), y, x, (0, 0)]))
        if step.normalization:
            result = step.function(inputs.pop(), *self._moments[step.normalization])
        else:
            result = step.function(*inputs)
        del inputs
        self._hand_on(step.name, result)
        return True

    def _pad(self, step: _Step, queue: "_Queue", *, last: bool) -> None:
        """Put zeros before the first plane and after the last."""
        if queue.planes and step.name not in self._begun:
            self._begun.add(step.name)
            queue.prepend_zeros(step.border)
        if last and step.name not in self._closed:
            self._closed.add(step.name)
            queue.append_zeros(step.border)


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


def _pooled(factors: tuple[int, int, int]) -> Callable[[Any], Any]:
    return lambda planes: ops.max_pool(planes, factors, strides=factors)


def _joined(*parts: Any) -> Any:
    return ops.concatenate(parts, axis=-1)


def _cropped(sides: Sequence[tuple[int, int]]) -> Callable[[Any], Any]:
    """Crop y and x; along z, planes are left out instead."""
    y, x = (slice(low, -high or None) for low, high in sides)
    return lambda planes: planes[:, :, y, x]
