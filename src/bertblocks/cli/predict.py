"""bertblocks predict: a table, one text, or a pipe of texts → predictions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bertblocks._words import counted
from bertblocks.cli.console import one_line, print_json, say
from bertblocks.cli.loading import loading
from bertblocks.cli.options import (
    SHARD_ROWS,
    AsJson,
    Columns,
    Device,
    Encoding,
    KeepBadRows,
    Limit,
    ModelFolder,
    OnError,
    PartFormat,
    Precision,
    PrecisionOption,
    Restart,
    ShardRows,
    Sheet,
    TableSource,
)
from bertblocks.cli.progress import Bar
from bertblocks.cli.sentences import texts_in_windows, unknown_tokens
from bertblocks.cli.standard_input import line_chunks
from bertblocks.cli.table_jobs import JobSettings, open_sources
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
    table: TableSource = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="CSV, TSV, JSON Lines or Parquet; or a folder for parts, which is there or ends in '/'.",
            show_default=False,
        ),
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
    on_error: OnError = None,
    columns: Columns = None,
    limit: Limit = None,
    format: PartFormat = None,
    shard_rows: ShardRows = SHARD_ROWS,
    restart: Restart = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: on a Ray cluster, with pip install bertblocks[ray].")
    ] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without it one is started on this machine.")
    ] = None,
    num_workers: Annotated[
        int | None,
        typer.Option(help="Of Ray: processes that hold the model; one a machine or GPU by default."),
    ] = None,
    cpus_per_worker: Annotated[int | None, typer.Option(help="Of Ray: processors of each.")] = None,
    gpus_per_worker: Annotated[float, typer.Option(help="Of Ray: GPUs of each; may be a fraction.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Predict a table, one text, or texts from a pipe.

    A TABLE needs --output, and goes on where it stopped if it is killed and called again; without TABLE and
    --text, each line of standard input is a text. A line cannot hold a pair: a model of pairs takes a TABLE,
    or --text with --text-pair.
    """
    without_effect = {
        "--text": text is not None and table is not None,
        "--text-pair": text_pair is not None and text is None,
        "--output": output is not None and table is None,
        "--sheet": sheet is not None and table is None,
        "--skip-bad-rows": skip_bad_rows and table is None,
        "--on-error": on_error is not None and table is None,
        "--columns": columns is not None and table is None,
        "--limit": limit is not None and table is None,
        "--format": format is not None and table is None,
        "--shard-rows": shard_rows != SHARD_ROWS and table is None,
        "--restart": restart and table is None,
        "--encoding": encoding != "utf-8" and text is not None,
    }
    of_ray = {
        "--ray-address": ray_address is not None,
        "--num-workers": num_workers is not None,
        "--cpus-per-worker": cpus_per_worker is not None,
        "--gpus-per-worker": gpus_per_worker != 0,
    }
    without_effect |= {"--engine": engine != "local" and table is None}
    without_effect |= {name: given and engine != "ray" for name, given in of_ray.items()}
    _check_options(table, output, [name for name, idle in without_effect.items() if idle])
    with loading():
        # Imported where it is needed: --help should not wait for torch.
        from bertblocks.inference import Predictor, predict_table

        if gpus_per_worker:
            # GPUs are the workers': the model is sent to them as it is.
            chosen: Precision = "bfloat16" if precision == "auto" else precision
            predictor = Predictor.load(model, precision=chosen, device="cpu", kernels="plain")
        else:
            predictor = Predictor.load(model, precision=precision, device=device)
    if table is not None and output is not None:
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
        predict_tables: Callable[..., JobReport] = predict_table
        if engine == "ray":
            from bertblocks.cluster import ray

            resources = ray.RayResources(
                address=ray_address,
                num_workers=num_workers,
                cpus_per_worker=cpus_per_worker,
                gpus_per_worker=gpus_per_worker,
            )
            predict_tables = partial(ray.predict_table, resources=resources)
        with Bar() as bar:
            report = predict_tables(
                predictor,
                tables,
                output,
                **settings.arguments(tables),
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


def _check_options(table: str | None, output: str | None, without_effect: list[str]) -> None:
    if table is not None and output is None:
        raise ConfigError("A TABLE needs --output: a table for the predictions, such as answers.csv.")
    if without_effect:
        raise ConfigError(
            f"{', '.join(without_effect)} cannot take effect here. A TABLE goes with --output, --encoding, "
            "--sheet and the options of rows, columns and engine, and --engine ray with those of Ray; --text "
            "with --text-pair; texts from a pipe with --encoding."
        )


def _print_report(report: JobReport, output: str, as_json: bool) -> None:
    if as_json:
        print_json({"output": output, **asdict(report)})
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
