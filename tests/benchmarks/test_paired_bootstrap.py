"""The resampled metrics of benchmarks/int8_quality.py equal those of the package, row for row."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.evaluation import compute_metrics

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ROWS, RESAMPLES = 60, 5


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are in the repository, not in the package")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("paired_bootstrap")


def test_the_first_draw_takes_every_row_once_and_a_seed_gives_the_same_draws(bootstrap: ModuleType) -> None:
    draws = bootstrap.draws(ROWS, seed=3, resamples=RESAMPLES)
    assert draws.shape == (RESAMPLES + 1, ROWS)
    assert (draws[0] == 1).all()
    assert (draws.sum(axis=1) == ROWS).all()
    assert np.array_equal(draws, bootstrap.draws(ROWS, seed=3, resamples=RESAMPLES))
    assert not np.array_equal(draws, bootstrap.draws(ROWS, seed=4, resamples=RESAMPLES))


def test_metrics_of_classes_equal_those_of_the_repeated_rows(bootstrap: ModuleType) -> None:
    random = np.random.default_rng(0)
    # The last class occurs once, so that some draws lack it.
    targets = np.append(random.integers(0, 3, ROWS - 1), 3)
    scores = random.dirichlet(np.ones(4), ROWS)
    task = Task(kind="classification", labels=("a", "b", "c", "d"))
    draws = bootstrap.draws(ROWS, seed=0, resamples=RESAMPLES)
    counts = bootstrap.class_counts(targets, scores.argmax(axis=1), 4, draws)
    for drawn, accuracy, f1 in zip(
        draws, bootstrap.accuracy(counts), bootstrap.macro_f1(counts), strict=True
    ):
        rows = np.repeat(np.arange(ROWS), drawn.astype(int))
        found = compute_metrics(task, targets=targets[rows], scores=scores[rows])
        assert accuracy == pytest.approx(100 * found["accuracy"])
        assert f1 == pytest.approx(100 * found["macro_f1"])


def test_correlations_equal_those_of_the_repeated_rows(bootstrap: ModuleType) -> None:
    random = np.random.default_rng(1)
    # Rounded, so that there are ties on both sides; far from 0, as some targets are.
    targets = random.normal(1e4, 1.0, ROWS).round(1)
    scores = (targets + random.normal(0.0, 1.0, ROWS)).round(1)
    task = Task(kind="regression")
    draws = bootstrap.draws(ROWS, seed=0, resamples=RESAMPLES)
    pearson, spearman = (metric(targets, scores, draws) for metric in (bootstrap.pearson, bootstrap.spearman))
    for index, drawn in enumerate(draws):
        rows = np.repeat(np.arange(ROWS), drawn.astype(int))
        found = compute_metrics(task, targets=targets[rows], scores=scores[rows])
        assert pearson[index] == pytest.approx(100 * found["pearson"])
        assert spearman[index] == pytest.approx(100 * found["spearman"])


def test_an_estimate_is_the_first_value_with_the_interval_of_the_others(bootstrap: ModuleType) -> None:
    found = bootstrap.Estimate.of(np.concatenate([[7.0], np.arange(1001.0)]))
    assert found.to_json() == [7.0, 25.0, 975.0]
