"""What a server is told at its start: what it serves, where, and how much it takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from bertblocks.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a server takes. Whatever is above a limit is refused with an error that names it.

    Attributes:
        concurrent_requests: Requests that are read or answered at the same time.
        connections: Open connections.
        texts_per_request: Texts, or pairs of texts, of one request.
        text_characters: Characters of a text, of a pair those of both together.
        body_bytes: Bytes of a request's body.
        held_bytes: Bytes of all requests' bodies together, from their arrival to their answer.
        header_bytes: Bytes of a request's first line and headers.
        timeout_s: Seconds from a request's arrival to its answer.
        arrival_s: Seconds in which a request's headers, and then its body, must have come.
        idle_s: Seconds that a connection may be open without a request.
        drain_s: Seconds in which what was accepted is finished when the server is told to stop.
        worker_s: Seconds without a sign of life after which the worker is taken for stuck, and started anew.
        batch_tokens: Tokens of a batch; None is what suits the device.
        max_delay_ms: Milliseconds that a batch may wait for texts that are about to come; a sixteenth of what
            a batch takes, if that is less.

    Raises:
        ConfigError: If one is no number above 0; all problems at once.
    """

    concurrent_requests: int = 512
    connections: int = 1024
    texts_per_request: int = 1024
    text_characters: int = 100_000
    body_bytes: int = 2_000_000
    held_bytes: int = 64_000_000
    header_bytes: int = 16_384
    timeout_s: float = 60.0
    arrival_s: float = 15.0
    idle_s: float = 75.0
    drain_s: float = 30.0
    worker_s: float = 60.0
    batch_tokens: int | None = None
    max_delay_ms: float = 20.0

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ConfigError("The server's limits cannot be used: " + "; ".join(problems) + ".")

    def _problems(self) -> Iterator[str]:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if value is None and field.name == "batch_tokens":
                continue
            is_number = (
                isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            )
            is_whole = isinstance(value, int)
            whole = "float" not in str(field.type)
            # No delay at all is a choice, no time at all is not.
            least = 0 if field.name == "max_delay_ms" else (1 if whole else 0.001)
            if not is_number or (whole and not is_whole) or value < least:
                kind = "a whole number" if whole else "a number"
                yield f"{field.name} is {value!r}, expected {kind} from {least:g}"
        if not any(self._is_wrong(name) for name in ("body_bytes", "held_bytes")) and (
            self.held_bytes < self.body_bytes
        ):
            yield (
                f"held_bytes is {self.held_bytes}, but must have room for one body of body_bytes "
                f"({self.body_bytes})"
            )

    def _is_wrong(self, name: str) -> bool:
        return not isinstance(getattr(self, name), int)


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What to serve, and where.

    Attributes:
        model: A model's folder or zip, or an encoder as load_encoder takes it.
        host: The address to listen at; only this machine reaches a loopback address.
        port: The port; 0 takes any that is free.
        tokens: Whoever asks must have one of them; with none, everybody may.
        precision: Of the encoder's products; "auto" takes int8 where it was measured to be safe.
        device: "cpu", "cuda", "cuda:N" or "auto".
        threads: Threads of the encoder; None is as many as this machine, or its container, has cores.
        allow_origins: Websites whose pages may ask; "*" is all.
        access_log: Whether every request is logged; errors are in any case.
        limits: How much it takes.

    Raises:
        ConfigError: If one cannot be used; all problems at once.
    """

    model: str
    host: str = "127.0.0.1"
    port: int = 8080
    tokens: tuple[str, ...] = ()
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    allow_origins: tuple[str, ...] = ()
    access_log: bool = True
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ConfigError("The server cannot be started so: " + "; ".join(problems) + ".")

    def _problems(self) -> Iterator[str]:
        if not self.host:
            yield "host is empty, expected an address such as 127.0.0.1"
        if not 0 <= self.port <= 65_535:
            yield f"port is {self.port}, expected 0 to 65535"
        if self.threads is not None and not 1 <= self.threads <= 1024:
            yield f"threads is {self.threads}, expected 1 to 1024"
        for origin in self.allow_origins:
            if origin != "*" and not origin.startswith(("http://", "https://")):
                yield f"allow_origin is {origin!r}, expected '*' or an address such as https://example.org"
