"""Texts → vectors, with the encoder alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bertblocks.assembly import (
    TextModel,
    check_fit,
    default_batch_tokens,
    distinct_rows,
    lanes_of,
    load_encoder_module,
    pack,
    run_packed,
    weights_dtype,
)
from bertblocks.batching import plan_sorted
from bertblocks.blocks import BertTokenizer, Windowing
from bertblocks.checkpoints import (
    encoder_defaults,
    is_saved_model,
    read_checkpoint,
    read_description,
    read_manifest,
    resolve_encoder,
)
from bertblocks.encoder import (
    BertEncoder,
    EncoderConfig,
    Kernels,
    PackedTokens,
    Pooling,
    Precision,
    WindowPooling,
    choose_precision,
    resolve_device,
    to_precision,
)
from bertblocks.errors import CheckpointError, ConfigError
from bertblocks.inference.model_hash import folder_sha256, unknown_sha256
from bertblocks.inference.text_windows import encoded_windows
from bertblocks.text import Encoded, Tokenizer, load_encoder_tokenizer
from bertblocks.text.workers import TokenizerWorkers, usual_num_workers


class TextEncoder:
    """An encoder with its tokenizer.

    Args:
        encoder: In evaluation mode; converted to the precision in place.
        tokenizer: Of the encoder's vocabulary.
        precision: "auto" takes the fastest on this machine that answers as float32 does; "int8" is faster
            still.
        device: "auto" takes CUDA where there is one.
        kernels: What runs the products; "auto" takes the preferred ones of this machine.
        pooling: What encode() gives unless it is told otherwise.
        window_pooling: How it joins windows, likewise; whether texts are read in windows says the tokenizer.
        num_workers: Processes that tokenize where there are thousands of texts; None is what suits the
            device: some for a GPU, none on a CPU.
    """

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: Tokenizer,
        *,
        precision: Precision = "auto",
        device: str = "auto",
        kernels: Kernels = "auto",
        pooling: Pooling = "cls",
        window_pooling: WindowPooling = "average",
        num_workers: int | None = None,
    ) -> None:
        check_fit(tokenizer, encoder.config)
        self.device = resolve_device(device)
        self.precision = choose_precision(precision, self.device)
        self.tokenizer = tokenizer
        self.pooling: Pooling = pooling
        self.window_pooling: WindowPooling = window_pooling
        self.num_workers = usual_num_workers(self.device.type) if num_workers is None else num_workers
        self._encoder = to_precision(encoder.to(self.device), self.precision, kernels).eval()
        self.kernels: Kernels = self._encoder.kernels or "plain"
        self._folder: Path | None = None
        self._sha256: str | None = None

    @property
    def sha256(self) -> str:
        """Of the encoder's folder; of one that comes from none, what is never the same again."""
        if self._sha256 is None:
            self._sha256 = unknown_sha256() if self._folder is None else folder_sha256(self._folder)
        return self._sha256

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
        windows: Windowing | None = None,
        stride: int | None = None,
        window_pooling: WindowPooling | None = None,
        batch_tokens: int | None = None,
        deduplicate: bool = True,
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Turn texts into vectors.

        Of many, some thousand are computed at a time, while the next are tokenized.

        Args:
            texts: Texts in any order; the result keeps it.
            output: "cls" is the raw first token, "average" and "max" pool over all true tokens, "sequence"
                gives every token's vector; None is the encoder's own way, which its folder tells.
            sequence_length: Most tokens of a text or window, special tokens counted. None is the tokenizer's
                limit, as load_encoder sets it: a trained model's own, or the position table's size, at most
                512.
            windows: What becomes of longer texts: "truncate" cuts them, "slide" reads all of them in
                overlapping windows, whose pooled vectors become one. None is a trained model's own way, and
                "truncate" for other encoders; so it is for the next two.
            stride: With "slide", tokens from one window's beginning to the next; where nothing else says it,
                three quarters of a window's room for text.
            window_pooling: With "slide", "average" or "max" over the windows' vectors.
            batch_tokens: Most tokens of a batch; None is what suits the device.
            deduplicate: Whether texts of equal ids among those computed together are computed once.

        Returns:
            float32, shape (texts, hidden size); for "sequence" a list of (tokens, hidden size) arrays.

        Raises:
            DataError: If an item is no text.
            ConfigError: If output is unknown, the length is out of range or above the position table, or an
                option of windows has no effect.
        """
        if output == "sequence" and self._slides(windows):
            raise ConfigError(
                'output="sequence" gives every token one vector, but in windows="slide" tokens stand in '
                'several windows: set windows="truncate", or another output.'
            )
        self.check_window_pooling(windows, window_pooling)
        tokenizer = self.tokenizer_for(sequence_length, windows, stride)
        with (
            TokenizerWorkers(tokenizer, self.num_workers) as workers,
            encoded_windows(workers.encode, texts) as parts,
        ):
            if output == "sequence":
                return [
                    row
                    for part in parts
                    for row in self.sequences(part, batch_tokens=batch_tokens, deduplicate=deduplicate)
                ]
            vectors = [
                self.vectors(
                    part,
                    output or self.pooling,
                    window_pooling=window_pooling,
                    batch_tokens=batch_tokens,
                    deduplicate=deduplicate,
                )
                for part in parts
            ]
        return _stacked(vectors)

    def tokenize(
        self,
        texts: Sequence[str],
        sequence_length: int | None = None,
        *,
        windows: Windowing | None = None,
        stride: int | None = None,
    ) -> Encoded:
        """Tokenize texts for vectors(); arguments and errors as encode's."""
        return self.tokenizer_for(sequence_length, windows, stride).encode(texts)

    def tokenizer_for(
        self, sequence_length: int | None = None, windows: Windowing | None = None, stride: int | None = None
    ) -> Tokenizer:
        """The tokenizer with another way to read long texts; arguments and errors as encode's."""
        limit = self.config.max_sequence_length
        if sequence_length is not None and sequence_length > limit:
            raise ConfigError(
                f"sequence_length is {sequence_length}, but the encoder's position table ends at {limit}: "
                f"set sequence_length={limit} or less, or leave it out."
            )
        own = self.tokenizer
        length = own.sequence_length if sequence_length is None else sequence_length
        slides = self._slides(windows)
        if stride is None and slides and own.windows == "slide" and length == own.sequence_length:
            stride = own.stride
        cutting = own.with_windows("truncate").with_sequence_length(length)
        return cutting.with_windows(windows or own.windows, stride)

    def _slides(self, windows: Windowing | None) -> bool:
        return (windows or self.tokenizer.windows) == "slide"

    def check_window_pooling(self, windows: Windowing | None, window_pooling: WindowPooling | None) -> None:
        """Refuse a way to join windows that there is not, or that has no effect.

        Raises:
            ConfigError: If it is unknown, or other than the default while texts are cut.
        """
        if window_pooling is None:
            return
        if window_pooling not in get_args(WindowPooling):
            raise ConfigError(f"window_pooling is {window_pooling!r}, but must be average or max.")
        if window_pooling != BertTokenizer.window_pooling and not self._slides(windows):
            raise ConfigError(
                f"window_pooling is {window_pooling!r}, which has no effect while texts are cut: set "
                "windows='slide' too, or leave it out."
            )

    def vectors(
        self,
        encoded: Encoded,
        output: Pooling,
        *,
        window_pooling: WindowPooling | None = None,
        batch_tokens: int | None = None,
        deduplicate: bool = True,
    ) -> NDArray[np.float32]:
        """Turn tokenized texts into one vector each, all of them together; arguments as encode's.

        Returns:
            float32, shape (texts, hidden size).
        """
        if output not in get_args(Pooling):
            raise ConfigError(f"output is {output!r}, but must be cls, average, max or sequence.")
        model = TextModel(self._encoder, output, nn.Sequential(), window_pooling or self.window_pooling)
        vectors = run_packed(
            model.pooled,
            encoded,
            batch_tokens=batch_tokens,
            device=self.device,
            deduplicate=deduplicate,
            num_lanes=lanes_of(self.device),
        )
        return vectors if len(vectors) else np.empty((0, self.config.hidden_size), dtype=np.float32)

    def sequences(
        self, encoded: Encoded, *, batch_tokens: int | None = None, deduplicate: bool = True
    ) -> list[NDArray[np.float32]]:
        """Turn tokenized texts into a vector for each token; arguments as encode's.

        Returns:
            float32, for each text one array of shape (tokens, hidden size).
        """
        distinct = distinct_rows(encoded) if deduplicate else None
        chosen = np.arange(len(encoded)) if distinct is None else distinct.first
        rows: dict[int, NDArray[np.float32]] = {}
        budget = default_batch_tokens(self.device) if batch_tokens is None else batch_tokens
        for batch in plan_sorted([len(encoded.ids[index]) for index in chosen], budget):
            found = self._hidden_states(pack(encoded, chosen[batch]))
            rows.update(zip(batch.tolist(), found, strict=True))
        if distinct is None or len(rows) == len(encoded):
            return [rows[index] for index in range(len(encoded))]
        # Copies: who changes one text's vectors should not change another's.
        return [rows[index].copy() for index in distinct.inverse.tolist()]

    @torch.inference_mode()
    def _hidden_states(self, packed: PackedTokens) -> Iterator[NDArray[np.float32]]:
        hidden_TD = self._encoder(packed.to(self.device), "sequence").float().cpu()
        return (row.numpy() for row in hidden_TD.split(packed.lengths))


