from __future__ import annotations

import numpy as np
import pytest

from bertblocks.blocks.task import Task
from bertblocks.data.splits import train_validation_split
from bertblocks.errors import ConfigError, DataError

_CLASSES = Task(kind="classification", labels=tuple("abcdefghij"))
_NUMBER = Task(kind="regression")


def _split(targets, task=_CLASSES, fraction=0.2, seed=0):
    targets = np.asarray(targets)
    training, validation = train_validation_split(targets, task, fraction=fraction, seed=seed)
    assert training.dtype == validation.dtype == np.int64
    assert (np.diff(training) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert sorted([*training, *validation]) == list(range(len(targets)))
    return training, validation


def test_classes_keep_their_shares():
    targets = np.repeat([0, 1, 2], [100, 50, 10])
    _, validation = _split(targets)
    assert np.bincount(targets[validation]).tolist() == [20, 10, 2]


def test_the_seed_decides():
    targets = np.repeat([0, 1], 50)
    first, again, other = _split(targets, seed=3), _split(targets, seed=3), _split(targets, seed=4)
    assert first[1].tolist() == again[1].tolist()
    assert first[1].tolist() != other[1].tolist()
    numbers = np.linspace(0, 1, 50)
    assert _split(numbers, _NUMBER, seed=3)[1].tolist() == _split(numbers, _NUMBER, seed=3)[1].tolist()


def test_a_class_with_a_single_row_goes_to_training():
    targets = np.array([0] * 20 + [1] * 20 + [2, 3])
    for seed in range(5):
        training, validation = _split(targets, seed=seed)
        assert {40, 41} <= set(training.tolist())
        assert len(validation) == 8


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.9, 0.99])
def test_every_class_stays_in_training(fraction):
    rng = np.random.default_rng(0)
    for seed in range(10):
        targets = np.concatenate([np.arange(10), rng.choice(10, 40, p=[0.5, 0.2, *[0.3 / 8] * 8])])
        training, validation = _split(targets, fraction=fraction, seed=seed)
        assert set(targets[training]) == set(range(10))
        assert len(validation) >= 1


def test_few_rows_are_divided_without_shares():
    training, validation = _split([0, 0, 1, 1], fraction=0.25)
    assert len(validation) == 1
    assert len(training) == 3
    assert len(_split([0, 0, 1], fraction=0.9)[1]) == 1


def test_numbers_are_shuffled():
    assert len(_split(np.arange(10.0), _NUMBER, fraction=0.3)[1]) == 3
    assert len(_split(np.arange(2.0), _NUMBER, fraction=0.99)[0]) == 1


def test_every_label_of_several_stays_in_training():
    task = Task(kind="multilabel", labels=("a", "b", "c"))
    targets = np.zeros((30, 3), dtype=np.float32)
    targets[:, 0] = 1
    targets[4, 1] = 1
    for seed in range(20):
        training, validation = _split(targets, task, fraction=0.5, seed=seed)
        assert 4 in training
        assert len(validation) == 15


def test_rare_labels_of_several_are_on_both_sides():
    task = Task(kind="multilabel", labels=("often", "sometimes", "rarely"))
    targets = np.zeros((200, 3), dtype=np.float32)
    targets[:150, 0] = targets[::5, 1] = targets[:10, 2] = 1
    for seed in range(20):
        training, validation = _split(targets, task, fraction=0.1, seed=seed)
        assert targets[validation, 2].sum() == 1 and targets[validation, 1].sum() >= 3
        assert len(validation) == 20 and targets[training, 2].sum() == 9


@pytest.mark.parametrize(
    ("targets", "task"), [([0, 1, 2], _CLASSES), ([0], _CLASSES), ([1.0], _NUMBER), ([], _NUMBER)]
)
def test_too_few_rows(targets, task):
    with pytest.raises(DataError, match=f"{len(targets)} rows? (is|are) too few"):
        _split(targets, task)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none(fraction):
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        _split([0, 0, 1, 1], fraction=fraction)


def test_a_small_class_is_not_lost_to_a_large_validation():
    targets = np.repeat([0, 1], [100, 2])
    for seed in range(5):
        training, validation = _split(targets, fraction=0.97, seed=seed)
        assert set(targets[training]) == {0, 1}
        assert len(validation) == 99
