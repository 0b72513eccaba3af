"""Texts → vectors and predictions."""

from bertblocks.inference.job_report import JobReport
from bertblocks.inference.jobs import embed_table, predict_table
from bertblocks.inference.predictions import (
    Answer,
    Prediction,
    Predictions,
    answers,
    rounded,
    scores_from_logits,
    targets_in_unit,
)
from bertblocks.inference.predictor import Predictor, check_columns, model_folder
from bertblocks.inference.table_job import SHARD_ROWS, OnFailure
from bertblocks.inference.text_encoder import TextEncoder, load_encoder

__all__ = [
    "SHARD_ROWS",
    "Answer",
    "JobReport",
    "OnFailure",
    "Prediction",
    "Predictions",
    "Predictor",
    "TextEncoder",
    "answers",
    "check_columns",
    "embed_table",
    "load_encoder",
    "model_folder",
    "predict_table",
    "rounded",
    "scores_from_logits",
    "targets_in_unit",
]
