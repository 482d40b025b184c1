"""Training on the CPU is set up to be repeatable, where it still can be."""

import math
from types import SimpleNamespace

import pytest
import tensorflow as tf
from tensorflow.python.client import device_lib

from keras_unet3d.training.runtime import _gpu_memory, prepare_runtime

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


@pytest.mark.parametrize(("devices", "memory"), [("one", 8e9), ("all", 6e9)])
def test_on_gpus_it_may_take_what_tensorflow_takes_of_them(monkeypatch, devices, memory):
    found = [("CPU", 1), ("GPU", 8e9), ("GPU", 6e9)]
    local = [SimpleNamespace(device_type=kind, memory_limit=limit) for kind, limit in found]
    monkeypatch.setattr(device_lib, "list_local_devices", lambda: local)
    assert _gpu_memory(devices) == memory
    local.clear()  # what cannot be used is not listed
    assert _gpu_memory(devices) == math.inf


def test_on_a_cpu_a_step_may_take_most_of_what_is_free(monkeypatch):
    monkeypatch.setattr("keras_unet3d.training.runtime.free_memory", lambda: 4_000_000_000)
    assert prepare_runtime().memory == 3_000_000_000
