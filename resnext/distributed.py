"""Training on more than one device or machine: what its processes share, agree on, and compute together.

On JAX, by `keras.distribution.DataParallel`: each process makes its rows of every batch, all devices compute one step
together, and batch norm and the loss are those of the whole batch. Whoever starts the processes (srun, torchrun,
mpirun, Kubernetes, Ray) says in environment variables how many there are.
"""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from resnext.backend import import_keras
from resnext.errors import DistributedError

if TYPE_CHECKING:
    import keras
    import numpy as np


# The names of a process's number and of how many there are, by who starts them.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, Ray Train, Kubeflow
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun; of a batch script alone there is no step
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("JOB_COMPLETION_INDEX", "WORLD_SIZE"),  # an indexed job of Kubernetes, whose author says how many
)
HEARTBEAT = 30  # seconds of silence after which JAX takes a process for dead
LOST = ("Gloo", "NCCL", "coordination service", "distributed service", "onnection closed by peer", "onnection reset")


class Launch(NamedTuple):
    """How this process was started: as which, of how many, and where the first can be reached, if that was said."""

    rank: int
    processes: int
    address: str | None


def launched() -> Launch | None:
    """What the environment says; None: this process is alone.

    Raises:
        DistributedError: it says what can't be.
    """
    for rank, processes in LAUNCHERS:
        if rank in os.environ and processes in os.environ:
            launch = Launch(_number(rank), _number(processes), _address())
            if launch.rank >= launch.processes:
                raise DistributedError(f"{rank} is {launch.rank}; allowed: below {processes}, {launch.processes}")
            return launch if launch.processes > 1 else None
    return None


def _number(name: str) -> int:
    text = os.environ[name]
    if not text.isdecimal():
        raise DistributedError(f"{name} is {text!r}; allowed: a whole number, as the launcher of the processes sets it")
    return int(text)


def _address() -> str | None:
    if not {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        return None
    return f"{os.environ['MASTER_ADDR']}:{_number('MASTER_PORT') + 1}"  # torchrun itself listens on MASTER_PORT


@dataclass(frozen=True)
class Cluster:
    """All the processes and devices of a training, and this one's place among them.

    Args:
        rank: the number of this process, from 0.
        processes: how many there are.
        devices: of all processes together.
    """

    rank: int = 0
    processes: int = 1
    devices: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def check_shares(self, images: int) -> None:
        """Raise DistributedError where so many images are no equal rows for each device, in pairs for each process."""
        multiple = math.lcm(self.devices, 2 * self.processes) if self.processes > 1 else self.devices
        if images % multiple:
            raise DistributedError(
                f"{images} images at once can't be shared out among {self.devices} devices of {self.processes} "
                f"processes. Use a --batch-size, divided by --accumulate, that is a multiple of {multiple}."
            )

    def scope(self) -> contextlib.AbstractContextManager:
        """Inside it Keras keeps a copy of every variable on each device, and shares batches out."""
        if self.devices == 1:
            return contextlib.nullcontext()
        import keras

        return keras.distribution.DataParallel(auto_shard_dataset=False).scope()

    def shard(self, rows: np.ndarray):
        """This process's rows of a batch, (batch / processes, ...), as a part of the whole batch, (batch, ...)."""
        if self.devices == 1:
            return rows
        import jax
        import keras

        layout = keras.distribution.distribution().get_data_layout(rows.shape).backend_layout
        return jax.make_array_from_process_local_data(layout, rows)

    def predict(self, classifier: keras.Model, rows: np.ndarray) -> np.ndarray:
        """Logits float32 (batch, classes) of the whole batch, in every process, from each one's rows of it."""
        if self.devices == 1:
            return classifier.predict_on_batch(rows)
        import numpy as np

        if getattr(classifier, "sharded_predict_function", None) is None:
            classifier.sharded_predict_function = _everywhere(classifier)
        values = [[v.value for v in vs] for vs in (classifier.trainable_variables, classifier.non_trainable_variables)]
        return np.asarray(classifier.sharded_predict_function(*values, self.shard(rows)))

    def all_max(self, number: int) -> int:
        """The highest of the numbers that all processes give: each waits here for the others."""
        if self.processes == 1:
            return number
        import numpy as np
        from jax.experimental import multihost_utils

        return int(multihost_utils.process_allgather(np.int32(number)).max())

    def broadcast(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """What the first process gives: each waits here for it."""
        if self.processes == 1:
            return numbers
        import numpy as np
        from jax.experimental import multihost_utils

        return tuple(map(int, multihost_utils.broadcast_one_to_all(np.array(numbers, np.int32))))


SINGLE = Cluster()


def initialize() -> Cluster:
    """Meet the other processes, if a launcher started some, and count the devices. Imports Keras.

    Raises:
        DistributedError: more than one process on another backend than JAX, or they do not find each other.
    """
    launch = launched()
    import_keras()
    import keras

    if keras.backend.backend() != "jax":
        if launch:
            raise DistributedError(
                f"{launch.processes} processes: only the JAX backend trains with more than one. Set KERAS_BACKEND=jax, "
                "or start one."
            )
        return SINGLE
    import jax

    if launch and not jax.distributed.is_initialized():
        _meet(launch)
    return Cluster(jax.process_index(), jax.process_count(), jax.device_count())


def _meet(launch: Launch) -> None:
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from us
    several_here = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1  # torchrun, where each process is to have one device
    try:
        jax.distributed.initialize(
            launch.address,
            launch.processes,
            launch.rank,
            local_device_ids=[_number("LOCAL_RANK")] if several_here else None,
            cluster_detection_method="deactivate" if launch.address else None,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except (RuntimeError, ValueError) as error:
        raise DistributedError(
            f"process {launch.rank} of {launch.processes} does not find the others ({str(error).splitlines()[0]}). Set "
            "MASTER_ADDR and MASTER_PORT to the first one's, the same for all."
        ) from error


def shutdown(cluster: Cluster) -> None:
    """Part from the others, when all are done."""
    if cluster.processes > 1 and launched():
        import jax

        jax.distributed.shutdown()


def is_lost_peer(error: BaseException) -> bool:
    """Whether a step failed because another process is gone: each transport says it in its own words."""
    return any(words in str(error) for words in LOST)


def _everywhere(classifier: keras.Model):
    import jax
    import keras

    mesh = keras.distribution.distribution().device_mesh.backend_mesh
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def logits(trainable, others, images):
        return classifier.stateless_call(trainable, others, images, training=False)[0]

    return jax.jit(logits, out_shardings=everywhere)
