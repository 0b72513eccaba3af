from __future__ import annotations

import io
import sys
import time

import pytest
from rich.console import Console

from bertblocks.cli import console, progress
from bertblocks.cli.console import one_line
from bertblocks.cli.progress import Bar, duration
from tiny_tables import class_texts, write_csv


@pytest.fixture
def terminal(monkeypatch):
    """A screen that takes rich's bars."""
    screen = io.StringIO()
    fake = Console(file=screen, force_terminal=True, width=120, markup=False, emoji=False)
    monkeypatch.setattr(progress, "stderr", fake)
    monkeypatch.setattr(console, "stderr", fake)
    return screen


class TestOnATerminal:
    def test_a_known_total_shows_its_share_and_the_time_left(self, terminal):
        with Bar() as bar:
            bar.show("Training, epoch 1", 5, 10, "loss 0.5")
            bar._progress.refresh()
        shown = terminal.getvalue()
        assert "Training, epoch 1" in shown and "50%" in shown and "loss 0.5" in shown and "━" in shown

    def test_an_unknown_total_shows_rows_and_their_rate(self, terminal):
        with Bar() as bar:
            bar.add("Predicting rows", 4096)
            time.sleep(0.01)
            bar.add("Predicting rows", 4096)
            bar._progress.refresh()
        shown = terminal.getvalue()
        assert "8,192" in shown and "rows/s" in shown and "%" not in shown.replace("\x1b[%", "")

    def test_other_work_has_a_bar_of_its_own(self, terminal):
        with Bar() as bar:
            bar.show("Encoding texts", 100, 100)
            bar.show("Training, epoch 1", 1, 400)
            bar.show("Training, epoch 2", 2, 400)
            bar.add("Evaluating", 50)
            assert self.only_task(bar) == ("Evaluating", 50, None)
            bar.add("Evaluating", 30)
            assert self.only_task(bar) == ("Evaluating", 80, None)
            bar.add("Predicting rows", 90)
            assert self.only_task(bar) == ("Predicting rows", 90, None)

    def test_the_rate_is_of_the_rows_since_the_first(self, terminal, monkeypatch):
        now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: now)
        with Bar() as bar:
            now = 150.0
            bar.add("Predicting rows", 4000)
            now = 152.0
            bar.add("Predicting rows", 1000)
            (task,) = bar._progress.tasks
        assert task.fields["detail"] == "500 rows/s"

    @staticmethod
    def only_task(bar):
        (task,) = bar._progress.tasks
        return task.description, task.completed, task.total

    def test_tables_and_sentences_show_what_looks_like_markup(self, monkeypatch):
        screen = io.StringIO()
        for name in ("stdout", "stderr"):
            mine = getattr(console, name)
            monkeypatch.setattr(mine, "_force_terminal", True)
            monkeypatch.setattr(mine, "_file", screen)
        console.print_table("[b]title :cat:", ["[i]head"], [["[red]cell :dog:"]])
        console.say("[red]said :smile:")
        console.complain("[red]wrong \ud800")
        shown = screen.getvalue()
        for word in (
            "[b]title :cat:",
            "[i]head",
            "[red]cell :dog:",
            "[red]said :smile:",
            "[red]wrong \\ud800",
        ):
            assert word in shown


class TestElsewhere:
    def test_nothing_but_a_line_now_and_then(self, capsys, monkeypatch):
        with Bar() as bar:
            bar.show("Encoding texts", 1, 1000)
            assert capsys.readouterr().err == ""
            monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
            time.sleep(0.001)
            bar.show("Encoding texts", 1234, 5000, "")
            bar.show("Training", 1, 2, "loss 0.1")
        assert capsys.readouterr().err == "Encoding texts: 1,234 of 5,000\nTraining: 1 of 2  loss 0.1\n"


def test_durations():
    assert [duration(seconds) for seconds in (0.2, 89, 90, 3600, 5399, 5400, 36_000)] == [
        "0 s",
        "89 s",
        "2 min",
        "60 min",
        "90 min",
        "1.5 h",
        "10.0 h",
    ]


def test_one_line():
    assert one_line("a\tb\r\nc\x1b[2J\u2028é好\x7f") == "a\\tb\\r\\nc\\x1b[2J\\u2028é好\\x7f"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_a_bar_on_a_real_terminal(encoder, tmp_path):
    import os
    import pty

    table = write_csv(tmp_path / "t.csv", dict(zip(("text", "label"), class_texts(60), strict=True)))
    command = [sys.executable, "-m", "bertblocks", "train", str(table), "--text", "text", "--target", "label"]
    command += [
        "--output",
        str(tmp_path / "model"),
        "--encoder",
        str(encoder),
        "--epochs",
        "2",
        "--no-baseline",
    ]
    child, screen = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", COLUMNS="100", OMP_NUM_THREADS="1")
        os.execv(sys.executable, command)
    shown = b""
    while True:
        try:
            part = os.read(screen, 65536)
        except OSError:  # How Linux says that the other end is closed.
            break
        if not part:
            break
        shown += part
    os.close(screen)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown.decode(errors="replace")
    text = shown.decode()
    assert "━" in text and "Training, epoch 2" in text and "loss" in text
    # The cursor, hidden while the bar was there, is back.
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "The model is in" in text
