"""Are the words that an explanation names those that the answer depends on?

A model is trained on real rows, and asked for test rows. Of each text the k words that speak most for the
answer are deleted, by every method, and the text is predicted again: how far does the answer's probability
fall? Beside it stand two ways without an explanation: k random words of the same text, the mean of several
draws, and its k longest words. Signs are never drawn: random words have a letter or a digit. Words are
deleted from the text itself, which is tokenized and predicted anew.

Differences are taken text by text; their 95 % intervals come from resampling the texts. What the methods
cost, and how nearly the attributions of integrated gradients add up, is told for each baseline.

    python benchmarks/faithfulness.py --data ../shared/data --output benchmarks/results/faithfulness.json
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import bootstrap

import bertblocks as bb
from bertblocks.assembly import AssembledModel
from bertblocks.explanation import ExplainedWord, Explainer, Explanation, weight_of
from bertblocks.inference import Predictor
from machine import environment

NUM_DELETED = (1, 2, 3, 5)
NUM_DRAWS = 20
RESAMPLES = 2000
# Of fewer words the largest number would leave nothing that is not chosen.
FEWEST_WORDS = 10
EXPLAINED = {
    "integrated gradients, pad": ("integrated-gradients", "pad"),
    "integrated gradients, mask": ("integrated-gradients", "mask"),
    "integrated gradients, mean": ("integrated-gradients", "mean"),
    "gradient, pad": ("gradient", "pad"),
    "gradient, mask": ("gradient", "mask"),
    "gradient, mean": ("gradient", "mean"),
    "leave one out": ("leave-one-out", None),
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A real table.

    Attributes:
        target: The column of the label.
        languages: Those that are taken.
        train_rows: Of each language.
        test_rows: Of each language.
    """

    target: str
    languages: tuple[str, ...]
    train_rows: int
    test_rows: int


TABLES = {
    "sib200": Table(
        target="topic", languages=("eng_Latn", "swh_Latn", "zho_Hans"), train_rows=300, test_rows=80
    ),
    "umsab": Table(
        target="sentiment",
        languages=("arabic", "english", "french", "german", "hindi", "italian", "portuguese", "spanish"),
        train_rows=150,
        test_rows=30,
    ),
}


def read(path: Path, table: Table, rows_a_language: int) -> list[dict[str, str]]:
    """So many rows of each language, seeded."""
    by_language = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["language"] in table.languages:
                by_language[row["language"]].append(row)
    chosen = []
    for language in table.languages:
        rows = by_language[language]
        random.Random(language).shuffle(rows)
        chosen += rows[:rows_a_language]
    return chosen


def without(text: str, words: Sequence[ExplainedWord]) -> str:
    """The text without some of its words."""
    parts, end = [], 0
    for word in sorted(words, key=lambda word: word.start):
        parts.append(text[end : word.start])
        end = word.end
    return " ".join("".join([*parts, text[end:]]).split())


def strongest(found: Explanation, num_words: int) -> list[ExplainedWord]:
    """The words that speak most for the answer."""
    return sorted(found.words, key=lambda word: -(weight_of(word) or 0.0))[:num_words]


def has_letters(word: ExplainedWord) -> bool:
    """Whether it is a word that could be drawn, and not a sign."""
    return any(char.isalnum() for char in word.text)


def longest(found: Explanation, num_words: int) -> list[ExplainedWord]:
    """The longest words, earlier ones first."""
    return sorted(found.words, key=lambda word: -len(word.text))[:num_words]


def probabilities(predictor: Predictor, texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.float64]:
    """The probability of a label for each text."""
    scores = predictor.predict(texts).scores
    columns = [predictor.model.task.labels.index(label) for label in labels]
    return scores[np.arange(len(texts)), columns].astype(np.float64)


