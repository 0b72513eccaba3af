"""Texts → vectors, with the encoder alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertblocks.assembly import (
    DEFAULT_BATCH_TOKENS,
    check_fit,
    load_encoder_module,
    pack,
    run_packed,
)
from bertblocks.batching import plan_sorted
from bertblocks.blocks import Graph
from bertblocks.checkpoints import (
    encoder_defaults,
    is_saved_model,
    read_checkpoint,
    read_manifest,
    resolve_encoder,
)
from bertblocks.encoder import (
    BertEncoder,
    EncoderConfig,
    PackedTokens,
    Pooling,
    Precision,
    choose_precision,
    pool,
    resolve_device,
    to_precision,
)
from bertblocks.errors import CheckpointError, ConfigError
from bertblocks.text import Encoded, Tokenizer, load_tokenizer


class TextEncoder:
    """An encoder with its tokenizer.

    Args:
        encoder: In evaluation mode; converted to the precision in place.
        tokenizer: Of the encoder's vocabulary.
        precision: "auto" takes the fastest on this machine.
        device: "auto" takes CUDA where there is one.
        pooling: What encode() gives unless it is told otherwise.
    """

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: Tokenizer,
        *,
        precision: Precision = "auto",
        device: str = "auto",
        pooling: Pooling = "cls",
    ) -> None:
        check_fit(tokenizer, encoder.config)
        self.device = resolve_device(device)
        self.precision = choose_precision(precision, self.device)
        self.tokenizer = tokenizer
        self.pooling: Pooling = pooling
        self._encoder = to_precision(encoder, self.precision).to(self.device).eval()

    @property
    def config(self) -> EncoderConfig:
        """The encoder's sizes."""
        return self._encoder.config

    def encode(
        self,
        texts: Sequence[str],
        *,
        output: Pooling | Literal["sequence"] | None = None,
        sequence_length: int | None = None,
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Turn texts into vectors.

        Args:
            texts: Texts in any order; the result keeps it.
            output: "cls" is the raw first token, "average" and "max" pool over all true tokens, "sequence"
                gives every token's vector; None is the encoder's own way, which its folder tells.
            sequence_length: Most tokens of a text, special tokens counted; longer ones are cut. None is the
                tokenizer's limit, as load_encoder sets it: the position table's size, at most 512.
            batch_tokens: Most tokens of a batch.

        Returns:
            float32, shape (texts, hidden size); for "sequence" a list of (tokens, hidden size) arrays.

        Raises:
            DataError: If an item is no text.
            ConfigError: If output is unknown, or the length is out of range or above the position table.
        """
        encoded = self.tokenize(texts, sequence_length)
        if output == "sequence":
            rows: list[NDArray[np.float32]] = [np.empty((0, 0), dtype=np.float32)] * len(encoded)
            lengths = [len(ids) for ids in encoded.ids]
            for batch in plan_sorted(lengths, batch_tokens):
                for index, row in zip(batch, self._sequences(pack(encoded, batch)), strict=True):
                    rows[index] = row
            return rows
        return self.vectors(encoded, output or self.pooling, batch_tokens=batch_tokens)

    def tokenize(self, texts: Sequence[str], sequence_length: int | None = None) -> Encoded:
        """Tokenize texts for vectors(); arguments and errors as encode's."""
        limit = self.config.max_sequence_length
        if sequence_length is not None and sequence_length > limit:
            raise ConfigError(
                f"sequence_length is {sequence_length}, but the encoder's position table ends at {limit}: "
                f"set sequence_length={limit} or less, or leave it out."
            )
        if sequence_length is None:
            return self.tokenizer.encode(texts)
        return self.tokenizer.with_sequence_length(sequence_length).encode(texts)

    def vectors(
        self, encoded: Encoded, output: Pooling, *, batch_tokens: int = DEFAULT_BATCH_TOKENS
    ) -> NDArray[np.float32]:
        """Turn tokenized texts into one vector each; arguments as encode's.

        Returns:
            float32, shape (texts, hidden size).
        """
        forward = self._pooled(output)
        vectors = run_packed(forward, encoded, batch_tokens=batch_tokens, device=self.device)
        return vectors if len(vectors) else np.empty((0, self.config.hidden_size), dtype=np.float32)

    def _pooled(self, pooling: Pooling) -> Callable[[PackedTokens], Tensor]:
        if pooling not in ("cls", "average", "max"):
            raise ConfigError(f"output is {pooling!r}, but must be cls, average, max or sequence.")
        if pooling == "cls":
            return lambda packed: self._encoder(packed, "cls")
        return lambda packed: pool(self._encoder(packed, "sequence"), packed, pooling)

    @torch.inference_mode()
    def _sequences(self, packed: PackedTokens) -> Iterator[NDArray[np.float32]]:
        hidden_TD = self._encoder(packed.to(self.device), "sequence").float().cpu()
        return (row.numpy() for row in hidden_TD.split(packed.lengths))


def load_encoder(
    source: str | os.PathLike[str], *, precision: Precision = "auto", device: str = "auto"
) -> TextEncoder:
    """Load an encoder with its tokenizer.

    Args:
        source: A named encoder ("mini", "multilingual-cased", "english-uncased"), `org/name` on the hub, or a
            folder: Hugging Face's, or a model of ours.
        precision: "auto" takes the fastest on this machine.
        device: "auto" takes CUDA where there is one.

    Raises:
        CheckpointError: If weights or tokenizer cannot be found or read, or it is a model of token ids.
    """
    folder: Path = resolve_encoder(source)
    _check_reads_texts(folder)
    defaults = encoder_defaults(folder)
    encoder = load_encoder_module(read_checkpoint(folder))
    tokenizer = load_tokenizer(folder, sequence_length=defaults.sequence_length)
    return TextEncoder(encoder, tokenizer, precision=precision, device=device, pooling=defaults.pooling)


def _check_reads_texts(folder: Path) -> None:
    if is_saved_model(folder) and Graph.from_json(read_manifest(folder)["graph"]).tokenizer is None:
        raise CheckpointError(
            f"{folder} is a model that takes token ids and has no tokenizer, so that it cannot read texts; "
            "give an encoder or a model of texts."
        )
