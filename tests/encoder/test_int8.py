"""int8 by every library that is here: by hand, against the plain layer, and at every size of batch.

Axes: T packed tokens, K what a product sums over, N output columns.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bertblocks.encoder import available_kernels, native
from bertblocks.encoder.linear import int8_layers
from bertblocks.encoder.linear.int8_layers import PlainInt8Linear, ZentorchInt8Linear, has_zentorch
from bertblocks.encoder.linear.kernels import _build
from bertblocks.encoder.linear.quantization import quantize_tokens, quantize_weight
from bertblocks.encoder.native import calls
from bertblocks.errors import ConfigError

pytestmark = pytest.mark.usefixtures("quiet_zentorch")

KERNELS = available_kernels("int8")
OTHERS = [kernels for kernels in KERNELS if kernels != "native"]
"""Those that take every width; test_native_kernels.py is about ours."""
BFLOAT16 = 2.0**-8

needs_zentorch = pytest.mark.skipif(not has_zentorch(), reason="zentorch is not installed: the extra [amd]")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer_of(kernels: str, weight_NK: Tensor, bias_N: Tensor, activation: str | None = None) -> nn.Module:
    return _build(kernels, "int8", weight_NK, bias_N, activation)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float(torch.dist(found.float(), expected) / expected.norm())


@pytest.fixture(params=["compiled", "torch alone"])
def helpers(request, monkeypatch):
    """oneDNN's layer quantizes with our compiled part where it is there, and with torch elsewhere."""
    if request.param == "torch alone":
        monkeypatch.setattr(calls, "_processor", lambda: None)
    elif native.missing():
        pytest.skip(f"native kernels: {native.missing()}")


def test_weights_by_hand():
    weight_NK = torch.tensor([[127.0, -64.0, 1.5, 2.5], [0.5, -0.25, 0.0, 0.125], [0.0, 0.0, 0.0, 0.0]])
    steps_NK, scale_N = quantize_weight(weight_NK)
    assert steps_NK.tolist() == [[127, -64, 2, 2], [127, -64, 0, 32], [0, 0, 0, 0]]
    assert torch.equal(scale_N, torch.tensor([1.0, 0.5 / 127, 0.0])) and steps_NK.dtype == torch.int8


def test_tokens_by_hand():
    steps_TK, scale_T1 = quantize_tokens(
        torch.tensor([[127.0, -64.0, 1.5, 2.5], [-254.0, 3.0, 0.0, 4.0], [0.0] * 4])
    )
    assert steps_TK.tolist() == [[127, -64, 2, 2], [-127, 2, 0, 2], [0, 0, 0, 0]]
    assert scale_T1.tolist() == [[1.0], [2.0], [0.0]]


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_product_by_hand(kernels):
    """Whole numbers throughout, small enough for bfloat16; 127 and 254 only set the scales."""
    weight_NK = torch.zeros(32, 32)
    weight_NK[0, :4] = torch.tensor([0.0, 127.0, 5.0, 7.0])  # one step is worth 1
    weight_NK[1, :4] = torch.tensor([0.0, -254.0, 10.0, 2.0])  # one step is worth 2
    bias_N = torch.tensor([0.5, -3.0, 4.0] + [0.0] * 29)
    x_TK = torch.zeros(3, 32)
    x_TK[0, :4] = torch.tensor([127.0, 0.0, 3.0, -2.0])  # one step is worth 1
    x_TK[1, :4] = torch.tensor([-254.0, 0.0, 6.0, -4.0])  # one step is worth 2
    found_TN = layer_of(kernels, weight_NK, bias_N)(x_TK.bfloat16())
    assert found_TN.dtype == torch.bfloat16
    # 3 * 5 - 2 * 7 and 2 * (3 * 5 - 2 * 1); a row of zeros gives the bias.
    assert found_TN[:, :4].tolist() == [[1.5, 23.0, 4.0, 0.0], [2.5, 49.0, 4.0, 0.0], [0.5, -3.0, 4.0, 0.0]]


@pytest.mark.parametrize("kernels", OTHERS)
@pytest.mark.parametrize(
    ("N", "K", "T"), [(32, 32, 4096), (96, 160, 4096), (768, 3072, 100), (2304, 768, 100)]
)
@pytest.mark.usefixtures("helpers")
def test_every_batch_equals_the_plain_layer_and_single_rows(kernels, N, K, T):
    weight_NK, bias_N = random(N, K) * 0.1, random(N, seed=1)
    x_TK = random(T, K, seed=2).bfloat16()
    layer = layer_of(kernels, weight_NK, bias_N, "gelu")
    found_TN = layer(x_TK)
    expected_TN = PlainInt8Linear(weight_NK, bias_N, "gelu")(x_TK).float()
    # Products of bfloat16 are rounded before the scale and the bias, and halves elsewhere than here.
    assert relative_error(found_TN, expected_TN) < 0.01
    assert relative_error(found_TN, torch.nn.functional.gelu(x_TK.float() @ weight_NK.T + bias_N)) < 0.02
    for rows in (*range(1, 41), 64, 1024):
        assert torch.equal(layer(x_TK[:rows]), found_TN[:rows]), rows


