"""What the server and its worker say to each other: pickles, each with its length before it.

Both ends are processes of one program, joined by pipes that nobody else can open. Nothing that comes from the
network is unpickled: texts travel as plain strings.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, BinaryIO, Literal, NamedTuple

from bertblocks.serving.facts import ModelFacts

Want = Literal[
    "predict", "vector", "unit_vector", "vector64", "unit_vector64", "sequence", "tokens", "explain"
]
"""What is to be made of a text.

Vectors are JSON, or base64 of float32, least significant byte first; unit vectors have the length 1. A
sequence is a vector for each token. Tokens and explanations are what JSON can hold.
"""

_LENGTH = struct.Struct("<Q")
HEADER_BYTES = _LENGTH.size


class Asked(NamedTuple):
    """A text, and what is to be made of it; equal ones are computed once.

    Attributes:
        want: What is to be made.
        text: The text.
        pair: The second text, for a model of pairs.
        from_left: Whether a text that is too long loses its beginning, instead of its end.
        special: Of tokens: whether special ones are told too.
    """

    want: Want
    text: str
    pair: str | None = None
    from_left: bool = False
    special: bool = True


class Row(NamedTuple):
    """A tokenized text.

    Attributes:
        ids: Token ids, int32.
        num_first: How many of them belong to the first text.
        num_tokens: Tokens before it was cut.
        truncated: Whether it was cut.
        num_unknown: Unknown tokens among those read.
        windows: Lengths of its windows, where it is read in windows.
        cost: What computing it takes, in tokens.
        value: The answer, where nothing is to be computed.
    """

    ids: bytes
    num_first: int
    num_tokens: int
    truncated: bool
    num_unknown: int
    windows: tuple[int, ...] | None
    cost: int
    value: Any = None


class Refusal(NamedTuple):
    """Why a text has no answer.

    Attributes:
        message: In words, none of them the text's.
        is_texts: Whether the text is the cause, and not the model.
    """

    message: str
    is_texts: bool = True


class Scores(NamedTuple):
    """What a model says of a text.

    Attributes:
        answer: The label, the labels, or the number.
        scores: Probability of every label; the number alone for a regression.
        logits: As they come from the head.
    """

    answer: Any
    scores: list[float]
    logits: list[float]


class Start(NamedTuple):
    """What the worker is told first."""

    model: str
    precision: str
    device: str
    threads: int | None
    batch_tokens: int | None


class Tokenize(NamedTuple):
    """Texts to tokenize; the answer is Tokenized."""

    number: int
    texts: list[Asked]


class Compute(NamedTuple):
    """Rows to compute together in a lane; the answer is Computed. SHARED is the lane of all threads."""

    number: int
    lane: int
    wants: list[Asked]
    rows: list[Row]


class Ping(NamedTuple):
    """Asks for a sign of life; the answer is Pong."""


class Loaded(NamedTuple):
    """The worker is ready."""

    facts: ModelFacts


class NotLoaded(NamedTuple):
    """The worker cannot serve this model; whether the caller could mend it."""

    message: str
    is_callers: bool


class Tokenized(NamedTuple):
    """Rows in the order of the texts, and the seconds that they took."""

    number: int
    rows: list[Row | Refusal]
    seconds: float


class Computed(NamedTuple):
    """Values in the order of the rows, and the seconds that they took."""

    number: int
    values: list[Any]
    seconds: float


class Pong(NamedTuple):
    """A sign of life."""


SHARED = -1

ToWorker = Start | Tokenize | Compute | Ping
FromWorker = Loaded | NotLoaded | Tokenized | Computed | Pong


def packed(message: ToWorker | FromWorker) -> bytes:
    """A message with its length, ready to be written."""
    content = pickle.dumps(message, protocol=5)
    return _LENGTH.pack(len(content)) + content


def length_of(header: bytes) -> int:
    """The length of the message that follows a header of HEADER_BYTES."""
    return int(_LENGTH.unpack(header)[0])


def read_message(stream: BinaryIO) -> Any:
    """Wait for the next message.

    Raises:
        EOFError: If the other end is gone.
    """
    header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        raise EOFError
    content = stream.read(length_of(header))
    return pickle.loads(content)
