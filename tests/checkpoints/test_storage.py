from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from bertblocks.checkpoints import storage
from bertblocks.checkpoints.storage import Q4_METADATA, pack_q4, read_shapes, read_tensors, write_tensors
from bertblocks.errors import CheckpointError, ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def random_q4(rows: int, cols: int) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Nibbles, scales and the values that they stand for, by plain arithmetic."""
    rng = np.random.default_rng(rows * 1000 + cols)
    nibbles = rng.integers(0, 16, (rows, cols), dtype=np.uint8)
    scales = rng.normal(size=(rows, cols // 32)).astype(np.float16)
    values = (nibbles.astype(np.float64) - 8) * scales.astype(np.float64).repeat(32, axis=1)
    return nibbles, scales, torch.from_numpy(values.astype(np.float32))


def write_header(path: Path, header: dict, data: bytes) -> None:
    """A safetensors file written by hand, so that it may say what the library would not write."""
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_a_hand_computed_q4_row(path: Path) -> None:
    # Column 0 is nibble 0, column 1 nibble 15; columns 2 to 31 are nibble 9; the second group is nibble 7.
    row = bytes([0xF0] + [0x99] * 15 + [0x77] * 16)
    scales = np.array([[0.5, 2.0]], dtype="<f2").tobytes()
    header = {
        "__metadata__": {"bertblocks_storage": "q4"},
        "w": {"dtype": "U8", "shape": [1, 32], "data_offsets": [0, 32]},
        "w.q4_scale": {"dtype": "F16", "shape": [1, 2], "data_offsets": [32, 36]},
    }
    write_header(path, header, row + scales)

    values = read_tensors(path)["w"]

    assert values.dtype == torch.float32
    assert values.tolist() == [[-4.0, 3.5] + [0.5] * 30 + [-2.0] * 32]


@pytest.mark.parametrize(("rows", "cols"), [(1, 32), (7, 96), (2500, 384), (3, 1536), (0, 32)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_q4_is_read_as_it_was_packed(path: Path, rows: int, cols: int, dtype: torch.dtype) -> None:
    nibbles, scales, values = random_q4(rows, cols)
    write_tensors(path, pack_q4("a.weight", nibbles, scales), metadata=Q4_METADATA)

    read = read_tensors(path, dtype=dtype)

    assert list(read) == ["a.weight"]
    assert read["a.weight"].dtype == dtype
    assert torch.equal(read["a.weight"], values.to(dtype))


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_ordinary_tensors_are_converted(path: Path, stored: torch.dtype, dtype: torch.dtype) -> None:
    tensor = torch.linspace(-2, 2, 12).reshape(3, 4).to(stored)
    write_tensors(path, {"a": tensor, "ids": torch.arange(5)})

    read = read_tensors(path, dtype=dtype)

    assert read["a"].dtype == dtype
    assert torch.equal(read["a"], tensor.to(dtype))
    assert torch.equal(read["ids"], torch.arange(5))


def test_names_choose_and_order(path: Path) -> None:
    nibbles, scales, values = random_q4(2, 64)
    write_tensors(
        path, {"a": torch.ones(1), "c": torch.zeros(2), **pack_q4("b", nibbles, scales)}, metadata=Q4_METADATA
    )

    read = read_tensors(path, ["c", "b", "c"])

    assert list(read) == ["c", "b"]
    assert torch.equal(read["b"], values)
    assert read_shapes(path) == {"a": (1,), "b": (2, 64), "c": (2,)}


def test_without_the_declaration_nothing_is_q4(path: Path) -> None:
    nibbles, scales, _ = random_q4(2, 32)
    write_tensors(path, packed := pack_q4("a", nibbles, scales))

    read = read_tensors(path)

    assert torch.equal(read["a"], packed["a"])
    assert torch.equal(read["a.q4_scale"], packed["a.q4_scale"].float())


def test_tensors_own_their_memory(path: Path) -> None:
    write_tensors(path, {"a": torch.ones(4), "ids": torch.zeros(2, dtype=torch.int64)})
    read = read_tensors(path)

    content = path.read_bytes()
    with path.open("r+b") as file:  # in place, so that a mapping of the file would show it
        file.seek(len(content) - 32)
        file.write(bytes(32))

    assert read["a"].tolist() == [1.0] * 4


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_large_tensors_are_read_whole(path: Path, stored: torch.dtype) -> None:
    tensor = torch.randn(700, 333, generator=torch.Generator().manual_seed(0)).to(stored)
    write_tensors(path, {"small": torch.ones(()), "large": tensor, "flags": torch.tensor([True, False])})

    for dtype in (torch.float32, torch.bfloat16):
        read = read_tensors(path, dtype=dtype)
        assert torch.equal(read["large"], tensor.to(dtype))
        assert read["small"].item() == 1 and read["flags"].tolist() == [True, False]


def test_a_file_that_is_cut_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tensors(path, {"a": torch.ones(4), "b": torch.ones(100_000)})
    checked = storage._checked_shapes

    def cut(path: Path, file: object) -> object:
        found = checked(path, file)
        with path.open("r+b") as opened:
            opened.truncate(200_000)
        return found

    monkeypatch.setattr(storage, "_checked_shapes", cut)
    with pytest.raises(CheckpointError, match="ends within b: it has been cut since it was opened"):
        read_tensors(path)


def test_views_and_shared_memory_are_written_apart(path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {"all": base, "again": base, "turned": base.T, "row": base[1]}

    write_tensors(path, tensors)

    assert {name: tensor.tolist() for name, tensor in read_tensors(path).items()} == {
        name: tensor.tolist() for name, tensor in tensors.items()
    }


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    nibbles, scales, _ = random_q4(4, 32)
    files = [tmp_path / f"{i}.safetensors" for i in range(4)]
    for file in files:
        write_tensors(file, pack_q4("a", nibbles, scales), metadata=Q4_METADATA)

    assert len({file.read_bytes() for file in files}) == 1
    assert sorted(tmp_path.iterdir()) == files  # nothing of the partial files is left


def test_the_format_that_transformers_asks_for_is_declared(path: Path) -> None:
    write_tensors(path, {"a": torch.ones(1)})

    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_missing_names_are_all_named(path: Path) -> None:
    write_tensors(path, {"a": torch.ones(1)})

    with pytest.raises(CheckpointError, match=r"no tensor b, c; it has a\."):
        read_tensors(path, ["a", "b", "c"])


def test_unknown_dtype_to_read_as(path: Path) -> None:
    write_tensors(path, {"a": torch.ones(1)})

    with pytest.raises(ConfigError, match=r"torch\.int8.*torch\.float32, torch\.bfloat16, torch\.float16"):
        read_tensors(path, dtype=torch.int8)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04" + bytes(100), b"\xff" * 64],
    ids=["empty", "one byte", "pointer", "zip", "ones"],
)
def test_not_safetensors(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=rf"cannot be read as safetensors.*Found {len(content)} bytes"):
        read_tensors(path)


def test_truncated(path: Path) -> None:
    write_tensors(path, {"a": torch.ones(100)})
    whole = path.read_bytes()

    for kept in (len(whole) - 1, len(whole) // 2, 20):
        path.write_bytes(whole[:kept])
        with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
            read_tensors(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_tensors(tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match="a folder"):
        read_tensors(tmp_path)


def test_writing_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_tensors(tmp_path / "file" / "model.safetensors", {"a": torch.ones(1)})
    with pytest.raises(CheckpointError, match="is not a file"):
        write_tensors(tmp_path, {"a": torch.ones(1)})


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tensors(path, {"a": torch.ones(1)})

    def fail(tensors: object, file: Path, **_: object) -> None:
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("bertblocks.checkpoints.storage.save_file", fail)
    with pytest.raises(CheckpointError, match="No space left"):
        write_tensors(path, {"a": torch.zeros(1)})

    assert read_tensors(path)["a"].tolist() == [1.0]
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_as_readable_as_any_other(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"")

    write_tensors(path, {"a": torch.ones(1)})

    assert path.stat().st_mode == other.stat().st_mode


def test_storage_of_another_version(path: Path) -> None:
    write_tensors(path, {"a": torch.ones(1)}, metadata={"bertblocks_storage": "q3"})

    with pytest.raises(CheckpointError, match=r"'q3'.*'q4'.*newer bertblocks"):
        read_tensors(path)


def test_all_q4_problems_together(path: Path) -> None:
    nibbles, scales = torch.zeros(2, 32, dtype=torch.uint8), torch.zeros(2, 2, dtype=torch.float16)
    write_tensors(
        path,
        {
            "good": nibbles,
            "good.q4_scale": scales,
            "alone": nibbles,
            "orphan.q4_scale": scales,
            "signed": nibbles.to(torch.int8),
            "signed.q4_scale": scales,
            "wide": torch.zeros(2, 24, dtype=torch.uint8),
            "wide.q4_scale": scales,
            "flat": torch.zeros(32, dtype=torch.uint8),
            "flat.q4_scale": scales,
            "scalar": torch.zeros((), dtype=torch.uint8),
            "scalar.q4_scale": scales,
            "short": nibbles,
            "short.q4_scale": scales[:1],
            "float": nibbles,
            "float.q4_scale": scales.float(),
            "complex": torch.zeros(1, dtype=torch.complex64),
        },
        metadata=Q4_METADATA,
    )

    with pytest.raises(CheckpointError) as caught:
        read_tensors(path, ["good"])

    message = str(caught.value)
    for part in (
        "alone is uint8, but its alone.q4_scale is missing",
        "orphan.q4_scale is there, but no uint8 orphan",
        "signed.q4_scale is there, but no uint8 signed",
        "wide is uint8 (2, 24), expected (rows, a multiple of 16)",
        "flat is uint8 (32,), expected (rows",
        "scalar is uint8 (), expected (rows",
        "short.q4_scale is F16 (1, 2), expected F16 (2, 2)",
        "float.q4_scale is F32 (2, 2), expected F16 (2, 2)",
        "complex has dtype C64, expected one of F32, BF16, F16",
    ):
        assert part in message
    assert message.count("; ") == 8


@pytest.mark.parametrize(
    ("nibbles", "scales", "problem"),
    [
        (np.zeros((2, 33), np.uint8), np.zeros((2, 1), np.float16), r"uint8 \(2, 33\), but must be"),
        (np.zeros((2, 32), np.int8), np.zeros((2, 1), np.float16), "nibbles are int8"),
        (np.zeros(32, np.uint8), np.zeros(1, np.float16), r"nibbles are uint8 \(32,\)"),
        (np.full((2, 32), 16, np.uint8), np.zeros((2, 1), np.float16), "highest nibble is 16"),
        (np.zeros((2, 32), np.uint8), np.zeros((2, 1), np.float32), "scales are float32"),
        (np.zeros((2, 32), np.uint8), np.zeros((2, 2), np.float16), r"must be float16 \(2, 1\)"),
        (np.full((2, 32), 16, np.uint8), np.zeros((2, 2), np.float16), "nibble is 16.*; scales are"),
    ],
)
def test_what_cannot_be_packed(nibbles: np.ndarray, scales: np.ndarray, problem: str) -> None:
    with pytest.raises(CheckpointError, match=f"a.weight cannot be stored as q4.*{problem}"):
        pack_q4("a.weight", nibbles, scales)
