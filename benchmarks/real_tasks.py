"""Real tasks in several languages: bertblocks beside transformers' Trainer and a baseline without BERT.

    stsb        pairs of sentences, how alike they are, 0 to 5     Pearson's and Spearman's r a language
    umsab       sentiment of tweets, 8 languages                    macro and weighted F1 a language
    afrisenti   sentiment of tweets, 12 languages of Africa         macro and weighted F1 a language
    sib200      topics of sentences, 12 languages of 205            macro F1 and accuracy a language

Everybody gets the same seeded subsample, so many rows of each language. "same" is the Trainer's recipe on
both sides: first token, BERT's pooler, dense; the same epochs, rate, warm-up, decay, clipping, texts a step.
"defaults" and "frozen" are what bertblocks does unless it is told otherwise. After each side the result is
written, so a run that is stopped keeps what it did.

    python benchmarks/real_tasks.py umsab --data ../shared/data --encoder mini --output umsab.json
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertblocks.blocks import text_model
from bertblocks.checkpoints import encoder_defaults, resolve_encoder
from bertblocks.data import encode_targets, infer_task
from bertblocks.evaluation import compute_metrics, measure_baseline
from bertblocks.inference import Predictor, targets_in_unit
from bertblocks.text import load_tokenizer
from bertblocks.training import LabeledTexts, TrainingSettings, train_model
from peers import (
    TEXTS_A_STEP,
    WARMUP,
    Rows,
    TransformersTrainer,
    environment,
    hugging_face_folder,
    quiet_transformers,
)

SIDES = ("baseline", "same", "trainer", "defaults", "frozen")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A real table.

    Attributes:
        folder: Below the data's folder.
        columns: Of the text, of the second text where rows are pairs, and of the target.
        metrics: What is reported.
        languages: Those that are taken; empty for all that have training rows.
    """

    folder: str
    columns: tuple[str, str | None, str]
    metrics: tuple[str, str]
    languages: tuple[str, ...] = ()


TABLES = {
    "stsb": Table(
        folder="stsb-multi-mt", columns=("text_a", "text_b", "score"), metrics=("pearson", "spearman")
    ),
    "umsab": Table(folder="umsab", columns=("text", None, "sentiment"), metrics=("macro_f1", "weighted_f1")),
    "afrisenti": Table(
        folder="afrisenti", columns=("text", None, "sentiment"), metrics=("macro_f1", "weighted_f1")
    ),
    "sib200": Table(
        folder="sib200",
        columns=("text", None, "topic"),
        metrics=("macro_f1", "accuracy"),
        languages=(
            "arb_Arab",
            "deu_Latn",
            "eng_Latn",
            "fra_Latn",
            "hin_Deva",
            "jpn_Jpan",
            "rus_Cyrl",
            "spa_Latn",
            "swh_Latn",
            "tur_Latn",
            "vie_Latn",
            "zho_Hans",
        ),
    ),
}


def read_rows(table: Table, options: argparse.Namespace) -> Rows:
    """So many rows of each language that has training rows."""
    chosen = set(table.languages) or None
    train = _sample(options.data / table.folder / "train.csv", options.train_rows, chosen)
    languages = {row["language"] for row in train}
    test = _sample(options.data / table.folder / "test.csv", options.test_rows, languages)
    text, pair, target = table.columns
    task = infer_task([row[target] for row in train], column=target)

    def labeled(rows: list[dict[str, str]]) -> LabeledTexts:
        return LabeledTexts(
            texts=[row[text] for row in rows],
            pairs=[row[pair] for row in rows] if pair else None,
            targets=encode_targets([row[target] for row in rows], task, column=target),
            groups=[row["language"] for row in rows],
        )

    return Rows(task=task, train=labeled(train), test=labeled(test))


def _sample(path: Path, rows_a_language: int, languages: set[str] | None) -> list[dict[str, str]]:
    by_language = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if languages is None or row["language"] in languages:
                by_language[row["language"]].append(row)
    chosen = []
    for language in sorted(by_language):
        rows = by_language[language]
        # Seeded by the language: rows of tables that are translations of each other are not the same ones.
        random.Random(language).shuffle(rows)
        chosen += rows[:rows_a_language]
    random.Random(0).shuffle(chosen)
    return chosen


