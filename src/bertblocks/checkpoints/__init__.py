"""Files ↔ tensors and configurations: everything that is read from or written to disk for a model.

Nothing is unpickled: safetensors and JSON, and a foreign .bin only by torch's weights-only loader. What is
missing, unexpected, of the wrong shape or kind is reported together.
"""

from __future__ import annotations

from bertblocks.checkpoints.classification_head import opens_as_sequence_classification
from bertblocks.checkpoints.defaults import EncoderDefaults, encoder_defaults
from bertblocks.checkpoints.encoder_origin import EncoderOrigin, encoder_files, encoder_origin
from bertblocks.checkpoints.folders import Checkpoint, read_checkpoint, read_folder_config
from bertblocks.checkpoints.head_classes import HeadClass, head_class
from bertblocks.checkpoints.hub import NAMED_ENCODERS, NamedEncoder, resolve_encoder
from bertblocks.checkpoints.huggingface import write_checkpoint
from bertblocks.checkpoints.huggingface_config import read_config, write_config
from bertblocks.checkpoints.manifest import MANIFEST, is_saved_model, read_description, read_manifest
from bertblocks.checkpoints.pooling_file import read_pooling, write_pooling
from bertblocks.checkpoints.saved_model import (
    OpenedModel,
    SavedModel,
    open_saved_model,
    read_saved_model,
    write_saved_model,
)
from bertblocks.checkpoints.storage import read_tensors, write_tensors

__all__ = [
    "MANIFEST",
    "NAMED_ENCODERS",
    "Checkpoint",
    "EncoderDefaults",
    "EncoderOrigin",
    "HeadClass",
    "NamedEncoder",
    "OpenedModel",
    "SavedModel",
    "encoder_defaults",
    "encoder_files",
    "encoder_origin",
    "head_class",
    "is_saved_model",
    "open_saved_model",
    "opens_as_sequence_classification",
    "read_checkpoint",
    "read_config",
    "read_description",
    "read_folder_config",
    "read_manifest",
    "read_pooling",
    "read_saved_model",
    "read_tensors",
    "resolve_encoder",
    "write_checkpoint",
    "write_config",
    "write_pooling",
    "write_saved_model",
    "write_tensors",
]
