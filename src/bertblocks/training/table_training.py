"""A table → a trained model's folder: what `bertblocks train` does."""

from __future__ import annotations

import json
import logging
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from bertblocks._files import write_text_atomically
from bertblocks._version import __version__
from bertblocks.blocks import Graph, text_model
from bertblocks.checkpoints import encoder_defaults, resolve_encoder
from bertblocks.encoder import choose_precision, resolve_device
from bertblocks.errors import ConfigError
from bertblocks.evaluation import (
    METRICS_FILE,
    BaselineResult,
    Evaluation,
    evaluate,
    measure_baseline,
    token_counts,
)
from bertblocks.inference import Predictor, targets_in_unit
from bertblocks.training.events import Event, Listener, ignore
from bertblocks.training.logs import LOG_FILE, TENSORBOARD_FOLDER, RunLog
from bertblocks.training.run import TrainedModel, train_model
from bertblocks.training.table_rows import TableRows, read_table_rows
from bertblocks.training.table_run import TableRun

RUN_FILE = "run.json"
Say = Callable[[str], None]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedRun:
    """What a run gives, besides its folder.

    Attributes:
        trained: The model, with its resolved settings.
        evaluation: Of the held-out rows.
        folder: Where the model lies.
    """

    trained: TrainedModel
    evaluation: Evaluation
    folder: Path


def train_table(
    run: TableRun, *, resume: bool = False, on_event: Listener = ignore, say: Say = _LOG.info
) -> FinishedRun:
    """Read a table, train, evaluate on the held-out rows, and write the model's folder.

    Until the run is done everything lies in a folder beside the output, named `<output>.unfinished`; a run
    that was killed goes on from there with resume, and ends with the same weights to the bit.

    Args:
        run: What to do.
        resume: Go on where an earlier run with the same settings stopped; begin where there is none.
        on_event: Told of every step and epoch.
        say: Told, in sentences, what is found and done.

    Raises:
        DataError: If the table or its rows cannot be used.
        ConfigError: If settings contradict each other, or the output is there already.
        CheckpointError: If the encoder cannot be found or read.
    """
    _check_places(run, resume)
    rows = read_table_rows(run, say)
    graph = _graph(run, rows)
    precision = _open_work(run, _identity(run, rows), resume)
    baseline = _measure_baseline(rows, say) if run.baseline else None
    with RunLog(run.work, tensorboard=run.tensorboard) as log:

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
        )
    _say_what_was_cut(trained, say)
    evaluation = _evaluate(run, rows, trained, baseline)
    _save(run, trained, evaluation)
    return FinishedRun(trained=trained, evaluation=evaluation, folder=Path(run.output))


def _graph(run: TableRun, rows: TableRows) -> Graph:
    defaults = encoder_defaults(resolve_encoder(run.encoder))
    return text_model(
        task=rows.task,
        encoder=run.encoder,
        text=run.text,
        text_pair=run.text_pair,
        target=run.target,
        pooling=run.pooling or defaults.pooling,
        sequence_length=run.sequence_length or defaults.sequence_length,
        trainable=not run.freeze_encoder,
    )


def _check_places(run: TableRun, resume: bool) -> None:
    output = Path(run.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output} is there already; choose another --output, or remove it first.")
    if run.work.exists() and not resume:
        raise ConfigError(
            f"{run.work} holds a run that did not finish; go on with it by --resume, or remove it."
        )


def _identity(run: TableRun, rows: TableRows) -> dict[str, Any]:
    """What must be the same for a resumed run to end as the uninterrupted one."""
    return {
        "bertblocks": __version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "settings": run.to_json(),
        "train_rows": len(rows.train),
        "train_sha256": rows.train.fingerprint(),
        "validation_rows": len(rows.validation),
        "validation_sha256": rows.validation.fingerprint(),
    }


def _open_work(run: TableRun, identity: dict[str, Any], resume: bool) -> Literal["float32", "bfloat16"]:
    """Make the work folder, or make sure that the one there belongs to this very run.

    Returns:
        The precision to train in: chosen once, so that a resumed run does not choose another.
    """
    path = run.work / RUN_FILE
    if resume and path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        precision: Literal["float32", "bfloat16"] = before.pop("precision")
        if differing := _differences(before, identity):
            raise ConfigError(
                f"{run.work} belongs to another run, which differs in {', '.join(differing)}; give the same "
                "settings and data, or remove it to begin anew."
            )
        return precision
    precision = choose_precision(run.training.precision, resolve_device(run.training.device))
    run.work.mkdir(parents=True, exist_ok=True)
    _write_json(path, {**identity, "precision": precision})
    return precision


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Names of the entries in which two nested dictionaries differ."""
    names = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            names += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            names.append(f"{prefix}{key} ({old!r} then, {new!r} now)")
    return names


def _measure_baseline(rows: TableRows, say: Say) -> BaselineResult:
    train, validation = rows.train, rows.validation
    result = measure_baseline(
        rows.task,
        train_texts=train.texts,
        train_targets=targets_in_unit(rows.task, train.targets),
        test_texts=validation.texts,
        test_targets=targets_in_unit(rows.task, validation.targets),
        train_pairs=train.pairs,
        test_pairs=validation.pairs,
    )
    say(f"A baseline without BERT took {result.seconds:.1f} s; it stands beside the model's figures below.")
    return result


def _say_what_was_cut(trained: TrainedModel, say: Say) -> None:
    encoded, tokenizer = trained.train_encoded, trained.model.tokenizer
    share = float(encoded.truncated.mean())
    if share > 0:
        advice = (
            "" if tokenizer.sequence_length >= 512 else "; set --sequence-length 512 to read more of them"
        )
        say(f"{share:.1%} of the training rows were cut at {tokenizer.sequence_length} tokens{advice}.")


def _evaluate(
    run: TableRun, rows: TableRows, trained: TrainedModel, baseline: BaselineResult | None
) -> Evaluation:
    training, validation = run.training, rows.validation
    predictor = Predictor(trained.model, precision=training.precision, device=training.device)
    found = predictor.predict(validation.texts, validation.pairs)
    return evaluate(
        rows.task,
        targets=targets_in_unit(rows.task, validation.targets),
        scores=found.scores,
        tokens=token_counts([found], trained.model.tokenizer.sequence_length),
        group_by=run.group_by,
        groups=validation.groups,
        skipped=dict(rows.validation_report.num_skipped),
        baseline=baseline,
    )


def _save(run: TableRun, trained: TrainedModel, evaluation: Evaluation) -> None:
    """Write the model's folder in one step, then remove the work folder."""
    record = json.loads((run.work / RUN_FILE).read_text(encoding="utf-8"))
    record["resolved"] = trained.settings.to_json()
    record["outcome"] = trained.outcome
    record["machine"] = {"python": platform.python_version(), "processor": platform.machine()}
    _write_json(run.work / RUN_FILE, record)
    _write_json(run.work / METRICS_FILE, evaluation.to_json())
    extra = [run.work / name for name in (RUN_FILE, METRICS_FILE, LOG_FILE, TENSORBOARD_FOLDER)]
    trained.model.save(run.output, extra_files=[path for path in extra if path.exists()])
    shutil.rmtree(run.work)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
