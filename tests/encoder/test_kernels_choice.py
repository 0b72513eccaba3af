"""Which kernels and which precision are taken, and what is said where they cannot be."""

from __future__ import annotations

import logging

import pytest
import torch
from small_encoders import packed_texts, prepared, small_encoder, states
from torch import nn

from bertblocks.encoder import (
    available_kernels,
    choose_kernels,
    choose_precision,
    choose_training_precision,
    native,
    to_precision,
)
from bertblocks.encoder.linear import kernels as kernels_module
from bertblocks.encoder.linear import precision as precision_module
from bertblocks.encoder.linear.int8_layers import PlainInt8Linear
from bertblocks.encoder.native import calls
from bertblocks.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def machine(monkeypatch):
    """Pretend a machine: what our kernels take, which libraries are there, and whether it has AMX."""

    def pretend(
        *, ours: tuple[str, ...], zentorch: bool = False, onednn: bool = False, amx: bool = False
    ) -> None:
        types = {getattr(torch, name) for name in ours}
        monkeypatch.setattr(native, "supports", lambda dtype: dtype in types)
        monkeypatch.setattr(kernels_module, "has_zentorch", lambda: zentorch)
        monkeypatch.setattr(kernels_module, "has_onednn", lambda: onednn)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)

    return pretend


@pytest.fixture
def unchecked():
    """Forgets which kernels gave right values, before and after."""
    kernels_module._is_right.cache_clear()
    yield
    kernels_module._is_right.cache_clear()


ALL = ("float32", "bfloat16", "int8")


@pytest.mark.parametrize(
    ("here", "float32", "bfloat16", "int8"),
    [
        ({"ours": ()}, "plain", "plain", "plain"),
        ({"ours": (), "onednn": True}, "plain", "plain", "onednn plain"),
        ({"ours": ALL, "onednn": True}, "native plain", "native plain", "native onednn plain"),
        ({"ours": ("float32", "int8")}, "native plain", "plain", "native plain"),
        (
            {"ours": ALL, "zentorch": True, "onednn": True},
            "native plain",
            "native plain",
            "native zentorch onednn plain",
        ),
        # AMX multiplies tiles, which our kernels do not know: oneDNN's come first, torch's own in bfloat16.
        ({"ours": ALL, "onednn": True, "amx": True}, "native plain", "plain native", "onednn native plain"),
        ({"ours": ALL, "amx": True}, "native plain", "plain native", "native plain"),
        ({"ours": (), "onednn": True, "amx": True}, "plain", "plain", "onednn plain"),
    ],
    ids=str,
)
def test_the_preferred_kernels_come_first(machine, here, float32, bfloat16, int8):
    machine(**here)
    for precision, expected in (("float32", float32), ("bfloat16", bfloat16), ("int8", int8)):
        assert " ".join(available_kernels(precision)) == expected
        assert choose_kernels("auto", precision, CPU) == expected.split()[0]
        for kernels in expected.split():
            assert choose_kernels(kernels, precision, CPU) == kernels
        assert choose_kernels("auto", precision, CUDA) == choose_kernels("plain", precision, CUDA) == "plain"


