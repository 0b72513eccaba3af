"""Products, activations, layer norm: each kernel against float64, at every size of batch.

Axes: T packed tokens, K what a product sums over, N output columns, D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor, nn

from bertblocks.encoder import native
from bertblocks.encoder.linear.int8_layers import PlainInt8Linear
from bertblocks.encoder.linear.quantization import quantize_tokens, quantize_weight
from bertblocks.encoder.native import NativeAddNorm, NativeLinear, calls
from bertblocks.errors import ConfigError

pytestmark = pytest.mark.skipif(native.missing() is not None, reason=f"native kernels: {native.missing()}")

TYPES = [
    pytest.param(
        dtype,
        id=name,
        marks=pytest.mark.skipif(not native.supports(dtype), reason=f"no native kernels for {name} here"),
    )
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16), ("int8", torch.int8))
]
ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda x: x,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
}
# One of 8 significant bits: what rounding to bfloat16 may change, relatively.
BFLOAT16 = 2.0**-8
# Sums of float32, relative to the sum of all terms' sizes: some dozens of roundings of 2^-24.
FLOAT32 = 1e-6


def activation_error(activation: str | None, dtype: torch.dtype) -> float:
    """simd.h: the erf form has an error of 8e-5 where bfloat16 rounds it anyway; nothing else has one."""
    return 8e-5 if activation == "gelu" and dtype != torch.float32 else 1e-6


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer_of(
    weight_NK: Tensor, bias_N: Tensor, dtype: torch.dtype, activation: str | None = None
) -> NativeLinear:
    if dtype == torch.int8:
        steps_NK, scale_N = quantize_weight(weight_NK)
        return NativeLinear(steps_NK, bias_N, scale_N=scale_N, activation=activation)
    return NativeLinear(weight_NK.to(dtype), bias_N, activation=activation)


def rows_for(layer: NativeLinear, x_TK: Tensor) -> Tensor:
    return x_TK.to(torch.float32 if layer.dtype == torch.float32 else torch.bfloat16)


def exact_sum(weight_NK: Tensor, bias_N: Tensor, dtype: torch.dtype, x_TK: Tensor) -> tuple[Tensor, Tensor]:
    """x Wᵀ + bias in float64 from what the kernel is given, and the size of its terms; int8's are whole."""
    x_TK, weight_NK = x_TK.double(), weight_NK.to(dtype if dtype != torch.int8 else torch.float32).double()
    factor = torch.ones(1, dtype=torch.float64)
    if dtype == torch.int8:
        (x_TK, scale_T1), (weight_NK, scale_N) = quantize_tokens(x_TK), quantize_weight(weight_NK)
        x_TK, weight_NK, factor = x_TK.double(), weight_NK.double(), scale_T1.double() * scale_N
    sum_TN, size_TN = x_TK @ weight_NK.T * factor, x_TK.abs() @ weight_NK.abs().T * factor
    return sum_TN + bias_N, (sum_TN.abs() if dtype == torch.int8 else size_TN) + bias_N.abs()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("N", "K", "T"), [(32, 32, 4096), (96, 160, 4096), (160, 96, 4096), (3072, 768, 100), (768, 3072, 100)]
)
@pytest.mark.parametrize("dtype", TYPES)
def test_products_equal_float64_and_do_not_know_their_neighbours(dtype, N, K, T, activation):
    weight_NK, bias_N = random(N, K) * 0.1, random(N, seed=1)
    layer = layer_of(weight_NK, bias_N, dtype, activation)
    x_TK = rows_for(layer, random(T, K, seed=2))
    found_TN = layer(x_TK)
    sum_TN, size_TN = exact_sum(weight_NK, bias_N, dtype, x_TK)
    expected_TN = ACTIVATIONS[activation](sum_TN)
    # No activation is steeper than 1.13.
    allowed = 1.13 * FLOAT32 * size_TN + activation_error(activation, dtype)
    if found_TN.dtype == torch.bfloat16:
        allowed += BFLOAT16 * expected_TN.abs()
    assert ((found_TN.double() - expected_TN).abs() <= allowed).all()
    for rows in (*range(1, 41), 64, 100, 1024):
        assert torch.equal(layer(x_TK[:rows]), found_TN[:rows]), rows


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_int8_rounds_as_the_plain_layer_does(activation):
    weight_NK, bias_N = random(96, 768) * 0.1, random(96, seed=1)
    plain = PlainInt8Linear(weight_NK, bias_N, activation)
    layer = layer_of(weight_NK, bias_N, torch.int8, activation)
    x_TK = (random(500, 768, seed=2) * 3).bfloat16()
    bytes_TK, scale_T = native.quantize_rows(x_TK)
    steps_TK, scale_T1 = quantize_tokens(x_TK)
    assert torch.equal(bytes_TK.float() - 128, steps_TK) and torch.equal(scale_T, scale_T1[:, 0])
    found_TN, expected_TN = layer(x_TK).float(), plain(x_TK).float()
    # The last bit of bfloat16, where the float32 sums fall on two sides of a half.
    allowed = 2 * BFLOAT16 * expected_TN.abs() + activation_error(activation, torch.int8)
    assert ((found_TN - expected_TN).abs() <= allowed).all()
    if activation in (None, "relu"):
        assert (found_TN != expected_TN).float().mean() < 0.001


