"""Train on the sample's twelve languages, then ask in others: a frozen encoder, a head of seconds.

Run it as `python examples/languages_never_seen.py --rows 3000`.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import bertblocks as bb
from bertblocks import sample


def read(path: Path) -> list[dict[str, str]]:
    """A table as a list of rows."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Fit, ask, and print accuracy by language."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000, help="training rows to use")
    rows = read(sample.train_table())
    rows = rows[:: max(1, len(rows) // parser.parse_args().rows)]

    model = bb.TextClassifier(encoder="mini", freeze_encoder=True)
    model.fit([row["text"] for row in rows], [row["group"] for row in rows])

    unseen = read(sample.evaluation_table())
    for language in ("en", "de", "el", "ko", "uk", "am"):
        chosen = [row for row in unseen if row["language"] == language]
        accuracy = model.score([row["text"] for row in chosen], [row["group"] for row in chosen])
        known = "trained on" if language in sample.TRAINING_LANGUAGES else "never seen"
        print(f"{language}  {known}  {accuracy:.0%} of {len(chosen)}")


if __name__ == "__main__":
    main()
