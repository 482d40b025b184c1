"""How TensorFlow is set up for training."""

from contextlib import suppress
from math import inf
from typing import NamedTuple

from keras_unet3d.inference.budget import SHARE, free_memory
from keras_unet3d.inference.devices import gpu_memory, has_bfloat16
from keras_unet3d.training.settings import Devices


class Machine(NamedTuple):
    """What training runs on.

    Attributes:
        has_gpu: whether TensorFlow sees a GPU here.
        devices: that share each step, those of other machines too.
        memory: bytes that a step may take on one of them: what TensorFlow takes of the smallest GPU, or most of what is
            free here; infinite where TensorFlow does not say. Machines that share a step are taken to be alike.
        bfloat16: whether they compute faster in it.
    """

    has_gpu: bool
    devices: int
    memory: float
    bfloat16: bool


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
    memory = gpu_memory() or inf if has_gpu else SHARE * free_memory()
    fast = has_bfloat16(("GPU",) if has_gpu else (None,))
    machine = Machine(has_gpu, count_devices(devices), memory, fast)
    if not has_gpu and machine.devices == 1 and tf.config.threading.get_inter_op_parallelism_threads() != 1:
        # Where TensorFlow runs already, as in a notebook, training works, and its last bits may vary.
        with suppress(RuntimeError):
            tf.config.threading.set_inter_op_parallelism_threads(1)
    return machine
