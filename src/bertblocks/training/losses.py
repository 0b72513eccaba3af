"""The loss of each kind of task.

Axes: B texts, C outputs.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor

from bertblocks.blocks import TaskKind


def summed_loss(
    kind: TaskKind,
    logits_BC: Tensor,
    targets: Tensor,
    class_weights_C: Tensor | None,
    row_weights_B: Tensor | None = None,
) -> Tensor:
    """The loss of each text, summed, so that parts of a step add up.

    Args:
        kind: Cross entropy for classes, binary cross entropy a label, squared error for numbers.
        logits_BC: Raw outputs.
        targets: Class indices (B,), 0 and 1 (B, C), or scaled numbers (B,).
        class_weights_C: Factor of each class; of a label, on its positive texts.
        row_weights_B: Factor of each text. Weights of 1 give the same bits as none.

    Returns:
        A scalar.
    """
    loss_B = _losses(kind, logits_BC, targets, class_weights_C)
    return (loss_B if row_weights_B is None else loss_B * row_weights_B).sum()


def _losses(kind: TaskKind, logits_BC: Tensor, targets: Tensor, class_weights_C: Tensor | None) -> Tensor:
    if kind == "regression":
        return F.mse_loss(logits_BC[:, 0], targets.to(logits_BC.dtype), reduction="none")
    if kind == "multilabel":
        loss_BC = F.binary_cross_entropy_with_logits(
            logits_BC, targets, pos_weight=class_weights_C, reduction="none"
        )
        return loss_BC.mean(1)
    return F.cross_entropy(logits_BC, targets, weight=class_weights_C, reduction="none")
