"""Rows with their truth, batch by batch, through a model: what an evaluation and its report are made of."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bertblocks.assembly import AssembledModel
from bertblocks.blocks import Task
from bertblocks.data import Example, ModelInput, TableWriter, as_text, open_writer
from bertblocks.evaluation.collected_rows import CollectedRows
from bertblocks.evaluation.evaluated_rows import EvaluatedRows
from bertblocks.evaluation.leakage import SeenBefore, row_hashes
from bertblocks.evaluation.mistakes import Mistakes, in_words, true_answer
from bertblocks.evaluation.report_data import Leakage, Mistake
from bertblocks.inference import Answer, Predictions, Predictor, targets_in_unit
from bertblocks.inference.read_ahead import read_ahead
from bertblocks.text import Encoded

PREDICTIONS_FILE = "predictions.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class LabeledChunk:
    """Some rows with their truth.

    Attributes:
        examples: The rows.
        targets: Their truth, as encode_targets gives it.
    """

    examples: Sequence[Example]
    targets: NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Examined:
    """What looking at every row gave.

    Attributes:
        rows: All rows as columns of numbers.
        mistakes: The worst ones, the worst first.
        num_mistakes: How many there are in all.
        leakage: Texts that are repeated, here or from training.
    """

    rows: EvaluatedRows
    mistakes: tuple[Mistake, ...]
    num_mistakes: int
    leakage: Leakage


def examine(
    predictor: Predictor,
    chunks: Iterator[LabeledChunk],
    *,
    group_by: str | None = None,
    training_texts: NDArray[Any] | None = None,
    predictions: Path | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Examined:
    """Predict rows and compare them with their truth; texts are let go chunk by chunk.

    Args:
        predictor: The model.
        chunks: The rows, some thousand at a time: read and tokenized while others are computed.
        group_by: Name of the column that the examples' groups are of.
        training_texts: Hashes of the training rows, to find repeated texts by.
        predictions: A Parquet file to write every row to, with its answer beside the truth.
        on_batch: Called after each chunk with its number of rows.

    Raises:
        DataError: If there are more groups than a report may have.
    """
    model = predictor.model
    collected = CollectedRows(
        model.task,
        group_by=group_by,
        sequence_length=model.sequence_length,
        in_windows=model.token_limit is None,
    )
    mistakes, seen = Mistakes(model.task), SeenBefore(training_texts)
    with (
        closing(collected),
        _writer(predictions, model, group_by) as writer,
        predictor.tokenizing() as encode,
        read_ahead(_encoded(chunks, model, encode)) as ahead,
    ):
        for chunk, encoded in ahead:
            found = predictor.predict_encoded(encoded)
            truths = [true_answer(model.task, target) for target in chunk.targets]
            hashes = _hashes(model.task, chunk.examples, truths)
            seen.add(hashes)
            collected.add(chunk.targets, found, [example.group for example in chunk.examples], hashes["text"])
            mistakes.add(chunk.examples, chunk.targets, found)
            if writer is not None:
                writer.write(_columns(model, chunk, found, truths, group_by))
            if on_batch is not None:
                on_batch(len(chunk.examples))
        leakage = seen.leakage(collected.text_hashes())
        rows = collected.rows()
    return Examined(
        rows=rows,
        mistakes=mistakes.worst(),
        num_mistakes=mistakes.num_found,
        leakage=leakage,
    )


def _encoded(
    chunks: Iterator[LabeledChunk], model: AssembledModel, encode: Callable[..., Encoded]
) -> Generator[tuple[LabeledChunk, Encoded], None, None]:
    takes_pairs = len(model.columns) == 2
    for chunk in chunks:
        texts: list[ModelInput] = [example.text for example in chunk.examples]
        pairs = [example.pair or "" for example in chunk.examples] if takes_pairs else None
        yield chunk, encode(texts, pairs)


def _hashes(task: Task, examples: Sequence[Example], truths: Sequence[Answer]) -> NDArray[Any]:
    return row_hashes(
        [example.text for example in examples],
        [example.pair for example in examples],
        [in_words(task, truth) for truth in truths],
    )


@contextmanager
def _writer(path: Path | None, model: AssembledModel, group_by: str | None) -> Iterator[TableWriter | None]:
    if path is None:
        yield None
        return
    schema = _schema(model, group_by)
    with open_writer(path, schema.names, schema=schema) as writer:
        yield writer


def _schema(model: AssembledModel, group_by: str | None) -> Any:
    """The columns of predictions.parquet: names of ours, that no table's own column can clash with."""
    import pyarrow as pa

    answers = {"regression": pa.float64(), "multilabel": pa.list_(pa.string())}
    answer = answers.get(model.task.kind, pa.string())
    return pa.schema(
        [
            ("row", pa.int64()),
            ("text", pa.string()),
            *([("pair", pa.string())] if len(model.columns) == 2 else []),
            *([("group", pa.string())] if group_by is not None else []),
            ("truth", answer),
            ("prediction", answer),
            *([] if model.task.kind == "regression" else [("right", pa.bool_())]),
            *[(f"probability:{label}", pa.float32()) for label in model.task.labels],
            ("num_tokens", pa.int64()),
            ("truncated", pa.bool_()),
            ("num_unknown", pa.int64()),
        ]
    )


def _columns(
    model: AssembledModel,
    chunk: LabeledChunk,
    found: Predictions,
    truths: Sequence[Answer],
    group_by: str | None,
) -> dict[str, Sequence[Any]]:
    task, answers = model.task, found.answers
    columns: dict[str, Sequence[Any]] = {
        "row": [example.row for example in chunk.examples],
        "text": [_storable(as_text(example.text)) for example in chunk.examples],
    }
    if len(model.columns) == 2:
        columns["pair"] = [_storable(example.pair or "") for example in chunk.examples]
    if group_by is not None:
        columns["group"] = [example.group and _storable(example.group) for example in chunk.examples]
    if task.kind == "regression":
        columns["truth"] = targets_in_unit(task, chunk.targets).tolist()
        columns["prediction"] = found.scores.tolist()
    else:
        columns["truth"] = [list(a) if isinstance(a, tuple) else a for a in truths]
        columns["prediction"] = [list(a) if isinstance(a, tuple) else a for a in answers]
        columns["right"] = [truth == answer for truth, answer in zip(truths, answers, strict=True)]
    for index, label in enumerate(task.labels):
        columns[f"probability:{label}"] = found.scores[:, index].tolist()
    columns["num_tokens"] = found.num_tokens.tolist()
    columns["truncated"] = found.truncated.tolist()
    columns["num_unknown"] = found.num_unknown.tolist()
    return columns


def _storable(text: str) -> str:
    """A text without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
