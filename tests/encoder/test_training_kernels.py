"""The kernels' way back, against torch's own in float64."""

import weakref

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch.utils.checkpoint import checkpoint

from bertblocks.encoder import BertEncoder, EncoderConfig, PackedTokens, initialize, native
from bertblocks.encoder.native import calls, training
from bertblocks.errors import ConfigError

pytestmark = pytest.mark.skipif(native.missing() is not None, reason=f"no kernels: {native.missing()}")

LENGTHS = (1, 2, 3, 16, 31, 33, 64, 65)
BOUNDS = {torch.float32: 1e-6, torch.bfloat16: 4e-3}


def offsets(lengths):
    return torch.tensor([0, *lengths]).cumsum(0).int()


def reference(parts, lengths):
    """torch's attention of each sequence by itself, in float64."""
    mixed = []
    for sequence in parts.split(list(lengths)):
        q, k, v = sequence.transpose(0, 2).transpose(0, 1)
        mixed.append(F.scaled_dot_product_attention(q[None], k[None], v[None])[0].transpose(0, 1).flatten(1))
    return torch.cat(mixed)


def relative_error(found, expected):
    return float((found.detach().double() - expected.detach()).norm() / expected.detach().norm())


@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
@pytest.mark.parametrize(("num_heads", "width"), [(2, 32), (1, 64), (3, 96)])
@pytest.mark.parametrize("first_only", [False, True])
def test_attention_has_torchs_gradient(dtype, num_heads, width, first_only):
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(sum(LENGTHS), 3, num_heads, width, generator=generator).to(dtype).requires_grad_()
    exact = parts.detach().double().requires_grad_()
    cu_seqlens = offsets(LENGTHS)
    expected = reference(exact, LENGTHS)
    if first_only:
        first = cu_seqlens[:-1].long()
        found = native.attend_in_training(parts[:, 1:].contiguous(), parts[first, 0], cu_seqlens, dropout=0.0)
        expected = expected[first]
    else:
        found = native.attend_in_training(parts, None, cu_seqlens, dropout=0.0)
    d_out = torch.randn(found.shape, generator=generator).to(dtype)
    found.backward(d_out)
    expected.backward(d_out.double())
    assert relative_error(found, expected) < BOUNDS[dtype]
    assert relative_error(parts.grad, exact.grad) < BOUNDS[dtype]


def test_attentions_way_back_draws_the_mask_of_the_way_there():
    # The result is linear in the values: the gradient times a change of them is the change of the result.
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(70, 3, 2, 32, generator=generator).requires_grad_()
    change = torch.zeros_like(parts)
    change[:, 2] = torch.randn(70, 2, 32, generator=generator)
    cu_seqlens, wanted = offsets((40, 30)), torch.randn(70, 64, generator=generator)

    def result(values):
        return (training._Attention.apply(values, None, cu_seqlens, 0.3, 99) * wanted).double().sum()

    result(parts).backward()
    expected = result(parts.detach() + change) - result(parts.detach())
    assert float((parts.grad * change).double().sum()) == pytest.approx(float(expected), rel=1e-4)


def test_dropout_of_attention_keeps_the_mean_and_differs_by_seed():
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(20, 3, 1, 32, generator=generator)
    cu_seqlens = offsets((20,))
    whole = training._Attention.apply(parts, None, cu_seqlens, 0.0, 0)
    dropped = torch.stack([training._Attention.apply(parts, None, cu_seqlens, 0.2, s) for s in range(1000)])
    assert float((dropped.mean(0) - whole).abs().max()) < 0.06
    assert not torch.equal(dropped[0], dropped[1])


@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
def test_add_norm_has_torchs_gradient(dtype):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=generator) for shape in ((37, 96), (37, 96), (96,), (96,))]
    tensors[0] = tensors[0].to(dtype)
    own = [tensor.clone().requires_grad_() for tensor in tensors]
    exact = [tensor.double().requires_grad_() for tensor in tensors]
    found = native.add_norm_in_training(*own, eps=1e-12, dropout=0.0)
    expected = F.layer_norm(exact[0] + exact[1], (96,), exact[2], exact[3], 1e-12)
    dy = torch.randn(37, 96, generator=generator)
    found.backward(dy)
    expected.backward(dy.double())
    assert relative_error(found, expected) < 1e-6
    for mine, theirs in zip(own, exact, strict=True):
        bound = BOUNDS[dtype] if mine is own[0] else 1e-6
        assert mine.grad.dtype == mine.dtype
        assert relative_error(mine.grad, theirs.grad) < bound


def test_dropout_keeps_as_many_as_it_should_in_every_row_and_column():
    rows, columns = 2000, 768
    ones, zeros = torch.ones(rows, columns), torch.zeros(rows, columns)
    _, found = calls.norm_forward(ones, zeros, ones[0], zeros[0], eps=1e-12, dropout=0.1, seed=7)
    kept = found.sum_TD > 0
    assert torch.equal(found.sum_TD[kept], torch.full((int(kept.sum()),), 1 / 0.9))
    # Standard deviations of means of 768, 2,000 and all independent draws of variance 0.09.
    assert float(kept.float().mean()) == pytest.approx(0.9, abs=5 * (0.09 / kept.numel()) ** 0.5)
    assert float(kept.float().mean(1).std()) == pytest.approx((0.09 / columns) ** 0.5, rel=0.1)
    assert float(kept.float().mean(0).std()) == pytest.approx((0.09 / rows) ** 0.5, rel=0.1)
    # Neighbours do not know each other.
    assert float((kept[:, 1:] == kept[:, :-1]).float().mean()) == pytest.approx(0.82, abs=0.003)
    assert float((kept[1:] == kept[:-1]).float().mean()) == pytest.approx(0.82, abs=0.003)


