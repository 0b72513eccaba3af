"""bertblocks train: a table → a model's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bertblocks.blocks import TaskKind
from bertblocks.cli.console import print_json, say, silent
from bertblocks.cli.evaluation_tables import print_evaluation
from bertblocks.cli.options import (
    AsJson,
    Device,
    Encoding,
    PoolingOption,
    Sheet,
    SkipBadRows,
    StrideOption,
    TrainingPrecisionOption,
    WindowPoolingOption,
    WindowsOption,
)
from bertblocks.cli.progress import Bar, duration
from bertblocks.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from bertblocks.training import FinishedRun, Processes, TableRun

_TRAINING_OPTIONS = (
    "epochs",
    "batch_tokens",
    "learning_rate",
    "class_weight",
    "metric",
    "patience",
    "optimizer",
    "precision",
    "device",
    "seed",
    "checkpoint_every_s",
)


def train(
    context: typer.Context,
    table: Annotated[
        str | None,
        typer.Argument(metavar="TABLE", help="CSV, TSV, JSON Lines, Parquet or Excel.", show_default=False),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column of texts.", show_default=False)] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column of second texts, for pairs.")] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            help="Column of lists of 3 to 512 integers (JSON Lines or Parquet), in place of texts; needs "
            "--vocabulary-size."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.", show_default=False)] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the model.", show_default=False)] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="mini, multilingual-cased, english-uncased, org/name, a folder, or random: weights that "
            "know nothing yet, need much data and long training, and with texts a --vocabulary. mini by "
            "default, random for --ids."
        ),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(help="Of texts: multilingual-cased, english-uncased, mini or a tokenizer's folder."),
    ] = None,
    vocabulary_size: Annotated[
        int | None, typer.Option(help="Of --ids, which run from 0 to this less 1.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="12 by default, as in BERT-Base; 2 to 4 train faster.")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="One for each 64 of the hidden size by default.")] = None,
    hidden_size: Annotated[
        int | None, typer.Option(help="768 by default, as in BERT-Base; 64 to 256 train faster.")
    ] = None,
    intermediate_size: Annotated[int | None, typer.Option(help="4 times the hidden size by default.")] = None,
    graph: Annotated[
        Path | None,
        typer.Option(help="A graph's JSON file: trains that graph, which names columns and encoder."),
    ] = None,
    task: Annotated[TaskKind | None, typer.Option(help="Overrides what the target column shows.")] = None,
    label_separator: Annotated[
        str | None, typer.Option(help="Splits the target into several labels, for instance '|'.")
    ] = None,
    validation: Annotated[str, typer.Option(help="A table, or the share of rows to hold out.")] = "0.1",
    group_by: Annotated[str | None, typer.Option(help="Column for metrics by group.")] = None,
    weight: Annotated[
        str | None, typer.Option(help="Column of how much each row counts in training.")
    ] = None,
    pooling: PoolingOption = None,
    sequence_length: Annotated[
        int | None, typer.Option(help="Most tokens of a text or window; the encoder's limit by default.")
    ] = None,
    windows: WindowsOption = "truncate",
    stride: StrideOption = None,
    window_pooling: WindowPoolingOption = "average",
    freeze_encoder: Annotated[
        bool, typer.Option("--freeze-encoder", help="Train only the head: seconds instead of minutes.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows, at most.")] = None,
    batch_tokens: Annotated[int, typer.Option(help="Tokens that go through the encoder at once.")] = 2048,
    learning_rate: Annotated[float | None, typer.Option(help="Peak; by encoder by default.")] = None,
    class_weight: Annotated[
        Literal["auto"] | None, typer.Option(help="auto: rare classes count as much as frequent ones.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="What the best epoch is chosen by.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a gain.")] = None,
    optimizer: Annotated[
        Literal["adamw", "google-adamw"], typer.Option(help="google-adamw: without bias correction.")
    ] = "adamw",
    precision: TrainingPrecisionOption = "auto",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Same seed and precision, same model on one machine.")] = 0,
    encoding: Encoding = "utf-8",
    sheet: Sheet = None,
    skip_bad_rows: SkipBadRows = False,
    baseline: Annotated[bool, typer.Option(help="Fit the cheap baseline beside.")] = True,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events.")] = False,
    checkpoint_every_s: Annotated[
        float, typer.Option(help="Seconds between checkpoints: what a kill may cost.")
    ] = 120.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run stopped.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="A run.json to replay; options given here override it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on a table, and evaluate it on held-out rows."""
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks.training import follow_table, joined_processes

    with joined_processes() as processes:
        run = _run_of(context, config)
        if processes.is_first:
            _train(run, processes, resume=resume, as_json=as_json)
        else:
            with silent():
                follow_table(run, processes)


