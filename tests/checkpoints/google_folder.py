"""A small BERT as Google would release it: one layer, written by hand under Google's names."""

from __future__ import annotations

import json

import numpy as np
from bundle_writer import write_bundle

D, F, V, P = 8, 12, 7, 6
DENSE = {
    "attention/self/query": (D, D),
    "attention/self/key": (D, D),
    "attention/self/value": (D, D),
    "attention/output/dense": (D, D),
    "intermediate/dense": (D, F),
    "output/dense": (F, D),
}
KERNEL = "bert/encoder/layer_0/intermediate/dense/kernel"


def bert_tensors(*, seed=0, slots=False):
    """Every tensor of a one-layer BERT under Google's names, in TF1's layout."""
    shapes = {
        "bert/embeddings/word_embeddings": (V, D),
        "bert/embeddings/position_embeddings": (P, D),
        "bert/embeddings/token_type_embeddings": (2, D),
        "bert/pooler/dense/kernel": (D, D),
        "bert/pooler/dense/bias": (D,),
    }
    layer = "bert/encoder/layer_0"
    for name, shape in DENSE.items():
        shapes |= {f"{layer}/{name}/kernel": shape, f"{layer}/{name}/bias": shape[1:]}
    norms = ("bert/embeddings", f"{layer}/attention/output", f"{layer}/output")
    shapes |= {f"{norm}/LayerNorm/{kind}": (D,) for norm in norms for kind in ("gamma", "beta")}
    if slots:
        shapes |= {f"{name}/{slot}": shape for name, shape in shapes.items() for slot in ("adam_m", "adam_v")}
    random = np.random.default_rng(seed)
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return tensors | ({"global_step": np.array(1000, dtype=np.int64)} if slots else {})


def bert_folder(path, tensors, **options):
    path.mkdir()
    sizes = {"hidden_size": D, "intermediate_size": F, "vocab_size": V, "max_position_embeddings": P}
    config = {**sizes, "num_hidden_layers": 1, "num_attention_heads": 2, "type_vocab_size": 2}
    (path / "bert_config.json").write_text(json.dumps(config))
    write_bundle(path / "bert_model.ckpt", tensors, **options)
    return path
