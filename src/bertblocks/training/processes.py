"""One run in several processes: who is who, who does what, and what they tell each other.

Gradients are added up by hand, once a step, after all of its parts. torch's DistributedDataParallel adds them
up at every backward pass unless it is told not to, wants as many passes of every process, and wraps the
module whose names are those of checkpoints. So one loop serves one process and many. The price is that
nothing is sent while gradients are still computed.

Every process has all rows and the same plan of steps. Of each step it takes a share of the texts, of as many
tokens as the others'; the loss is divided by the whole step's number of texts, so the sum of the gradients is
that of one process.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bertblocks.errors import ConfigError

Value = TypeVar("Value")

# The first process may fit a baseline and evaluate for long, while the others wait for it.
_PATIENCE = timedelta(days=1)
# Gradients are copied together before they are sent, so many bytes at a time.
_BUCKET_BYTES = 32 << 20
_GATHERED_ROWS = 65_536
_FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes of a run, as one of them sees them. What takes all of them must be called by all.

    Attributes:
        rank: Which one this is, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that reads and writes files, and tells what happens."""
        return self.rank == 0

    def share(self, lengths: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        """What this process does of some work; the shares are of nearly as many tokens.

        Args:
            lengths: Tokens of each text, the same in every process.

        Returns:
            Positions among them, ascending; every one belongs to exactly one process.
        """
        if self.count == 1:
            return np.arange(len(lengths), dtype=np.int64)
        loads = [(0, rank) for rank in range(self.count)]
        mine = []
        for position in np.argsort(-np.asarray(lengths), kind="stable").tolist():
            tokens, rank = loads[0]
            heapq.heapreplace(loads, (tokens + int(lengths[position]), rank))
            if rank == self.rank:
                mine.append(position)
        return np.array(sorted(mine), dtype=np.int64)

    def told(self, value: Value | None) -> Value:
        """What the first process says; all must ask, and only its own value counts."""
        if self.count == 1:
            return cast("Value", value)
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return cast("Value", box[0])

    def told_tensors(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The first process's tensors, on the CPU."""
        shapes = None if tensors is None else {name: (x.shape, x.dtype) for name, x in tensors.items()}
        found = {}
        for name, (shape, dtype) in self.told(shapes).items():
            tensor = torch.empty(shape, dtype=dtype) if tensors is None else tensors[name].contiguous()
            found[name] = self._from_first(tensor)
        return found

    def gathered(self, value: Value) -> list[Value] | None:
        """Every process's value, in order, for the first; None for the others."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        # Not gather_object, which some kinds of connection between GPUs have not.
        values: list[Value | None] = [None] * self.count
        dist.all_gather_object(values, value)
        return cast("list[Value]", values) if self.is_first else None

    def sums(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over all processes."""
        if self.count == 1:
            return list(values)
        import torch.distributed as dist

        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    @torch.no_grad()
    def sum_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Give every weight the sum of its gradients; one that has none in any process is left without."""
        if self.count == 1:
            return
        weights = list(weights)
        has_gradient = self.sums([float(weight.grad is not None) for weight in weights])
        trained = [weight for weight, has in zip(weights, has_gradient, strict=True) if has]
        for bucket in _buckets(trained):
            _add_up(bucket)

    @torch.no_grad()
    def same_weights(self, module: nn.Module) -> None:
        """Give the module the first process's weights."""
        if self.count == 1:
            return
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.copy_(self._from_first(tensor.detach().contiguous()))

    def rows_together(
        self, rows: NDArray[np.float32], positions: NDArray[np.int64], num_rows: int
    ) -> NDArray[np.float32]:
        """Put the rows that every process has computed in their places; nothing is there twice.

        Args:
            rows: This process's, shape (its rows, C).
            positions: The place of each of them.
            num_rows: Of all processes.

        Returns:
            All rows, shape (num_rows, C), in every process.
        """
        if self.count == 1:
            return rows
        import torch.distributed as dist

        width = int(max(self.gathered_everywhere(rows.shape[1] if rows.ndim > 1 else 0)))
        found = np.empty((num_rows, width), dtype=np.float32)
        for start in range(0, num_rows, _GATHERED_ROWS):
            stop = min(num_rows, start + _GATHERED_ROWS)
            inside = (positions >= start) & (positions < stop)
            # Each place is filled by one process and 0 in the others: their sum is exact.
            part = torch.zeros(stop - start, width)
            if inside.any():
                part[torch.from_numpy(positions[inside] - start)] = torch.from_numpy(rows[inside])
            dist.all_reduce(part)
            found[start:stop] = part.numpy()
        return found

    def gathered_everywhere(self, value: Value) -> list[Value]:
        """Every process's value, in order, for all of them."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values: list[Value | None] = [None] * self.count
        dist.all_gather_object(values, value)
        return cast("list[Value]", values)

    def check_same(self, what: str, value: Any) -> None:
        """Refuse to go on where processes have not the same.

        Raises:
            ConfigError: In all of them.
        """
        if self.count == 1:
            return
        found = self.gathered_everywhere(value)
        if differing := [rank for rank, other in enumerate(found) if other != found[0]]:
            raise ConfigError(
                f"The processes of this run have not the same {what}: {', '.join(map(str, differing))} of "
                f"{self.count} differ from process 0. All of them must read the same files."
            )

    def draw_apart(self, *seed: int) -> None:
        """Let every process but the first draw other random numbers, or all would drop the same."""
        if not self.is_first:
            torch.manual_seed(
                int(np.random.SeedSequence([*seed, self.rank]).generate_state(1, np.uint64)[0] >> 1)
            )

    def _from_first(self, tensor: Tensor) -> Tensor:
        if self.count > 1:
            import torch.distributed as dist

            dist.broadcast(tensor, src=0)
        return tensor


ALONE = Processes()
"""A run in one process."""


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the processes that torchrun has started; without it this one is alone.

    What goes wrong in one of them ends all: the first to fail raises as it would alone, and the others, which
    then wait in vain, end without a word.

    Raises:
        ConfigError: If they cannot find each other.
    """
    if not _is_one_of_many():
        yield ALONE
        return
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    if not dist.is_available():
        raise ConfigError(
            "This build of torch cannot train in several processes: it has no torch.distributed."
        )
    try:
        store, rank, count = next(iter(rendezvous("env://", timeout=_PATIENCE)))
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend,
            store=dist.PrefixStore("bertblocks", store),  # type: ignore[attr-defined]
            rank=rank,
            world_size=count,
            timeout=_PATIENCE,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"The processes of this run cannot find each other: {error}") from error
    try:
        yield Processes(rank=rank, count=count)
    except KeyboardInterrupt:
        _is_first_to_fail(store)
        raise
    except Exception as error:
        if _is_first_to_fail(store):
            raise
        # The one that failed first has said why.
        raise SystemExit(1) from error
    dist.destroy_process_group()


def _is_one_of_many() -> bool:
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return all(name in os.environ for name in names) and os.environ["WORLD_SIZE"] != "1"


def _is_first_to_fail(store: Any) -> bool:
    try:
        return bool(store.add(_FAILED, 1) == 1)
    # It lies in the first process, which has failed if it does not answer.
    except Exception:
        return False


def _buckets(weights: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Weights of some megabytes each, of one device and type."""
    bucket: list[nn.Parameter] = []
    num_bytes = 0
    for weight in weights:
        size = weight.numel() * weight.element_size()
        differs = bucket and (weight.device, weight.dtype) != (bucket[0].device, bucket[0].dtype)
        if bucket and (differs or num_bytes + size > _BUCKET_BYTES):
            yield bucket
            bucket, num_bytes = [], 0
        bucket.append(weight)
        num_bytes += size
    if bucket:
        yield bucket


def _add_up(weights: Sequence[nn.Parameter]) -> None:
    import torch.distributed as dist

    parts = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    flat = torch.cat([part.reshape(-1) for part in parts])
    dist.all_reduce(flat)
    for weight, part in zip(weights, torch.split(flat, [w.numel() for w in weights]), strict=True):
        weight.grad = part.view_as(weight)
