"""Texts → predictions, on one machine or inside any other engine."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bertblocks.assembly import (
    AssembledModel,
    TextModel,
    default_batch_tokens,
    lanes_of,
    load_model,
    run_packed,
    weights_dtype,
)
from bertblocks.checkpoints import resolve_encoder
from bertblocks.data import ModelInput
from bertblocks.encoder import (
    Kernels,
    Precision,
    choose_precision,
    resolve_device,
    to_precision,
)
from bertblocks.errors import DataError
from bertblocks.inference.model_hash import folder_sha256, module_sha256, unknown_sha256
from bertblocks.inference.predictions import Predictions, joined, predictions
from bertblocks.inference.text_windows import encoded_windows
from bertblocks.text import Encoded
from bertblocks.text.workers import TokenizerWorkers, usual_num_workers


def model_folder(path: str | os.PathLike[str]) -> Path:
    """Where a model lies: the folder itself, or that of its zip, unpacked as an encoder's is.

    Raises:
        CheckpointError: If it is a zip that cannot be unpacked.
    """
    path = Path(path)
    return resolve_encoder(path) if path.suffix.lower() == ".zip" and path.is_file() else path


def check_columns(model: AssembledModel, pairs: Sequence[str] | None) -> None:
    """Refuse pairs where a model takes single texts, and the other way round.

    Raises:
        DataError: Says which it takes, and from which columns.
    """
    columns = [block.column for block in model.graph.inputs]
    if (len(columns) == 2) == (pairs is not None):
        return
    single = "single texts" if model.tokenizer is not None else "single lists of token ids"
    found, expected = ("pairs", single) if pairs is not None else (single, "pairs")
    raise DataError(
        f"Found {found}, but this model takes {expected}: {' and '.join(repr(column) for column in columns)}."
    )


class Predictor:
    """A model ready to be asked; picklable, so that any engine can carry it to its workers.

    Args:
        model: An assembled model. Its module is left as it is, and a copy prepared, which shares its weights
            where they are used as they are.
        precision: "auto" takes the fastest on this machine that answers as float32 does; "int8" is faster
            still.
        device: "auto" takes CUDA where there is one.
        kernels: What runs the products; "auto" takes the preferred ones of this machine.
        batch_tokens: Most tokens of a batch; None is what suits the device.
        num_workers: Processes that tokenize where there are thousands of texts; None is what suits the
            device: some for a GPU, none on a CPU.
        in_place: Convert the model's own module: nobody else needs it as it is.
    """

    def __init__(
        self,
        model: AssembledModel,
        *,
        precision: Precision = "auto",
        device: str = "auto",
        kernels: Kernels = "auto",
        batch_tokens: int | None = None,
        num_workers: int | None = None,
        in_place: bool = False,
    ) -> None:
        self.device = resolve_device(device)
        self.precision = choose_precision(precision, self.device)
        self.batch_tokens = default_batch_tokens(self.device) if batch_tokens is None else batch_tokens
        self.num_workers = usual_num_workers(self.device.type) if num_workers is None else num_workers
        self.model = model
        self._sha256 = unknown_sha256() if in_place else None
        self._module = model.module if in_place else self._copy(model.module, kernels)
        self._module.to(self.device)
        to_precision(self._module.encoder, self.precision, kernels)
        self.kernels: Kernels = self._module.encoder.kernels or "plain"
        self._module.eval()

    def _copy(self, module: TextModel, kernels: Kernels) -> TextModel:
        tensors = [*module.parameters(), *module.buffers()]
        as_they_are = self.precision == "float32" and kernels == "plain"
        as_they_are &= all(x.device == self.device and x.dtype == torch.float32 for x in tensors)
        return copy.deepcopy(module, {id(x): x for x in tensors} if as_they_are else {})

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        *,
        precision: Precision = "auto",
        device: str = "auto",
        kernels: Kernels = "auto",
    ) -> Predictor:
        """Load a model folder, or the zip of one.

        Raises:
            CheckpointError: If the folder is not a finished model.
        """
        chosen = choose_precision(precision, resolve_device(device))
        path = model_folder(folder)
        model = load_model(path, dtype=weights_dtype(chosen))
        predictor = cls(model, precision=chosen, device=device, kernels=kernels, in_place=True)
        predictor._sha256 = folder_sha256(path)
        return predictor

    @property
    def sha256(self) -> str:
        """Of the model: of its folder's manifest, or of its weights where it comes from none."""
        if self._sha256 is None:
            model = self.model
            parts = [model.graph.to_json(), model.task.to_json(), repr(model.tokenizer)]
            self._sha256 = module_sha256(model.module, json.dumps(parts, sort_keys=True))
        return self._sha256

    def predict(
        self,
        texts: Sequence[ModelInput],
        pairs: Sequence[str] | None = None,
        *,
        deduplicate: bool = True,
    ) -> Predictions:
        """Predict every text, or pair of texts.

        Of many, some thousand are computed at a time, while the next are tokenized.

        Args:
            texts: Texts, or the first ones of pairs; lists of integers for a model of token ids.
            pairs: The second ones, for a model with two text inputs.
            deduplicate: Whether texts of equal ids among those computed together are computed once.

        Raises:
            DataError: If an item is no text or list of ids, or pairs are missing or too many.
        """
        check_columns(self.model, pairs)
        with self.tokenizing() as encode, encoded_windows(encode, texts, pairs) as windows:
            return joined([self.predict_encoded(encoded, deduplicate=deduplicate) for encoded in windows])

    @contextmanager
    def tokenizing(self) -> Iterator[Callable[..., Encoded]]:
        """Give what encodes as model.encode does, in worker processes where there are any."""
        if self.model.tokenizer is None or not self.num_workers:
            yield self.model.encode
            return
        with TokenizerWorkers(self.model.tokenizer, self.num_workers) as workers:
            yield workers.encode

    def predict_encoded(self, encoded: Encoded, *, deduplicate: bool = True) -> Predictions:
        """Predict what model.encode gave, all of it together.

        Args:
            encoded: Token ids of texts, or pairs of texts.
            deduplicate: As for predict.
        """
        return predictions(self.model.task, self.logits(encoded, deduplicate=deduplicate), encoded)

    def logits(self, encoded: Encoded, *, deduplicate: bool = True) -> NDArray[np.float32]:
        """What the module says of model.encode's rows, before softmax, sigmoid or scaling.

        Args:
            encoded: Token ids of texts, or pairs of texts.
            deduplicate: As for predict.

        Returns:
            One row a text, float32, shape (texts, outputs).
        """
        return run_packed(
            self._module,
            encoded,
            batch_tokens=self.batch_tokens,
            device=self.device,
            deduplicate=deduplicate,
            num_lanes=lanes_of(self.device),
        )
