"""bertblocks info: what a model, an encoder or a graph is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertblocks._words import counted
from bertblocks.cli.console import print_facts, print_json, shortened
from bertblocks.cli.options import AsJson
from bertblocks.cli.sentences import casing_in_words

if TYPE_CHECKING:
    from bertblocks.checkpoints import EncoderOrigin
    from bertblocks.text import Tokenizer

# Of a list, such as a model's labels.
_SHOWN, _SHOWN_CHARACTERS = 10, 100


def info(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model's folder or zip, an encoder by name, folder or zip, or a graph's JSON file.",
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Say what a model, an encoder or a graph is.

    Blocks, sizes, labels, vocabulary, and what opens it.
    """
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks.checkpoints import is_saved_model, resolve_encoder

    drawing = None
    if model.endswith(".json") and Path(model).is_file():
        facts, drawing = _graph_facts(Path(model))
    elif is_saved_model(folder := resolve_encoder(model)):
        facts, drawing = _model_facts(folder)
    else:
        facts = _encoder_facts(model, folder)
    if as_json:
        print_json(facts)
        return
    print_facts(
        model, [(name.replace("_", " "), _shown(value)) for name, value in facts.items() if name != "blocks"]
    )
    if drawing:
        print(f"\nBlocks, from input to prediction\n{drawing}")


def _graph_facts(path: Path) -> tuple[dict[str, Any], str]:
    """What a graph's file declares, and its drawing; no weights are loaded."""
    from bertblocks.blocks import Graph

    graph = Graph.load(path)
    facts = {"kind": "graph", "task": graph.target.task, "blocks": graph.to_json()["blocks"]}
    return facts, graph.drawing()


def _model_facts(folder: Path) -> tuple[dict[str, Any], str]:
    """What a model's folder holds, and its drawing with the parameters of the loaded weights."""
    from bertblocks.assembly import built_sizes, load_model
    from bertblocks.blocks import draw
    from bertblocks.checkpoints import opens_as_sequence_classification, read_manifest

    manifest = read_manifest(folder)
    model = load_model(folder)
    task = model.task
    sequence = opens_as_sequence_classification(model.graph)
    facts = {
        "kind": "model",
        "task": task.kind,
        "labels": list(task.labels),
        "encoder_began_as": model.origin,
        **(_origin_facts(model.encoder_origin) if model.encoder_origin else {}),
        **_sizes(model.module.encoder),
        "vocabulary": _vocabulary(model.tokenizer, model.module.encoder.config.vocab_size),
        "sequence_length": model.sequence_length,
        "longer_texts": _longer_texts(model.tokenizer),
        "saved_by": f"bertblocks {manifest['bertblocks_version']}, format {manifest['format_version']}",
        "opens_in_transformers_as": (
            "AutoModelForSequenceClassification, with equal logits"
            if sequence
            else "AutoModel (the encoder; the head is in head.safetensors)"
        ),
        "precision_here": _precision_here(),
        "blocks": model.graph.to_json()["blocks"],
    }
    return facts, draw(built_sizes(model.graph, model.module))


def _encoder_facts(name: str, folder: Path) -> dict[str, Any]:
    from bertblocks.assembly import load_encoder_module
    from bertblocks.checkpoints import NAMED_ENCODERS, encoder_defaults, encoder_origin, read_checkpoint
    from bertblocks.text import load_encoder_tokenizer

    checkpoint = read_checkpoint(folder)
    length = min(512, checkpoint.config.max_sequence_length)
    tokenizer = load_encoder_tokenizer(name, folder, sequence_length=length)
    defaults = encoder_defaults(folder)
    named = NAMED_ENCODERS.get(name)
    return {
        "kind": "encoder",
        **({"description": named.description} if named else {}),
        "family": checkpoint.config.family,
        "folder": str(folder),
        **_origin_facts(encoder_origin(name, folder)),
        **_sizes(load_encoder_module(checkpoint)),
        "pooler": "in the weights" if checkpoint.pooler else "none in the weights",
        "vocabulary": _vocabulary(tokenizer, checkpoint.config.vocab_size),
        "sequence_length": defaults.sequence_length,
        "default_pooling": defaults.pooling,
        "left_out_of_the_file": list(checkpoint.dropped),
        "precision_here": _precision_here(),
    }


def _origin_facts(origin: EncoderOrigin) -> dict[str, Any]:
    commit = f" at commit {origin.revision}" if origin.revision else ""
    return {
        **({"repository": f"{origin.repository}{commit}"} if origin.repository else {}),
        "licence": origin.licence or "not stated",
        "weights_sha256": [f"{digest} {name}" for name, digest in origin.weights_sha256.items()],
    }


def _vocabulary(tokenizer: Tokenizer | None, num_ids: int) -> str:
    if tokenizer is None:
        return f"none: token ids 0 … {num_ids - 1:,} go in"
    return f"{tokenizer.vocabulary_size:,} tokens, {casing_in_words(tokenizer)}"


def _longer_texts(tokenizer: Tokenizer | None) -> str:
    if tokenizer is None:
        return "refused: token ids are never cut"
    if tokenizer.windows == "truncate":
        return "cut"
    return f"read whole, in windows that begin every {tokenizer.stride} tokens"


def _sizes(encoder: Any) -> dict[str, Any]:
    config = encoder.config
    return {
        "shape": (
            f"{counted(config.num_hidden_layers, 'layer')} of {counted(config.num_attention_heads, 'head')}, "
            f"{config.hidden_size} wide, feed-forward {config.intermediate_size:,}, {config.activation}"
        ),
        "encoder_parameters": sum(weight.numel() for weight in encoder.parameters()),
    }


def _precision_here() -> str:
    """What "auto" comes to, with its kernels, and what int8 would run on."""
    from bertblocks.encoder import choose_kernels, choose_precision, native, resolve_device

    device = resolve_device("auto")
    precision = choose_precision("auto", device)
    if device.type != "cpu":
        return f"{precision} on {device.type}"
    kernels = {p: choose_kernels("auto", p, device) for p in (precision, "int8")}
    why = f"; no native kernels: {native.missing()}" if native.missing() else ""
    return f"{precision} ({kernels[precision]} kernels), or int8 ({kernels['int8']} kernels){why}"


def _shown(value: Any) -> str:
    from bertblocks.checkpoints.listing import listed

    if isinstance(value, list):
        return listed([shortened(str(item), _SHOWN_CHARACTERS) for item in value], _SHOWN) if value else "–"
    return f"{value:,}" if isinstance(value, int) else str(value)
