"""How large the parts of a graph are, by arithmetic from its declarations alone.

A BERT encoder's parameters (Devlin et al. 2018), with V ids, P positions, S segments, D wide, F feed-forward:
embeddings (V + P + S) D + 2 D, and in each layer 4 (D² + D) for attention, 2 D F + F + D for the feed-forward
and 4 D for two layer norms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bertblocks.blocks.blocks import (
    ENCODER_BLOCKS,
    MAX_SEQUENCE_LENGTH,
    NAMED_VOCABULARY_SIZES,
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Block,
    Dense,
    EncoderBlock,
    Port,
    block_names,
)


@dataclass(frozen=True, kw_only=True)
class EncoderSizes:
    """What an encoder's number of parameters depends on.

    Attributes:
        vocabulary_size: Rows of the word embedding.
        hidden_size: Width of a token's vector.
        intermediate_size: Feed-forward width.
        num_layers: Transformer layers.
        num_positions: Rows of the position table.
        num_segments: Rows of the segment table.
    """

    vocabulary_size: int
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_layers: int = 12
    num_positions: int = MAX_SEQUENCE_LENGTH
    num_segments: int = 2

    @property
    def num_parameters(self) -> int:
        """Of the encoder without its pooler."""
        width, inner = self.hidden_size, self.intermediate_size
        embeddings = (self.vocabulary_size + self.num_positions + self.num_segments + 2) * width
        layer = 4 * dense_parameters(width, width) + 2 * width * inner + inner + width + 4 * width
        return embeddings + self.num_layers * layer


@dataclass(frozen=True, kw_only=True)
class BlockSize:
    """What one block of a graph gives, and how much it learns.

    Attributes:
        name: Of the block, numbered where there are several.
        block: The block itself.
        gives: The shape of its output for any number of rows, for people.
        num_parameters: Its weights and biases; None where only the folder of its weights tells.
    """

    name: str
    block: Block
    gives: str
    num_parameters: int | None


NAMED_SIZES = {
    name: EncoderSizes(
        vocabulary_size=size,
        hidden_size=384 if name == "mini" else 768,
        intermediate_size=1536 if name == "mini" else 3072,
    )
    for name, size in NAMED_VOCABULARY_SIZES.items()
}
"""The encoders that have names: all of 12 layers and 512 positions."""


def dense_parameters(width: int, units: int) -> int:
    """Weights and biases of a dense layer."""
    return (width + 1) * units


def encoder_sizes(block: EncoderBlock) -> EncoderSizes | None:
    """The sizes that a block declares; None where only the folder of its weights tells."""
    if not isinstance(block, BertEncoder):
        return NAMED_SIZES.get(block.weights)
    return EncoderSizes(
        vocabulary_size=block.vocabulary_size,
        hidden_size=block.hidden_size,
        intermediate_size=block.intermediate_size,
        num_layers=block.num_layers,
    )


def block_sizes(blocks: Sequence[Block], encoder: EncoderSizes | None = None) -> tuple[BlockSize, ...]:
    """Carry sizes through a checked graph's blocks.

    Args:
        blocks: From input to target.
        encoder: The sizes of the encoder as it was built; None takes those that its block declares.
    """
    return tuple(_sizes(blocks, encoder))


def _sizes(blocks: Sequence[Block], encoder: EncoderSizes | None) -> Iterator[BlockSize]:
    length, width = MAX_SEQUENCE_LENGTH, None
    for name, block in zip(block_names(blocks), blocks, strict=True):
        count: int | None = 0
        if isinstance(block, BertTokenizer):
            length = block.sequence_length
        elif isinstance(block, ENCODER_BLOCKS):
            sizes = encoder or encoder_sizes(block)
            count, width = (sizes.num_parameters, sizes.hidden_size) if sizes else (None, None)
        elif isinstance(block, BertPooler | Dense):
            units = block.units if isinstance(block, Dense) else width
            count = None if width is None or units is None else dense_parameters(width, units)
            width = units
        yield BlockSize(
            name=name, block=block, gives=_shape(block.gives, length, width), num_parameters=count
        )


def _shape(port: Port, length: int, width: int | None) -> str:
    wide = "width unknown" if width is None else str(width)
    return {
        Port.TEXT: "(rows)",
        Port.TOKENS: f"(rows, up to {length} tokens)",
        Port.SEQUENCE: f"(rows, up to {length} tokens, {wide})",
        Port.VECTOR: f"(rows, {wide})",
        Port.PREDICTION: "(rows)",
    }[port]
