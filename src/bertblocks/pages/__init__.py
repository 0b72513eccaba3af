"""Pages that are one file: no network, no server, and no script but the one that a page was made with.

What a user wrote (texts, labels, names of columns) goes through `escape` where it stands in HTML, and through
`data_script` where a script reads it. The policy in the head of every page refuses all other scripts and
every request, should anything slip through all the same.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["data_script", "document", "escape", "look"]

# What HTML cannot hold, or UTF-8 cannot: control characters and halves of surrogate pairs.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def document(
    title: str, body: str, *, script: str = "", style: str = "", language: str = "en", wide: bool = False
) -> str:
    """Make a whole page, in the common look.

    Args:
        title: Plain text; it is escaped here.
        body: HTML of what the page shows, its h1 included. The caller has escaped what users wrote.
            Attributes style="..." work. Scripts and handlers (onclick="...") in it do not run; what
            data_script gives holds data, and can be read.
        script: JavaScript, run when the body has been read. The only one that the page's policy lets run.
        style: CSS, after the common look.
        language: Language of the page's own words, as HTML's lang attribute takes it.
        wide: Whether the page may be as wide as the window, and not about 60 rem.

    Returns:
        The page, in characters that UTF-8 can write.

    Raises:
        ValueError: If script or style would end their own element.
    """
    _check_stays_inside("script", script)
    _check_stays_inside("style", style)
    # A browser hashes what it reads, and it reads every end of a line as \n.
    script = _writable(re.sub(r"\r\n?", "\n", script))
    allowed = f"'sha256-{_sha256(script)}'" if script else "'none'"
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = (
        f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Without it a browser asks the server for /favicon.ico.
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{look()}{style}\n</style>"
    )
    main = '<main id="main" style="max-width: none">' if wide else '<main id="main">'
    end = f"\n<script>{script}</script>" if script else ""
    return _writable(
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n{head}\n</head>\n<body>\n'
        f'<a class="skip" href="#main">Skip to the content</a>\n'
        f"{main}\n{body}\n</main>{end}\n</body>\n</html>\n"
    )


def escape(text: object) -> str:
    """Text that is safe between tags and in quoted attributes; what cannot be written becomes U+FFFD."""
    return _writable(html.escape(str(text)))


def data_script(element_id: str, value: Any) -> str:
    """An element that holds data for the page's script: JSON.parse(document.getElementById(id).textContent).

    Args:
        element_id: The element's id.
        value: What JSON can hold, with finite numbers.

    Raises:
        ValueError: If a number is not finite.
    """
    # Without "<" no text can end the element or begin a comment; ASCII keeps lone surrogates as they are.
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(element_id)}">{text}</script>'


@cache
def look() -> str:
    """The style sheet that all pages share."""
    return (files(__name__) / "look.css").read_text(encoding="utf-8")


def _check_stays_inside(name: str, text: str) -> None:
    # "<!--" with "<script" makes an HTML reader overlook the end of a script.
    if found := re.search(rf"</{name}|<!--", text, re.IGNORECASE):
        raise ValueError(f"A page's {name} cannot hold {found[0]!r}: it would change where the {name} ends.")


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
