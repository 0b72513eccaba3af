"""WHAT a model is: declarations only, standard library only."""

from bertblocks.blocks.blocks import (
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
    block_names,
)
from bertblocks.blocks.graph import Graph
from bertblocks.blocks.snippets import PoolingName, text_model
from bertblocks.blocks.task import Task, TaskKind

__all__ = [
    "MAX_SEQUENCE_LENGTH",
    "MIN_SEQUENCE_LENGTH",
    "BertEncoder",
    "BertPooler",
    "BertTokenizer",
    "Block",
    "Dense",
    "Dropout",
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
    "block_names",
    "text_model",
]
