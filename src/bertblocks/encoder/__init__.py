"""Token ids → vectors: the packed BERT encoder. Knows no files and no text."""

from bertblocks.encoder.config import Activation, EncoderConfig, Family
from bertblocks.encoder.encoder import BertEncoder, EncoderOutput, initialize
from bertblocks.encoder.head import DenseActivation, DenseLayer
from bertblocks.encoder.linear import (
    Kernels,
    Precision,
    Product,
    QuantizedWeight,
    TrainingPrecision,
    available_kernels,
    choose_kernels,
    choose_precision,
    choose_training_precision,
    put_quantized,
    quantize_weight,
    resolve_device,
)
from bertblocks.encoder.packing import PackedTokens
from bertblocks.encoder.pooling import Pooling, WindowPooling, combine_windows, pool
from bertblocks.encoder.prepare import to_precision

__all__ = [
    "Activation",
    "BertEncoder",
    "DenseActivation",
    "DenseLayer",
    "EncoderConfig",
    "EncoderOutput",
    "Family",
    "Kernels",
    "PackedTokens",
    "Pooling",
    "Precision",
    "Product",
    "QuantizedWeight",
    "TrainingPrecision",
    "WindowPooling",
    "available_kernels",
    "choose_kernels",
    "choose_precision",
    "choose_training_precision",
    "combine_windows",
    "initialize",
    "pool",
    "put_quantized",
    "quantize_weight",
    "resolve_device",
    "to_precision",
]
