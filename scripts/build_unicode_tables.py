"""Write src/bertblocks/text/_unicode_tables.py: the character tables that tokenization is pinned to.

    python scripts/build_unicode_tables.py

Needs a Python whose unicodedata is version 14.0.0 (Python 3.11): token ids must not change with the
interpreter that happens to run. RUST_DIFFERS is measured on the installed `tokenizers`: every character is
put through its BERT normalizer and pre-tokenizer, and through Google's rules written out plainly here.
"""

from __future__ import annotations

import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import tokenizers
from tokenizers import normalizers, pre_tokenizers

UNICODE_VERSION = "14.0.0"
TARGET = Path(__file__).resolve().parents[1] / "src" / "bertblocks" / "text" / "_unicode_tables.py"
SURROGATES = range(0xD800, 0xE000)
# Google's list of CJK blocks (tokenization.py, _is_chinese_char).
CJK = "4e00-9fff 3400-4dbf 20000-2a6df 2a700-2b73f 2b740-2b81f 2b820-2ceaf f900-faff 2f800-2fa1f"
# A mark of class 224 before and one of class 9 after, neither non-spacing: their order after decomposition
# shows which combining class the library gives to the character between them.
CONTEXTS = (("a", "b"), ("a\u302e", "\u1b44"))

category: Callable[[str], str] = unicodedata.category


def in_cjk(code: int) -> bool:
    """Say whether Google puts spaces around the character."""
    return any(int(a, 16) <= code <= int(b, 16) for a, b in (block.split("-") for block in CJK.split()))


def is_dropped(char: str) -> bool:
    """Say whether Google's clean_text removes the character."""
    return char in "\0\ufffd" or (char not in "\t\n\r" and category(char) in ("Cc", "Cf"))


def is_punctuation(char: str) -> bool:
    """Say whether Google splits at the character: ASCII symbols and Unicode's categories P*."""
    is_ascii_symbol = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return is_ascii_symbol or category(char).startswith("P")


def google_words(text: str, *, lower: bool) -> list[str]:
    """Google's basic tokenization, written plainly."""
    text = "".join(f" {c} " if in_cjk(ord(c)) else c for c in text if not is_dropped(c))
    if lower:
        text = unicodedata.normalize("NFD", text.lower())
        text = "".join(c for c in text if category(c) != "Mn")
    return "".join(f" {c} " if is_punctuation(c) else c for c in text).split()


def is_unassigned(char: str) -> bool:
    """Say whether this version of Unicode has no such character."""
    return category(char) == "Cn"


def library_differs(char: str) -> bool:
    """Say whether the library's BERT normalizer and pre-tokenizer treat the character unlike Google."""
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    for lower in (False, True):
        normalizer = normalizers.BertNormalizer(lowercase=lower)
        for before, after in CONTEXTS:
            text = before + char + after
            words = [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))]
            if words != google_words(text, lower=lower):
                return True
    return False


def as_ranges(codes: Iterable[int]) -> str:
    """Write sorted code points as hexadecimal ranges: `41-5a 61-7a aa`."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in ranges)


def table(name: str, comment: str, ranges: str) -> str:
    """One table as Python source."""
    lines = [f'"{line} "' for line in textwrap.wrap(ranges, 100)]
    value = lines[0] if len(lines) == 1 else "(\n    " + "\n    ".join(lines) + "\n)"
    return f"# {comment}\n{name} = {value}\n"


def source() -> str:
    """The whole module as text."""
    chars = [chr(code) for code in range(sys.maxunicode + 1) if code not in SURROGATES]
    selected = [
        ("DROPPED", "Google's clean_text removes these: NUL, U+FFFD, Cc and Cf.", is_dropped),
        ("PUNCTUATION", "Google splits words at these: ASCII symbols and the categories P*.", is_punctuation),
        ("NONSPACING_MARKS", "Category Mn: the accents that Google strips.", lambda c: category(c) == "Mn"),
        ("COMBINING", "Combining class other than 0.", lambda c: unicodedata.combining(c) != 0),
        ("UNASSIGNED", "No characters yet in this version (category Cn).", is_unassigned),
        ("RUST_DIFFERS", f"Unassigned, or treated unlike Google by tokenizers {tokenizers.__version__}.",
         lambda c: is_unassigned(c) or library_differs(c)),
    ]  # fmt: skip
    tables = [table("CJK", "Google puts spaces around these.", CJK)]
    for name, comment, is_wanted in selected:
        tables.append(table(name, comment, as_ranges(ord(char) for char in chars if is_wanted(char))))
    head = (
        f'"""Character tables of Unicode {UNICODE_VERSION} as hexadecimal ranges.\n\n'
        'Written by scripts/build_unicode_tables.py; not to be edited.\n"""\n\n'
        f'UNICODE_VERSION = "{UNICODE_VERSION}"\n'
    )
    return "\n".join([head, *tables])


def main() -> None:
    """Write the module, or say which Python is needed."""
    if unicodedata.unidata_version != UNICODE_VERSION:
        sys.exit(
            f"needs Unicode {UNICODE_VERSION} (Python 3.11), this Python has {unicodedata.unidata_version}"
        )
    TARGET.write_text(source(), encoding="utf-8", newline="\n")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
