"""Everything that a run from a table can be told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from bertblocks.blocks import Graph, PoolingName, TaskKind, Windowing, WindowPooling
from bertblocks.errors import ConfigError
from bertblocks.training.contradictions import SIZES, contradictions
from bertblocks.training.settings import TrainingSettings

_Kinds = tuple[type, ...]
# Names of settings, the types that they may have, and these in words.
_KINDS: tuple[tuple[tuple[str, ...], _Kinds, str], ...] = (
    (("table", "target", "output", "encoder", "encoding"), (str,), "a text"),
    (
        ("text", "text_pair", "ids", "vocabulary", "label_separator", "group_by", "weight", "sheet"),
        (str, NoneType),
        "a text or null",
    ),
    (("graph",), (Graph, NoneType), "a graph or null"),
    (("freeze_encoder", "skip_bad_rows", "baseline", "tensorboard"), (bool,), "true or false"),
    (("validation",), (str, float, int), "a table or a share"),
    (("sequence_length", "stride", "vocabulary_size", *SIZES), (int, NoneType), "a whole number or null"),
    (("training",), (TrainingSettings,), "the settings of training"),
)
# Names of settings, what stands there by default, and what else may.
_CHOICES: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
    ("task", None, get_args(TaskKind)),
    ("pooling", None, get_args(PoolingName)),
    ("windows", "truncate", get_args(Windowing)),
    ("window_pooling", "average", get_args(WindowPooling)),
)


@dataclass(frozen=True, kw_only=True)
class TableRun:
    """A run's settings; run.json holds them, and `bertblocks train --config run.json` replays them.

    Attributes:
        table: Training rows.
        text: Column of texts; None where token ids go in.
        text_pair: Column of second texts, for pairs.
        ids: Column of lists of integers, in place of texts.
        target: Column to predict.
        output: Folder of the model; it appears when the run is done.
        encoder: A named encoder, `org/name` on the hub, a folder, or "random" for random weights.
        vocabulary: Of random weights that read texts: a name, or a folder with a tokenizer.
        vocabulary_size: Of random weights that read token ids, which run from 0 to this less 1.
        layers: Of random weights; 12 where None.
        heads: Of random weights; one for each 64 of the width where None.
        hidden_size: Width of random weights; 768 where None.
        intermediate_size: Feed-forward width of random weights; 4 times the width where None.
        graph: What to train, in place of the ready-made graph; the settings that it decides must agree.
        task: Overrides what the target column shows.
        label_separator: Splits a text target into several labels.
        validation: Another table, or the share of the rows that is held out.
        pooling: How token vectors become one vector; None is the encoder's own way.
        sequence_length: Most tokens of a text, or of a window of it; None is the encoder's limit.
        windows: Whether longer texts are cut ("truncate") or read in overlapping windows ("slide").
        stride: Tokens from one window's beginning to the next; None is three quarters of its room for text.
        window_pooling: How the vectors of a text's windows become one.
        freeze_encoder: Train the head alone, on vectors that are computed once.
        group_by: Column for metrics by group.
        weight: Column of how much each training row counts in the loss.
        encoding: Of text files.
        sheet: Of Excel files.
        skip_bad_rows: Leave rows out that cannot be used, and count them.
        baseline: Whether the cheap baseline is fitted beside.
        tensorboard: Whether to write TensorBoard events.
        training: How the weights are fitted.
    """

    table: str
    target: str
    output: str
    text: str | None = None
    text_pair: str | None = None
    ids: str | None = None
    encoder: str = "mini"
    vocabulary: str | None = None
    vocabulary_size: int | None = None
    layers: int | None = None
    heads: int | None = None
    hidden_size: int | None = None
    intermediate_size: int | None = None
    graph: Graph | None = None
    task: TaskKind | None = None
    label_separator: str | None = None
    validation: str | float = 0.1
    pooling: PoolingName | None = None
    sequence_length: int | None = None
    windows: Windowing = "truncate"
    stride: int | None = None
    window_pooling: WindowPooling = "average"
    freeze_encoder: bool = False
    group_by: str | None = None
    weight: str | None = None
    encoding: str = "utf-8"
    sheet: str | None = None
    skip_bad_rows: bool = False
    baseline: bool = True
    tensorboard: bool = False
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}, but must be {words}"
            for names, kinds, words in _KINDS
            for name in names
            if not isinstance(value := getattr(self, name), kinds)
            or (isinstance(value, bool) and bool not in kinds)
        ]
        for name, default, choices in _CHOICES:
            if getattr(self, name) not in (default, *choices):
                problems.append(f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(choices)}")
        if problems := problems or list(contradictions(self)):
            raise ConfigError("A run cannot have these settings: " + "; ".join(problems) + ".")

    @property
    def work(self) -> Path:
        """Where checkpoints and logs lie until the run is done: beside the output, on the same disk."""
        output = Path(self.output)
        if output.is_symlink() or output.name in ("", ".."):
            output = output.resolve()
        return output.with_name(output.name + ".unfinished")

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back."""
        return {**asdict(self), "graph": None if self.graph is None else self.graph.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TableRun:
        """Read what to_json wrote.

        Raises:
            ConfigError: If a key is unknown, a required one is missing, or a value cannot be.
            GraphError: If there is a graph, and it cannot be.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(data) - known)
        needed = {"table", "target", "output"} | (set() if "ids" in data else {"text"})
        missing = sorted(needed - set(data))
        if unknown or missing:
            raise ConfigError(f"These are not a run's settings: unknown {unknown}, missing {missing}.")
        training = TrainingSettings.from_json(data.get("training", {}))
        graph = None if data.get("graph") is None else Graph.from_json(data["graph"])
        return cls(**{**data, "training": training, "graph": graph})
