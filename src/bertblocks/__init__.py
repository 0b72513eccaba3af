"""Classify and score texts in a hundred languages with BERT.

    import bertblocks as bb

    model = bb.TextClassifier().fit(texts, labels)
    model.predict(texts)

Names are imported when they are first used: `import bertblocks` itself loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bertblocks._version import __version__ as __version__

_HOMES = {
    "bertblocks.assembly": ("build",),
    "bertblocks.blocks": (
        "BertEncoder",
        "BertPooler",
        "BertTokenizer",
        "Dense",
        "Dropout",
        "EnglishBertEncoder",
        "GlobalAveragePooling1D",
        "GlobalMaxPooling1D",
        "Graph",
        "MultilingualBertEncoder",
        "PretrainedBertEncoder",
        "Target",
        "Task",
        "TextInput",
        "TokenIdsInput",
        "snippets",
        "text_model",
    ),
    "bertblocks.encoder": ("PackedTokens",),
    "bertblocks.errors": (
        "BertBlocksError",
        "CheckpointError",
        "ConfigError",
        "DataError",
        "GraphError",
        "MissingPackageError",
        "ShapeError",
    ),
    "bertblocks.estimators": ("TextClassifier", "TextRegressor", "load"),
    "bertblocks.explanation": ("Explainer",),
    "bertblocks.inference": ("Predictor", "load_encoder"),
    "bertblocks.text": ("load_tokenizer",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)

if TYPE_CHECKING:
    from bertblocks.assembly import build as build
    from bertblocks.blocks import BertEncoder as BertEncoder
    from bertblocks.blocks import BertPooler as BertPooler
    from bertblocks.blocks import BertTokenizer as BertTokenizer
    from bertblocks.blocks import Dense as Dense
    from bertblocks.blocks import Dropout as Dropout
    from bertblocks.blocks import EnglishBertEncoder as EnglishBertEncoder
    from bertblocks.blocks import GlobalAveragePooling1D as GlobalAveragePooling1D
    from bertblocks.blocks import GlobalMaxPooling1D as GlobalMaxPooling1D
    from bertblocks.blocks import Graph as Graph
    from bertblocks.blocks import MultilingualBertEncoder as MultilingualBertEncoder
    from bertblocks.blocks import PretrainedBertEncoder as PretrainedBertEncoder
    from bertblocks.blocks import Target as Target
    from bertblocks.blocks import Task as Task
    from bertblocks.blocks import TextInput as TextInput
    from bertblocks.blocks import TokenIdsInput as TokenIdsInput
    from bertblocks.blocks import snippets as snippets
    from bertblocks.blocks import text_model as text_model
    from bertblocks.encoder import PackedTokens as PackedTokens
    from bertblocks.errors import BertBlocksError as BertBlocksError
    from bertblocks.errors import CheckpointError as CheckpointError
    from bertblocks.errors import ConfigError as ConfigError
    from bertblocks.errors import DataError as DataError
    from bertblocks.errors import GraphError as GraphError
    from bertblocks.errors import MissingPackageError as MissingPackageError
    from bertblocks.errors import ShapeError as ShapeError
    from bertblocks.estimators import TextClassifier as TextClassifier
    from bertblocks.estimators import TextRegressor as TextRegressor
    from bertblocks.estimators import load as load
    from bertblocks.explanation import Explainer as Explainer
    from bertblocks.inference import Predictor as Predictor
    from bertblocks.inference import load_encoder as load_encoder
    from bertblocks.text import load_tokenizer as load_tokenizer


def __getattr__(name: str) -> Any:
    """Import a public name from where it lives, at its first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'bertblocks' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
