import subprocess
import sys

SAID = """
import sys
sys.ps1 = ">>> "  # as in a notebook, where TensorFlow logs more
import keras_unet3d as unet3d
assert "tensorflow" not in sys.modules
unet3d.quiet_tensorflow()
import tensorflow
tensorflow.get_logger().warning("of no use")
tensorflow.get_logger().error("of use")
"""


def test_nothing_is_said_but_errors():
    done = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    assert "of use" in said
    assert "of no use" not in said
    assert "oneDNN" not in said
