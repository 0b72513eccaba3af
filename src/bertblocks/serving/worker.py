"""The process that computes: texts and batches in, answers out, until the server is gone.

It is no child of `multiprocessing`, which would import the caller's main module again. Its first thread reads
messages; one tokenizes; each lane is a thread that computes alone; and one more, the shared lane, computes
with all threads together what is alone.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, BinaryIO

from bertblocks.errors import BertBlocksError
from bertblocks.serving.messages import (
    SHARED,
    Asked,
    Compute,
    Computed,
    FromWorker,
    Loaded,
    NotLoaded,
    Pong,
    Refusal,
    Start,
    Tokenize,
    Tokenized,
    Want,
    packed,
    read_message,
)

PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from bertblocks.serving.worker import main; main()"
)
"""What the process runs; the server's path first, without which bertblocks may not be found."""

_LOG = logging.getLogger(__name__)

# A lane that has computed needs Python again soon, and does not wait 5 ms for the tokenizer to let go of it.
_SWITCH_S = 0.001


def main() -> None:
    """The whole life of a worker."""
    # Both reach it too when they are sent to the server's whole group; the server tells it when to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What anybody prints, C code included, must not come between the answers.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    with suppress(EOFError, BrokenPipeError):
        _serve(stdin, _Answers(stdout))
    # Without the interpreter's own end: lanes may be at work, and there is nobody to wait for them.
    sys.stderr.flush()
    os._exit(0)


def _serve(stdin: BinaryIO, answers: _Answers) -> None:
    start: Start = read_message(stdin)
    try:
        model = _load(start)
    except BertBlocksError as error:
        answers.send(NotLoaded(str(error), is_callers=True))
        return
    except Exception as error:
        _tell_places("The model could not be loaded", error)
        answers.send(NotLoaded(f"{type(error).__name__}: {error}"[:1000], is_callers=False))
        return
    threads = _Threads(model, answers)
    answers.send(Loaded(model.facts))
    while True:
        message = read_message(stdin)
        if isinstance(message, Compute):
            threads.compute(message)
        elif isinstance(message, Tokenize):
            threads.tokenize(message)
        else:
            answers.send(Pong())


def _load(start: Start) -> Any:
    # Imported here: what torch's threads should be is decided before it is there.
    import torch

    from bertblocks.serving.cores import usable_cores
    from bertblocks.serving.precision_check import load_checked

    torch.set_num_threads(start.threads or min(torch.get_num_threads(), usable_cores()))
    gc.disable()
    model = load_checked(start)
    # A vocabulary is half a million objects, none of them garbage: the collector need not look at them again.
    gc.collect()
    gc.freeze()
    gc.enable()
    sys.setswitchinterval(_SWITCH_S)
    return model


class _Answers:
    """Sends answers, whole ones, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: FromWorker) -> None:
        content = packed(message)
        with self._lock:
            self._stream.write(content)
            self._stream.flush()


class _Threads:
    """The tokenizer's thread and the lanes'."""

    def __init__(self, model: Any, answers: _Answers) -> None:
        import torch

        self._model = model
        self._answers = answers
        num_lanes = model.facts.num_lanes
        self._texts = self._begin("tokenizer", lambda: torch.set_num_threads(1), self._tokenized)
        self._lanes = {
            lane: self._begin(f"lane {lane}", lambda: torch.set_num_threads(1), self._computed)
            for lane in range(num_lanes)
        }
        all_threads = torch.get_num_threads()
        if num_lanes == 1:
            # A GPU's lane, or that of one thread.
            self._lanes = {0: self._begin("lane", lambda: torch.set_num_threads(all_threads), self._computed)}
        self._lanes[SHARED] = self._begin(
            "shared lane", lambda: torch.set_num_threads(all_threads), self._computed
        )
        self._warm_up()

    def tokenize(self, message: Tokenize) -> None:
        self._texts.put(message)

    def compute(self, message: Compute) -> None:
        self._lanes[message.lane].put(message)

    def _begin(
        self, name: str, prepare: Callable[[], None], answer: Callable[[Any], FromWorker]
    ) -> SimpleQueue[Any]:
        jobs: SimpleQueue[Any] = SimpleQueue()

        def work() -> None:
            prepare()
            while True:
                job = jobs.get()
                if callable(job):
                    job()
                    continue
                self._answers.send(answer(job))

        threading.Thread(target=_or_end, args=(work,), name=name, daemon=True).start()
        return jobs

    def _tokenized(self, message: Tokenize) -> Tokenized:
        begin = time.perf_counter()
        rows = self._model.tokenize(message.texts)
        return Tokenized(message.number, rows, time.perf_counter() - begin)

    def _computed(self, message: Compute) -> Computed:
        begin = time.perf_counter()
        try:
            values = self._model.compute(message.wants, message.rows)
        except Exception as error:
            _tell_places("A batch failed", error)
            told = f"The model failed at a batch with this text ({type(error).__name__})."
            failed = Refusal(told, is_texts=False)
            values = [failed] * len(message.rows)
        return Computed(message.number, values, time.perf_counter() - begin)

    def _warm_up(self) -> None:
        """Compute a text in every lane: the first of a size checks its kernels, which takes a moment."""
        want: Want = "vector" if self._model.facts.gives_vectors else "predict"
        asked = Asked(want, "a", "a" if self._model.facts.takes_pairs else None)
        rows = self._model.tokenize([asked])
        for jobs in self._lanes.values():
            done = threading.Event()

            def compute(done: threading.Event = done) -> None:
                self._model.compute([asked], rows)
                done.set()

            jobs.put(compute)
            done.wait()


def _or_end(work: Callable[[], None]) -> None:
    """Work for ever. A thread that failed would be missed by nobody: then the whole process ends."""
    try:
        work()
    except (BrokenPipeError, EOFError):
        os._exit(0)
    except BaseException as error:
        _tell_places("The worker failed", error)
        os._exit(1)


def _tell_places(what: str, error: BaseException) -> None:
    """Write down where something failed; not in the error's own words, which may hold a text."""
    places = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("%s with %s at\n%s", what, type(error).__name__, places)


def greeting(start: Start) -> bytes:
    """What a worker is sent first."""
    return pickle.dumps(sys.path) + packed(start)
