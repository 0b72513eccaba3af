"""The reader of TF1 checkpoints against a writer of our own: several data files, forgeries of every kind."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from bundle_writer import DTYPES, block, checksum, message, number, sealed, varint, write_bundle
from google_folder import KERNEL, D, F, V, bert_folder, bert_tensors

from bertblocks.checkpoints import read_checkpoint
from bertblocks.checkpoints.crc32c import EXPONENTS, crc32c
from bertblocks.checkpoints.tensor_bundle import open_bundle
from bertblocks.errors import CheckpointError


def test_the_four_powers_that_checksums_are_folded_by_are_a_multiple_of_the_generator():
    value = sum(1 << exponent for exponent in EXPONENTS)
    generator = 0x11EDC6F41
    while value.bit_length() >= generator.bit_length():
        value ^= generator << value.bit_length() - generator.bit_length()
    assert value == 0


@pytest.mark.parametrize("num_words", [5275, 5276, 5275 + 767, 5275 + 65_536, 5275 + 65_537])
@pytest.mark.parametrize("word_bytes", [1, 2, 4, 8])
def test_checksums_around_every_size_that_is_folded_differently(num_words, word_bytes):
    content = np.random.default_rng(num_words).bytes(num_words * word_bytes + 7)
    for length in (num_words * word_bytes - 1, num_words * word_bytes, len(content)):
        assert crc32c(content[:length]) == checksum(content[:length])
        assert crc32c(memoryview(content)[7 : 7 + length]) == checksum(content[7 : 7 + length])


def some_tensors():
    random = np.random.default_rng(0)
    return {f"t{i:02d}": random.normal(size=(i % 5 + 1, 3)).astype(np.float32) for i in range(40)}


@pytest.mark.parametrize("num_shards", [1, 3, 12])
def test_tensors_of_several_data_files(tmp_path, num_shards):
    tensors = some_tensors()
    write_bundle(tmp_path / "model.ckpt", tensors, num_shards=num_shards)
    bundle = open_bundle(tmp_path / "model.ckpt")
    assert bundle.num_shards == num_shards and bundle.data_problems() == []
    assert {name: entry.shape for name, entry in bundle.entries.items()} == {
        name: array.shape for name, array in tensors.items()
    }
    for name, array in tensors.items():
        assert torch.equal(bundle.read(name), torch.from_numpy(array))


@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {"string", "complex64", "bfloat16"}))
@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4)])
def test_every_kind_of_number(tmp_path, dtype, shape):
    array = (np.arange(np.prod(shape)) % 2).reshape(shape).astype(dtype)
    write_bundle(tmp_path / "model.ckpt", {"t": array})
    tensor = open_bundle(tmp_path / "model.ckpt").read("t")
    assert tensor.shape == shape and torch.equal(tensor, torch.tensor(array))


def test_bfloat16(tmp_path):
    halves = np.array([0x3F80, 0xC000, 0x3E80], dtype=np.uint16)  # 1, -2 and 1/4
    write_bundle(
        tmp_path / "model.ckpt",
        {"t": halves.view(np.int16)},
        forge=lambda entries: setattr(entries["t"], "dtype", DTYPES["bfloat16"]),
    )
    assert open_bundle(tmp_path / "model.ckpt").read("t").tolist() == [1, -2, 0.25]


def test_only_what_is_asked_for_is_read(tmp_path):
    tensors = some_tensors()
    write_bundle(tmp_path / "model.ckpt", tensors, num_shards=2)
    (tmp_path / "model.ckpt.data-00001-of-00002").unlink()
    other = tmp_path / "model.ckpt.data-00000-of-00002"
    content = bytearray(other.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    bundle = open_bundle(tmp_path / "model.ckpt")
    assert torch.equal(bundle.read("t00"), torch.from_numpy(tensors["t00"]))
    with pytest.raises(CheckpointError, match=r"data-00000-of-00002 is damaged: t38 .* checksum"):
        bundle.read("t38")
    with pytest.raises(CheckpointError, match=r"data-00001-of-00002 does not exist"):
        bundle.read("t01")
    with pytest.raises(CheckpointError, match="there is no tensor 't40'"):
        bundle.read("t40")


def test_a_bert_in_three_files_with_an_optimizers_slots(tmp_path):
    tensors = bert_tensors(slots=True)
    read = read_checkpoint(bert_folder(tmp_path / "google", tensors, num_shards=3))
    layer = "bert/encoder/layer_0"
    parts = [tensors[f"{layer}/attention/self/{part}/kernel"].T for part in ("query", "key", "value")]
    assert np.array_equal(read.encoder["layers.0.attention.qkv.weight"], np.concatenate(parts))
    kernel = tensors[f"{layer}/output/dense/kernel"]
    assert np.array_equal(read.encoder["layers.0.feed_forward.output.weight"], kernel.T)
    assert read.pooler is not None
    assert np.array_equal(read.pooler["weight"], tensors["bert/pooler/dense/kernel"].T)
    assert read.dropped == () and len(read.encoder) == 5 + 12


def test_all_missing_and_cut_data_files_are_named_with_their_sizes(tmp_path):
    folder = bert_folder(tmp_path / "google", bert_tensors(), num_shards=4)
    files = sorted(folder.glob("*.data-*"))
    size = files[1].stat().st_size
    files[0].unlink()
    files[1].write_bytes(b"version https://git-lfs")
    files[3].unlink()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder)
    text = str(caught.value)
    assert f"{files[0].name} is missing" in text and f"{files[3].name} is missing" in text
    assert f"{files[1].name} has 23 bytes, but the index needs {size:,}" in text and "pointer" in text
    assert files[2].name not in text


def test_weights_of_other_types_and_values(tmp_path):
    tensors = bert_tensors()
    exact = {name: array.astype(np.float64) for name, array in tensors.items()}
    double = read_checkpoint(bert_folder(tmp_path / "double", exact))
    single = read_checkpoint(bert_folder(tmp_path / "single", tensors))
    assert all(torch.equal(tensor, double.encoder[name]) for name, tensor in single.encoder.items())
    whole = dict(tensors)
    whole["bert/embeddings/word_embeddings"] = np.ones((V, D), dtype=np.int32)
    nan = whole["bert/pooler/dense/bias"] = np.full(D, np.nan, dtype=np.float32)
    assert np.isnan(nan).all()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(bert_folder(tmp_path / "whole", whole))
    assert "bert/embeddings/word_embeddings is torch.int32" in str(caught.value)
    assert "NaN or infinity in (1): bert/pooler/dense/bias" in str(caught.value)


def test_missing_unknown_and_misshapen_tensors_in_one_report(tmp_path):
    tensors = bert_tensors()
    del tensors["bert/encoder/layer_0/output/dense/bias"]
    tensors["bert/encoder/layer_1/output/dense/bias"] = np.zeros(D, dtype=np.float32)
    tensors["bert/embeddings/relative"] = np.zeros(D, dtype=np.float32)
    tensors["bert/pooler/dense/kernel"] = np.zeros((D, D, 1), dtype=np.float32)
    tensors[KERNEL] = np.zeros((D, D), dtype=np.float32)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(bert_folder(tmp_path / "google", tensors))
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "missing (1): bert/encoder/layer_0/output/dense/bias",
        "unexpected (2): bert/embeddings/relative, bert/encoder/layer_1/output/dense/bias",
        f"wrong shape (2): {KERNEL} is ({D}, {D}), bert_config.json asks for ({D}, {F}), "
        f"bert/pooler/dense/kernel is ({D}, {D}, 1), bert_config.json asks for ({D}, {D})",
    ]


def changed(**values):
    """Forges entry "b" of the three that `forged` writes."""

    def forge(entries):
        for name, value in values.items():
            setattr(entries["b"], name, value)

    return forge


FORGERIES = {
    "twice the size by float64": (changed(dtype=2), r"b is float64 \(4, 3\), which takes 96 bytes.* 48"),
    "half the size by bfloat16": (changed(dtype=14), r"b is bfloat16 \(4, 3\), which takes 24 bytes.* 48"),
    "integers of another size": (changed(dtype=9), r"b is int64 .* takes 96 bytes"),
    "another shape": (changed(shape=(4, 4)), "takes 64 bytes, but is said to have 48"),
    "no size": (changed(size=0), "takes 48 bytes, but is said to have 0"),
    "a size below zero": (changed(size=-48), "b has a negative size or place"),
    "a place below zero": (changed(offset=-4), "b has a negative size or place"),
    "an axis below zero": (changed(shape=(-4, -3)), "b has a negative size or place"),
    "a place of another tensor": (changed(offset=4), "a and b overlap in data file 0"),
    "a place past the end of int64": (changed(offset=2**63), "b has a negative size or place"),
    "axes of 2^62": (changed(shape=(2**62, 2**62)), "but is said to have 48"),
    "axes and size of 2^62": (changed(shape=(2**60,), size=2**62), "b and c overlap"),
    "254 axes of 2^62": (changed(shape=(2**62,) * 254), "takes more than 2\\^62 bytes"),
    "more axes than TensorFlow has": (changed(shape=(2**62,) * 10_000), "10,000 axes"),
    "a data file that there is not": (changed(shard=1), "b lies in data file 1 of 1"),
    "a data file below zero": (changed(shard=-1), "b lies in data file -1 of 1"),
    "slices": (changed(extra=message(7, b"")), "stored in slices"),
    "an unknown rank": (changed(extra=message(2, number(3, 1))), "shape is not known"),
    "a group": (changed(extra=b"\x3b"), "a field of kind 3 cannot be read"),
    "a field that breaks off": (changed(extra=b"\x3a\x7fabc"), "kind 2 cannot be read or breaks off"),
    "a number that breaks off": (changed(extra=b"\x08\x80"), "a number breaks off"),
    "a number of 70 bits": (changed(extra=b"\x08" + b"\xff" * 9 + b"\x7f"), "more than 64 bits"),
}


def forged(folder, **options):
    tensors = {name: np.arange(12, dtype=np.float32).reshape(4, 3) for name in "abc"}
    write_bundle(folder / "model.ckpt", tensors, **options)
    return open_bundle(folder / "model.ckpt")


@pytest.mark.parametrize("name", FORGERIES)
def test_an_entry_that_lies(tmp_path, name):
    forge, reason = FORGERIES[name]
    with pytest.raises(CheckpointError, match=reason) as caught:
        forged(tmp_path, forge=forge)
    assert "model.ckpt.index" in str(caught.value)


def test_a_tensor_behind_the_end_of_its_data_file(tmp_path):
    far = 2**62
    bundle = forged(tmp_path, forge=changed(offset=far))
    problems = bundle.data_problems()
    assert problems == [f"model.ckpt.data-00000-of-00001 has 144 bytes, but the index needs {far + 48:,}"]
    with pytest.raises(CheckpointError, match="is cut: b ends behind its last byte"):
        bundle.read("b")


@pytest.mark.parametrize(
    "forge",
    [changed(dtype=1, shape=(2**60,), size=2**62, offset=144), changed(shape=(36,), offset=144, size=144)],
)
def test_a_huge_tensor_is_refused_before_memory_is_taken(tmp_path, forge):
    bundle = forged(tmp_path, forge=forge)
    assert "has 144 bytes, but the index needs" in bundle.data_problems()[0]
    with pytest.raises(CheckpointError):
        bundle.read("b")


@pytest.mark.parametrize("shape", [(0,), (4, 0), (0, 2**62, 2**62)])
def test_an_empty_tensor(tmp_path, shape):
    bundle = forged(tmp_path, forge=changed(shape=shape, size=0))
    with pytest.raises(CheckpointError, match="is empty, which no weight is"):
        bundle.read("b")


def test_a_type_declared_as_another_of_its_size_does_not_get_past_the_encoder(tmp_path):
    def forge(entries):
        entries["bert/pooler/dense/bias"].dtype = DTYPES["int32"]

    with pytest.raises(CheckpointError, match=r"bert/pooler/dense/bias is torch\.int32"):
        read_checkpoint(bert_folder(tmp_path / "google", bert_tensors(), forge=forge))


@pytest.mark.parametrize("dtype", [DTYPES["string"], DTYPES["complex64"], 23, 99])
def test_types_that_are_no_numbers(tmp_path, dtype):
    bundle = forged(tmp_path, forge=changed(dtype=dtype))
    with pytest.raises(CheckpointError, match="which is no kind of number"):
        bundle.read("b")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"", "0 data files"),
        (number(1, 2**40), "data files"),
        (number(1, 1) + number(2, 1), "big-endian"),
        (message(1, b"x"), "data files"),
        (b"\x08", "a number breaks off"),
    ],
)
def test_a_header_that_lies(tmp_path, header, reason):
    with pytest.raises(CheckpointError, match=reason):
        forged(tmp_path, header=header)


def with_block(body):
    return lambda table: setattr(table, "blocks", [body])


def with_handles(*handles):
    """The index block points to these places instead."""
    return lambda table: setattr(
        table, "handles", [varint(offset) + varint(size) for offset, size in handles]
    )


ROW = varint(0) + varint(1) + varint(1) + b"ab"
HEADER = (b"", number(1, 1))
TABLES = {
    "compressed by Snappy": (lambda table: setattr(table, "kind", 1), r"compressed \(Snappy\)"),
    "of an unknown kind": (lambda table: setattr(table, "kind", 9), r"compressed \(kind 9\)"),
    "keys descend": (with_block(block([HEADER, (b"b", b""), (b"a", b"")])), "not ascending: b'a' stands"),
    "a key twice": (with_block(block([HEADER, (b"b", b""), (b"b", b"")])), "not ascending: b'b' stands"),
    "no header": (with_block(block([(b"a", b"")])), "has no header"),
    "a name not in UTF-8": (with_block(block([HEADER, (b"\xff", b"")])), "is not UTF-8"),
    "no restart points": (with_block(ROW + struct.pack("<I", 0)), "0 restart points"),
    "a billion restart points": (with_block(ROW + struct.pack("<I", 10**9)), "1,000,000,000 restart points"),
    "shorter than a restart point": (with_block(b"ab"), "has no restart points"),
    "a key that shares more than there is": (
        with_block(varint(5) + varint(0) + varint(0) + struct.pack("<II", 0, 1)),
        "an entry of a block breaks off",
    ),
    "a value longer than the block": (
        with_block(varint(0) + varint(1) + varint(2**60) + b"a" + struct.pack("<II", 0, 1)),
        "an entry of a block breaks off",
    ),
    "zeros": (with_block(b"\0" * 4096 + struct.pack("<I", 1)), "not ascending"),
    "a block behind the end": (with_handles((10**9, 10)), "it is cut"),
    "a block of 2^63 bytes": (with_handles((0, 2**63)), "it is cut"),
    "a block that is not one": (with_handles((3, 20)), "does not have its checksum"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_lies(tmp_path, name):
    table, reason = TABLES[name]
    with pytest.raises(CheckpointError, match=reason):
        forged(tmp_path, table=table)


def test_a_block_that_is_pointed_to_again_and_again(tmp_path):
    # Without entries in it no key would be out of order, and each visit takes its checksum's time.
    empty = block([])
    first = block([HEADER])
    behind = len(sealed(first))

    def table(table):
        table.blocks = [first, empty]
        again = [(0, len(first)), *[(behind, len(empty))] * 500]
        with_handles(*again)(table)

    with pytest.raises(CheckpointError, match="blocks overlap"):
        forged(tmp_path, table=table)


def test_the_index_block_does_not_hold_itself(tmp_path):
    forged(tmp_path)
    path = tmp_path / "model.ckpt.index"
    content = path.read_bytes()
    index_offset = content[-48 + 3 :]  # behind the handle of the properties, which has 2 + 1 bytes here
    start = index_offset[0] & 127 | index_offset[1] << 7
    itself = b""
    for _ in range(3):  # its own size stands in it
        itself = block([(b"z", varint(start) + varint(len(itself)))])
    footer = (varint(start) + varint(len(itself))) * 2
    path.write_bytes(content[:start] + sealed(itself) + footer.ljust(40, b"\0") + content[-8:])
    with pytest.raises(CheckpointError):
        open_bundle(tmp_path / "model.ckpt")


def test_whatever_the_entries_hold_nothing_but_a_checkpoint_error_comes(tmp_path):
    """Bytes changed at random below checksums that are right."""
    random = np.random.default_rng(1)
    tensors = {name: np.arange(12, dtype=np.float32).reshape(4, 3) for name in "abc"}
    outcomes = []
    for _ in range(400):

        def scramble(table):
            rows = [(key, bytearray(value)) for key, value in table.entries]
            for _ in range(random.integers(1, 4)):
                value = rows[random.integers(len(rows))][1]
                value[random.integers(len(value))] = random.integers(256)
            table.entries = [(key, bytes(value)) for key, value in rows]

        write_bundle(tmp_path / "model.ckpt", tensors, table=scramble)
        try:
            bundle = open_bundle(tmp_path / "model.ckpt")
            if not bundle.data_problems():
                for name in bundle.entries:
                    bundle.read(name)
            outcomes.append("read")
        except CheckpointError:
            outcomes.append("refused")
    assert set(outcomes) == {"read", "refused"}


def test_files_of_noise(tmp_path):
    random = np.random.default_rng(2)
    for length in (0, 10, 48, 1000, 100_000):
        (tmp_path / "model.ckpt.index").write_bytes(random.bytes(length))
        with pytest.raises(CheckpointError, match="cannot be read as the index"):
            open_bundle(tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match="does not exist"):
        open_bundle(tmp_path / "absent.ckpt")
