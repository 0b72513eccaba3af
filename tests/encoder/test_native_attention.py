"""The attention kernel against float64, over packed sequences of every length.

Axes: T packed tokens, B sequences, N heads, H head width, L tokens of one sequence.
"""

from __future__ import annotations

import ctypes
import struct
from itertools import accumulate

import pytest
import torch
from torch import Tensor

from bertblocks.encoder import native
from bertblocks.encoder.native import calls

pytestmark = pytest.mark.skipif(native.missing() is not None, reason=f"native kernels: {native.missing()}")

LENGTHS = [1, 2, 31, 32, 33, 63, 64, 65, 512, 11, 12, 13, 1]
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
# Weights of bfloat16 are rounded once, and so are results; float32 has exp's and the sums' errors.
ERROR = {torch.float32: 2e-6, torch.bfloat16: 2.0**-8}


def offsets(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def random_qkv(lengths: list[int], N: int, H: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Queries, keys and values side by side, as one product gives them: (T, 3, N, H)."""
    return torch.randn(sum(lengths), 3, N, H, generator=torch.Generator().manual_seed(seed)).to(dtype)


def exact(q: Tensor, k_TNH: Tensor, v_TNH: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Attention in float64, and the same weights over the values' sizes; q may be of first tokens."""
    mixed, sizes = [], []
    for b, (k_LNH, v_LNH) in enumerate(zip(k_TNH.split(lengths), v_TNH.split(lengths), strict=True)):
        own = q.split(lengths)[b] if len(q) == len(k_TNH) else q[b : b + 1]
        scores = torch.einsum("qnh,knh->nqk", own.double(), k_LNH.double()) / q.shape[-1] ** 0.5
        for into, values in ((mixed, v_LNH), (sizes, v_LNH.abs())):
            into.append(torch.einsum("nqk,knh->qnh", scores.softmax(-1), values.double()).flatten(1))
    return torch.cat(mixed), torch.cat(sizes)


def assert_near(found: Tensor, expected: Tensor, sizes: Tensor) -> None:
    allowed = ERROR[found.dtype] * (sizes + (expected.abs() if found.dtype == torch.bfloat16 else 0)) + 1e-30
    assert ((found.double() - expected).abs() <= allowed).all()


@TYPES
@pytest.mark.parametrize(("N", "H"), [(1, 32), (3, 32), (2, 64), (3, 96), (1, 128)])
def test_packed_sequences_equal_float64(dtype, N, H):
    q, k, v = random_qkv(LENGTHS, N, H, dtype).unbind(1)
    found = native.attend(q, k, v, offsets(LENGTHS), first_only=False)
    assert found.dtype == dtype and found.shape == (sum(LENGTHS), N * H)
    assert_near(found, *exact(q, k, v, LENGTHS))


@TYPES
@pytest.mark.parametrize(("N", "H"), [(3, 32), (2, 64)])
def test_first_tokens_equal_float64_and_the_whole(dtype, N, H):
    qkv = random_qkv(LENGTHS, N, H, dtype)
    q, k, v = qkv.unbind(1)
    first = q[offsets(LENGTHS)[:-1]]
    kv = qkv[:, 1:].contiguous().unbind(1)
    found = native.attend(first, *kv, offsets(LENGTHS), first_only=True)
    assert_near(found, *exact(first, k, v, LENGTHS))
    whole = native.attend(q, k, v, offsets(LENGTHS), first_only=False)
    assert torch.equal(found, whole[offsets(LENGTHS)[:-1]])


@TYPES
def test_sequences_do_not_know_their_neighbours(dtype, threads):
    qkv = random_qkv(LENGTHS, 2, 32, dtype)
    together = native.attend(*qkv.unbind(1), offsets(LENGTHS), first_only=False)
    for own, expected in zip(qkv.split(LENGTHS), together.split(LENGTHS), strict=True):
        found = native.attend(*own.clone().unbind(1), offsets([len(own)]), first_only=False)
        assert torch.equal(found, expected)
    for number in (2, 3):
        threads(number)
        assert torch.equal(native.attend(*qkv.unbind(1), offsets(LENGTHS), first_only=False), together)


@TYPES
@pytest.mark.parametrize("garbage", [float("nan"), 1e30])
def test_memory_around_does_not_matter(dtype, garbage):
    lengths = [5, 33, 1]
    qkv = random_qkv(lengths, 2, 32, dtype)
    memory = torch.full((sum(lengths) + 128, 3, 2, 32), garbage, dtype=dtype)
    memory[64:-64] = qkv
    found = native.attend(*memory[64:-64].unbind(1), offsets(lengths), first_only=False)
    assert torch.equal(found, native.attend(*qkv.unbind(1), offsets(lengths), first_only=False))


@TYPES
@pytest.mark.parametrize("L", [1, 7, 33, 100])
def test_equal_scores_give_the_mean(dtype, L):
    qkv = random_qkv([L], 2, 32, dtype)
    for query, key in ((0.0, 3.0), (2.0, 0.0), (1.0, 1.0), (100.0, 100.0), (-100.0, 100.0)):
        qkv[:, 0], qkv[:, 1] = query, key
        found = native.attend(*qkv.unbind(1), offsets([L]), first_only=False)
        mean = qkv[:, 2].double().mean(0).flatten().expand(L, -1)
        assert_near(found, mean, qkv[:, 2].double().abs().mean(0).flatten().expand(L, -1))


@TYPES
@pytest.mark.parametrize("size", [1e2, 1e6, 1e17])
def test_one_score_far_above_the_others_takes_all(dtype, size):
    L = 50
    qkv = random_qkv([L], 2, 32, dtype)
    qkv[:, 0], qkv[:, 1] = size, -size
    qkv[37, 1] = size
    found = native.attend(*qkv.unbind(1), offsets([L]), first_only=False)
    # The others' weights are 2^-126, the smallest that is not 0.
    assert torch.equal(found, qkv[37, 2].flatten().expand(L, -1))


@TYPES
def test_scores_far_below_zero_count_by_their_differences(dtype):
    """Steps of whole numbers, so that scores are exact: -40,000 less a step, in units of 1 / √32."""
    L = 50
    qkv = random_qkv([L], 1, 32, dtype)
    qkv[:, :2] = 0
    qkv[:, 0, :, 0], qkv[:, 1, :, 0] = -200.0, 200.0
    qkv[:, 0, :, 1], qkv[:, 1, :, 1] = 1.0, torch.arange(L).to(dtype)[:, None]
    found = native.attend(*qkv.unbind(1), offsets([L]), first_only=False)
    expected, sizes = exact(*qkv.unbind(1), [L])
    # 40,000 / √32 * log2(e) has a last bit of 2^-10 in float32.
    assert ((found.double() - expected).abs() <= (2.0**-9 + 2 * ERROR[dtype]) * sizes).all()


@TYPES
@pytest.mark.parametrize("part", [0, 1, 2])
def test_what_is_not_a_number_stays_in_its_sequence(dtype, part):
    lengths = [20, 40, 20]
    qkv = random_qkv(lengths, 2, 32, dtype)
    expected = native.attend(*qkv.unbind(1), offsets(lengths), first_only=False)
    qkv[25, part] = float("nan")
    found = native.attend(*qkv.unbind(1), offsets(lengths), first_only=False)
    if part == 0:
        assert found[25].isnan().all() and not found[26:60].isnan().any()
    else:
        assert found[20:60].isnan().all()
    assert torch.equal(found[:20], expected[:20]) and torch.equal(found[60:], expected[60:])


def test_processors_without_the_instruction_for_bfloat16():
    """The form for Cascade Lake and Ice Lake, which module.c does not choose on newer ones."""
    N, H = 2, 64
    q, k, v = random_qkv(LENGTHS, N, H, torch.bfloat16).unbind(1)
    starts = offsets(LENGTHS)
    out = torch.empty(sum(LENGTHS), N * H, dtype=torch.bfloat16)
    fields = (q.data_ptr(), k.data_ptr(), v.data_ptr(), q.stride(0), k.stride(0), starts.data_ptr())
    # kernels.h, struct attention; what follows `out` is for training, and zero here.
    arguments = struct.pack("9qi4xq", *fields, len(LENGTHS), N, H, 0, out.data_ptr()) + bytes(256)
    kernel = ctypes.CDLL(calls._kernels.__file__).attention_widened
    assert kernel(ctypes.c_char_p(arguments), 1) == 0
    assert_near(out, *exact(q, k, v, LENGTHS))
