"""Explanations as a page: texts with shaded words, and every number in a table."""

from __future__ import annotations

from collections.abc import Sequence

from bertblocks.explanation.explanations import ExplainedWord, Explanation, weight_of
from bertblocks.explanation.sentences import agreement_sentence, notes, residue_sentence, what_is_explained
from bertblocks.pages import document, escape

_STYLE = """
.text { font-size: 1.2rem; line-height: 2.1; white-space: pre-wrap; max-width: none; }
.text mark { color: inherit; border-radius: 0.2rem; padding: 0.15rem 0; }
.text mark.for { background: rgb(47 127 208 / var(--share)); border-bottom: 3px solid var(--good-fill); }
.text mark.against { background: rgb(224 123 26 / var(--share)); border-bottom: 3px dotted var(--bad-fill); }
"""
# A word's colour is half as strong as it could be: its letters must be readable on it.
_STRONGEST = 0.5
# Weaker words keep the colour of the page.
_FAINTEST = 0.02


def explanations_page(explanations: Sequence[Explanation], title: str = "Why this answer?") -> str:
    """Make the page.

    Args:
        explanations: One a text.
        title: Plain text.

    Returns:
        A whole HTML document that needs nothing else.
    """
    several = len(explanations) > 1
    parts = [
        f"<h2>Text {number} of {len(explanations)}</h2>\n{_section(found, f' of text {number}')}"
        if several
        else _section(found)
        for number, found in enumerate(explanations, start=1)
    ]
    legend = (
        '<p><span class="text"><mark class="for" style="--share: 0.4">Blue, solid line</mark></span>: speaks '
        "for the answer, or raises the number. "
        '<span class="text"><mark class="against" style="--share: 0.4">Orange, dotted line</mark></span>: '
        "speaks against it. The stronger the colour, the larger the share.</p>"
    )
    body = "\n".join([f"<h1>{escape(title)}</h1>", legend, *parts, _LIMITS])
    return document(title, body, style=_STYLE)


_LIMITS = """<h2>How far this can be trusted</h2>
<ul>
<li>It explains this model's answer to this text. It does not say what is true, or how the model was
trained.</li>
<li>Words work together. A share is one fair way to divide what they do jointly; leaving out is another. Where
the two disagree, neither is the whole truth.</li>
<li>A model may be right for a wrong reason. That is worth looking for here.</li>
</ul>"""


def _section(found: Explanation, which: str = "") -> str:
    sentences = [what_is_explained(found), residue_sentence(found), agreement_sentence(found), *notes(found)]
    texts = [_shaded(found, in_pair=False)] + (
        [_shaded(found, in_pair=True)] if found.pair is not None else []
    )
    told = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences if sentence)
    return f"{_answer(found)}\n{''.join(texts)}\n{told}\n{_table(found, which)}"


def _answer(found: Explanation) -> str:
    answer = found.answer
    if isinstance(answer, float):
        return f"<p>The model predicts <strong>{answer:.5g}</strong>.</p>"
    given = ", ".join(answer) or "no label" if isinstance(answer, tuple) else answer
    said = f"The model answers <strong><bdi>{escape(given)}</bdi></strong>."
    if found.probability is not None:
        said += (
            f" The probability of <bdi>{escape(found.label)}</bdi> is "
            f"<strong>{found.probability:.1%}</strong>."
        )
    return f"<p>{said}</p>"


def _shaded(found: Explanation, *, in_pair: bool) -> str:
    """A text with its words marked; the colours of both texts of a pair have one scale."""
    text = (found.pair or "") if in_pair else found.text
    largest = max((abs(weight_of(word) or 0.0) for word in found.words), default=0.0) or 1.0
    parts, end = [], 0
    for start, stop, weight in found.weights(in_pair=in_pair):
        parts.append(escape(text[end:start]))
        word, share = escape(text[start:stop]), _STRONGEST * abs(weight) / largest
        if share < _FAINTEST:
            parts.append(word)
        else:
            kind = "for" if weight > 0 else "against"
            parts.append(
                f'<mark class="{kind}" style="--share: {share:.3f}" title="{weight:+.3f}">{word}</mark>'
            )
        end = stop
    return f'<p class="text" dir="auto">{"".join(parts)}{escape(text[end:])}</p>'


def _table(found: Explanation, which: str) -> str:
    """Every word with its numbers, the strongest first."""
    by_gradient = found.method != "leave-one-out"
    by_leaving = found.method in ("leave-one-out", "both")
    columns = ["Attribution"] * by_gradient + ["Without the word"] * by_leaving
    rows = [
        f'<tr><th scope="row"><bdi>{escape(word.text)}</bdi></th>'
        f'<td class="number">{word.start}–{word.end}{" (second text)" if word.in_pair else ""}</td>'
        + "".join(f'<td class="number">{value:+.3f}</td>' for value in _values(word))
        + "</tr>"
        for word in sorted(found.words, key=lambda word: -abs(weight_of(word) or 0.0))
    ]
    heads = "".join(f'<th scope="col" class="number">{name}</th>' for name in ("Place", *columns))
    return (
        "<details><summary>Every word with its numbers</summary>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="The words{which}"><table>'
        "<caption>Attribution: what the word adds. Without the word: how far the output falls when it is "
        f'left out.</caption><thead><tr><th scope="col">Word</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _values(word: ExplainedWord) -> list[float]:
    return [value for value in (word.attribution, word.leave_one_out) if value is not None]
