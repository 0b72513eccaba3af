"""What the README shows and what `examples/` holds runs as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bertblocks
from bertblocks.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = ["a quiet clean room", "loud and dirty", "lovely place", "never again"] * 5
RATINGS = ["good", "bad", "good", "bad"] * 5


def commands() -> list[str]:
    # serve does not end by itself; it has tests of its own.
    lines = re.findall(r"^ {4}(bertblocks (?!quickstart|serve).*)$", README, flags=re.MULTILINE)
    assert len(lines) == 6, lines
    return lines


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch, capsys):
    rows = [f"{text},{rating},en\n" for text, rating in zip(TEXTS, RATINGS, strict=True)]
    for name in ("reviews.csv", "new-reviews.csv"):
        (tmp_path / name).write_text("review,rating,language\n" + "".join(rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for command in commands():
        if " compare " in command:
            shutil.copytree("my-model", "older-model")
        # Small and quick: what is under test are the words of the README, not the training.
        quick = ["--epochs", "1", "--freeze-encoder"] if " train " in command else []
        monkeypatch.setattr(sys, "argv", [*shlex.split(command), *quick])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0, (command, capsys.readouterr().err)
    answers = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()
    assert len(answers) == len(TEXTS) + 1
    assert answers[0].startswith("review,rating,language,prediction,probability:bad")


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"texts": TEXTS, "labels": RATINGS}
    code = blocks[0].replace("bb.TextClassifier()", "bb.TextClassifier(freeze_encoder=True, epochs=1)")
    assert code != blocks[0]
    exec(code + blocks[1], names)
    assert set(names["model"].predict(TEXTS)) <= {"good", "bad"}
    assert names["vectors"].shape == (20, 384) and np.isfinite(names["vectors"]).all()
    assert names["module"].head[-1].out_features == 7


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(path, tmp_path):
    done = subprocess.run(
        [sys.executable, str(path), "--rows", "60"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") >= 5


def test_the_documents_name_files_that_exist():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)
        for path in re.findall(r"`((?:scripts|benchmarks|docs|examples|src)/[\w/.-]+)`", text):
            assert (ROOT / path).exists(), (page.name, path)


def test_the_version_is_one():
    assert f"## {bertblocks.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