def test_int8_halves_are_rounded_to_even_and_tiny_rows_are_zero():
    rows = torch.zeros(5, 32)
    rows[0, :4] = torch.tensor([1.0, 0.5, -0.5, -1.0])  # 0.5 is 63.5 steps
    rows[1, :4] = torch.tensor([254.0, 3.0, 5.0, -3.0])  # 1.5, 2.5 and -1.5 steps
    rows[3], rows[4, 0] = 1e-38, 1e-30
    for found_TK in (native.quantize_rows(rows.bfloat16())[0].int() - 128, quantize_tokens(rows)[0].int()):
        assert found_TK[0, :5].tolist() == [127, 64, -64, -127, 0]
        assert found_TK[1, :5].tolist() == [127, 2, 2, -2, 0]
        assert not found_TK[2:4].any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", TYPES)
def test_activations_from_end_to_end(dtype, activation):
    grid_N = torch.linspace(-30, 30, 32 * 2000)
    grid_N[:6] = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 1e-40, -1e-40])
    layer = layer_of(torch.zeros(len(grid_N), 32), grid_N, dtype, activation)
    found_N = layer(rows_for(layer, torch.zeros(1, 32)))[0].double()
    expected_N = ACTIVATIONS[activation](grid_N.double())
    allowed = torch.full_like(expected_N, activation_error(activation, dtype))
    if dtype != torch.float32:
        allowed += BFLOAT16 * expected_N.abs()
    assert ((found_N - expected_N).abs() <= allowed).all()
    assert found_N[:2].tolist() == [0.0, 0.0] and torch.isfinite(found_N).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", TYPES)
def test_what_is_not_a_number_stays_so(dtype, activation):
    weight_NK, bias_N = random(32, 64), torch.zeros(32)
    layer = layer_of(weight_NK, bias_N, dtype, activation)
    x_TK = rows_for(layer, random(40, 64))
    expected_TN = layer(x_TK)
    x_TK[3, 5], x_TK[20, 63], x_TK[21, 0] = float("nan"), float("nan"), float("inf")
    found_TN = layer(x_TK)
    assert found_TN[[3, 20]].isnan().all() and not found_TN[21].isfinite().all()
    others = [row for row in range(40) if row not in (3, 20, 21)]
    assert torch.equal(found_TN[others], expected_TN[others])


@pytest.mark.parametrize("D", [32, 96, 160, 768, 3072, 8192])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_equal_float64(dtype, D):
    norm = nn.LayerNorm(D, eps=1e-12).requires_grad_(False)
    norm.weight.copy_(random(D)), norm.bias.copy_(random(D, seed=1))
    kernel = NativeAddNorm(norm)
    x_TD, residual_TD = random(41, D, seed=2).to(dtype), (random(41, D, seed=3) + 5).to(dtype)
    x_TD[7] = residual_TD[7] = 0
    found_TD = kernel(x_TD, residual_TD)
    expected_TD = F.layer_norm(
        x_TD.double() + residual_TD, (D,), norm.weight.double(), norm.bias.double(), 1e-12
    )
    allowed = 2e-5 + (BFLOAT16 * expected_TD.abs() if dtype == torch.bfloat16 else 0)
    assert ((found_TD.double() - expected_TD).abs() <= allowed).all()
    assert torch.equal(found_TD[7], norm.bias.to(dtype)), "a row without variance"
    for rows in (1, 2, 40):
        assert torch.equal(kernel(x_TD[:rows], residual_TD[:rows]), found_TD[:rows])


def test_widths_that_are_taken():
    assert native.can_normalize(nn.LayerNorm(8192)) and not native.can_normalize(nn.LayerNorm(8192 + 32))
    assert not native.can_normalize(nn.LayerNorm(48))
    assert native.fits(nn.Linear(96, 32))
    assert not native.fits(nn.Linear(96, 40)) and not native.fits(nn.Linear(40, 96))
    assert native.takes(96) and not native.takes(40)


