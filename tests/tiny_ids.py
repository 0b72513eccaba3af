"""Small tables of token ids in place of texts, and models that take them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from bertblocks.assembly import AssembledModel, assemble
from bertblocks.blocks import BertEncoder, BertPooler, Dense, Graph, Target, Task, TokenIdsInput

NUM_IDS = 20
SIZES = {"num_layers": 1, "num_heads": 2, "hidden_size": 32, "intermediate_size": 64}
YES_NO = Task(kind="classification", labels=("no", "yes"))

BAD_CELLS: dict[str, tuple[Any, str]] = {
    "empty list": ([], "the list has 0 integers, but must have 3 to 512"),
    "two ids": ([1, 2], "the list has 2 integers, but must have 3 to 512"),
    "513 ids": ([1] * 513, "the list has 513 integers, but must have 3 to 512"),
    "negative": ([1, 2, -3], "item 3 of the list is -3, but ids run from 0 to 19"),
    "too large": ([1, 20, 3], "item 2 of the list is 20, but ids run from 0 to 19 (vocabulary size 20)"),
    "far too large": ([1, 2**40, 3], "item 2 of the list is 1099511627776, but ids run from 0"),
    "float": ([1.5, 2, 3], "item 1 of the list is 1.5 (float), but must be an integer"),
    "whole float": ([1, 2, 3.0], "item 3 of the list is 3.0 (float), but must be an integer"),
    "bool": ([True, 2, 3], "item 1 of the list is True (bool), but must be an integer"),
    "null": (None, "the list of token ids is missing"),
    "null inside": ([1, None, 3], "item 2 of the list is nothing, but must be an integer"),
    "nested list": ([[1, 2, 3]], "item 1 of the list is [1, 2, 3] (list), but must be an integer"),
    "string": ("1 2 3", "expected a list of integers, found '1 2 3' (str)"),
    "strings": (["1", "2", "3"], "item 1 of the list is '1' (str), but must be an integer"),
    "number": (5, "expected a list of integers, found 5 (int)"),
    "object": ({"a": 1}, "expected a list of integers, found {'a': 1} (dict)"),
}
"""Cells that are no token ids of a vocabulary of 20, and what is said of them."""


def order_rows(num_rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Lists with a 1 and a 2 among others: "yes" where 1 comes first, which no count of ids tells."""
    random = np.random.default_rng(seed)
    ids, labels = [], []
    for index in range(num_rows):
        row = random.integers(3, NUM_IDS, random.integers(6, 10))
        first, second = sorted(random.choice(len(row), 2, replace=False))
        row[first], row[second] = (1, 2) if index % 2 else (2, 1)
        ids.append(row.tolist())
        labels.append("yes" if index % 2 else "no")
    return {"events": ids, "label": labels}


def write_json_lines(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Write columns as JSON Lines."""
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Write columns as Parquet."""
    pq.write_table(pa.table(dict(columns)), path)
    return path


def ids_graph(*, vocabulary_size: int = NUM_IDS, **sizes: int) -> Graph:
    """A tiny model of the column "events"."""
    return Graph(
        [
            TokenIdsInput("events"),
            BertEncoder(vocabulary_size=vocabulary_size, **{**SIZES, **sizes}),
            BertPooler(),
            Dense(2, activation="softmax"),
            Target("label"),
        ]
    )


def ids_model(seed: int = 0) -> AssembledModel:
    """A tiny model of random weights, large enough that rows differ."""
    torch.manual_seed(seed)
    model = assemble(ids_graph(), YES_NO)
    with torch.no_grad():
        for weight in model.module.parameters():
            if weight.ndim == 2:
                weight.mul_(10)
    model.module.eval()
    return model
