"""WHAT a model is: declarations only, standard library only."""

from bertblocks.blocks.blocks import (
    ENCODER_BLOCKS,
    MAX_SEQUENCE_LENGTH,
    MIN_SEQUENCE_LENGTH,
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Block,
    Dense,
    Dropout,
    EnglishBertEncoder,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MultilingualBertEncoder,
    Port,
    PretrainedBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
    Windowing,
    WindowPooling,
    block_names,
)
from bertblocks.blocks.drawing import draw, table
from bertblocks.blocks.graph import Graph
from bertblocks.blocks.sizes import BlockSize, EncoderSizes, block_sizes
from bertblocks.blocks.snippets import PoolingName, text_model
from bertblocks.blocks.task import Task, TaskKind

__all__ = [
    "ENCODER_BLOCKS",
    "MAX_SEQUENCE_LENGTH",
    "MIN_SEQUENCE_LENGTH",
    "BertEncoder",
    "BertPooler",
    "BertTokenizer",
    "Block",
    "BlockSize",
    "Dense",
    "Dropout",
    "EncoderSizes",
    "EnglishBertEncoder",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Graph",
    "MultilingualBertEncoder",
    "PoolingName",
    "Port",
    "PretrainedBertEncoder",
    "Target",
    "Task",
    "TaskKind",
    "TextInput",
    "TokenIdsInput",
    "WindowPooling",
    "Windowing",
    "block_names",
    "block_sizes",
    "draw",
    "table",
    "text_model",
]
