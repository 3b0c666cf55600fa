"""Training on several devices or machines: communication and joint computation of the processes.

It uses JAX and `keras.distribution.DataParallel`: each process makes its rows of every batch, all devices compute one
step together, and batch norm and the loss are those of the complete batch. The launcher of the processes (srun,
torchrun, mpirun, Kubernetes, Ray) sets their number in environment variables.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from resnext.backend import import_keras
from resnext.errors import DistributedError

if TYPE_CHECKING:
    import keras
    import numpy as np

logger = logging.getLogger(__name__)

# The environment variables with the rank of a process and the number of processes, by launcher.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, Ray Train, Kubeflow
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun; a batch script alone has no step
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("JOB_COMPLETION_INDEX", "WORLD_SIZE"),  # an indexed job of Kubernetes; its author sets WORLD_SIZE
)
HEARTBEAT = 30  # seconds of silence after which JAX considers a process dead
WAITS_QUIETLY = 5.0  # seconds for the processes to meet before a line says who waits
LOST = ("Gloo", "NCCL", "coordination service", "distributed service", "onnection closed by peer", "onnection reset")


class Launch(NamedTuple):
    """How a launcher started this process."""

    rank: int
    processes: int
    address: str | None  # of rank 0, if the launcher set it
    variable: str  # the environment variable with the number of processes


def launched() -> Launch | None:
    """Return how a launcher started this process, from the environment, or None if this process is alone.

    Raises:
        DistributedError: the environment variables are not valid.
    """
    for rank, processes in LAUNCHERS:
        if rank in os.environ and processes in os.environ:
            launch = Launch(_number(rank), _number(processes), _address(), processes)
            if launch.rank >= launch.processes:
                raise DistributedError(
                    f"{rank} is {launch.rank}; allowed: numbers below {processes}, which is {launch.processes}"
                )
            return launch if launch.processes > 1 else None
    return None


def is_main() -> bool:
    """Return whether this process speaks for all processes of a training: it is alone, or has rank 0.

    Raises:
        DistributedError: the environment variables are not valid.
    """
    launch = launched()
    return not launch or launch.rank == 0


def _number(name: str) -> int:
    text = os.environ[name]
    if not text.isdecimal():
        raise DistributedError(f"{name} is {text!r}; allowed: a whole number, as set by the launcher")
    return int(text)


def _address() -> str | None:
    if not {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        return None
    return f"{os.environ['MASTER_ADDR']}:{_number('MASTER_PORT') + 1}"  # torchrun itself listens on MASTER_PORT


@dataclass(frozen=True)
class Cluster:
    """The processes and devices of a training, and the rank of this process.

    Args:
        rank: number of this process, counted from 0.
        processes: number of processes.
        devices: number of devices of all processes together.
    """

    rank: int = 0
    processes: int = 1
    devices: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the main process (rank 0), which writes files and prints for all."""
        return self.rank == 0

    def check_shares(self, images: int) -> None:
        """Raise DistributedError unless devices can get equal numbers of the images, and processes pairs of them."""
        multiple = math.lcm(self.devices, 2 * self.processes) if self.processes > 1 else self.devices
        if images % multiple:
            raise DistributedError(
                f"{images} images at once can't be split among {self.devices} devices of {self.processes} "
                f"processes. Pass a --batch-size that, divided by --accumulate, is a multiple of {multiple}."
            )

    def scope(self) -> contextlib.AbstractContextManager:
        """Return a context in which Keras keeps a copy of every variable on each device and splits batches."""
        if self.devices == 1:
            return contextlib.nullcontext()
        import keras

        return keras.distribution.DataParallel(auto_shard_dataset=False).scope()

    def shard(self, rows: np.ndarray):
        """Return a shard of the complete batch (batch, ...) from this process's rows (batch / processes, ...)."""
        if self.devices == 1:
            return rows
        import jax
        import keras

        layout = keras.distribution.distribution().get_data_layout(rows.shape).backend_layout
        return jax.make_array_from_process_local_data(layout, rows)

    def predict(self, classifier: keras.Model, rows: np.ndarray) -> np.ndarray:
        """Return the logits of the complete batch, float32 (batch, classes), in every process; each passes its rows."""
        if self.devices == 1:
            return classifier.predict_on_batch(rows)
        import numpy as np

        if getattr(classifier, "sharded_predict_function", None) is None:
            classifier.sharded_predict_function = _everywhere(classifier)
        values = [[v.value for v in vs] for vs in (classifier.trainable_variables, classifier.non_trainable_variables)]
        return np.asarray(classifier.sharded_predict_function(*values, self.shard(rows)))

    def all_max(self, number: int) -> int:
        """Return the highest of the numbers that the processes pass; each process waits here for the others."""
        if self.processes == 1:
            return number
        import numpy as np
        from jax.experimental import multihost_utils

        return int(multihost_utils.process_allgather(np.int32(number)).max())

    def broadcast(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Return the numbers that the main process (rank 0) passes; each process waits here for it."""
        if self.processes == 1:
            return numbers
        import numpy as np
        from jax.experimental import multihost_utils

        return tuple(map(int, multihost_utils.broadcast_one_to_all(np.array(numbers, np.int32))))


SINGLE = Cluster()


def initialize() -> Cluster:
    """Connect to the other processes, if a launcher started some, and count the devices. Imports Keras.

    Raises:
        DistributedError: there is more than one process on a backend other than JAX, or they cannot connect.
    """
    launch = launched()
    import_keras()
    import keras

    if keras.backend.backend() != "jax":
        if launch:
            raise DistributedError(
                f"{launch.variable} is {launch.processes}, and only the JAX backend trains with more than one process. "
                f"Set KERAS_BACKEND=jax, or, if this process is alone, unset {launch.variable}."
            )
        return SINGLE
    import jax

    if launch and not jax.distributed.is_initialized():
        _meet(launch)
    return Cluster(jax.process_index(), jax.process_count(), jax.device_count())


def _meet(launch: Launch) -> None:
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would intercept SIGTERM
    patience = threading.Timer(WAITS_QUIETLY, _say_who_waits, (launch,))
    patience.daemon = True
    patience.start()
    several_here = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1  # torchrun, where each process uses one device
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
            f"process {launch.rank} of {launch.processes} cannot connect to the others ({str(error).splitlines()[0]}). "
            "Set MASTER_ADDR and MASTER_PORT to the address of the main process (rank 0), the same for all processes."
        ) from error
    finally:
        patience.cancel()


def _say_who_waits(launch: Launch) -> None:
    where = f" at {launch.address}" if launch.address else ""
    logger.warning(
        f"process {launch.rank} of {launch.processes} is waiting for the others{where}; if it is alone, unset "
        f"{launch.variable}"
    )


def shutdown(cluster: Cluster) -> None:
    """Disconnect from the other processes when all are done."""
    if cluster.processes > 1 and launched():
        import jax

        jax.distributed.shutdown()


def is_lost_peer(error: BaseException) -> bool:
    """Return whether a step failed because another process is gone; each transport words it differently."""
    return any(words in str(error) for words in LOST)


def _everywhere(classifier: keras.Model):
    import jax
    import keras

    mesh = keras.distribution.distribution().device_mesh.backend_mesh
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def logits(trainable, others, images):
        return classifier.stateless_call(trainable, others, images, training=False)[0]

    return jax.jit(logits, out_shardings=everywhere)
