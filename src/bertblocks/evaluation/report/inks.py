"""Colours of plots: drawn as marks, which the page replaces by its own colours, light or dark."""

from __future__ import annotations

import re
from collections.abc import Mapping

# A mark is a colour that matplotlib passes on as it is, and that nothing else has.
_MARKS = "#7e00"
_MARK = re.compile(_MARKS + r"[0-9a-f]{2}")

# The page's variable, and the colour on white paper of the same thing. The first ones belong to every page,
# the series to report.css.
_INKS: tuple[tuple[str, str], ...] = (
    ("--text", "#1b1e23"),
    ("--muted", "#565e69"),
    ("--line", "#d3d8df"),
    ("--accent", "#0b57a4"),
    ("--background", "#ffffff"),
    ("--good-fill", "#2f7fd0"),
    ("--bad-fill", "#e07b1a"),
    ("--series-1", "#0b57a4"),
    ("--series-2", "#b85c00"),
    ("--series-3", "#00796b"),
    ("--series-4", "#7b4fa6"),
    ("--series-5", "#b5336b"),
    ("--series-6", "#6b5a2e"),
)
_MARK_OF: Mapping[str, str] = {name: f"{_MARKS}{place:02x}" for place, (name, _) in enumerate(_INKS)}
_INK_OF: Mapping[str, tuple[str, str]] = {_MARK_OF[ink[0]]: ink for ink in _INKS}

TEXT = _MARK_OF["--text"]
MUTED = _MARK_OF["--muted"]
LINE = _MARK_OF["--line"]
ACCENT = _MARK_OF["--accent"]
BACKGROUND = _MARK_OF["--background"]
GOOD_FILL = _MARK_OF["--good-fill"]
BAD_FILL = _MARK_OF["--bad-fill"]
SERIES = tuple(_MARK_OF[f"--series-{number}"] for number in range(1, 7))
PAPER = "#ffffff"


def with_variables(svg: str) -> str:
    """A drawing whose colours are the page's variables."""
    return _MARK.sub(lambda mark: f"var({_INK_OF[mark[0]][0]})", svg)


def on_paper(svg: str) -> str:
    """A drawing whose colours are those of white paper."""
    return _MARK.sub(lambda mark: _INK_OF[mark[0]][1], svg)
