"""How TensorFlow is set up for training."""

from typing import NamedTuple

from keras_unet3d.inference.budget import SHARE, free_memory
from keras_unet3d.training.settings import Devices


class Machine(NamedTuple):
    """What training runs on.

    Attributes:
        has_gpu: whether TensorFlow sees a GPU here.
        devices: that share each step, those of other machines too.
        memory: bytes that a step may take on one of them: what a GPU has, or most of what is free here.
    """

    has_gpu: bool
    devices: int
    memory: int


def prepare_runtime(devices: Devices = "one") -> Machine:
    """Make training on one CPU repeatable, where TensorFlow has not been used yet in this process.

    With one thread between operations (each still uses all cores) runs are identical to the last bit, at the same
    speed; with more they are not, even where TensorFlow is asked for determinism. Devices that wait for one another
    need more.

    Args:
        devices: that are wanted; none is joined yet.

    Raises:
        InputError: if the variables that name other machines cannot be used.
    """
    import tensorflow as tf

    from keras_unet3d.training.crew import count_devices

    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    memory = _gpu_memory() if has_gpu else int(SHARE * free_memory())
    machine = Machine(has_gpu, count_devices(devices), memory)
    if not has_gpu and machine.devices == 1 and tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:  # TensorFlow runs already, as in a notebook: training works, its last bits may vary
            return machine
    return machine


def _gpu_memory() -> int:
    """Bytes that TensorFlow takes of the smallest GPU."""
    from tensorflow.python.client import device_lib

    return int(min(each.memory_limit for each in device_lib.list_local_devices() if each.device_type == "GPU"))
