"""A folder of Google's that attacks or is damaged: refused with the reason wherever it is read."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest
from foreign import Attack, append, cut, edit_json, link, pipe, sparse, write

from bertblocks.assembly.conversion import convert
from bertblocks.checkpoints import encoder_files, read_checkpoint
from bertblocks.errors import CheckpointError
from bertblocks.inference import load_encoder

CONFIG, INDEX = "bert_config.json", "bert_model.ckpt.index"
DATA = "bert_model.ckpt.data-00000-of-00001"

ATTACKS: dict[str, tuple[Attack, str]] = {
    "data is a link out of the folder": (link(DATA, "/etc/passwd"), "symbolic link out of its folder"),
    "data is a link to nothing": (link(DATA, "absent"), "symbolic link to absent, which is missing"),
    "data is a pipe": (pipe(DATA), f"{DATA} is a named pipe, expected a regular file"),
    "data is a device": (link(DATA, "/dev/zero"), f"{DATA} is a device, expected a regular file"),
    "data is empty": (write(DATA, b""), "has 0 bytes, but the index needs"),
    "data is a pointer": (write(DATA, b"version https://git-lfs"), "has 23 bytes, but the index needs"),
    "data is cut": (cut(DATA, 0.9), "bytes, but the index needs"),
    "data is zeros": (sparse(DATA, 1 << 20), "does not have the checksum"),
    "index is a link out of the folder": (link(INDEX, "/etc/passwd"), "symbolic link out of its folder"),
    "index is a pipe": (pipe(INDEX), f"{INDEX} is a named pipe"),
    "index is cut": (cut(INDEX, 0.5), INDEX),
    "index goes on": (append(INDEX, struct.pack("<Q", 7)), INDEX),
    "index is of 1 GB": (sparse(INDEX, 1 << 30), "1,073,741,824 bytes, expected at most"),
    "configuration is a link out of the folder": (link(CONFIG, "/etc/passwd"), "out of its folder"),
    "configuration is too deep": (write(CONFIG, b'{"a":' * 9999 + b"1" + b"}" * 9999), "nested deeper"),
    "configuration is NEZHA's": (
        edit_json(CONFIG, use_relative_position=True),
        "use_relative_position is True",
    ),
}
NOT_HASHED = ("data is empty", "data is a pointer", "data is cut", "data is zeros", "too deep", "NEZHA's")


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    """A good folder to spoil."""
    source = shared / "fixtures" / "keras-bert-tf1-tiny"
    return Path(shutil.copytree(source, tmp_path / "google", copy_function=shutil.copyfile))


@pytest.mark.parametrize("case", ATTACKS)
def test_google_folders(folder: Path, tmp_path: Path, case: str) -> None:
    attack, reason = ATTACKS[case]
    attack(folder)
    before = sorted(folder.rglob("*"))
    for read in (read_checkpoint, load_encoder, lambda path: convert(path, tmp_path / "out")):
        with pytest.raises(CheckpointError) as caught:
            read(folder)
        assert reason in str(caught.value) and len(str(caught.value)) < 6_000
    assert sorted(folder.rglob("*")) == before and not (tmp_path / "out").exists()
    if not case.endswith(NOT_HASHED):
        with pytest.raises(CheckpointError):
            encoder_files(folder)


def test_only_the_data_files_that_the_index_names_are_hashed(folder: Path) -> None:
    os.mkfifo(folder / "bert_model.ckpt.data-00001-of-00002")
    assert set(encoder_files(folder)) == {CONFIG, "vocab.txt", INDEX, DATA}