@pytest.mark.parametrize("kernels", OTHERS)
@pytest.mark.parametrize(("N", "K"), [(120, 40), (40, 24), (7, 48), (48, 7), (5, 3)])
@pytest.mark.usefixtures("helpers")
def test_odd_widths(kernels, N, K):
    weight_NK, bias_N, x_TK = random(N, K), random(N, seed=1), random(37, K, seed=2).bfloat16()
    layer = layer_of(kernels, weight_NK, bias_N)
    found_TN = layer(x_TK)
    assert relative_error(found_TN, PlainInt8Linear(weight_NK, bias_N)(x_TK).float()) < 0.02
    for rows in (1, 2, 36):
        assert torch.equal(layer(x_TK[:rows]), found_TN[:rows])


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_large_neighbour_does_not_matter(kernels):
    weight_NK, x_TK = random(64, 96), random(20, 96, seed=1).bfloat16()
    layer = layer_of(kernels, weight_NK, torch.zeros(64))
    expected_TN = layer(x_TK)
    x_TK[7] *= 10_000
    x_TK[12] = 0
    found_TN = layer(x_TK)
    others = [row for row in range(20) if row not in (7, 12)]
    assert torch.equal(found_TN[others], expected_TN[others]) and not found_TN[12].any()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("K", [32, 768, 3072])
def test_the_largest_sums_do_not_overflow(kernels, K):
    """127 * 127 * K in every product, which two bytes do not hold."""
    signs_NK = torch.ones(32, K)
    signs_NK[1], signs_NK[2, ::2] = -1, -1
    x_TK = torch.ones(4, K)
    x_TK[1], x_TK[2, ::2] = -1, -1
    x_TK[3] = 2
    found_TN = layer_of(kernels, signs_NK * 3, torch.zeros(32))(x_TK.bfloat16())
    torch.testing.assert_close(found_TN.float(), 3 * x_TK @ signs_NK.T, atol=0, rtol=2 * BFLOAT16)


# zentorch takes it for a number; in an encoder the residual carries it on.
@pytest.mark.parametrize("kernels", [kernels for kernels in KERNELS if kernels != "zentorch"])
def test_what_is_not_a_number_stays_so(kernels):
    weight_NK, x_TK = random(64, 96), random(20, 96, seed=1).bfloat16()
    layer = layer_of(kernels, weight_NK, torch.zeros(64))
    expected_TN = layer(x_TK)
    x_TK[7, 3], x_TK[12, 95] = float("nan"), float("nan")
    found_TN = layer(x_TK)
    others = [row for row in range(20) if row not in (7, 12)]
    assert found_TN[[7, 12]].isnan().all() and torch.equal(found_TN[others], expected_TN[others])


@needs_zentorch
def test_zentorchs_own_packing_answers_with_the_weights_of_another_model():
    """Why ZentorchInt8Linear packs weights itself: the call that does not is wrong after a reload."""
    int8_layers.load_zentorch()
    operator = torch.ops.zentorch.zentorch_dynamic_qlinear
    no_bias, x_TK = torch.zeros(512).bfloat16(), random(8, 256).bfloat16()
    memory_NK = torch.empty(
        512, 256, dtype=torch.int8
    )  # where one model lies, is freed, and another is loaded
    unpacked, ours = [], []
    for seed in (1, 2):
        weight_NK = random(512, 256, seed=seed)
        steps_NK, scale_N = quantize_weight(weight_NK)
        memory_NK.copy_(steps_NK)
        expected_TN = x_TK.float() @ weight_NK.T
        found_TN = operator(x_TK, memory_NK, scale_N, no_bias, is_weight_prepacked=False)
        unpacked.append(relative_error(found_TN, expected_TN))
        ours.append(relative_error(ZentorchInt8Linear(weight_NK, no_bias)(x_TK), expected_TN))
    assert max(ours) < 0.02
    assert unpacked[0] < 0.02 and unpacked[1] > 1, "if it is right, zentorch has been mended: pack as it does"


@needs_zentorch
@pytest.mark.parametrize(("K", "num_parts"), [(2048, 1), (2304, 2), (3072, 2), (4096, 2), (6144, 3)])
def test_zentorchs_long_sums_are_split(K, num_parts):
    weight_NK, x_TK = random(96, K), random(70, K, seed=1).bfloat16()
    layer = ZentorchInt8Linear(weight_NK, torch.zeros(96))
    assert layer.num_parts == num_parts
    assert relative_error(layer(x_TK), x_TK.float() @ weight_NK.T) < 0.02


@pytest.mark.parametrize(
    ("version", "fits"),
    [("2.13.0.2", True), ("2.13.1", True), ("2.12.0.1", False), ("3.13.0", False), ("2", False)],
)
def test_zentorch_must_be_of_torchs_version(version, fits, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    monkeypatch.setattr("importlib.metadata.version", lambda name: {"zentorch": version}[name])
    assert has_zentorch() is fits


@pytest.mark.parametrize("error", [ImportError("no such library"), RuntimeError("needs torch 2.12")])
def test_a_zentorch_that_cannot_be_loaded(error, monkeypatch):
    def refuse(name: str) -> None:
        raise error

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(ConfigError) as caught:
        ZentorchInt8Linear(torch.ones(32, 32), torch.zeros(32))
    assert str(caught.value) == (
        f"zentorch cannot be loaded: {error}. Install the version that belongs to torch {torch.__version__}: "
        "pip install 'bertblocks[amd]'; or choose other kernels."
    )