def _train(run: TableRun, processes: Processes, *, resume: bool, as_json: bool) -> None:
    from bertblocks.cli.training_display import TrainingDisplay
    from bertblocks.training import train_table

    try:
        with Bar() as bar:
            display = TrainingDisplay(bar)
            finished = train_table(run, resume=resume, on_event=display, say=say, processes=processes)
    except GraphError as error:
        if run.graph is not None:
            raise
        # The graph was made of options, and is mended by them.
        raise ConfigError(str(error)) from error
    except KeyboardInterrupt:
        if run.work.exists():
            say("Interrupted. The same command with --resume goes on from the last checkpoint.")
        raise
    if display.summary:
        say(display.summary)
    if as_json:
        facts = {"model": str(finished.folder), "report": str(finished.report)}
        print_json({**facts, **finished.evaluation.to_json()})
    else:
        _print_finished(run, finished)
        if run.encoder == "mini" and run.graph is None and not run.freeze_encoder:
            say(_cost_of_full_size(finished, display.tokens_per_s))


def _print_finished(run: TableRun, finished: FinishedRun) -> None:
    held_out = isinstance(run.validation, float)
    rows = f"Held-out rows of {run.table}" if held_out else f"Validation rows, {run.validation}"
    print_evaluation(finished.evaluation, title=rows)
    print(f"\nThe model is in {finished.folder}, the report on these rows in {finished.report}")


def _run_of(context: typer.Context, config: Path | None) -> TableRun:
    """The run's settings: those of --config, overridden by what was typed, or all from the command line."""
    from bertblocks.training import RANDOM, TableRun, TrainingSettings

    values = {
        name: value for name, value in context.params.items() if name not in ("config", "as_json", "resume")
    }
    values["validation"] = _share_or_table(values["validation"])
    typed = _typed(context)
    if values["graph"] is not None:
        typed |= _let_graph_decide(values, typed)
    elif values["encoder"] is None:
        values["encoder"] = "mini" if values["ids"] is None else RANDOM
        typed |= {"encoder"} if values["ids"] is not None else set()
    training = {name: values.pop(name) for name in _TRAINING_OPTIONS}
    if config is None:
        _check_required(values)
        return TableRun(**values, training=TrainingSettings(**training))
    run = TableRun.from_json(_read_settings(config))
    run = replace(run, **{name: value for name, value in values.items() if name in typed})
    changed = {name: value for name, value in training.items() if name in typed}
    return replace(run, training=replace(run.training, **changed))


def _typed(context: typer.Context) -> set[str]:
    """Names of the options that stand on the command line."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    }


def _let_graph_decide(values: dict[str, Any], typed: set[str]) -> set[str]:
    """Put the graph in place of its file, with the settings that it decides; gives their names.

    Raises:
        ConfigError: If options were typed that say otherwise than the graph, all by name.
    """
    from bertblocks.blocks import Graph
    from bertblocks.training import graph_settings

    path = values["graph"]
    values["graph"] = Graph.load(path)
    decided = graph_settings(values["graph"])
    wrong = [
        f"{_as_option(name)} is {values[name]!r}, but the graph "
        + ("has no such thing" if value is None else f"says {value!r}")
        for name, value in decided.items()
        if name in typed and values[name] != value
    ]
    if wrong:
        raise ConfigError(f"{path} decides these options: {'; '.join(wrong)}. Leave them out.")
    values.update(decided)
    return set(decided)


def _check_required(values: dict[str, Any]) -> None:
    has_input = values["text"] is not None or values["ids"] is not None
    required = ("table", "target", "output") if has_input else ("table", "text", "target", "output")
    if missing := [name for name in required if values[name] is None]:
        raise ConfigError(
            f"Missing {', '.join(_as_option(name) for name in missing)}. For instance: bertblocks train "
            "reviews.csv --text review --target rating --output model"
        )


def _read_settings(path: Path) -> dict[str, Any]:
    """The settings of a run.json, with the precision that "auto" came to: it decides about the last bits."""
    from bertblocks.training import read_record

    record = read_record(path)
    settings: dict[str, Any] = record["settings"]
    if "precision" in record and isinstance(settings.get("training"), dict):
        settings["training"]["precision"] = record["precision"]
    return settings


def _share_or_table(value: str) -> str | float:
    try:
        return float(value)
    except ValueError:
        return value


def _as_option(name: str) -> str:
    return "TABLE" if name == "table" else f"--{name.replace('_', '-')}"


def _cost_of_full_size(finished: FinishedRun, tokens_per_s: float | None) -> str:
    """What the full-size encoder would cost here, reckoned from its layers' operations and mini's rate."""
    from bertblocks.checkpoints import NAMED_ENCODERS

    full = NAMED_ENCODERS["multilingual-cased"]
    cost = (
        f"This was mini, which ships inside the package. --encoder {full.name} is larger: it fetches "
        f"{full.size_bytes / 1e6:.0f} MB once"
    )
    if tokens_per_s is None:
        return f"{cost}, and a token costs it 4 times as many operations."
    tokens = sum(len(ids) for ids in finished.trained.train_encoded.ids)
    return f"{cost}, and takes about {duration(tokens * 4 / tokens_per_s)} an epoch here."
