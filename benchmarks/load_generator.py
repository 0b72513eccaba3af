"""Clients of a server, in a process of their own: they ask, wait for the answer, and ask again.

HTTP is written by hand here, and answers are not parsed, so that the clients take as little as they can of
the cores that the server needs. It asks an address of this machine alone.

    python benchmarks/load_generator.py --url http://127.0.0.1:8080/embed --texts texts.json --clients 32
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(kw_only=True)
class Seen:
    """What clients have seen.

    Attributes:
        seconds: Of each request, those of the warm-up left out.
        indices: The texts of these requests.
        statuses: How many answers had each status.
        begin: When the first of them was asked.
        end: When the last was answered.
    """

    seconds: list[float] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    begin: float = 0.0
    end: float = 0.0


class Client:
    """One connection, used again and again."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname not in _LOCAL:
            raise SystemExit(f"{parts.hostname} is not this machine, and nothing else is asked.")
        self._host, self._port, self._path = parts.hostname, parts.port or 80, parts.path or "/"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes) -> int:
        """Post a body, read the whole answer; gives its status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
        reader, writer = self._streams
        head = (
            f"POST {self._path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        head_lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(line[15:]) for line in head_lines if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        return int(head_lines[0].split()[1])

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


async def closed_loop(
    url: str, bodies: Sequence[bytes], clients: int, warm_up_s: float, seconds: float
) -> Seen:
    """So many clients, each of which asks again as soon as it has its answer."""
    seen, order = Seen(), _order(len(bodies))
    begin = time.perf_counter() + warm_up_s
    end = begin + seconds

    async def work() -> None:
        client = Client(url)
        while time.perf_counter() < end:
            await _ask(client, bodies, order, seen, begin)
        client.close()

    await asyncio.gather(*(work() for _ in range(clients)))
    seen.begin = begin
    return seen


async def open_loop(url: str, bodies: Sequence[bytes], rate: float, warm_up_s: float, seconds: float) -> Seen:
    """Requests that come by chance, so many a second on average, whether others are answered or not.

    A request's time counts from the moment at which it should have been sent.
    """
    seen, order, chance = Seen(), _order(len(bodies)), random.Random(0)
    begin = time.perf_counter() + warm_up_s
    idle: list[Client] = []

    async def one(due: float) -> None:
        client = idle.pop() if idle else Client(url)
        await _ask(client, bodies, order, seen, begin, due)
        idle.append(client)

    tasks, due = [], time.perf_counter()
    while due < begin + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.ensure_future(one(due)))
        due += chance.expovariate(rate)
    await asyncio.gather(*tasks)
    for client in idle:
        client.close()
    seen.begin = begin
    return seen


def _order(num_texts: int) -> Iterator[int]:
    """All texts in turn, so that no two of a kind are on their way: equal ones would be computed once."""
    order = list(range(num_texts))
    random.Random(0).shuffle(order)
    return itertools.cycle(order)


async def _ask(
    client: Client, bodies: Sequence[bytes], order: Iterator[int], seen: Seen, begin: float, due: float = 0.0
) -> None:
    index = next(order)
    asked = due or time.perf_counter()
    status = await client.ask(bodies[index])
    now = time.perf_counter()
    seen.statuses[status] = seen.statuses.get(status, 0) + 1
    if asked >= begin:
        seen.seconds.append(now - asked)
        seen.indices.append(index)
        seen.end = now


def summary(seen: Seen, lengths: Sequence[int]) -> dict[str, Any]:
    """Rates and latencies.

    Args:
        seen: What clients have seen.
        lengths: Tokens of each text.
    """
    took = sorted(seen.seconds)
    passed = seen.end - seen.begin
    return {
        "requests": len(took),
        "statuses": seen.statuses,
        "texts_per_s": len(took) / passed,
        "tokens_per_s": sum(lengths[index] for index in seen.indices) / passed,
        **{f"p{q}_ms": 1000 * took[min(len(took) - 1, int(len(took) * q / 100))] for q in (50, 90, 99)},
    }


def main() -> None:
    """Ask, and print what was seen as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--texts", type=Path, required=True, help='JSON: {"texts": [...], "lengths": [...]}')
    parser.add_argument("--field", default="inputs", help="name of the field that holds a text")
    parser.add_argument("--clients", type=int, help="closed loop with so many clients")
    parser.add_argument("--rate", type=float, help="open loop with so many requests a second")
    parser.add_argument("--warm-up-s", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    given = json.loads(options.texts.read_text(encoding="utf-8"))
    bodies = [json.dumps({options.field: text}).encode() for text in given["texts"]]
    times = (options.warm_up_s, options.seconds)
    if options.rate is not None:
        seen = asyncio.run(open_loop(options.url, bodies, options.rate, *times))
    else:
        seen = asyncio.run(closed_loop(options.url, bodies, options.clients or 1, *times))
    json.dump(summary(seen, given["lengths"]), sys.stdout)


if __name__ == "__main__":
    main()