def interval(differences: NDArray[np.float64]) -> list[float]:
    """Mean and its 95 % interval over the texts, in points of probability."""
    found = bootstrap(
        (differences,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return [round(100 * float(value), 2) for value in (differences.mean(), found.low, found.high)]


Choice = Callable[[int, int], Sequence[list[ExplainedWord]]]


class Deletions:
    """How far the answer's probability falls when words are deleted.

    Args:
        model: Answers in float32.
        texts: Explained texts: their words and answers.
    """

    def __init__(self, model: AssembledModel, texts: Sequence[Explanation]) -> None:
        self._predictor = Predictor(model, precision="float32")
        self._texts = texts
        self._labels = [str(found.label) for found in texts]
        self._before = probabilities(self._predictor, [found.text for found in texts], self._labels)

    def falls(self, choice: Choice, num_words: int) -> NDArray[np.float64]:
        """Of each text, the mean over the choices that are made for it.

        Args:
            choice: Place of the text and number of words → one choice or several, the same number for all.
            num_words: How many words are deleted.
        """
        chosen = [choice(index, num_words) for index in range(len(self._texts))]
        asked = [
            (without(found.text, words), label)
            for found, label, choices in zip(self._texts, self._labels, chosen, strict=True)
            for words in choices
        ]
        after = probabilities(self._predictor, *map(list, zip(*asked, strict=True)))
        return self._before - after.reshape(len(self._texts), -1).mean(axis=1)


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train on a table's rows and judge every method on its test rows."""
    table = TABLES[name]
    train = read(options.data / name / "train.csv", table, table.train_rows)
    test = read(options.data / name / "test.csv", table, table.test_rows)
    classifier = bb.TextClassifier(encoder=options.encoder, seed=0)
    classifier.fit([row["text"] for row in train], [row[table.target] for row in train])
    texts = [row["text"] for row in test]
    print(f"  trained on {len(train)} rows", file=sys.stderr)
    record: dict[str, Any] = {
        "languages": table.languages,
        "train_rows": len(train),
        "accuracy": round(classifier.score(texts, [row[table.target] for row in test]), 3),
    }
    words = [
        [word for word in found.words if has_letters(word)]
        for found in classifier.explain(texts, method="gradient")
    ]
    long_enough = [index for index, found in enumerate(words) if len(found) >= FEWEST_WORDS]
    texts, words = [texts[index] for index in long_enough], [words[index] for index in long_enough]
    record["texts"], record["words"] = len(texts), round(float(np.mean(list(map(len, words)))), 1)
    explained = dict(explanations(classifier.model_, texts))
    record["methods"] = {method: cost for method, (_, cost) in explained.items()}
    deletions = Deletions(classifier.model_, next(iter(explained.values()))[0])
    record["falls"] = {
        str(number): dict(compared(deletions, explained, words, number)) for number in NUM_DELETED
    }
    return record


def explanations(
    model: AssembledModel, texts: Sequence[str]
) -> Iterator[tuple[str, tuple[list[Explanation], dict[str, Any]]]]:
    """Each method's explanations of all texts, and what they took."""
    for name, (method, baseline) in EXPLAINED.items():
        explainer = Explainer(model, baseline=baseline)
        explainer.explain(texts[:4], method=method)
        # Time of the processor, so that other programs do not count.
        begin = time.process_time()
        found = explainer.explain(texts, method=method)
        cost: dict[str, Any] = {"seconds_a_text": round((time.process_time() - begin) / len(texts), 4)}
        if method == "integrated-gradients":
            steps = [one.steps or 0 for one in found]
            residues = [one.relative_residue or 0.0 for one in found]
            cost["steps_mean"], cost["steps_most"] = round(float(np.mean(steps)), 1), max(steps)
            cost["complete"] = round(float(np.mean([one.is_complete for one in found])), 3)
            cost["residue_median"] = round(float(np.median(residues)), 5)
            cost["residue_95"] = round(float(np.percentile(residues, 95)), 5)
            cost["difference_mean"] = round(
                float(np.mean([one.output - (one.baseline_output or 0.0) for one in found])), 3
            )
        print(f"  {name}: {cost}", file=sys.stderr)
        yield name, (found, cost)


def compared(
    deletions: Deletions,
    explained: dict[str, tuple[list[Explanation], dict[str, Any]]],
    words: Sequence[list[ExplainedWord]],
    number: int,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each choice of so many words: how far the probability falls, and how much further than by chance."""
    draw = random.Random(number)
    by_chance = deletions.falls(
        lambda index, count: [draw.sample(words[index], count) for _ in range(NUM_DRAWS)], number
    )
    any_method = next(iter(explained.values()))[0]
    choices: dict[str, Choice] = {
        "longest words": lambda index, count: [longest(any_method[index], count)],
        **{
            name: lambda index, count, found=found: [strongest(found[index], count)]
            for name, (found, _) in explained.items()
        },
    }
    yield "random words", {"fall": interval(by_chance)}
    for name, choice in choices.items():
        fall = deletions.falls(choice, number)
        yield (
            name,
            {
                "fall": interval(fall),
                "more_than_random": interval(fall - by_chance),
                "texts_with_more": round(float(np.mean(fall > by_chance)), 3),
            },
        )


def as_table(record: dict[str, Any]) -> str:
    """Falls in points, as a table for documents."""
    names = list(record["falls"][str(NUM_DELETED[0])])
    lines = [
        "| deleted | " + " | ".join(f"{number} word{'s' * (number > 1)}" for number in NUM_DELETED) + " |",
        "|---" * (len(NUM_DELETED) + 1) + "|",
    ]
    for name in names:
        cells = []
        for number in NUM_DELETED:
            found = record["falls"][str(number)][name]
            more = found.get("more_than_random")
            beside = "" if more is None else " ({:+.1f}; {:+.1f} to {:+.1f})".format(*more)
            cells.append(f"{found['fall'][0]:.1f}{beside}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure both tables, print them, and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the tables' folders")
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    record: dict[str, Any] = {
        "environment": environment(("torch", "tokenizers", "scipy"), options.threads),
        "encoder": options.encoder,
        "draws": NUM_DRAWS,
        "resamples": RESAMPLES,
    }
    for name in options.tables:
        print(f"{name}:", file=sys.stderr)
        record[name] = measure(name, options)
        print(f"\n{name}, {record[name]['texts']} texts, accuracy {record[name]['accuracy']}\n")
        print(as_table(record[name]))
        if options.output is not None:
            options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
