"""How the Rust library `tokenizers` is called: in batches of bounded memory, and safely around `fork`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer as RustTokenizer

# The library keeps about 100 bytes a token until a batch is done: these bound it to some hundred megabytes.
_BATCH_TEXTS = 4096
_BATCH_CHARACTERS = 2_000_000
_PARALLELISM = "TOKENIZERS_PARALLELISM"


def encode_texts(tokenizer: RustTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Encode texts in parallel, without special tokens, offsets or truncation."""
    return [
        encoding.ids
        for batch in _batches(texts)
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False)
    ]


def is_failure(error: BaseException) -> bool:
    """Whether the library failed: it raises Exception itself, or, where it panics, one that is none."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = num_characters = 0
    for end, text in enumerate(texts):
        num_characters += len(text)
        if end - start == _BATCH_TEXTS or (num_characters > _BATCH_CHARACTERS and end > start):
            yield texts[start:end]
            start, num_characters = end, len(text)
    if start < len(texts):
        yield texts[start:]


class _ForkGuard:
    """Makes a forked child tokenize serially.

    The library's threads do not survive a fork. A child that uses them hangs, which happens where the
    environment demands parallelism; where it says nothing, some releases print a warning. So it says "false"
    while a fork happens, and the parent's own setting is put back at once. The lock keeps two forking threads
    from saving each other's temporary setting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._setting: str | None = None

    def before(self) -> None:
        self._lock.acquire()
        self._setting = os.environ.get(_PARALLELISM)
        os.environ[_PARALLELISM] = "false"

    def after_in_parent(self) -> None:
        if self._setting is None:
            os.environ.pop(_PARALLELISM, None)
        else:
            os.environ[_PARALLELISM] = self._setting
        self._lock.release()

    def after_in_child(self) -> None:
        self._lock = threading.Lock()


def _guard_forks() -> None:
    guard = _ForkGuard()
    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(
            before=guard.before, after_in_parent=guard.after_in_parent, after_in_child=guard.after_in_child
        )


_guard_forks()
