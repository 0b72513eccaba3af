"""Texts → vectors and predictions."""

from bertblocks.inference.jobs import JobReport, embed_table, predict_table
from bertblocks.inference.predictions import (
    Answer,
    Prediction,
    Predictions,
    answers,
    rounded,
    scores_from_logits,
    targets_in_unit,
)
from bertblocks.inference.predictor import Predictor
from bertblocks.inference.text_encoder import TextEncoder, load_encoder

__all__ = [
    "Answer",
    "JobReport",
    "Prediction",
    "Predictions",
    "Predictor",
    "TextEncoder",
    "answers",
    "embed_table",
    "load_encoder",
    "predict_table",
    "rounded",
    "scores_from_logits",
    "targets_in_unit",
]
