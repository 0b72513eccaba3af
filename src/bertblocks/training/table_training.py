"""A table → a trained model's folder: what `bertblocks train` does."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bertblocks._files import write_text_atomically
from bertblocks._words import counted
from bertblocks.assembly import check_task, load_model
from bertblocks.blocks import MAX_SEQUENCE_LENGTH, Graph, Task
from bertblocks.data import as_text
from bertblocks.errors import BertBlocksError, ConfigError
from bertblocks.evaluation import (
    CARD_FILE,
    METRICS_FILE,
    MIN_ROWS_EACH,
    TRAINING_TEXTS,
    BaselineResult,
    Evaluation,
    measure_baseline,
    stored_baseline,
    tunable_labels,
    write_training_texts,
)
from bertblocks.inference import targets_in_unit
from bertblocks.training.card import run_card
from bertblocks.training.events import Event, Listener, ignore
from bertblocks.training.following import NOTHING_TO_DO, Begun
from bertblocks.training.logs import LOG_FILE, TENSORBOARD_FOLDER, RunLog
from bertblocks.training.processes import ALONE, Processes
from bertblocks.training.run import TrainedModel, train_model
from bertblocks.training.settings import TrainingSettings
from bertblocks.training.table_evaluation import evaluate_run, training_hashes
from bertblocks.training.table_graph import check_graph, table_graph
from bertblocks.training.table_rows import TableRows, check_sources, read_table_rows
from bertblocks.training.table_run import TableRun
from bertblocks.training.work_folder import (
    EVALUATION_FOLDER,
    MODEL_FOLDER,
    RUN_FILE,
    check_places,
    check_same_run,
    check_unfinished,
    empty,
    held,
    is_worth_keeping,
    move_report,
    move_to_output,
    open_work,
    read_record,
    report_of,
    run_identity,
    write_record,
)

Say = Callable[[str], None]

_SHOWN_THRESHOLDS = 10

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedRun:
    """What a run gives, besides its folder.

    Attributes:
        trained: The model, with its resolved settings.
        evaluation: Of the held-out rows.
        folder: Where the model lies.
        report: The report's page.
    """

    trained: TrainedModel
    evaluation: Evaluation
    folder: Path
    report: Path


def train_table(
    run: TableRun,
    *,
    resume: bool = False,
    on_event: Listener = ignore,
    say: Say = _LOG.info,
    processes: Processes = ALONE,
) -> FinishedRun:
    """Read a table, train, evaluate on the held-out rows, and write the model's folder.

    Until the run is done everything lies in a folder beside the output, named `<output>.unfinished`, which
    no second run may have at the same time; a run that was killed goes on from there with resume, and ends
    with the same weights to the bit. A run that soon ends in an error of the caller's leaves nothing.

    Args:
        run: What to do.
        resume: Go on where an earlier run with the same settings stopped; begin where there is none, and only
            evaluate where it had finished.
        on_event: Told of every step and epoch.
        say: Told, in sentences, what is found and done.
        processes: Those that train together, of which this is the first; the others call follow_table.

    Raises:
        DataError: If the table or its rows cannot be used.
        ConfigError: If settings contradict each other, the output is there already or cannot be written,
            another run has its folder, or training diverges.
        CheckpointError: If the encoder cannot be found or read.
        GraphError: If the graph does not fit the table.
    """
    check_places(run, resume=resume)
    with held(run.work):
        check_unfinished(run, resume=resume)
        check_graph(run)
        check_sources(run)
        rows = read_table_rows(run, say)
        run.training.check_task(rows.task.kind, has_validation=True)
        graph = table_graph(run, rows.task)
        check_task(graph, rows.task)
        identity = run_identity(run, rows, graph, processes.count)
        if (Path(run.output) / RUN_FILE).exists():
            processes.told(NOTHING_TO_DO)
            return _finished_before(run, rows, identity, say)
        resumed = resume and (run.work / RUN_FILE).exists()
        precision = open_work(run, identity, say, resume=resume)
        processes.told(Begun(precision=precision, resume=resume))
        start = time.monotonic()
        try:
            return _train(run, rows, graph, precision, resume, on_event, say, processes)
        except BertBlocksError:
            # What took less time than lies between checkpoints would only be in a mended command's way.
            soon = time.monotonic() - start < run.training.checkpoint_every_s
            if not resumed and (soon or not is_worth_keeping(run.work)):
                empty(run.work)
            raise


def _train(
    run: TableRun,
    rows: TableRows,
    graph: Graph,
    precision: Literal["float32", "bfloat16"],
    resume: bool,
    on_event: Listener,
    say: Say,
    processes: Processes,
) -> FinishedRun:
    # The log comes first: it fails at once where TensorBoard is wanted, and not there.
    with RunLog(run.work, tensorboard=run.tensorboard) as log:
        baseline = _measure_baseline(rows, say) if run.baseline else None

        def tell_both(event: Event) -> None:
            log(event)
            on_event(event)

        trained = train_model(
            graph,
            rows.task,
            rows.train,
            rows.validation,
            replace(run.training, precision=precision),
            work=run.work,
            resume=resume,
            on_event=tell_both,
            processes=processes,
        )
    _say_what_was_cut(trained, say)
    _say_temperature(trained.model.task, say)
    _say_thresholds(trained.model.task, rows, say)
    evaluation = evaluate_run(run, rows, trained, baseline, log=run.work, folder=run.work / EVALUATION_FOLDER)
    _save(run, rows, trained, evaluation)
    return FinishedRun(trained=trained, evaluation=evaluation, folder=Path(run.output), report=report_of(run))


def _finished_before(run: TableRun, rows: TableRows, identity: dict[str, Any], say: Say) -> FinishedRun:
    """What a run gives that had ended before it was resumed; a kill may have left its work folder."""
    output = Path(run.output)
    record = check_same_run(output, identity, say)
    if not isinstance(record.get("resolved"), dict) or "outcome" not in record:
        raise ConfigError(f"{output / RUN_FILE} lacks what a finished run writes: it was changed.")
    model = load_model(output)
    trained = TrainedModel(
        model=model,
        settings=TrainingSettings.from_json(record["resolved"]),
        outcome=record["outcome"],
        train_encoded=model.encode(rows.train.texts, rows.train.pairs),
    )
    # A kill may have come between the model and its report.
    evaluation = evaluate_run(
        run, rows, trained, stored_baseline(output), log=output, folder=run.work / EVALUATION_FOLDER
    )
    move_report(run)
    empty(run.work)
    say(f"This run had finished before: its model is in {output}.")
    return FinishedRun(trained=trained, evaluation=evaluation, folder=output, report=report_of(run))


def _measure_baseline(rows: TableRows, say: Say) -> BaselineResult:
    train, validation = rows.train, rows.validation
    result = measure_baseline(
        rows.task,
        train_texts=[as_text(row) for row in train.texts],
        train_targets=targets_in_unit(rows.task, train.targets),
        test_texts=[as_text(row) for row in validation.texts],
        test_targets=targets_in_unit(rows.task, validation.targets),
        train_pairs=train.pairs,
        test_pairs=validation.pairs,
        tune=True,
    )
    say(f"A baseline without BERT took {result.seconds:.1f} s; it stands beside the model's figures below.")
    return result


def _say_what_was_cut(trained: TrainedModel, say: Say) -> None:
    encoded, length = trained.train_encoded, trained.model.sequence_length
    share = float(encoded.truncated.mean())
    if trained.model.token_limit is None:
        longer = float((encoded.num_tokens > length).mean())
        say(f"{longer:.1%} of the training rows were read in windows of {length} tokens; none were cut.")
    elif share > 0:
        longest = min(MAX_SEQUENCE_LENGTH, trained.model.module.encoder.config.max_sequence_length)
        advice = [f"--sequence-length {longest} reads more of them"] if length < longest else []
        advice += ["--windows slide reads them whole"] if len(trained.model.columns) == 1 else []
        end = f"; {', '.join(advice)}" if advice else ""
        say(f"{share:.1%} of the training rows were cut at {length} tokens{end}.")


def _say_temperature(task: Task, say: Say) -> None:
    found = task.temperatures or (task.temperature,)
    if found == (1.0,):
        return
    told = f"{found[0]:.3f}" if len(found) == 1 else f"{min(found):.3f} to {max(found):.3f}, one a label"
    say(f"Probabilities are calibrated on the held-out rows: logits are divided by a temperature of {told}.")


def _say_thresholds(task: Task, rows: TableRows, say: Say) -> None:
    if not task.thresholds:
        return
    tunable = tunable_labels(rows.validation.targets)
    chosen = [
        f"{label!r} {threshold:.3f}"
        for label, threshold, tuned in zip(task.labels, task.thresholds, tunable, strict=True)
        if tuned
    ]
    more = f" and {len(chosen) - _SHOWN_THRESHOLDS} more" if len(chosen) > _SHOWN_THRESHOLDS else ""
    if chosen:
        say(
            f"Each label is given from its own probability on, the best for its F1 on these held-out rows: "
            f"{', '.join(chosen[:_SHOWN_THRESHOLDS])}{more}. The baseline's were chosen on them too."
        )
    if others := len(task.labels) - len(chosen):
        why = f"from 0.5 on: fewer than {MIN_ROWS_EACH} held-out rows have"
        one, several = (
            f"label is given {why} it, or lack it.",
            f"labels are given {why} them, or lack them.",
        )
        say(counted(others, one, several))


def _save(run: TableRun, rows: TableRows, trained: TrainedModel, evaluation: Evaluation) -> None:
    """Write the model inside the work folder, where a kill leaves nothing behind, and move it out."""
    record = read_record(run.work / RUN_FILE)
    record["resolved"] = trained.settings.to_json()
    record["outcome"] = trained.outcome
    record["machine"] = {"python": platform.python_version(), "processor": platform.machine()}
    write_record(run.work / RUN_FILE, record)
    metrics = json.dumps(evaluation.to_json(), indent=1, ensure_ascii=False)
    write_text_atomically(run.work / METRICS_FILE, metrics + "\n")
    write_training_texts(run.work / TRAINING_TEXTS, training_hashes(rows))
    write_text_atomically(run.work / CARD_FILE, run_card(run, rows, trained, evaluation))
    names = (RUN_FILE, METRICS_FILE, LOG_FILE, TENSORBOARD_FOLDER, TRAINING_TEXTS, CARD_FILE)
    extra = [run.work / name for name in names]
    trained.model.save(run.work / MODEL_FOLDER, extra_files=[path for path in extra if path.exists()])
    move_to_output(run)
