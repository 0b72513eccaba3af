"""The BERT encoder: packed token ids → hidden states (Devlin et al. 2018).

Axes: T packed tokens, B sequences, D hidden size.
"""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn

import bertblocks.encoder.forked  # noqa: F401 - makes children of a fork safe
from bertblocks.encoder.config import EncoderConfig
from bertblocks.encoder.embeddings import Embeddings
from bertblocks.encoder.id_range import check_ids
from bertblocks.encoder.layer import EncoderLayer
from bertblocks.encoder.linear import Kernels
from bertblocks.encoder.packing import PackedTokens
from bertblocks.errors import ShapeError

EncoderOutput = Literal["cls", "sequence"]


class BertEncoder(nn.Module):
    """The one encoder, for training and inference, on CPU and CUDA, in every precision.

    Attributes:
        config: Its sizes.
        kernels: Those that to_precision has prepared it for, which answer and do not learn; None where its
            layers are torch's own.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.kernels: Kernels | None = None
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, packed: PackedTokens, output: EncoderOutput = "cls") -> Tensor:
        """Run every layer.

        Args:
            packed: Token sequences of at most config.max_sequence_length tokens each.
            output: "cls" gives the raw first token of each sequence, and the last layer is computed for it
                alone; "sequence" gives every token.

        Returns:
            Hidden states in the weights' dtype, shape (B, D) or (T, D).

        Raises:
            ShapeError: If a sequence is longer than the position table.
            DataError: If an id is outside the vocabulary.
        """
        longest, limit = max(packed.lengths), self.config.max_sequence_length
        if longest > limit:
            raise ShapeError(f"A sequence has {longest} tokens, but the position table ends at {limit}.")
        check_ids(packed, self.config.vocab_size)
        x_TD = self.embeddings(packed)
        for layer in self.layers[:-1]:
            x_TD = layer(x_TD, packed)
        last = cast(EncoderLayer, self.layers[-1])
        return last.forward_first(x_TD, packed) if output == "cls" else last.forward(x_TD, packed)


def initialize(module: nn.Module, *, standard_deviation: float = 0.02) -> None:
    """Draw new weights as BERT does: truncated normal within two standard deviations, biases zero, norms one.

    Uses torch's global generator, so a seed set before reproduces it.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            limit = 2 * standard_deviation
            nn.init.trunc_normal_(part.weight, std=standard_deviation, a=-limit, b=limit)
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
        if isinstance(part, nn.Linear | nn.LayerNorm) and part.bias is not None:
            nn.init.zeros_(part.bias)
