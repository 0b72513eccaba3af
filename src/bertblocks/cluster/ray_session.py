"""Ray joined or started, and how its processors are divided among a job's stages."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bertblocks._words import counted
from bertblocks.errors import ConfigError, MissingPackageError

# Reading and tokenizing: light beside the encoder, but each needs a share of a processor.
LIGHT_CPUS = 0.25
_RESERVED_CPUS = 1


@dataclass(frozen=True, kw_only=True)
class RayResources:
    """What of a Ray cluster a job takes.

    Attributes:
        address: Of the cluster ("auto", "host:port" or "ray://..."); None starts one on this machine, which
            ends with the job. A Ray that the caller has started himself is used as it is.
        num_workers: Processes that hold the model; None is one for each machine, or for each GPU.
        cpus_per_worker: Processors, and threads, of each; None is all of a machine's but one, which reads and
            tokenizes.
        gpus_per_worker: GPUs of each; may be a fraction.

    Raises:
        ConfigError: If a number cannot be.
    """

    address: str | None = None
    num_workers: int | None = None
    cpus_per_worker: int | None = None
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        for name in ("num_workers", "cpus_per_worker"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name} is {value!r}, but must be a whole number above 0.")
        if not self.gpus_per_worker >= 0:
            raise ConfigError(f"gpus_per_worker is {self.gpus_per_worker!r}, but must not be negative.")


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The workers of a job, their numbers known.

    Attributes:
        num_workers: Processes that hold the model.
        cpus_per_worker: Processors and threads of each.
        gpus_per_worker: GPUs of each.
    """

    num_workers: int
    cpus_per_worker: int
    gpus_per_worker: float

    @property
    def num_tokenizers(self) -> int:
        """Processes that tokenize: one keeps some eight processors busy, and a GPU needs several."""
        if self.gpus_per_worker:
            return 4 * self.num_workers
        return max(1, self.num_workers * self.cpus_per_worker // 8)


@contextmanager
def connected(resources: RayResources) -> Iterator[Pool]:
    """Join a cluster, or start one; what was started here ends with the block.

    Raises:
        MissingPackageError: If Ray is not installed.
        ConfigError: If it cannot be reached, or has too little for what is asked for.
    """
    ray = ray_package()
    started = not ray.is_initialized()
    if started:
        _start(ray, resources)
    try:
        yield _pool(ray, resources)
    finally:
        if started:
            ray.shutdown()


def ray_package() -> Any:
    """The package ray, with its data part.

    Raises:
        MissingPackageError: If it is not installed.
    """
    # Without it a job would tell Ray's makers of itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingPackageError("Predicting on a Ray cluster", "ray[data]", "ray") from error
    return ray


def _start(ray: Any, resources: RayResources) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if resources.address is not None:
        try:
            ray.init(address=resources.address, **quiet)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise ConfigError(
                f"There is no Ray cluster at {resources.address!r}: {str(error).splitlines()[0]}. Leave "
                "ray_address out to start one on this machine."
            ) from error
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = resources.num_workers or 1
    cpus = workers * (resources.cpus_per_worker or max(1, cores // workers))
    # The light stages share processors with the encoder, as they do in one process.
    ray.init(address="local", num_cpus=cpus + _RESERVED_CPUS, include_dashboard=False, **quiet)


def _pool(ray: Any, resources: RayResources) -> Pool:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    total = {kind: sum(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU")}
    gpus = resources.gpus_per_worker
    num_workers = resources.num_workers or (max(1, int(total["GPU"] / gpus)) if gpus else max(1, len(nodes)))
    if resources.cpus_per_worker is not None:
        cpus = resources.cpus_per_worker
    elif gpus:
        cpus = 1
    else:
        cpus = max(1, int((total["CPU"] - _RESERVED_CPUS) / num_workers))
    if num_workers * cpus + 2 * LIGHT_CPUS > total["CPU"] or num_workers * gpus > total["GPU"]:
        gpus_wanted = f" and {gpus:g} GPUs" if gpus else ""
        raise ConfigError(
            f"The Ray cluster has {total['CPU']:g} CPUs and {total['GPU']:g} GPUs in "
            f"{counted(len(nodes), 'machine')}, too little for {counted(num_workers, 'worker')} of {cpus} "
            f"CPUs{gpus_wanted} and a CPU that reads and tokenizes: set num_workers, cpus_per_worker or "
            "gpus_per_worker lower."
        )
    return Pool(num_workers=num_workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
