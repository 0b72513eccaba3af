"""Fine-tuning: bertblocks beside transformers' Trainer and a baseline without BERT.

The same weights, rows, epochs, learning rate, warm-up, weight decay, clipping and head (first token, BERT's
pooler, dense) on both sides; texts a step are equal on average. Seeds differ in head, dropout and order. The
training steps are timed, tokenization and loading are not. Frozen runs have no counterpart in the Trainer.

    python benchmarks/fine_tuning.py accuracy --train train.csv --test test.csv --text text --target topic \
        --group-by language --groups eng_Latn,deu_Latn --rows 1500 --encoder mini --encoder FOLDER
    python benchmarks/fine_tuning.py speed          (alternates the sides, several times; use a quiet machine)

`make benchmark` runs the second form on the sample that ships inside the package.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertblocks import sample
from bertblocks.blocks import Task, text_model
from bertblocks.checkpoints import encoder_defaults, resolve_encoder
from bertblocks.evaluation import measure_baseline
from bertblocks.inference import Predictor
from bertblocks.text import load_tokenizer
from bertblocks.training import LabeledTexts, StepDone, TrainingSettings, train_model
from peers import (
    TEXTS_A_STEP,
    WARMUP,
    Rows,
    TransformersTrainer,
    environment,
    hugging_face_folder,
    label,
    quiet_transformers,
)


def read_rows(options: argparse.Namespace) -> Rows:
    """A seeded subsample of the training table, and test rows, of the chosen groups."""
    wanted = set(options.groups.split(",")) if options.groups else None
    tables = []
    for path in (options.train, options.test):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if not wanted or row[options.group_by] in wanted]
        tables.append(rows)
    train, test = tables
    random.Random(0).shuffle(train)
    random.Random(0).shuffle(test)
    labels = tuple(sorted({row[options.target] for row in train}))
    task = Task(kind="classification", labels=labels)

    def labeled(rows: list[dict[str, str]]) -> LabeledTexts:
        return LabeledTexts(
            texts=[row[options.text] for row in rows],
            targets=np.array([labels.index(row[options.target]) for row in rows]),
            groups=[row[options.group_by] for row in rows],
        )

    return Rows(task=task, train=labeled(train[: options.rows]), test=labeled(test[: options.test_rows]))


def train_ours(
    folder: Path, rows: Rows, options: argparse.Namespace, seed: int, **changes: Any
) -> tuple[np.ndarray, float]:
    """Train with bertblocks; test answers, and seconds in training steps."""
    graph = text_model(
        task=rows.task,
        encoder=str(folder),
        pooling=changes.pop("pooling", "cls"),
        trainable=changes.pop("trainable", True),
    )
    mean_tokens = load_tokenizer(folder).encode(rows.train.texts).num_tokens.clip(max=512).mean()
    settings = {
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "head_learning_rate": options.learning_rate,
        "warmup_fraction": WARMUP,
        "batch_tokens": int(mean_tokens * TEXTS_A_STEP),
        "seed": seed,
        "precision": options.precision,
        **changes,
    }
    seconds = 0.0

    def count(event: object) -> None:
        nonlocal seconds
        seconds += event.seconds if isinstance(event, StepDone) else 0.0

    trained = train_model(graph, rows.task, rows.train, None, TrainingSettings(**settings), on_event=count)
    predictor = Predictor(trained.model, precision=options.precision)
    return predictor.predict(rows.test.texts).scores.argmax(axis=1), seconds


def train_theirs(
    folder: Path, rows: Rows, options: argparse.Namespace, seed: int, *, bfloat16: bool = False
) -> tuple[np.ndarray, float]:
    """Train with transformers' Trainer at the same settings; test answers, and seconds of train()."""
    trainer = TransformersTrainer(
        folder,
        rows,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        seed=seed,
        bfloat16=bfloat16,
    )
    seconds = trainer.train()
    if options.what == "speed":
        return np.zeros(len(rows.test), dtype=int), seconds
    return trainer.scores().argmax(axis=1), seconds


def accuracies(answers: np.ndarray, test: LabeledTexts) -> dict[str, float]:
    """Accuracy over all test rows, and in each group."""
    right = answers == test.targets
    groups = np.array(test.groups)
    return {
        "all": float(right.mean()),
        **{name: float(right[groups == name].mean()) for name in sorted(set(groups))},
    }


