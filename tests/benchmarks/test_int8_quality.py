"""What benchmarks/int8_quality.py tells of rows whose answers are known."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.evaluation import compute_metrics

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ROWS = 40
LANGUAGES = ("deu_Latn", "eng_Latn", "rus_Cyrl")


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are in the repository, not in the package")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("int8_quality")


def judged_rows(quality: ModuleType, task: Task, targets: Any, *, translated: bool) -> Any:
    return quality.Judged(
        task=task,
        texts=[""] * len(targets),
        pairs=None,
        targets=targets,
        languages={name: slice(ROWS * i, ROWS * (i + 1)) for i, name in enumerate(LANGUAGES)},
        translated=translated,
    )


def test_losses_of_classes_by_language_script_and_mean(quality: ModuleType) -> None:
    random = np.random.default_rng(0)
    task = Task(kind="classification", labels=("a", "b", "c"))
    targets = random.integers(0, 3, ROWS * len(LANGUAGES))
    exact = random.dirichlet(np.ones(3), len(targets))
    other = exact.copy()
    # Only in Russian is anything lost.
    other[2 * ROWS :] = random.dirichlet(np.ones(3), ROWS)
    judged = judged_rows(quality, task, targets, translated=True)
    found = {r["group"]: r for r in quality.judge(judged, {"float32": exact, "int8": other})}

    assert list(found) == ["mean", "Cyrl", "Latn", *LANGUAGES]
    assert found["Latn"]["rows"] == 2 * ROWS
    assert found["deu_Latn"]["accuracy"]["int8"] == [0, 0, 0]
    assert found["deu_Latn"]["changed"] == {"int8": 0}
    for name, rows in (("rus_Cyrl", slice(2 * ROWS, None)), ("Latn", slice(0, 2 * ROWS))):
        before, after = (
            compute_metrics(task, targets=targets[rows], scores=scores[rows]) for scores in (exact, other)
        )
        for metric in ("accuracy", "macro_f1"):
            assert found[name][metric]["float32"] == pytest.approx(100 * before[metric], abs=1e-3)
            loss, low, high = found[name][metric]["int8"]
            assert loss == pytest.approx(100 * (before[metric] - after[metric]), abs=1e-3)
            assert low <= loss <= high
        lost = 100 * (after["log_loss"] - before["log_loss"])
        assert found[name]["log_likelihood"]["int8"][0] == pytest.approx(lost, abs=1e-2)
    of_languages = [found[name]["accuracy"]["int8"][0] for name in LANGUAGES]
    assert found["mean"]["accuracy"]["int8"][0] == pytest.approx(np.mean(of_languages), abs=1e-3)


def test_losses_of_numbers(quality: ModuleType) -> None:
    random = np.random.default_rng(0)
    targets = random.normal(size=ROWS * len(LANGUAGES))
    exact = targets + random.normal(size=len(targets))
    judged = judged_rows(quality, Task(kind="regression"), targets, translated=False)
    mean, *_, russian = quality.judge(judged, {"float32": exact, "bfloat16": exact + 0.25})
    assert russian["group"] == "rus_Cyrl"
    # A number moved by a constant correlates as before.
    assert russian["pearson"]["bfloat16"] == mean["spearman"]["bfloat16"] == [0, 0, 0]
    assert russian["changed"] == {"bfloat16": 0.25}


@pytest.mark.parametrize("translated", [True, False])
def test_translations_are_drawn_together(quality: ModuleType, translated: bool) -> None:
    targets = np.zeros(ROWS * len(LANGUAGES))
    judged = judged_rows(quality, Task(kind="regression"), targets, translated=translated)
    first, second, _ = quality.draws_of(judged).values()
    assert np.array_equal(first, second) is translated
