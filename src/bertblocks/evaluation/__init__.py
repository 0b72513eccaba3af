"""Predictions and truth → metrics, by group, beside a cheap baseline."""

from bertblocks.evaluation.baseline import Baseline, BaselineResult, fit_baseline, measure_baseline
from bertblocks.evaluation.calibration import calibrate, calibration_figures, uncalibrated
from bertblocks.evaluation.calibration_figures import CalibrationFigures, ReliabilityBin
from bertblocks.evaluation.card_facts import CardFacts, TrainingRows
from bertblocks.evaluation.comparison import (
    Comparison,
    GroupComparison,
    ModelComparison,
    ModelScores,
    aligned,
    compare,
)
from bertblocks.evaluation.comparison_job import compare_tables, shortest_names
from bertblocks.evaluation.comparison_tables import comparison_sentences, comparison_tables
from bertblocks.evaluation.evaluated_rows import EvaluatedRows
from bertblocks.evaluation.evaluations import (
    Evaluation,
    GroupEvaluation,
    RowsOfThem,
    ThresholdFigures,
    check_groups,
    evaluate,
    evaluate_rows,
)
from bertblocks.evaluation.examination import PREDICTIONS_FILE, Examined, LabeledChunk, examine
from bertblocks.evaluation.explained_mistakes import explain_mistakes
from bertblocks.evaluation.facts import run_facts
from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.leakage import (
    TRAINING_TEXTS,
    SeenBefore,
    read_training_texts,
    row_hashes,
    write_training_texts,
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
from bertblocks.evaluation.mistakes import in_words, true_answer
from bertblocks.evaluation.model_card import CARD_FILE, model_card
from bertblocks.evaluation.output import METRICS_FILE, REPORT_FILE, default_folder, write_evaluation
from bertblocks.evaluation.paired import Difference, PairedTest
from bertblocks.evaluation.report_data import Leakage, Mistake, ReportData, WordWeight
from bertblocks.evaluation.table_job import examine_table, stored_baseline, token_counts
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
    "CARD_FILE",
    "METRICS_FILE",
    "MIN_ROWS_EACH",
    "PREDICTIONS_FILE",
    "REPORT_FILE",
    "TRAINING_TEXTS",
    "Baseline",
    "BaselineResult",
    "CalibrationFigures",
    "CardFacts",
    "Cell",
    "ClassMetrics",
    "Comparison",
    "Difference",
    "EvaluatedRows",
    "Evaluation",
    "Examined",
    "GroupComparison",
    "GroupEvaluation",
    "Interval",
    "LabeledChunk",
    "Leakage",
    "Metrics",
    "Mistake",
    "ModelComparison",
    "ModelScores",
    "PairedTest",
    "ReliabilityBin",
    "ReportData",
    "RowsOfThem",
    "SeenBefore",
    "SummaryTable",
    "ThresholdFigures",
    "TokenCounts",
    "TokenStatistics",
    "TrainingRows",
    "WordWeight",
    "aligned",
    "calibrate",
    "calibration_figures",
    "check_groups",
    "compare",
    "compare_tables",
    "comparison_sentences",
    "comparison_tables",
    "compute_metrics",
    "default_folder",
    "evaluate",
    "evaluate_rows",
    "examine",
    "examine_table",
    "explain_mistakes",
    "fit_baseline",
    "format_cell",
    "higher_is_better",
    "in_words",
    "measure_baseline",
    "metric_names",
    "model_card",
    "primary_metric",
    "read_training_texts",
    "row_hashes",
    "run_facts",
    "selection_metric",
    "selection_metrics",
    "shortest_names",
    "stored_baseline",
    "summary_tables",
    "threshold_note",
    "token_counts",
    "token_statistics",
    "true_answer",
    "tunable_labels",
    "tune_thresholds",
    "uncalibrated",
    "verdict",
    "write_evaluation",
    "write_training_texts",
]
