"""Which process does which piece of a work."""

import json
import signal
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.jobs import dask_workers
from keras_unet3d.jobs.dask_workers import Dask
from keras_unet3d.jobs.executors import Part


@given(st.integers(1, 20), st.integers(0, 200))
def test_every_piece_is_done_by_one_part(count, number):
    assert sum(Part(part, count).takes(number) for part in range(count + 1)) == 1
    assert not Part(0, count).takes(number)


def test_parts_are_as_large_as_they_can_be_alike():
    done = [sum(Part(part, 8).takes(number) for number in range(100)) for part in range(1, 9)]
    assert max(done) - min(done) <= 1


def test_a_part_is_read_as_it_is_written():
    assert Part.parse(" 2 / 4 ") == Part(2, 4)
    assert str(Part(2, 4)) == "2/4"
    for text in ("5/4", "2", "a/b", "-1/4", "1/0", "0/0"):
        with pytest.raises(InputError, match="such as 2/4"):
            Part.parse(text)


@pytest.mark.parametrize("where", ["", "local", "local:0", "slurm", "host:8786", "tcp://", "local:2 x"])
def test_where_workers_are_is_checked_before_they_are_looked_for(where):
    with pytest.raises(InputError, match="the address of a dask scheduler"):
        Dask(where)


def test_jobs_are_started_as_they_are_configured():
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue, of the extra [distributed], is missing")
    import dask

    with pytest.raises(InputError, match=r"cores and memory.*jobqueue\.yaml, says what a job has"):
        Dask("slurm:2")
    with dask.config.set({"jobqueue.slurm.cores": 4, "jobqueue.slurm.memory": "16GB"}):
        from keras_unet3d.jobs.dask_workers import _job_cluster

        with _job_cluster("slurm") as cluster:
            script = cluster.job_script()
    assert "#SBATCH --cpus-per-task=4" in script
    assert script.rstrip().endswith("--nthreads 1")


def test_a_job_that_ends_is_submitted_again(monkeypatch):
    """As by its time limit; of jobs that are processes of this machine."""
    local = pytest.importorskip("dask_jobqueue.local", reason="dask-jobqueue, of the extra [distributed], is missing")
    import os

    import dask
    import psutil

    def job_cluster(_):
        return local.LocalCluster(cores=1, processes=1, memory="1GB", worker_extra_args=["--nthreads", "1"])

    def process(_):
        return os.getpid()

    monkeypatch.setattr(dask_workers, "_job_cluster", job_cluster)
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "2s"}), Dask("slurm:1") as workers:
        seen = []
        for _, worker in workers.each(process, range(8)):
            seen.append(worker)
            if len(seen) == 1:
                nanny = psutil.Process(worker).parent()
                for each in (nanny, psutil.Process(worker)):
                    os.kill(each.pid, signal.SIGKILL)
        assert len(seen) == 8
        assert len(set(seen)) == 2


def test_it_is_said_once_that_there_are_no_workers(monkeypatch):
    moments = iter([0, 50, 70, 90, 100, 160])
    monkeypatch.setattr(dask_workers.time, "monotonic", lambda: next(moments))
    absence = dask_workers._Absence("slurm:2")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        counts = []
        for there in (False, False, False, True, False, False):
            absence.look(there=there)
            counts.append(len(told))
    assert counts == [0, 1, 1, 1, 1, 2]
    assert "slurm:2: no worker has been there for 60 s" in str(told[0].message)


@pytest.mark.slow
def test_a_lost_scheduler_is_a_sentence(tmp_path):
    """The scheduler dies; what it knew of is cancelled."""
    pytest.importorskip("distributed", reason="dask, the extra [distributed], is missing")
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--scheduler-file", str(file), "--port", "0"]
    scheduler = subprocess.Popen([*dask, "--no-dashboard"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if file.exists():
                break
            time.sleep(0.1)
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1"]
        with subprocess.Popen(worker, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            try:
                with Dask(address) as workers:
                    results = workers.each(_some_work, range(50))
                    next(results)
                    scheduler.kill()
                    with pytest.raises(WorkError, match="connection to the scheduler was lost"):
                        list(results)
            finally:
                running.kill()
    finally:
        scheduler.kill()
        scheduler.wait()


def _some_work(number):
    time.sleep(0.3)
    return number


def test_work_fits_the_smallest_worker_and_on_gpus_their_own_memory(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="dask, the extra [distributed], is missing")
    worker = SimpleNamespace(memory_manager=SimpleNamespace(memory_limit=8 * 10**9))
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    assert dask_workers._memory_of_worker() == 6 * 10**9
    assert dask_workers._memory_of_worker(4 * 10**9) == 3 * 10**9
    monkeypatch.setattr("keras_unet3d.inference.devices.devices", lambda: ("GPU:0",))
    assert dask_workers._memory_of_worker(4 * 10**9) is None