def test_norms_mask_is_that_of_its_way_back():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 64, generator=generator).requires_grad_()
    residual, weight, bias = torch.randn(9, 64, generator=generator), torch.ones(64), torch.zeros(64)
    training._AddNorm.apply(x, residual, weight, bias, 1e-12, 0.5, 3).pow(3).sum().backward()
    without = training._AddNorm.apply(x.detach() * 0, residual, weight, bias, 1e-12, 0.5, 3)
    for column in range(64):
        changed = x.detach() * 0
        changed[:, column] = 1
        reaches = (training._AddNorm.apply(changed, residual, weight, bias, 1e-12, 0.5, 3) != without).any(1)
        assert torch.equal(x.grad[:, column] != 0, reaches)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    config = EncoderConfig(
        vocab_size=50, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96,
        hidden_dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    encoder = BertEncoder(config)
    initialize(encoder)
    return encoder.train()


@pytest.mark.parametrize("output", ["cls", "sequence"])
def test_an_encoder_learns_the_same_without_the_kernels(encoder, output, monkeypatch):
    packed = PackedTokens.pack([torch.arange(1, n).numpy() for n in (5, 2, 40)])

    def gradients():
        encoder.zero_grad()
        encoder(packed, output).pow(3).sum().backward()
        return {name: weight.grad.clone() for name, weight in encoder.named_parameters()}

    with_kernels = gradients()
    monkeypatch.setattr(calls, "missing", lambda: "not for this test")
    without = gradients()
    assert any(not torch.equal(with_kernels[name], gradient) for name, gradient in without.items())
    for name, gradient in without.items():
        torch.testing.assert_close(
            with_kernels[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max())
        )


def test_the_same_seed_and_threads_give_the_same_bits(encoder):
    packed = PackedTokens.pack([torch.arange(1, n).numpy() for n in (5, 2, 40)])
    for layer in encoder.layers:
        layer.attention.dropout_probability = layer.attention.norm.dropout = (
            layer.feed_forward.norm.dropout
        ) = 0.2

    def gradient():
        torch.manual_seed(1)
        encoder.zero_grad()
        encoder(packed, "sequence").pow(3).sum().backward()
        return encoder.layers[0].attention.qkv.weight.grad.clone()

    assert torch.equal(gradient(), gradient())


def test_only_what_the_way_back_reads_is_kept():
    x = torch.randn(8, 64).requires_grad_() * 1
    residual = torch.randn(8, 64).requires_grad_() * 1
    gone = [weakref.ref(tensor) for tensor in (x, residual)]
    weight, bias = torch.ones(64).requires_grad_(), torch.zeros(64).requires_grad_()
    normed = native.add_norm_in_training(x, residual, weight, bias, eps=1e-12, dropout=0.1)
    del x, residual
    assert [reference() for reference in gone] == [None, None]
    normed.sum().backward()


def test_checkpointing_keeps_nothing_until_the_way_back(monkeypatch):
    made = []

    def forward(*arguments, **options):
        normed, kept = norm_forward(*arguments, **options)
        made.extend(weakref.ref(tensor) for tensor in kept)
        return normed, kept

    norm_forward = calls.norm_forward
    monkeypatch.setattr(calls, "norm_forward", forward)
    weight, bias = torch.ones(64).requires_grad_(), torch.zeros(64).requires_grad_()

    def layer(x):
        return native.add_norm_in_training(x, x, weight, bias, eps=1e-12, dropout=0.0)

    normed = checkpoint(layer, torch.randn(8, 64).requires_grad_(), use_reentrant=False)
    assert len(made) == 3 and all(reference() is None for reference in made)
    normed.sum().backward()
    assert weight.grad is not None


def test_weights_changed_before_the_way_back_are_noticed():
    x, weight, bias = torch.randn(8, 64).requires_grad_(), torch.ones(64).requires_grad_(), torch.zeros(64)
    normed = native.add_norm_in_training(x, x, weight, bias, eps=1e-12, dropout=0.0)
    with torch.no_grad():
        weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        normed.sum().backward()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda q, k, v, offsets: (q, k, v, offsets.long()),
        lambda q, k, v, offsets: (q.bfloat16(), k, v, offsets),
        lambda q, k, v, offsets: (q, k, v[:, :, ::2].repeat(1, 1, 2), offsets),
        lambda q, k, v, offsets: (q.transpose(1, 2).contiguous().transpose(1, 2), k, v, offsets),
    ],
)
def test_what_the_attention_kernel_would_misread_is_refused(wrong):
    q, k, v = torch.randn(5, 3, 2, 32).unbind(1)
    with pytest.raises(ConfigError, match="The attention kernel takes int32 offsets"):
        calls.attention(*wrong(q, k, v, offsets([2, 3])), first_only=False)


def test_a_sequence_without_tokens_has_no_attention():
    q, k, v = torch.randn(5, 3, 2, 32).unbind(1)
    expected = calls.attention(q, k, v, offsets([2, 3]), first_only=False)
    assert torch.equal(calls.attention(q, k, v, offsets([0, 2, 0, 3, 0]), first_only=False), expected)
