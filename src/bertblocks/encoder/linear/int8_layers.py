"""Dense layers with int8 weights, by the library that multiplies: zentorch, oneDNN, or torch alone.

Axes: T packed tokens, K what a product sums over, N output columns.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor

from bertblocks.encoder import native
from bertblocks.encoder.activations import activate
from bertblocks.encoder.config import Activation
from bertblocks.encoder.inference_only import InferenceOnly, require_no_gradient
from bertblocks.encoder.linear.quantization import LARGEST, QuantizedWeight, as_quantized, quantize_tokens
from bertblocks.errors import ConfigError

# zentorch 2.13.0.2 gives wrong sums, without an error, where K is 2,304 or more on an AMD EPYC of family 26;
# 2,048 is right. Longer sums are made of two or more.
_ZENTORCH_LONGEST_SUM = 2048


# oneDNN's output scale, zero point and type, and what is done after the product: nothing.
_AS_BFLOAT16: tuple[Any, ...] = (1.0, 0, torch.bfloat16, "none", [], "")


class PlainInt8Linear(InferenceOnly):
    """The reference: the same rounding, with products in float32; runs everywhere, no faster than float32."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(
        self, weight: Tensor | QuantizedWeight, bias_N: Tensor, activation: Activation | None = None
    ) -> None:
        super().__init__()
        steps_NK, scale_N = as_quantized(weight)
        self.activation = activation
        self.register_buffer("weight", steps_NK)
        self.register_buffer("scale", scale_N)
        self.register_buffer("bias", bias_N.detach().float().clone())

    def forward(self, x_TK: Tensor) -> Tensor:
        """activation(x Wᵀ + bias), shape (T, N), bfloat16."""
        require_no_gradient(x_TK)
        steps_TK, scale_T1 = quantize_tokens(x_TK)
        product_TN = F.linear(steps_TK, self.weight.float())
        y_TN = torch.addcmul(self.bias, product_TN * scale_T1, self.scale)
        return activate(y_TN, self.activation).bfloat16()


class OneDnnInt8Linear(InferenceOnly):
    """oneDNN's product, for every x86 with VNNI or AMX.

    oneDNN knows one activation scale for all rows. So it is given bytes with a scale of 1, and each row is
    scaled afterwards, in bfloat16, whose relative error is the same at every scale.
    """

    steps: Tensor
    scale: Tensor
    zero_point: Tensor
    bias: Tensor

    def __init__(
        self, weight: Tensor | QuantizedWeight, bias_N: Tensor, activation: Activation | None = None
    ) -> None:
        super().__init__()
        steps_NK, scale_N = as_quantized(weight)
        self.activation = activation
        self.register_buffer("steps", steps_NK)
        self.register_buffer("scale", scale_N)
        self.register_buffer("zero_point", torch.zeros(len(scale_N), dtype=torch.int32))
        self.register_buffer("bias", bias_N.detach().float().clone())
        self._packed = _onednn_packed(steps_NK)

    def forward(self, x_TK: Tensor) -> Tensor:
        """activation(x Wᵀ + bias), shape (T, N), bfloat16."""
        require_no_gradient(x_TK)
        q_TK, scale_T1 = _bytes(x_TK.contiguous())
        product_TN: Tensor = torch.ops.onednn.qlinear_pointwise(
            q_TK, 1.0, 128, self._packed, self.scale, self.zero_point, None, *_AS_BFLOAT16
        )
        if native.takes(product_TN.shape[1]):
            return native.rescale_rows(product_TN, scale_T1, self.bias, self.activation)
        y_TN = torch.addcmul(self.bias, product_TN, scale_T1)
        return activate(y_TN.bfloat16(), self.activation)

    # The packed weights are oneDNN's own and cannot be pickled: they are packed anew.
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_packed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._require(has_onednn(), "oneDNN")
        self._packed = _onednn_packed(self.steps)


def has_onednn() -> bool:
    """Whether torch has oneDNN's int8 products, and the processor the instructions for them."""
    has_library: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_library and torch.cpu._is_avx512_supported() and torch.cpu._is_vnni_supported()


