from __future__ import annotations

import importlib
import json
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from bertblocks.checkpoints.storage import read_tensors
from bertblocks.mini import folder

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
HIDDEN, FEED_FORWARD, ROWS, POSITIONS, LAYERS = 32, 64, 12, 5, 1
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "b", "▁ab", "ab", "<mask>"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if not SCRIPTS.is_dir():
        pytest.skip("the scripts are in the repository, not in the package")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("build_mini")


def matrix_names() -> dict[str, tuple[int, int]]:
    square = {f"l0.{name}.w": (HIDDEN, HIDDEN) for name in ("q", "k", "v", "ao")}
    return {
        "emb.word": (ROWS, HIDDEN),
        **square,
        "l0.fi.w": (FEED_FORWARD, HIDDEN),
        "l0.fo.w": (HIDDEN, FEED_FORWARD),
    }


def float_names() -> dict[str, tuple[int, ...]]:
    names = ["emb.ln.w", "emb.ln.b", *(f"l0.{name}.b" for name in ("q", "k", "v", "ao", "fo"))]
    names += [f"l0.{name}.{part}" for name in ("aln", "oln") for part in ("w", "b")]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(names, (HIDDEN,))
    return {**shapes, "emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN), "l0.fi.b": (FEED_FORWARD,)}


def write_source(path: Path) -> dict[str, np.ndarray]:
    """A tiny file in the source's layout, and the values that it stands for."""
    rng = np.random.default_rng(7)
    body, values = {}, {}
    for name, shape in matrix_names().items():
        nibbles = rng.integers(0, 16, (shape[0] * shape[1] // 32, 32), dtype=np.uint8)
        scales = rng.normal(size=len(nibbles)).astype("<f2")
        body[name] = b"".join(
            scale.tobytes() + (group[:16] | group[16:] << 4).tobytes()
            for scale, group in zip(scales, nibbles, strict=True)
        )
        values[name] = ((nibbles.astype(np.float32) - 8) * scales[:, None].astype(np.float32)).reshape(shape)
    for name, shape in float_names().items():
        values[name] = rng.normal(size=shape).astype("<f4")
        body[name] = values[name].tobytes()
    text = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, text)]).astype("<u4")
    scores = np.array([0, 0, 0, 0, -1.1, -2.2, -3.3, -4.4, -5.5, 0], dtype="<f4")
    head = b"E5S1" + struct.pack(
        "<I7ifii", 1, HIDDEN, LAYERS, 2, FEED_FORWARD, ROWS, POSITIONS, 2, 1e-12, 32, len(text)
    )
    head += struct.pack("<4iQ", 0, 2, 1, 3, ends[-1]) + ends.tobytes() + scores.tobytes() + b"".join(text)
    head += struct.pack("<iI", 1, 9) + bytes(9) + struct.pack("<i", len(body))
    start = len(head) + sum(2 + len(name) + 21 for name in body)
    for name, data in body.items():
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, 0, start, len(data))
        start += len(data)
    path.write_bytes(head + b"".join(body.values()))
    return values


def test_build_keeps_the_values_of_the_kept_rows(script: ModuleType, tmp_path: Path) -> None:
    values = write_source(tmp_path / "source.bin")
    kept = [0, 1, 2, 3, 4, 5, 6, 8, 9]

    script.build(script.read_source(tmp_path / "source.bin"), kept, tmp_path / "mini")

    tensors = read_tensors(tmp_path / "mini" / "model.safetensors")
    layer = "encoder.layer.0."
    exact = {
        "embeddings.word_embeddings.weight": values["emb.word"][kept],
        layer + "attention.self.query.weight": values["l0.q.w"],
        layer + "attention.self.key.weight": values["l0.k.w"],
        layer + "attention.self.value.weight": values["l0.v.w"],
        layer + "attention.output.dense.weight": values["l0.ao.w"],
        layer + "intermediate.dense.weight": values["l0.fi.w"],
        layer + "output.dense.weight": values["l0.fo.w"],
    }
    rounded = {
        "embeddings.position_embeddings.weight": values["emb.pos"],
        "embeddings.token_type_embeddings.weight": values["emb.type"],
        "embeddings.LayerNorm.weight": values["emb.ln.w"],
        "embeddings.LayerNorm.bias": values["emb.ln.b"],
        layer + "attention.self.query.bias": values["l0.q.b"],
        layer + "attention.self.key.bias": values["l0.k.b"],
        layer + "attention.self.value.bias": values["l0.v.b"],
        layer + "attention.output.dense.bias": values["l0.ao.b"],
        layer + "attention.output.LayerNorm.weight": values["l0.aln.w"],
        layer + "attention.output.LayerNorm.bias": values["l0.aln.b"],
        layer + "intermediate.dense.bias": values["l0.fi.b"],
        layer + "output.dense.bias": values["l0.fo.b"],
        layer + "output.LayerNorm.weight": values["l0.oln.w"],
        layer + "output.LayerNorm.bias": values["l0.oln.b"],
    }
    assert set(tensors) == set(exact) | set(rounded)
    for name, expected in exact.items():
        assert torch.equal(tensors[name], torch.from_numpy(expected)), name
    for name, expected in rounded.items():
        assert torch.equal(tensors[name], torch.from_numpy(expected).half().float()), name


