"""Training on the CPU is set up to be repeatable, where it still can be."""

from types import SimpleNamespace

import tensorflow as tf
from tensorflow.python.client import device_lib

from keras_unet3d.inference.devices import gpu_memory
from keras_unet3d.training.runtime import prepare_runtime

SETS_UP = """
from keras_unet3d.training.runtime import prepare_runtime
machines = [prepare_runtime(), prepare_runtime()]
import tensorflow as tf
threads = tf.config.threading.get_inter_op_parallelism_threads()
print([machine[:2] for machine in machines], threads, float(tf.reduce_sum(tf.ones(3))))
"""


def test_operations_follow_one_another(run_alone):
    assert run_alone(SETS_UP).strip() == "[(False, 1), (False, 1)] 1 3.0"


def test_where_tensorflow_runs_already_nothing_breaks():
    assert float(tf.reduce_sum(tf.ones(3))) == 3
    assert prepare_runtime()[:2] == (False, 1)


def test_on_gpus_it_may_take_what_tensorflow_takes_of_the_smallest(monkeypatch):
    found = [("CPU", 1), ("GPU", 8e9), ("GPU", 6e9)]
    local = [SimpleNamespace(device_type=kind, memory_limit=limit) for kind, limit in found]
    monkeypatch.setattr(device_lib, "list_local_devices", lambda: local)
    assert gpu_memory() == 6e9
    local.clear()  # what cannot be used is not listed
    assert gpu_memory() is None

    def hidden():
        raise RuntimeError("no such GPU")

    monkeypatch.setattr(device_lib, "list_local_devices", hidden)
    assert gpu_memory() is None


def test_on_a_cpu_a_step_may_take_most_of_what_is_free(monkeypatch):
    monkeypatch.setattr("keras_unet3d.training.runtime.free_memory", lambda: 4_000_000_000)
    assert prepare_runtime().memory == 3_000_000_000