def _onednn_packed(steps_NK: Tensor) -> Tensor:
    # The number of rows is a hint; others work as well.
    packed: Tensor = torch.ops.onednn.qlinear_prepack(steps_NK, [256, steps_NK.shape[1]])
    return packed


def _bytes(x_TK: Tensor) -> tuple[Tensor, Tensor]:
    """Steps as bytes with 128 for zero, uint8 (T, K), and what one is worth, float32 (T, 1)."""
    if native.takes(x_TK.shape[1]):
        q_TK, scale_T = native.quantize_rows(x_TK)
        return q_TK, scale_T[:, None]
    scale_T1 = torch.linalg.vector_norm(x_TK, torch.inf, dim=1, keepdim=True).float() / LARGEST
    inverse_T1 = scale_T1.clamp_min(torch.finfo(torch.float32).tiny).reciprocal()
    # Adding 1/2 before the fraction is cut off rounds, in one pass less.
    shifted_TK = torch.addcmul(torch.tensor(128.5), x_TK, inverse_T1)
    return shifted_TK.to(torch.uint8), scale_T1


class ZentorchInt8Linear(InferenceOnly):
    """zentorch's product, for AMD; it quantizes each token itself.

    Its weights are packed here and owned by this layer: the form of the operator that packs them itself keeps
    them by address, and answers with another model's weights after one is freed and another loaded.
    """

    scale: Tensor
    bias: Tensor
    no_bias: Tensor

    def __init__(
        self, weight: Tensor | QuantizedWeight, bias_N: Tensor, activation: Activation | None = None
    ) -> None:
        super().__init__()
        load_zentorch()
        steps_NK, scale_N = as_quantized(weight)
        self.activation = activation
        self.num_parts = -(-steps_NK.shape[1] // _ZENTORCH_LONGEST_SUM)
        self.register_buffer("scale", scale_N)
        self.register_buffer("bias", bias_N.detach().bfloat16())
        self.register_buffer("no_bias", torch.zeros_like(self.bias))
        for index, part in enumerate(steps_NK.chunk(self.num_parts, dim=1)):
            packed = torch.ops.zentorch.zentorch_weight_prepack_for_dynamic_qlinear(part.contiguous())
            self.register_buffer(f"packed_{index}", packed)

    def forward(self, x_TK: Tensor) -> Tensor:
        """activation(x Wᵀ + bias), shape (T, N), bfloat16."""
        require_no_gradient(x_TK)
        parts = x_TK.chunk(self.num_parts, dim=1)
        y_TN = self._product(parts[0], 0, self.bias)
        for index, part in enumerate(parts[1:], start=1):
            y_TN += self._product(part, index, self.no_bias)
        return activate(y_TN, self.activation)

    def _product(self, x_TK: Tensor, part: int, bias_N: Tensor) -> Tensor:
        operator, packed = torch.ops.zentorch.zentorch_dynamic_qlinear, getattr(self, f"packed_{part}")
        return cast(Tensor, operator(x_TK.contiguous(), packed, self.scale, bias_N, is_weight_prepacked=True))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._require(has_zentorch(), "zentorch")
        load_zentorch()


def has_zentorch() -> bool:
    """Whether zentorch is installed in a version for this torch; it is not imported, which takes seconds."""
    try:
        version = importlib.metadata.version("zentorch")
    except importlib.metadata.PackageNotFoundError:
        return False
    return version.split(".")[:2] == torch.__version__.split(".")[:2]


def load_zentorch() -> None:
    """Import zentorch, which registers its operators.

    Raises:
        ConfigError: If it is not there, or refuses to be loaded.
    """
    try:
        importlib.import_module("zentorch")
    except (ImportError, RuntimeError) as error:
        raise ConfigError(
            f"zentorch cannot be loaded: {error}. Install the version that belongs to torch "
            f"{torch.__version__}: pip install 'bertblocks[amd]'; or choose other kernels."
        ) from error
