"""Text files in any encoding, read so that one wrong byte does not end the reading.

A byte that the encoding does not know becomes the lone surrogate U+DC00 + byte, which no correct text
holds. Whoever uses a cell asks `first_unreadable`, and can name row and column; cells that nobody reads may
hold what they like.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO, cast

from bertblocks.data.locations import Location, open_binary
from bertblocks.errors import ConfigError, DataError

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = 0xDC00
_ERRORS = "bertblocks.escape"

# What a file begins with that is not the text its ending says.
_SIGNATURES = {
    b"\xff\xfe": "is UTF-16 text: read it with --encoding utf-16",
    b"\xfe\xff": "is UTF-16 text: read it with --encoding utf-16",
    b"PAR1": "is a Parquet file: rename it to end with .parquet",
    b"PK\x03\x04": "is a zip archive, perhaps an Excel sheet: rename it to end with .xlsx, or unpack it",
    b"\xd0\xcf\x11\xe0": "is an old Excel file: save it as .xlsx",
    b"\x1f\x8b": "is compressed with gzip: rename it to end with .gz",
}


def _escape_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    undecoded = error.object[error.start : error.end]
    return "".join(chr(_ESCAPE + byte) for byte in undecoded), error.end


codecs.register_error(_ERRORS, _escape_bytes)


def is_utf8(encoding: str) -> bool:
    """Whether this is a name of UTF-8.

    Raises:
        ConfigError: If no text encoding has this name.
    """
    try:
        info = codecs.lookup(encoding)
        "".encode(encoding)
    except (LookupError, ValueError):
        raise ConfigError(
            f"There is no text encoding {encoding!r}. Well-known ones: utf-8, cp1252 (Western Windows), "
            "latin-1, utf-16, cp1251 (Cyrillic), shift_jis, euc_kr, gb18030, big5."
        ) from None
    return info.name in ("utf-8", "utf-8-sig")


@contextmanager
def open_text(path: Location, encoding: str, *, newline: str) -> Iterator[TextIO]:
    """Open a text file, plain or .gz, for reading; bytes that cannot be decoded become lone surrogates.

    Args:
        path: The file.
        encoding: Any that Python knows; a byte order mark is dropped.
        newline: As for `open`: "" ends lines at any line end, a line feed only there.

    Raises:
        DataError: If the file is something else than its ending says, cannot be opened, or breaks off.
        ConfigError: If the encoding is unknown.
    """
    name = "utf-8-sig" if is_utf8(encoding) else encoding
    try:
        _check_signature(path, encoding)
        with (
            _unpacked(path) as binary,
            io.TextIOWrapper(binary, encoding=name, errors=_ERRORS, newline=newline) as file,
        ):
            # utf-8-sig and utf-16 drop the mark themselves, utf-16-le and others do not.
            if file.read(1) != "\ufeff":
                file.seek(0)
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


@contextmanager
def _unpacked(path: Location) -> Iterator[BinaryIO]:
    with open_binary(path) as file:
        if not path.name.lower().endswith(".gz"):
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast("BinaryIO", unpacked)


def _check_signature(path: Location, encoding: str) -> None:
    with _unpacked(path) as file:
        start = file.read(4)
    for signature, advice in _SIGNATURES.items():
        if start.startswith(signature) and not ("utf-16" in advice and not is_utf8(encoding)):
            raise DataError(f"{path} {advice}.")
    if b"\x00" in start and is_utf8(encoding):
        likely = "utf-16-be" if start[0] == 0 else "utf-16-le"
        raise DataError(f"{path} begins with zero bytes, so it is not UTF-8: try --encoding {likely}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """Why a text could not be decoded.

    Attributes:
        message: What is wrong with it, without a full stop.
        hint: What may mend the whole file, a sentence; "" where nothing is known.
    """

    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}".rstrip()


def first_unreadable(values: Sequence[Any], *, encoding: str) -> Unreadable | None:
    """Say what is wrong with the first text that could not be decoded; None if all are well.

    Args:
        values: Cells; anything but strings, and lists of strings, is passed over.
        encoding: The encoding in which the file was read, for the message.
    """
    texts = [
        text
        for value in values
        for text in (value if isinstance(value, list) else (value,))
        if isinstance(text, str)
    ]
    try:
        # One pass in C over the whole column; texts are searched only if it fails.
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        # The joining of two lone halves does not make a character in Python, so one text holds the fault.
        return next(found for text in texts if (found := unreadable(text, encoding=encoding)))
    return None


def unreadable(text: str, *, encoding: str) -> Unreadable | None:
    """Say which byte of a text could not be decoded, with a hint; None if all could."""
    match = _SURROGATE.search(text)
    if match is None:
        return None
    code, utf8 = ord(match.group()), is_utf8(encoding)
    near = _shown(text[max(0, match.start() - 15) : match.start() + 15])
    # A byte below 0x80 is never wrong in UTF-8: such a surrogate was written as one, as JSON's "\\ud83d" is.
    if not (_ESCAPE + 0x80 if utf8 else _ESCAPE) <= code <= _ESCAPE + 0xFF:
        return Unreadable(message=f"{near} holds half a character (the lone surrogate U+{code:04X})")
    hint = (
        "If the file is in another encoding, often cp1252, say so with --encoding cp1252."
        if utf8
        else "Is this the file's encoding?"
    )
    name = "UTF-8" if utf8 else encoding
    return Unreadable(message=f"byte 0x{code - _ESCAPE:02x} in {near} is not {name}", hint=hint)


def _shown(text: str) -> str:
    def escaped(match: re.Match[str]) -> str:
        code = ord(match.group())
        return f"\\x{code - _ESCAPE:02x}" if _ESCAPE <= code <= _ESCAPE + 0xFF else f"\\u{code:04x}"

    escaped_text = _SURROGATE.sub(escaped, text)
    return "'" + escaped_text.replace("\n", "\\n").replace("\r", "\\r").replace("\x00", "\\x00") + "'"
