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
TableSource = Annotated[
    str | None,
    typer.Argument(
        metavar="TABLE",
        help="A table with texts; or a folder or pattern of tables, or a URI (s3://...).",
        show_default=False,
    ),
]
OnError = Annotated[
    Literal["column", "skip", "stop"] | None,
    typer.Option(
        help="Rows that cannot be used: stop ends the job, skip is --skip-bad-rows, column keeps every row "
        "and says in the column 'error' what is wrong. By default column for a folder, stop for a file."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(help="Columns of the table that stand beside the results, as a,b; all by default."),
]
Limit = Annotated[int | None, typer.Option(help="Most rows that are taken.")]
PartFormat = Annotated[
    Literal["parquet", "csv", "tsv", "jsonl", "npy"] | None,
    typer.Option(help="Of the parts in a folder; parquet by default."),
]
# inference.SHARD_ROWS again: importing it from there would load torch for --help. A test compares the two.
SHARD_ROWS = 16_384
ShardRows = Annotated[int, typer.Option(help="Rows of a part: what a kill costs at most.")]
Restart = Annotated[
    bool, typer.Option("--restart", help="Begin anew where the parts of another job lie in the way.")
]
