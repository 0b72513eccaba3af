"""The parts joined: graph + folder → model with its tokenizer; tokenized texts → packed batches."""

from bertblocks.assembly.assembled import AssembledModel, assemble, load_model
from bertblocks.assembly.batches import (
    DEFAULT_BATCH_TOKENS,
    default_batch_tokens,
    distinct_rows,
    pack,
    run_packed,
)
from bertblocks.assembly.building import build, load_encoder_module, weights_dtype
from bertblocks.assembly.fitting import check_fit, check_task, load_block_tokenizer
from bertblocks.assembly.lanes import lanes, lanes_of
from bertblocks.assembly.model import TextModel
from bertblocks.assembly.sizes import built_sizes

__all__ = [
    "DEFAULT_BATCH_TOKENS",
    "AssembledModel",
    "TextModel",
    "assemble",
    "build",
    "built_sizes",
    "check_fit",
    "check_task",
    "default_batch_tokens",
    "distinct_rows",
    "lanes",
    "lanes_of",
    "load_block_tokenizer",
    "load_encoder_module",
    "load_model",
    "pack",
    "run_packed",
    "weights_dtype",
]
