"""How TensorFlow is set up for training."""

from typing import NamedTuple

from keras_unet3d.training.settings import Devices


class Machine(NamedTuple):
    """What training runs on.

    Attributes:
        has_gpu: whether TensorFlow sees a GPU here.
        devices: that share each step, those of other machines too.
    """

    has_gpu: bool
    devices: int


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

    machine = Machine(bool(tf.config.list_physical_devices("GPU")), count_devices(devices))
    if machine == (False, 1) and tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:  # TensorFlow runs already, as in a notebook: training works, its last bits may vary
            return machine
    return machine
