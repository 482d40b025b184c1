"""Arrays as TensorFlow's messages hold them."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.serving.protocol import FLOAT, STRING, message


def as_tensor(array: NDArray[np.float32]) -> Any:
    """A message of float32 numbers, as their bytes, which takes no loop over them."""
    shape = message("Shape", dim=[message("Dimension", size=length) for length in array.shape])
    content = np.ascontiguousarray(array, "<f4").tobytes()
    return message("Tensor", dtype=FLOAT, tensor_shape=shape, tensor_content=content)


def constant_tensor(number: float, shape: tuple[int, ...]) -> Any:
    """A message of equal float32 numbers: TensorFlow repeats the last of those that it is told."""
    dimensions = message("Shape", dim=[message("Dimension", size=length) for length in shape])
    return message("Tensor", dtype=FLOAT, tensor_shape=dimensions, float_val=[np.array(number, "<f4").tobytes()])


def as_array(tensor: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Float32 numbers, in whichever of the two forms they came: as bytes, or one by one, as the server does by default.

    Raises:
        ValueError: if they are no float32 numbers, not of this shape, or not as many as it says.
    """
    found = tuple(each.size for each in tensor.tensor_shape.dim)
    if tensor.dtype != FLOAT:
        raise ValueError(f"Expected float32 numbers. Received: TensorFlow's type {tensor.dtype}")
    if found != shape:
        raise ValueError(f"Expected numbers of shape {shape}. Received: {found}")
    numbers = np.frombuffer(tensor.tensor_content or b"".join(tensor.float_val), "<f4")
    if 0 < len(numbers) < prod(shape) and not tensor.tensor_content:  # the last stands for all that are left out
        numbers = np.pad(numbers, (0, prod(shape) - len(numbers)), mode="edge")
    if len(numbers) != prod(shape):
        raise ValueError(f"Expected {prod(shape)} numbers of shape {shape}. Received: {len(numbers)}")
    return numbers.astype(np.float32, copy=False).reshape(shape)


def as_text(tensor: Any) -> bytes:
    """The only string of a tensor, in whichever form it came.

    Raises:
        ValueError: if it does not hold one string.
    """
    if tensor.dtype != STRING or [each.size for each in tensor.tensor_shape.dim] != [1]:
        raise ValueError(f"Expected one string. Received: TensorFlow's type {tensor.dtype}")
    if tensor.string_val:
        return bytes(tensor.string_val[0])
    content = bytes(tensor.tensor_content)  # its length in groups of 7 bits, the last below 128, and the string
    length = next((place for place, byte in enumerate(content, 1) if byte < 128), 0)
    return content[length:]