def told(call, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return str(caught.value)


def test_kernels_that_cannot_be(machine):
    machine(ours=("int8",), onednn=True)
    assert told(choose_kernels, "mkl", "int8", CPU) == (
        "kernels is 'mkl', but must be one of auto, native, zentorch, onednn, plain."
    )
    assert told(choose_kernels, "zentorch", "int8", CPU) == (
        "kernels is 'zentorch', which cannot run int8 here; there are: native, onednn, plain."
    )
    assert told(choose_kernels, "onednn", "float32", CPU) == (
        "kernels is 'onednn', which cannot run float32 here; there are: plain. "
        "It can run int8: set precision."
    )
    assert told(choose_kernels, "native", "int8", CUDA) == (
        "kernels is 'native', which runs on a CPU; on cuda use 'auto', or device='cpu'."
    )
    assert "must be one of auto" in told(choose_kernels, "NATIVE", "int8", CUDA)


def test_why_there_are_no_native_kernels(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(kernels_module, "has_onednn", lambda: False)
    monkeypatch.setattr(kernels_module, "has_zentorch", lambda: False)
    for processor, why in (
        (None, "the compiled part was not built when bertblocks was installed"),
        (calls._Processor(vnni=False, bfloat16=False), "this processor has no AVX-512 with VNNI"),
    ):
        monkeypatch.setattr(calls, "_processor", lambda here=processor: here)
        assert native.missing() == why
        assert not native.takes(64) and not native.supports(torch.float32)
        assert told(choose_kernels, "native", "int8", CPU) == (
            f"kernels is 'native', which cannot run int8 here ({why}); there are: plain."
        )
    # With VNNI but no instructions for bfloat16, as Cascade Lake and Ice Lake.
    monkeypatch.setattr(calls, "_processor", lambda: calls._Processor(vnni=True, bfloat16=False))
    assert native.missing() is None and choose_kernels("auto", "float32", CPU) == "native"
    assert told(choose_kernels, "native", "bfloat16", CPU) == (
        "kernels is 'native', which cannot run bfloat16 here; there are: plain. It can run float32 and int8: "
        "set precision."
    )


def test_precisions_that_cannot_be():
    assert told(choose_precision, "int4", CPU) == (
        "precision is 'int4', but must be one of auto, float32, bfloat16, int8."
    )
    assert told(choose_precision, "int8", CUDA) == (
        "precision is 'int8', which runs on a CPU; on cuda use 'bfloat16', or device='cpu'."
    )
    assert told(choose_training_precision, "int8", CPU) == (
        "precision is 'int8', but must be one of auto, float32, bfloat16 for training."
    )


def test_auto_is_never_int8(machine, monkeypatch):
    machine(ours=ALL, onednn=True)
    assert choose_precision("auto", CPU) == "bfloat16"
    machine(ours=("float32", "int8"))
    for gain, expected in ((2.0, "bfloat16"), (1.0, "float32")):
        monkeypatch.setattr(precision_module, "_bfloat16_gain", lambda gain=gain: gain)
        assert choose_precision("auto", CPU) == choose_training_precision("auto", CPU) == expected
    assert choose_precision("int8", CPU) == "int8"


class TestWrongKernels:
    """Libraries have been silently wrong for some sizes: what they give is looked at first."""

    pytestmark = pytest.mark.usefixtures("unchecked")

    @staticmethod
    def pretend_wrong(monkeypatch, wrong, *, rows: int | None = None) -> None:
        """Our products are another class's, whose sums are spoilt where they have so many columns."""

        class Wrong(nn.Module):
            def __init__(self, weight_NK, bias_N, *, scale_N=None, activation=None):
                super().__init__()
                scale_N = torch.ones(1) if scale_N is None else scale_N
                self.plain = PlainInt8Linear(weight_NK * scale_N[:, None], bias_N, activation)

            def forward(self, x_TK):
                y_TN = self.plain(x_TK).to(x_TK.dtype)
                return wrong(y_TN) if rows in (None, y_TN.shape[1]) else y_TN

        monkeypatch.setattr(native, "NativeLinear", Wrong)
        monkeypatch.setattr(native, "supports", lambda dtype: True)

    @pytest.mark.parametrize("precision", ALL)
    @pytest.mark.parametrize(
        "wrong", [torch.zeros_like, lambda y: y.roll(1), lambda y: y * 1.1, lambda y: y / 0]
    )
    def test_torch_takes_their_place(self, monkeypatch, caplog, precision, wrong):
        self.pretend_wrong(monkeypatch, wrong)
        with caplog.at_level(logging.WARNING):
            encoder = prepared((precision, "native"))
        assert (
            caplog.messages.count(
                f"The native kernels give wrong {precision} products of 192 by 64 here; torch's own are used."
            )
            == 1
        )
        kind = PlainInt8Linear if precision == "int8" else nn.Linear
        assert type(encoder.layers[0].attention.qkv) is type(encoder.layers[1].feed_forward.output) is kind
        torch.testing.assert_close(states(encoder).float(), states(small_encoder()), atol=0.2, rtol=0)

    def test_right_ones_are_checked_once(self, monkeypatch, caplog):
        self.pretend_wrong(monkeypatch, lambda y: y)
        for _ in range(2):
            prepared(("int8", "native"), num_hidden_layers=3)
        assert not caplog.messages and kernels_module._is_right.cache_info().misses == 4

    @pytest.mark.parametrize("columns", [192, 64, 128], ids=["all", "query", "keys and values"])
    @torch.inference_mode()
    def test_sizes_that_are_wrong_leave_the_others_right(self, monkeypatch, columns):
        """The last layer has its queries, and its keys and values, in products of their own sizes."""
        self.pretend_wrong(monkeypatch, torch.zeros_like, rows=columns)
        for precision in ALL:
            encoder = prepared((precision, "native"))
            first = encoder(packed_texts(), "cls")
            whole = encoder(packed_texts(), "sequence")[packed_texts().first_token_indices]
            torch.testing.assert_close(first, whole, atol=0.05, rtol=0)


def test_a_second_conversion():
    encoder = to_precision(small_encoder(), "int8", "plain")
    assert told(to_precision, encoder, "float32") == (
        "This encoder was prepared for the plain kernels before; load it again for another precision."
    )
    # What torch alone runs is still an encoder of torch's own layers.
    encoder = to_precision(small_encoder(), "float32", "plain")
    assert encoder.kernels is None
    assert to_precision(encoder, "int8", "plain").kernels == "plain"
