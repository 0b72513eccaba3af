"""int8 where it was measured to be safe for this model: the same texts, asked in both precisions.

int8 answers some two times as fast. What it costs was measured on many models (docs/precision.md); whether it
is as harmless for the one at hand is asked here, once at the start, with texts in a hundred languages that
ship inside the package.
"""

from __future__ import annotations

import base64
import csv
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks import sample
from bertblocks.encoder import Precision, choose_kernels, choose_precision, resolve_device
from bertblocks.encoder.freed_memory import give_back_freed_memory
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.messages import Asked, Row, Start, Want
from bertblocks.serving.models import ServedModel, load

_LOG = logging.getLogger(__name__)

_NUM_TEXTS = 128
# On the models of docs/precision.md int8 changed 0.8 to 2.4 % of all answers, and accuracy by nothing that
# could be told from 0.
_MOST_CHANGED = 0.03
# Of probabilities, and of numbers in units of the deviation that the answers have among the texts.
_MOST_MOVED = 0.02
_MOST_MOVED_NUMBER = 0.1
# Cosine of a text's two vectors, on average.
_LEAST_COSINE = 0.99


def load_checked(start: Start) -> ServedModel:
    """Load a model in the precision that was asked for; "auto" takes int8 where that is safe here.

    Raises:
        CheckpointError: If the model cannot be found or read.
        ConfigError: If it reads no texts, or there is no such precision here.
    """
    if start.precision != "auto":
        return load(start, start.precision, "as asked for")  # type: ignore[arg-type]
    device = resolve_device(start.device)
    exact = choose_precision("auto", device)
    if device.type != "cpu" or choose_kernels("auto", "int8", device) == "plain":
        return load(start, exact, "the fastest here")
    asked, expected = _exact_answers(start, exact)
    give_back_freed_memory()
    model = load(start, "int8", f"measured: it answers {len(asked)} texts as {exact} does")
    found = model.compute(asked, [row for row in model.tokenize(asked) if isinstance(row, Row)])
    problem = _difference(model.facts, expected, found)
    if problem is None:
        return model
    _LOG.warning("int8 is not used for this model: %s.", problem)
    del model
    return load(start, exact, f"int8 was measured, and is not used: {problem}")


def _exact_answers(start: Start, exact: Precision) -> tuple[list[Asked], list[Any]]:
    """The texts, and what the model says to them in the precision that needs no check."""
    model = load(start, exact, "")
    texts = _texts()
    pairs = [*texts[1:], *texts[:1]] if model.facts.takes_pairs else [None] * len(texts)
    want: Want = "vector64" if model.facts.gives_vectors else "predict"
    asked = [Asked(want, text, pair) for text, pair in zip(texts, pairs, strict=True)]
    rows = {text: row for text, row in zip(asked, model.tokenize(asked), strict=True) if isinstance(row, Row)}
    return list(rows), model.compute(list(rows), list(rows.values()))


def _texts() -> list[str]:
    """Texts of the sample table, from its beginning to its end, and so of all its languages."""
    with sample.evaluation_table().open(encoding="utf-8", newline="") as file:
        texts = list(dict.fromkeys(row["text"] for row in csv.DictReader(file)))
    return texts[:: max(1, len(texts) // _NUM_TEXTS)][:_NUM_TEXTS]


def _difference(facts: ModelFacts, expected: Sequence[Any], found: Sequence[Any]) -> str | None:
    """What is too different, in words; None where nothing is."""
    if facts.gives_vectors:
        pairs = zip(map(_vector, expected), map(_vector, found), strict=True)
        cosine = float(np.mean([a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in pairs]))
        return (
            None
            if cosine >= _LEAST_COSINE
            else f"its vectors have a cosine of {cosine:.4f} to the exact ones"
        )
    exact, rough = (np.array([value.scores for value in values]) for values in (expected, found))
    if facts.task == "regression":
        # Answers that are all alike have no scale to measure with: then any difference is one.
        moved = float(np.abs(exact - rough).mean() / max(exact.std(), np.finfo(np.float32).tiny))
        return None if moved <= _MOST_MOVED_NUMBER else f"its numbers move by {moved:.3f} of their deviation"
    changed = float(np.mean([a.answer != b.answer for a, b in zip(expected, found, strict=True)]))
    moved = float(np.abs(exact - rough).mean())
    if changed > _MOST_CHANGED:
        return f"it changes {changed:.1%} of the answers"
    return None if moved <= _MOST_MOVED else f"its probabilities move by {moved:.3f} on average"


def _vector(coded: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(coded), dtype="<f4")
