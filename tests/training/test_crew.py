"""Several devices, and several processes, learn what one does from the same batch."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.training.crew import Crew, count_devices, gather_crew

HERE = Path(__file__).parent

TRAINS = """
import json, os, sys
sys.path.insert(0, sys.argv[2])
from conftest import tiny_ball, tiny_settings
from keras_unet3d.annotation.labels import LabelScheme
from keras_unet3d.training.crew import Crew, gather_crew
from keras_unet3d.training.listener import Quiet
from pathlib import Path

folder, stops_at, logical = Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
import tensorflow as tf
if logical > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * logical)
    crew = Crew(tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(logical)]))
else:
    crew = gather_crew()
from keras_unet3d.training.trainer import Circumstances, Training

class Dies(Quiet):
    def step(self, report):
        if report.step == stops_at and crew.worker == crew.workers - 1:
            os._exit(7)

folder = folder if crew.writes else folder / "other worker"
folder.mkdir(parents=True, exist_ok=True)
assert crew.told("worker 0's µm" if crew.writes else "mine") == "worker 0's µm"
settings = tiny_settings(
    {"steps": 4, "batch_size": 2, "network.normalization": "batch", "optimizer.name": "sgd",
     "optimizer.momentum": 0.9, "optimizer.clip_norm": 0.5, **json.loads(sys.argv[5])}
)
scheme = LabelScheme((0, 1), ("dark", "bright"))
where = Circumstances(folder, Dies(), crew=crew)
trained = Training(settings, [tiny_ball()], [tiny_ball(seed=1)], scheme, (1.0, 2.0), where).run()
weights = [value.tolist() for value in trained.model.get_weights()]
print(json.dumps([weights, trained.state.step, trained.validation.overlap.matrix.tolist()]))
"""


def start(folder, *, stops_at=0, logical=1, environment=None, **changes):
    import os

    command = [sys.executable, "-c", TRAINS, str(folder), str(HERE), str(stops_at), str(logical)]
    command.append(json.dumps(changes))
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
    )


def cluster(workers):
    """What each of several workers on this machine finds in its environment."""
    with_ports = []
    sockets = [socket.socket() for _ in range(workers)]
    for each in sockets:
        each.bind(("localhost", 0))
        with_ports.append(f"localhost:{each.getsockname()[1]}")
    for each in sockets:
        each.close()
    tasks = ({"type": "worker", "index": index} for index in range(workers))
    return [{"TF_CONFIG": json.dumps({"cluster": {"worker": with_ports}, "task": task})} for task in tasks]


def result(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-3000:]
    weights, step, overlap = json.loads(out.splitlines()[-1])
    return [np.array(value) for value in weights], step, overlap


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return result(start(tmp_path_factory.mktemp("alone")))


def assert_same(found, expected):
    """To rounding: sums over devices are added up in another order."""
    (weights, step, overlap), (other_weights, other_step, other_overlap) = found, expected
    assert step == other_step == 4
    assert np.sum(overlap) == np.sum(other_overlap) > 0
    for value, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(value, other, atol=2e-4 * max(1.0, np.abs(other).max()))


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True])
def test_two_devices_of_a_process_learn_what_one_does(tmp_path, alone, recompute):
    assert_same(result(start(tmp_path, logical=2, recompute=recompute)), alone)


@pytest.mark.slow
def test_two_devices_and_two_parts_learn_what_one_device_does_at_once(tmp_path):
    """Of what is normalised by itself and has no Dice, which a part computes for itself; each makes its own images."""
    apart = {"batch_size": 4, "network.normalization": "instance", "loss.dice": 0.0}
    at_once = start(tmp_path / "1", **apart)
    in_parts = start(tmp_path / "2", logical=2, accumulate=2, augment_on="device", **apart)
    assert_same(result(in_parts), result(at_once))


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_one_that_dies_is_no_loss(tmp_path, alone):
    """The second worker dies in step 3; both are started again, and go on from the checkpoint."""
    dying = [start(tmp_path, stops_at=3, environment=each) for each in cluster(2)]
    _, err = dying[0].communicate(timeout=180)
    dying[1].communicate(timeout=60)
    assert dying[1].returncode == 7
    assert dying[0].returncode == 1
    assert "another worker has stopped" in err
    again = [start(tmp_path, environment=each) for each in cluster(2)]
    (first, *_), second = result(again[0]), result(again[1])
    for value, other in zip(first, second[0], strict=True):
        np.testing.assert_array_equal(value, other)
    assert_same((first, *second[1:]), alone)


def test_without_a_cluster_there_is_one_device(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    crew = gather_crew("all")
    assert (crew.devices, crew.devices_here, crew.worker, crew.workers, crew.writes) == (1, 1, 0, 1, True)
    assert count_devices("all") == count_devices("one") == 1
    assert crew.agreed([3, 0.5]) == crew.summed([3, 0.5]) == [3.0, 0.5]
    assert crew.spread([1, 2]) == (1, 2)
    assert crew.told("x=5 µm") == "x=5 µm"


def test_a_cluster_of_one_is_none(monkeypatch):
    alone = {"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(alone))
    assert isinstance(gather_crew(), Crew)
    assert gather_crew().workers == 1


def test_devices_of_a_cluster_are_counted_without_joining_it(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", cluster(3)[1]["TF_CONFIG"])
    assert count_devices("one") == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "TF_CONFIG: expected {"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "TF_CONFIG: expected {"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "Received: worker 2 of 2",
        ),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}', "workers only"),
    ],
)
def test_what_is_wrong_with_a_cluster_is_said(monkeypatch, text, told):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=told):
        gather_crew()


def test_slurm_names_the_workers(monkeypatch):
    """Two tasks on two machines, as `srun` tells the second."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    told = {"STEP_NUM_TASKS": "2", "STEP_NODELIST": "a[1-2]", "STEP_TASKS_PER_NODE": "1(x2)", "PROCID": "1"}
    for name, value in told.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert count_devices("one") == 2
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "1")
    with pytest.raises(InputError, match="Slurm's variables could not be used"):
        gather_crew()
