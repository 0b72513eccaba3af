"""bertblocks embed: texts → vectors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from bertblocks._words import counted
from bertblocks.blocks import Windowing, WindowPooling
from bertblocks.cli.console import print_json, say
from bertblocks.cli.loading import loading
from bertblocks.cli.options import (
    SHARD_ROWS,
    AsJson,
    Columns,
    Device,
    Encoding,
    KeepBadRows,
    Limit,
    OnError,
    PartFormat,
    PoolingOption,
    PrecisionOption,
    Restart,
    ShardRows,
    Sheet,
    StrideOption,
)
from bertblocks.cli.progress import Bar
from bertblocks.cli.sentences import texts_in_windows, unknown_tokens
from bertblocks.cli.table_jobs import JobSettings, open_sources


def embed(
    encoder: Annotated[
        str,
        typer.Argument(
            metavar="ENCODER",
            help="mini, multilingual-cased, english-uncased, org/name or a folder.",
            show_default=False,
        ),
    ],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A table with texts; or a folder or pattern of tables, or a URI (s3://...).",
            show_default=False,
        ),
    ],
    text: Annotated[str, typer.Option(help="Column of texts.", show_default=False)],
    output: Annotated[
        str,
        typer.Option(
            help=".npy, or a table; or a folder for parts, which is there or ends in '/'.", show_default=False
        ),
    ],
    pooling: PoolingOption = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(
            help="Most tokens of a text or window; a trained model's own, or the encoder's limit by default."
        ),
    ] = None,
    windows: Annotated[
        Windowing | None,
        typer.Option(
            help="Longer texts: truncate cuts them, slide reads all in overlapping windows. By default a "
            "trained model's own way, with its --stride and --window-pooling; truncate for other encoders."
        ),
    ] = None,
    stride: StrideOption = None,
    window_pooling: Annotated[
        WindowPooling | None, typer.Option(help="With slide: how the windows' vectors become one.")
    ] = None,
    precision: PrecisionOption = "auto",
    device: Device = "auto",
    encoding: Encoding = "utf-8",
    sheet: Sheet = None,
    skip_bad_rows: KeepBadRows = False,
    on_error: OnError = None,
    columns: Columns = None,
    limit: Limit = None,
    format: PartFormat = None,
    shard_rows: ShardRows = SHARD_ROWS,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Turn the texts of a table into vectors.

    One a row: as an array (.npy), or as a column beside the table's own. Killed and called again, it goes on
    where it stopped.
    """
    with loading():
        # Imported where it is needed: --help should not wait for torch.
        from bertblocks.inference import embed_table, load_encoder

        loaded = load_encoder(encoder, precision=precision, device=device)
    pooling = pooling or loaded.pooling
    settings = JobSettings(
        output=output,
        on_error=on_error,
        skip_bad_rows=skip_bad_rows,
        columns=columns,
        limit=limit,
        part_format=format,
        shard_rows=shard_rows,
        restart=restart,
    )
    tables = open_sources(table, settings, encoding=encoding, sheet=sheet)
    with Bar() as bar:
        report = embed_table(
            loaded,
            tables,
            output,
            **settings.arguments(tables),
            text=text,
            pooling=pooling,
            sequence_length=sequence_length,
            windows=windows,
            stride=stride,
            window_pooling=window_pooling,
            on_batch=lambda num_rows: bar.add("Encoding rows", num_rows),
            say=say,
        )
    if as_json:
        print_json({"output": output, "pooling": pooling, **asdict(report)})
        return
    kind = f"of {loaded.config.hidden_size} numbers ({pooling})"
    print(f"{counted(report.num_rows, f'vector {kind} is', f'vectors {kind} are')} in {output}")
    if report.num_truncated:
        one = "text was cut; --windows slide reads it whole."
        say(counted(report.num_truncated, one, "texts were cut; --windows slide reads them whole."))
    if sentence := texts_in_windows(report.num_in_windows, report.sequence_length):
        say(sentence)
    if sentence := unknown_tokens(report.num_unknown, report.unknown_share):
        say(sentence)
