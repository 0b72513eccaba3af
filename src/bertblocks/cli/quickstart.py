"""bertblocks quickstart: train, evaluate and predict on what ships inside the package, without a network."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertblocks.cli.console import print_table, say
from bertblocks.cli.progress import Bar, duration
from bertblocks.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bertblocks.blocks import Task
    from bertblocks.evaluation import Evaluation
    from bertblocks.inference import Predictor

# Texts for a reader to judge; none of them is in the sample, and Greek, Korean, Ukrainian and French are
# languages that the head has never seen.
_EXAMPLES = (
    ("en", "a small dog"),
    ("en", "birthday cake with candles"),
    ("de", "Fahrrad"),
    ("zh", "小狗"),
    ("el", "λεωφορείο"),
    ("ko", "사과와 바나나"),
    ("uk", "радісне обличчя"),
    ("fr", "drapeau de la Suisse"),
)


def quickstart(
    output: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("quickstart"),
) -> None:
    """See it work: train and predict on a sample, without a network."""
    # Imported where it is needed: --help should not wait for torch.
    from bertblocks import sample
    from bertblocks.cli.training_display import TrainingDisplay
    from bertblocks.data import open_table
    from bertblocks.evaluation import examine_table
    from bertblocks.inference import Predictor
    from bertblocks.training import TableRun, train_table

    start = time.monotonic()
    model = output / "model"
    if model.exists():
        raise ConfigError(f"{model} is there already; remove it, or choose another --output.")
    say(
        "Which group of emoji is the thing that a text names? "
        f"Unicode's names in {len(sample.TRAINING_LANGUAGES)} languages teach it.\n"
        "The table and the encoder, mini, ship inside the package.\n"
    )
    run = TableRun(
        table=str(sample.train_table()),
        text="text",
        target="group",
        output=str(model),
        freeze_encoder=True,
        baseline=False,
    )
    with Bar() as bar:
        train_table(run, resume=True, on_event=TrainingDisplay(bar), say=say)
    predictor = Predictor.load(model)
    with Bar() as bar:
        evaluation = examine_table(
            predictor,
            open_table(sample.evaluation_table()),
            group_by="language",
            on_batch=lambda num_rows: bar.add("Evaluating", num_rows),
        ).evaluation
    task = predictor.model.task
    _print_accuracy(evaluation, _evaluate_baseline(task), num_classes=len(task.labels))
    _print_examples(predictor)
    command = "bertblocks" if shutil.which("bertblocks") else sys.argv[0]
    print(f"\nDone in {duration(time.monotonic() - start)}. The model is in {model}. Go on with:\n")
    print(f'  {command} predict {model} --text "rote Äpfel"')
    print(f"  {command} evaluate {model} {sample.evaluation_table()} --group-by language")
    print(f"  {command} train YOUR.csv --text COLUMN --target COLUMN --output my-model")


def _evaluate_baseline(task: Task) -> Evaluation:
    """The same rows by TF-IDF and a linear model, without BERT."""
    from bertblocks import sample
    from bertblocks.data import encode_targets, open_table, read_examples
    from bertblocks.evaluation import evaluate, fit_baseline

    def read(path: Path) -> tuple[list[str], NDArray[Any], list[str | None]]:
        examples = list(read_examples(open_table(path), text="text", target="group", group="language"))
        targets = encode_targets((example.target for example in examples), task, column="group")
        return [str(example.text) for example in examples], targets, [example.group for example in examples]

    texts, targets, _ = read(sample.train_table())
    baseline = fit_baseline(task, train_texts=texts, train_targets=targets)
    texts, targets, languages = read(sample.evaluation_table())
    return evaluate(
        task,
        targets=targets,
        scores=baseline.scores(texts),
        group_by="language",
        groups=languages,
        with_intervals=False,
    )


def _seen_and_unseen(evaluation: Evaluation) -> tuple[float, float]:
    """Accuracy over the rows of the languages that were trained on, and of all others."""
    from bertblocks.sample import TRAINING_LANGUAGES

    right, rows = [0.0, 0.0], [0, 0]
    for group in evaluation.groups:
        index = 0 if group.name in TRAINING_LANGUAGES else 1
        right[index] += (group.metrics["accuracy"] or 0.0) * group.metrics.num_rows
        rows[index] += group.metrics.num_rows
    return right[0] / rows[0], right[1] / rows[1]


def _print_accuracy(evaluation: Evaluation, baseline: Evaluation, *, num_classes: int) -> None:
    from bertblocks.sample import TRAINING_LANGUAGES

    num_unseen = sum(group.name not in TRAINING_LANGUAGES for group in evaluation.groups)
    names = (
        f"the {len(TRAINING_LANGUAGES)} languages it was trained on",
        f"{num_unseen} languages it has never seen",
    )
    shares = zip(_seen_and_unseen(evaluation), _seen_and_unseen(baseline), strict=True)
    rows = [
        [name, f"{ours:.0%}", f"{theirs:.0%}"] for name, (ours, theirs) in zip(names, shares, strict=True)
    ]
    print_table(
        f"Right answers on emoji that were not in the training table ({num_classes} groups)",
        ["", "bertblocks", "TF-IDF, without BERT"],
        rows,
    )


def _print_examples(predictor: Predictor) -> None:
    found = predictor.predict([text for _, text in _EXAMPLES])
    rows = [
        [text, language, str(prediction.answer), f"{max(prediction.probabilities.values()):.0%}"]
        for (language, text), prediction in zip(_EXAMPLES, found, strict=True)
    ]
    print_table("\nJudge for yourself", ["text", "language", "answer", "probability"], rows)
