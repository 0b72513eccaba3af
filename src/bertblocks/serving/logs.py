"""What a server writes down: a line of JSON an event, without texts, tokens and what was asked for."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

LOGGER = logging.getLogger("bertblocks.serving")


class _JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            # asyncio's later lines show a failure in its own words.
            "event": record.getMessage().partition("\n")[0],
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            # The traceback's places without the message, which may hold what somebody sent.
            line["error"] = record.exc_info[0].__name__
            line["at"] = _places(record.exc_info[2])
        return json.dumps(line, ensure_ascii=True, default=str)


def _places(traceback: Any) -> list[str]:
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places[-10:]


def log(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write an event down.

    Args:
        event: What happened, in a word or two.
        level: How much it matters.
        fields: More of it; nothing that a client wrote.
    """
    LOGGER.log(level, event, extra={"fields": fields})


def begin_logging(*, access_log: bool) -> None:
    """Let events go to stderr, those of uvicorn too; requests only if they are wanted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name in ("bertblocks.serving", "uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "bertblocks.serving" else logging.WARNING)
    logging.getLogger("bertblocks.serving.access").setLevel(logging.INFO if access_log else logging.ERROR)
