"""Fine-tuning on a GPU: bertblocks beside transformers' Trainer, both in bfloat16; part of gpu.py.

The same weights, texts, rate, warm-up, decay, clipping and dropout; 32 texts a step, on average for
bertblocks. Timed is from the end of the second step to the end of the last one, the making of batches
included; loading and tokenization are not.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

_UNCOUNTED_STEPS = 2
SIDES = {"bertblocks": "bertblocks, bfloat16", "trainer": "transformers' Trainer, bfloat16, sdpa"}


def run_side(side: str, folder: Path, texts: list[str], device: str, seed: int) -> dict[str, float]:
    """Train one epoch in this process.

    Returns:
        Texts a second, and the most MB of the GPU that tensors took.
    """
    import numpy as np
    import torch

    from bertblocks.blocks import Task
    from bertblocks.training import LabeledTexts
    from peers import Rows, quiet_transformers

    quiet_transformers()
    task = Task(kind="classification", labels=("a", "b", "c"))
    part = LabeledTexts(texts=texts, targets=np.arange(len(texts)) % 3)
    rows = Rows(task=task, train=part, test=part)
    clock = _Clock(device)
    (_train_ours if side == "bertblocks" else _train_theirs)(folder, rows, device, seed, clock)
    memory = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else 0.0
    return {"texts_per_s": clock.texts_per_s(), "gpu_mb": memory}


class _Clock:
    """Notes when steps end; the GPU is waited for where counting begins and where it ends."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._begin = self._end = 0.0
        self._texts = 0

    def step(self, number: int, num_steps: int, num_texts: int) -> None:
        """A step has ended; numbers count from 1."""
        if number > _UNCOUNTED_STEPS:
            self._texts += num_texts
        if number in (_UNCOUNTED_STEPS, num_steps):
            self._wait()
        if number == _UNCOUNTED_STEPS:
            self._begin = time.perf_counter()
        self._end = time.perf_counter()

    def texts_per_s(self) -> float:
        """Of the counted steps."""
        if not self._texts:
            raise ValueError(f"The run had no more than {_UNCOUNTED_STEPS} steps: give it more texts.")
        return self._texts / (self._end - self._begin)

    def _wait(self) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()


def _train_ours(folder: Path, rows: Any, device: str, seed: int, clock: _Clock) -> None:
    from bertblocks.blocks import text_model
    from bertblocks.text import load_tokenizer
    from bertblocks.training import StepDone, TrainingSettings, train_model
    from peers import TEXTS_A_STEP, WARMUP

    mean_tokens = load_tokenizer(folder).encode(rows.train.texts).num_tokens.mean()
    settings = TrainingSettings(
        epochs=1,
        learning_rate=2e-5,
        head_learning_rate=2e-5,
        warmup_fraction=WARMUP,
        batch_tokens=int(mean_tokens * TEXTS_A_STEP),
        seed=seed,
        precision="bfloat16",
        device=device,
    )

    def count(event: object) -> None:
        if isinstance(event, StepDone):
            clock.step(event.step, event.num_steps, event.num_texts)

    graph = text_model(task=rows.task, encoder=str(folder), pooling="cls")
    train_model(graph, rows.task, rows.train, None, settings, on_event=count)


def _train_theirs(folder: Path, rows: Any, device: str, seed: int, clock: _Clock) -> None:
    import transformers

    from peers import TEXTS_A_STEP, TransformersTrainer

    class Count(transformers.TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **options: Any) -> None:
            clock.step(state.global_step, state.max_steps, TEXTS_A_STEP)

    trainer = TransformersTrainer(
        folder,
        rows,
        epochs=1,
        learning_rate=2e-5,
        seed=seed,
        bfloat16=True,
        use_cpu=device == "cpu",
        callbacks=[Count()],
    )
    trainer.train()
