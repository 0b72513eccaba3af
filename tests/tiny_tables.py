"""Small labelled texts in the words of `tiny`, which an encoder of random weights can learn."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FILLERS = ("the", "film", "food", "room", "was", "very", "it", "is", "hotel", "music")
CLUES = {"bad": ("bad", "awful"), "colour": ("red", "blue"), "good": ("good", "great")}


def class_texts(
    num_rows: int, classes: Sequence[str] = ("bad", "good"), seed: int = 0
) -> tuple[list[str], list[str]]:
    """Texts of a few words, of which one says the class; and the classes."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for index in range(num_rows):
        label = classes[index % len(classes)]
        words = [*random.choice(FILLERS, random.integers(2, 6)), str(random.choice(CLUES[label]))]
        random.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def label_lists(num_rows: int, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Texts in which "cat" and "dog" each say a label: none, one or both of them."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for index in range(num_rows):
        found = [name for bit, name in ((1, "cat"), (2, "dog")) if index & bit]
        words = [*random.choice(FILLERS, 3), *found]
        random.shuffle(words)
        texts.append(" ".join(words))
        labels.append([name.upper() for name in found])
    return texts, labels


def numbers(num_rows: int, seed: int = 0) -> tuple[list[str], list[float]]:
    """Texts in which every "good" counts 10, and these sums."""
    random = np.random.default_rng(seed)
    texts, values = [], []
    for index in range(num_rows):
        words = [*random.choice(FILLERS, 2), *["good"] * (index % 4)]
        random.shuffle(words)
        texts.append(" ".join(words))
        values.append(100.0 + 10.0 * (index % 4))
    return texts, values


def write_csv(
    path: Path, columns: Mapping[str, Sequence[Any]], *, encoding: str = "utf-8", separator: str = ","
) -> Path:
    """Write columns as a CSV file."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path
