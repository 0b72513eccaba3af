"""Token ids → vectors: the packed BERT encoder. Knows no files and no text."""

from bertblocks.encoder.config import Activation, EncoderConfig, Family
from bertblocks.encoder.encoder import BertEncoder, EncoderOutput, initialize
from bertblocks.encoder.head import DenseActivation, DenseLayer
from bertblocks.encoder.linear import Precision, choose_precision, resolve_device, to_precision
from bertblocks.encoder.packing import PackedTokens
from bertblocks.encoder.pooling import Pooling, WindowPooling, combine_windows, pool

__all__ = [
    "Activation",
    "BertEncoder",
    "DenseActivation",
    "DenseLayer",
    "EncoderConfig",
    "EncoderOutput",
    "Family",
    "PackedTokens",
    "Pooling",
    "Precision",
    "WindowPooling",
    "choose_precision",
    "combine_windows",
    "initialize",
    "pool",
    "resolve_device",
    "to_precision",
]
