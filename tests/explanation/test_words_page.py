from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from bertblocks.blocks import Task
from bertblocks.explanation import (
    ExplainedWord,
    Explainer,
    Explanation,
    agreement_sentence,
    explanations_page,
    notes,
    residue_sentence,
    what_is_explained,
)
from tiny import tiny_model

INJECTION = "</title><script>alert(1)</script><img src=x onerror=alert(1)> \"' & שלום \ud800"


def explanation(**changes) -> Explanation:
    facts = {
        "text": "a good film", "pair": None, "answer": "yes", "label": "yes", "probability": 0.9,
        "output": 2.2, "unit": "log-odds", "method": "both", "truncated": False, "num_tokens": 5,
        "words": (
            ExplainedWord(text="a", start=0, end=1, attribution=0.1, leave_one_out=0.0),
            ExplainedWord(text="good", start=2, end=6, attribution=2.0, leave_one_out=1.5),
            ExplainedWord(text="film", start=7, end=11, attribution=-0.5, leave_one_out=-0.1),
        ),
        "baseline": "pad", "baseline_output": 0.6, "attributed": 1.6, "residue": 0.001, "steps": 17,
        "is_complete": True,
    }  # fmt: skip
    return Explanation(**{**facts, **changes})


class Shown(HTMLParser):
    """What a reader sees of a page: its text, without the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attributes)

    def handle_data(self, data):
        if self.tags and self.tags[-1] != "style":
            self.text += data


def test_the_words_are_marked_in_their_places():
    page = explanations_page([explanation()])
    (text,) = re.findall(r'<p class="text" dir="auto">(.*?)</p>', page)
    assert text == (
        '<mark class="for" style="--share: 0.025" title="+0.100">a</mark> '
        '<mark class="for" style="--share: 0.500" title="+2.000">good</mark> '
        '<mark class="against" style="--share: 0.125" title="-0.500">film</mark>'
    )
    assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', page) == ["good", "film", "a"]


def test_hostile_texts_and_labels(tiny_encoder):
    task = Task(kind="classification", labels=(INJECTION.strip(), "b"))
    model = tiny_model(tiny_encoder("cased"), task, sequence_length=120)
    found = Explainer(model).explain([INJECTION, "שלום"], label=task.labels[0])
    page = explanations_page(found, title=INJECTION)
    page.encode("utf-8")
    shown = Shown(page)
    assert "script" not in shown.tags and "img" not in shown.tags
    assert INJECTION.replace("\ud800", "\ufffd") in shown.text
    assert "Text 2 of 2" in shown.text


def test_sentences():
    found = explanation()
    assert what_is_explained(found).startswith("Explained are the log-odds of 'yes'")
    assert residue_sentence(found) == (
        "With the padding token in place of every word the output is 0.600; with the text it is 2.200, a "
        "difference of +1.600. The words add up to +1.600: 0.001 (0.1% of the difference) is in none of "
        "them, after 17 gradients."
    )
    assert "take the shares as rough" in residue_sentence(explanation(is_complete=False))
    assert "cannot be expected" in residue_sentence(explanation(method="gradient"))
    alone = explanation(method="leave-one-out", residue=None, baseline_output=None)
    assert residue_sentence(alone) is None
    assert "agrees by 1.00" in agreement_sentence(found)
    words = tuple(
        ExplainedWord(text="w", start=0, end=1, attribution=a, leave_one_out=b)
        for a, b in ((1.0, 3.0), (2.0, 2.0), (3.0, 1.0))
    )
    assert "They disagree" in agreement_sentence(explanation(words=words))
    assert agreement_sentence(explanation(words=words[:2])) is None
    assert notes(found) == []
    assert "was cut" in notes(explanation(truncated=True))[0]
    assert "nothing to explain" in notes(explanation(words=()))[0]
    assert "own unit" in what_is_explained(explanation(unit="number", label=None))


@pytest.mark.parametrize("answer", [3.25, ("a", "b"), (), "yes"])
def test_every_kind_of_answer(answer):
    found = explanation(answer=answer, label=None if answer == 3.25 else "yes")
    page = explanations_page([found if answer != 3.25 else explanation(answer=3.25, probability=None)])
    assert {3.25: "3.25", ("a", "b"): "a, b", (): "no label", "yes": "yes"}[answer] in page


def test_nothing_to_explain():
    page = explanations_page([explanation(words=(), text="")])
    assert "nothing to explain" in page
    assert "<h1>" in explanations_page([])


def test_a_pairs_second_text_is_marked_too():
    words = (*explanation().words, ExplainedWord(text="dog", start=2, end=5, in_pair=True, attribution=4.0))
    page = explanations_page([explanation(words=words, pair="a dog", method="integrated-gradients")])
    assert (
        '<p class="text" dir="auto">a <mark class="for" style="--share: 0.500" title="+4.000">dog</mark></p>'
        in page
    )
    assert "second text" in page
