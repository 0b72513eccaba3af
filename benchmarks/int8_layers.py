"""Which of a model's layers cost most in int8: each kind, and each layer by its number, in bfloat16 instead.

    python benchmarks/int8_layers.py umsab --data ../shared/data --work umsab_mini --rows 50

Reads the model that int8_quality.py left in --work, and asks it for some rows of every language. A distance
is the root mean square of how far the scores (probabilities, or numbers) lie from those of float32: it tells
layers apart long before an answer changes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bertblocks.assembly import load_model
from bertblocks.inference import Predictor
from int8_quality import PRECISIONS, read_judged
from peers import environment

# A kind of product → the modules of a layer that compute it.
KINDS = {
    "queries, keys, values": (
        "attention.qkv",
        "attention.first_query",
        "attention.key_value",
    ),
    "attention's output": ("attention.output",),
    "feed-forward, first": ("feed_forward.intermediate",),
    "feed-forward, second": ("feed_forward.output",),
}


class MixedModel:
    """A model in int8, of which some products can be lent from the same model in bfloat16.

    Args:
        folder: The model's.
        texts: What it is asked.
        pairs: The second texts, for pairs.
    """

    def __init__(self, folder: Path, texts: list[str], pairs: list[str] | None) -> None:
        model = load_model(folder)
        self._encoded = model.encode(texts, pairs)
        self._predictors = {precision: Predictor(model, precision=precision) for precision in PRECISIONS}
        self.num_layers = len(self._layers("int8"))

    def scores(self, precision: str) -> NDArray[np.float64]:
        """What it answers in a precision; of "int8", with what is lent."""
        return self._predictors[precision].predict_encoded(self._encoded).scores.astype(np.float64)

    def scores_with(
        self, kinds: list[str], layers: list[int], *, others: str = "int8"
    ) -> NDArray[np.float64]:
        """What it answers where some kinds of product, in some layers, are those of bfloat16."""
        lent = list(self._lend(kinds, layers))
        try:
            return self.scores(others)
        finally:
            for parent, name, own in lent:
                setattr(parent, name, own)

    def _lend(self, kinds: list[str], layers: list[int]) -> Iterator[tuple[nn.Module, str, Any]]:
        for layer in layers:
            for kind in kinds:
                for path in KINDS[kind]:
                    part, name = path.split(".")
                    borrower, lender = (
                        getattr(self._layers(precision)[layer], part) for precision in ("int8", "bfloat16")
                    )
                    own = getattr(borrower, name)
                    setattr(borrower, name, getattr(lender, name))
                    yield borrower, name, own

    def _layers(self, precision: str) -> nn.ModuleList:
        return self._predictors[precision]._module.encoder.layers


def distance(exact: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean((exact - found) ** 2)))


def variants(num_layers: int) -> Iterator[tuple[str, list[str], list[int]]]:
    """What is put in bfloat16, and its name."""
    everywhere = list(range(num_layers))
    for kind in KINDS:
        yield f"{kind} in bfloat16", [kind], everywhere
    for kind in KINDS:
        yield f"only {kind} in int8", [other for other in KINDS if other != kind], everywhere
    for layer in everywhere:
        yield f"layer {layer + 1} in bfloat16", [*KINDS], [layer]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Distances from float32, by what is in bfloat16."""
    folder = options.work / "model"
    judged = read_judged(options.table, options.data, load_model(folder).task)
    chosen = np.concatenate([np.r_[place][: options.rows] for place in judged.languages.values()])
    texts = [judged.texts[row] for row in chosen]
    pairs = [judged.pairs[row] for row in chosen] if judged.pairs else None
    mixed = MixedModel(folder, texts, pairs)
    exact = mixed.scores("float32")
    found = {precision: distance(exact, mixed.scores(precision)) for precision in ("bfloat16", "int8")}
    for name, kinds, layers in variants(mixed.num_layers):
        found[name] = distance(exact, mixed.scores_with(kinds, layers))
        print(f"{name}: {found[name]:.5f}; all in int8: {found['int8']:.5f}", flush=True)
    rounded = {name: round(value, 6) for name, value in found.items()}
    return {"environment": environment(options), "rows": len(chosen), "distances": rounded}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=("sib200", "umsab", "stsb"))
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real tables")
    parser.add_argument("--work", type=Path, required=True, help="where int8_quality.py left its model")
    parser.add_argument("--rows", type=int, default=50, help="of each language")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    record = measure(options)
    if options.output:
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
