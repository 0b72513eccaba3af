"""What metrics are called, and what they say, for somebody who never heard of them."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS: Mapping[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "share of the texts answered rightly"),
    "macro_f1": ("Macro F1", "mean F1 of the labels, rare ones counting as much as frequent ones"),
    "weighted_f1": ("Weighted F1", "mean F1 of the labels, each by the number of its texts"),
    "log_loss": ("Log loss", "how far the probabilities are from the truth; lower is better"),
    "precision": ("Precision", "share of right answers among those that say the second label"),
    "recall": ("Recall", "share of the texts with the second label that were found"),
    "f1": ("F1", "precision and recall of the second label in one number"),
    "roc_auc": (
        "ROC AUC",
        "how often a text with the second label gets a higher probability than one without",
    ),
    "average_precision": ("Average precision", "precision of the second label over all thresholds"),
    "micro_f1": ("Micro F1", "precision and recall of all given labels in one number"),
    "macro_average_precision": ("Macro average precision", "mean over the labels, whatever the thresholds"),
    "micro_precision": ("Micro precision", "share of the given labels that are right"),
    "micro_recall": ("Micro recall", "share of the true labels that were given"),
    "subset_accuracy": ("Subset accuracy", "share of the texts whose labels are all right"),
    "pearson": ("Pearson correlation", "how nearly answers and truth lie on a line; 1 at best"),
    "spearman": ("Spearman correlation", "how nearly answers and truth are in the same order; 1 at best"),
    "mae": ("Mean absolute error", "how far off an answer is on average; lower is better"),
    "rmse": ("Root mean squared error", "typical error, large ones counting more; lower is better"),
    "r2": ("R²", "share of the differences that is explained; 0 for always answering with the mean"),
    "loss": ("Loss", "what training makes small"),
}


def metric_name(name: str) -> str:
    """A metric as people call it."""
    return _WORDS.get(name, (name.replace("_", " ").capitalize(), ""))[0]


def metric_in_sentence(name: str) -> str:
    """A metric as it is called within a sentence: "micro F1", "Pearson correlation"."""
    words = metric_name(name)
    is_name = words[:2] in ("F1", "R²", "RO", "Pe", "Sp")
    return words if is_name else words[0].lower() + words[1:]


def metric_meaning(name: str) -> str:
    """What a metric says, in some words; empty for one that is not known here."""
    return _WORDS.get(name, ("", ""))[1]
