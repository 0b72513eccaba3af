"""Several predictors and a table with the truth → a comparison; texts are streamed, only numbers are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.assembly import AssembledModel
from bertblocks.blocks import Task
from bertblocks.data import (
    Example,
    InputColumn,
    OnBadRow,
    RowReport,
    Table,
    TokenIdsColumn,
    encode_targets,
    read_examples,
    unlabeled_rows,
)
from bertblocks.errors import ConfigError
from bertblocks.evaluation.comparison import (
    Comparison,
    ModelScores,
    aligned,
    check_same_question,
    compare,
)
from bertblocks.evaluation.evaluated_rows import group_name
from bertblocks.evaluation.evaluations import check_groups
from bertblocks.evaluation.examination import LabeledChunk
from bertblocks.inference import Predictor, targets_in_unit

# Rows that are sorted by length and computed together: enough to sort well, few enough to hold.
_CHUNK_ROWS = 4096

_LOG = logging.getLogger(__name__)


def compare_tables(
    predictors: Mapping[str, Predictor],
    table: Table,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    ids: str | None = None,
    target: str | None = None,
    label_separator: str | None = None,
    group_by: str | None = None,
    on_bad_row: OnBadRow = "error",
    on_batch: Callable[[int], None] | None = None,
    say: Callable[[str], None] = _LOG.info,
    seed: int = 0,
) -> Comparison:
    """Give the rows of a table to several models, and compare the later ones with the first.

    Args:
        predictors: The models by name; they answer the same question, and read the same columns.
        table: Texts and truth.
        text: Column of texts; the one named in training where None.
        text_pair: Column of second texts, likewise.
        ids: Column of token ids, likewise.
        target: Column of the truth, likewise.
        label_separator: Splits the truth into several labels; with it a blank truth is a row without labels.
        group_by: Column for differences by group.
        on_bad_row: Whether rows that cannot be used, such as those with an id that one of the models has no
            vector for, are an error, or are left out for all models and counted.
        on_batch: Called after each batch with its number of rows.
        say: Told, in sentences, what is found.
        seed: Of the draws: the same seed gives the same intervals.

    Raises:
        DataError: If a column is missing or a row cannot be used.
        ConfigError: If the models cannot be compared, were trained on columns of other names and none is
            given, or a column is given that they have no use for.
    """
    tasks = {name: predictor.model.task for name, predictor in predictors.items()}
    check_same_question(tasks)
    task = next(iter(tasks.values()))
    if label_separator is not None and task.kind != "multilabel":
        raise ConfigError(f"label_separator has no effect: these are {task.kind} models. Leave it out.")
    models = {name: predictor.model for name, predictor in predictors.items()}
    first, pair = _input_columns(models, text=text, text_pair=text_pair, ids=ids)
    target = target or _agreed({name: model.graph.target.column for name, model in models.items()}, "target")
    report = RowReport()
    examples = read_examples(
        table,
        text=first,
        pair=pair,
        target=target,
        group=group_by,
        label_separator=label_separator,
        task=task,
        on_bad_row=on_bad_row,
        report=report,
    )
    chunks = _labeled(examples, task, target, label_separator)
    said = _ask(predictors, chunks, takes_pairs=pair is not None, group_by=group_by, on_batch=on_batch)
    for sentence in (report.summary(), unlabeled_rows(said.targets, task)):
        if sentence:
            say(f"{table.path}: {sentence}")
    return compare(
        said.models,
        targets_in_unit(task, said.targets),
        group_by=group_by,
        groups=said.groups,
        skipped=report.num_skipped,
        seed=seed,
    )


def _labeled(
    examples: Iterable[Example], task: Task, column: str, label_separator: str | None
) -> Iterator[LabeledChunk]:
    examples = iter(examples)
    while chunk := list(islice(examples, _CHUNK_ROWS)):
        targets = encode_targets(
            (example.target for example in chunk),
            task,
            column=column,
            rows=[example.row for example in chunk],
            label_separator=label_separator,
        )
        yield LabeledChunk(examples=chunk, targets=targets)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Said:
    """What all models said of the same rows.

    Attributes:
        targets: The truth, as encode_targets gives it.
        models: Each one's scores, labels in the order of the first one's.
        groups: The places of each group's rows, by its name; empty without groups.
    """

    targets: NDArray[Any]
    models: dict[str, ModelScores]
    groups: dict[str, NDArray[np.intp]]


def _ask(
    predictors: Mapping[str, Predictor],
    chunks: Iterable[LabeledChunk],
    *,
    takes_pairs: bool,
    group_by: str | None,
    on_batch: Callable[[int], None] | None,
) -> _Said:
    """Give the same rows to all models."""
    reference = next(iter(predictors.values())).model.task
    targets: list[NDArray[Any]] = []
    found: dict[str, list[ModelScores]] = {name: [] for name in predictors}
    code_of: dict[str, int] = {}
    codes: list[int] = []
    for chunk in chunks:
        if group_by is not None:
            names = (group_name(example.group) for example in chunk.examples)
            codes += [code_of.setdefault(name, len(code_of)) for name in names]
            check_groups(group_by, code_of)
        targets.append(chunk.targets)
        texts = [example.text for example in chunk.examples]
        pairs = [example.pair or "" for example in chunk.examples] if takes_pairs else None
        for name, predictor in predictors.items():
            answered = predictor.predict(texts, pairs)
            found[name].append(aligned(answered.task, answered.scores, reference))
        if on_batch is not None:
            on_batch(len(chunk.examples))
    return _Said(
        targets=np.concatenate(targets),
        models={
            name: ModelScores(task=parts[0].task, scores=np.concatenate([part.scores for part in parts]))
            for name, parts in found.items()
        },
        groups={name: np.flatnonzero(np.array(codes) == code) for name, code in code_of.items()},
    )


def _input_columns(
    models: Mapping[str, AssembledModel], *, text: str | None, text_pair: str | None, ids: str | None
) -> tuple[InputColumn, str | None]:
    """The columns to read: as in training, unless others are named."""
    takes = _check_same_inputs(models)
    given = {
        "text": text and takes == "token ids",
        "text_pair": text_pair and takes != "pairs of texts",
        "ids": ids and takes != "token ids",
    }
    if idle := [name for name, has_no_effect in given.items() if has_no_effect]:
        raise ConfigError(f"{' and '.join(idle)} has no effect: these models take {takes}. Leave it out.")
    columns = {name: model.columns for name, model in models.items()}
    if takes == "token ids":
        lists = {name: of_model[0] for name, of_model in columns.items()}
        sizes = [column.vocabulary_size for column in lists.values() if isinstance(column, TokenIdsColumn)]
        names = {name: model.graph.inputs[0].column for name, model in models.items()}
        # What one of the models has no vector for, none of them gets.
        return TokenIdsColumn(name=ids or _agreed(names, "ids"), vocabulary_size=min(sizes)), None
    first = text or _agreed({name: str(of_model[0]) for name, of_model in columns.items()}, "text")
    if takes == "single texts":
        return first, None
    second = {name: str(of_model[1]) for name, of_model in columns.items()}
    return first, text_pair or _agreed(second, "text_pair")


def _check_same_inputs(models: Mapping[str, AssembledModel]) -> str:
    """What all of the models take, in words.

    Raises:
        ConfigError: If they take different things.
    """
    takes = {name: _taken(model) for name, model in models.items()}
    (first, expected), *others = takes.items()
    for name, found in others:
        if found != expected:
            raise ConfigError(
                f"The models cannot read the same rows: {first} takes {expected}, {name} takes {found}."
            )
    return expected


def _taken(model: AssembledModel) -> str:
    if model.tokenizer is None:
        return "token ids"
    return "single texts" if len(model.columns) == 1 else "pairs of texts"


def _agreed(columns: Mapping[str, str], option: str) -> str:
    """The name that a column had in the training of all models.

    Raises:
        ConfigError: If it had several.
    """
    (first, name), *others = columns.items()
    for other, found in others:
        if found != name:
            raise ConfigError(
                f"The models were trained on columns of different names, {first} on {name!r} and {other} on "
                f"{found!r}: say which one to read here, for instance {option}='{name}'."
            )
    return name


def shortest_names(paths: Sequence[str]) -> list[str]:
    """Names for models by where they lie: the last parts of their paths, as many as tell all of them apart.

    Args:
        paths: Folders or zips; a path that is there twice has the same name twice.
    """
    parts = [path.replace("\\", "/").rstrip("/").split("/") for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(of_path[-count:]) for of_path in parts]
        if len(set(names)) == len(set(paths)):
            return names
    return list(paths)
