"""The chart of the inference benchmark: tokens per second on mixed lengths.

    python benchmarks/chart.py benchmarks/results/inference.json

writes `inference.svg` and `inference.png` beside it.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_CHOICE, _OURS, _THEIRS, _INK, _FAINT = "#0b6e4f", "#7fb8a2", "#c3c9cf", "#1f2933", "#6b7580"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row of the chart; a rate of None tells that its vectors were wrong."""

    label: str
    rate: float | None
    color: str


def bars(record: dict[str, Any], precision: str) -> list[Bar]:
    """The rows of one precision, the fastest last."""
    found = []
    for row in record["rows"]:
        if row["precision"] == precision and not row["problem"]:
            seconds = statistics.median(row["seconds"]["mixed"])
            rate = record["workloads"]["mixed"]["tokens"] / seconds if row["is_right"]["mixed"] else None
            found.append(Bar(label=row["label"], rate=rate, color=_color(row)))
    return sorted(found, key=lambda bar: bar.rate or 0.0)


def _color(row: dict[str, Any]) -> str:
    if not row["is_ours"]:
        return _THEIRS
    return _CHOICE if row["is_default"] else _OURS


def draw(record: dict[str, Any], path: Path) -> None:
    """Write the chart as SVG and PNG, path's suffix aside."""
    groups = {name: bars(record, name) for name in ("float32", "bfloat16", "int8")}
    groups = {name: rows for name, rows in groups.items() if rows}
    heights = [len(rows) for rows in groups.values()]
    plt.rcParams.update({"font.size": 10, "svg.hashsalt": "bertblocks", "text.color": _INK})
    figure, all_axes = plt.subplots(
        len(groups),
        1,
        figsize=(9, 1.3 + 0.34 * sum(heights) + 0.45 * len(groups)),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
    )
    for axes, (name, rows) in zip(all_axes[:, 0], groups.items(), strict=True):
        _draw_group(axes, name, rows)
    figure.get_layout_engine().set(h_pad=0.08)
    figure.suptitle(_title(record), x=0.01, ha="left", fontsize=12, fontweight="bold")
    figure.supxlabel(_footer(record["environment"]), x=0.01, ha="left", fontsize=8, color=_FAINT)
    for suffix, options in ((".svg", {"metadata": {"Date": None}}), (".png", {"dpi": 110})):
        figure.savefig(path.with_suffix(suffix), **options)
    plt.close(figure)


def _draw_group(axes: Any, name: str, rows: list[Bar]) -> None:
    rates = [bar.rate or 0.0 for bar in rows]
    positions = range(len(rows))
    axes.barh(positions, rates, height=0.72, color=[bar.color for bar in rows])
    axes.set_yticks(positions, [bar.label for bar in rows])
    for tick, bar in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_color(_INK if bar.color == _THEIRS else _CHOICE)
        tick.set_fontweight("bold" if bar.color == _CHOICE else "normal")
    for position, bar in zip(positions, rows, strict=True):
        shown = "wrong vectors" if bar.rate is None else f"{bar.rate:,.0f}"
        axes.annotate(
            shown, (bar.rate or 0.0, position), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set_title(name, loc="left", fontsize=10, fontweight="bold", color=_FAINT)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.margins(x=0.12, y=0.02)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(_FAINT)


def _title(record: dict[str, Any]) -> str:
    mixed = record["workloads"]["mixed"]
    return (
        f"Tokens per second, {mixed['texts']} texts of {mixed['shortest']} to {mixed['longest']} tokens, "
        f"{record['environment']['threads']} threads"
    )


def _footer(environment: dict[str, Any]) -> str:
    versions = environment["versions"]
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    half = shown.find(", ", len(shown) // 2) + 1
    return (
        f"{environment['encoder']} · {environment['processor']}\n{shown[:half]}\n{shown[half:].strip()}\n"
        f"{environment['command']} · {environment['date']}"
    )


def main() -> None:
    """Draw the chart of a results file."""
    path = Path(sys.argv[1])
    draw(json.loads(path.read_text(encoding="utf-8")), path)


if __name__ == "__main__":
    main()