def measure_accuracy(options: argparse.Namespace, rows: Rows, folders: dict[str, Path]) -> dict[str, Any]:
    """Every side with every seed."""
    results: dict[str, Any] = {}

    def add(name: str, answers: np.ndarray) -> None:
        results.setdefault(name, []).append(accuracies(answers, rows.test))
        print(f"{name}: {results[name][-1]['all']:.3f}", file=sys.stderr, flush=True)

    baseline = measure_baseline(
        rows.task,
        train_texts=rows.train.texts,
        train_targets=rows.train.targets,
        test_texts=rows.test.texts,
        test_targets=rows.test.targets,
    )
    results["TF-IDF, linear"] = [{"all": baseline.metrics["accuracy"]}]
    for name, folder in folders.items():
        own = encoder_defaults(resolve_encoder(name)).pooling
        for seed in range(options.seeds):
            ours, _ = train_ours(folder, rows, options, seed)
            add(f"{label(name)}, fine-tuned, bertblocks", ours)
            if not options.only_ours:
                theirs, _ = train_theirs(
                    folder, rows, options, seed, bfloat16=options.precision == "bfloat16"
                )
                add(f"{label(name)}, fine-tuned, Trainer", theirs)
            defaults, _ = train_ours(
                folder,
                rows,
                options,
                seed,
                pooling=own,
                epochs=None,
                learning_rate=None,
                head_learning_rate=None,
                batch_tokens=TrainingSettings().batch_tokens,
            )
            add(f"{label(name)}, fine-tuned, bertblocks' defaults ({own} pooling)", defaults)
            frozen, _ = train_ours(
                folder,
                rows,
                options,
                seed,
                pooling=own,
                trainable=False,
                epochs=None,
                learning_rate=None,
                head_learning_rate=None,
            )
            add(f"{label(name)}, frozen, bertblocks' defaults ({own} pooling)", frozen)
    return results


def measure_speed(options: argparse.Namespace, rows: Rows, folders: dict[str, Path]) -> dict[str, Any]:
    """Training texts per second of each side, alternating."""
    results: dict[str, list[float]] = {}
    num_texts = len(rows.train) * options.epochs
    for repeat in range(options.repeats):
        for name, folder in folders.items():
            for side, run in (
                ("bertblocks", lambda: train_ours(folder, rows, options, repeat)),  # noqa: B023
                ("Trainer, float32 (its default)", lambda: train_theirs(folder, rows, options, repeat)),  # noqa: B023
                ("Trainer, bfloat16", lambda: train_theirs(folder, rows, options, repeat, bfloat16=True)),  # noqa: B023
            ):
                _, seconds = run()
                results.setdefault(f"{label(name)}, {side}", []).append(num_texts / seconds)
                print(
                    f"{label(name)}, {side}: {num_texts / seconds:.1f} texts/s", file=sys.stderr, flush=True
                )
    return results


def print_accuracy(results: dict[str, Any]) -> None:
    """A Markdown table: mean and spread over the seeds, and the weakest group."""
    print("| | accuracy, mean | lowest – highest seed | weakest group |\n|---|---|---|---|")
    for name, runs in results.items():
        overall = [run["all"] for run in runs]
        groups = {group: statistics.mean(run[group] for run in runs) for group in runs[0] if group != "all"}
        weakest = min(groups.items(), key=lambda item: item[1], default=("", None))
        shown = "" if weakest[1] is None else f"{weakest[0]} {weakest[1]:.3f}"
        spread = f"{min(overall):.3f} – {max(overall):.3f}" if len(overall) > 1 else ""
        print(f"| {name} | {statistics.mean(overall):.3f} | {spread} | {shown} |")


def print_speed(results: dict[str, list[float]]) -> None:
    """A Markdown table: medians, and each side as a multiple of the Trainer's default."""
    print("| | texts/s, median | against the Trainer's default |\n|---|---|---|")
    for name, rates in results.items():
        reference = statistics.median(results[f"{name.split(',')[0]}, Trainer, float32 (its default)"])
        median = statistics.median(rates)
        print(f"| {name} | {median:.1f} | {median / reference:.2f} × |")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("accuracy", "speed"))
    parser.add_argument(
        "--train", type=Path, default=sample.train_table(), help="by default what ships inside"
    )
    parser.add_argument("--test", type=Path, default=sample.evaluation_table())
    parser.add_argument("--text", default="text")
    parser.add_argument("--target", default="group")
    parser.add_argument("--group-by", default="language")
    parser.add_argument("--groups", default="", help="values of the group column, separated by commas")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--test-rows", type=int, default=None)
    parser.add_argument("--encoder", action="append", help="mini by default; again for more")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.encoder = options.encoder or ["mini"]
    return options


def main() -> None:
    """Measure, print a table, and write the results with what they were measured on."""
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    quiet_transformers()
    rows = read_rows(options)
    with tempfile.TemporaryDirectory() as work:
        folders = {
            encoder: hugging_face_folder(encoder, Path(work) / str(index))
            for index, encoder in enumerate(options.encoder)
        }
        measure = measure_accuracy if options.what == "accuracy" else measure_speed
        results = measure(options, rows, folders)
    (print_accuracy if options.what == "accuracy" else print_speed)(results)
    if options.output:
        record = {"environment": environment(options), "results": results}
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
