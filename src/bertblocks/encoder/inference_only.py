"""What the layers have in common whose weights are packed for a kernel: they answer, and do not learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bertblocks.errors import ConfigError


class InferenceOnly(nn.Module):
    """A layer whose weights lie in a kernel's own order, as buffers of the types that it was made with."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> InferenceOnly:
        # Module.to(bfloat16) would round the scales, and there is no other device to go to.
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]

    def _require(self, here: bool, kernels: str, reason: str | None = None) -> None:
        """Refuse to be unpickled where the kernel is missing, instead of failing in the middle of a batch.

        Raises:
            ConfigError: If it is.
        """
        if not here:
            why = f" ({reason})" if reason else ""
            raise ConfigError(
                f"This encoder was prepared for the {kernels} kernels, which are missing here{why}. Load the "
                "model on this machine instead, or prepare it with precision='float32', kernels='plain'."
            )


def require_no_gradient(x: Tensor) -> None:
    """Refuse to be a part of training.

    Raises:
        ConfigError: If a gradient is wanted.
    """
    if x.requires_grad and torch.is_grad_enabled():
        raise ConfigError(
            "This encoder was prepared for inference, and its kernels give no gradient: run it under "
            "torch.inference_mode(), or train the module that bertblocks.build() gives."
        )
