"""Whether stated probabilities can be believed."""

from __future__ import annotations

from bertblocks.blocks import Task
from bertblocks.evaluation.calibration_figures import CalibrationFigures, ReliabilityBin
from bertblocks.evaluation.report.data_tables import data_table, numbers, texts
from bertblocks.evaluation.report.layout import Section, figure, section
from bertblocks.evaluation.report.markup import Html, element
from bertblocks.evaluation.report.phrases import percent, significant
from bertblocks.evaluation.report.plots_curves import calibration_picture
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tables import Cell


def calibration_section(data: ReportData) -> Section | None:
    """The calibration curve before and after; nothing where it was not computed."""
    calibration = data.evaluation.calibration
    if calibration is None:
        return None
    caption = (
        "On the dotted line, of the answers that are stated with 80 % just 80 % are right. Below it the "
        "model is too sure, above it not sure enough."
    )
    return section(
        "calibration",
        "Calibration",
        "Can its probabilities be believed?",
        [
            element("p", calibration_words(calibration, data.task)),
            figure(calibration_picture(calibration), caption, _table(calibration)),
        ],
    )


def calibration_words(calibration: CalibrationFigures, task: Task) -> str:
    """The expected calibration errors in sentences."""
    what = "pairs of text and label" if task.kind == "multilabel" else "texts"
    before, after = (f"{100 * error:.1f}" for error in (calibration.error_before, calibration.error_after))
    mean = (
        f"On average over all {what}, the stated probability and the share that was right are {after} "
        "percentage points apart"
    )
    if task.temperature == 1 and not task.temperatures:
        return f"{mean} (expected calibration error). The probabilities were not calibrated."
    fitted = "fitted on these very rows" if calibration.rows == "same" else "fitted on other rows"
    how = f"The temperature, {significant(task.temperature)}, was {fitted}."
    if task.temperatures:
        least, most = significant(min(task.temperatures)), significant(max(task.temperatures))
        how = f"The temperatures, one a label, from {least} to {most}, were {fitted}."
    return f"{mean} (expected calibration error); before calibration it was {before}. {how}"


def _table(calibration: CalibrationFigures) -> Html:
    rows: list[list[Cell]] = [
        [name, percent(entry.confidence), percent(entry.accuracy), entry.num_rows]
        for name, bins in (("before", calibration.before), ("after", calibration.after))
        for entry in _rising(bins)
    ]
    columns = [*texts("Calibration"), *numbers("Stated probability", "Share that was right", "Rows")]
    return data_table("Stated probability and the share that was right, in bins", columns, rows)


def _rising(bins: tuple[ReliabilityBin, ...]) -> list[ReliabilityBin]:
    return sorted(bins, key=lambda entry: entry.confidence)
