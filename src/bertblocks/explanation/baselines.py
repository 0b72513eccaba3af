"""What stands in the place of every word at the beginning of the way: a text that says nothing."""

from __future__ import annotations

from typing import get_args

from torch import Tensor

from bertblocks.assembly import AssembledModel
from bertblocks.errors import ConfigError
from bertblocks.explanation.explanations import Baseline


def chosen_baseline(model: AssembledModel, name: Baseline | None) -> Baseline:
    """The baseline of a name, or the usual one.

    Raises:
        ConfigError: If there is none of this name, or the model's vocabulary has no such token.
    """
    special = {} if model.tokenizer is None else model.tokenizer.special_tokens
    if name is None:
        return "pad" if "pad" in special else "mean"
    if name not in get_args(Baseline):
        known = ", ".join(get_args(Baseline))
        raise ConfigError(f"baseline is {name!r}, but must be one of {known}, or None.")
    if name != "mean" and name not in special:
        raise ConfigError(
            f"baseline is {name!r}, but this model's vocabulary has no such token: take 'mean'."
        )
    return name


def baseline_vector(model: AssembledModel, name: Baseline) -> Tensor:
    """The word vector of a baseline that chosen_baseline gives, shape (hidden size,)."""
    weight = model.module.encoder.embeddings.word.weight.detach()
    if name == "mean":
        return weight.mean(0)
    assert model.tokenizer is not None
    return weight[model.tokenizer.special_tokens[name]]
