"""How TensorFlow is set up for training."""

from contextlib import suppress
from math import inf
from typing import NamedTuple

from keras_unet3d.inference.budget import SHARE, free_memory
from keras_unet3d.training.settings import Devices


class Machine(NamedTuple):
    """What training runs on.

    Attributes:
        has_gpu: whether TensorFlow sees a GPU here.
        devices: that share each step, those of other machines too.
        memory: bytes that a step may take on one of them: what TensorFlow takes of a GPU, or most of what is free here;
            infinite where TensorFlow does not say. Machines that share a step are taken to be alike.
    """

    has_gpu: bool
    devices: int
    memory: float


def prepare_runtime(devices: Devices = "one") -> Machine:
    """Make training on one CPU repeatable, where TensorFlow has not been used yet in this process.

    With one thread between operations (each still uses all cores) runs are identical to the last bit, at the same
    speed; with more they are not, even where TensorFlow is asked for determinism. Devices that wait for one another
    need more. (Two runs are alike only if memory sufficed, or did not, for both: see the setting ``recompute``.)

    Args:
        devices: that are wanted; none is joined yet.

    Raises:
        InputError: if the variables that name other machines cannot be used.
    """
    import tensorflow as tf

    from keras_unet3d.training.crew import count_devices

    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    memory = _gpu_memory(devices) if has_gpu else SHARE * free_memory()
    machine = Machine(has_gpu, count_devices(devices), memory)
    if not has_gpu and machine.devices == 1 and tf.config.threading.get_inter_op_parallelism_threads() != 1:
        # Where TensorFlow runs already, as in a notebook, training works, and its last bits may vary.
        with suppress(RuntimeError):
            tf.config.threading.set_inter_op_parallelism_threads(1)
    return machine


def _gpu_memory(devices: Devices) -> float:
    """Bytes that TensorFlow takes of a GPU: of the first, or of the smallest."""
    import tensorflow as tf
    from tensorflow.python.client import device_lib

    try:
        found = [each.memory_limit for each in device_lib.list_local_devices() if each.device_type == "GPU"]
    except (tf.errors.OpError, RuntimeError):  # some GPUs are hidden, or cannot be used; nothing depends on this
        return inf
    return min(found[:1] if devices == "one" else found, default=inf)
