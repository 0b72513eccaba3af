"""Vocabularies: which token has which id, and whether the text is lowercased first.

Casing belongs to the vocabulary: lowercasing for a cased vocabulary, or keeping capitals and accents for an
uncased one, silently ruins a model, so a contradiction is an error.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal

from bertblocks._foreign_files import CONFIGURATION_LIMIT, read_file
from bertblocks.errors import CheckpointError

Casing = Literal["cased", "uncased"]
Role = Literal["pad", "unk", "cls", "sep", "mask"]
ShippedName = Literal["multilingual-cased", "english-uncased"]

SPECIAL_TOKENS: Mapping[Role, str] = {
    "pad": "[PAD]",
    "unk": "[UNK]",
    "cls": "[CLS]",
    "sep": "[SEP]",
    "mask": "[MASK]",
}
CONTINUATION = "##"
"""Begins a piece within a word."""

_SENTENCEPIECE = "▁"
_OPTIONAL_ROLES: frozenset[Role] = frozenset({"mask"})
_NUM_SHOWN = 5
_MOST_TOKENS = 2_000_000  # LaBSE, the largest known, has 501,153


@dataclass(frozen=True, kw_only=True)
class _Shipped:
    sha256: str
    casing: Casing


SHIPPED: Mapping[ShippedName, _Shipped] = {
    "multilingual-cased": _Shipped(
        sha256="fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c", casing="cased"
    ),
    "english-uncased": _Shipped(
        sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3", casing="uncased"
    ),
}
# A vocabulary learnt from cased text has many capitals (multilingual 16 %, English cased 29 %), an uncased
# one none.
_CASED_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """A WordPiece vocabulary, with everything about it that token ids depend on.

    The tokens are kept as the file's bytes alone: 120,000 of them as strings, and once more as keys of a
    dictionary, are 20 MB that few calls need.

    Attributes:
        name: A shipped vocabulary's name wherever its file lies, else the name of the folder it was read
            from.
        num_tokens: How many it has; ids are 0 to this less 1.
        casing: Whether texts are lowercased and stripped of accents ("uncased") or kept as they are
            ("cased").
        content: The bytes of `vocab.txt`, so that a copy is byte-identical.
    """

    name: str
    num_tokens: int
    casing: Casing
    content: bytes = field(repr=False)

    def tokens(self) -> tuple[str, ...]:
        """The token of each id, made anew."""
        return _split(self.content.decode())

    def ids(self) -> dict[str, int]:
        """The id of each token, made anew."""
        return {token: index for index, token in enumerate(self.tokens())}

    @cached_property
    def special_tokens(self) -> Mapping[Role, int]:
        """The id of each special token, by role; "mask" only where the vocabulary has one."""
        ids = self.ids()
        return {role: ids[token] for role, token in SPECIAL_TOKENS.items() if token in ids}

    def __len__(self) -> int:
        return self.num_tokens


def shipped_vocabulary(name: ShippedName) -> Vocabulary:
    """Read one of the vocabularies that the package ships.

    Raises:
        CheckpointError: If the file is not byte for byte the one that was shipped.
    """
    path = files("bertblocks.text") / "vocabularies" / f"{name}.txt"
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHIPPED[name].sha256:
        raise CheckpointError(
            f"{path}: the shipped vocabulary {name!r} was changed: its sha256 is {digest}, expected "
            f"{SHIPPED[name].sha256}. Install bertblocks again."
        )
    return parse_vocabulary(content, name=name, origin=str(path))


def read_vocabulary(path: Path, *, do_lower_case: bool | None = None) -> Vocabulary:
    """Read a `vocab.txt`: one token a line, its line number the id.

    Args:
        path: The file. A shipped vocabulary is recognised by its bytes.
        do_lower_case: What the tokenizer configuration beside it says, if anything.

    Raises:
        CheckpointError: If it is not a WordPiece vocabulary, or `do_lower_case` contradicts it.
    """
    return parse_vocabulary(
        read_file(path, limit=CONFIGURATION_LIMIT),
        name=path.absolute().parent.name,
        origin=str(path),
        do_lower_case=do_lower_case,
    )


def parse_vocabulary(
    content: bytes, *, name: str, origin: str, do_lower_case: bool | None = None
) -> Vocabulary:
    """Make a vocabulary from the bytes of a `vocab.txt`.

    Args:
        content: UTF-8 without byte order mark, lines ended by a line feed.
        name: The vocabulary's name, unless it is one of the shipped ones.
        origin: Where the bytes come from, for messages.
        do_lower_case: What the tokenizer configuration says, if anything.

    Raises:
        CheckpointError: As `read_vocabulary`.
    """
    tokens = _tokens_of(content, origin)
    known = _recognise(content)
    casing = SHIPPED[known].casing if known else _casing_of(tokens, do_lower_case, origin)
    if do_lower_case is not None and do_lower_case != (casing == "uncased"):
        raise CheckpointError(
            f"{origin}: do_lower_case is {do_lower_case}, but this is the {casing} vocabulary {known!r}. "
            f"Set do_lower_case to {casing == 'uncased'} in tokenizer_config.json, or bring the other "
            f"vocabulary."
        )
    return Vocabulary(name=known or name, num_tokens=len(tokens), casing=casing, content=content)


def _recognise(content: bytes) -> ShippedName | None:
    digest = hashlib.sha256(content).hexdigest()
    return next((name for name, shipped in SHIPPED.items() if shipped.sha256 == digest), None)


def _tokens_of(content: bytes, origin: str) -> tuple[str, ...]:
    """Split into lines and strip each as Google does, and report every problem at once."""
    num_lines = content.count(b"\n")
    if num_lines > _MOST_TOKENS:
        raise CheckpointError(
            f"{origin}: not a vocabulary: it has {num_lines:,} lines, expected at most {_MOST_TOKENS:,}."
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{origin}: not a vocabulary: {error}. Expected UTF-8 text, one token a line."
        ) from None
    tokens = _split(text)
    problems = [*_problems_of_bytes(content), *_problems_of_tokens(tokens)] if text else ["it is empty"]
    if problems:
        raise CheckpointError(f"{origin}: not a usable WordPiece vocabulary: " + "; ".join(problems) + ".")
    return tokens


def _split(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.removesuffix("\n").split("\n"))


def _problems_of_bytes(content: bytes) -> list[str]:
    problems = []
    if content.startswith(b"\xef\xbb\xbf"):
        problems.append("it begins with a byte order mark: save it as UTF-8 without one")
    if b"\r" in content:
        problems.append("it has carriage returns (Windows line ends): save it with line feeds only")
    if b"\0" in content:
        problems.append("it has NUL characters: it is not a text file, or is damaged")
    return problems


def _problems_of_tokens(tokens: Sequence[str]) -> list[str]:
    problems = []
    empty = [str(number) for number, token in enumerate(tokens, start=1) if not token]
    if empty:
        problems.append(f"empty lines: {_some(empty)}")
    repeated = [f"{token!r:.50}" for token, count in Counter(tokens).items() if token and count > 1]
    if repeated:
        problems.append(f"tokens that occur more than once: {_some(repeated)}")
    present = frozenset(tokens)
    missing = [t for role, t in SPECIAL_TOKENS.items() if role not in _OPTIONAL_ROLES and t not in present]
    if missing:
        problems.append(f"special tokens missing: {_some(missing)}")
    if not missing and present <= frozenset(SPECIAL_TOKENS.values()):
        problems.append("it has special tokens only, so that every text would be unknown")
    num_sentencepiece = _num_pieces(tokens, _SENTENCEPIECE)
    if num_sentencepiece > _num_pieces(tokens, CONTINUATION):
        problems.append(
            f"{num_sentencepiece:,} tokens begin with {_SENTENCEPIECE!r}: it is a vocabulary of "
            "SentencePiece, which needs a tokenizer.json"
        )
    return problems


def _num_pieces(tokens: Sequence[str], prefix: str) -> int:
    return sum(token.startswith(prefix) and token != prefix for token in tokens)


def _some(items: Sequence[str]) -> str:
    more = len(items) - _NUM_SHOWN
    return ", ".join(items[:_NUM_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _casing_of(tokens: Sequence[str], do_lower_case: bool | None, origin: str) -> Casing:
    """Follow the configuration where the vocabulary allows it, else let the vocabulary's capitals decide."""
    # [unused1] and <S> are names, not pieces of text.
    pieces = [token for token in tokens if token[0] + token[-1] not in ("[]", "<>")]
    capitals = [piece for piece in pieces if piece != piece.lower()]
    is_cased = len(capitals) >= _CASED_SHARE * len(pieces) and bool(capitals)
    if do_lower_case and is_cased:
        raise CheckpointError(
            f"{origin}: do_lower_case is true, but {len(capitals):,} of {len(pieces):,} tokens have "
            f"capital letters ({_some([f'{c!r:.50}' for c in capitals])}), which lowercased text never "
            f"reaches. Set do_lower_case to false in tokenizer_config.json, or bring the uncased vocabulary."
        )
    if do_lower_case is not None:
        return "uncased" if do_lower_case else "cased"
    accented = [piece for piece in pieces if _is_accented(piece)]
    if not is_cased and (capitals or accented):
        raise CheckpointError(
            f"{origin}: cannot tell whether this vocabulary is cased: {len(capitals):,} of {len(pieces):,} "
            f"tokens have capital letters, and {len(accented):,} have accents or vowel signs, which an "
            f"uncased vocabulary lacks. Put a tokenizer_config.json that says do_lower_case beside it."
        )
    return "cased" if is_cased else "uncased"


def _is_accented(piece: str) -> bool:
    return any(unicodedata.category(char) == "Mn" for char in unicodedata.normalize("NFD", piece))
