"""The page, in a real browser."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import pytest
from browser import CHROMIUM, Browser
from running_server import RunningServer

from bertblocks.serving.page.card import read_card, read_scores

TOKEN = "a-token-of-the-tests"
INJECTION = "<img src=x onerror=alert(1)><script>alert(2)</script>"
CARD = f"""---
license: apache-2.0
---
# Films

Reads *reviews*. {INJECTION} [a link](javascript:alert(3)) ![a picture](https://elsewhere.example/x.png)

| language | score |
|---|---|
| English | 0.9 |
"""
METRICS = {
    "task": "classification",
    "primary_metric": "accuracy",
    "rows": 1234,
    "metrics": {"accuracy": 0.91234, "macro_f1": 0.9, "nothing": None},
    "group_by": "language",
    "groups": [
        {"group": "sw", "rows": 30, "metrics": {"accuracy": 0.7}},
        {"group": f"en {INJECTION}", "rows": 900, "metrics": {"accuracy": 0.95}},
        {"group": "am", "rows": 1, "metrics": {"accuracy": None}},
    ],
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium), which is not installed")
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def carded(folder, tmp_path_factory):
    """A server that asks for a token, of a model with a card and scores."""
    path = tmp_path_factory.mktemp("carded") / "films"
    shutil.copytree(folder("classes"), path)
    (path / "README.md").write_text(CARD, encoding="utf-8")
    (path / "metrics.json").write_text(json.dumps(METRICS), encoding="utf-8")
    with RunningServer(path, environment={"BERTBLOCKS_TOKENS": TOKEN}) as server:
        yield server


def text_of(browser, element):
    return browser.run(f"document.getElementById('{element}').innerText")


def set_value(browser, element, value):
    browser.run(f"document.getElementById('{element}').value = {json.dumps(value)}")


def only_this_server(browser, server):
    return all(url.startswith((server.url, "data:", "blob:")) for url in browser.requests)


def test_a_text_is_asked_about_with_the_keyboard_alone(browser, classifier):
    browser.look(width=1100)
    browser.go(classifier.url)
    browser.wait_for("!document.getElementById('content').hidden")
    assert "topic" in text_of(browser, "summary")
    assert not browser.run("document.getElementById('columns').checkVisibility()")
    # Skip link, then the text.
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.className") == "skip"
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.id") == "text"
    browser.type("The film was very good!")
    browser.press("Enter", 13, control=True)
    browser.wait_for("document.querySelector('#answer .answer') !== null")
    answer = text_of(browser, "answer")
    assert "The text has 8 tokens." in answer and "%" in answer
    shares = browser.run(
        "[...document.querySelectorAll('#answer tbody tr')].map(row => row.cells[1].innerText)"
    )
    assert len(shares) == 3 and shares == sorted(shares, key=lambda share: -float(share.split()[0]))
    assert browser.problems == [] and only_this_server(browser, classifier)


def test_what_was_cut_is_told(browser, classifier):
    browser.go(classifier.url)
    browser.wait_for("!document.getElementById('content').hidden")
    set_value(browser, "text", "good 😀 " * 100)
    browser.run("document.getElementById('ask').requestSubmit()")
    browser.wait_for("document.querySelector('#answer .answer') !== null")
    answer = text_of(browser, "answer")
    assert "202 tokens" in answer and "reads 32" in answer and "unknown" in answer
    assert browser.problems == []


def test_what_users_write_is_text(browser, classifier):
    browser.go(classifier.url)
    browser.wait_for("!document.getElementById('content').hidden")
    set_value(
        browser,
        "pasted",
        f'text,other\r\n"{INJECTION}",1\r\n"a ""quoted"", text\nof two lines",2\r\n  ,3\r\n',
    )
    browser.run("document.getElementById('pasted').dispatchEvent(new Event('change'))")
    browser.wait_for("!document.getElementById('columns').hidden")
    assert "3 rows are ready" in text_of(browser, "progress")
    browser.run("document.getElementById('run').click()")
    browser.wait_for("!document.getElementById('download').hidden")
    rows = browser.run("[...document.querySelectorAll('#rows tbody tr')].map(row => row.innerText)")
    assert INJECTION in rows[0] and 'a "quoted", text' in rows[1] and "blank" in rows[2]
    assert browser.run("document.images.length") == 0 and browser.problems == []


def test_a_table_is_downloaded_with_its_answers(browser, classifier):
    browser.go(classifier.url)
    browser.wait_for("!document.getElementById('content').hidden")
    lines = "\n".join(f"{number}\tgood film {number}" for number in range(150))
    browser.run(
        "window.saved = null; URL.createObjectURL = (blob) => { window.saved = blob; return 'blob:x'; };"
    )
    browser.run(f"take({json.dumps('id' + chr(9) + 'text' + chr(10) + lines)}, 'films.tsv')")
    assert browser.run("document.getElementById('column').selectedOptions[0].innerText") == "text"
    browser.run("document.getElementById('run').click()")
    browser.wait_for("!document.getElementById('download').hidden")
    content = browser.run("window.saved.text()").splitlines()
    assert content[0].lstrip("\ufeff") == (
        "id,text,prediction,probability:bad,probability:colour,probability:good,num_tokens,truncated,error"
    )
    assert len(content) == 151 and content[150].startswith("149,good film 149,")
    assert browser.run("document.getElementById('download').download") == "films-answers.csv"
    assert "150 of 150" in text_of(browser, "progress") and browser.problems == []


def test_tables_that_are_none(browser, classifier):
    browser.go(classifier.url)
    browser.wait_for("!document.getElementById('content').hidden")
    for content, told in (("text", "a row"), ('a,b\n"never closed,1', "never closed"), ("", "a row")):
        browser.run(f"take({json.dumps(content)}, 'x.csv')")
        assert told in text_of(browser, "trouble")
        assert browser.run("document.getElementById('trouble').getAttribute('role')") == "alert"


def test_an_encoder_compares(browser, embedder):
    browser.go(embedder.url)
    browser.wait_for("!document.getElementById('content').hidden")
    assert not browser.run("document.getElementById('table-section').checkVisibility()")
    set_value(browser, "text", "a good film")
    set_value(browser, "second", "awful food\n\na good film\n")
    browser.run("document.getElementById('ask').requestSubmit()")
    browser.wait_for("document.querySelector('#answer tbody') !== null")
    rows = browser.run(
        "[...document.querySelectorAll('#answer tbody tr')].map(row => row.cells[0].innerText)"
    )
    assert rows == ["a good film", "awful food"]
    assert browser.problems == [] and only_this_server(browser, embedder)


def test_a_token_is_asked_for_and_kept_for_the_tab(browser, carded):
    browser.go(carded.url)
    browser.wait_for("!document.getElementById('token-form').hidden")
    assert browser.run("document.activeElement.id") == "token"
    assert "topic" not in browser.run("document.documentElement.outerHTML")
    browser.type("not-a-good-token")
    browser.press("Enter", 13, text="\r")
    browser.wait_for("document.getElementById('trouble').innerText.includes('not good')")
    browser.type(TOKEN)
    browser.press("Enter", 13, text="\r")
    browser.wait_for("!document.getElementById('content').hidden")
    browser.go(carded.url)
    browser.wait_for("!document.getElementById('content').hidden")
    assert TOKEN not in browser.run("document.documentElement.outerHTML")
    assert "Authorization: Bearer $TOKEN" in text_of(browser, "curl")


def test_the_card_and_the_scores_are_shown(browser, carded):
    browser.go(carded.url)
    browser.run(f"sessionStorage.setItem('bertblocks-token', '{TOKEN}'); begin()")
    browser.wait_for("document.querySelector('#scores table') !== null")
    card, scores = text_of(browser, "card"), text_of(browser, "scores")
    assert "Films" in card and INJECTION in card and "English" in card and "license" not in card
    assert (
        browser.run("document.querySelectorAll('#card script, #card img, #card a[href^=javascript]').length")
        == 0
    )
    assert "1,234 rows" in scores and "accuracy 0.912" in scores and INJECTION in scores
    assert [line[:2] for line in scores.splitlines()[-3:]] == ["am", "en", "sw"]
    assert [problem for problem in browser.problems if "401" not in problem] == []
    assert only_this_server(browser, carded)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1100])
def test_it_fits_phones_and_both_themes(browser, classifier, tmp_path, width, dark):
    browser.look(width=width, dark=dark)
    browser.go(classifier.url)
    browser.wait_for("!document.getElementById('content').hidden")
    set_value(browser, "text", "The film was very good!")
    browser.run("document.getElementById('ask').requestSubmit()")
    browser.wait_for("document.querySelector('#answer .answer') !== null")
    assert browser.run("document.documentElement.scrollWidth") <= width
    colours = browser.run(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    light, back = (sum(map(int, colour[4:-1].split(",")[:3])) for colour in colours)
    assert (light > back) is dark
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_screen_reader_can_tell_everything(browser, classifier):
    browser.look(width=1100)
    browser.go(classifier.url)
    browser.wait_for("!document.getElementById('content').hidden")
    named = browser.accessible_names()
    for role in ("button", "textbox", "combobox", "link", "heading", "region"):
        names = [name for found, name in named if found == role]
        assert all(names), (role, names)
    assert ("textbox", "Text") in named and ("button", "Ask") in named
    levels = browser.run(
        "[...document.querySelectorAll('h1,h2,h3')].filter(h => h.checkVisibility()).map(h => +h.tagName[1])"
    )
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert browser.run("document.documentElement.lang") == "en"


def test_the_headers_of_the_page(classifier):
    reply = classifier.get("/", headers={"accept": "text/html"})
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "http" not in reply.text.replace("http-equiv", "").replace("http://", "", 0).split("<script>")[0]


def test_without_a_token_browsers_get_the_page_and_programs_an_error(local):
    server = local("classes", tokens=("a-good-token",))
    page = server.get("/", headers={"accept": "text/html,*/*"})
    assert page.status_code == 401 and page.text.startswith("<!DOCTYPE html>") and "topic" not in page.text
    error = server.get("/", headers={"accept": "*/*"})
    assert error.status_code == 401 and error.json()["error_type"] == "Access"


def test_cards_and_scores_that_are_none(tmp_path):
    assert read_card(tmp_path) is None and read_scores(tmp_path) is None
    (tmp_path / "README.md").write_bytes(b"\xff\xfe \x00 <b>bold</b>")
    assert "<b>" not in str(read_card(tmp_path))
    for content in ("", "[]", "{}", "null", "5", '{"primary_metric": []}', "[" * 100_000, "\x00"):
        (tmp_path / "metrics.json").write_text(content, encoding="utf-8")
        assert read_scores(tmp_path) is None
    (tmp_path / "README.md").write_bytes(b"x" * (2 << 20))
    assert read_card(tmp_path) is None
    (tmp_path / "README.md").unlink()
    (tmp_path / "README.md").mkdir()
    assert read_card(tmp_path) is None
