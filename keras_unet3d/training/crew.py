"""Who trains: one device, all of this machine's, or those of several machines. One step for all of them."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.training.settings import Devices
from keras_unet3d.wording import counted

_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError, tf.errors.CancelledError)
"""What TensorFlow says where another worker is gone."""


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


@dataclass(frozen=True, eq=False)
class Crew:
    """The devices that share each step, and the processes that drive them.

    Attributes:
        strategy: how TensorFlow spreads a step; variables are made in its scope.
        worker: the number of this process; 0 is the one that writes.
        workers: processes in all.
        has_gpu: whether TensorFlow sees a GPU, which takes the steps.
    """

    strategy: tf.distribute.Strategy = field(default_factory=tf.distribute.get_strategy)
    worker: int = 0
    workers: int = 1
    has_gpu: bool = field(default_factory=_has_gpu)

    @property
    def writes(self) -> bool:
        """Whether this process keeps checkpoints, logs and the model."""
        return self.worker == 0

    @property
    def devices(self) -> int:
        """Of all workers; each takes an equal part of a batch."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def devices_here(self) -> int:
        """Of this process."""
        return self.devices // self.workers

    def spread(self, batch: Sequence[Any], finish: Callable[[Sequence[Any]], tuple[Any, ...]] = tuple) -> Any:
        """The batch of this process as parts for its devices, in order.

        Args:
            batch: tensors, or structures of them, whose first axis is that of tiles.
            finish: what is done with each part, on its device.
        """
        here = self.devices_here
        if here == 1:
            return finish(batch)
        with tf.device("CPU:0"):  # else all of it passes through the first GPU
            parts = [tf.split(values, here) for values in tf.nest.flatten(batch)]
        devices = self.strategy.extended.worker_devices

        def part(context: Any) -> tuple[Any, ...]:
            number = context.replica_id_in_sync_group % here
            with tf.device(devices[number]):
                return finish(tf.nest.pack_sequence_as(batch, [values[number] for values in parts]))

        return self.strategy.experimental_distribute_values_from_function(part)

    def agreed(self, values: Sequence[float]) -> list[float]:
        """The numbers of worker 0, for all.

        Raises:
            WorkError: if another worker is gone.
        """
        return self.summed(values if self.writes else [0.0] * len(values))

    def summed(self, values: Sequence[float]) -> list[float]:
        """The sums over the workers.

        Raises:
            WorkError: if another worker is gone.
        """
        if self.workers == 1:
            return [float(value) for value in values]
        return [float(value) for value in self._sum(tf.constant(values, tf.float64)).numpy()]

    def told(self, text: str) -> str:
        """The text of worker 0, for all.

        Raises:
            WorkError: if another worker is gone.
        """
        if self.workers == 1:
            return text
        (length,) = self.agreed([len(text.encode())])
        mine = [*text.encode(), *[0] * int(length)][: int(length)]
        return bytes(int(value) for value in self.agreed(mine)).decode()

    def share(self, variables: Sequence[Any]) -> None:
        """Give all workers the values of worker 0.

        Raises:
            WorkError: if another worker is gone.
        """
        if self.workers > 1:
            for variable in variables:
                value = tf.convert_to_tensor(variable)
                variable.assign(self._sum(value if self.writes else tf.zeros_like(value)))

    def _sum(self, of_worker: tf.Tensor) -> tf.Tensor:
        """Over the workers, of each by its first device."""

        def of_device() -> tf.Tensor:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(tf.equal(number % self.devices_here, 0), of_worker, tf.zeros_like(of_worker))

        return self.guarded(
            lambda: self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(of_device), axis=None)
        )

    def guarded(self, work: Callable[[], Any]) -> Any:
        """Do what all workers do together.

        Raises:
            WorkError: if one of them is gone.
        """
        if self.workers == 1:
            return work()
        try:
            return work()
        except _LOST as error:
            raise WorkError(
                f"Worker {self.worker} of {self.workers}: another worker has stopped, so this one stops, too. Start "
                "the same command on all of them again: it continues from the last checkpoint, if there is one."
            ) from error


