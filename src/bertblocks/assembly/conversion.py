"""Any encoder that can be read → a Hugging Face folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bertblocks._files import replace_folder_when_done
from bertblocks.checkpoints import (
    Checkpoint,
    encoder_defaults,
    is_saved_model,
    read_checkpoint,
    resolve_encoder,
    write_checkpoint,
)
from bertblocks.errors import CheckpointError
from bertblocks.text import Tokenizer, load_tokenizer

_POOLING = "1_Pooling"


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversion:
    """What a conversion read and wrote.

    Attributes:
        folder: What was written.
        checkpoint: The encoder, as it was read.
        tokenizer: The tokenizer, likewise.
    """

    folder: Path
    checkpoint: Checkpoint
    tokenizer: Tokenizer


def convert(
    source: str | os.PathLike[str], output: str | os.PathLike[str], *, keep_heads: bool = False
) -> Conversion:
    """Write an encoder and its tokenizer as a Hugging Face folder, whole or not at all.

    Args:
        source: A named encoder, `org/name` on the hub, a folder of Hugging Face's or Google's form, or a zip.
        output: The folder to write; it must not be there, or be empty.
        keep_heads: Whether the heads of pretraining go along, as transformers' BertForPreTraining.

    Raises:
        CheckpointError: If the source cannot be read, is one of our models, or the output is there already.
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
    tokenizer = load_tokenizer(folder, sequence_length=encoder_defaults(folder).sequence_length)
    with replace_folder_when_done(target) as unfinished:
        tokenizer.save(unfinished)
        write_checkpoint(
            unfinished,
            config=checkpoint.config,
            encoder=checkpoint.encoder,
            pooler=checkpoint.pooler,
            head=checkpoint.head,
            with_prefix=bool(checkpoint.head),
            extra_config={
                "pad_token_id": tokenizer.special_tokens.get("pad"),
                **({"architectures": ["BertForPreTraining"]} if checkpoint.head else {}),
            },
        )
        if (folder / _POOLING).is_dir():
            shutil.copytree(folder / _POOLING, unfinished / _POOLING)
    return Conversion(folder=target, checkpoint=checkpoint, tokenizer=tokenizer)
