"""Training and inference behind scikit-learn's conventions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags

from bertblocks.assembly import AssembledModel, load_model
from bertblocks.assembly.building import graph_pooling
from bertblocks.blocks import (
    BertEncoder,
    BertTokenizer,
    Graph,
    PoolingName,
    Task,
    TaskKind,
    Windowing,
    WindowPooling,
    text_model,
)
from bertblocks.checkpoints import encoder_defaults, resolve_encoder
from bertblocks.data import (
    ModelInput,
    column_values,
    encode_targets,
    encode_token_ids,
    infer_task,
    text_columns,
    train_validation_split,
)
from bertblocks.data.labels import label_list, label_of
from bertblocks.encoder import Precision
from bertblocks.errors import CheckpointError, ConfigError, DataError
from bertblocks.inference import Predictions, Predictor
from bertblocks.training import LabeledTexts, TrainingSettings, train_model

Estimator = TypeVar("Estimator", bound="_TextEstimator")

# Below this a held-out part says nothing, and every row is needed to learn from.
_FEWEST_ROWS_TO_SPLIT = 20
# Parameters that are options of the tokenizer block.
_WINDOW_OPTIONS = ("windows", "stride", "window_pooling")


class _TextEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor have in common; parameters as in TextClassifier."""

    def __init__(
        self,
        encoder: str | os.PathLike[str] = "mini",
        *,
        pooling: PoolingName | None = None,
        sequence_length: int | None = None,
        windows: Windowing = "truncate",
        stride: int | None = None,
        window_pooling: WindowPooling = "average",
        freeze_encoder: bool = False,
        graph: Graph | None = None,
        epochs: int | None = None,
        batch_tokens: int = 2048,
        learning_rate: float | None = None,
        class_weight: Literal["auto"] | None = None,
        validation_fraction: float = 0.1,
        metric: str | None = None,
        patience: int | None = None,
        precision: Precision = "auto",
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.pooling = pooling
        self.sequence_length = sequence_length
        self.windows = windows
        self.stride = stride
        self.window_pooling = window_pooling
        self.freeze_encoder = freeze_encoder
        self.graph = graph
        self.epochs = epochs
        self.batch_tokens = batch_tokens
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.metric = metric
        self.patience = patience
        self.precision = precision
        self.device = device
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model's folder; `bertblocks.load` and the command line read it.

        Raises:
            NotFittedError: If fit has not been called.
            CheckpointError: If the folder holds something that is not a model.
        """
        self._model.save(folder)

    def predict_details(self, texts: Any) -> Predictions:
        """Predict with everything that is known: probabilities, token counts, what was cut.

        Args:
            texts: A column of texts, or of pairs (a, b); of lists of integers for a model of token ids.
        """
        first, second = _input_columns(texts, self._model.graph)
        return self._predictor().predict(first, second)

    @property
    def _model(self) -> AssembledModel:
        if not hasattr(self, "model_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted: call fit(texts, targets).")
        model: AssembledModel = self.model_
        return model

    def _predictor(self) -> Predictor:
        wanted = (self.precision, self.device)
        cached: tuple[Any, Predictor] | None = getattr(self, "_cached_predictor", None)
        if cached is None or cached[0] != wanted:
            # set_params may have changed what is wanted since the last call.
            predictor = Predictor(self._model, precision=self.precision, device=self.device)
            cached = self._cached_predictor = (wanted, predictor)
        return cached[1]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_cached_predictor"}

    def _fit(self, texts: Any, targets: Any, kind: TaskKind | None) -> Task:
        first, second = _input_columns(texts, self.graph)
        if self.graph is not None:
            kind = self._graph_task(self.graph, kind, is_pair=second is not None)
        values = column_values(targets, "targets")
        _check_lengths(len(first), len(values))
        task = infer_task(values, column="targets", kind=kind)
        rows = LabeledTexts(texts=first, pairs=second, targets=encode_targets(values, task, column="targets"))
        train, validation = self._split(rows, task)
        graph = self.graph or self._ready_made(task, is_pair=second is not None)
        self.__dict__.pop("_cached_predictor", None)
        self.model_ = train_model(graph, task, train, validation, self._settings()).model
        return task

    def _ready_made(self, task: Task, *, is_pair: bool) -> Graph:
        defaults = encoder_defaults(resolve_encoder(self.encoder))
        return text_model(
            task=task,
            encoder=os.fspath(self.encoder),
            text_pair="text_pair" if is_pair else None,
            pooling=self.pooling or defaults.pooling,
            sequence_length=(
                defaults.sequence_length if self.sequence_length is None else self.sequence_length
            ),
            windows=self.windows,
            stride=self.stride,
            window_pooling=self.window_pooling,
            trainable=not self.freeze_encoder,
        )

    def _graph_task(self, graph: Graph, kind: TaskKind | None, *, is_pair: bool) -> TaskKind:
        """The kind of task that the graph says, after making sure that nothing else is said beside it."""
        decided = {
            "encoder": "mini",
            "pooling": None,
            "sequence_length": None,
            **{option: getattr(BertTokenizer, option) for option in _WINDOW_OPTIONS},
            "freeze_encoder": False,
        }
        if given := [name for name, default in decided.items() if getattr(self, name) != default]:
            raise ConfigError(
                f"{', '.join(given)} cannot be chosen beside a graph, which decides it: leave out."
            )
        if (graph.target.task == "regression") != (kind == "regression"):
            raise ConfigError(
                f"The graph's target is {graph.target.task}, which {type(self).__name__} does not train: "
                "take TextRegressor for a regression, TextClassifier for all else."
            )
        if is_pair != (len(graph.inputs) == 2):
            columns = " and ".join(repr(block.column) for block in graph.inputs)
            found = "pairs" if is_pair else "single texts"
            raise DataError(f"The rows are {found}, but the graph takes {columns}.")
        return graph.target.task

    def _split(self, rows: LabeledTexts, task: Task) -> tuple[LabeledTexts, LabeledTexts | None]:
        if not self.validation_fraction or len(rows) < _FEWEST_ROWS_TO_SPLIT:
            return rows, None
        kept, held_out = train_validation_split(
            rows.targets, task, fraction=self.validation_fraction, seed=self.seed
        )
        return rows.take(kept), rows.take(held_out)

    def _settings(self) -> TrainingSettings:
        return TrainingSettings(
            epochs=self.epochs,
            batch_tokens=self.batch_tokens,
            learning_rate=self.learning_rate,
            class_weight=self.class_weight,
            metric=self.metric,
            patience=self.patience,
            precision=self.precision,
            device=self.device,
            seed=self.seed,
        )


class TextClassifier(ClassifierMixin, _TextEstimator):  # type: ignore[misc]
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
        class_weight: "auto" weighs classes inversely to their frequency.
        validation_fraction: Share of the rows held out to choose the best epoch; 0 trains on all.
        metric: What the best epoch is chosen by; None is the accuracy (micro F1 for several labels).
        patience: Stop after so many epochs without a gain.
        precision: "float32", "bfloat16", or "auto" for the fastest on this machine.
        device: "cpu", "cuda", or "auto".
        seed: Of new weights, dropout, the split and the order of rows.

    Attributes:
        classes_: The labels, as they were given to fit; texts after `bertblocks.load`.
        model_: Graph, task, tokenizer and weights.
    """

    def fit(self, X: Any, y: Any) -> TextClassifier:
        """Train on texts and their labels.

        Args:
            X: A column of texts, of pairs (a, b), or of lists of integers for a graph of token ids: a list, a
                numpy array, a pandas Series, an arrow array.
            y: A label a text, or a list of labels a text for multi-label.

        Raises:
            DataError: If texts or labels cannot be used.
        """
        labels = column_values(y, "targets")
        several = any(isinstance(label, list | tuple) for label in labels)
        task = self._fit(X, labels, "multilabel" if several else "classification")
        self.classes_ = _original_labels(labels, task)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each text, shape (texts,); for multi-label an array of tuples."""
        found = self.predict_details(X)
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
        """Accuracy; for multi-label the share of texts whose labels are all right."""
        true, found = column_values(y, "targets"), self.predict_details(X).answers
        _check_lengths(len(found), len(true))
        # As the task's labels: 3 is "3" and 3.0; and scikit-learn's accuracy takes no labels such as 0.5.
        right = [
            set(answer) == set(label_list(label, None))
            if isinstance(answer, tuple)
            else answer == label_of(label)
            for answer, label in zip(found, true, strict=True)
        ]
        return float(np.average(right, weights=sample_weight))


class TextRegressor(RegressorMixin, _TextEstimator):  # type: ignore[misc]
    """Predicts a number for each text with BERT; parameters as TextClassifier's, the metric is Pearson's r.

    Attributes:
        model_: Graph, task, tokenizer and weights.
    """

    def fit(self, X: Any, y: Any) -> TextRegressor:
        """Train on texts and their numbers.

        Args:
            X: A column of texts, or of pairs (a, b).
            y: A finite number a text.

        Raises:
            DataError: If texts or numbers cannot be used.
        """
        self._fit(X, y, "regression")
        return self

    def predict(self, X: Any) -> NDArray[np.float32]:
        """The number of each text, float32, shape (texts,)."""
        return self.predict_details(X).scores


def load(folder: str | os.PathLike[str]) -> TextClassifier | TextRegressor:
    """Load a model that save() or `bertblocks train` wrote.

    Raises:
        CheckpointError: If the folder is not a finished model, or its files have been changed.
    """
    path = Path(folder)
    if not path.is_dir():
        raise CheckpointError(
            f"{path} does not exist or is not a folder; a model is a folder that save() wrote."
        )
    model = load_model(path)
    kind = TextRegressor if model.task.kind == "regression" else TextClassifier
    if isinstance(model.graph.encoder, BertEncoder):
        estimator = kind(graph=model.graph)
    else:
        estimator = kind(
            encoder=model.origin,
            pooling=graph_pooling(model.graph),
            sequence_length=model.sequence_length,
            **{option: getattr(model.graph.tokenizer or BertTokenizer, option) for option in _WINDOW_OPTIONS},
            freeze_encoder=not model.graph.encoder.trainable,
        )
    estimator.model_ = model
    if isinstance(estimator, TextClassifier):
        estimator.classes_ = np.array(model.task.labels)
    return estimator


def _input_columns(inputs: Any, graph: Graph | None) -> tuple[Sequence[ModelInput], list[str] | None]:
    """The first and second column of what a model takes; without a graph that is texts."""
    encoder = None if graph is None or graph.tokenizer is not None else graph.encoder
    if not isinstance(encoder, BertEncoder):
        return text_columns(inputs)
    is_matrix = isinstance(inputs, np.ndarray) and inputs.ndim == 2
    rows = list(inputs) if is_matrix else column_values(inputs, "token ids")
    return encode_token_ids(rows, encoder.vocabulary_size).ids, None


def _label_lists(found: Predictions) -> list[tuple[str, ...]]:
    """The answers of a multi-label model."""
    return [answer for answer in found.answers if isinstance(answer, tuple)]


def _check_lengths(num_texts: int, num_targets: int) -> None:
    if num_texts != num_targets:
        raise DataError(f"There are {num_texts} texts, but {num_targets} targets; give one a text.")


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
