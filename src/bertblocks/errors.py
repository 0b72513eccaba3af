"""Every exception that bertblocks raises on purpose.

    BertBlocksError
    ├── GraphError        (ValueError)    blocks that cannot be joined
    ├── CheckpointError   (ValueError)    weights, vocabularies or configurations that cannot be read
    ├── DataError         (ValueError)    a table, a row, a text or a target that cannot be used
    ├── ConfigError       (ValueError)    a setting that is unknown, out of range or without effect
    ├── ShapeError        (ValueError)    tensors that do not fit together
    └── MissingPackageError (ImportError) an optional dependency that is not installed

A message says what was wrong, what was found, what was expected and how to mend it. The command line prints
it as it is and exits with status 2.
"""

from __future__ import annotations


class BertBlocksError(Exception):
    """Root of the tree: catch this to catch everything that bertblocks raises on purpose."""


class GraphError(BertBlocksError, ValueError):
    """Blocks that cannot be joined; the message lists every problem of the graph at once."""


class CheckpointError(BertBlocksError, ValueError):
    """Weights, a vocabulary or a configuration that cannot be read, or are not what they say."""


class DataError(BertBlocksError, ValueError):
    """A table, row, text or target that cannot be used; names file, row and column where there are any."""


class ConfigError(BertBlocksError, ValueError):
    """A setting that is unknown, out of range, or cannot take effect."""


class ShapeError(BertBlocksError, ValueError):
    """Tensors whose shapes do not fit together."""


class MissingPackageError(BertBlocksError, ImportError):
    """An optional dependency is not installed; the message names it with the pip command."""

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'bertblocks[{extra}]'")
