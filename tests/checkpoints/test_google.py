"""Google's own folders and zips: read without TensorFlow, exact, and refused where something is wrong."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import bertblocks as bb
from bertblocks.assembly.conversion import convert
from bertblocks.checkpoints import read_checkpoint, resolve_encoder
from bertblocks.checkpoints.crc32c import crc32c
from bertblocks.checkpoints.google import read_google_config
from bertblocks.checkpoints.names import POOLER_PARAMETERS, encoder_parameters
from bertblocks.checkpoints.tensor_bundle import open_bundle
from bertblocks.encoder import BertEncoder, PackedTokens
from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer

LAYER = "bert/encoder/layer_1/attention/self"


@pytest.fixture
def tiny(shared: Path, tmp_path: Path) -> Path:
    """A writable copy of a complete checkpoint: 2 layers, 4 wide, with heads and an optimizer's slots."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for path in (shared / "fixtures" / "keras-bert-tf1-tiny").iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


def stored(folder: Path, name: str) -> torch.Tensor:
    """A tensor by its place in the data file, which the index alone was asked for."""
    entry = open_bundle(folder / "bert_model.ckpt").entries[name]
    data = (folder / "bert_model.ckpt.data-00000-of-00001").read_bytes()
    values = struct.unpack_from(f"<{entry.num_bytes // 4}f", data, entry.offset)
    return torch.tensor(values).reshape(entry.shape)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (b"\0" * 32, 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_published_checksums(content, expected):
    # RFC 3720, B.4, and the customary check value.
    assert crc32c(content) == expected


def test_checksums_of_every_length_equal_those_bit_by_bit():
    def bit_by_bit(content: bytes) -> int:
        state = 0xFFFFFFFF
        for byte in content:
            state ^= byte
            for _ in range(8):
                state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
        return state ^ 0xFFFFFFFF

    content = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    for length in [*range(70), 1000, 1001, 4095, 4096, 4999]:
        assert crc32c(content[:length]) == bit_by_bit(content[:length])


def test_a_checksum_over_many_blocks_changes_with_every_part():
    content = np.zeros(3 * 262_144 + 5, dtype=np.uint8)
    plain = crc32c(content)
    for position in (0, 6, 262_144, 600_000, len(content) - 1):
        content[position] = 1
        assert crc32c(content) != plain
        content[position] = 0


def test_every_tensor_is_where_the_table_of_names_says(tiny):
    checkpoint = read_checkpoint(tiny, keep_heads=True)
    parts = [stored(tiny, f"{LAYER}/{part}/kernel").t() for part in ("query", "key", "value")]
    assert torch.equal(checkpoint.encoder["layers.1.attention.qkv.weight"], torch.cat(parts))
    word = stored(tiny, "bert/embeddings/word_embeddings")
    assert torch.equal(checkpoint.encoder["embeddings.word.weight"], word)
    gamma = stored(tiny, "bert/encoder/layer_0/output/LayerNorm/gamma")
    assert torch.equal(checkpoint.encoder["layers.0.feed_forward.norm.weight"], gamma)
    assert checkpoint.pooler is not None
    assert torch.equal(checkpoint.pooler["weight"], stored(tiny, "bert/pooler/dense/kernel").t())
    bias = stored(tiny, "cls/predictions/output_bias")
    assert torch.equal(checkpoint.head["cls.predictions.bias"], bias)
    assert len(checkpoint.encoder) == 5 + 2 * 12 and len(checkpoint.head) == 7
    assert checkpoint.config.layer_norm_eps == 1e-12 and checkpoint.config.activation == "gelu"


def test_heads_are_dropped_by_name_and_slots_without_a_word(tiny):
    dropped = read_checkpoint(tiny).dropped
    assert len(dropped) == 7 and all(name.startswith("cls/") for name in dropped)


def test_a_converted_folder_holds_the_same_bits_and_opens_in_transformers(tiny, tmp_path):
    convert(tiny, tmp_path / "converted")
    before, after = read_checkpoint(tiny), read_checkpoint(tmp_path / "converted")
    assert before.config == after.config
    for name, tensor in before.encoder.items():
        assert torch.equal(after.encoder[name], tensor), name
    ids = load_tokenizer(tiny, sequence_length=16).encode(["all work and no play", "a dull boy"]).ids
    ours = BertEncoder(before.config).eval()
    ours.load_state_dict(before.encoder)
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "converted").eval()
    with torch.no_grad():
        for row in ids:
            hidden = theirs(torch.from_numpy(row.astype(np.int64))[None]).last_hidden_state[0]
            torch.testing.assert_close(ours(PackedTokens.pack([row]), "sequence"), hidden, atol=1e-5, rtol=0)


