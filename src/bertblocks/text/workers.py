"""Tokenizing in processes of its own: what a GPU needs, which is faster than one process tokenizes.

A worker is not a child of `multiprocessing`: that imports the caller's main module again, where a script
without `if __name__ == "__main__"` would begin anew. It imports no torch, and ends when its parent does.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from queue import SimpleQueue
from typing import Any, BinaryIO, cast

import numpy as np

from bertblocks.errors import BertBlocksError, ConfigError
from bertblocks.text.tokenizer import Encoded, Tokenizer

# A worker tokenizes so many texts in some 50 ms, which is long beside what handing them over takes.
_PART_ROWS = 512
# Fewer are tokenized at once, where they are: the first answer of a worker takes half a second.
_MIN_ROWS = 2048
_MOST_WORKERS = 8
# The parent's path first, without which bertblocks may not be found.
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from bertblocks.text.workers import serve; serve()"
)


def usual_num_workers(device_type: str) -> int:
    """How many workers suit a device: none on a CPU, whose cores the encoder needs itself."""
    if device_type != "cuda":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(_MOST_WORKERS, cores - 2))


class TokenizerWorkers:
    """Encodes as a tokenizer does, and many texts in several processes at the same time.

    Its processes begin with the first list that is long enough, and end with the block:

        with TokenizerWorkers(tokenizer, 4) as workers:
            encoded = workers.encode(texts)

    Args:
        tokenizer: Is copied to the workers.
        num_workers: Processes; with 0 the caller's own does all of it.

    Raises:
        ConfigError: If num_workers is no whole number from 0.
    """

    def __init__(self, tokenizer: Tokenizer, num_workers: int) -> None:
        if not isinstance(num_workers, int) or isinstance(num_workers, bool) or num_workers < 0:
            raise ConfigError(f"num_workers is {num_workers!r}, expected a whole number from 0.")
        self._tokenizer = tokenizer
        self._num_workers = num_workers
        self._workers: list[_Worker] = []
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> TokenizerWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Encoded:
        """As Tokenizer.encode, which has the arguments and the errors.

        Raises:
            BertBlocksError: If a worker has ended, or failed otherwise than the tokenizer does.
        """
        columns = [texts] if pairs is None else [texts, pairs]
        if not self._is_worth_it(columns):
            return self._tokenizer.encode(*columns)
        threads = self._started()
        starts = range(0, len(texts), _PART_ROWS)
        parts = [[column[start : start + _PART_ROWS] for column in columns] for start in starts]
        return _joined(list(threads.map(self._encode_part, parts)))

    def close(self) -> None:
        """End the processes, also those that are at work."""
        for worker in self._workers:
            worker.stop()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.wait()
        self._workers, self._threads, self._free = [], None, SimpleQueue()

    def _is_worth_it(self, columns: Sequence[Any]) -> bool:
        """Whether there is enough to do, and nothing wrong that a part would name by another row."""
        if not self._num_workers or not all(isinstance(column, list | tuple) for column in columns):
            return False
        num_rows = len(columns[0])
        return (
            num_rows >= _MIN_ROWS
            and all(len(column) == num_rows for column in columns)
            and all(isinstance(text, str) for column in columns for text in column)
        )

    def _started(self) -> ThreadPoolExecutor:
        if self._threads is None:
            try:
                for _ in range(self._num_workers):
                    self._workers.append(_Worker(self._tokenizer))
                    self._free.put(self._workers[-1])
            except OSError as error:
                self.close()
                raise BertBlocksError(
                    f"A process that tokenizes cannot be started: {error}. Set num_workers=0 to tokenize "
                    "without them."
                ) from error
            self._threads = ThreadPoolExecutor(self._num_workers, "tokenizer")
        return self._threads

    def _encode_part(self, columns: Sequence[Sequence[str]]) -> Encoded:
        """In one of the threads, of which there are as many as workers."""
        worker = self._free.get()
        try:
            return worker.encode(columns)
        finally:
            self._free.put(worker)


class _Worker:
    """The parent's end of a process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._process = subprocess.Popen(
            # Isolated: else modules of the current folder would come before the standard library's.
            [sys.executable, "-I", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The workers are the parallelism.
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )
        self._greeting = pickle.dumps(sys.path) + pickle.dumps(tokenizer)

    def encode(self, columns: Sequence[Sequence[str]]) -> Encoded:
        """Hand texts over and wait for their ids."""
        stdin, stdout = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        try:
            # Sent by the thread that asks first: the tokenizer is larger than a pipe.
            stdin.write(self._greeting + pickle.dumps(columns))
            stdin.flush()
            self._greeting = b""
            error, lengths, encoded = pickle.load(stdout)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError) as failure:
            raise BertBlocksError(
                "A process that tokenizes has ended before its work was done. Set num_workers=0 to tokenize "
                "without them; if that works, memory may be short."
            ) from failure
        if error is not None:
            raise error
        found: Encoded = encoded
        return replace(found, ids=_split(found.ids[0], lengths))

    def stop(self) -> None:
        """Make it end."""
        self._process.kill()

    def wait(self) -> None:
        """Wait until it has ended; nobody uses it any more."""
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            # What was still to be written has no reader.
            with suppress(OSError):
                cast(BinaryIO, pipe).close()


def serve() -> None:
    """The whole life of a worker: texts in, ids out, until the parent is gone."""
    # An interrupt from the keyboard reaches it too; its parent tells it when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    # What anybody prints must not come between the answers.
    sys.stdout = sys.stderr
    try:
        tokenizer: Tokenizer = pickle.load(stdin)
        while True:
            stdout.write(_answer(tokenizer, pickle.load(stdin)))
            stdout.flush()
    except (EOFError, BrokenPipeError):
        # Without the interpreter's own end, which would flush into the broken pipe.
        os._exit(0)


def _answer(tokenizer: Tokenizer, columns: Sequence[Sequence[str]]) -> bytes:
    """An error, or lengths and ids: these in one array, for thousands of small ones are slow to hand over."""
    try:
        encoded = tokenizer.encode(*columns)
    except BertBlocksError as error:
        return pickle.dumps((error, None, None))
    except BaseException as error:  # The library's panics are no Exceptions, and cannot be pickled.
        told = BertBlocksError(f"The tokenizer failed in a process of its own: {error!r:.500}")
        return pickle.dumps((told, None, None))
    lengths = [len(ids) for ids in encoded.ids]
    return pickle.dumps((None, lengths, replace(encoded, ids=[np.concatenate(encoded.ids)])), protocol=5)


def _split(ids: Any, lengths: Sequence[int]) -> list[Any]:
    rows, start = [], 0
    for length in lengths:
        rows.append(ids[start : start + length])
        start += length
    return rows


def _joined(parts: Sequence[Encoded]) -> Encoded:
    """Parts one after another."""
    windows = [part.windows for part in parts if part.windows is not None]
    return Encoded(
        ids=[row for part in parts for row in part.ids],
        num_first=np.concatenate([part.num_first for part in parts]),
        num_tokens=np.concatenate([part.num_tokens for part in parts]),
        truncated=np.concatenate([part.truncated for part in parts]),
        num_unknown=np.concatenate([part.num_unknown for part in parts]),
        windows=tuple(chain.from_iterable(windows)) if windows else None,
    )
