"""The model inside the worker: rows in, answers out, in plain Python."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bertblocks.assembly import default_batch_tokens, lanes_of
from bertblocks.assembly.building import graph_pooling
from bertblocks.checkpoints import is_saved_model, resolve_encoder
from bertblocks.data.writers import vectors_as_json
from bertblocks.encoder import Precision
from bertblocks.errors import ConfigError
from bertblocks.inference import (
    Predictor,
    TextEncoder,
    answers,
    load_encoder,
    rounded,
    scores_from_logits,
)
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.messages import Asked, Refusal, Row, Scores, Start
from bertblocks.serving.tokenization import encoded_rows, tokenize

# Of probabilities: float32 has no more.
_DECIMALS = 7
_NO_NUMBER = Refusal("The model's answer to this text is no finite number.", is_texts=False)


class ServedModel(Protocol):
    """What the worker does with its model."""

    facts: ModelFacts

    def tokenize(self, asked: Sequence[Asked]) -> list[Row | Refusal]:
        """Texts → rows."""

    def compute(self, asked: Sequence[Asked], rows: Sequence[Row]) -> list[Any]:
        """Rows → answers, by one batch or several."""


def is_model(source: str) -> bool:
    """Whether a source is a trained model, and not an encoder.

    Raises:
        CheckpointError: If there is neither.
    """
    return is_saved_model(resolve_encoder(source))


def load(start: Start, precision: Precision, reason: str) -> ServedModel:
    """Load what is to be served.

    Args:
        start: What to serve.
        precision: Of its products.
        reason: Why this precision.

    Raises:
        CheckpointError: If it cannot be found or read.
        ConfigError: If it reads no texts.
    """
    if not is_model(start.model):
        return ServedEncoder(
            load_encoder(start.model, precision=precision, device=start.device), start, reason
        )
    folder = resolve_encoder(start.model)
    predictor = Predictor.load(folder, precision=precision, device=start.device)
    if predictor.model.tokenizer is None:
        raise ConfigError(
            f"{start.model} takes token ids, not texts, and a server reads texts. `bertblocks predict` "
            "answers for tables of ids."
        )
    if start.batch_tokens is not None:
        predictor.batch_tokens = start.batch_tokens
    return ServedPredictor(predictor, start, reason)


class ServedPredictor:
    """A trained model."""

    def __init__(self, predictor: Predictor, start: Start, reason: str) -> None:
        assert predictor.model.tokenizer is not None, "load has checked it"
        self._predictor = predictor
        self._tokenizer = predictor.model.tokenizer
        self._task = predictor.model.task
        self._explainer = _explainer(predictor)
        graph = predictor.model.graph
        config = predictor.model.module.encoder.config
        self.facts = ModelFacts(
            name=_name(start.model),
            folder=str(resolve_encoder(start.model)),
            task=self._task.kind,
            labels=self._task.labels,
            inputs=tuple(str(block.column) for block in graph.inputs),
            target=graph.target.column,
            thresholds=self._task.thresholds,
            sequence_length=self._tokenizer.sequence_length,
            slides=self._tokenizer.windows == "slide",
            hidden_size=config.hidden_size,
            pooling=graph_pooling(graph),
            vocabulary_size=self._tokenizer.vocabulary_size,
            precision=predictor.precision,
            precision_reason=reason,
            kernels=predictor.kernels,
            device=predictor.device.type,
            num_lanes=lanes_of(predictor.device),
            batch_tokens=predictor.batch_tokens,
            explains=self._explainer is not None,
        )

    def tokenize(self, asked: Sequence[Asked]) -> list[Row | Refusal]:
        """Texts → rows."""
        return tokenize(self._tokenizer, asked)

    def compute(self, asked: Sequence[Asked], rows: Sequence[Row]) -> list[Any]:
        """Rows → scores, or explanations."""
        return _by_want(asked, rows, lambda want: want == "explain", self._explain, self._scores)

    def _scores(self, asked: Sequence[Asked], rows: Sequence[Row]) -> list[Any]:
        logits = self._predictor.logits(encoded_rows(rows), deduplicate=False)
        scores = scores_from_logits(self._task, logits)
        given = answers(self._task, scores)
        if self._task.kind == "regression":
            shown = [[rounded(self._task, float(score))] if np.isfinite(score) else [] for score in scores]
            given = [row[0] if row else 0.0 for row in shown]
        else:
            shown = np.round(scores.astype(np.float64), _DECIMALS).tolist()
        is_finite: list[bool] = np.asarray(np.isfinite(logits).all(axis=1)).tolist()
        return [
            Scores(answer, row, row_logits) if is_good else _NO_NUMBER
            for answer, row, row_logits, is_good in zip(given, shown, logits.tolist(), is_finite, strict=True)
        ]

    def _explain(self, asked: Sequence[Asked], rows: Sequence[Row]) -> list[Any]:
        return [self._explanation(text) for text in asked]

    def _explanation(self, asked: Asked) -> Any:
        pairs = None if asked.pair is None else [asked.pair]
        (found,) = self._explainer.explain([asked.text], pairs, method="leave-one-out")
        return {
            "label": found.label,
            "probability": found.probability,
            "unit": found.unit,
            "words": [
                {
                    "text": word.text,
                    "start": word.start,
                    "end": word.end,
                    "in_pair": word.in_pair,
                    "weight": round(float(word.leave_one_out or 0.0), _DECIMALS),
                }
                for word in found.words
            ],
        }


class ServedEncoder:
    """An encoder that gives vectors."""

    def __init__(self, encoder: TextEncoder, start: Start, reason: str) -> None:
        self._encoder = encoder
        self._tokenizer = encoder.tokenizer
        self._batch_tokens = start.batch_tokens or default_batch_tokens(encoder.device)
        self.facts = ModelFacts(
            name=_name(start.model),
            folder=str(resolve_encoder(start.model)),
            task="embedding",
            labels=(),
            inputs=("text",),
            target="vector",
            thresholds=(),
            sequence_length=self._tokenizer.sequence_length,
            slides=self._tokenizer.windows == "slide",
            hidden_size=encoder.config.hidden_size,
            pooling=encoder.pooling,
            vocabulary_size=self._tokenizer.vocabulary_size,
            precision=encoder.precision,
            precision_reason=reason,
            kernels=encoder.kernels,
            device=encoder.device.type,
            num_lanes=lanes_of(encoder.device),
            batch_tokens=self._batch_tokens,
            explains=False,
        )

    def tokenize(self, asked: Sequence[Asked]) -> list[Row | Refusal]:
        """Texts → rows."""
        return tokenize(self._tokenizer, asked)

    def compute(self, asked: Sequence[Asked], rows: Sequence[Row]) -> list[Any]:
        """Rows → vectors, as text."""
        return _by_want(asked, rows, lambda want: want == "sequence", self._sequences, self._vectors)

    def _vectors(self, asked: Sequence[Asked], rows: Sequence[Row]) -> list[Any]:
        vectors = self._encoder.vectors(
            encoded_rows(rows), self._encoder.pooling, batch_tokens=self._batch_tokens, deduplicate=False
        )
        is_unit = np.array([text.want.startswith("unit") for text in asked])
        vectors[is_unit] = _of_length_1(vectors[is_unit])
        is_finite = np.asarray(np.isfinite(vectors).all(axis=1))
        vectors[~is_finite] = 0
        is_base64 = [text.want.endswith("64") for text in asked]
        numbers = iter(
            vectors_as_json([vector for vector, coded in zip(vectors, is_base64, strict=True) if not coded])
            if not all(is_base64)
            else ()
        )
        told = [
            base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii") if coded else next(numbers)
            for vector, coded in zip(vectors, is_base64, strict=True)
        ]
        return [text if good else _NO_NUMBER for text, good in zip(told, is_finite.tolist(), strict=True)]

    def _sequences(self, asked: Sequence[Asked], rows: Sequence[Row]) -> list[Any]:
        found = self._encoder.sequences(encoded_rows(rows), batch_tokens=self._batch_tokens)
        return [f"[{', '.join(map(str, vectors_as_json(list(vectors))))}]" for vectors in found]


def _by_want(asked: Sequence[Asked], rows: Sequence[Row], is_other: Any, other: Any, usual: Any) -> list[Any]:
    """Compute rows of two kinds apart; the answers keep the order."""
    found: list[Any] = [None] * len(rows)
    for compute, chosen in (
        (other, [index for index, text in enumerate(asked) if is_other(text.want)]),
        (usual, [index for index, text in enumerate(asked) if not is_other(text.want)]),
    ):
        if chosen:
            values = compute([asked[index] for index in chosen], [rows[index] for index in chosen])
            for index, value in zip(chosen, values, strict=True):
                found[index] = value
    return found


def _of_length_1(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny))


def _explainer(predictor: Predictor) -> Any:
    """What tells which words mattered; None where this bertblocks has no such part."""
    try:
        return import_module("bertblocks.explanation").Explainer(predictor)
    except ImportError:
        return None


def _name(source: str) -> str:
    """A name for people: that of the folder or the zip, without where it lies."""
    return source if "/" not in source and "\\" not in source else Path(source).resolve().stem
