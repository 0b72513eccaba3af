"""A graph → its torch module, with weights from the hub, a folder, or drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bertblocks.assembly.fitting import check_fit, check_memory, check_vocabulary, load_block_tokenizer
from bertblocks.assembly.model import TextModel
from bertblocks.blocks import BertEncoder as BertEncoderBlock
from bertblocks.blocks import BertPooler, Block, Dense, Dropout, GlobalMaxPooling1D, Graph
from bertblocks.checkpoints import Checkpoint, read_checkpoint, resolve_encoder
from bertblocks.encoder import (
    BertEncoder,
    DenseActivation,
    DenseLayer,
    EncoderConfig,
    Pooling,
    QuantizedWeight,
    WindowPooling,
    initialize,
    put_quantized,
)
from bertblocks.errors import GraphError


def build(graph: Graph) -> TextModel:
    """Build the module of a graph, ready to train; it takes PackedTokens and returns logits.

    New weights (a BertEncoder block's, the dense layers') come from torch's global generator: seed it to
    reproduce them.

    Args:
        graph: A checked graph.

    Returns:
        The module in training mode, float32, on the CPU; frozen parts have requires_grad off.

    Raises:
        GraphError: If the tokenizer is not that of the weights, has ids or lengths that the encoder has no
            rows for, or the parameters are more than this machine's memory.
        CheckpointError: If the encoder's weights or the vocabulary cannot be found or read.
    """
    module = build_module(graph)
    if graph.tokenizer is not None:
        tokenizer = load_block_tokenizer(graph.tokenizer)
        check_fit(tokenizer, module.encoder.config, pair=len(graph.inputs) == 2)
        check_vocabulary(graph, tokenizer)
    return module


def build_module(graph: Graph) -> TextModel:
    """Build the module of a graph whose tokenizer the caller checks, as `build` says."""
    check_memory(graph)
    block = graph.encoder
    if isinstance(block, BertEncoderBlock):
        encoder, pooler = _random_encoder(block), None
    else:
        checkpoint = read_checkpoint(resolve_encoder(block.weights))
        encoder, pooler = load_encoder_module(checkpoint), checkpoint.pooler
    encoder.requires_grad_(block.trainable)
    head = build_head(graph.head, encoder.config.hidden_size)
    index = next(i for i, block in enumerate(graph.head) if not isinstance(block, Dropout))
    # The pooler was trained on first tokens. RoBERTa's family never trained its own, and transformers begins
    # with a new one there.
    fits = block.output == "cls" and encoder.config.family == "bert"
    if pooler is not None and fits and isinstance(graph.head[index], BertPooler):
        head[index].load_state_dict(pooler)
    return TextModel(encoder, graph_pooling(graph), head, window_pooling(graph))


# What read_checkpoint calls the scales that belong to a weight of int8.
_SCALE = ".weight_scale"


def load_encoder_module(checkpoint: Checkpoint) -> BertEncoder:
    """The encoder of a checkpoint; takes over its tensors instead of copying them.

    What was read in int8 computes nothing before to_precision has prepared it.
    """
    with undrawn():
        encoder = BertEncoder(checkpoint.config)
    tensors = dict(checkpoint.encoder)
    if any(tensor.dtype == torch.int8 for tensor in tensors.values()):
        encoder.requires_grad_(False)
    for name in [name for name in tensors if name.endswith(_SCALE)]:
        dense = cast(nn.Linear, encoder.get_submodule(name.removesuffix(_SCALE)))
        put_quantized(dense, QuantizedWeight(tensors[name.removesuffix("_scale")], tensors.pop(name)))
    encoder.load_state_dict(tensors, assign=True)
    return encoder


def weights_dtype(precision: str) -> torch.dtype:
    """The type in which an encoder's weights are read for a precision.

    Args:
        precision: One that is chosen; not "auto".
    """
    return {"int8": torch.int8, "bfloat16": torch.bfloat16}.get(precision, torch.float32)


@contextmanager
def undrawn() -> Iterator[None]:
    """Build modules whose weights have no memory and no values, since both come at once from a file."""
    with torch.device("meta"), _NoDrawing():
        yield


class _NoDrawing(TorchFunctionMode):
    """Leaves out torch.nn.init.

    On the meta device it asks for torch's compiler, whose import takes as long as torch's own.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def build_head(blocks: Sequence[Block], width: int) -> nn.Sequential:
    """Freshly drawn dense layers for a pooled vector of the given width; one module a block."""
    head = head_modules(blocks, width)
    initialize(head)
    return head


def head_modules(blocks: Sequence[Block], width: int) -> nn.Sequential:
    """As build_head, with whatever weights torch gives its layers."""
    head = nn.Sequential()
    for index, block in enumerate(blocks):
        if isinstance(block, Dropout):
            head.append(nn.Dropout(block.rate))
        elif isinstance(block, BertPooler):
            head.append(DenseLayer(width, width, "tanh").requires_grad_(block.trainable))
        elif isinstance(block, Dense):
            # The last activation belongs to the prediction: its layer gives logits.
            is_last = index == len(blocks) - 1
            activation = "linear" if is_last else cast(DenseActivation, block.activation)
            head.append(DenseLayer(width, block.units, activation).requires_grad_(block.trainable))
            width = block.units
        else:
            raise GraphError(f"{type(block).__name__} does not belong into a head.")
    return head


def window_pooling(graph: Graph) -> WindowPooling:
    """How the vectors of a text's windows become one, where it has several."""
    return graph.tokenizer.window_pooling if graph.tokenizer else "average"


def graph_pooling(graph: Graph) -> Pooling:
    """How a graph's encoder output becomes one vector a text."""
    if graph.encoder.output == "cls":
        return "cls"
    is_max = any(isinstance(block, GlobalMaxPooling1D) for block in graph.blocks)
    return "max" if is_max else "average"


def _random_encoder(block: BertEncoderBlock) -> BertEncoder:
    config = EncoderConfig(
        vocab_size=block.vocabulary_size,
        hidden_size=block.hidden_size,
        num_hidden_layers=block.num_layers,
        num_attention_heads=block.num_heads,
        intermediate_size=block.intermediate_size,
    )
    encoder = BertEncoder(config)
    initialize(encoder, standard_deviation=config.initializer_range)
    return encoder
