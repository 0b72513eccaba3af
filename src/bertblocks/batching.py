"""The planner: a token budget → batches. Pure functions, used by training, prediction and serving alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.errors import ConfigError


def plan_sorted(lengths: Sequence[int] | NDArray[Any], batch_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Batches of neighbours in length, the longest first: for work whose order does not matter.

    The longest first, so that a budget too large for the memory fails at once and not after hours.

    Args:
        lengths: Tokens of each sequence.
        batch_tokens: Most tokens of a batch; a longer sequence makes a batch of its own.

    Yields:
        Indices into lengths; each occurs exactly once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    yield from _fill(np.asarray(lengths, dtype=np.int64), order, batch_tokens)


def plan_lanes(
    lengths: Sequence[int] | NDArray[Any], batch_tokens: int, num_lanes: int
) -> list[NDArray[np.int64]]:
    """plan_sorted for so many workers, who take the batches in turns: all have as many, of as many tokens.

    Args:
        lengths: Tokens of each sequence.
        batch_tokens: Most tokens of a batch; a longer sequence makes a batch of its own.
        num_lanes: Workers.

    Returns:
        Indices into lengths by batch.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if num_lanes < 2 or not len(lengths) or batch_tokens < 1:
        return list(plan_sorted(lengths, batch_tokens))
    num_tokens = int(lengths.sum())
    fewest_turns = math.ceil(num_tokens / (batch_tokens * num_lanes))
    # Batches do not come out full: the smallest budget that might do is raised until it does, or there is a
    # turn more.
    for num_batches in (fewest_turns * num_lanes, (fewest_turns + 1) * num_lanes):
        smallest = math.ceil(num_tokens / num_batches)
        for budget in range(smallest, batch_tokens, max(1, batch_tokens // 64)):
            batches = list(plan_sorted(lengths, budget))
            if len(batches) <= num_batches:
                return batches
    return list(plan_sorted(lengths, batch_tokens))


def plan_steps(
    lengths: Sequence[int] | NDArray[Any], *, step_tokens: int, min_texts: int, seed: Sequence[int]
) -> Iterator[NDArray[np.int64]]:
    """Cut a random order into training steps of about step_tokens tokens each.

    Args:
        lengths: Tokens of each sequence.
        step_tokens: Most tokens of a step, unless min_texts needs more.
        min_texts: A step takes at least this many sequences, so that long texts do not make noisy steps; what
            is left at the end and is fewer joins the step before.
        seed: Of the permutation, for instance (seed, epoch); the same seed gives the same steps.

    Yields:
        Indices into lengths; each occurs exactly once. plan_sorted cuts a step that is over a budget.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(lengths))
    steps = list(_fill(lengths, order, step_tokens, min_items=min_texts))
    if len(steps) > 1 and len(steps[-1]) < min_texts:
        steps[-2:] = [np.concatenate(steps[-2:])]
    yield from steps


def _fill(
    lengths: NDArray[np.int64], order: NDArray[np.int64], budget: int, *, min_items: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Cut an order into the longest stretches that keep to a budget of tokens."""
    if budget < 1 or min_items < 1:
        raise ConfigError(f"A batch needs room: its tokens are {budget} and its texts {min_items}.")
    ends = np.cumsum(lengths[order])
    start = 0
    while start < len(order):
        spent = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, spent + budget, side="right"))
        stop = max(stop, start + min_items)
        yield order[start:stop]
        start = stop
