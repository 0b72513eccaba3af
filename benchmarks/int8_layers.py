"""Which layers cost most in int8: each kind of product, and each layer by its number, in bfloat16 instead.

    python benchmarks/int8_layers.py umsab --data ../shared/data --work umsab_mini --rows 50
    python benchmarks/int8_layers.py vectors --data ../shared/data --encoder mini --languages de

Asks the model that int8_quality.py left in --work for some rows of every language; or takes an encoder that
was not trained further, and the cosines of the pairs of STS-B. A distance is the root mean square of how far
the scores (probabilities, numbers, cosines) lie from those of float32: it tells layers apart long before an
answer changes. The loss beside it is int8_quality.py's, of these rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bertblocks.assembly import load_model
from bertblocks.blocks import Task
from bertblocks.encoder import BertEncoder
from bertblocks.inference import Predictor, load_encoder
from int8_quality import LIKELIHOOD, PRECISIONS, Judged, judge, read_judged, write_lines
from int8_vectors import averaged_cosines
from peers import environment

Scores = NDArray[Any]

# A kind of product → the modules of a layer that compute it.
KINDS = {
    "queries, keys, values": ("attention.qkv", "attention.first_query", "attention.key_value"),
    "attention's output": ("attention.output",),
    "feed-forward, first": ("feed_forward.intermediate",),
    "feed-forward, second": ("feed_forward.output",),
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One encoder in each precision, and what is asked of it.

    Attributes:
        encoders: By precision.
        ask: Precision → scores.
        judged: The rows.
    """

    encoders: dict[str, BertEncoder]
    ask: Callable[[str], Scores]
    judged: Judged

    @contextmanager
    def lent(self, kinds: list[str], layers: list[int]) -> Iterator[None]:
        """While this lasts, int8 has some kinds of product of some layers from bfloat16."""
        own: list[tuple[nn.Module, str, Any]] = []
        for layer, path in ((layer, path) for layer in layers for kind in kinds for path in KINDS[kind]):
            part, name = path.split(".")
            borrower, lender = (
                getattr(self.encoders[precision].layers[layer], part) for precision in ("int8", "bfloat16")
            )
            own.append((borrower, name, getattr(borrower, name)))
            setattr(borrower, name, getattr(lender, name))
        yield
        for borrower, name, module in own:
            setattr(borrower, name, module)


def asked_model(options: argparse.Namespace, languages: tuple[str, ...]) -> Asked:
    """The model of the work folder."""
    model = load_model(options.work / "model")
    judged = first_rows(read_judged(options.table, options.data, model.task, languages), options.rows)
    encoded = model.encode(judged.texts, judged.pairs)
    predictors = {precision: Predictor(model, precision=precision) for precision in PRECISIONS}
    return Asked(
        encoders={precision: predictor._module.encoder for precision, predictor in predictors.items()},
        ask=lambda precision: predictors[precision].predict_encoded(encoded).scores,
        judged=judged,
    )


def asked_encoder(options: argparse.Namespace, languages: tuple[str, ...]) -> Asked:
    """An encoder as it is."""
    judged = first_rows(read_judged("stsb", options.data, Task(kind="regression"), languages), options.rows)
    loaded = {precision: load_encoder(options.encoder, precision=precision) for precision in PRECISIONS}
    return Asked(
        encoders={precision: encoder._encoder for precision, encoder in loaded.items()},
        ask=lambda precision: averaged_cosines(loaded[precision], judged),
        judged=judged,
    )


def first_rows(judged: Judged, num_rows: int) -> Judged:
    """So many rows of each language."""
    chosen = [np.r_[place][:num_rows] for place in judged.languages.values()]
    ends = np.cumsum([len(rows) for rows in chosen]).tolist()
    places = [slice(end - len(rows), end) for rows, end in zip(chosen, ends, strict=True)]
    rows = np.concatenate(chosen)
    return replace(
        judged,
        texts=[judged.texts[row] for row in rows],
        pairs=[judged.pairs[row] for row in rows] if judged.pairs else None,
        targets=judged.targets[rows],
        languages=dict(zip(judged.languages, places, strict=True)),
    )


def variants(num_layers: int) -> Iterator[tuple[str, list[str], list[int]]]:
    """What is put in bfloat16, and its name."""
    everywhere = list(range(num_layers))
    yield "all in int8", [], []
    yield "all in bfloat16", [*KINDS], everywhere
    for kind in KINDS:
        yield f"{kind} in bfloat16", [kind], everywhere
    for kind in KINDS:
        yield f"only {kind} in int8", [other for other in KINDS if other != kind], everywhere
    for layer in everywhere:
        yield f"layer {layer + 1} in bfloat16", [*KINDS], [layer]


def measure(options: argparse.Namespace) -> None:
    """Distances from float32 and losses, by what is in bfloat16."""
    languages = tuple(options.languages.split(",")) if options.languages else ()
    asked = (asked_encoder if options.table == "vectors" else asked_model)(options, languages)
    metric = "spearman" if asked.judged.task.kind == "regression" else LIKELIHOOD
    exact = asked.ask("float32")
    record: dict[str, Any] = {"environment": environment(options), "rows": len(exact), "results": []}
    for name, kinds, layers in variants(len(asked.encoders["int8"].layers)):
        with asked.lent(kinds, layers):
            found = asked.ask("int8")
        distance = round(float(np.sqrt(np.mean((exact - found) ** 2))), 6)
        mean = next(judge(asked.judged, {"float32": exact, "int8": found}))
        record["results"].append(
            {"variant": name, "distance": distance, f"{metric} lost": mean[metric]["int8"]}
        )
        print(record["results"][-1], flush=True)
    if options.output:
        write_lines(options.output, record)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=("sib200", "umsab", "stsb", "vectors"))
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real tables")
    parser.add_argument("--work", type=Path, help="where int8_quality.py left its model")
    parser.add_argument("--encoder", default="mini", help="for vectors, which need no model")
    parser.add_argument("--languages", help="separated by commas; else all there are")
    parser.add_argument("--rows", type=int, default=10**9, help="of each language")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.table != "vectors" and not options.work:
        parser.error(f"{options.table} needs --work")
    if options.threads:
        torch.set_num_threads(options.threads)
    measure(options)


if __name__ == "__main__":
    main()
