"""Our own kernels for the encoder's inner loops: products, attention and layer norm in C.

They are an optional compiled part, built where there is a C compiler when the package is installed, and used
where the processor has AVX-512 with VNNI (Intel since Cascade Lake, AMD since Zen 4). What it does, torch
does too; docs/precision.md has what each buys.
"""

from bertblocks.encoder.native.calls import missing, quantize_rows, rescale_rows, supports, takes
from bertblocks.encoder.native.layers import (
    NativeAddNorm,
    NativeLinear,
    attend,
    can_attend,
    can_normalize,
    can_train_norm,
    fits,
)
from bertblocks.encoder.native.training import add_norm_in_training, attend_in_training

__all__ = [
    "NativeAddNorm",
    "NativeLinear",
    "add_norm_in_training",
    "attend",
    "attend_in_training",
    "can_attend",
    "can_normalize",
    "can_train_norm",
    "fits",
    "missing",
    "quantize_rows",
    "rescale_rows",
    "supports",
    "takes",
]