def test_kept_heads_open_in_transformers(tiny, tmp_path):
    convert(tiny, tmp_path / "converted", keep_heads=True)
    model = transformers.BertForPreTraining.from_pretrained(tmp_path / "converted")
    bias = stored(tiny, "cls/seq_relationship/output_bias")
    assert torch.equal(model.cls.seq_relationship.bias.detach(), bias)


def test_a_folder_of_googles_is_an_encoder_everywhere(tiny):
    vectors = bb.load_encoder(tiny, precision="float32").encode(["all work", "no play"])
    assert vectors.shape == (2, 4)
    graph = bb.text_model(
        task=bb.Task(kind="binary", labels=("no", "yes")), encoder=str(tiny), sequence_length=16
    )
    assert bb.build(graph).encoder.config.hidden_size == 4


@pytest.mark.parametrize("name", ["hwf87+bert_wwm", "llSiddharthll+Bert"])
def test_real_indexes_without_their_data(shared, name):
    folder = shared / "fixtures" / "google-ckpt-index-only" / name
    bundle = open_bundle(folder / "bert_model.ckpt")
    config = json.loads((folder / "bert_config.json").read_text())
    sizes = read_google_config(folder)
    expected = {
        name: row.part_shape(sizes)[::-1] if row.transposed else row.part_shape(sizes)
        for row in (*encoder_parameters(config["num_hidden_layers"]), *POOLER_PARAMETERS)
        for name in row.tensorflow
    }
    found = {name: entry.shape for name, entry in bundle.entries.items()}
    assert {name: found.get(name) for name in expected} == expected
    assert {entry.dtype for name, entry in bundle.entries.items() if name in expected} == {"float32"}
    rest = found.keys() - expected.keys()
    assert all(name.startswith("cls/") or name == "global_step" or "/adam_" in name for name in rest), rest
    with pytest.raises(CheckpointError, match=r"has 134 bytes, but the index needs [\d,]+.*only a pointer"):
        read_checkpoint(folder)


