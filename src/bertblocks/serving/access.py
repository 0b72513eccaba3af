"""Who may ask: tokens, where they come from, and how a request's token is compared with them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path

from bertblocks.errors import ConfigError

TOKENS_VARIABLE = "BERTBLOCKS_TOKENS"
# A guess of less is soon found; and what is longer than a header may be could never be sent.
_SHORTEST, _LONGEST = 8, 1024
_FILE_LIMIT = 1 << 20


def read_tokens(given: str | None, file: Path | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The tokens of the command line, of a file (one a line) and of the environment (with commas between).

    Args:
        given: One token, or None.
        file: A file with a token a line; blank lines and those that begin with "#" are left out.
        environment: Where BERTBLOCKS_TOKENS is looked up.

    Raises:
        ConfigError: If the file cannot be read or holds none, or a token is too short or cannot be sent in a
            header. The message does not show the token.
    """
    found: list[tuple[str, str]] = []
    if given is not None:
        found.append(("--token", given))
    if file is not None:
        found += _tokens_of_file(file)
    listed = environment.get(TOKENS_VARIABLE, "")
    found += [(TOKENS_VARIABLE, token.strip()) for token in listed.split(",") if token.strip()]
    problems = [f"{origin}: {problem}" for origin, token in found if (problem := _problem(token))]
    if problems:
        raise ConfigError(f"Tokens that cannot be used: {'; '.join(problems)}.")
    return tuple(dict.fromkeys(token for _, token in found))


def _tokens_of_file(file: Path) -> list[tuple[str, str]]:
    try:
        with file.open("rb") as opened:
            content = opened.read(_FILE_LIMIT + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(f"The token file {file} cannot be read: {reason}.") from error
    if len(content) > _FILE_LIMIT:
        raise ConfigError(f"The token file {file} is larger than {_FILE_LIMIT:,} bytes.")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    found = [(f"{file}, line {number}", line) for number, line in lines if line and not line.startswith("#")]
    if not found:
        raise ConfigError(f"The token file {file} holds no token: write one a line.")
    return found


def _problem(token: str) -> str | None:
    if not _SHORTEST <= len(token) <= _LONGEST:
        return f"a token has {len(token)} characters, expected {_SHORTEST} to {_LONGEST}"
    if not all("!" <= character <= "~" for character in token) or ":" in token:
        return "a token has a character that is not plain ASCII, or a colon or a space"
    return None


class Access:
    """Compares the token of a request with those that are good.

    Only their hashes are kept. All of them are compared, in a time that depends on none.

    Args:
        tokens: The good ones; with none everybody has access.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._hashes = [_hash(token) for token in tokens]

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return not self._hashes

    def number_of(self, authorization: str | None) -> int | None:
        """Which of the tokens a request has.

        Args:
            authorization: The header: "Bearer TOKEN", "Basic" with the token as the name of a user, or the
                token alone.

        Returns:
            Its number from 0, also where no token is asked for; None where the request has none that is good.
        """
        if self.is_open:
            return 0
        given = _hash(_token_of(authorization or ""))
        found = None
        for number, known in enumerate(self._hashes):
            if hmac.compare_digest(given, known):
                found = number
        return found


def _token_of(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[0]
        except (binascii.Error, ValueError):
            return ""
    return authorization.strip()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
