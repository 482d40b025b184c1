"""A network on its way through a tile; what it computes is tested where it is streamed and tiled."""

import numpy as np
import pytest
import tensorflow as tf

from keras_unet3d.errors import WorkError
from keras_unet3d.inference.network_predictor import NetworkStream


class NoMemory:
    """A stream that is refused memory, as where another program holds that of the GPU."""

    def push(self, planes, *, last):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def test_memory_that_does_not_suffice_is_said_with_a_way_out():
    stream = NetworkStream(NoMemory(), lambda planes: planes, lambda planes: planes, "GPU:1")
    planes = np.zeros((8, 100, 92, 1), np.float32)
    with pytest.raises(WorkError, match=r"The memory of GPU:1 did not suffice for planes of x=92 y=100 z=8.*--memory"):
        stream.push(planes)
