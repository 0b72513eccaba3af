"""The body of a request: bounded in bytes, in time, and in all that JSON can do to a reader."""

from __future__ import annotations

import json
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request

from bertblocks.serving.load import Load
from bertblocks.serving.problems import Bound, RequestError, invalid, too_large
from bertblocks.serving.settings import Limits

_MOST_DIGITS = 40
_TOO_DEEP = "The body is nested too deeply to be read as JSON."


async def read_body(request: Request, limits: Limits, load: Load) -> bytes:
    """Wait for a request's whole body.

    Raises:
        RequestError: If it is compressed, too large, too slow, or there is no room for it.
        ClientDisconnect: If the client has gone.
    """
    _check_encoding(request)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and len(announced) < 20:
        _check_size(int(announced), limits)
    parts: list[bytes] = []
    num_bytes = 0
    with anyio.move_on_after(limits.arrival_s):
        while True:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            num_bytes += len(part)
            _check_size(num_bytes, limits)
            load.hold(request.scope, len(part))
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)
    raise RequestError(
        408,
        "Timeout",
        f"The body did not come within {limits.arrival_s:g} seconds; {num_bytes:,} bytes of it came.",
        bound=Bound(name="arrival_s", limit=limits.arrival_s),
        close=True,
    )


def parse_json(body: bytes) -> Any:
    """Read JSON, strictly.

    A half of a surrogate pair, which JSON can spell and no encoding can write, stays in the text: the
    tokenizer takes it for an unknown character.

    Raises:
        RequestError: If it is empty, no UTF-8, no JSON, nested too deeply, or has NaN, infinity or a number
            of more than 40 digits.
    """
    if not body.strip():
        raise invalid("The body is empty: expected JSON.")
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_int=_whole_number)
    except RecursionError as error:
        raise invalid(_TOO_DEEP) from error
    except UnicodeDecodeError as error:
        raise invalid(f"The body is not UTF-8: byte {error.start:,} cannot be read.") from error
    except json.JSONDecodeError as error:
        # Its message says what was expected, and never what was there.
        raise invalid(f"The body is not JSON: {error.msg} at character {error.pos:,}.") from error
    except _NotStrictError as error:
        raise invalid(f"The body is not JSON: {error}.") from error


class _NotStrictError(ValueError):
    """What Python's reader takes, and JSON has not."""


def _refuse_constant(name: str) -> None:
    raise _NotStrictError(f"{name} is no number there")


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _NotStrictError(f"a number has {len(digits):,} digits, and may have {_MOST_DIGITS}")
    return int(digits)


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise RequestError(
            415,
            "Validation",
            "The body is compressed, which is not read: send it without a content-encoding.",
        )


def _check_size(num_bytes: int, limits: Limits) -> None:
    if num_bytes > limits.body_bytes:
        raise too_large(
            f"The body has {num_bytes:,} bytes or more, and the limit is {limits.body_bytes:,}: send the "
            "texts in several requests.",
            Bound(name="body_bytes", limit=limits.body_bytes, found=num_bytes),
        )
