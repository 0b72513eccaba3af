"""Coverage-guided fuzzing of everything that reads files of unknown origin, with atheris.

    pip install atheris
    python scripts/fuzz_checkpoints.py safetensors -max_total_time=120

Every exception other than a BertBlocksError is a finding, and so is a run that libFuzzer stops for its time
or memory. What was found stands in docs/checkpoints.md, "Files of unknown origin".
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bertblocks"]):
    from bertblocks._foreign_files import parse_json_object
    from bertblocks.blocks import Task, text_model
    from bertblocks.checkpoints import (
        bundle_index,
        read_checkpoint,
        read_config,
        read_manifest,
        read_tensors,
        sstable,
        tensor_bundle,
        write_config,
        write_tensors,
    )
    from bertblocks.checkpoints.manifest import read_description
    from bertblocks.checkpoints.weight_files import open_weights
    from bertblocks.encoder import EncoderConfig
    from bertblocks.errors import BertBlocksError
    from bertblocks.text import load_tokenizer

import torch

ROOT = Path(tempfile.mkdtemp(prefix="fuzz-"))
SEPARATOR = b"\0\xff\0"
"""Between the files of one input: no UTF-8 text has it."""
FIXTURES = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
"""Checkpoints that the targets bundle, checksums and google begin with, beside a developer's checkout."""


def through(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Put the bytes into a file of this name, and read it."""
    path = ROOT / name

    def target(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return target


def read_model_description(path: Path) -> None:
    """Read bertblocks.json as far as it goes without weights."""
    read_description(path.parent, read_manifest(path.parent))


def read_bundle(path: Path) -> None:
    """Read an index, and from the data beside it every tensor that it names."""
    bundle = tensor_bundle.open_bundle(path.with_suffix(""))
    bundle.data_problems()
    for name in bundle.entries:
        with contextlib.suppress(BertBlocksError):
            bundle.read(name)


def read_google_folder(content: bytes) -> None:
    """Take the bytes for the three files of a Google folder beside good data, and read all of it."""
    folder = ROOT / "google"
    parts = [*content.split(SEPARATOR, 2), b"", b""]
    for name, part in zip(("bert_config.json", "vocab.txt", "bert_model.ckpt.index"), parts, strict=False):
        (folder / name).write_bytes(part)
    read_checkpoint(folder, keep_heads=True)
    load_tokenizer(folder)


TARGETS: dict[str, Callable[[bytes], object]] = {
    "json": lambda content: parse_json_object(content, "fuzz"),
    "safetensors": through("model.safetensors", read_tensors),
    "config": through("config.json", read_config),
    "shards": through("model.safetensors.index.json", lambda path: open_weights(path.parent)),
    "tokenizer": through("tokenizer.json", lambda path: load_tokenizer(path.parent)),
    "vocabulary": through("vocab.txt", lambda path: load_tokenizer(path.parent)),
    "manifest": through("bertblocks.json", read_model_description),
    "checksums": through("fuzz.ckpt.index", read_bundle),
    "bundle": through("fuzz.ckpt.index", read_bundle),
    "google": read_google_folder,
}


def write_seeds(name: str, folder: Path) -> None:
    """Start from a valid input, where there is a small one."""
    folder.mkdir()
    if name in ("bundle", "checksums", "google") and not FIXTURES.is_dir():
        raise SystemExit(f"{name} begins with the checkpoints in {FIXTURES}, which are not there")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b"]
    if name == "safetensors":
        write_tensors(folder / "seed", {"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.int64)})
    elif name == "vocabulary":
        (folder / "seed").write_text("\n".join(tokens) + "\n")
    elif name == "tokenizer":
        (ROOT / "vocab.txt").write_text("\n".join(tokens) + "\n")
        load_tokenizer(ROOT).save(folder)
        (ROOT / "vocab.txt").unlink()
        for other in ("vocab.txt", "tokenizer_config.json"):
            (folder / other).unlink()
    elif name == "manifest":
        task = Task(kind="binary", labels=("no", "yes"))
        graph = text_model(task=task, encoder="mini")
        manifest = {"graph": graph.to_json(), "task": task.to_json(), "format_version": 1, "files": {}}
        rest = {"bertblocks_version": "0", "casing": None, "activation": "gelu", "origin": "mini"}
        (folder / "seed").write_text(json.dumps({**manifest, **rest}))
    elif name in ("bundle", "checksums"):
        for index, path in enumerate(FIXTURES.rglob("*.index")):
            (folder / f"seed{index}").write_bytes(path.read_bytes())
        (data,) = FIXTURES.glob("keras-bert-tf1-tiny/*.data-00000-of-00001")
        shutil.copy(data, ROOT / "fuzz.ckpt.data-00000-of-00001")
    elif name == "google":
        (ROOT / "google").mkdir()
        source = FIXTURES / "keras-bert-tf1-tiny"
        shutil.copy(source / "bert_model.ckpt.data-00000-of-00001", ROOT / "google")
        files = [source / name for name in ("bert_config.json", "vocab.txt", "bert_model.ckpt.index")]
        (folder / "seed").write_bytes(SEPARATOR.join(path.read_bytes() for path in files))
    elif name == "config":
        for family in ("bert", "xlm-roberta"):
            config = EncoderConfig(family=family, position_offset=0 if family == "bert" else 2)
            (folder / family).write_text(json.dumps(write_config(config)))
    elif name == "shards":
        for shard in ("model-1.safetensors", "model-2.safetensors"):
            write_tensors(ROOT / shard, {shard: torch.ones(2)})
            weight_map = {shard: shard, "model-1.safetensors": "model-1.safetensors"}
            (folder / shard).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    else:
        (folder / "seed").write_text('{"a": [1, 2.5, "\\u00e9", null, true], "b": {}}')


def believe_checksums() -> None:
    """Let every checksum be right: no mutation hits one by chance, and what lies behind it is the target."""
    for module in (sstable, bundle_index, tensor_bundle):
        for function in {"crc32c", "unmasked"} & vars(module).keys():
            setattr(module, function, lambda _: 0)


def main() -> None:
    """Fuzz the target that the first argument names; the others are libFuzzer's."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"usage: fuzz_checkpoints.py {'|'.join(TARGETS)} [libFuzzer's options]")
    name = sys.argv.pop(1)
    target = TARGETS[name]
    seeds = ROOT / "seeds"
    write_seeds(name, seeds)
    if name in ("bundle", "google"):
        believe_checksums()

    def run(content: bytes) -> None:
        with contextlib.suppress(BertBlocksError):
            target(content)

    atheris.Setup([*sys.argv, str(seeds)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
