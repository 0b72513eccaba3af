from __future__ import annotations

import numpy as np
import pytest

from bertblocks.errors import DataError
from bertblocks.evaluation import (
    TRAINING_TEXTS,
    SeenBefore,
    read_training_texts,
    row_hashes,
    write_training_texts,
)


def leakage(rows, training):
    seen = SeenBefore(training)
    for start in range(0, len(rows), 2):
        seen.add(rows[start : start + 2])
    return seen.leakage(rows["text"].copy())


TRAINING = row_hashes(["one", "two", "two", "\ud800"], None, ["a", "a", "b", "c"])


def test_repeated_texts_are_counted():
    rows = row_hashes(["two", "new", "two", "one", "one", "One"], None, ["b", "a", "c", "a", "b", "a"])
    found = leakage(rows, TRAINING)
    assert (found.num_rows, found.num_distinct, found.num_repeated) == (4, 2, 2)
    # "two" is "c" nowhere in training, and "one" never "b".
    assert found.num_other_truth == 2 and found.compared


def test_without_a_training_table_only_repeats_are_known():
    found = leakage(row_hashes(["x", "x"], None, ["a", "a"]), None)
    assert (found.num_rows, found.num_repeated, found.compared) == (0, 1, False)


def test_pairs_are_their_own_texts():
    pairs = row_hashes(["a", "a b"], ["b c", "c"], ["1", "1"])
    assert len(np.unique(pairs["text"])) == 2
    assert leakage(pairs, row_hashes(["a"], ["b c"], ["1"])).num_rows == 1
    assert leakage(pairs, row_hashes(["a"], None, ["1"])).num_rows == 0


def test_hashes_are_kept_in_a_folder(tmp_path):
    assert read_training_texts(tmp_path) is None
    write_training_texts(tmp_path / TRAINING_TEXTS, TRAINING)
    assert (tmp_path / TRAINING_TEXTS).stat().st_size < 300
    stored = read_training_texts(tmp_path)
    assert sorted(stored.tolist()) == sorted(TRAINING.tolist())


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / TRAINING_TEXTS
    if content is None:
        np.save(path, np.arange(3))
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="remove it, or train again"):
        read_training_texts(tmp_path)
