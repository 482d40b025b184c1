"""How TensorFlow is set up for training."""


def prepare_runtime() -> bool:
    """Make training on the CPU repeatable, where TensorFlow has not been used yet in this process.

    With one thread between operations (each still uses all cores) runs are identical to the last bit, at the same
    speed; with more they are not, even where TensorFlow is asked for determinism.

    Returns:
        Whether TensorFlow sees a GPU.
    """
    import tensorflow as tf

    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if not has_gpu and tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:  # TensorFlow runs already, as in a notebook: training works, its last bits may vary
            return has_gpu
    return has_gpu
