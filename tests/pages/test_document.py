from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from bertblocks.pages import data_script, document, escape, look

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "<!-- <script> -->",
    "]]> &lt; &amp;",
    "lone \ud800 surrogate, NUL \0, bell \x07, not a character \uffff",
    "\u202eright to left\u202c עברית",
]


class Reader(HTMLParser):
    """Collects tags with attributes, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def policy_of(page: str) -> str:
    (policy,) = [
        attributes["content"]
        for tag, attributes in Reader(page).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    return policy


@pytest.mark.parametrize("text", HOSTILE)
def test_what_users_write_stays_text(text):
    body = f"<h1>{escape(text)}</h1>{data_script('data', [text, {text: text}])}"
    page = document(text, body, script="go()")
    page.encode("utf-8")
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags].count("script") == 2
    assert not any(tag == "img" for tag, _ in reader.tags)
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    shown = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\uffff]", "\ufffd", text)
    assert "".join(reader.texts["title"]) == shown
    assert "".join(reader.texts["h1"]) == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_data_comes_back_as_it_was(text):
    element = data_script("data", {"text": text})
    content = element.removeprefix('<script type="application/json" id="data">').removesuffix("</script>")
    assert "<" not in content and content.isascii()
    assert json.loads(content) == {"text": text}


def test_only_the_pages_own_script_may_run():
    script = "console.log('ä')\r\nlet x = 1 < 2"
    page = document("t", "<p>b</p>", script=script)
    written = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(written.encode()).digest()).decode()
    assert "\r" not in written
    assert f"script-src 'sha256-{digest}'" in policy_of(page)
    assert "script-src 'none'" in policy_of(document("t", ""))


def test_nothing_is_loaded():
    page = document("t", "<p>b</p>", script="1", style="p { color: red }")
    assert policy_of(page).startswith("default-src 'none'; ")
    assert not re.search(r"https?:|url\(|@import", page)
    assert '<link rel="icon" href="data:,">' in page


@pytest.mark.parametrize("text", ["</script>", "</SCRIPT >", "<!--", "a </script\n>"])
def test_a_script_that_would_end_itself_is_refused(text):
    with pytest.raises(ValueError, match="cannot hold '<"):
        document("t", "", script=f"x = '{text}'")


def test_a_style_that_would_end_itself_is_refused():
    with pytest.raises(ValueError, match="style cannot hold '</style'"):
        document("t", "", style="p::after { content: '</style>' }")


def test_numbers_that_json_lacks_are_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_script("data", [float("nan")])


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def themes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", look(), re.DOTALL)
    assert len(blocks) == 2
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for name, block in zip(("light", "dark"), blocks, strict=True)
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["background", "surface"])
@pytest.mark.parametrize("name", ["text", "muted", "accent", "good", "bad"])
def test_texts_can_be_read(theme, ground, name):
    colours = themes()[theme]
    assert contrast(colours[name], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["good-fill", "bad-fill"])
def test_fills_can_be_told_from_the_page(theme, name):
    colours = themes()[theme]
    assert contrast(colours[name], colours["background"]) >= 2.5


def test_both_themes_have_the_same_colours():
    light, dark = themes().values()
    assert light.keys() == dark.keys()
