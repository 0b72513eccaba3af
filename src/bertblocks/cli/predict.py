"""bertblocks predict: a table, one text, or a pipe of texts → predictions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertblocks.cli.console import print_json, say
from bertblocks.cli.options import (
    AsJson,
    Device,
    Encoding,
    ModelFolder,
    PrecisionOption,
    Sheet,
    SkipBadRows,
)
from bertblocks.cli.progress import Bar

if TYPE_CHECKING:
    from bertblocks.inference import JobReport, Prediction, Predictor

_WINDOW_LINES = 1024
_SHOWN_LABELS = 3


def predict(
    model: ModelFolder,
    table: Annotated[str | None, typer.Argument(help="A table with texts.", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option(help="CSV, TSV, JSON Lines or Parquet.", show_default=False)
    ] = None,
    text: Annotated[str | None, typer.Option(help="One text, instead of a table.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="The second text, for a model of pairs.")] = None,
    precision: PrecisionOption = "auto",
    device: Device = "auto",
    encoding: Encoding = "utf-8",
    sheet: Sheet = None,
    skip_bad_rows: SkipBadRows = False,
    as_json: AsJson = False,
) -> None:
    """Predict a table (with --output), one --text, or the lines of standard input."""
    if table is not None and text is not None:
        raise typer.BadParameter("Give a TABLE or --text, not both.")
    if (table is None) != (output is None):
        raise typer.BadParameter("A TABLE needs --output, and --output a TABLE: where the predictions go.")
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks.data import open_table
    from bertblocks.inference import Predictor, predict_table

    predictor = Predictor.load(model, precision=precision, device=device)
    if table is not None and output is not None:
        with Bar() as bar:
            report = predict_table(
                predictor,
                open_table(table, encoding=encoding, sheet=sheet),
                output,
                on_bad_row="skip" if skip_bad_rows else "error",
                on_batch=lambda done: bar.show("Predicting rows", done, None),
            )
        _print_report(report, output, as_json)
    elif text is not None:
        pairs = None if text_pair is None else [text_pair]
        _print_prediction(predictor.predict([text], pairs)[0], as_json=as_json)
    else:
        _predict_lines(predictor, as_json=as_json)


def _print_report(report: JobReport, output: Path, as_json: bool) -> None:
    if as_json:
        print_json({"output": str(output), **asdict(report)})
        return
    print(f"{report.num_rows:,} rows are in {output}")
    if report.num_truncated:
        say(f"{report.num_truncated:,} texts were cut, as the column 'truncated' says.")
    if report.num_empty or report.num_dropped:
        say(
            f"{report.num_empty:,} rows without a text have no prediction; "
            f"{report.num_dropped:,} rows could not be read and are left out."
        )


def _predict_lines(predictor: Predictor, *, as_json: bool) -> None:
    """One prediction a line, in windows, so that a pipe of any length needs little memory."""
    if sys.stdin.isatty():
        raise typer.BadParameter(
            "Give a TABLE with --output, a --text, or texts on standard input, one a line."
        )
    lines = (line.rstrip("\r\n") for line in _stdin_lines())
    while window := list(islice(lines, _WINDOW_LINES)):
        for prediction in predictor.predict(window):
            if as_json:
                print_json(_as_json(prediction), compact=True)
            else:
                print(_short(prediction))


def _stdin_lines() -> Iterator[str]:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    yield from sys.stdin


def _as_json(prediction: Prediction) -> dict[str, Any]:
    answer = prediction.answer
    return {
        "prediction": list(answer) if isinstance(answer, tuple) else answer,
        "probabilities": prediction.probabilities,
        "num_tokens": prediction.num_tokens,
        "truncated": prediction.truncated,
        "num_unknown": prediction.num_unknown,
    }


def _short(prediction: Prediction) -> str:
    """The answer and its probability, separated by a tab."""
    answer = prediction.answer
    if isinstance(answer, float):
        return f"{answer:.6g}"
    if isinstance(answer, str):
        return f"{answer}\t{prediction.probabilities[answer]:.4f}"
    return ", ".join(f"{label} {prediction.probabilities[label]:.4f}" for label in answer)


def _print_prediction(prediction: Prediction, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(prediction))
        return
    best = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:_SHOWN_LABELS]
    for label, probability in best:
        print(f"{probability:6.1%}  {label}")
    if isinstance(prediction.answer, float):
        print(f"{prediction.answer:.6g}")
    if prediction.truncated:
        say(f"The text has {prediction.num_tokens:,} tokens and was cut.")