def _stacked(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Rows one after another; parts are let go, so that there are not two of all at once."""
    if len(parts) == 1:
        return parts[0]
    rows = np.empty((sum(map(len, parts)), parts[0].shape[1]), dtype=np.float32)
    end = len(rows)
    while parts:
        part = parts.pop()
        rows[end - len(part) : end] = part
        end -= len(part)
    return rows


def load_encoder(
    source: str | os.PathLike[str],
    *,
    precision: Precision = "auto",
    device: str = "auto",
    kernels: Kernels = "auto",
) -> TextEncoder:
    """Load an encoder with its tokenizer, to read texts as the folder says.

    Args:
        source: A named encoder ("mini", "multilingual-cased", "english-uncased"), `org/name` on the hub, or a
            folder: Hugging Face's, or a model of ours.
        precision: "auto" takes the fastest on this machine that answers as float32 does; "int8" is faster
            still.
        device: "auto" takes CUDA where there is one.
        kernels: What runs the products: "native" (our own, compiled), "zentorch", "onednn" or "plain" (torch
            alone); "auto" takes the preferred ones of this machine.

    Raises:
        CheckpointError: If weights or tokenizer cannot be found or read, or it is a model of token ids.
    """
    precision = choose_precision(precision, resolve_device(device))
    folder: Path = resolve_encoder(source)
    block = _tokenizer_block(folder)
    defaults = encoder_defaults(folder)
    # Before the weights: what reading it takes for a moment is then not held beside them.
    length = defaults.sequence_length if block is None else block.sequence_length
    tokenizer = load_encoder_tokenizer(source, folder, sequence_length=length)
    if block is not None:
        tokenizer = tokenizer.with_windows(block.windows, block.stride)
    encoder = load_encoder_module(read_checkpoint(folder, dtype=weights_dtype(precision)))
    loaded = TextEncoder(
        encoder,
        tokenizer,
        precision=precision,
        device=device,
        kernels=kernels,
        pooling=defaults.pooling,
        window_pooling=BertTokenizer.window_pooling if block is None else block.window_pooling,
    )
    loaded._folder = folder
    return loaded


def _tokenizer_block(folder: Path) -> BertTokenizer | None:
    """How a model of ours reads texts; None for other encoders, which do not say it.

    Raises:
        CheckpointError: If it is a model that reads no texts.
    """
    if not is_saved_model(folder):
        return None
    graph, _ = read_description(folder, read_manifest(folder))
    block = graph.tokenizer
    if block is None:
        raise CheckpointError(
            f"{folder} is a model that takes token ids and has no tokenizer, so that it cannot read texts; "
            "give an encoder or a model of texts."
        )
    return block
