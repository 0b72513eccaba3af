"""How files that attack are made: each changes one file of a good folder, through the ways of an attacker."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Attack = Callable[[Path], None]

WEIGHTS, BIN = "model.safetensors", "pytorch_model.bin"
WORD = "embeddings.word_embeddings.weight"
BIAS = "encoder.layer.0.output.dense.bias"
MARK = "payload-ran"
"""The file that a payload would make in the working folder."""


class Payload:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {MARK}",)


def write(name: str, content: bytes) -> Attack:
    def attack(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content)

    return attack


def write_json(name: str, value: Any) -> Attack:
    return write(name, json.dumps(value).encode())


def edit_json(name: str, **changes: Any) -> Attack:
    def attack(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        write_json(name, {**value, **changes})(folder)

    return attack


def sparse(name: str, size: int, start: bytes = b"") -> Attack:
    """A file of any size that takes no room on the disk."""

    def attack(folder: Path) -> None:
        write(name, start)(folder)
        os.truncate(folder / name, size)

    return attack


def link(name: str, target: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return attack


def pipe(name: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return attack


def cut(name: str, keep: float) -> Attack:
    def attack(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return attack


def append(name: str, content: bytes) -> Attack:
    def attack(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(content)

    return attack


def both(first: Attack, second: Attack) -> Attack:
    def attack(folder: Path) -> None:
        first(folder)
        second(folder)

    return attack


# safetensors


def header(change: Callable[[dict[str, Any]], Any]) -> Attack:
    """Change the parsed header, and leave the data as it is."""

    def attack(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        parsed = json.loads(content[8 : 8 + size])
        change(parsed)
        text = json.dumps(parsed).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    return attack


def entry(**changes: Any) -> Attack:
    return header(lambda parsed: parsed[BIAS].update(changes))


def raw_header(text: bytes, *, length: int | None = None, data: bytes = b"") -> Attack:
    return write(WEIGHTS, struct.pack("<Q", len(text) if length is None else length) + text + data)


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Attack:
    def attack(folder: Path) -> None:
        state = load_file(folder / WEIGHTS)
        change(state)
        save_file(state, folder / WEIGHTS, {"format": "pt"})

    return attack


def q4(change: Callable[[dict[str, torch.Tensor]], Any]) -> Attack:
    """The word embeddings in 4 bits, and then a lie about them."""

    def attack(folder: Path) -> None:
        state = load_file(folder / WEIGHTS)
        rows, cols = state[WORD].shape
        state[WORD] = torch.zeros(rows, cols // 2, dtype=torch.uint8)
        state[WORD + ".q4_scale"] = torch.zeros(rows, cols // 32, dtype=torch.float16)
        change(state)
        save_file(state, folder / WEIGHTS, {"bertblocks_storage": "q4"})

    return attack


# pickles


def pickled(change: Callable[[dict[str, Any]], Any], *, legacy: bool = False) -> Attack:
    """The weights as torch.save writes them, after a change."""

    def attack(folder: Path) -> None:
        state: dict[str, Any] = dict(load_file(folder / WEIGHTS))
        made = change(state)
        (folder / WEIGHTS).unlink()
        torch.save(state if made is None else made, folder / BIN, _use_new_zipfile_serialization=not legacy)

    return attack


def disguised(name: str) -> Attack:
    """A pickle that runs a command, under any name."""

    def attack(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / name).write_bytes(pickle.dumps(Payload(), protocol=2))

    return attack


def renamed(folder: Path) -> None:
    """A model.safetensors that is a .bin."""
    pickled(lambda state: None)(folder)
    (folder / BIN).rename(folder / WEIGHTS)


def renamed_back(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / BIN)


def repacked(folder: Path) -> None:
    """A .bin whose entries are compressed: what a zip bomb is made of."""
    pickled(lambda state: None)(folder)
    with zipfile.ZipFile(folder / BIN) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(folder / BIN, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def zipped(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with zipfile.ZipFile(folder / BIN, "w") as archive:
        archive.writestr("../../evil.txt", "evil")


# shards


def shards(weight_map: Any) -> Attack:
    """An index beside two halves of the weights, the first called model-1.safetensors."""

    def attack(folder: Path) -> None:
        state = load_file(folder / WEIGHTS)
        (folder / WEIGHTS).unlink()
        names = sorted(state)
        halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
        for shard, held in halves.items():
            save_file({name: state[name] for name in held}, folder / shard)
        honest = {name: shard for shard, held in halves.items() for name in held}
        made = weight_map(honest) if callable(weight_map) else weight_map
        write_json("model.safetensors.index.json", {"weight_map": made})(folder)

    return attack
