"""Any encoder that can be read → a Hugging Face folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertblocks._files import replace_folder_when_done
from bertblocks._foreign_files import is_there, read_json_object
from bertblocks.blocks import MAX_SEQUENCE_LENGTH
from bertblocks.checkpoints import (
    Checkpoint,
    HeadClass,
    head_class,
    is_saved_model,
    read_checkpoint,
    read_pooling,
    resolve_encoder,
    write_checkpoint,
    write_pooling,
)
from bertblocks.errors import CheckpointError
from bertblocks.text import Tokenizer, load_encoder_tokenizer


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversion:
    """What a conversion read and wrote.

    Attributes:
        folder: What was written.
        checkpoint: The encoder with the heads that were kept.
        tokenizer: The tokenizer.
        head_class: Of transformers, to which the kept heads belong; None where none were kept.
    """

    folder: Path
    checkpoint: Checkpoint
    tokenizer: Tokenizer
    head_class: str | None


def convert(
    source: str | os.PathLike[str], output: str | os.PathLike[str], *, keep_heads: bool = False
) -> Conversion:
    """Write an encoder and its tokenizer as a Hugging Face folder, whole or not at all.

    Args:
        source: A named encoder, `org/name` on the hub, a folder of Hugging Face's or Google's form, or a zip.
        output: The folder to write; it must not be there, or be empty.
        keep_heads: Whether heads go along, as the class of transformers' that they belong to.

    Raises:
        CheckpointError: If the source cannot be read, is one of our models, has heads of several classes that
            should be kept, or the output is there already.
    """
    target = Path(output)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(f"{target} is there already; choose another --output, or remove it first.")
    folder = resolve_encoder(source)
    if is_saved_model(folder):
        raise CheckpointError(
            f"{folder} is a model that bertblocks saved: it is a Hugging Face folder already."
        )
    checkpoint = read_checkpoint(folder, keep_heads=keep_heads)
    found = head_class(checkpoint, _stated_config(folder))
    checkpoint = _without_foreign_heads(checkpoint, found)
    length = min(MAX_SEQUENCE_LENGTH, checkpoint.config.max_sequence_length)
    tokenizer = load_encoder_tokenizer(source, folder, sequence_length=length)
    pooling = read_pooling(folder)
    with replace_folder_when_done(target) as unfinished:
        tokenizer.save(unfinished)
        write_checkpoint(
            unfinished,
            config=checkpoint.config,
            encoder=checkpoint.encoder,
            pooler=checkpoint.pooler,
            head=checkpoint.head,
            with_prefix=found is not None,
            extra_config={
                "pad_token_id": tokenizer.special_tokens.get("pad"),
                **({} if found is None else found.config),
            },
        )
        if pooling is not None:
            write_pooling(unfinished, pooling, checkpoint.config.hidden_size)
    name = None if found is None else found.name
    return Conversion(folder=target, checkpoint=checkpoint, tokenizer=tokenizer, head_class=name)


def _stated_config(folder: Path) -> Mapping[str, Any]:
    """config.json as it is; nothing in Google's form."""
    path = folder / "config.json"
    return read_json_object(path) if is_there(path) else {}


def _without_foreign_heads(checkpoint: Checkpoint, found: HeadClass | None) -> Checkpoint:
    """Leave out what the class has no place for, BERT's pooler among it, and list it."""
    foreign = tuple(checkpoint.head) if found is None else found.foreign
    kept = {name: tensor for name, tensor in checkpoint.head.items() if name not in foreign}
    pooler = checkpoint.pooler
    if found is not None and pooler is not None and not found.has_pooler:
        foreign, pooler = (*foreign, *(f"pooler.dense.{kind}" for kind in pooler)), None
    return replace(checkpoint, head=kept, pooler=pooler, dropped=(*checkpoint.dropped, *foreign))
