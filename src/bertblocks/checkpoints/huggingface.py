"""Writing a Hugging Face folder: config.json and model.safetensors.

What opens in transformers afterwards: a folder written without prefix as `AutoModel` (a BertModel; where it
has no pooler weights, pass `add_pooling_layer=False`, or transformers makes new ones and says so); one
written with "bert." and a classifier as `AutoModelForSequenceClassification`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bertblocks._files import write_text_atomically
from bertblocks.checkpoints.huggingface_config import class_name, write_config
from bertblocks.checkpoints.listing import raise_together
from bertblocks.checkpoints.names import POOLER_PARAMETERS, PREFIXES, encoder_parameters, to_hugging_face
from bertblocks.checkpoints.storage import write_tensors
from bertblocks.checkpoints.weight_files import SAFETENSORS
from bertblocks.encoder.config import EncoderConfig
from bertblocks.errors import CheckpointError


def write_checkpoint(
    folder: Path,
    *,
    config: EncoderConfig,
    encoder: Mapping[str, torch.Tensor],
    pooler: Mapping[str, torch.Tensor] | None,
    head: Mapping[str, torch.Tensor] | None = None,
    extra_config: Mapping[str, Any] | None = None,
    with_prefix: bool = False,
) -> None:
    """Write an encoder, and a head if there is one, as a folder with config.json and model.safetensors.

    Args:
        folder: Where to; made if it does not exist. Files of these two names are replaced.
        config: The encoder's sizes.
        encoder: The encoder's state dict; each tensor is written in its own dtype.
        pooler: "weight" and "bias" of BERT's pooler, or None.
        head: Tensors under their Hugging Face names, such as "classifier.weight".
        extra_config: Further keys of config.json: id2label, label2id, problem_type, pad_token_id,
            architectures.
        with_prefix: Write the encoder's names as transformers expects them below a head ("bert.…").

    Raises:
        CheckpointError: If tensors are missing, unknown or of the wrong shape (all of them are listed), or a
            file cannot be written.
        ConfigError: If extra_config names a key that the encoder decides.
    """
    below = PREFIXES[config.family]
    rows = [*encoder_parameters(config.num_hidden_layers), *(POOLER_PARAMETERS if pooler is not None else ())]
    ours = {**encoder, **{f"pooler.{kind}": tensor for kind, tensor in (pooler or {}).items()}}
    shapes = {row.name: row.shape(config) for row in rows}
    raise_together(
        f"{folder} is not written: the tensors are not those of the configuration",
        {
            "missing": [name for name in shapes if name not in ours],
            "unexpected": [name for name in ours if name not in shapes],
            "wrong shape": [
                f"{name} is {tuple(tensor.shape)}, expected {shapes[name]}"
                for name, tensor in ours.items()
                if name in shapes and tuple(tensor.shape) != shapes[name]
            ],
            "head tensors under an encoder's name": [
                name for name in head or {} if _is_encoder_name(name, below)
            ],
        },
    )
    purpose = "ForSequenceClassification" if with_prefix and head else "Model"
    architectures = [class_name(config.family, purpose)]
    written = write_config(config, extra={"architectures": architectures, **(extra_config or {})})
    prefix = below if with_prefix else ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / SAFETENSORS, {**to_hugging_face(ours, rows, prefix=prefix), **(head or {})})
        text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
        write_text_atomically(folder / "config.json", text)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error}.") from error


def _is_encoder_name(name: str, prefix: str) -> bool:
    return name.removeprefix(prefix).startswith(("embeddings.", "encoder.", "pooler."))
