"""bertblocks evaluate: a model and a table with the truth → metrics."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bertblocks.cli.console import print_json, say
from bertblocks.cli.evaluation_tables import print_evaluation
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
from bertblocks.errors import ConfigError


def evaluate(
    model: ModelFolder,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A table with texts and the truth.", show_default=False)
    ],
    text: Annotated[str | None, typer.Option(help="Column of texts; as in training by default.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column of second texts, likewise.")] = None,
    ids: Annotated[str | None, typer.Option(help="Column of token ids, likewise.")] = None,
    target: Annotated[str | None, typer.Option(help="Column of the truth, likewise.")] = None,
    label_separator: Annotated[
        str | None, typer.Option(help="Splits the target into several labels; as in training by default.")
    ] = None,
    group_by: Annotated[str | None, typer.Option(help="Column for metrics by group.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, metrics.json, predictions.parquet and plots; by default "
            "MODEL-evaluation/NAME for a table NAME.csv."
        ),
    ] = None,
    precision: PrecisionOption = "auto",
    device: Device = "auto",
    encoding: Encoding = "utf-8",
    sheet: Sheet = None,
    skip_bad_rows: SkipBadRows = False,
    as_json: AsJson = False,
) -> None:
    """Compare a model's predictions with a table's truth.

    As a whole, by class and by group; report.html shows all of it.
    """
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks.data import open_table
    from bertblocks.evaluation import (
        METRICS_FILE,
        PREDICTIONS_FILE,
        default_folder,
        examine_table,
        read_training_texts,
        run_facts,
        stored_baseline,
        write_evaluation,
    )
    from bertblocks.inference import Predictor, model_folder
    from bertblocks.training import LOG_FILE, read_history

    place = output or default_folder(model, Path(table).stem)
    path = place / METRICS_FILE
    _check_place(path)
    if (other := _table_of(path)) not in (None, table):
        say(f"{path} holds the metrics of {other}: they will be replaced.")
    folder = model_folder(model)
    predictor = Predictor.load(folder, precision=precision, device=device)
    with Bar() as bar:
        data = examine_table(
            predictor,
            open_table(table, encoding=encoding, sheet=sheet),
            text=text,
            text_pair=text_pair,
            ids=ids,
            target=target,
            label_separator=_label_separator(folder) if label_separator is None else label_separator,
            group_by=group_by,
            on_bad_row="skip" if skip_bad_rows else "error",
            baseline=stored_baseline(folder),
            training_texts=read_training_texts(folder),
            predictions=place / PREDICTIONS_FILE,
            title=f"{model} on {table}",
            on_batch=lambda num_rows: bar.add("Predicting rows", num_rows),
            say=say,
        )
    about = {"model": str(model), "table": table}
    if as_json:
        print_json({**about, **data.evaluation.to_json()})
    else:
        print_evaluation(data.evaluation, title=data.title)
    settings = {"text": text, "text_pair": text_pair, "ids": ids, "target": target, "group_by": group_by}
    data = replace(
        data,
        history=read_history(folder / LOG_FILE),
        facts=run_facts(predictor, model=folder, table=Path(table), settings=settings),
    )
    # Last: a disk that is full by now should not cost the figures.
    say(f"Written: {write_evaluation(place, data, about=about)}")


def _table_of(path: Path) -> str | None:
    """Of which table these are the metrics; None where they do not say."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["table"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def _check_place(path: Path) -> None:
    """Make sure, before any work, that metrics can be written, and replace nobody else's.

    Raises:
        ConfigError: If the folder is a model's or a run's, or cannot be one that files are written to.
    """
    from bertblocks.checkpoints import is_saved_model
    from bertblocks.training import RUN_FILE

    folder = path.parent
    if is_saved_model(folder) or (folder / RUN_FILE).exists():
        raise ConfigError(
            f"{folder} holds a model or a run, whose own {path.name} would be replaced; choose another "
            "--output."
        )
    nearest = next(place for place in (path, *path.parents) if place.exists())
    if not (nearest.is_file() if nearest == path else nearest.is_dir()):
        raise ConfigError(
            f"{path} cannot be written, since {nearest} is in its way; choose another --output."
        )
    if not os.access(nearest, os.W_OK):
        raise ConfigError(f"{path} cannot be written, for want of permission; choose another --output.")


def _label_separator(model: Path) -> str | None:
    """What split the labels in training, where `bertblocks train` has left its record."""
    from bertblocks.training import RUN_FILE, read_record

    path = model / RUN_FILE
    return read_record(path)["settings"].get("label_separator") if path.is_file() else None
