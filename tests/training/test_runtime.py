"""Training on the CPU is set up to be repeatable, where it still can be."""

import tensorflow as tf

from keras_unet3d.training.runtime import prepare_runtime

SETS_UP = """
from keras_unet3d.training.runtime import prepare_runtime
machines = [prepare_runtime(), prepare_runtime()]
import tensorflow as tf
print(machines, tf.config.threading.get_inter_op_parallelism_threads(), float(tf.reduce_sum(tf.ones(3))))
"""


def test_operations_follow_one_another(run_alone):
    assert run_alone(SETS_UP).strip() == "[Machine(has_gpu=False, devices=1), Machine(has_gpu=False, devices=1)] 1 3.0"


def test_where_tensorflow_runs_already_nothing_breaks():
    assert float(tf.reduce_sum(tf.ones(3))) == 3
    assert prepare_runtime() == (False, 1)