def damage(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_of_the_data_names_the_tensor(tiny):
    entry = open_bundle(tiny / "bert_model.ckpt").entries["bert/pooler/dense/kernel"]
    damage(tiny / "bert_model.ckpt.data-00000-of-00001", entry.offset + 3)
    with pytest.raises(CheckpointError, match=r"bert/pooler/dense/kernel .* does not have the checksum"):
        read_checkpoint(tiny)


def test_no_bit_of_the_index_may_flip_and_no_byte_be_missing(tiny):
    path = tiny / "bert_model.ckpt.index"
    content = path.read_bytes()
    for position in [*range(0, len(content), 97), len(content) - 1]:
        flipped = bytearray(content)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        unused = len(content) - 48 <= position < len(content) - 8  # the footer's padding carries nothing
        if not unused:
            with pytest.raises(CheckpointError):
                read_checkpoint(tiny)
    for length in (0, 1, 47, 48, 500, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="cannot be read as the index"):
            read_checkpoint(tiny)


def test_a_missing_or_cut_data_file(tiny):
    path = tiny / "bert_model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="has 8,419 bytes, but the index needs 8,420"):
        read_checkpoint(tiny)
    path.unlink()
    with pytest.raises(CheckpointError, match="data-00000-of-00001 is missing"):
        read_checkpoint(tiny)


def test_another_configuration_names_every_difference(tiny):
    config = json.loads((tiny / "bert_config.json").read_text())
    config.update(num_hidden_layers=3, intermediate_size=8)
    (tiny / "bert_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tiny)
    assert "bert/encoder/layer_2/attention/self/query/kernel" in str(caught.value)
    assert "wrong shape" in str(caught.value)


def test_a_checkpoint_of_another_name_or_of_two_names(tiny):
    for path in list(tiny.glob("bert_model.ckpt*")):
        path.rename(tiny / path.name.replace("bert_model.ckpt", "model.ckpt-1000"))
    assert read_checkpoint(tiny).config.hidden_size == 4
    shutil.copyfile(tiny / "model.ckpt-1000.index", tiny / "model.ckpt-2000.index")
    with pytest.raises(CheckpointError, match="has 2 checkpoints"):
        read_checkpoint(tiny)


def test_the_casing_that_a_folder_states(tiny):
    uncased = tiny.rename(tiny.with_name("uncased_L-2_H-4_A-4"))
    assert load_tokenizer(uncased, sequence_length=16).casing == "uncased"
    cased = uncased.rename(tiny.with_name("multi_cased_L-2_H-4_A-4"))
    with pytest.raises(CheckpointError, match=r"is uncased by its tokens.*'multi_cased_L-2_H-4_A-4'"):
        load_tokenizer(cased, sequence_length=16)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bertblocks"


def test_a_zip_as_google_released_it(tiny, tmp_path, cache):
    path = tmp_path / "uncased_L-2_H-4_A-4.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in tiny.iterdir():
            archive.write(file, f"uncased_L-2_H-4_A-4/{file.name}")
    folder = resolve_encoder(path)
    assert folder.name == "uncased_L-2_H-4_A-4" and folder.parent.parent == cache
    assert resolve_encoder(str(path)) == folder
    assert bb.load_encoder(str(path), precision="float32").encode(["all work"]).shape == (1, 4)


def test_a_flat_zip_is_held_to_its_own_name(tiny, tmp_path, cache):
    for name in ("uncased_L-2_H-4_A-4.zip", "cased_L-2_H-4_A-4.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for path in tiny.iterdir():
                archive.write(path, path.name)
    casing = load_tokenizer(tiny).casing
    right, wrong = ("uncased", "cased") if casing == "uncased" else ("cased", "uncased")
    assert load_tokenizer(resolve_encoder(tmp_path / f"{right}_L-2_H-4_A-4.zip")).casing == casing
    with pytest.raises(
        CheckpointError, match=f"is {right} by its tokens, but its folder is called '{wrong}_"
    ):
        load_tokenizer(resolve_encoder(tmp_path / f"{wrong}_L-2_H-4_A-4.zip"))


def zip_with(path: Path, name: str, content: bytes = b"{}", mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.external_attr = mode << 16
        archive.writestr(member, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "mode", "message"),
    [
        ("../config.json", b"{}", 0, "leads out of the folder"),
        ("/tmp/config.json", b"{}", 0, "leads out of the folder"),
        ("model/../../config.json", b"{}", 0, "leads out of the folder"),
        ("model/config.json", b"/etc/passwd", 0o120777, "is a symbolic link"),
        ("model/config.json", b"0" * 30_000_000, 0, "would grow from"),
        ("readme.txt", b"hello", 0, "has no model folders"),
    ],
)
def test_a_zip_that_attacks(tmp_path, cache, name, content, mode, message):
    path = zip_with(tmp_path / "model.zip", name, content, mode)
    with pytest.raises(CheckpointError, match=message):
        resolve_encoder(path)
    assert not (tmp_path / "config.json").exists()
    assert not list(cache.rglob("*.partial*"))


def test_a_cut_zip(tmp_path, cache):
    path = zip_with(tmp_path / "model.zip", "model/config.json")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="is a file"):
        resolve_encoder(path)
