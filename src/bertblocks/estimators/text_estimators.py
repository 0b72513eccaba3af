"""TextClassifier and TextRegressor: training and inference behind scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin

from bertblocks.blocks import Task, TaskKind
from bertblocks.data import encode_targets, task_label
from bertblocks.data.labels import label_list
from bertblocks.estimators.base import TextEstimator, check_lengths, weight_column
from bertblocks.estimators.labels import label_column, matrix_width, refuse_numbers
from bertblocks.inference import Predictions


class TextClassifier(ClassifierMixin, TextEstimator):  # type: ignore[misc]
    """Classifies texts with BERT.

    Args:
        encoder: "mini", "multilingual-cased", "english-uncased", `org/name` on the hub, or a folder.
        pooling: "cls", "average" or "max"; None is the encoder's own way.
        sequence_length: Most tokens of a text or window, 3 to 512; None is the encoder's limit.
        windows: What becomes of longer texts: "truncate" cuts them, "slide" reads all of them in overlapping
            windows, whose pooled vectors become one.
        stride: With "slide", tokens from one window's beginning to the next; None is three quarters of a
            window's room for text.
        window_pooling: With "slide", "average" or "max" over the windows' vectors.
        freeze_encoder: Train the head alone, on vectors that are computed once: seconds instead of minutes.
        graph: A graph to train in place of the ready-made one; it decides all of the above. One that begins
            with TokenIdsInput takes lists of integers in place of texts.
        epochs: Passes over the rows, at most; None is the default for the mode (docs/training.md).
        batch_tokens: Most tokens that go through the encoder at once.
        learning_rate: Peak of the schedule; None is the default for the encoder.
        class_weight: "auto" weighs classes inversely to their frequency; or a dictionary of a weight for each
            label.
        validation_fraction: Share of the rows held out to choose the best epoch; 0 trains on all, and so does
            any share of fewer than 20 rows.
        metric: What the best epoch is chosen by; None is the accuracy, macro F1 with class_weight, and macro
            average precision for several labels.
        patience: Stop after so many epochs without a gain.
        precision: "float32", "bfloat16", or "auto" for the fastest on this machine that answers as float32
            does. "int8" trains as "auto" does, and predicts faster still.
        device: "cpu", "cuda", or "auto".
        seed: Of new weights, dropout, the split and the order of rows.

    Attributes:
        classes_: The labels, as they were given to fit; texts after `bertblocks.load`.
        model_: Graph, task, tokenizer and weights.
    """

    _gives_matrix = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TextClassifier:
        """Train on texts and their labels.

        Args:
            X: A column of texts, of pairs (a, b), or of lists of integers for a graph of token ids: a list, a
                numpy array, a pandas Series, an arrow array. No text may be blank; predict takes blank ones.
            y: A label a text; or a list of labels a text for multi-label, or scikit-learn's form of it, a
                numpy array of 0 and 1, shape (texts, labels), whose labels are its columns 0, 1, ...
            sample_weight: How much each text counts in the loss, a number of 0 or more; only the proportions
                matter. None counts all the same.

        Raises:
            DataError: If texts, labels or weights cannot be used.
            ConfigError: If parameters cannot be, or contradict each other.
        """
        width = matrix_width(y)
        labels = label_column(y)
        several = any(isinstance(label, list | tuple) for label in labels)
        if not several:
            refuse_numbers(labels)
        every = None if width is None else [str(column) for column in range(width)]
        kind: TaskKind = "multilabel" if several else "classification"
        task = self._fit(X, labels, kind, sample_weight, labels=every)
        self.classes_ = _original_labels(labels, task) if width is None else np.arange(width)
        self._gives_matrix = width is not None
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each text, shape (texts,); for multi-label an array of tuples.

        After fit with a matrix of 0 and 1 it is such a matrix; a loaded model gives tuples.
        """
        found = self.predict_details(X)
        if self._gives_matrix:
            matrix = np.zeros((len(found), len(self.classes_)), dtype=np.int64)
            for row, answer in zip(matrix, _label_lists(found), strict=True):
                row[[int(label) for label in answer]] = 1
            return matrix
        if self._model.task.kind == "multilabel":
            original = dict(zip(self._model.task.labels, self.classes_.tolist(), strict=True))
            answers = np.empty(len(found), dtype=object)
            answers[:] = [tuple(original[label] for label in answer) for answer in _label_lists(found)]
            return answers
        chosen: NDArray[Any] = self.classes_[found.scores.argmax(axis=1)]
        return chosen

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probability of each label, in the order of classes_, float32, shape (texts, labels)."""
        return self.predict_details(X).scores

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy; for multi-label the share of texts whose labels are all right.

        Args:
            X: As for fit.
            y: As for fit.
            sample_weight: How much each text counts.

        Raises:
            DataError: If texts, labels or weights cannot be used.
        """
        true, found = label_column(y), self.predict_details(X).answers
        check_lengths(len(found), len(true))
        # As in training: 3 is "3" and 3.0; and scikit-learn's accuracy takes no labels such as 0.5.
        task = self._model.task
        right = [
            set(answer) == set(label_list(label, None))
            if isinstance(answer, tuple)
            else answer == task_label(label, task)
            for answer, label in zip(found, true, strict=True)
        ]
        return float(np.average(right, weights=weight_column(sample_weight, len(true))))


class TextRegressor(RegressorMixin, TextEstimator):  # type: ignore[misc]
    """Predicts a number for each text with BERT; parameters as TextClassifier's, the metric is Pearson's r.

    Attributes:
        model_: Graph, task, tokenizer and weights.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TextRegressor:
        """Train on texts and their numbers.

        Args:
            X: A column of texts, or of pairs (a, b).
            y: A finite number a text.
            sample_weight: As for TextClassifier.

        Raises:
            DataError: If texts, numbers or weights cannot be used.
            ConfigError: If parameters cannot be, or contradict each other.
        """
        self._fit(X, y, "regression", sample_weight)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The number of each text, float64, shape (texts,)."""
        return self.predict_details(X).scores


def _label_lists(found: Predictions) -> list[tuple[str, ...]]:
    """The answers of a multi-label model."""
    return [answer for answer in found.answers if isinstance(answer, tuple)]


def _original_labels(values: Sequence[Any], task: Task) -> NDArray[Any]:
    """The labels as the caller gave them, in the task's order, so that predictions compare equal to them."""
    if task.kind == "multilabel":
        lists = (value if isinstance(value, list | tuple) else label_list(value, None) for value in values)
        distinct = list(dict.fromkeys(label for labels in lists for label in labels))
        indices = encode_targets([[label] for label in distinct], task, column="targets").argmax(axis=1)
    else:
        distinct = list(dict.fromkeys(values))
        indices = encode_targets(distinct, task, column="targets")
    original: dict[int, Any] = {}
    for index, label in zip(indices.tolist(), distinct, strict=True):
        # Of several spellings of a label, such as "a" and "a ", the first one stands for all.
        original.setdefault(index, label)
    labels = [original[index] for index in range(len(task.labels))]
    # numpy would turn labels of mixed types into texts.
    mixed = len({type(label) for label in labels}) > 1
    return np.array(labels, dtype=object if mixed else None)
