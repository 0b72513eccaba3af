"""The state of a run on disk: enough to go on as if it had never stopped, to the bit.

One safetensors file holds the trainable weights, the optimizer's state and the random generators; its header
holds the counters. A file is replaced in one step, so a killed run leaves the last whole checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from bertblocks._files import replace_when_done
from bertblocks.checkpoints import write_tensors
from bertblocks.errors import CheckpointError
from bertblocks.training.processes import ALONE, Processes

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"


@dataclass
class Progress:
    """How far a run has come; the only part of it that changes besides the tensors.

    Attributes:
        epoch: The epoch under way, from 0.
        step_in_epoch: Steps of it that are done.
        step: Steps that are done in all.
        best_epoch: The best one so far, from 0; -1 before the first validation.
        best_value: Its metric, negative where lower is better.
        best_loss: Its loss, which decides between equal metrics.
        epochs_without_gain: Since the best one.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    best_epoch: int = -1
    best_value: float = 0.0
    best_loss: float = 0.0
    epochs_without_gain: int = 0


def trainable_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The weights that training changes, by name."""
    return {name: weight.detach() for name, weight in module.named_parameters() if weight.requires_grad}


def write_training_state(
    path: Path | None,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    processes: Processes = ALONE,
) -> None:
    """Write a checkpoint in one step: it is there whole, or the one before is.

    Args:
        path: The file; None in every process but the first, which writes it for all.
        module: What is trained.
        optimizer: Of its weights.
        progress: The counters.
        processes: Of the run; all of them must call this, for each has random generators of its own.
    """
    states = processes.gathered(_random_states(module))
    if states is None or path is None:
        return
    tensors = {f"model.{name}": tensor for name, tensor in trainable_tensors(module).items()}
    tensors.update(_optimizer_tensors(optimizer))
    for rank, state in enumerate(states):
        tensors.update({_random_name(kind, rank): tensor for kind, tensor in state.items()})
    with replace_when_done(path) as unfinished:
        write_tensors(unfinished, tensors, metadata={"progress": json.dumps(asdict(progress))})


def read_training_state(
    path: Path | None,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    processes: Processes = ALONE,
    *,
    seed: int = 0,
) -> Progress:
    """Load a checkpoint into the module, the optimizer and the random generators.

    Args:
        path: The file; None in every process but the first, which reads it for all.
        module: What is trained.
        optimizer: Of its weights.
        processes: Of the run; there may be more or fewer than when it was written.
        seed: Of the run, for processes that there were not.

    Raises:
        CheckpointError: If the file cannot be read or belongs to another model.
    """
    read = None if path is None else _read_state(path)
    progress = processes.told(None if read is None else read[0])
    tensors = processes.told_tensors(None if read is None else read[1])
    load_trainable(module, _under(tensors, "model."), path or Path("the checkpoint"))
    _load_optimizer(optimizer, _under(tensors, "optimizer."))
    own = _random_name("cpu", processes.rank)
    if own not in tensors:
        processes.draw_apart(seed, progress.step)
        return progress
    torch.set_rng_state(tensors[own])
    name = _random_name("cuda", processes.rank)
    if name in tensors and (device := _device_of(module)).type == "cuda":
        torch.cuda.set_rng_state(tensors[name], device)
    return progress


def _read_state(path: Path) -> tuple[Progress, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            return progress, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"The checkpoint {path} cannot be read ({error}); remove its folder to begin anew."
        ) from error


def _random_states(module: nn.Module) -> dict[str, Tensor]:
    """Of this process's generators."""
    states = {"cpu": torch.get_rng_state()}
    if (device := _device_of(module)).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _random_name(kind: str, rank: int) -> str:
    """What a checkpoint calls the state of a process's generator."""
    return f"random.{kind}.{rank}" if rank else f"random.{kind}"


@torch.no_grad()
def load_trainable(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy weights by name into a module.

    Raises:
        CheckpointError: If names or shapes differ.
    """
    own = trainable_tensors(module)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != shapes:
        differing = sorted(name for name, _ in set(shapes.items()) ^ set(found.items()))[:5]
        raise CheckpointError(f"{path} belongs to another model: {differing} differ; begin anew.")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


class BestWeights:
    """Keeps the weights of the best epoch, in a file or, without one, in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: dict[str, Tensor] = {}

    def keep(self, module: nn.Module) -> None:
        """Remember the trainable weights as they are."""
        tensors = trainable_tensors(module)
        if self._path is None:
            self._kept = {name: tensor.clone() for name, tensor in tensors.items()}
            return
        with replace_when_done(self._path) as unfinished:
            write_tensors(unfinished, tensors)

    def restore(self, module: nn.Module) -> None:
        """Put the remembered weights back."""
        if self._path is None:
            load_trainable(module, self._kept, Path("memory"))
            return
        with safe_open(self._path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        load_trainable(module, tensors, self._path)


def _device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for index, state in optimizer.state_dict()["state"].items():
        for key, tensor in state.items():
            yield f"optimizer.{index}.{key}", tensor


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        # A copy: the optimizer keeps the tensor, and Windows replaces no file that is still mapped.
        state.setdefault(int(index), {})[key] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
