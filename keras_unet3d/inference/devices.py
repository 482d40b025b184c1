"""What computes: this processor, or every GPU; and what it can."""

from collections.abc import Sequence
from pathlib import Path

from keras_unet3d.network.work import Precision

_AMPERE = (8, 0)
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def devices() -> tuple[str | None, ...]:
    """Names of all GPUs; one None, for the processor, where there is none."""
    import tensorflow as tf

    return tuple(gpu.name for gpu in tf.config.list_logical_devices("GPU")) or (None,)


def gpu_memory() -> int | None:
    """Bytes that TensorFlow may take on the smallest GPU; None without one, or where it does not say."""
    import tensorflow as tf
    from tensorflow.python.client import device_lib

    try:
        limits = [each.memory_limit for each in device_lib.list_local_devices() if each.device_type == "GPU"]
    except (tf.errors.OpError, RuntimeError):  # some are hidden, or cannot be used
        return None
    return min(limits, default=None)


def has_bfloat16(names: Sequence[str | None], cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether these devices compute in bfloat16 faster than in float32.

    Processors with AVX512-BF16 or AMX, which only Linux tells of, and NVIDIA GPUs since Ampere.
    """
    if names != (None,):
        import tensorflow as tf

        details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
        return all(each.get("compute_capability", (0, 0)) >= _AMPERE for each in details)
    try:
        flags = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return bool(_BFLOAT16_FLAGS & set(flags.split()))


def chosen_precision(asked: Precision | str, *, agrees: bool, names: Sequence[str | None]) -> Precision:
    """The precision of a segmentation: as asked; ``"auto"`` is bfloat16 where it is faster and was seen to agree."""
    if asked == "auto":
        return "bfloat16" if agrees and has_bfloat16(names) else "float32"
    return "float32" if asked == "float32" else "bfloat16"
