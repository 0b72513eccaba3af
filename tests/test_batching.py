from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertblocks.batching import plan_lanes, plan_sorted, plan_steps
from bertblocks.errors import ConfigError

LENGTHS = st.lists(st.integers(1, 600), max_size=200)
BUDGET = st.integers(1, 3000)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def tokens_of(lengths: list[int], batch: np.ndarray) -> int:
    return sum(lengths[index] for index in batch)


@quick
@given(LENGTHS, BUDGET)
def test_sorted_batches_hold_every_index_once_and_keep_the_budget(lengths, budget):
    batches = list(plan_sorted(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(tokens_of(lengths, batch) <= budget or len(batch) == 1 for batch in batches)
    assert all(len(batch) for batch in batches)


@quick
@given(LENGTHS, BUDGET)
def test_sorted_batches_go_from_the_longest_to_the_shortest(lengths, budget):
    order = [index for batch in plan_sorted(lengths, budget) for index in batch]
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)
    # equal lengths keep their order, so that a run is the same on every machine
    assert order == sorted(range(len(lengths)), key=lambda index: -lengths[index])


@quick
@given(LENGTHS, BUDGET)
def test_no_batch_could_take_the_next_text(lengths, budget):
    batches = list(plan_sorted(lengths, budget))
    for batch, following in pairwise(batches):
        assert tokens_of(lengths, batch) + lengths[following[0]] > budget


@quick
@given(LENGTHS, BUDGET, st.integers(1, 20), st.integers(0, 5))
def test_steps_hold_every_index_once_and_enough_texts(lengths, budget, min_texts, seed):
    steps = list(plan_steps(lengths, step_tokens=budget, min_texts=min_texts, seed=(seed, 1)))
    assert sorted(index for step in steps for index in step) == list(range(len(lengths)))
    assert all(len(step) >= min_texts for step in steps) or len(steps) == 1
    for step in steps[:-1]:
        assert tokens_of(lengths, step) <= budget or len(step) <= min_texts


@quick
@given(LENGTHS, BUDGET, st.integers(0, 5))
def test_steps_follow_from_the_seed_alone(lengths, budget, seed):
    def plan(*seeds: int) -> list[list[int]]:
        steps = plan_steps(np.array(lengths), step_tokens=budget, min_texts=3, seed=seeds)
        return [step.tolist() for step in steps]

    assert plan(seed, 2) == plan(seed, 2)


def test_epochs_differ_in_order():
    lengths = [5] * 50
    epochs = [
        np.concatenate(list(plan_steps(lengths, step_tokens=100, min_texts=1, seed=(0, epoch)))).tolist()
        for epoch in range(3)
    ]
    assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != list(range(50))


def test_by_hand():
    assert [batch.tolist() for batch in plan_sorted([2, 9, 4, 3, 1], 6)] == [[1], [2], [3, 0, 4]]
    assert [batch.tolist() for batch in plan_sorted([3, 3, 3, 3], 6)] == [[0, 1], [2, 3]]
    assert list(plan_sorted([], 6)) == []


@pytest.mark.parametrize("budget", [0, -5])
def test_a_batch_without_room_is_refused(budget):
    with pytest.raises(ConfigError, match=f"tokens are {budget}"):
        list(plan_sorted([1, 2], budget))
    with pytest.raises(ConfigError, match=f"tokens are {budget}"):
        list(plan_sorted([], budget))
    with pytest.raises(ConfigError, match="texts 0"):
        list(plan_steps([1, 2], step_tokens=5, min_texts=0, seed=(0,)))


@pytest.mark.parametrize("num_lanes", [1, 2, 3, 16])
@pytest.mark.parametrize("num_texts", [0, 1, 5, 96, 1000])
def test_lanes_have_as_many_batches_within_the_budget(num_lanes, num_texts):
    lengths = np.random.default_rng(0).integers(3, 200, num_texts)
    batches = plan_lanes(lengths, 1024, num_lanes)
    assert sorted(index for batch in batches for index in batch.tolist()) == list(range(num_texts))
    assert all(lengths[batch].sum() <= 1024 for batch in batches)
    if lengths.sum() > 200 * num_lanes:
        assert len(batches) % num_lanes == 0 or lengths.sum() / len(batches) > 1024 * 0.9


def test_few_tokens_are_shared_by_the_lanes():
    # One batch would hold them all, and one lane would do all the work.
    assert [len(batch) for batch in plan_lanes([50] * 10, 1024, 2)] == [5, 5]
