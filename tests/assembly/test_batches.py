"""Packed batches, and rows of equal ids that are computed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bertblocks.assembly import default_batch_tokens, distinct_rows, run_packed
from bertblocks.assembly.batches import _one_behind
from bertblocks.blocks import Task
from bertblocks.encoder import PackedTokens
from bertblocks.text import Encoded
from tiny import tiny_model

TASK = Task(kind="binary", labels=("no", "yes"))
TEXTS = ["good", "a bad film", "good", "", "a bad film", "good  ", "slow"]
"""Four that differ: white space does not."""


@pytest.fixture
def model(tiny_encoder):
    return tiny_model(tiny_encoder("cased"), TASK)


def counting(model):
    """The model's module, and the sequences that went through it."""
    seen: list[int] = []

    def forward(packed: PackedTokens) -> torch.Tensor:
        seen.append(packed.num_sequences)
        return model.module(packed)

    return forward, seen


def encoded(*rows: tuple[list[int], int], windows: tuple[tuple[int, ...], ...] | None = None) -> Encoded:
    """Ids and the number of their first segment's."""
    lengths = np.array([len(ids) for ids, _ in rows], dtype=np.int32)
    return Encoded(
        ids=[np.array(ids, dtype=np.int32) for ids, _ in rows],
        num_first=np.array([num_first for _, num_first in rows], dtype=np.int32),
        num_tokens=lengths,
        truncated=np.zeros(len(rows), dtype=np.bool_),
        num_unknown=np.zeros(len(rows), dtype=np.int32),
        windows=windows,
    )


def test_rows_of_equal_ids_are_one():
    first, inverse = distinct_rows(encoded(([1, 2], 2), ([1], 1), ([1, 2], 2), ([2, 1], 2), ([1], 1)))
    assert first.tolist() == [0, 1, 3]
    assert inverse.tolist() == [0, 1, 0, 2, 1]


def test_segments_and_windows_tell_rows_apart():
    assert distinct_rows(encoded(([1, 2, 3], 2), ([1, 2, 3], 1), ([1, 2, 3], 2))).first.tolist() == [0, 1]
    rows = [([1, 2, 3, 4], 4)] * 3
    found = distinct_rows(encoded(*rows, windows=((2, 2), (3, 1), (2, 2))))
    assert found.inverse.tolist() == [0, 1, 0]


def test_there_may_be_no_row():
    assert distinct_rows(encoded()).first.tolist() == []


def test_equal_texts_are_computed_once_and_have_the_same_bits(model):
    forward, seen = counting(model)
    ids = model.encode(TEXTS)
    found = run_packed(forward, ids, batch_tokens=12, deduplicate=True)
    assert sum(seen) == 4
    for one, other in ((0, 2), (0, 5), (1, 4)):
        assert np.array_equal(found[one], found[other])
    np.testing.assert_allclose(found, run_packed(forward, ids, batch_tokens=12), atol=1e-5)
    assert sum(seen) == 4 + len(TEXTS), "unless it is asked for, all are computed"


def test_texts_that_differ_are_batched_as_without(model):
    forward, _ = counting(model)
    ids = model.encode([f"{word} film" for word in ("good", "bad", "slow", "red")])
    found = run_packed(forward, ids, batch_tokens=8, deduplicate=True)
    assert np.array_equal(found, run_packed(forward, ids, batch_tokens=8))


def test_pairs_of_the_same_words_in_other_places_are_two(tiny_encoder):
    pairs = tiny_model(tiny_encoder("cased"), TASK, text="q", text_pair="a")
    ids = pairs.encode(["good", "good", "film"], ["film", "film", "good"])
    found = run_packed(pairs.module, ids, deduplicate=True)
    assert np.array_equal(found[0], found[1]) and not np.allclose(found[0], found[2])


def test_texts_in_windows(tiny_encoder):
    slides = tiny_model(tiny_encoder("cased"), TASK, windows="slide", sequence_length=8)
    forward, seen = counting(slides)
    texts = ["word " * 30, "good", "word " * 30, "good"]
    found = run_packed(forward, slides.encode(texts), deduplicate=True)
    np.testing.assert_allclose(found, run_packed(slides.module, slides.encode(texts)), atol=1e-6)
    assert np.array_equal(found[0], found[2]) and np.array_equal(found[1], found[3])
    assert sum(seen) == sum(map(len, slides.encode(texts[:2]).windows))


def test_what_is_reported_is_what_is_computed(model):
    told: list[tuple[int, int]] = []
    ids = model.encode(TEXTS)
    run_packed(model.module, ids, deduplicate=True, on_batch=lambda *numbers: told.append(numbers))
    run_packed(model.module, ids, on_batch=lambda *numbers: told.append(numbers))
    assert [num_texts for num_texts, _ in told] == [4, 7]
    assert told[1][1] == sum(map(len, ids.ids)) > told[0][1]


def test_batches_of_a_gpu_are_larger():
    assert default_batch_tokens(torch.device("cpu")) < default_batch_tokens(torch.device("cuda"))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_what_is_under_way_is_waited_for_one_batch_later(count):
    made: list[int] = []

    def make():
        for number in range(count):
            made.append(number)
            yield number

    for number in _one_behind(make()):
        assert len(made) == min(number + 2, count)
    assert made == list(range(count)) == list(_one_behind(range(count)))
