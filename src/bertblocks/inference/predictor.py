"""Texts → predictions, on one machine or inside any other engine."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from bertblocks.assembly import DEFAULT_BATCH_TOKENS, AssembledModel, load_model, run_packed
from bertblocks.checkpoints import resolve_encoder
from bertblocks.data import ModelInput
from bertblocks.encoder import Precision, choose_precision, resolve_device, to_precision
from bertblocks.errors import DataError
from bertblocks.inference.predictions import Predictions, predictions


def model_folder(path: str | os.PathLike[str]) -> Path:
    """Where a model lies: the folder itself, or that of its zip, unpacked as an encoder's is.

    Raises:
        CheckpointError: If it is a zip that cannot be unpacked.
    """
    path = Path(path)
    return resolve_encoder(path) if path.suffix.lower() == ".zip" and path.is_file() else path


class Predictor:
    """A model ready to be asked; picklable, so that any engine can carry it to its workers.

    Args:
        model: An assembled model. Its module is put into evaluation mode and shared, or copied where the
            precision or the device is another.
        precision: "auto" takes the fastest on this machine.
        device: "auto" takes CUDA where there is one.
        batch_tokens: Most tokens of a batch.
        in_place: Convert the model's own module: nobody else needs it as it is.
    """

    def __init__(
        self,
        model: AssembledModel,
        *,
        precision: Precision = "auto",
        device: str = "auto",
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
        in_place: bool = False,
    ) -> None:
        self.device = resolve_device(device)
        self.precision = choose_precision(precision, self.device)
        self.batch_tokens = batch_tokens
        self.model = model
        self._module = model.module
        weight = next(model.module.parameters())
        if self.precision != "float32" or weight.device != self.device or weight.dtype != torch.float32:
            module = model.module if in_place else copy.deepcopy(model.module)
            self._module = module.to(self.device)
        to_precision(self._module.encoder, self.precision)
        self._module.eval()

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, precision: Precision = "auto", device: str = "auto"
    ) -> Predictor:
        """Load a model folder, or the zip of one.

        Raises:
            CheckpointError: If the folder is not a finished model.
        """
        model = load_model(model_folder(folder))
        return cls(model, precision=precision, device=device, in_place=True)

    def predict(self, texts: Sequence[ModelInput], pairs: Sequence[str] | None = None) -> Predictions:
        """Predict every text, or pair of texts.

        Args:
            texts: Texts, or the first ones of pairs; lists of integers for a model of token ids.
            pairs: The second ones, for a model with two text inputs.

        Raises:
            DataError: If an item is no text or list of ids, or pairs are missing or too many.
        """
        columns = [block.column for block in self.model.graph.inputs]
        if (len(columns) == 2) != (pairs is not None):
            single = "single texts" if self.model.tokenizer is not None else "single lists of token ids"
            found, expected = ("pairs", single) if pairs is not None else (single, "pairs")
            raise DataError(
                f"Found {found}, but this model takes {expected}: "
                f"{' and '.join(repr(column) for column in columns)}."
            )
        encoded = self.model.encode(texts, pairs)
        logits = run_packed(self._module, encoded, batch_tokens=self.batch_tokens, device=self.device)
        return predictions(self.model.task, logits, encoded)
