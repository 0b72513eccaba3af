"""Long lists of options, under headings in --help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer.core

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "The table": (
        *("table", "text", "text_pair", "ids", "target", "task", "label_separator", "validation", "group_by"),
        *("weight", "encoding", "sheet", "skip_bad_rows"),
    ),
    "The model": (
        *("encoder", "graph", "pooling", "sequence_length", "windows", "stride", "window_pooling"),
        "freeze_encoder",
    ),
    "Random weights, which --ids and --encoder random begin with": (
        *("vocabulary", "vocabulary_size", "layers", "heads", "hidden_size", "intermediate_size"),
    ),
    "Training": (
        *("epochs", "batch_tokens", "learning_rate", "class_weight", "metric", "patience", "optimizer"),
        *("precision", "device", "seed"),
    ),
    "The run": ("output", "config", "resume", "checkpoint_every_s", "baseline", "tensorboard"),
}
"""Options of `train` by heading; all others stand under "Options"."""


class SectionedCommand(typer.core.TyperCommand):
    """A command whose --help shows its options under SECTIONS.

    Typer itself has headings only in rich's boxes, which neither a log nor a screen reader likes.
    """

    # Typer brings its own click, whose types have no public names.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options."""
        headings = {name: heading for heading, names in SECTIONS.items() for name in names}
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in SECTIONS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(headings.get(str(parameter.name), "Options"), []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
