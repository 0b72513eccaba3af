"""An explanation told in sentences, the same on a screen and on a page."""

from __future__ import annotations

from bertblocks._words import counted
from bertblocks.explanation.explanations import Baseline, Explanation

_BASELINES: dict[Baseline, str] = {
    "pad": "the padding token in place of every word",
    "mask": "the mask in place of every word",
    "mean": "the average word vector in place of every word",
}
# Ranks that mostly agree, and that hardly do.
_GOOD_AGREEMENT, _POOR_AGREEMENT = 0.7, 0.3


def what_is_explained(found: Explanation) -> str:
    """What the words' shares are parts of."""
    if found.unit == "number":
        return "Explained is the number that is predicted, in its own unit."
    return (
        f"Explained are the log-odds of {found.label!r}: 0 is even odds, +1 makes the odds 2.7 times as high."
    )


def residue_sentence(found: Explanation) -> str | None:
    """How far the attributions add up to what they should; None without attributions."""
    if found.residue is None or found.attributed is None or found.baseline_output is None:
        return None
    assert found.baseline is not None
    sentence = (
        f"With {_BASELINES[found.baseline]} the output is {found.baseline_output:.3f}; with the text it is "
        f"{found.output:.3f}, a difference of {found.output - found.baseline_output:+.3f}. The words add up "
        f"to {found.attributed:+.3f}: {abs(found.residue):.3f}"
    )
    share = found.relative_residue
    sentence += f" ({share:.1%} of the difference)" if share is not None else ""
    sentence += " is in none of them"
    if found.method == "gradient":
        return f"{sentence}. One gradient cannot be expected to add up; integrated gradients do."
    sentence += f", after {found.steps} gradients."
    if not found.is_complete:
        sentence += " On its pieces the way was missed by more than was allowed: take the shares as rough."
    return sentence


def agreement_sentence(found: Explanation) -> str | None:
    """How far the two methods put the words in the same order; None where that cannot be told."""
    if found.agreement is None:
        return None
    sentence = (
        f"The order of the words by gradients and by leaving each out agrees by {found.agreement:.2f} "
        "(Spearman's rank correlation; 1 is the same order, 0 none in common)."
    )
    if found.agreement >= _GOOD_AGREEMENT:
        return sentence
    if found.agreement >= _POOR_AGREEMENT:
        return f"{sentence} They agree in part: trust the words that are strong in both."
    return f"{sentence} They disagree: do not rest a decision on either."


def notes(found: Explanation) -> list[str]:
    """What else has to be said."""
    said = []
    if found.truncated:
        tokens = counted(found.num_tokens, "token")
        said.append(
            f"The text has {tokens} and was cut: the words behind the cut were not read, and are not here."
        )
    if not found.words:
        said.append("The text has no word that the model reads: there is nothing to explain.")
    return said
