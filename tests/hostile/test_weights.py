"""Weights that attack or are damaged: each refused with the reason, nothing run, nothing left behind."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from foreign import (
    BIAS,
    BIN,
    MARK,
    WEIGHTS,
    WORD,
    Attack,
    append,
    both,
    cut,
    disguised,
    edit_json,
    entry,
    header,
    link,
    pickled,
    pipe,
    q4,
    raw_header,
    renamed,
    renamed_back,
    repacked,
    shards,
    sparse,
    tensors,
    write,
    write_json,
    zipped,
)

from bertblocks.checkpoints import read_checkpoint
from bertblocks.errors import CheckpointError
from bertblocks.inference import load_encoder

SAFETENSORS: dict[str, tuple[Attack, str]] = {
    "empty": (write(WEIGHTS, b""), "it is empty"),
    "five bytes": (write(WEIGHTS, b"\1\0\0\0\0"), "ends before its header"),
    "cut in the header": (cut(WEIGHTS, 0.01), "its header should have"),
    "cut in the data": (cut(WEIGHTS, 0.9), "the file is cut"),
    "bytes behind the end": (append(WEIGHTS, b"more"), "4 bytes at its end belong to no tensor"),
    "header of no length": (raw_header(b"{}", length=0), "header should have 0 bytes"),
    "header of 2^63 bytes": (raw_header(b"{}", length=1 << 63), "header should have 9,223,"),
    "header of 100 MB": (
        sparse(WEIGHTS, 200_000_000, struct.pack("<Q", 100_000_000)),
        "header should have 100,000,000 bytes, expected 1 to",
    ),
    "header is no JSON": (raw_header(b"{'a': 1}"), "its header is not JSON"),
    "header is a list": (raw_header(b"[]"), "its header holds a JSON list"),
    "name twice": (raw_header(b'{"a": 1, "a": 2}'), "the key 'a' occurs twice"),
    "deep header": (raw_header(b'{"a":' + b"[" * 9999 + b"]" * 9999 + b"}"), "nested deeper than 100"),
    "metadata of numbers": (header(lambda h: h.update(__metadata__={"a": 1})), "not an object of texts"),
    "entry is a number": (header(lambda h: h.update(a=1)), "expected dtype, shape and data_offsets"),
    "unknown dtype": (entry(dtype="F33"), "unknown dtype 'F33'"),
    "dtype is a list": (entry(dtype=["F32"]), "unknown dtype"),
    "negative size": (entry(shape=[-32]), "has the shape [-32]"),
    "size of 2^62": (entry(shape=[1 << 62]), "but has 128"),
    "sizes whose product overflows": (entry(shape=[1 << 62, 4]), "but has 128"),
    "shape is a text": (entry(shape="32"), "expected a list of whole numbers"),
    "shape against dtype": (entry(dtype="F64"), "takes 256 bytes, but has 128"),
    "negative place": (entry(data_offsets=[-128, 0]), "lies at [-128, 0]"),
    "place behind the end": (entry(data_offsets=[10**12, 10**12 + 128]), "the file is cut"),
    "place turned round": (entry(data_offsets=[128, 0]), "lies at [128, 0]"),
    "two tensors in one place": (entry(data_offsets=[0, 128]), "overlap"),
    "a gap": (header(lambda h: h.pop(BIAS)), "128 bytes before"),
    "pointer of git": (write(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "a web page": (write(WEIGHTS, b"<!DOCTYPE html><html>not found</html>"), "a page of the web"),
    "a .bin": (renamed, "name it pytorch_model.bin"),
    "a pickle": (disguised(WEIGHTS), "it looks like a pickle"),
    "missing tensor": (tensors(lambda t: t.pop(BIAS)), f"missing (1): {BIAS}"),
    "unexpected tensor": (tensors(lambda t: t.update(odd=torch.ones(1))), "unexpected (1): odd"),
    "misshapen": (tensors(lambda t: t.update({BIAS: torch.ones(33)})), "wrong shape (1)"),
    "whole numbers": (
        tensors(lambda t: t.update({BIAS: torch.ones(32, dtype=torch.int64)})),
        "not floating point (1)",
    ),
    "NaN": (tensors(lambda t: t[BIAS].fill_(torch.nan)), f"NaN or infinity in (1): {BIAS}"),
    "infinity": (tensors(lambda t: t[BIAS][3:4].fill_(torch.inf)), f"NaN or infinity in (1): {BIAS}"),
    "4 bits without scales": (q4(lambda t: t.pop(WORD + ".q4_scale")), "q4_scale is missing"),
    "4 bits with scales of another shape": (
        q4(lambda t: t.update({WORD + ".q4_scale": torch.zeros(1, 1, dtype=torch.float16)})),
        "expected F16",
    ),
    "scales of NaN": (q4(lambda t: t[WORD + ".q4_scale"].fill_(torch.nan)), "NaN or infinity in (1)"),
    "a pipe": (pipe(WEIGHTS), "is a named pipe, expected a regular file"),
    "a device": (link(WEIGHTS, "/dev/zero"), "is a device, expected a regular file"),
    "a link to itself": (link(WEIGHTS, WEIGHTS), "cannot be read"),
    "a link to nothing": (link(WEIGHTS, "absent"), "symbolic link to absent, which is missing"),
    "a link out of the folder": (link(WEIGHTS, "/etc/passwd"), "symbolic link out of its folder"),
}

PICKLES: dict[str, tuple[Attack, str]] = {
    "runs a command": (disguised(BIN), "cannot be read as weights"),
    "safetensors renamed": (renamed_back, "cannot be read as weights"),
    "any zip": (zipped, "cannot be read as weights"),
    "compressed": (repacked, "compressed entries"),
    "nested": (pickled(lambda t: {"state_dict": t}), "something else: 'state_dict'"),
    "a list": (pickled(lambda t: list(t.values())), "holds a list"),
    "names that are numbers": (pickled(lambda t: t.update({1: torch.ones(1)})), "something else: 1"),
    "not a tensor": (pickled(lambda t: t.update(odd=3)), "something else: 'odd'"),
    "sparse": (pickled(lambda t: t.update(odd=torch.eye(2).to_sparse())), "something else: 'odd'"),
    "without data": (
        pickled(lambda t: t.update(odd=torch.empty(9, device="meta"))),
        "something else: 'odd'",
    ),
    "terabytes from four bytes": (
        pickled(lambda t: t.update({WORD: torch.zeros(1).expand(1 << 30, 32)})),
        "repeat the same bytes",
    ),
    "many names for the same bytes": (
        pickled(lambda t: t.update({f"cls.{i}": t[WORD] for i in range(200)})),
        "many share the same bytes",
    ),
    "from before torch 1.6, cut": (
        both(pickled(lambda t: None, legacy=True), cut(BIN, 0.5)),
        "cannot be read as weights",
    ),
    "a pipe": (both(disguised(BIN), pipe(BIN)), "is a named pipe"),
}

SHARDS: dict[str, tuple[Attack, str]] = {
    "out of the folder": (shards({WORD: "../model-1.safetensors"}), "in the same folder"),
    "absolute": (shards({WORD: "/etc/passwd"}), "in the same folder"),
    "a list": (shards(["model-1.safetensors"]), 'no "weight_map"'),
    "no shard": (shards({}), 'no "weight_map"'),
    "shard is a number": (shards({WORD: 1}), "into 1, but must name"),
    "missing shard": (shards({WORD: "model-3.safetensors"}), "model-3.safetensors does not exist"),
    "tensor promised elsewhere": (
        shards(lambda honest: dict.fromkeys(honest, "model-1.safetensors")),
        "promises",
    ),
    "ten thousand shards": (
        shards({f"t{i}": f"model-{i}.safetensors" for i in range(10_000)}),
        "and 9,9",
    ),
    "a hundred thousand tensors": (
        shards({f"t{i}": "model-1.safetensors" for i in range(100_000)}),
        "more, which model.safetensors.index.json promises",
    ),
    "too large": (
        both(shards({}), sparse("model.safetensors.index.json", 1 << 30)),
        "1,073,741,824 bytes, expected at most 16,777,216",
    ),
}

CONFIGURATIONS: dict[str, tuple[Attack, str]] = {
    "empty": (write("config.json", b" \n"), "is empty"),
    "100 MB": (sparse("config.json", 100 << 20, b"{"), "expected at most 16,777,216"),
    "nested 10,000 deep": (write("config.json", b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "nested deeper"),
    "nested 101 deep": (write("config.json", b'{"a":' * 101 + b"1" + b"}" * 101), "nested deeper than 100"),
    "NaN": (edit_json("config.json", layer_norm_eps=float("nan")), "NaN is not a JSON number"),
    "infinity": (edit_json("config.json", odd=float("inf")), "Infinity is not a JSON number"),
    "infinity as a large number": (
        write("config.json", b'{"layer_norm_eps": 1e999}'),
        "layer_norm_eps is inf",
    ),
    "100,000 digits": (write("config.json", b'{"vocab_size": ' + b"1" * 100_000 + b"}"), "100,000 digits"),
    "key twice": (write("config.json", b'{"vocab_size": 1, "vocab_size": 2}'), "'vocab_size' occurs twice"),
    "not UTF-8": (write("config.json", b'{"a": "\xff"}'), "not JSON in UTF-8"),
    "UTF-16": (write("config.json", '{"a": 1}'.encode("utf-16")), "not JSON in UTF-8"),
    "byte order mark": (write("config.json", b"\xef\xbb\xbf{}"), "byte order mark"),
    "half a pair": (write("config.json", b'{"hidden_act": "\\ud800"}'), "half of a surrogate pair"),
    "a list": (write_json("config.json", []), "holds a JSON list"),
    "a text where a number belongs": (edit_json("config.json", hidden_size="32"), "hidden_size is '32'"),
    "a pipe": (pipe("config.json"), "named pipe"),
    "a link out of the folder": (link("config.json", "/etc/hostname"), "symbolic link out of its folder"),
    "sizes of terabytes": (edit_json("config.json", vocab_size=2**31 - 1), "wrong shape (1)"),
}


@pytest.fixture
def folder(tiny_encoder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good folder to spoil; the working folder is where a payload would leave its mark."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(tiny_encoder("cased"), tmp_path / "model"))


def assert_refused(folder: Path, attack: Attack, reason: str) -> None:
    attack(folder)
    before = sorted(folder.rglob("*"))
    messages = []
    for load in (read_checkpoint, load_encoder):
        with pytest.raises(CheckpointError) as caught:
            load(folder)
        messages.append(str(caught.value))
        assert reason in messages[-1]
        assert len(messages[-1]) < 6_000
    assert not Path(MARK).exists()
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("case", SAFETENSORS)
def test_safetensors(folder: Path, case: str) -> None:
    assert_refused(folder, *SAFETENSORS[case])


@pytest.mark.parametrize("case", PICKLES)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_pickles(folder: Path, case: str) -> None:
    assert_refused(folder, *PICKLES[case])


@pytest.mark.parametrize("case", SHARDS)
def test_shards(folder: Path, case: str) -> None:
    assert_refused(folder, *SHARDS[case])


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_configurations(folder: Path, case: str) -> None:
    assert_refused(folder, *CONFIGURATIONS[case])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floating_point_is_no_attack(folder: Path, dtype: torch.dtype) -> None:
    tensors(lambda t: t.update({name: tensor.to(dtype) for name, tensor in t.items()}))(folder)

    assert all(tensor.dtype == torch.float32 for tensor in read_checkpoint(folder).encoder.values())


def test_the_hubs_cache_may_link_to_its_blobs(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    snapshot, blobs = repository / "snapshots" / "0123", repository / "blobs"
    shutil.copytree(folder, blobs)
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        link(file.name, f"../../blobs/{file.name}")(snapshot)

    assert load_encoder(snapshot).config.hidden_size == 32
    link("config.json", str(folder / "config.json"))(snapshot)
    with pytest.raises(CheckpointError, match="out of its folder"):
        read_checkpoint(snapshot)


def test_a_folder_may_be_a_link_itself(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(folder)

    assert load_encoder(tmp_path / "linked").config.hidden_size == 32
