"""Tables become examples: CSV, JSON Lines, Parquet and Excel in, tasks and targets out. No torch."""

from bertblocks.data.batches import RowProblem, Table, TableBatch
from bertblocks.data.columns import column_values, text_columns
from bertblocks.data.examples import Example, OnBadRow, RowReport, read_examples
from bertblocks.data.splits import train_validation_split
from bertblocks.data.tables import open_table
from bertblocks.data.target_arrays import encode_targets, task_label, unlabeled_rows
from bertblocks.data.targets import infer_task
from bertblocks.data.token_ids import (
    InputColumn,
    ModelInput,
    TokenIds,
    TokenIdsColumn,
    as_text,
    column_name,
    encode_token_ids,
)
from bertblocks.data.weights import (
    check_weights,
    chosen_class_weights,
    class_weights_in_loss,
    mean_one,
    row_weights,
)
from bertblocks.data.writers import TableWriter, open_writer

__all__ = [
    "Example",
    "InputColumn",
    "ModelInput",
    "OnBadRow",
    "RowProblem",
    "RowReport",
    "Table",
    "TableBatch",
    "TableWriter",
    "TokenIds",
    "TokenIdsColumn",
    "as_text",
    "check_weights",
    "chosen_class_weights",
    "class_weights_in_loss",
    "column_name",
    "column_values",
    "encode_targets",
    "encode_token_ids",
    "infer_task",
    "mean_one",
    "open_table",
    "open_writer",
    "read_examples",
    "row_weights",
    "task_label",
    "text_columns",
    "train_validation_split",
    "unlabeled_rows",
]
