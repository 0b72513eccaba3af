"""bertblocks predict: a table, one text, or a pipe of texts → predictions."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertblocks._words import counted
from bertblocks.cli.console import one_line, print_json, say
from bertblocks.cli.loading import loading
from bertblocks.cli.options import (
    AsJson,
    Device,
    Encoding,
    KeepBadRows,
    ModelFolder,
    PrecisionOption,
    Sheet,
)
from bertblocks.cli.progress import Bar
from bertblocks.cli.sentences import texts_in_windows, unknown_tokens
from bertblocks.cli.standard_input import line_chunks
from bertblocks.errors import ConfigError, DataError

if TYPE_CHECKING:
    from bertblocks.assembly import AssembledModel
    from bertblocks.blocks import Task
    from bertblocks.inference import JobReport, Prediction, Predictor

_SHOWN_LABELS = 3
# Of a predicted number, in units of the deviation that the training targets had.
_SHOWN_DECIMALS = 4


def predict(
    model: ModelFolder,
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="A table with texts.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="CSV, TSV, JSON Lines or Parquet.", show_default=False)
    ] = None,
    text: Annotated[str | None, typer.Option(help="One text, instead of a table.")] = None,
    text_pair: Annotated[
        str | None, typer.Option(help="The second text, with --text, for a model of pairs.")
    ] = None,
    precision: PrecisionOption = "auto",
    device: Device = "auto",
    encoding: Encoding = "utf-8",
    sheet: Sheet = None,
    skip_bad_rows: KeepBadRows = False,
    as_json: AsJson = False,
) -> None:
    """Predict a table, one text, or texts from a pipe.

    A TABLE needs --output; without TABLE and --text, each line of standard input is a text. A line cannot
    hold a pair: a model of pairs takes a TABLE, or --text with --text-pair.
    """
    without_effect = {
        "--text": text is not None and table is not None,
        "--text-pair": text_pair is not None and text is None,
        "--output": output is not None and table is None,
        "--sheet": sheet is not None and table is None,
        "--skip-bad-rows": skip_bad_rows and table is None,
        "--encoding": encoding != "utf-8" and text is not None,
    }
    _check_options(table, output, [name for name, idle in without_effect.items() if idle])
    with loading():
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
                on_batch=lambda num_rows: bar.add("Predicting rows", num_rows),
                say=say,
            )
        _print_report(report, output, as_json)
        return
    _check_takes_texts(predictor)
    if text is not None:
        if not text.strip():
            raise DataError("The --text is blank: there is nothing to predict.")
        pairs = None if text_pair is None else [text_pair]
        prediction = predictor.predict([text], pairs)[0]
        _print_prediction(prediction, predictor.model, as_json=as_json)
    else:
        _predict_lines(predictor, encoding, as_json=as_json)


def _check_takes_texts(predictor: Predictor) -> None:
    if predictor.model.tokenizer is None:
        raise ConfigError(
            "This model takes token ids, not texts: give a TABLE (JSON Lines or Parquet) with the column "
            f"{predictor.model.graph.inputs[0].column!r}, and --output."
        )


def _check_options(table: str | None, output: Path | None, without_effect: list[str]) -> None:
    if table is not None and output is None:
        raise ConfigError("A TABLE needs --output: a table for the predictions, such as answers.csv.")
    if without_effect:
        raise ConfigError(
            f"{', '.join(without_effect)} cannot take effect here. A TABLE goes with --output, --encoding, "
            "--sheet and --skip-bad-rows; --text with --text-pair; texts from a pipe with --encoding."
        )


def _print_report(report: JobReport, output: Path, as_json: bool) -> None:
    if as_json:
        print_json({"output": str(output), **asdict(report)})
        return
    print(f"{counted(report.num_rows, 'row is', 'rows are')} in {output}")
    if report.num_truncated:
        texts = counted(report.num_truncated, "text was", "texts were")
        say(f"{texts} cut, as the column 'truncated' says.")
    if sentence := texts_in_windows(report.num_in_windows, report.sequence_length):
        say(sentence)
    if sentence := unknown_tokens(report.num_unknown, report.unknown_share):
        say(sentence)


def _predict_lines(predictor: Predictor, encoding: str, *, as_json: bool) -> None:
    """One answer a line, in chunks, so that a pipe of any length needs little memory."""
    if sys.stdin.isatty():
        raise ConfigError("Give a TABLE with --output, a --text, or texts on standard input, one a line.")
    if len(predictor.model.graph.inputs) > 1:
        raise ConfigError(
            "This model takes pairs of texts, which a line cannot hold: give a TABLE with --output, or both "
            "--text and --text-pair."
        )
    for chunk in line_chunks(encoding):
        found = iter(predictor.predict([line for line in chunk if line.strip()]))
        # A blank line has no answer, but keeps its place: answers and texts can be put side by side.
        for prediction in (next(found) if line.strip() else None for line in chunk):
            if as_json:
                print_json(_as_json(prediction, predictor.model.task), compact=True)
            else:
                print("" if prediction is None else _short(prediction, predictor.model.task))
        sys.stdout.flush()


def _as_json(prediction: Prediction | None, task: Task) -> dict[str, Any]:
    from bertblocks.inference import rounded

    if prediction is None:
        return {"prediction": None}
    answer: Any = prediction.answer
    if isinstance(answer, float):
        answer = rounded(task, answer)
    return {
        "prediction": list(answer) if isinstance(answer, tuple) else answer,
        "probabilities": prediction.probabilities,
        "num_tokens": prediction.num_tokens,
        "truncated": prediction.truncated,
        "num_unknown": prediction.num_unknown,
    }


def _short(prediction: Prediction, task: Task) -> str:
    """The answer and its probability, separated by a tab; several answers by commas."""
    answer = prediction.answer
    if isinstance(answer, float):
        return _number(answer, task)
    if isinstance(answer, str):
        return f"{one_line(answer)}\t{prediction.probabilities[answer]:.4f}"
    return ", ".join(f"{one_line(label)} {prediction.probabilities[label]:.4f}" for label in answer)


def _number(answer: float, task: Task) -> str:
    from bertblocks.inference import rounded

    return str(rounded(task, answer, _SHOWN_DECIMALS))


def _print_prediction(prediction: Prediction, model: AssembledModel, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(prediction, model.task))
        return
    best = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:_SHOWN_LABELS]
    for label, probability in best:
        print(f"{probability:6.1%}  {one_line(label)}")
    if isinstance(prediction.answer, float):
        print(_number(prediction.answer, model.task))
    if prediction.truncated:
        say(f"The text has {counted(prediction.num_tokens, 'token')} and was cut.")
    elif prediction.num_tokens > model.sequence_length:
        say(f"The text has {counted(prediction.num_tokens, 'token')} and was read in windows.")
    if prediction.num_unknown:
        tokens = counted(prediction.num_unknown, "of its tokens is", "of its tokens are")
        say(f"{tokens} unknown to the vocabulary.")
