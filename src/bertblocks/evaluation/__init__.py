"""Predictions and truth → metrics, by group, beside a cheap baseline."""

from bertblocks.evaluation.baseline import Baseline, BaselineResult, fit_baseline, measure_baseline
from bertblocks.evaluation.evaluations import (
    Evaluation,
    GroupEvaluation,
    RowsOfThem,
    ThresholdFigures,
    check_groups,
    evaluate,
)
from bertblocks.evaluation.metrics import (
    ClassMetrics,
    Metrics,
    compute_metrics,
    higher_is_better,
    metric_names,
    primary_metric,
    selection_metric,
    selection_metrics,
)
from bertblocks.evaluation.table_job import METRICS_FILE, evaluate_table, stored_baseline, token_counts
from bertblocks.evaluation.tables import (
    Cell,
    SummaryTable,
    format_cell,
    summary_tables,
    threshold_note,
    verdict,
)
from bertblocks.evaluation.thresholds import MIN_ROWS_EACH, tunable_labels, tune_thresholds
from bertblocks.evaluation.tokens import TokenCounts, TokenStatistics, token_statistics

__all__ = [
    "METRICS_FILE",
    "MIN_ROWS_EACH",
    "Baseline",
    "BaselineResult",
    "Cell",
    "ClassMetrics",
    "Evaluation",
    "GroupEvaluation",
    "Metrics",
    "RowsOfThem",
    "SummaryTable",
    "ThresholdFigures",
    "TokenCounts",
    "TokenStatistics",
    "check_groups",
    "compute_metrics",
    "evaluate",
    "evaluate_table",
    "fit_baseline",
    "format_cell",
    "higher_is_better",
    "measure_baseline",
    "metric_names",
    "primary_metric",
    "selection_metric",
    "selection_metrics",
    "stored_baseline",
    "summary_tables",
    "threshold_note",
    "token_counts",
    "token_statistics",
    "tunable_labels",
    "tune_thresholds",
    "verdict",
]
