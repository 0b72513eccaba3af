"""Labelled texts → weights: optimizer, loop, checkpoints, early stopping."""

from bertblocks.training.card import save_with_card, training_facts
from bertblocks.training.contradictions import RANDOM, graph_settings
from bertblocks.training.events import (
    EpochDone,
    Estimate,
    Event,
    Listener,
    StepDone,
    TokensCounted,
    VectorsDone,
)
from bertblocks.training.following import follow_table
from bertblocks.training.logs import LOG_FILE, read_history
from bertblocks.training.processes import Processes, joined_processes
from bertblocks.training.rows import LabeledTexts
from bertblocks.training.run import TrainedModel, train_model
from bertblocks.training.settings import TrainingSettings
from bertblocks.training.table_run import TableRun
from bertblocks.training.table_training import FinishedRun, train_table
from bertblocks.training.work_folder import RUN_FILE, read_record

__all__ = [
    "LOG_FILE",
    "RANDOM",
    "RUN_FILE",
    "EpochDone",
    "Estimate",
    "Event",
    "FinishedRun",
    "LabeledTexts",
    "Listener",
    "Processes",
    "StepDone",
    "TableRun",
    "TokensCounted",
    "TrainedModel",
    "TrainingSettings",
    "VectorsDone",
    "follow_table",
    "graph_settings",
    "joined_processes",
    "read_history",
    "read_record",
    "save_with_card",
    "train_model",
    "train_table",
    "training_facts",
]
