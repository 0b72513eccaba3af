"""bertblocks embed: texts → vectors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bertblocks.blocks import Windowing, WindowPooling
from bertblocks.cli.console import print_json, say
from bertblocks.cli.options import (
    AsJson,
    Device,
    Encoding,
    KeepBadRows,
    PoolingOption,
    PrecisionOption,
    Sheet,
    StrideOption,
)
from bertblocks.cli.progress import Bar
from bertblocks.cli.sentences import bad_rows, texts_in_windows


def embed(
    encoder: Annotated[
        str,
        typer.Argument(
            metavar="ENCODER",
            help="mini, multilingual-cased, english-uncased, org/name or a folder.",
            show_default=False,
        ),
    ],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table with texts.", show_default=False)],
    text: Annotated[str, typer.Option(help="Column of texts.", show_default=False)],
    output: Annotated[Path, typer.Option(help=".npy, or a table.", show_default=False)],
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
    as_json: AsJson = False,
) -> None:
    """Turn the texts of a table into vectors.

    One a row: as an array (.npy), or as a column beside the table's own.
    """
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks.data import open_table
    from bertblocks.inference import embed_table, load_encoder

    loaded = load_encoder(encoder, precision=precision, device=device)
    pooling = pooling or loaded.pooling
    with Bar() as bar:
        report = embed_table(
            loaded,
            open_table(table, encoding=encoding, sheet=sheet),
            output,
            text=text,
            pooling=pooling,
            sequence_length=sequence_length,
            windows=windows,
            stride=stride,
            window_pooling=window_pooling,
            on_bad_row="skip" if skip_bad_rows else "error",
            on_batch=lambda num_rows: bar.add("Encoding rows", num_rows),
        )
    if as_json:
        print_json({"output": str(output), "pooling": pooling, **asdict(report)})
        return
    print(f"{report.num_rows:,} vectors of {loaded.config.hidden_size} numbers ({pooling}) are in {output}")
    if report.num_truncated:
        say(f"{report.num_truncated:,} texts were cut; --windows slide reads them whole.")
    if sentence := texts_in_windows(report.num_in_windows, report.sequence_length):
        say(sentence)
    if report.num_unknown:
        say(f"{report.num_unknown:,} tokens ({report.unknown_share:.1%}) are unknown to the vocabulary.")
    if sentence := bad_rows(report.num_empty, report.num_dropped, "vector"):
        say(sentence)
