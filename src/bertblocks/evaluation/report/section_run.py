"""How the model was trained, and all facts about the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bertblocks.blocks import TaskKind
from bertblocks.evaluation.metrics import metric_names, primary_metric, selection_metric
from bertblocks.evaluation.report.data_tables import data_table, numbers, texts
from bertblocks.evaluation.report.layout import (
    Block,
    Section,
    figure,
    section,
    side_by_side,
    subheading,
    together,
)
from bertblocks.evaluation.report.markup import Html, element, user_name
from bertblocks.evaluation.report.metric_words import metric_name
from bertblocks.evaluation.report.phrases import significant
from bertblocks.evaluation.report.plots_run import loss_picture, metrics_picture, steps_picture
from bertblocks.evaluation.report.training_curves import (
    EpochPoint,
    StepCurve,
    epoch_points,
    speed_curve,
    step_curve,
)
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tables import Cell

_MAX_METRICS = 4
_MAX_TABLE_ROWS = 40
# A fact that a user wrote may be a whole file.
_FACT_CHARACTERS = 2_000


def run_section(data: ReportData) -> Section | None:
    """Curves of the training, if there are any, and the facts."""
    parts: list[Block | Html | None] = []
    curves = side_by_side(*_curves(data))
    if curves is not None:
        parts += [subheading("Training"), curves]
    parts += [_facts(name, values) for name, values in data.facts.items() if values]
    return section("run", "Run", "The run", parts)


def _curves(data: ReportData) -> list[Block | None]:
    epochs = epoch_points(data.history)
    return [
        _loss(step_curve(data.history, "loss"), epochs),
        _metrics(epochs, data.task.kind),
        _steps("learning-rate", "Learning rate", "learning rate", step_curve(data.history, "learning_rate")),
        _steps("speed", "Speed of training", "tokens a second", speed_curve(data.history)),
    ]


def _loss(loss: StepCurve | None, epochs: Sequence[EpochPoint]) -> Block | None:
    if loss is None:
        return None
    caption = "The loss is what training makes small."
    if any("loss" in point.metrics for point in epochs):
        caption += " Where that of the validation rows rises again, the model learns by heart."
    rows: list[list[Cell]] = [["training", *cells] for cells in _step_rows(loss)]
    rows += [
        ["validation", f"{point.step:,}", significant(point.metrics["loss"])]
        for point in epochs
        if "loss" in point.metrics
    ]
    table = data_table("Loss by step", [*texts("Rows"), *numbers("Step", "Loss")], rows)
    return figure(loss_picture(loss, epochs), caption, table, note=_averaging_note(loss))


def _metrics(epochs: Sequence[EpochPoint], kind: TaskKind) -> Block | None:
    names = [name for name in _shown_metrics(kind) if any(name in point.metrics for point in epochs)][
        :_MAX_METRICS
    ]
    if not names:
        return None
    columns = [*texts("Epoch"), *numbers(*(metric_name(name) for name in names)), *texts("Best so far")]
    rows: list[list[Cell]] = [
        [str(point.epoch), *(point.metrics.get(name) for name in names), "yes" if point.best else "no"]
        for point in epochs
    ]
    caption = "After each epoch, on the validation rows. The epoch with the ring was kept."
    if not any(point.best for point in epochs):
        caption = "After each epoch, on the validation rows."
    return figure(metrics_picture(epochs, names), caption, data_table("Metrics by epoch", columns, rows))


def _shown_metrics(kind: TaskKind) -> list[str]:
    """Those of which 1 is the best, the most important first: they share an axis."""
    first = [primary_metric(kind), selection_metric(kind)]
    others = [name for name in metric_names(kind) if name not in ("log_loss", "mae", "rmse")]
    return list(dict.fromkeys(first + others))


def _steps(name: str, title: str, axis: str, curve: StepCurve | None) -> Block | None:
    if curve is None:
        return None
    table = data_table(f"{title} by step", [*texts("Step"), *numbers(title)], _step_rows(curve))
    return figure(
        steps_picture(name, f"{title} over the steps", axis, curve),
        f"{title}.",
        table,
        note=_averaging_note(curve),
    )


def _step_rows(curve: StepCurve) -> list[list[Cell]]:
    each = -(-len(curve.steps) // _MAX_TABLE_ROWS)
    return [
        [f"{step:,.0f}", significant(value)]
        for step, value in zip(curve.steps[::each], curve.values[::each], strict=True)
    ]


def _averaging_note(curve: StepCurve) -> str:
    return "" if curve.steps_a_point == 1 else f"Each point is the mean of {curve.steps_a_point:,} steps."


def _facts(name: str, values: Mapping[str, str]) -> Block:
    entries = [
        element("div", element("dt", user_name(str(key))), element("dd", _fact(str(value))))
        for key, value in values.items()
    ]
    return together(element("h3", user_name(name)), element("dl", entries, class_="facts"))


def _fact(value: str) -> Html:
    return user_name(value, _FACT_CHARACTERS)
