"""Prove at full size that a checkpoint which TensorFlow wrote is read exactly. A development script.

TensorFlow writes BERT-Base, Multilingual Cased with seeded values under Google's names; `bertblocks convert`
makes a Hugging Face folder of it; every tensor is compared bit for bit with the seeds, and the hidden states
with transformers' BertModel. TensorFlow is no dependency and stays in an environment of its own:

    python3.11 -m venv tfenv && tfenv/bin/pip install tensorflow-cpu
    tfenv/bin/python scripts/prove_google_checkpoint.py write FOLDER [--slots] [--shards N]
    python scripts/prove_google_checkpoint.py check FOLDER

`write` needs 0.7 GB of disk, with an optimizer's slots 2.1 GB, and `check` another 0.7 GB. Both print a line
of JSON. The values depend on the names alone, so the two share no file but the checkpoint.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, HIDDEN, FEED_FORWARD, HEADS, POSITIONS, TOKENS = 12, 768, 3072, 12, 512, 119_547
PREFIX = "bert_model.ckpt"
SLOTS = ("adam_m", "adam_v")
CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": FEED_FORWARD,
    "max_position_embeddings": POSITIONS,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "type_vocab_size": 2,
    "vocab_size": TOKENS,
}
TEXTS = ["All work and no play makes Jack a dull boy.", "नमस्ते दुनिया", "你好,世界!", "Ça va ? Ünïcödé – 42 %"]


def google_shapes() -> dict[str, tuple[int, ...]]:
    """Every weight of the encoder, the pooler and pretraining's heads as Google's modeling.py names it."""
    shapes: dict[str, tuple[int, ...]] = {
        "bert/embeddings/word_embeddings": (TOKENS, HIDDEN),
        "bert/embeddings/token_type_embeddings": (2, HIDDEN),
        "bert/embeddings/position_embeddings": (POSITIONS, HIDDEN),
        "cls/predictions/output_bias": (TOKENS,),
        "cls/seq_relationship/output_weights": (2, HIDDEN),
        "cls/seq_relationship/output_bias": (2,),
    }
    dense = {"bert/pooler/dense": (HIDDEN, HIDDEN), "cls/predictions/transform/dense": (HIDDEN, HIDDEN)}
    norms = ["bert/embeddings/LayerNorm", "cls/predictions/transform/LayerNorm"]
    for number in range(LAYERS):
        layer = f"bert/encoder/layer_{number}"
        for part in ("attention/self/query", "attention/self/key", "attention/self/value"):
            dense[f"{layer}/{part}"] = (HIDDEN, HIDDEN)
        dense[f"{layer}/attention/output/dense"] = (HIDDEN, HIDDEN)
        dense[f"{layer}/intermediate/dense"] = (HIDDEN, FEED_FORWARD)
        dense[f"{layer}/output/dense"] = (FEED_FORWARD, HIDDEN)
        norms += [f"{layer}/attention/output/LayerNorm", f"{layer}/output/LayerNorm"]
    for name, shape in dense.items():
        shapes |= {f"{name}/kernel": shape, f"{name}/bias": shape[1:]}
    return shapes | {f"{name}/{kind}": (HIDDEN,) for name in norms for kind in ("gamma", "beta")}


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of a tensor, from its name alone; around 1 where a layer norm multiplies."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.standard_normal(shape, dtype=np.float32) * np.float32(0.04)
    return values + np.float32(1) if name.endswith("/gamma") else values


def write(folder: Path, *, slots: bool, num_shards: int) -> dict[str, Any]:
    """Let TensorFlow write the checkpoint, its tensors dealt out to data files that share one index."""
    import tensorflow as tf

    folder.mkdir(parents=True)
    (folder / "bert_config.json").write_text(json.dumps(CONFIG, indent=2))
    shapes = google_shapes()
    if slots:
        shapes |= {f"{name}/{slot}": shape for name, shape in shapes.items() for slot in SLOTS}
    names = sorted(shapes)
    prefixes = []
    for shard in range(num_shards):
        chosen = names[shard::num_shards]
        tensors = [tf.constant(seeded(name, shapes[name])) for name in chosen]
        if shard == 0:
            chosen, tensors = [*chosen, "global_step"], [*tensors, tf.constant(1_000_000, dtype=tf.int64)]
        prefixes.append(str(folder / f"part-{shard}"))
        tf.raw_ops.SaveV2(
            prefix=prefixes[-1], tensor_names=chosen, shape_and_slices=[""] * len(chosen), tensors=tensors
        )
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes, destination_prefix=str(folder / PREFIX), delete_old_dirs=False
    )
    return {
        "tensorflow": tf.__version__,
        "tensors": len(shapes) + 1,
        "files": {path.name: path.stat().st_size for path in sorted(folder.glob(f"{PREFIX}*"))},
    }


def check(folder: Path) -> dict[str, Any]:
    """Convert the checkpoint, and compare tensors with the seeds and hidden states with transformers."""
    from bertblocks.assembly.conversion import convert
    from bertblocks.checkpoints import read_checkpoint
    from bertblocks.text import load_tokenizer

    load_tokenizer("multilingual-cased").save(folder / "tokenizer")
    (folder / "tokenizer" / "vocab.txt").replace(folder / "vocab.txt")
    output = folder / "converted"
    facts: dict[str, Any] = {"peak_mib_before": _peak_mib()}
    facts["open_and_read_s"] = _timed(lambda: read_checkpoint(folder))
    facts["peak_mib_after_reading"] = _peak_mib()
    facts["convert_s"] = _timed(lambda: convert(folder, output, keep_heads=True))
    facts["peak_mib_after_converting"] = _peak_mib()
    facts["tensors_equal_bit_for_bit"], facts["unequal"] = _compare_tensors(output)
    facts["largest_difference_of_hidden_states"] = _compare_hidden_states(folder, output)
    return facts


def _compare_tensors(output: Path) -> tuple[int, list[str]]:
    """Hold the converted file, as safetensors reads it, against the seeds, by names made here."""
    from safetensors import safe_open

    unequal, num_equal = [], 0
    with safe_open(output / "model.safetensors", framework="np") as file:
        left = set(file.keys())
        for name, shape in google_shapes().items():
            theirs = _hugging_face_name(name)
            expected = seeded(name, shape)
            expected = expected.T if name.endswith("/kernel") else expected
            found = file.get_tensor(theirs) if theirs in left else None
            left.discard(theirs)
            if found is not None and found.dtype == np.float32 and np.array_equal(found, expected):
                num_equal += 1
            else:
                unequal.append(theirs)
    return num_equal, [*unequal, *left]


def _hugging_face_name(name: str) -> str:
    """The name in transformers' BertForPreTraining, by rules rather than by the table under test."""
    if name.startswith("cls/seq_relationship/"):
        return "cls.seq_relationship." + ("bias" if name.endswith("output_bias") else "weight")
    if name == "cls/predictions/output_bias":
        return "cls.predictions.bias"
    for theirs, ours in (("/kernel", "/weight"), ("/gamma", "/weight"), ("/beta", "/bias")):
        name = name.removesuffix(theirs) + ours if name.endswith(theirs) else name
    name = name + "/weight" if name.endswith("_embeddings") else name
    return name.replace("layer_", "layer/").replace("/", ".")


