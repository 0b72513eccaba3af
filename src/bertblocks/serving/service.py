"""One request's texts to the engine and back: what all dialects share."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request

from bertblocks.serving.engine import Engine
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.items import Item
from bertblocks.serving.load import Load
from bertblocks.serving.messages import Row
from bertblocks.serving.metrics import Metrics
from bertblocks.serving.problems import Bound, RequestError, invalid
from bertblocks.serving.reading import parse_json, read_body
from bertblocks.serving.rows import Checked
from bertblocks.serving.settings import Limits


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What there is to say about a text.

    Attributes:
        value: As the worker made it.
        num_tokens: Tokens that the text had.
        truncated: Whether it was cut.
        num_unknown: Unknown tokens among those read.
        num_read: Tokens that were read.
    """

    value: Any
    num_tokens: int
    truncated: bool
    num_unknown: int
    num_read: int


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What there is to say about all texts of a request.

    Attributes:
        rows: For each text its answer, or what is wrong with it; at least one is an answer.
        headers: What the reply tells of how they came about.
    """

    rows: list[Answer | RequestError]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def num_tokens(self) -> int:
        """Tokens that were read."""
        return sum(row.num_read for row in self.rows if isinstance(row, Answer))

    def good(self) -> list[Answer]:
        """All answers, where every text must have one.

        Raises:
            RequestError: If one has none; names the first few.
        """
        wrong = [(number, row) for number, row in enumerate(self.rows) if isinstance(row, RequestError)]
        if wrong:
            told = " ".join(f"Text {number}: {problem.message}" for number, problem in wrong[:5])
            more = f" And {len(wrong) - 5:,} more." if len(wrong) > 5 else ""
            raise invalid(told + more, bound=wrong[0][1].bound)
        return [row for row in self.rows if isinstance(row, Answer)]


class Service:
    """What the routes need.

    Args:
        facts: The model.
        limits: How much is taken.
        engine: The queue.
        metrics: Where things are counted.
        load: How much there is to do.
    """

    def __init__(
        self, facts: ModelFacts, limits: Limits, engine: Engine, metrics: Metrics, load: Load
    ) -> None:
        self.facts = facts
        self.limits = limits
        self.engine = engine
        self.metrics = metrics
        self.load = load

    async def body(self, request: Request) -> bytes:
        """The request's whole body; errors as read_body."""
        return await read_body(request, self.limits, self.load)

    async def json(self, request: Request) -> Any:
        """The request's body as JSON.

        Raises:
            RequestError: As read_body and parse_json, or if it says that it is something else.
        """
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        # curl -d says that it sends a form, and people send JSON with it.
        if kind not in ("application/json", "text/plain", "application/x-www-form-urlencoded", "") and (
            not kind.endswith("+json")
        ):
            raise RequestError(415, "Validation", "Expected a body of content-type application/json.")
        return parse_json(await self.body(request))

    async def answer(self, request: Request, checked: Sequence[Checked], *, truncate: bool = True) -> Answers:
        """Ask the model about all texts that can be asked about.

        Args:
            request: Whose texts they are; its body has been read.
            checked: The texts, and what is wrong with others.
            truncate: Whether texts that are too long are cut, and not refused.

        Raises:
            RequestError: If no text has an answer, there is no room for them, the model fails or the time is
                over.
            ClientDisconnect: If the client has gone.
        """
        asked = [row for row in checked if not isinstance(row, RequestError)]
        items: list[Item] = []
        if asked:
            items = await self._computed(request, asked)
        outcomes = iter([self._outcome(item, truncate=truncate) for item in items])
        rows = [row if isinstance(row, RequestError) else next(outcomes) for row in checked]
        good = [row for row in rows if isinstance(row, Answer)]
        if not good:
            raise _none_is_good([row for row in rows if isinstance(row, RequestError)])
        self._count(good, len(rows))
        return Answers(rows=rows, headers=_headers(items, good))

    async def _computed(self, request: Request, asked: Sequence[Any]) -> list[Item]:
        ticket = self.engine.submit(asked, _client(request))
        gone = asyncio.ensure_future(_until_gone(request))
        try:
            passed = asyncio.get_running_loop().time() - request.scope["bertblocks.begin"]
            left_s = max(0.0, self.limits.timeout_s - passed)
            await asyncio.wait((ticket.done, gone), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if ticket.done.done():
                return list(ticket.items)
            if gone.done():
                raise ClientDisconnect
            raise RequestError(
                504,
                "Timeout",
                f"There was no answer within {self.limits.timeout_s:g} seconds: send fewer texts at a time, "
                "or try again when there is less to do.",
                bound=Bound(name="timeout_s", limit=self.limits.timeout_s),
            )
        finally:
            gone.cancel()
            if not ticket.done.done():
                self.engine.cancel(ticket)

    def _outcome(self, item: Item, *, truncate: bool) -> Answer | RequestError:
        if item.error is not None:
            if item.error.status != 422:
                # The server's own failure is no reason to answer half of a request.
                raise item.error
            return item.error
        row = item.row
        assert row is not None, "a text without an error has a row"
        if row.truncated and not truncate:
            limit = self.facts.sequence_length
            return invalid(
                f"The text has {row.num_tokens:,} tokens, and the model reads {limit:,}: shorten it, or set "
                "truncate to true.",
                bound=Bound(name="sequence_length", limit=limit, found=row.num_tokens),
            )
        return Answer(
            value=item.value,
            num_tokens=row.num_tokens,
            truncated=row.truncated,
            num_unknown=row.num_unknown,
            num_read=_num_read(row),
        )

    def _count(self, good: Sequence[Answer], num_rows: int) -> None:
        self.metrics.texts.inc(len(good))
        self.metrics.faulty_texts.inc(num_rows - len(good))
        self.metrics.tokens.inc(sum(answer.num_read for answer in good))
        self.metrics.cut_texts.inc(sum(answer.truncated for answer in good))


async def _until_gone(request: Request) -> None:
    """Wait until the client has left: nothing else can come after the body."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _client(request: Request) -> Hashable:
    """Who takes turns with others: whoever has this token, at this address."""
    address = request.client.host if request.client else ""
    return request.scope.get("bertblocks.token", 0), address


def _num_read(row: Row) -> int:
    return len(row.ids) // 4


def _none_is_good(wrong: Sequence[RequestError]) -> RequestError:
    if len(wrong) == 1:
        return wrong[0]
    first = wrong[0]
    return RequestError(
        first.status,
        first.kind,
        f"None of the {len(wrong):,} texts has an answer. The first: {first.message}",
        bound=first.bound,
    )


def _headers(items: Sequence[Item], good: Sequence[Answer]) -> dict[str, str]:
    """As TEI tells them: tokens, characters and milliseconds, those of the slowest text."""
    return {
        "x-compute-tokens": str(sum(answer.num_read for answer in good)),
        "x-compute-characters": str(sum(len(item.asked.text) for item in items)),
        "x-tokenization-time": _milliseconds(max(item.tokenization_s for item in items)),
        "x-queue-time": _milliseconds(max(item.queue_s for item in items)),
        "x-inference-time": _milliseconds(max(item.inference_s for item in items)),
    }


def _milliseconds(seconds: float) -> str:
    return str(round(1000 * seconds))
