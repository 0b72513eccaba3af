"""An encoder of float32 weights → one that answers in another precision, by chosen kernels."""

from __future__ import annotations

import logging
from typing import cast

import torch
from torch import nn

from bertblocks.encoder import native
from bertblocks.encoder.add_norm import AddNorm
from bertblocks.encoder.attention import SelfAttention
from bertblocks.encoder.config import Activation
from bertblocks.encoder.encoder import BertEncoder
from bertblocks.encoder.freed_memory import give_back_freed_memory
from bertblocks.encoder.layer import EncoderLayer, FeedForward
from bertblocks.encoder.linear import (
    Kernels,
    Product,
    QuantizedWeight,
    choose_kernels,
    kernel_linear,
    put_quantized,
    weight_of,
)
from bertblocks.encoder.linear.int8_layers import PlainInt8Linear
from bertblocks.errors import ConfigError

_LOG = logging.getLogger(__name__)


def to_precision(encoder: BertEncoder, precision: Product, kernels: Kernels = "auto") -> BertEncoder:
    """Convert an encoder in place, for inference, and return it.

    Layer by layer: a layer's float32 weights go as soon as it has its new ones. Residuals, norms, softmax and
    activations are bfloat16 or float32 in every precision.

    Args:
        encoder: In float32, on its device; for int8 its dense layers may be that already.
        precision: Of the products; with "int8" everything else is bfloat16.
        kernels: "auto" takes the preferred ones of this machine.

    Raises:
        ConfigError: If the kernels cannot run that precision here, or the encoder has been converted before.
    """
    if encoder.kernels is not None:
        raise ConfigError(
            f"This encoder was prepared for the {encoder.kernels} kernels before; load it again for another "
            "precision."
        )
    chosen = choose_kernels(kernels, precision, encoder.embeddings.word.weight.device)
    preparation = _Preparation(precision, chosen)
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    encoder.embeddings.to(dtype)
    for index, layer in enumerate(encoder.layers, start=1):
        attention, feed_forward = cast(EncoderLayer, layer).attention, cast(EncoderLayer, layer).feed_forward
        preparation.prepare_attention(attention, is_last=index == len(encoder.layers))
        preparation.prepare_feed_forward(feed_forward)
        layer.to(dtype)
    give_back_freed_memory()
    if chosen != "plain" and not preparation.num_taken:
        if kernels != "auto":
            _LOG.warning(
                "The %s kernels take no layer of this encoder, whose hidden size is %d and whose "
                "intermediate size %d (ours take multiples of 32): torch's own are used.",
                chosen,
                encoder.config.hidden_size,
                encoder.config.intermediate_size,
            )
        chosen = "plain"
    encoder.kernels = chosen if (precision, chosen) not in _TORCH_ALONE else None
    return encoder


# What torch does by itself: the encoder stays one that can be saved and trained.
_TORCH_ALONE = (("float32", "plain"), ("bfloat16", "plain"))


class _Preparation:
    """Puts kernels in the place of torch's layers, where they take the sizes."""

    def __init__(self, precision: Product, kernels: Kernels) -> None:
        self._precision = precision
        self._kernels = kernels
        self.num_taken = 0
        self._compiled = kernels != "plain" and native.missing() is None

    def prepare_attention(self, attention: SelfAttention, *, is_last: bool) -> None:
        D, qkv = attention.hidden_size, cast(nn.Linear, attention.qkv)
        if converted := self._linear(qkv):
            attention.qkv = converted
            if is_last:
                first_query, key_value = _rows(qkv, 0, D), _rows(qkv, D, 3 * D)
                attention.first_query = self._linear(first_query) or first_query
                attention.key_value = self._linear(key_value) or key_value
        attention.output = self._linear(cast(nn.Linear, attention.output)) or attention.output
        attention.norm = self._norm(attention.norm)
        attention.compiled = self._compiled

    def prepare_feed_forward(self, feed_forward: FeedForward) -> None:
        intermediate = cast(nn.Linear, feed_forward.intermediate)
        if fused := self._linear(intermediate, feed_forward.activation):
            feed_forward.intermediate, feed_forward.activation = fused, None
        feed_forward.output = self._linear(cast(nn.Linear, feed_forward.output)) or feed_forward.output
        feed_forward.norm = self._norm(feed_forward.norm)

    def _linear(self, linear: nn.Linear, activation: Activation | None = None) -> nn.Module | None:
        layer = kernel_linear(linear, precision=self._precision, kernels=self._kernels, activation=activation)
        self.num_taken += layer is not None and not isinstance(layer, PlainInt8Linear)
        return layer

    def _norm(self, norm: nn.Module) -> nn.Module:
        takes = self._compiled and native.can_normalize(cast(AddNorm, norm))
        return native.NativeAddNorm(cast(AddNorm, norm)) if takes else norm


def _rows(linear: nn.Linear, begin: int, end: int) -> nn.Linear:
    """A layer that gives some of another's outputs; the weights are the other's own."""
    part = nn.Linear(1, 1, device="meta")
    weight = weight_of(linear)
    if isinstance(weight, QuantizedWeight):
        put_quantized(part, QuantizedWeight(*(rows[begin:end] for rows in weight)))
    else:
        part.weight = nn.Parameter(weight[begin:end], requires_grad=False)
    part.bias = nn.Parameter(linear.bias.detach()[begin:end], requires_grad=False)
    part.in_features, part.out_features = linear.in_features, end - begin
    return part
