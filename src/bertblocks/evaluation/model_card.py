"""README.md of a model's folder, in the form that the Hugging Face hub shows: facts → text.

Every sentence is true of the facts at hand; what they do not tell is said to be unknown. The file may be
edited: nothing depends on it, and bertblocks.json has no hash of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bertblocks.blocks import TaskKind
from bertblocks.checkpoints import EncoderOrigin
from bertblocks.evaluation.card_facts import CardFacts
from bertblocks.evaluation.card_sections import (
    data_section,
    groups_section,
    labels_section,
    limits_section,
    scores_section,
    task_section,
    training_section,
)
from bertblocks.evaluation.card_text import front_matter, markdown
from bertblocks.evaluation.card_usage import licence_section, usage_section
from bertblocks.evaluation.evaluations import Evaluation

CARD_FILE = "README.md"

_TITLES: Mapping[TaskKind, str] = {
    "classification": "Classification",
    "binary": "Yes or no",
    "multilabel": "Several labels",
    "regression": "Numbers",
}
# What `mini` is made of, see bertblocks.mini.
_MINI_BEGAN_AS = "intfloat/multilingual-e5-small"
# Names that the hub gives to metrics; its others have ours.
_HUB_METRICS = {
    "macro_f1": "f1",
    "weighted_f1": "f1",
    "micro_f1": "f1",
    "micro_precision": "precision",
    "micro_recall": "recall",
    "subset_accuracy": "accuracy",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
    "r2": "r_squared",
}
_SPDX = re.compile(r"[a-z0-9][a-z0-9.+-]{0,40}")


def model_card(facts: CardFacts) -> str:
    """Write the card of a model.

    Args:
        facts: What is known of it; more facts give more sections of figures.

    Returns:
        Markdown with a YAML head, the same for the same facts.
    """
    lines = [
        *front_matter(_metadata(facts)),
        f"# {_TITLES[facts.model.task.kind]}: {markdown(facts.model.graph.target.column)}",
        "",
        *task_section(facts),
        *labels_section(facts),
        *scores_section(facts),
        *groups_section(facts),
        *data_section(facts),
        *training_section(facts),
        *limits_section(facts),
        *licence_section(facts),
        *usage_section(facts),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _metadata(facts: CardFacts) -> dict[str, Any]:
    """The YAML head: what is not known is left out of it."""
    model, evaluation = facts.model, facts.evaluation
    metrics = {} if evaluation is None else _defined(evaluation)
    found: dict[str, Any] = {
        "language": facts.language_codes,
        "license": _licence(model.encoder_origin),
        "library_name": "bertblocks",
        "pipeline_tag": None if model.tokenizer is None else "text-classification",
        "tags": ["bertblocks", model.module.encoder.config.family, model.task.kind],
        "base_model": _base_model(model.encoder_origin),
        "metrics": sorted({_HUB_METRICS.get(name, name) for name in metrics}),
        "model-index": [_results(facts, metrics)] if metrics else None,
    }
    return {name: value for name, value in found.items() if value}


def _licence(origin: EncoderOrigin | None) -> str | None:
    """The encoder's licence in the hub's spelling; "other" where it is told in words."""
    if origin is None or origin.licence is None:
        return None
    spelled = origin.licence.lower()
    return spelled if _SPDX.fullmatch(spelled) else "other"


def _base_model(origin: EncoderOrigin | None) -> str | None:
    if origin is None:
        return None
    return _MINI_BEGAN_AS if origin.name == "mini" else origin.repository


def _defined(evaluation: Evaluation) -> dict[str, float]:
    return {name: value for name, value in evaluation.overall.values.items() if value is not None}


def _results(facts: CardFacts, metrics: Mapping[str, float]) -> dict[str, Any]:
    """The figures as the hub's model-index has them."""
    table = None if facts.rows is None else facts.rows.validation_table or facts.rows.table
    return {
        "name": facts.model.graph.target.column,
        "results": [
            {
                "task": {"type": "text-classification"},
                "dataset": {"name": f"{table or 'rows'}, held out of training", "type": "private"},
                "metrics": [
                    {"type": _HUB_METRICS.get(name, name), "name": name, "value": value}
                    for name, value in metrics.items()
                ],
            }
        ],
    }