def test_build_writes_config_and_tokenizer(script: ModuleType, tmp_path: Path) -> None:
    write_source(tmp_path / "source.bin")

    script.build(script.read_source(tmp_path / "source.bin"), [0, 1, 2, 3, 4, 5, 6, 8, 9], tmp_path / "mini")

    config = json.loads((tmp_path / "mini" / "config.json").read_text(encoding="utf-8"))
    assert (config["vocab_size"], config["layer_norm_eps"], config["num_attention_heads"]) == (9, 1e-12, 2)
    tokenizer = Tokenizer.from_file(str(tmp_path / "mini" / "tokenizer.json"))
    assert tokenizer.get_vocab()["ab"] == 7
    # "▁ab" was pruned: of "▁ ab" (-6.6) and "▁ a b" (-6.6 too, but three pieces) the first is found.
    assert tokenizer.encode("ab").tokens[:2] == ["<s>", "▁"]
    assert json.loads(tokenizer.to_str())["model"]["vocab"][4:7] == [["▁", -1.1], ["a", -2.2], ["b", -3.3]]


def test_select_keeps_specials_and_letters_then_the_most_used(script: ModuleType) -> None:
    assert script.select(PIECES, [8, 0, 7], 9) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert script.select(PIECES, [7, 8], 9) == [0, 1, 2, 3, 4, 5, 6, 7, 9]
    with pytest.raises(SystemExit, match="8 pieces are kept by these rules, but 9 were asked for"):
        script.select(PIECES, [], 9)
    with pytest.raises(SystemExit, match="8 pieces are kept by these rules, but 5 were asked for"):
        script.select(PIECES, [8], 5)


def test_kept_ids_survive_their_file(script: ModuleType, tmp_path: Path) -> None:
    script.write_kept(tmp_path / "kept.txt", [0, 3, 8, 200, 1000], 1001)

    assert script.read_kept(tmp_path / "kept.txt") == [0, 3, 8, 200, 1000]


def test_ranking(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text(
        'id\tpiece\tcount\tshare\n6\t"▁"\t9\t0.2\n3\t"a"\t1\t0.1\n', encoding="utf-8"
    )

    assert script.read_ranking(tmp_path / "counts.tsv") == [6, 3]


def counted_pieces(shared: Path) -> dict[int, str]:
    """Pieces of the table by id, the most used first."""
    lines = (shared / "weights" / "piece-counts.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
    return {int(piece_id): json.loads(piece) for piece_id, piece, *_ in (line.split("\t") for line in lines)}


def test_the_list_in_the_repository_follows_from_the_counts(script: ModuleType, shared: Path) -> None:
    kept = set(script.read_kept(script.PIECES))
    counted = counted_pieces(shared)
    pruned_from = next(place for place, piece_id in enumerate(counted) if piece_id not in kept)

    # "▁world" and "▁Hello" are 8999 and 35378 in XLM-R's vocabulary.
    assert [sorted(kept).index(piece_id) for piece_id in (8999, 35378)] == [8724, 32642]
    assert len(kept) == script.NUM_PIECES
    assert {0, 1, 2, 3, 250_001} <= kept
    for place, (piece_id, piece) in enumerate(counted.items()):
        assert (piece_id in kept) == (place < pruned_from or len(piece) == 1)


def test_the_shipped_tokenizer_holds_the_listed_pieces(script: ModuleType, shared: Path) -> None:
    vocab = json.loads((folder() / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    kept = script.read_kept(script.PIECES)
    counted = counted_pieces(shared)

    assert len(vocab) == len(kept)
    for (piece, _), piece_id in zip(vocab, kept, strict=True):
        if piece_id in counted:
            assert piece == counted[piece_id]
        else:  # never seen in the texts, so only the rule on single characters and special pieces keeps it
            assert len(piece) == 1 or piece in script.SPECIALS


def test_a_foreign_file_is_refused(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"GGUF" + bytes(100))

    with pytest.raises(SystemExit, match="does not begin with E5S1"):
        script.read_source(tmp_path / "other.bin")
    with pytest.raises(SystemExit, match=r"has sha256 .*, expected 1571fc"):
        script.verified(tmp_path / "other.bin")
