"""What the engines are given to work on."""

from __future__ import annotations

from dataclasses import dataclass

SINGLE_LENGTHS = (16, 64, 256)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Texts and their token ids, special tokens included.

    Attributes:
        texts: As a person would hand them over.
        ids: Token ids of each text, by the encoder's own tokenizer.
    """

    texts: list[str]
    ids: list[list[int]]

    @property
    def num_tokens(self) -> int:
        """True tokens; padding is never counted."""
        return sum(len(row) for row in self.ids)

    def half(self) -> Workload:
        """Every other text: what settings are tried on."""
        return Workload(texts=self.texts[::2], ids=self.ids[::2])
