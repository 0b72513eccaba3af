"""The matrix products: their precisions, and the kernels that run them."""

from bertblocks.encoder.linear.kernels import (
    Kernels,
    Product,
    available_kernels,
    choose_kernels,
    kernel_linear,
)
from bertblocks.encoder.linear.precision import (
    Precision,
    TrainingPrecision,
    choose_precision,
    choose_training_precision,
    resolve_device,
)
from bertblocks.encoder.linear.quantization import (
    QuantizedWeight,
    put_quantized,
    quantize_weight,
    weight_of,
)

__all__ = [
    "Kernels",
    "Precision",
    "Product",
    "QuantizedWeight",
    "TrainingPrecision",
    "available_kernels",
    "choose_kernels",
    "choose_precision",
    "choose_training_precision",
    "kernel_linear",
    "put_quantized",
    "quantize_weight",
    "resolve_device",
    "weight_of",
]