def count_devices(devices: Devices) -> int:
    """How many devices `gather_crew` would find, without joining them; machines are taken to be alike.

    Raises:
        InputError: as there.
    """
    cluster = _cluster()
    here = max(len(tf.config.list_physical_devices("GPU")), 1)
    if cluster is not None:
        return here * len(cluster.workers)
    return here if devices == "all" else 1


def gather_crew(devices: Devices = "one", say: Callable[[str], None] = lambda _: None) -> Crew:
    """Join the devices that train, before TensorFlow computes anything.

    Several workers are found by the variable ``TF_CONFIG``, or within ``srun`` by Slurm's; each runs the same command,
    on all GPUs that it sees.

    Args:
        devices: ``"all"`` of this machine, or ``"one"``.
        say: told that the other workers are waited for.

    Raises:
        InputError: if what the variables say cannot be used, or the workers' devices differ.
    """
    if (cluster := _cluster()) is not None:
        say(f"Worker {cluster.worker} of {len(cluster.workers)}: waiting for the others …")
        return _join(cluster)
    gpus = tf.config.list_logical_devices("GPU") if devices == "all" else []
    if len(gpus) > 1:
        return Crew(tf.distribute.MirroredStrategy([gpu.name for gpu in gpus]))
    return Crew()


@dataclass(frozen=True)
class _Cluster:
    """Who the workers are: ``host:port`` of each, and which is this one."""

    workers: list[str]
    worker: int


def _join(cluster: _Cluster) -> Crew:
    gpus = len(tf.config.list_physical_devices("GPU"))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": cluster.workers}),
        task_type="worker",
        task_id=cluster.worker,
        num_accelerators={"GPU": gpus},
        rpc_layer="grpc",
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise InputError(
            f"The workers {', '.join(cluster.workers)} could not be joined ({str(error).splitlines()[0]}). Start the "
            "same command on each of them, in a fresh process."
        ) from error
    crew = Crew(strategy, cluster.worker, len(cluster.workers))
    if crew.devices != max(gpus, 1) * crew.workers:
        raise InputError(
            f"Worker {crew.worker} has {counted(max(gpus, 1), 'device')}, and all {crew.workers} workers "
            f"have {crew.devices} together: each needs as many as the others (CUDA_VISIBLE_DEVICES)."
        )
    return crew


def _cluster() -> _Cluster | None:
    """Who the workers are; None where there is one."""
    if "TF_CONFIG" in os.environ:
        return _from_tf_config(os.environ["TF_CONFIG"])
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _from_slurm()
    return None


def _from_slurm() -> _Cluster:
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    try:  # only hosts and rank are read: GPUs are those that Slurm lets each task see
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            {"worker": tasks}, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        workers = resolver.cluster_spec().as_dict()["worker"]
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"Slurm's variables could not be used ({error}). Start one task for each machine with srun, or set "
            "TF_CONFIG."
        ) from error
    hosts = [worker.rpartition(":")[0] for worker in workers]
    gpus = len(tf.config.list_physical_devices("GPU"))
    if len(set(hosts)) < len(hosts) and gpus > 1:
        raise InputError(
            f"Slurm runs several tasks on a machine, and each sees {gpus} GPUs. Start one task for each machine "
            "(--ntasks-per-node 1), or let each see its own (--gpus-per-task 1)."
        )
    return _Cluster(workers, int(os.environ["SLURM_PROCID"]))


def _from_tf_config(text: str) -> _Cluster | None:
    try:
        config = json.loads(text)
        workers = config["cluster"]["worker"]
        kind, number = config["task"]["type"], int(config["task"]["index"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            'TF_CONFIG: expected {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: {text!r}"
        ) from error
    if kind != "worker" or not 0 <= number < len(workers) or set(config["cluster"]) != {"worker"}:
        raise InputError(
            "TF_CONFIG: expected workers only, and the index of this one among them. "
            f"Received: {kind} {number} of {len(workers)}"
        )
    return _Cluster(workers, number) if len(workers) > 1 else None
