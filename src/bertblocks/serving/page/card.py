"""What lies beside a model for people: its model card, and the scores of its training."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

_MOST_BYTES = 1 << 20
_FRONT_MATTER = re.compile(r"\A---\s*\n.*?\n---\s*\n", re.DOTALL)


def read_card(folder: Path) -> str | None:
    """The model card as HTML that holds no HTML of its own; None where there is none.

    Args:
        folder: The model's.
    """
    content = _read(folder / "README.md")
    if content is None:
        return None
    # Markdown alone: what looks like a tag is shown as it stands, and links lead to no script.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    html = str(markdown.render(_FRONT_MATTER.sub("", content)))
    return html.encode("utf-8", "replace").decode("utf-8")


def read_scores(folder: Path) -> dict[str, Any] | None:
    """The metrics of the training, and the main one of each group; None where they are not known.

    Args:
        folder: The model's.
    """
    content = _read(folder / "metrics.json")
    try:
        found = json.loads(content or "null")
        name = found["primary_metric"]
        return {
            "metric": str(name),
            "rows": int(found["rows"]),
            "metrics": _numbers(found["metrics"]),
            "group_by": found.get("group_by"),
            "groups": sorted(
                (
                    {
                        "name": str(group["group"]),
                        "rows": int(group["rows"]),
                        "value": _numbers(group["metrics"]).get(name),
                    }
                    for group in found.get("groups") or ()
                ),
                key=lambda group: group["name"],
            ),
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Of another version, or of somebody else: the page does without.
        return None


def _numbers(values: dict[str, Any]) -> dict[str, float | None]:
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    }


def _read(path: Path) -> str | None:
    """A small text file of the folder; None where there is none, or it is no such file."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
