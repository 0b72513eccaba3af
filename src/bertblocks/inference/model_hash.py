"""The sha256 of a model: by it a job that goes on knows that it is the same one."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from pathlib import Path

import torch
from torch import nn

from bertblocks._files import file_sha256
from bertblocks.checkpoints import MANIFEST, encoder_files, is_saved_model


def folder_sha256(folder: Path) -> str:
    """Of what a folder's model gives: of all files that decide about it.

    Raises:
        CheckpointError: If one of them is no regular file.
    """
    if is_saved_model(folder):
        # It has the sha256 of every other file in it.
        return file_sha256(folder / MANIFEST)
    return sha256(json.dumps(encoder_files(folder), sort_keys=True).encode("utf-8")).hexdigest()


def module_sha256(module: nn.Module, description: str) -> str:
    """Of a module in memory.

    Args:
        module: As it was trained or loaded, not converted for inference.
        description: What else decides about its answers.
    """
    digest = sha256(description.encode("utf-8"))
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def unknown_sha256() -> str:
    """Stands for what cannot be known again: it is never the same."""
    return f"not known: {secrets.token_hex(16)}"