def operations() -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """A kernel with its input, 13 rows of it, by name."""
    weight_NK, bias_N = random(96, 64), random(96, seed=1)
    layers: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {}
    for dtype in (torch.float32, torch.bfloat16, torch.int8):
        if native.supports(dtype):
            layer = layer_of(weight_NK, bias_N, dtype, "gelu")
            layers[f"linear {dtype}"] = layer, (rows_for(layer, random(13, 64, seed=2)),)
    for dtype in (torch.float32, torch.bfloat16):
        rows = random(13, 96, seed=2).to(dtype), random(13, 96, seed=3).to(dtype)
        layers[f"norm {dtype}"] = NativeAddNorm(nn.LayerNorm(96)), rows
    return layers


NAMES = [
    "linear torch.float32",
    "linear torch.bfloat16",
    "linear torch.int8",
    "norm torch.float32",
    "norm torch.bfloat16",
]


def between_guards(x: Tensor, byte: int) -> Tensor:
    """The same values in the middle of other memory."""
    size = x.numel() * x.element_size()
    memory = torch.full((size + 2 * GUARD,), byte, dtype=torch.uint8)
    memory[GUARD : GUARD + size].view(x.dtype).view(x.shape).copy_(x)
    return memory[GUARD : GUARD + size].view(x.dtype).view(x.shape)


GUARD = 4096


class GuardedTorch:
    """torch, but its new tensors lie between guards; check() looks whether they still stand."""

    def __init__(self, byte: int) -> None:
        self.byte = byte
        self.made: list[Tensor] = []

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)

    def empty(self, *shape: int | tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        self.made.append(between_guards(torch.zeros(*shape, dtype=dtype), self.byte))
        return self.made[-1]

    def empty_like(self, x: Tensor) -> Tensor:
        return self.empty(x.shape, dtype=x.dtype)

    def check(self) -> int:
        for x in self.made:
            memory = torch.empty(0, dtype=torch.uint8).set_(x.untyped_storage())
            assert (memory[:GUARD] == self.byte).all() and (memory[-GUARD:] == self.byte).all()
        return len(self.made)


@pytest.mark.parametrize("name", NAMES)
def test_memory_around_does_not_matter_and_is_left_alone(name, monkeypatch):
    if name not in operations():
        pytest.skip(f"no native kernels for {name} here")
    layer, inputs = operations()[name]
    expected = layer(*inputs)
    for byte in (0xFF, 0x7B):  # NaN in every float, and a number
        guarded = GuardedTorch(byte)
        monkeypatch.setattr(calls, "torch", guarded)
        layer, inputs = operations()[name]
        for buffer_name, buffer in layer.named_buffers():
            layer.register_buffer(buffer_name, between_guards(buffer, byte))
        assert torch.equal(layer(*(between_guards(x, byte) for x in inputs)), expected)
        assert guarded.check() >= 1
        monkeypatch.undo()


@pytest.mark.parametrize("name", NAMES)
def test_threads_do_not_matter(name, threads):
    if name not in operations():
        pytest.skip(f"no native kernels for {name} here")
    layer, inputs = operations()[name]
    inputs = tuple(x.repeat(100, 1) for x in inputs)
    expected = layer(*inputs)
    for number in (2, 3):
        threads(number)
        assert torch.equal(layer(*inputs), expected)


def test_what_would_be_read_as_something_else_is_refused():
    layer = layer_of(random(32, 64), torch.zeros(32), torch.float32)
    with pytest.raises(ConfigError) as caught:
        layer(torch.zeros(2, 64, dtype=torch.bfloat16))
    assert str(caught.value) == (
        "The native kernels were prepared for rows of 64 in torch.float32 on the CPU, but found rows of 64 "
        "in torch.bfloat16 on cpu. A prepared encoder cannot be converted or moved, nor run under "
        "torch.autocast: load the model again for another precision or device."
    )
    with pytest.raises(ConfigError, match=r"but found rows of 32 in torch.float32 on cpu"):
        layer(torch.zeros(2, 32))
    with pytest.raises(ConfigError, match=r"but found rows of 64 in torch.float32 on meta"):
        layer(torch.zeros(2, 64, device="meta"))
    with pytest.raises(ConfigError, match=r"rows of 64 in torch.bfloat16 on the CPU, but found"):
        layer_of(random(32, 64), torch.zeros(32), torch.int8)(torch.zeros(2, 64))
    with pytest.raises(ConfigError, match=r"rows of 64 in torch.bfloat16 on the CPU, but found"):
        NativeAddNorm(nn.LayerNorm(64))(torch.zeros(2, 64), torch.zeros(2, 64, dtype=torch.bfloat16))
