"""Where special tokens stand around a text or a pair, and how a pair is cut to length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer as RustTokenizer

from bertblocks.errors import CheckpointError
from bertblocks.text.library import is_failure

_RARE = "\U00013000"  # an Egyptian hieroglyph


@dataclass(frozen=True, kw_only=True)
class SingleTemplate:
    """The ids before and after a single text."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def num_special(self) -> int:
        """How many tokens the template adds."""
        return len(self.before) + len(self.after)


@dataclass(frozen=True, kw_only=True)
class PairTemplate:
    """The ids before, between and after a pair of texts.

    Attributes:
        before: Ids before the first text.
        between: Ids between the texts.
        after: Ids after the second text.
        num_between_first: How many of `between` belong to segment 0.
        two_segments: Whether the second text belongs to segment 1; else everything belongs to segment 0.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    num_between_first: int
    two_segments: bool

    @property
    def num_special(self) -> int:
        """How many tokens the template adds."""
        return len(self.before) + len(self.between) + len(self.after)


@dataclass(frozen=True, kw_only=True)
class Template:
    """The special tokens of single texts and of pairs."""

    single: SingleTemplate
    pair: PairTemplate

    @property
    def largest_id(self) -> int:
        """The largest id that is added."""
        single, pair = self.single, self.pair
        return max((*single.before, *single.after, *pair.before, *pair.between, *pair.after))


def bert_template(*, cls: int, sep: int) -> Template:
    """BERT's own: `[CLS] a [SEP]`, and `[CLS] a [SEP] b [SEP]` with segment 1 after the first `[SEP]`."""
    return Template(
        single=SingleTemplate(before=(cls,), after=(sep,)),
        pair=PairTemplate(
            before=(cls,), between=(sep,), after=(sep,), num_between_first=1, two_segments=True
        ),
    )


def template_of(tokenizer: RustTokenizer, origin: str) -> Template:
    """Find out by trial what a tokenizer's post-processor puts around texts.

    Raises:
        CheckpointError: If it puts no token before the text: an encoder's first-token output would be a word.
            Also if it cannot tokenize the letter "a", or a character that no vocabulary has.
    """
    try:
        tokenizer.encode(_RARE)
        single, pair = tokenizer.encode("a"), tokenizer.encode("a", "a")
    except BaseException as error:
        if not is_failure(error):
            raise
        raise CheckpointError(
            f"{origin}: cannot tokenize every text: {error}. Expected an unknown token."
        ) from error
    if 0 not in single.sequence_ids or not {0, 1} <= set(pair.sequence_ids):
        raise CheckpointError(f"{origin}: gives no token for the text 'a' (found {single.tokens!r}).")
    before, after = _around(single.ids, single.sequence_ids, 0)
    pair_before, rest = _around(pair.ids, pair.sequence_ids, 0)
    _, pair_after = _around(pair.ids, pair.sequence_ids, 1)
    between = rest[: len(rest) - len(pair_after) - pair.sequence_ids.count(1)]
    if not before or not pair_before:
        raise CheckpointError(
            f"{origin}: its post-processor puts no special token before the text (found {single.tokens!r} "
            f"for 'a'). Expected a template such as `[CLS] A [SEP]` or `<s> A </s>`."
        )
    start = len(pair_before) + pair.sequence_ids.count(0)
    return Template(
        single=SingleTemplate(before=before, after=after),
        pair=PairTemplate(
            before=pair_before,
            between=between,
            after=pair_after,
            num_between_first=pair.type_ids[start : start + len(between)].count(0),
            two_segments=pair.type_ids[pair.sequence_ids.index(1)] == 1,
        ),
    )


def _around(
    ids: Sequence[int], sequence_ids: Sequence[int | None], sequence: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids before and after the tokens of one of the sequences."""
    first = sequence_ids.index(sequence)
    return tuple(ids[:first]), tuple(ids[first + sequence_ids.count(sequence) :])


def lengths_of_cut_pair(num_first: int, num_second: int, room: int) -> tuple[int, int]:
    """Cut the longer of two texts first, until both fit.

    The odd token of two long texts goes to the longer one, and to the second of two equal ones: the rule of
    the Rust library, so that an exported folder cuts pairs alike. See docs/numerics.md, "Tokenization".

    Args:
        num_first: Tokens of the first text.
        num_second: Tokens of the second text.
        room: How many tokens both may have together.

    Returns:
        How many leading tokens of each are kept.
    """
    shorter, longer = sorted((num_first, num_second))
    if shorter + longer > room:
        shorter = min(shorter, room // 2)
        longer = room - shorter
    return (longer, shorter) if num_first > num_second else (shorter, longer)
