from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest

from bertblocks.encoder import choose_kernels, resolve_device
from bertblocks.serving import precision_check
from bertblocks.serving.messages import Scores, Start
from bertblocks.serving.precision_check import _difference, load_checked

CPU = resolve_device("cpu")


def start(folder, precision="auto"):
    return Start(str(folder), precision, "cpu", 1, None)


@pytest.fixture
def fast_int8():
    if choose_kernels("auto", "int8", CPU) == "plain":
        pytest.skip("int8 has no fast kernels on this machine, so that it is never taken")


@pytest.mark.parametrize("name", ["classes", "number", "pairs", "encoder"])
def test_int8_is_taken_where_it_answers_alike(folder, name, fast_int8, monkeypatch):
    # Random weights are rounded as no trained ones are.
    monkeypatch.setattr(precision_check, "_MOST_CHANGED", 1.0)
    monkeypatch.setattr(precision_check, "_MOST_MOVED", 1.0)
    monkeypatch.setattr(precision_check, "_MOST_MOVED_NUMBER", 1e9)
    monkeypatch.setattr(precision_check, "_LEAST_COSINE", -1.0)
    facts = load_checked(start(folder(name))).facts
    assert facts.precision == "int8" and facts.precision_reason.startswith("measured: it answers 128 texts")


def test_int8_is_not_taken_where_it_answers_otherwise(folder, fast_int8, monkeypatch, caplog):
    monkeypatch.setattr(precision_check, "_difference", lambda *_: "it changes 40.0% of the answers")
    facts = load_checked(start(folder("classes"))).facts
    assert facts.precision != "int8" and "it changes 40.0%" in facts.precision_reason
    assert "int8 is not used" in caplog.text


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_what_is_asked_for_is_taken(folder, precision):
    facts = load_checked(start(folder("classes"), precision)).facts
    assert (facts.precision, facts.precision_reason) == (precision, "as asked for")


def test_without_fast_kernels_nothing_is_measured(folder, monkeypatch):
    monkeypatch.setattr(precision_check, "choose_kernels", lambda *_: "plain")
    facts = load_checked(start(folder("classes"))).facts
    assert facts.precision in ("float32", "bfloat16") and facts.precision_reason == "the fastest here"


def scores(answers, probabilities):
    return [Scores(a, [p, 1 - p], [0.0, 0.0]) for a, p in zip(answers, probabilities, strict=True)]


def test_what_is_too_different(served_model):
    facts = served_model("binary").facts
    exact = scores(["a"] * 100, [0.9] * 100)
    assert _difference(facts, exact, scores(["a"] * 98 + ["b"] * 2, [0.9] * 100)) is None
    assert "10.0%" in str(_difference(facts, exact, scores(["a"] * 90 + ["b"] * 10, [0.9] * 100)))
    assert "0.100" in str(_difference(facts, exact, scores(["a"] * 100, [0.8] * 100)))


def test_numbers_that_are_too_different(served_model):
    facts = served_model("number").facts
    exact = [Scores(x, [x], [x]) for x in np.linspace(0, 10, 50)]
    near = [Scores(x.answer, [x.answer + 0.01], []) for x in exact]
    far = [Scores(x.answer, [x.answer + 5], []) for x in exact]
    assert _difference(facts, exact, near) is None
    assert "of their deviation" in str(_difference(facts, exact, far))


def test_vectors_that_are_too_different(served_model):
    facts = replace(served_model("encoder").facts)
    random = np.random.default_rng(0).normal(size=(10, 32)).astype(np.float32)

    def coded(vectors):
        return [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]

    assert _difference(facts, coded(random), coded(random * 2 + 1e-4)) is None
    assert "cosine" in str(_difference(facts, coded(random), coded(random[::-1])))
