"""The most confident mistakes, with the words that mattered."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bertblocks._words import counted
from bertblocks.blocks import TaskKind
from bertblocks.evaluation.report.layout import Section, section
from bertblocks.evaluation.report.markup import Html, element, joined, user_name
from bertblocks.evaluation.report.phrases import all_of, percent, quoted, significant
from bertblocks.evaluation.report_data import Mistake, ReportData, WordWeight

# Tints of words; a word weighs at most as much as the heaviest one of its text.
_LEVELS = 4
_NAMED_WORDS = 3
# A script shows so many at first: the sections after them should not be miles away.
_FIRST_SHOWN = 20
# A longer text scrolls in its own box.
_LONG_TEXT = 700
_MEASURE: dict[TaskKind, str] = {
    "classification": "Confidence",
    "binary": "Confidence",
    "multilabel": "Confidence",
    "regression": "Off by",
}


def mistakes_section(data: ReportData) -> Section | None:
    """The mistakes, to be searched and sorted; nothing where there are none to show."""
    if not data.mistakes:
        return None
    has_words = any(mistake.words for mistake in data.mistakes)
    heading = "The largest errors" if data.task.kind == "regression" else "The most confident mistakes"
    parts = [
        element("p", _intro(data)),
        _legend() if has_words else None,
        _table(data),
    ]
    short = "Largest errors" if data.task.kind == "regression" else "Mistakes"
    return section("mistakes", short, heading, parts)


def _intro(data: ReportData) -> str:
    num_shown, num_all = len(data.mistakes), max(data.num_mistakes, len(data.mistakes))
    if data.task.kind == "regression":
        which = (
            f"The {counted(num_shown, 'row')} of the largest errors"
            if num_shown > 1
            else "The row of the largest error"
        )
        return f"{which}, the largest first."
    if num_shown == num_all:
        which = all_of(num_all, "mistake")
    else:
        which = f"{num_shown:,} of {counted(num_all, 'mistake')}: those in which the model was most sure"
    extra = (
        " Its confidence is the largest probability that lies on the wrong side."
        if data.task.kind == "multilabel"
        else ""
    )
    return f"{which}, the most confident first.{extra} Some may be mistakes of the table, not of the model."


def _legend() -> Html:
    speaks = element("mark", "speaks for the answer", class_="for-3")
    against = element("mark", "speaks against it", class_="against-3")
    return element(
        "p", "Words are marked by what they did: ", speaks, ", ", against, "; the darker, the more."
    )


def _table(data: ReportData) -> Html:
    has_groups = any(mistake.group is not None for mistake in data.mistakes)
    headings = ["Row", "Truth", "Answer", _MEASURE[data.task.kind]]
    if has_groups:
        headings.append(str(data.evaluation.group_by or "group"))
    headings.append("Text")
    is_number = {"Row", _MEASURE[data.task.kind]}
    head = element(
        "tr",
        [
            element(
                "th",
                user_name(name),
                scope="col",
                role="columnheader",
                class_="number" if name in is_number else None,
            )
            for name in headings
        ],
        role="row",
    )
    body = [_row(mistake, headings, data.task.kind, has_groups=has_groups) for mistake in data.mistakes]
    # With roles: on a phone the cells stand below each other, and some readers then take them for no cells.
    table = element(
        "table",
        element("caption", "Rows that were answered wrongly"),
        element("thead", head, role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        class_="sortable mistakes",
        role="table",
        data_search="mistakes",
        data_first=_FIRST_SHOWN,
    )
    return element(
        "div", table, class_="scroll", role="group", aria_label="Rows that were answered wrongly", tabindex=0
    )


def _row(mistake: Mistake, headings: Sequence[str], kind: TaskKind, *, has_groups: bool) -> Html:
    measure = significant(mistake.confidence) if kind == "regression" else percent(mistake.confidence)
    values: list[Html] = [
        joined(f"{mistake.row:,}"),
        user_name(mistake.truth),
        user_name(mistake.answer),
        joined(measure),
    ]
    if has_groups:
        values.append(user_name(mistake.group or "-"))
    first, *others = values
    cells = [element("th", first, scope="row", role="rowheader", data_name=headings[0])]
    cells += [
        element("td", value, role="cell", data_name=name, class_="number" if name == headings[3] else None)
        for name, value in zip(headings[1:-1], others, strict=True)
    ]
    cells.append(element("td", _texts(mistake), role="cell", class_="text"))
    return element("tr", cells, role="row")


def _texts(mistake: Mistake) -> Html:
    first = _text_box(marked_text(mistake.text, mistake.words), len(mistake.text))
    second = None
    if mistake.pair is not None:
        second = _text_box(joined(mistake.pair), len(mistake.pair))
    words = words_in_words(mistake.text, mistake.words)
    return joined(first, second, element("p", words, class_="muted weights") if words else None)


def _text_box(text: Html, length: int) -> Html:
    is_long = length > _LONG_TEXT
    return element(
        "div",
        text,
        dir="auto",
        class_="text-box long" if is_long else "text-box",
        tabindex=0 if is_long else None,
        role="group" if is_long else None,
        aria_label="The text" if is_long else None,
    )


def marked_text(text: str, words: Sequence[WordWeight]) -> Html:
    """A text whose words have a tint by sign and size; spans that lie outside or overlap are left out."""
    usable = sorted(_usable(text, words), key=lambda word: (word.start, word.end))
    heaviest = max((abs(word.weight) for word in usable), default=0.0)
    parts: list[Html] = []
    done = 0
    for word in usable:
        if word.start < done:
            continue
        level = math.ceil(_LEVELS * abs(word.weight) / heaviest)
        side = "for" if word.weight > 0 else "against"
        parts.append(joined(text[done : word.start]))
        mark = element(
            "mark", text[word.start : word.end], class_=f"{side}-{level}", title=_weight(word.weight)
        )
        parts.append(mark)
        done = word.end
    return joined(parts, text[done:])


def words_in_words(text: str, words: Sequence[WordWeight]) -> str:
    """The words that mattered most, for who does not see their tint."""
    usable = _usable(text, words)
    sentences = []
    for name, chosen in (
        (
            "For the answer",
            sorted((word for word in usable if word.weight > 0), key=lambda word: -word.weight),
        ),
        ("Against it", sorted((word for word in usable if word.weight < 0), key=lambda word: word.weight)),
    ):
        told = [
            f"{quoted(text[word.start : word.end])} {_weight(word.weight)}" for word in chosen[:_NAMED_WORDS]
        ]
        if told:
            sentences.append(f"{name}: {', '.join(told)}.")
    return " ".join(sentences)


def _usable(text: str, words: Sequence[WordWeight]) -> list[WordWeight]:
    return [
        word
        for word in words
        if 0 <= word.start < word.end <= len(text) and math.isfinite(word.weight) and word.weight
    ]


def _weight(weight: float) -> str:
    return f"{weight:+.2f}".replace("-", "−")