def _compare_hidden_states(folder: Path, output: Path) -> float:
    """The largest difference of any number between our encoder, from Google's folder, and transformers'."""
    import torch
    import transformers

    from bertblocks.inference import load_encoder

    ours = load_encoder(folder, precision="float32").encode(TEXTS, output="sequence")
    tokenizer = transformers.AutoTokenizer.from_pretrained(output)
    model = transformers.BertModel.from_pretrained(output, attn_implementation="eager").eval()
    largest = 0.0
    for text, vectors in zip(TEXTS, ours, strict=True):
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        largest = max(largest, float(np.abs(hidden - vectors).max()))
    return largest


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return round(time.perf_counter() - start, 2)


def _peak_mib() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Read the command line, do it, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("step", choices=["write", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slots", action="store_true", help="write Adam's slots too")
    parser.add_argument("--shards", type=int, default=1, help="data files to write")
    options = parser.parse_args()
    start = time.perf_counter()
    if options.step == "write":
        facts = write(options.folder, slots=options.slots, num_shards=options.shards)
    else:
        facts = check(options.folder)
    print(json.dumps({**facts, "whole_s": round(time.perf_counter() - start, 1)}))
    if facts.get("unequal") or facts.get("largest_difference_of_hidden_states", 0) > 1e-5:
        sys.exit(1)


if __name__ == "__main__":
    main()
