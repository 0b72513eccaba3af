"""A graph with its tokenizer and its weights: a model that can be trained, asked and saved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from bertblocks._files import replace_folder_when_done, restore_folder
from bertblocks._version import __version__
from bertblocks.assembly.building import (
    build_module,
    graph_pooling,
    head_modules,
    load_encoder_module,
    undrawn,
    window_pooling,
)
from bertblocks.assembly.fitting import check_fit, check_task, check_vocabulary, load_block_tokenizer
from bertblocks.assembly.model import TextModel
from bertblocks.blocks import Graph, Task, TokenIdsInput
from bertblocks.checkpoints import (
    Checkpoint,
    EncoderOrigin,
    SavedModel,
    encoder_origin,
    is_saved_model,
    open_saved_model,
    resolve_encoder,
    write_saved_model,
)
from bertblocks.data import InputColumn, ModelInput, TokenIdsColumn, encode_token_ids
from bertblocks.errors import CheckpointError, ConfigError, DataError
from bertblocks.text import Encoded, Tokenizer, load_tokenizer


@dataclass(frozen=True, kw_only=True, eq=False)
class AssembledModel:
    """Everything that answers a question about a text.

    Attributes:
        graph: What the model is.
        task: What it predicts.
        tokenizer: Texts → ids, cut at the graph's sequence length; None where token ids go in.
        module: Packed ids → logits.
        origin: Which encoder the weights began as.
        encoder_origin: The same with commit, licence and hashes, where they are known.
    """

    graph: Graph
    task: Task
    tokenizer: Tokenizer | None
    module: TextModel
    origin: str
    encoder_origin: EncoderOrigin | None = None

    @property
    def sequence_length(self) -> int:
        """Most tokens that go through the encoder as one sequence."""
        if self.tokenizer is not None:
            return self.tokenizer.sequence_length
        return self.module.encoder.config.max_sequence_length

    @property
    def token_limit(self) -> int | None:
        """Most tokens that are read of a row; None where windows slide over all of it."""
        slides = self.tokenizer is not None and self.tokenizer.windows == "slide"
        return None if slides else self.sequence_length

    @property
    def columns(self) -> list[InputColumn]:
        """The columns of a table that go in: of texts, or of token ids."""
        size = self.module.encoder.config.vocab_size
        return [
            TokenIdsColumn(name=block.column, vocabulary_size=size)
            if isinstance(block, TokenIdsInput)
            else block.column
            for block in self.graph.inputs
        ]

    def encode(self, inputs: Sequence[ModelInput], pairs: Sequence[str] | None = None) -> Encoded:
        """Give the token ids of rows.

        Args:
            inputs: Texts, or lists of ids where the graph takes token ids.
            pairs: Second texts, where the graph takes two columns.

        Raises:
            DataError: If rows are not what the graph takes; the first few are named.
        """
        if self.tokenizer is None:
            if pairs is not None:
                raise DataError("This model takes one column of token ids; there is no second one.")
            return encode_token_ids(inputs, self.module.encoder.config.vocab_size)
        return self.tokenizer.encode(cast("Sequence[str]", inputs), pairs)

    def save(self, folder: str | os.PathLike[str], *, extra_files: Sequence[Path] = ()) -> None:
        """Write the model folder whole, or leave what is there as it was.

        Args:
            folder: Created, or replaced where it is a model already.
            extra_files: Files and folders to copy along, for instance metrics.json.

        Raises:
            CheckpointError: If the folder holds something that is not a model.
            ConfigError: If the encoder has been converted for inference, as Predictor.load does.
        """
        target = Path(folder)
        _refuse_to_replace(target)
        if self.module.encoder.kernels is not None:
            raise ConfigError(
                f"The model's encoder was prepared for the {self.module.encoder.kernels} kernels, whose "
                "weights are not what a model folder holds. Save the model before it is prepared, or copy "
                "its folder."
            )
        if any(weight.dtype != torch.float32 for weight in self.module.parameters()):
            raise ConfigError(
                "The model was read in a lower precision to answer in, and a model folder holds float32. "
                "Load it again without a precision to save it, or copy its folder."
            )
        state = {name: tensor.detach().cpu() for name, tensor in self.module.state_dict().items()}
        with replace_folder_when_done(target) as unfinished:
            if self.tokenizer is not None:
                self.tokenizer.save(unfinished)
            saved = SavedModel(
                graph=self.graph,
                task=self.task,
                config=self.module.encoder.config,
                encoder=_under(state, "encoder."),
                head=_under(state, "head."),
                casing=self.tokenizer.casing if self.tokenizer else None,
                origin=self.origin,
                encoder_origin=self.encoder_origin,
            )
            pad_token_id = self.tokenizer.special_tokens.get("pad") if self.tokenizer else None
            write_saved_model(unfinished, saved, version=__version__, pad_token_id=pad_token_id)
            for path in extra_files:
                copy = shutil.copytree if path.is_dir() else shutil.copy2
                copy(path, unfinished / path.name)


def assemble(graph: Graph, task: Task) -> AssembledModel:
    """Load or draw the weights of a graph and join them with its tokenizer, ready to train.

    Raises:
        GraphError: If the tokenizer does not fit the encoder, or the graph the task.
        CheckpointError: If weights or vocabulary cannot be found or read.
    """
    check_task(graph, task)
    tokenizer = None if graph.tokenizer is None else load_block_tokenizer(graph.tokenizer)
    module = build_module(graph)
    check_fit(tokenizer, module.encoder.config, pair=len(graph.inputs) == 2)
    check_vocabulary(graph, tokenizer)
    weights = getattr(graph.encoder, "weights", None)
    return AssembledModel(
        graph=graph,
        task=task,
        tokenizer=tokenizer,
        module=module,
        origin="random weights" if weights is None else str(weights),
        encoder_origin=None if weights is None else encoder_origin(str(weights), resolve_encoder(weights)),
    )


def load_model(folder: str | os.PathLike[str], *, dtype: torch.dtype = torch.float32) -> AssembledModel:
    """Load a model folder that save() or `bertblocks train` wrote.

    Args:
        folder: The model's.
        dtype: Of the encoder's weights, which are read in it: who only predicts in bfloat16 or int8 need not
            hold them in float32 first.

    Returns:
        The model in evaluation mode, its head float32, on the CPU.

    Raises:
        CheckpointError: If the folder is not a finished model, or its files have been changed.
    """
    path = Path(folder)
    restore_folder(path)
    with open_saved_model(path) as opened:
        # Before the weights: what reading it takes for a moment is then not held beside them.
        tokenizer = _load_tokenizer(path, opened.graph)
        saved = opened.read(dtype=dtype)
        if tokenizer is not None:
            saved.check_casing(tokenizer.casing, path)
    encoder = load_encoder_module(
        Checkpoint(
            config=saved.config, encoder=dict(saved.encoder), pooler=None, head={}, dropped=(), folder=path
        )
    )
    encoder.requires_grad_(saved.graph.encoder.trainable and dtype.is_floating_point)
    with undrawn():
        head = head_modules(saved.graph.head, saved.config.hidden_size)
    _load_head(head, saved, path)
    module = TextModel(encoder, graph_pooling(saved.graph), head, window_pooling(saved.graph)).eval()
    check_fit(tokenizer, saved.config, pair=len(saved.graph.inputs) == 2)
    return AssembledModel(
        graph=saved.graph,
        task=saved.task,
        tokenizer=tokenizer,
        module=module,
        origin=saved.origin,
        encoder_origin=saved.encoder_origin,
    )


def _load_tokenizer(folder: Path, graph: Graph) -> Tokenizer | None:
    block = graph.tokenizer
    if block is None:
        return None
    tokenizer = load_tokenizer(folder, sequence_length=block.sequence_length)
    return tokenizer.with_windows(block.windows, block.stride)


def _load_head(head: torch.nn.Sequential, saved: SavedModel, folder: Path) -> None:
    try:
        head.load_state_dict(dict(saved.head), assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: the head's tensors do not fit its graph: {error}") from error


def _refuse_to_replace(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not is_saved_model(folder))):
        raise CheckpointError(
            f"{folder} exists and is not a bertblocks model; nothing was written. Choose another folder."
        )


def _under(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
