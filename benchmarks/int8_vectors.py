"""What int8 and bfloat16 cost an encoder's averaged vectors, without any training, on the pairs of STS-B.

    python benchmarks/int8_vectors.py --data ../shared/data --encoder mini --languages en,de,zh

The cosine of a pair's vectors is held against people's judgement, in every precision; what is lost is told
as int8_quality.py tells it. Beside it stands how near the vectors are to those of float32.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.inference import TextEncoder, load_encoder
from int8_quality import PRECISIONS, Judged, judge, read_judged, write_lines
from peers import environment


def averaged_vectors(encoder: TextEncoder, judged: Judged) -> tuple[NDArray[Any], NDArray[Any]]:
    """The vectors of all first sentences, and of all second ones, float64."""
    first, second = (encoder.encode(texts, output="average") for texts in (judged.texts, judged.pairs or []))
    return np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)


def averaged_cosines(encoder: TextEncoder, judged: Judged) -> NDArray[Any]:
    """The cosine of each pair's vectors, shape (T,)."""
    return cosine(*averaged_vectors(encoder, judged))


def cosine(a_TD: NDArray[Any], b_TD: NDArray[Any]) -> NDArray[Any]:
    """Of each row of one with that of the other, shape (T,)."""
    norms_T = np.linalg.norm(a_TD, axis=1) * np.linalg.norm(b_TD, axis=1)
    return np.asarray((a_TD * b_TD).sum(axis=1) / norms_T)


def nearness(
    judged: Judged, exact: tuple[NDArray[Any], ...], found: tuple[NDArray[Any], ...]
) -> dict[str, list[float]]:
    """Each language's cosine with float32's vectors: the mean, and the lowest of any sentence."""
    near_2T = np.stack([cosine(a, b) for a, b in zip(exact, found, strict=True)])
    return {
        language: [
            round(float(summary), 5) for summary in (near_2T[:, place].mean(), near_2T[:, place].min())
        ]
        for language, place in judged.languages.items()
    }


def measure(options: argparse.Namespace) -> None:
    """Every precision; the results so far are written after each of them."""
    judged = read_judged(
        "stsb", options.data, Task(kind="regression"), tuple(filter(None, options.languages.split(",")))
    )
    record: dict[str, Any] = {"environment": environment(options), "nearness": {}}
    vectors, scores = {}, {}
    for precision in PRECISIONS:
        vectors[precision] = averaged_vectors(load_encoder(options.encoder, precision=precision), judged)
        scores[precision] = cosine(*vectors[precision])
        record["nearness"][precision] = nearness(judged, vectors["float32"], vectors[precision])
        record["results"] = list(judge(judged, scores))
        if options.output:
            write_lines(options.output, record)
        print(f"{precision}: {record['nearness'][precision]}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print a line a precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real tables")
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--languages", default="", help="separated by commas; else all there are")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    measure(options)


if __name__ == "__main__":
    main()
