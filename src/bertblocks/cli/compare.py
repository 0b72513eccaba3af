"""bertblocks compare: several models and a table with the truth → what they differ by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertblocks.cli.console import print_json, say, stdout
from bertblocks.cli.evaluation_tables import print_tables
from bertblocks.cli.options import AsJson, Device, Encoding, PrecisionOption, Sheet, SkipBadRows
from bertblocks.cli.progress import Bar
from bertblocks.errors import ConfigError

if TYPE_CHECKING:
    from bertblocks.evaluation import Comparison

COMPARISON_FILE = "compare.json"


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODELS",
            help="Folders of trained models, or their zips; all are compared with the first.",
            show_default=False,
        ),
    ],
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
    group_by: Annotated[str | None, typer.Option(help="Column for differences by group.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for compare.json.", show_default=False)] = None,
    precision: PrecisionOption = "auto",
    device: Device = "auto",
    encoding: Encoding = "utf-8",
    sheet: Sheet = None,
    skip_bad_rows: SkipBadRows = False,
    as_json: AsJson = False,
) -> None:
    """Compare models on the same table.

    Differences from the first model with 95 % intervals, and a test of whether chance may do as much.
    """
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks._files import write_text_atomically
    from bertblocks.data import open_table
    from bertblocks.evaluation import compare_tables, comparison_sentences, shortest_names
    from bertblocks.inference import Predictor, model_folder

    names = _names(shortest_names([str(model) for model in models]))
    path = None if output is None else output / COMPARISON_FILE
    if path is not None:
        _check_place(path)
    opened = open_table(table, encoding=encoding, sheet=sheet)
    folders = [model_folder(model) for model in models]
    if label_separator is None:
        label_separator = _label_separator(dict(zip(names, folders, strict=True)))
    predictors = {
        name: Predictor.load(folder, precision=precision, device=device)
        for name, folder in zip(names, folders, strict=True)
    }
    with Bar() as bar:
        found = compare_tables(
            predictors,
            opened,
            text=text,
            text_pair=text_pair,
            ids=ids,
            target=target,
            label_separator=label_separator,
            group_by=group_by,
            on_bad_row="skip" if skip_bad_rows else "error",
            on_batch=lambda num_rows: bar.add("Asking the models, rows", num_rows),
            say=say,
        )
    facts = {
        "models": [str(model) for model in models],
        "table": table,
        "summary": comparison_sentences(found),
        **found.to_json(),
    }
    if as_json:
        print_json(facts)
    else:
        _print(found, title=f"{', '.join(names)} on {table}")
    if path is not None:
        # Last: a disk that is full by now should not cost the figures.
        write_text_atomically(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        say(f"Written: {path}")


def _names(names: list[str]) -> list[str]:
    """Names of the models.

    Raises:
        ConfigError: If there are fewer than two, or one is there twice.
    """
    if len(names) < 2:
        raise ConfigError(
            "compare needs at least two models before the table; bertblocks evaluate looks at a single one."
        )
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{repeated[0]} is named twice: a model differs from itself by nothing.")
    return names


def _check_place(path: Path) -> None:
    """Make sure, before any work, that the file can be written.

    Raises:
        ConfigError: If the folder is a model's, or cannot be one.
    """
    from bertblocks.checkpoints import is_saved_model

    if is_saved_model(path.parent):
        raise ConfigError(f"{path.parent} holds a model; choose another --output.")
    nearest = next(place for place in (path, *path.parents) if place.exists())
    if not (nearest.is_file() if nearest == path else nearest.is_dir()):
        raise ConfigError(
            f"{path} cannot be written, since {nearest} is in its way; choose another --output."
        )


def _label_separator(folders: dict[str, Path]) -> str | None:
    """What split the labels in training, where `bertblocks train` has left its records.

    Raises:
        ConfigError: If it was not the same for all models.
    """
    from bertblocks.training import RUN_FILE, read_record

    found = {
        name: read_record(folder / RUN_FILE)["settings"].get("label_separator")
        for name, folder in folders.items()
        if (folder / RUN_FILE).is_file()
    }
    first = next(iter(found), "")
    for name, separator in found.items():
        if separator != found[first]:
            raise ConfigError(
                f"In training the labels of {first} were separated by {found[first]!r}, those of {name} by "
                f"{separator!r}: say by --label-separator what separates them here."
            )
    return found.get(first)


def _print(comparison: Comparison, *, title: str) -> None:
    from bertblocks.evaluation import comparison_sentences, comparison_tables

    stdout.print(title, style="bold", markup=False)
    print_tables(comparison_tables(comparison))
    for sentence in comparison_sentences(comparison):
        stdout.print(f"\n{sentence}", markup=False)
