"""What int8 and bfloat16 cost a fine-tuned model beside float32, language by language, in points.

    sib200      topics in 205 languages, trained on 12 of them    macro F1 and accuracy, also pooled by script
    umsab       sentiment of tweets, 8 languages                   macro F1 and accuracy
    stsb        how alike two sentences are, 11 languages          Pearson's and Spearman's r

One model is trained with bertblocks' defaults and asked for every test row of every language in each
precision. A loss is the metric in float32 less that in the other precision. Its 95 % interval comes from
1,000 resamples of the rows, the same for both; rows that are translations of each other are drawn together.
The model and its answers stay in --work, from where a run that was stopped goes on.

    python benchmarks/int8_quality.py umsab --data ../shared/data --work umsab_mini --output umsab.json
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertblocks.assembly import AssembledModel, load_model
from bertblocks.blocks import Task, text_model
from bertblocks.checkpoints import encoder_defaults, resolve_encoder
from bertblocks.data import encode_targets
from bertblocks.encoder import Product, choose_kernels
from bertblocks.inference import Predictor, targets_in_unit
from bertblocks.training import LabeledTexts, TrainingSettings, train_model
from paired_bootstrap import (
    POINTS,
    Estimate,
    Floats,
    accuracy,
    class_counts,
    draws,
    macro_f1,
    pearson,
    spearman,
)
from peers import environment
from real_tasks import TABLES, Table, read_rows

Values = dict[str, Floats]

PRECISIONS: tuple[Product, ...] = ("float32", "bfloat16", "int8")
# The languages of these have the same rows; where rows have no id, they stand in the same order.
TRANSLATED = ("sib200", "stsb")
CLASS_METRICS: dict[str, Callable[[Floats], Floats]] = {"macro_f1": macro_f1, "accuracy": accuracy}
# The mean logarithm of the probability of what is true. It feels every row, where the others feel only those
# whose answer changes, so it tells much smaller losses from chance.
LIKELIHOOD = "log_likelihood"
NUMBER_METRICS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "pearson": pearson,
    "spearman": spearman,
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """All test rows, language after language.

    Attributes:
        task: What is asked.
        texts: Of every row.
        pairs: The second texts, where rows are pairs.
        targets: In their own unit.
        languages: Where each language's rows lie.
        translated: Whether the n-th rows of all languages say the same.
    """

    task: Task
    texts: list[str]
    pairs: list[str] | None
    targets: NDArray[Any]
    languages: dict[str, slice]
    translated: bool


def read_judged(name: str, data: Path, task: Task, languages: tuple[str, ...] = ()) -> Judged:
    """All test rows of some languages of a table, or of all that it has."""
    table = TABLES[name]
    by_language = defaultdict(list)
    with (data / table.folder / "test.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not languages or row["language"] in languages:
                by_language[row["language"]].append(row)
    rows: list[dict[str, str]] = []
    places = {}
    for language in sorted(by_language):
        found = sorted(by_language[language], key=lambda row: int(row.get("id", 0)))
        places[language] = slice(len(rows), len(rows) + len(found))
        rows += found
    text, pair, target = table.columns
    targets = encode_targets([row[target] for row in rows], task, column=target)
    return Judged(
        task=task,
        texts=[row[text] for row in rows],
        pairs=[row[pair] for row in rows] if pair else None,
        targets=targets_in_unit(task, targets),
        languages=places,
        translated=name in TRANSLATED,
    )


def draws_of(judged: Judged) -> dict[str, Floats]:
    """How often each language's rows are drawn: the same in all languages of a translated table."""
    sizes = {language: place.stop - place.start for language, place in judged.languages.items()}
    if judged.translated:
        return dict.fromkeys(sizes, draws(next(iter(sizes.values())), seed=0))
    return {language: draws(size, seed=seed) for seed, (language, size) in enumerate(sizes.items())}


def groups_of(judged: Judged) -> dict[str, list[str]]:
    """The languages of each group: one alone, or all of a script, which codes such as deu_Latn end in."""
    scripts = defaultdict(list)
    for language in judged.languages:
        if "_" in language:
            scripts[language.split("_")[1]].append(language)
    return {**dict(sorted(scripts.items())), **{language: [language] for language in judged.languages}}


def values_of(judged: Judged, scores: NDArray[Any], drawn: dict[str, Floats]) -> dict[str, Values]:
    """Group → metric → its value in every resample. Groups are the languages, pooled scripts, and "mean".

    The mean is that of the languages' metrics, so that each of them counts alike.
    """
    groups = (_correlations if judged.task.kind == "regression" else _class_metrics)(judged, scores, drawn)
    names = groups[next(iter(judged.languages))]
    means = {name: np.mean([groups[x][name] for x in judged.languages], axis=0) for name in names}
    return {"mean": means, **groups}


