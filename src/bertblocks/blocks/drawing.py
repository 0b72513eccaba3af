"""A graph for people: a table of its blocks, and a drawing of how they join, in plain text."""

from __future__ import annotations

import dataclasses
import textwrap
import unicodedata
from collections.abc import Sequence

from bertblocks.blocks.blocks import Block, TextInput
from bertblocks.blocks.sizes import BlockSize

_UNKNOWN = "known when built"
# Two boxes of a pair, the gap between them and a margin stay below 80 columns.
_INNER = 70
_PAIR_INNER, _PAIR_GAP = 32, 4
_LONGEST_OPTION = 60
# Options that say nothing unless they are chosen.
_UNSAID = frozenset({"trainable", "windows", "stride", "window_pooling"})


def table(sizes: Sequence[BlockSize]) -> str:
    """One line a block (name, what it gives, parameters, options) and the total below."""
    rows = [("block", "gives", "parameters", "options")]
    rows += [
        (size.name, size.gives, _count(size.num_parameters), ", ".join(_options(size.block)))
        for size in sizes
    ]
    widths = [max(_width(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{_pad(name, widths[0])}  {_pad(gives, widths[1])}  {count:>{widths[2]}}  {options}".rstrip()
        for name, gives, count, options in rows
    ]
    return "\n".join([*lines, _total(sizes)])


def draw(sizes: Sequence[BlockSize]) -> str:
    """Boxes joined by arrows that say what flows, at most 80 columns wide.

    Args:
        sizes: From input to target; two text inputs are drawn side by side.
    """
    num_inputs = sum(isinstance(size.block, TextInput) for size in sizes)
    lines = _pair(sizes[0], sizes[1]) if num_inputs == 2 else _box(sizes[0])
    for size in sizes[max(num_inputs, 1) :]:
        lines += _box(size, joined=True)
    return "\n".join([*lines, "", _total(sizes)])


def _box(size: BlockSize, *, joined: bool = False, inner: int = _INNER) -> list[str]:
    """A box with a block's name, options and parameters; below it an arrow with what it gives."""
    lines = [size.name, *_wrapped(size.block, inner - 4)]
    if size.num_parameters != 0:
        count = _count(size.num_parameters)
        counted = f"parameters {count}" if size.num_parameters is None else f"{count} parameters"
        lines.append(counted + ("" if is_trainable(size.block) else ", frozen"))
    middle = inner // 2
    top = "▼" if joined else "─"
    last = size.gives == "(rows)" and joined
    edge = "─" if last else "┬"
    body = [f"│ {_pad(line, inner - 2)} │" for line in lines]
    box = [
        f"┌{'─' * middle}{top}{'─' * (inner - middle - 1)}┐",
        *body,
        f"└{'─' * middle}{edge}{'─' * (inner - middle - 1)}┘",
    ]
    return box if last else [*box, f"{' ' * (middle + 1)}│ {size.gives}"]


def _pair(first: BlockSize, second: BlockSize) -> list[str]:
    """Two inputs side by side that join into one arrow."""
    left, right = (_box(size, inner=_PAIR_INNER)[:-1] for size in (first, second))
    height = max(len(left), len(right))
    rows = zip(_padded(left, height), _padded(right, height), strict=True)
    lines = [f"{a}{' ' * _PAIR_GAP}{b}" for a, b in rows]
    begin, end = _PAIR_INNER // 2 + 1, _PAIR_INNER // 2 + 1 + _PAIR_INNER + 2 + _PAIR_GAP
    middle = _INNER // 2 + 1
    join = " " * begin + "└" + "─" * (middle - begin - 1) + "┬" + "─" * (end - middle - 1) + "┘"
    return [*lines, join, f"{' ' * middle}│ {first.gives}, in pairs"]


def _padded(box: list[str], height: int) -> list[str]:
    """A box of so many lines: empty ones go in above its lower edge."""
    empty = f"│{' ' * (_width(box[0]) - 2)}│"
    return [*box[:-1], *[empty] * (height - len(box)), box[-1]]


def is_trainable(block: Block) -> bool:
    """Whether a block's weights are trained; true of blocks without weights."""
    return bool(getattr(block, "trainable", True))


def _total(sizes: Sequence[BlockSize]) -> str:
    known = sum(size.num_parameters or 0 for size in sizes)
    trained = sum(size.num_parameters or 0 for size in sizes if is_trainable(size.block))
    if any(size.num_parameters is None for size in sizes):
        return f"The encoder's parameters are {_UNKNOWN}: its folder holds the sizes."
    return f"{known:,} parameters, {trained:,} of them trainable"


def _options(block: Block) -> list[str]:
    return [
        f"{field.name}={_short(getattr(block, field.name))}"
        for field in dataclasses.fields(block)
        if field.name not in _UNSAID or getattr(block, field.name) != field.default
    ]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_OPTION else f"{text[: _LONGEST_OPTION - 1]}…"


def _wrapped(block: Block, width: int) -> list[str]:
    return textwrap.wrap(", ".join(_options(block)), width, break_on_hyphens=False)


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}" if number else "–"


def _width(text: str) -> int:
    """Columns on a terminal: East Asian letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, width: int) -> str:
    while _width(text) > width:
        text = text[:-2] + "…"
    return text + " " * (width - _width(text))
