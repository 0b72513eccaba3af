"""What the estimators have in common: their parameters, fitting, and asking the fitted model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags

from bertblocks._words import counted
from bertblocks.assembly import AssembledModel
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
    row_weights,
    task_label,
    text_columns,
)
from bertblocks.data.values import first_few, is_missing
from bertblocks.encoder import Precision
from bertblocks.errors import ConfigError, DataError
from bertblocks.explanation import Explainer, Explanation, Method
from bertblocks.inference import Predictions, Predictor
from bertblocks.training import LabeledTexts, TrainingSettings, save_with_card, train_model, training_facts

# Below this a held-out part says nothing, and every row is needed to learn from.
_FEWEST_ROWS_TO_SPLIT = 20
# Parameters that are options of the tokenizer block.
WINDOW_OPTIONS = ("windows", "stride", "window_pooling")


class TextEstimator(BaseEstimator):  # type: ignore[misc]
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
        class_weight: Literal["auto"] | Mapping[Any, float] | None = None,
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
        """Write the model's folder with its card; `bertblocks.load` and the command line read it.

        Raises:
            NotFittedError: If fit has not been called.
            CheckpointError: If the folder holds something that is not a model.
        """
        save_with_card(self._model, folder, getattr(self, "_training_facts", None))

    def predict_details(self, texts: Any) -> Predictions:
        """Predict with everything that is known: probabilities, token counts, what was cut.

        Args:
            texts: A column of texts, or of pairs (a, b); of lists of integers for a model of token ids.
        """
        first, second = _input_columns(texts, self._model.graph)
        return self._predictor().predict(first, second)

    def explain(self, texts: Any, *, label: Any = None, method: Method = "both") -> list[Explanation]:
        """Say which words of each text made the model's answer.

        Args:
            texts: A column of texts, or of pairs (a, b); of lists of integers for a model of token ids.
            label: The label whose probability is explained; None is the most probable one of each text.
            method: "integrated-gradients" adds up to the answer, "leave-one-out" asks again without each
                word, "both" compares the two, "gradient" is the quickest and roughest (docs/explanations.md).

        Returns:
            One explanation a text: its words with their places and shares, and how far these add up.

        Raises:
            NotFittedError: If fit has not been called.
            DataError: If texts cannot be used.
            ConfigError: If there is no such label or method.
        """
        first, second = _input_columns(texts, self._model.graph)
        value = label.item() if isinstance(label, np.generic) else label
        named = None if label is None else task_label(value, self._model.task)
        return Explainer(self._model).explain(first, second, label=named, method=method)

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

    def _fit(
        self,
        texts: Any,
        targets: Any,
        kind: TaskKind | None,
        sample_weight: Any,
        *,
        labels: Sequence[str] | None = None,
    ) -> Task:
        """Train; the labels are those that occur, unless they are given with others that do not."""
        if not 0 <= self.validation_fraction < 1:
            raise ConfigError(
                f"validation_fraction is {self.validation_fraction}, but must be 0 or more and below 1: 0.1, "
                "for instance."
            )
        first, second = _input_columns(texts, self.graph)
        if self.graph is not None:
            kind = self._graph_task(self.graph, kind, is_pair=second is not None)
        values = column_values(targets, "targets")
        check_lengths(len(first), len(values))
        _refuse_blank(first, second)
        task = infer_task(values, column="targets", kind=kind)
        if labels is not None:
            task = replace(task, labels=tuple(labels))
        rows = LabeledTexts(
            texts=first,
            pairs=second,
            targets=encode_targets(values, task, column="targets"),
            weights=weight_column(sample_weight, len(values)),
        )
        train, validation = self._split(rows, task)
        graph = self.graph or self._ready_made(task, is_pair=second is not None)
        self.__dict__.pop("_cached_predictor", None)
        trained = train_model(graph, task, train, validation, self._settings(task))
        self._training_facts = training_facts(trained, train, num_held_out=len(validation or ()))
        self.model_ = trained.model
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
            **{option: getattr(BertTokenizer, option) for option in WINDOW_OPTIONS},
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
        return rows.divided(task, fraction=self.validation_fraction, seed=self.seed)

    def _settings(self, task: Task) -> TrainingSettings:
        return TrainingSettings(
            epochs=self.epochs,
            batch_tokens=self.batch_tokens,
            learning_rate=self.learning_rate,
            class_weight=_of_task_labels(self.class_weight, task),
            metric=self.metric,
            patience=self.patience,
            # int8 is for answering alone.
            precision="auto" if self.precision == "int8" else self.precision,
            device=self.device,
            seed=self.seed,
        )


def _input_columns(inputs: Any, graph: Graph | None) -> tuple[Sequence[ModelInput], list[str] | None]:
    """The first and second column of what a model takes; without a graph that is texts."""
    encoder = None if graph is None or graph.tokenizer is not None else graph.encoder
    if not isinstance(encoder, BertEncoder):
        return text_columns(inputs)
    is_matrix = isinstance(inputs, np.ndarray) and inputs.ndim == 2
    rows = list(inputs) if is_matrix else column_values(inputs, "token ids")
    return encode_token_ids(rows, encoder.vocabulary_size).ids, None


def _refuse_blank(first: Sequence[ModelInput], second: Sequence[str] | None) -> None:
    """Refuse to learn from a text that says nothing, as the command line does; to predict, it may be one.

    Raises:
        DataError: Naming the first few such rows.
    """
    blank = [
        f"texts[{index}] is blank"
        for index, row in enumerate(zip(first, *([] if second is None else [second]), strict=True))
        if any(isinstance(text, str) and is_missing(text) for text in row)
    ]
    if blank:
        raise DataError(f"{first_few(blank)}. There is nothing to learn from them: leave these rows out.")


def check_lengths(num_texts: int, num_targets: int) -> None:
    """Make sure that every text has a target.

    Raises:
        DataError: If there are more of one than of the other.
    """
    if num_texts != num_targets:
        found = f"{counted(num_texts, 'text')}, but {counted(num_targets, 'target')}"
        raise DataError(f"Found {found}; give one a text.")


def weight_column(sample_weight: Any, num_texts: int) -> NDArray[np.float64] | None:
    """How much each text counts; None where all count the same.

    Raises:
        DataError: If there is not one for each text, one is missing, negative or not finite, or all are 0.
    """
    if sample_weight is None:
        return None
    values = column_values(sample_weight, "sample_weight")
    if len(values) != num_texts:
        found = f"{counted(num_texts, 'text')}, but {counted(len(values), 'weight')}"
        raise DataError(f"Found {found}; give one a text.")
    return row_weights(values, name="sample_weight")


def _of_task_labels(
    class_weight: Literal["auto"] | Mapping[Any, float] | None, task: Task
) -> Literal["auto"] | Mapping[str, float] | None:
    """Chosen weights by the task's labels, which are texts: 1 and True are "1" and "true" there."""
    if not isinstance(class_weight, Mapping):
        return class_weight
    return {task_label(label, task): weight for label, weight in class_weight.items()}
