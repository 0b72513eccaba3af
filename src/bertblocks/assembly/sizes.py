"""The sizes of a graph's blocks as they were built, for its table and drawing."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from bertblocks.assembly.model import TextModel
from bertblocks.blocks import ENCODER_BLOCKS, BlockSize, EncoderSizes, Graph, block_sizes


def built_sizes(graph: Graph, module: TextModel) -> tuple[BlockSize, ...]:
    """Each block with what it gives, and its parameters counted in the module.

    Args:
        graph: What the module was built from.
        module: As build or load_model gave it.
    """
    config = module.encoder.config
    encoder = EncoderSizes(
        vocabulary_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_layers=config.num_hidden_layers,
        num_positions=config.max_position_embeddings,
        num_segments=config.type_vocab_size,
    )
    parts = iter([module.encoder, *module.head])
    head = {id(block) for block in graph.head}
    return tuple(
        replace(size, num_parameters=_count(next(parts)))
        if isinstance(size.block, ENCODER_BLOCKS) or id(size.block) in head
        else size
        for size in block_sizes(graph.blocks, encoder)
    )


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
