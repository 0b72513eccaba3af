"""Foreign texts in a model card: Markdown that shows them as they are, and YAML that reads them back.

Labels, columns and groups have the names that the user gave them: quotes, pipes, HTML, line breaks and all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

LONGEST_NAME = 100
# Line breaks and other controls, marks that turn the direction of what follows, and halves of characters.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_MARKUP = re.compile(r"[\\`*_{}\[\]#|~$!]")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What GitHub and the hub turn into links and mentions without any markup.
_LINKS = {"://": ":&#47;/", "www.": "www&#46;", "@": "&#64;"}
# Of what JSON leaves as it is, a YAML file may not hold some; marks that turn the direction would mislead.
_NOT_IN_YAML = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


def markdown(text: str) -> str:
    """A foreign text as words within a line of Markdown: no markup, HTML or link in it takes effect."""
    line = text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 3] + "..."
    line = _INVISIBLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), line)
    line = "".join(_HTML.get(character, character) for character in line)
    line = _MARKUP.sub(r"\\\g<0>", line)
    for found, written in _LINKS.items():
        line = line.replace(found, written)
    return line.strip() or "(blank)"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table, and a blank one after it; the cells are Markdown already.

    The first column stands left, the others, which are numbers, right.
    """
    ruler = ["---", *["---:"] * (len(columns) - 1)]
    return [*(f"| {' | '.join(cells)} |" for cells in (columns, ruler, *rows)), ""]


def front_matter(values: Mapping[str, Any]) -> list[str]:
    """The lines of a YAML head, between its two rulers.

    Args:
        values: Texts, numbers, and lists and mappings of them; keys are our own words.
    """
    return ["---", *_yaml(values), "---", ""]


def _yaml(value: Any) -> Iterator[str]:
    entries = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for key, item in entries:
        if not isinstance(item, Mapping | list | tuple):
            yield f"- {_scalar(item)}" if key is None else f"{key}: {_scalar(item)}"
            continue
        lines = list(_yaml(item))
        if key is None:
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
        else:
            yield f"{key}:"
            yield from (f"  {line}" for line in lines)


def _scalar(value: Any) -> str:
    """A number, or a text in JSON's quotes, which are YAML's too."""
    if not isinstance(value, str):
        # 1e-05 would be a text in YAML, which wants a point in it.
        return f"{value:f}" if isinstance(value, float) else json.dumps(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found.group()):04x}", quoted)
