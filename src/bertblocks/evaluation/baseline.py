"""A cheap model to beat, fitted in seconds: a person sees at once whether BERT is worth it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks._words import counted
from bertblocks.blocks import Task
from bertblocks.errors import DataError, ShapeError
from bertblocks.evaluation.baseline_features import MAX_CHARACTERS_PER_TEXT, NUM_COLUMNS, TextFeatures
from bertblocks.evaluation.baseline_models import LinearModel, fit_linear_model
from bertblocks.evaluation.checks import check_targets
from bertblocks.evaluation.metrics import Metrics, check_keys, compute_metrics
from bertblocks.evaluation.thresholds import tune_thresholds

# Characters read in all: 20,000 texts of 40 words. More would be minutes, not seconds.
MAX_CHARACTERS = 6_000_000
# Texts turned into features at a time when predicting: memory stays bounded, however many there are.
_CHUNK_ROWS = 4_096
# Weights are dense: 2 ** 26 of them in float64 are 512 MiB.
_MAX_WEIGHTS = 1 << 26


@dataclass(frozen=True, kw_only=True)
class BaselineResult:
    """What remains of a baseline: its numbers.

    Attributes:
        metrics: Its metrics on the rows held out.
        seconds: Time for fitting and predicting.
        num_train_rows: Rows that it was fitted on.
        num_available_rows: Rows that it could have been fitted on.
        description: What it is, in a sentence.
    """

    metrics: Metrics
    seconds: float
    num_train_rows: int
    num_available_rows: int
    description: str

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back."""
        return {**asdict(self), "metrics": self.metrics.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BaselineResult:
        """Read what to_json wrote.

        Raises:
            DataError: If a key is unknown or missing.
        """
        check_keys(cls, data)
        return cls(**{**data, "metrics": Metrics.from_json(data["metrics"])})


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """A fitted baseline.

    Attributes:
        features: Texts → sparse vectors.
        model: Sparse vectors → scores.
        num_train_rows: Rows that it was fitted on.
        num_available_rows: Rows that it could have been fitted on.
        description: What it is, in a sentence.
    """

    features: TextFeatures
    model: LinearModel
    num_train_rows: int
    num_available_rows: int
    description: str

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Predict.

        Args:
            texts: Texts, or the first ones of pairs; any number.
            pairs: The second texts of pairs.

        Returns:
            Probabilities, shape (rows, labels), or numbers, shape (rows,), as compute_metrics takes them.

        Raises:
            DataError: If there are no texts, or the pairs do not belong to them.
        """
        _check_texts(texts, pairs)
        if not len(texts):
            raise DataError("There are no texts to predict: give at least one.")
        parts = []
        for start in range(0, len(texts), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            x = self.features.transform(texts[part], None if pairs is None else pairs[part])
            parts.append(self.model.scores(x))
        return np.concatenate(parts)


def fit_baseline(
    task: Task,
    *,
    train_texts: Sequence[str],
    train_targets: NDArray[Any],
    pairs: Sequence[str] | None = None,
    max_characters: int = MAX_CHARACTERS,
    seed: int = 0,
) -> Baseline:
    """Fit the baseline to training rows: the same rows and seed give the same baseline.

    Args:
        task: What is asked.
        train_texts: Texts, or the first ones of pairs.
        train_targets: The truth, as compute_metrics takes it.
        pairs: The second texts of pairs.
        max_characters: Of more rows than have so many characters, a random part is used.
        seed: For that part, and for the order of learning.

    Raises:
        ShapeError: If the targets do not have the shape of the task.
        DataError: If there are no rows, or targets that cannot be.
    """
    targets = np.asarray(train_targets)
    _check_training(task, train_texts, targets, pairs)
    rows = _affordable_rows(train_texts, pairs, max_characters, seed)
    texts = [train_texts[row] for row in rows]
    features = TextFeatures(
        num_columns=min(NUM_COLUMNS, _power_of_two(_MAX_WEIGHTS // (4 * task.num_outputs)))
    )
    x = features.fit_transform(texts, None if pairs is None else [pairs[row] for row in rows])
    model = fit_linear_model(task, x, targets[rows], seed=seed)
    return Baseline(
        features=features,
        model=model,
        num_train_rows=model.num_rows,
        num_available_rows=len(train_texts),
        description=_describe(task, model, len(train_texts)),
    )


def measure_baseline(
    task: Task,
    *,
    train_texts: Sequence[str],
    train_targets: NDArray[Any],
    test_texts: Sequence[str],
    test_targets: NDArray[Any],
    train_pairs: Sequence[str] | None = None,
    test_pairs: Sequence[str] | None = None,
    tune: bool = False,
    seed: int = 0,
) -> BaselineResult:
    """Fit the baseline, predict other rows, and keep only the numbers; the arguments are fit_baseline's.

    With `tune`, thresholds of several labels are chosen on the test rows: for a comparison with a model whose
    thresholds were chosen there too.
    """
    start = time.perf_counter()
    baseline = fit_baseline(
        task, train_texts=train_texts, train_targets=train_targets, pairs=train_pairs, seed=seed
    )
    scores = baseline.scores(test_texts, test_pairs)
    if tune and task.kind == "multilabel":
        task = replace(task, thresholds=tune_thresholds(test_targets, scores))
    metrics = compute_metrics(task, targets=test_targets, scores=scores)
    return BaselineResult(
        metrics=metrics,
        seconds=time.perf_counter() - start,
        num_train_rows=baseline.num_train_rows,
        num_available_rows=baseline.num_available_rows,
        description=baseline.description,
    )


def _check_texts(texts: Sequence[str], pairs: Sequence[str] | None) -> None:
    if pairs is not None and len(pairs) != len(texts):
        raise DataError(
            f"There are {len(texts)} texts and {len(pairs)} second texts: give one of each a pair."
        )


def _check_training(
    task: Task, texts: Sequence[str], targets: NDArray[Any], pairs: Sequence[str] | None
) -> None:
    if not len(texts):
        raise DataError("There are no rows to fit the baseline to: give at least one text with its target.")
    _check_texts(texts, pairs)
    expected = (len(texts), task.num_outputs) if task.kind == "multilabel" else (len(texts),)
    if targets.shape != expected:
        raise ShapeError(
            f"{len(texts)} texts of a {task.kind} task need targets of shape {expected}, "
            f"but theirs is {targets.shape}."
        )
    problems = check_targets(task, targets)
    if problems:
        raise DataError("The baseline cannot be fitted: " + "; ".join(problems) + ".")


def _affordable_rows(
    texts: Sequence[str], pairs: Sequence[str] | None, max_characters: int, seed: int
) -> NDArray[np.intp]:
    """Random rows whose texts, as far as they are read, have at most max_characters; at least one."""
    lengths = np.fromiter((min(len(text), MAX_CHARACTERS_PER_TEXT) for text in texts), np.int64, len(texts))
    if pairs is not None:
        lengths += np.fromiter(
            (min(len(text), MAX_CHARACTERS_PER_TEXT) for text in pairs), np.int64, len(pairs)
        )
    order = np.random.default_rng(seed).permutation(len(texts))
    count = int(np.searchsorted(lengths[order].cumsum(), max_characters, side="right"))
    return order[: max(1, count)]


def _power_of_two(limit: int) -> int:
    return 1 << max(0, limit.bit_length() - 1)


def _describe(task: Task, model: LinearModel, num_available: int) -> str:
    used = counted(model.num_rows, "row")
    if model.num_rows < num_available:
        used = f"a random {model.num_rows:,} of {counted(num_available, 'row')}"
    kind = "ridge regression" if task.kind == "regression" else "logistic regression"
    return f"TF-IDF of words (1-2) and characters (1-5), {kind}, fitted to {used}"
