"""An ordinary torch training loop over a graph: packed tokens in, logits out.

Run it as `python examples/torch_loop.py --rows 200`. Nothing here is bertblocks' trainer: the optimizer, the
loss and the loop are torch's own, so any of them can be exchanged. The encoder is frozen, to be quick: set
trainable=True (and a learning rate near 5e-5) to train all of it.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import torch
from torch import nn

import bertblocks as bb
from bertblocks import sample

EPOCHS, BATCH = 5, 16


def read(path: Path, num_rows: int) -> list[dict[str, str]]:
    """About so many rows of a table's English and German ones, spread over all of it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["language"] in ("en", "de")]
    return rows[:: max(1, len(rows) // num_rows)]


def main() -> None:
    """Train, and print accuracy beside the share of the largest class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200, help="training rows to use")
    num_rows = parser.parse_args().rows
    train, test = read(sample.train_table(), num_rows), read(sample.evaluation_table(), num_rows // 3)
    classes = sorted({row["group"] for row in train})

    torch.manual_seed(0)
    graph = bb.snippets.multilingual_bert(
        labels=classes, weights="mini", pooling="average", sequence_length=64, target="group", trainable=False
    )
    print(graph)
    model = bb.build(graph)
    tokenizer = bb.load_tokenizer("mini", sequence_length=64)
    ids, test_ids = (tokenizer.encode([row["text"] for row in rows]).ids for rows in (train, test))
    targets = torch.tensor([classes.index(row["group"]) for row in train])

    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=2e-2)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for batch in torch.randperm(len(ids)).split(BATCH):
            packed = bb.PackedTokens.pack([ids[index] for index in batch])
            loss = loss_of(model(packed), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        print(f"epoch {epoch + 1}: loss {total / len(ids):.3f}")

    model.eval()
    with torch.inference_mode():
        answers = model(bb.PackedTokens.pack(test_ids)).argmax(1).tolist()
    right = sum(classes[answer] == row["group"] for answer, row in zip(answers, test, strict=True))
    largest = Counter(row["group"] for row in test).most_common(1)[0][1]
    print(f"accuracy {right / len(test):.0%} of {len(test)} rows; largest class {largest / len(test):.0%}")


if __name__ == "__main__":
    main()