def _class_metrics(judged: Judged, scores: NDArray[Any], drawn: dict[str, Floats]) -> dict[str, Values]:
    answers, num_classes = scores.argmax(axis=1), len(judged.task.labels)
    places, groups = judged.languages, groups_of(judged)
    counts = {
        language: class_counts(judged.targets[place], answers[place], num_classes, drawn[language])
        for language, place in places.items()
    }
    pooled = {group: np.sum([counts[x] for x in languages], axis=0) for group, languages in groups.items()}
    logs_T = np.log(scores[np.arange(len(scores)), judged.targets].astype(np.float64))
    sums = {language: drawn[language] @ logs_T[place] for language, place in places.items()}
    return {
        group: {
            **{name: metric(pooled[group]) for name, metric in CLASS_METRICS.items()},
            LIKELIHOOD: POINTS * sum(sums[x] for x in languages) / sum(drawn[x].sum(1) for x in languages),
        }
        for group, languages in groups.items()
    }


def _correlations(judged: Judged, scores: NDArray[Any], drawn: dict[str, Floats]) -> dict[str, Values]:
    return {
        language: {
            name: metric(judged.targets[place], scores[place].astype(np.float64), drawn[language])
            for name, metric in NUMBER_METRICS.items()
        }
        for language, place in judged.languages.items()
    }


def judge(judged: Judged, scores: dict[str, NDArray[Any]]) -> Iterator[dict[str, Any]]:
    """A record a group: each metric in float32, and what the other precisions lose of it.

    Args:
        judged: The rows.
        scores: Precision → probabilities or numbers; float32 is among them.
    """
    drawn = draws_of(judged)
    values = {precision: values_of(judged, found, drawn) for precision, found in scores.items()}
    members = {"mean": list(judged.languages), **groups_of(judged)}
    others = [precision for precision in scores if precision != "float32"]
    for group, exact in values["float32"].items():
        rows = np.concatenate([np.r_[judged.languages[language]] for language in members[group]])
        record: dict[str, Any] = {"group": group, "languages": len(members[group]), "rows": len(rows)}
        for metric, exact_R in exact.items():
            lost = {name: Estimate.of(exact_R - values[name][group][metric]).to_json() for name in others}
            record[metric] = {"float32": round(float(exact_R[0]), 3), **lost}
        changes = {name: change(judged.task, scores["float32"][rows], scores[name][rows]) for name in others}
        yield {**record, "changed": changes}


def change(task: Task, exact: NDArray[Any], other: NDArray[Any]) -> float:
    """Share of answers that are others; of numbers, how far they moved on average."""
    if task.kind == "regression":
        return round(float(np.abs(exact - other).mean()), 5)
    return round(float((exact.argmax(axis=1) != other.argmax(axis=1)).mean()), 5)


def trained_model(task: Task, rows: LabeledTexts, options: argparse.Namespace) -> AssembledModel:
    """A model trained with the defaults for its encoder; the one in the work folder if there is one."""
    folder = options.work / "model"
    if not folder.exists():
        graph = text_model(
            task=task,
            encoder=options.encoder,
            text_pair="text_pair" if rows.pairs else None,
            pooling=encoder_defaults(resolve_encoder(options.encoder)).pooling,
        )
        train_model(graph, task, rows, None, TrainingSettings(seed=options.seed)).model.save(folder)
    return load_model(folder)


def training_rows(options: argparse.Namespace, languages: tuple[str, ...]) -> tuple[Task, LabeledTexts]:
    """So many rows of each language that is trained on."""
    table: Table = TABLES[options.table]
    table = replace(table, languages=languages or table.languages)
    rows = read_rows(table, argparse.Namespace(**vars(options), test_rows=1))
    return rows.task, rows.train


def write_lines(path: Path, record: dict[str, Any]) -> None:
    """JSON with a line for each group."""
    heads = [f"{json.dumps(name)}: {json.dumps(record[name])}" for name in record if name != "results"]
    groups = ",\n  ".join(json.dumps(group) for group in record["results"])
    path.write_text("{\n " + ",\n ".join(heads) + f',\n "results": [\n  {groups}\n ]\n}}\n', encoding="utf-8")


def measure(options: argparse.Namespace) -> None:
    """Train, and ask in every precision; the results so far are written after each of them."""
    languages = tuple(options.languages.split(",")) if options.languages else ()
    task, train = training_rows(options, languages)
    judged = read_judged(options.table, options.data, task, languages)
    options.work.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "environment": environment(options),
        "kernels": {name: choose_kernels("auto", name, torch.device("cpu")) for name in PRECISIONS},
        "rows": {"train": len(train), "test": len(judged.texts)},
    }
    scores: dict[str, NDArray[Any]] = {}
    for precision in PRECISIONS:
        start, path = time.perf_counter(), options.work / f"{precision}.npy"
        if not path.exists():
            predictor = Predictor(trained_model(task, train, options), precision=precision, in_place=True)
            np.save(path, predictor.predict(judged.texts, judged.pairs).scores)
        scores[precision] = np.load(path)
        record["results"] = list(judge(judged, scores))
        if options.output:
            write_lines(options.output, record)
        seconds = time.perf_counter() - start
        print(f"{precision}: {record['results'][0]} in {seconds:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print a line a precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=("sib200", "umsab", "stsb"))
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real tables")
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--languages", help="trained on and judged, separated by commas; else all there are")
    parser.add_argument("--train-rows", type=int, default=200, help="of each language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True, help="keeps the model and its answers")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    measure(options)


if __name__ == "__main__":
    main()
