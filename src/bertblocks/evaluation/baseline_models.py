"""The linear models of the cheap baseline: sparse vectors → probabilities or numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.metrics import mean_squared_error

from bertblocks.blocks import Task
from bertblocks.evaluation.metrics import mean_log_loss

# Passes over the rows: on tables of 60 to 20,000 rows fifty were not better than ten.
_MAX_EPOCHS = 10
# Products of a stored number with a weight that fitting may take, some seconds on one core. For very many
# labels one pass over all rows is affordable, and was far better than ten passes over a tenth of them.
_MAX_WORK = 2_000_000_000
# Inverse regularization, as of scikit-learn's LogisticRegression: the best on held-out rows is taken.
_CLASSIFIER_C = (2.0, 8.0, 32.0)
_RIDGE_ALPHAS = (1.0, 3.0, 10.0)
# Below this, held-out rows are too few to tell the settings apart, and the middle one is taken.
_MIN_ROWS_TO_CHOOSE = 100
# Rows that the settings are compared on: choosing must not cost more than fitting.
_MAX_ROWS_TO_CHOOSE = 4_000
_HELD_OUT_SHARE = 0.2


class LinearModel(Protocol):
    """A fitted linear model."""

    @property
    def num_rows(self) -> int:
        """Rows that it was fitted on."""
        ...

    def scores(self, x: sparse.csr_matrix) -> NDArray[np.float64]:
        """Probabilities, shape (rows, labels), or numbers, shape (rows,)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class _OneOfSeveral:
    """One probability a label, which add up to one; of labels never seen in training it is zero."""

    model: SGDClassifier | None
    seen: NDArray[np.int64]
    num_labels: int
    num_rows: int

    def scores(self, x: sparse.csr_matrix) -> NDArray[np.float64]:
        scores = np.zeros((x.shape[0], self.num_labels))
        scores[:, self.seen] = 1.0 if self.model is None else self.model.predict_proba(x)
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class _AnyOfSeveral:
    """One probability a label, each for itself."""

    models: tuple[SGDClassifier | float, ...]
    num_rows: int

    def scores(self, x: sparse.csr_matrix) -> NDArray[np.float64]:
        scores = np.empty((x.shape[0], len(self.models)))
        for column, model in enumerate(self.models):
            scores[:, column] = model if isinstance(model, float) else model.predict_proba(x)[:, 1]
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class _Number:
    """A number in the target's own unit; the model itself learned it standardized."""

    model: Ridge
    mean: float
    scale: float
    num_rows: int

    def scores(self, x: sparse.csr_matrix) -> NDArray[np.float64]:
        standardized: NDArray[np.float64] = self.model.predict(x).astype(np.float64)
        return standardized * self.scale + self.mean


_Fit = Callable[[sparse.csr_matrix, NDArray[Any], float], LinearModel]
_Loss = Callable[[NDArray[Any], NDArray[np.float64]], float]


def fit_linear_model(task: Task, x: sparse.csr_matrix, targets: NDArray[Any], *, seed: int) -> LinearModel:
    """Fit the linear model of a task's kind, regularized as strongly as serves held-out rows best.

    Args:
        task: What is asked.
        x: Features, one row each, in random order.
        targets: The truth of these rows, as compute_metrics takes it.
        seed: For the order of learning.
    """
    if task.kind == "regression":
        return _fit_best(_fit_number, _RIDGE_ALPHAS, _squared_error, x, targets)
    num_rows, num_epochs = _affordable(x, task.num_outputs)
    x, targets = x[:num_rows], targets[:num_rows].astype(np.int64)
    classifier = partial(_classifier, num_epochs=num_epochs, seed=seed)
    if task.kind == "multilabel":
        return _fit_best(partial(_fit_labels, classifier), _CLASSIFIER_C, _labels_loss, x, targets)
    fit_classes = partial(_fit_classes, classifier, task.num_outputs)
    return _fit_best(fit_classes, _CLASSIFIER_C, mean_log_loss, x, targets)


def _fit_classes(
    classifier: Callable[..., SGDClassifier], num_labels: int, x: sparse.csr_matrix, y: NDArray[Any], c: float
) -> LinearModel:
    seen = np.unique(y)
    model = classifier(num_rows=len(y), c=c).fit(x, y) if len(seen) > 1 else None
    return _OneOfSeveral(model=model, seen=seen, num_labels=num_labels, num_rows=len(y))


def _fit_labels(
    classifier: Callable[..., SGDClassifier], x: sparse.csr_matrix, y: NDArray[Any], c: float
) -> LinearModel:
    models = tuple(
        classifier(num_rows=len(y), c=c).fit(x, column)
        if 0 < column.sum() < len(column)
        else float(column[0])
        for column in y.T
    )
    return _AnyOfSeveral(models=models, num_rows=len(y))


def _fit_number(x: sparse.csr_matrix, y: NDArray[Any], alpha: float) -> LinearModel:
    y = y.astype(np.float64)
    mean, scale = float(y.mean()), float(y.std()) or 1.0
    model = Ridge(alpha, solver="sparse_cg", tol=1e-3, max_iter=200).fit(x, (y - mean) / scale)
    return _Number(model=model, mean=mean, scale=scale, num_rows=len(y))


def _classifier(*, num_rows: int, c: float, num_epochs: int, seed: int) -> SGDClassifier:
    # A fixed number of stochastic passes, not a solver that ends when it converges: as accurate on the tables
    # tried, faster, of bounded time, and never a warning.
    return SGDClassifier(
        loss="log_loss", alpha=1 / (c * num_rows), max_iter=num_epochs, tol=None, random_state=seed, n_jobs=-1
    )


def _affordable(x: sparse.csr_matrix, num_outputs: int) -> tuple[int, int]:
    """How many rows to learn from, and how often."""
    num_rows = int(np.searchsorted(x.indptr[1:], _MAX_WORK / num_outputs, side="right"))
    num_epochs = int(_MAX_WORK / max(1, x.nnz * num_outputs))
    return max(1, num_rows), min(max(1, num_epochs), _MAX_EPOCHS)


def _fit_best(
    fit: _Fit,
    settings: Sequence[float],
    loss: _Loss,
    x: sparse.csr_matrix,
    targets: NDArray[Any],
) -> LinearModel:
    best = settings[len(settings) // 2]
    num_rows = min(x.shape[0], _MAX_ROWS_TO_CHOOSE)
    if num_rows >= _MIN_ROWS_TO_CHOOSE:
        num_fitted = num_rows - int(num_rows * _HELD_OUT_SHARE)
        held_out = slice(num_fitted, num_rows)
        losses = [
            loss(targets[held_out], fit(x[:num_fitted], targets[:num_fitted], setting).scores(x[held_out]))
            for setting in settings
        ]
        best = settings[int(np.argmin(losses))]
    return fit(x, targets, best)


def _labels_loss(targets: NDArray[Any], scores: NDArray[np.float64]) -> float:
    return mean_log_loss(targets.ravel(), scores.ravel())


def _squared_error(targets: NDArray[Any], scores: NDArray[np.float64]) -> float:
    return float(mean_squared_error(targets, scores))