def scores_of_ours(folder: Path, rows: Rows, options: argparse.Namespace, side: str) -> np.ndarray:
    """Train with bertblocks in one of three ways; probabilities or numbers of the test rows."""
    same = side == "same"
    graph = text_model(
        task=rows.task,
        encoder=str(folder),
        text_pair="text_pair" if rows.train.pairs else None,
        pooling="cls" if same else encoder_defaults(resolve_encoder(options.encoder)).pooling,
        trainable=side != "frozen",
    )
    settings: dict[str, Any] = {"seed": options.seed, "precision": options.precision}
    if same:
        encoded = load_tokenizer(folder).encode(rows.train.texts, rows.train.pairs)
        settings.update(
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            head_learning_rate=options.learning_rate,
            warmup_fraction=WARMUP,
            batch_tokens=int(encoded.num_tokens.clip(max=512).mean() * TEXTS_A_STEP),
        )
    trained = train_model(graph, rows.task, rows.train, None, TrainingSettings(**settings))
    predictor = Predictor(trained.model, precision=options.precision)
    return predictor.predict(rows.test.texts, rows.test.pairs).scores


def scores_of_trainer(folder: Path, rows: Rows, options: argparse.Namespace) -> np.ndarray:
    """Train with transformers' Trainer; probabilities or numbers of the test rows."""
    trainer = TransformersTrainer(
        folder,
        rows,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        seed=options.seed,
        bfloat16=options.precision == "bfloat16",
    )
    trainer.train()
    return trainer.scores()


def figures(rows: Rows, scores: np.ndarray, metrics: tuple[str, str]) -> dict[str, dict[str, float | None]]:
    """The metrics of each language, and their mean over the languages."""
    groups = np.array(rows.test.groups)
    targets = targets_in_unit(rows.task, rows.test.targets)
    by_language = {}
    for language in languages_of(rows):
        chosen = groups == language
        found = compute_metrics(rows.task, targets=targets[chosen], scores=scores[chosen])
        by_language[language] = {name: found.values[name] for name in metrics}
    return with_mean(by_language, metrics)


def baseline_figures(rows: Rows, metrics: tuple[str, str]) -> dict[str, dict[str, float | None]]:
    """The baseline without BERT, which learns from the rows of all languages as the models do."""
    by_language = {}
    for language in languages_of(rows):
        test = rows_of_language(rows.test, language)
        result = measure_baseline(
            rows.task,
            train_texts=rows.train.texts,
            train_targets=targets_in_unit(rows.task, rows.train.targets),
            test_texts=test.texts,
            test_targets=targets_in_unit(rows.task, test.targets),
            train_pairs=rows.train.pairs,
            test_pairs=test.pairs,
        )
        by_language[language] = {name: result.metrics[name] for name in metrics}
    return with_mean(by_language, metrics)


def languages_of(rows: Rows) -> list[str]:
    """The languages of the test rows."""
    return sorted(set(rows.test.groups or ()))


def rows_of_language(part: LabeledTexts, language: str) -> LabeledTexts:
    """The rows of one language."""
    return part.take(np.flatnonzero(np.array(part.groups) == language))


def with_mean(
    by_language: dict[str, dict[str, float | None]], metrics: tuple[str, str]
) -> dict[str, dict[str, float | None]]:
    """The mean over the languages before each of them; a metric that is not defined counts as 0."""
    means = {
        name: float(np.mean([values[name] or 0.0 for values in by_language.values()])) for name in metrics
    }
    return {"mean": means, **by_language}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every side, the results so far written after each."""
    table = TABLES[options.table]
    rows = read_rows(table, options)
    record: dict[str, Any] = {
        "environment": environment(options),
        "rows": {"train": len(rows.train), "test": len(rows.test)},
        "results": {},
    }
    with tempfile.TemporaryDirectory() as work:
        folder = hugging_face_folder(options.encoder, Path(work) / "encoder")
        runs: dict[str, Callable[[], dict[str, Any]]] = {
            "baseline": lambda: baseline_figures(rows, table.metrics),
            "trainer": lambda: figures(rows, scores_of_trainer(folder, rows, options), table.metrics),
            **{
                side: lambda side=side: figures(
                    rows, scores_of_ours(folder, rows, options, side), table.metrics
                )
                for side in ("same", "defaults", "frozen")
            },
        }
        for side in options.sides.split(","):
            start = time.perf_counter()
            found = runs[side]()
            seconds = round(time.perf_counter() - start, 1)
            record["results"][side] = {"seconds": seconds, "metrics": found}
            print(f"{side}: {found['mean']} in {seconds} s", file=sys.stderr, flush=True)
            if options.output:
                options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def main() -> None:
    """Measure, and print a line a side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real tables")
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--sides", default=",".join(SIDES), help="some of them, separated by commas")
    parser.add_argument("--train-rows", type=int, default=100, help="of each language")
    parser.add_argument("--test-rows", type=int, default=100, help="of each language")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    quiet_transformers()
    measure(options)


if __name__ == "__main__":
    main()
