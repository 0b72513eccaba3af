"""An evaluation on disk: metrics.json, predictions.parquet, report.html and the plots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertblocks._files import write_text_atomically
from bertblocks.evaluation.report import write_report
from bertblocks.evaluation.report_data import ReportData

METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"


def default_folder(model: Path, name: str) -> Path:
    """Beside a model's folder: what lies in it stays as training left it, and holds no texts.

    Args:
        model: The model's folder, or the zip of one.
        name: Of the table that is evaluated.
    """
    # "." and ".." have no name of their own to add to.
    named = model.resolve() if model.name in ("", "..") else model
    return named.with_name(f"{named.name.removesuffix('.zip')}-evaluation") / name


def write_evaluation(folder: Path, data: ReportData, *, about: Mapping[str, Any]) -> Path:
    """Write the figures and the report; the predictions were written as they were made.

    Args:
        folder: Made where it is missing.
        data: What the report shows.
        about: What metrics.json says besides, such as the model's and the table's names.

    Returns:
        Where the report is.
    """
    facts = {**about, **data.evaluation.to_json()}
    write_text_atomically(folder / METRICS_FILE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return write_report(data, folder)
