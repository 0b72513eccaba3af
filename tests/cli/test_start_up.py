"""What a command waits for before it begins: no package that it does not use."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bertblocks.cli.loading import loading

# Each takes from a tenth of a second to several seconds to import.
UNUSED = (
    "huggingface_hub",
    "matplotlib",
    "openpyxl",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "sympy",
    "torch._dynamo",
    "torch._inductor",
    "transformers",
)
CODE = """
import sys
from bertblocks.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print([name for name in {unused!r} if name in sys.modules], "torch" in sys.modules)
"""


@pytest.fixture
def imported(tmp_path):
    """Runs a command in a process of its own; gives which unused packages it imported."""

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-c", CODE.format(unused=UNUSED), *map(str, arguments)],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    return run


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("text,n\ngood film,1\nawful,2\n", encoding="utf-8")
    return path


def test_one_text(imported, model):
    assert imported("predict", model, "--text", "good film") == "[] True"


def test_a_table(imported, model, table):
    assert imported("predict", model, table, "--output", "out.csv") == "[] True"


def test_vectors(imported, encoder, table):
    assert imported("embed", encoder, table, "--text", "text", "--output", "out.npy") == "[] True"


def test_the_collector_rests_while_something_is_loaded():
    assert gc.isenabled()
    with loading():
        assert not gc.isenabled()
        with loading():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="broken"), loading():
        raise ValueError("broken")
    assert gc.isenabled()
