"""What a client calls a text: checked one by one, so that a faulty one does not spoil the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bertblocks._words import counted
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.fields import kind_of
from bertblocks.serving.messages import Asked, Want
from bertblocks.serving.problems import Bound, RequestError, invalid, too_large
from bertblocks.serving.settings import Limits

Checked = Asked | RequestError
"""A text that can be asked about, or what is wrong with it."""


class RowCheck:
    """Turns what stands in a request into what the model is asked.

    Args:
        facts: The model.
        limits: How long a text may be.
        want: What is to be made of the texts.
        from_left: Whether texts that are too long lose their beginning.
        special: Of tokens: whether special ones are told too.
        always_single: Whether single texts are read, also by a model of pairs.
    """

    def __init__(
        self,
        facts: ModelFacts,
        limits: Limits,
        want: Want,
        *,
        from_left: bool = False,
        special: bool = True,
        always_single: bool = False,
    ) -> None:
        self._takes_pairs = facts.takes_pairs and not always_single
        self._most = limits.text_characters
        self._want: Want = want
        self._from_left = from_left
        self._special = special
        if from_left and facts.takes_pairs:
            raise invalid(
                "truncation_direction is left, which is for single texts: a pair loses its longer text's end",
                param="truncation_direction",
            )

    def text(self, value: Any) -> Checked:
        """A single text."""
        if self._takes_pairs:
            return invalid("Found a single text, but this model takes pairs of texts.")
        return self._problem([value]) or Asked(self._want, value, None, self._from_left, self._special)

    def pair(self, first: Any, second: Any) -> Checked:
        """A pair of texts."""
        if not self._takes_pairs:
            return invalid(
                'Found two texts where one row is expected: ["a", "b"] is a pair here, and this model takes '
                'single texts. For several texts send [["a"], ["b"]].'
            )
        problem = self._problem([first, second])
        return problem or Asked(self._want, first, second, self._from_left, self._special)

    def row(self, texts: Sequence[Any]) -> Checked:
        """A list of one text, or of the two of a pair."""
        if len(texts) == 1:
            return self.text(texts[0])
        if len(texts) == 2:
            return self.pair(*texts)
        expected = "two texts" if self._takes_pairs else "one text"
        return invalid(f"A row has {counted(len(texts), 'text')}, expected {expected}.")

    def _problem(self, values: Sequence[Any]) -> RequestError | None:
        num_characters = 0
        for value in values:
            if not isinstance(value, str):
                return invalid(f"Expected a text, found {kind_of(value)}.")
            if not value or value.isspace():
                return invalid("The text is blank: there is nothing to read.")
            num_characters += len(value)
        if num_characters > self._most:
            return invalid(
                f"The text has {num_characters:,} characters, and the limit is {self._most:,}.",
                bound=Bound(name="text_characters", limit=self._most, found=num_characters),
            )
        return None


def check_number(num_texts: int, limits: Limits, name: str) -> None:
    """Refuse a request of no text, or of too many.

    Args:
        num_texts: How many it has.
        limits: How many it may have.
        name: The field that holds them.

    Raises:
        RequestError: If there are none, or too many.
    """
    if not num_texts:
        raise RequestError(400, "Empty", f"{name} is empty: expected at least one text.", param=name)
    most = limits.texts_per_request
    if num_texts > most:
        raise too_large(
            f"{name} has {num_texts:,} texts, and a request may have {most:,}: send several requests.",
            Bound(name="texts_per_request", limit=most, found=num_texts),
        )
