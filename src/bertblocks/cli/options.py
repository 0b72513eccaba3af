"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bertblocks.blocks import PoolingName, Windowing, WindowPooling

# encoder.Precision again: importing it from there would load torch for --help. A test compares the two.
Precision = Literal["auto", "float32", "bfloat16", "int8"]
TrainingPrecision = Literal["auto", "float32", "bfloat16"]

ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Folder of a trained model, or its zip.", show_default=False)
]
Encoding = Annotated[str, typer.Option(help="Encoding of CSV and JSON Lines files.")]
Sheet = Annotated[str | None, typer.Option(help="Sheet of an Excel file; the first by default.")]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave bad rows out and count them.")]
KeepBadRows = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows",
        help="Leave the results of rows without a usable text empty, leave out rows that cannot be read, and "
        "count both.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="Of the encoder's products; auto is the fastest here that answers as float32 does, int8 is "
        "faster still."
    ),
]
TrainingPrecisionOption = Annotated[
    TrainingPrecision, typer.Option(help="Of the encoder's products; auto measures what is fastest here.")
]
PoolingOption = Annotated[
    PoolingName | None, typer.Option(help="How token vectors become one; the encoder's own way by default.")
]
WindowsOption = Annotated[
    Windowing,
    typer.Option(help="Longer texts: truncate cuts them, slide reads all in overlapping windows."),
]
StrideOption = Annotated[
    int | None,
    typer.Option(help="With slide: tokens from one window to the next; 3/4 of a window by default."),
]
WindowPoolingOption = Annotated[
    WindowPooling, typer.Option(help="With slide: how the windows' vectors become one.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto.")]
