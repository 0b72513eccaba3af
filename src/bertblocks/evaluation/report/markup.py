"""HTML from Python: what is not known to be markup is escaped, always."""

from __future__ import annotations

from collections.abc import Iterable

from bertblocks.evaluation.report.phrases import shortened
from bertblocks.pages import escape

# A label or a group's name of more characters is cut where it stands in a table.
_NAME_CHARACTERS = 160
# Of more characters without a space a browser must be told that it may break them.
_UNBROKEN_CHARACTERS = 28
_VOID = frozenset({"br", "input"})


class Html(str):
    """Markup that goes into a page as it is."""

    __slots__ = ()


Child = str | Iterable["Html"] | None
Attribute = str | int | bool | None


def element(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """Write an element, its texts and attributes escaped.

    Args:
        tag: Name of the element.
        children: Html as it is, other texts escaped, iterables of Html one after the other; None is nothing.
        attributes: "_" at the end is dropped, other "_" are "-"; None and False are left out, True has no
            value.
    """
    written = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{joined(*children)}</{tag}>")


def joined(*children: Child) -> Html:
    """Children one after the other, as element takes them."""
    return Html("".join(_written(child) for child in children))


def _written(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str):
        return escape(child)
    return "".join(str(part) for part in child)


def user_name(text: str, limit: int = _NAME_CHARACTERS) -> Html:
    """A label or name that a user chose, on one line, in its own direction."""
    line = shortened(text, limit)
    if max(map(len, line.split(" "))) > _UNBROKEN_CHARACTERS:
        return element("bdi", line, class_="unbroken")
    # ASCII has no letters from right to left.
    return Html(escape(line)) if line.isascii() else element("bdi", line)


def paragraphs(sentences: Iterable[str | None], **attributes: Attribute) -> Html:
    """One paragraph a sentence; None is left out."""
    return joined([element("p", sentence, **attributes) for sentence in sentences if sentence])
