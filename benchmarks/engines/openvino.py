"""OpenVINO: float32, bfloat16 by its precision hint, and static int8 by NNCF."""

from __future__ import annotations

import importlib.metadata
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from engines.in_batches import InBatches, padded, usual_shapes
from engines.interface import Ids, Job, Setting, Vectors
from engines.temporary import once

_HINTS = {"float32": ("f32",), "bfloat16": ("bf16",), "int8": ("bf16", "f32")}


class OpenVino:
    """A compiled model on padded batches.

    Args:
        job: The encoder and the threads.
        precision: "float32", "bfloat16" or "int8"; what int8 leaves alone runs in one of the others.
    """

    def __init__(self, job: Job, *, precision: str) -> None:
        import openvino

        self._core = openvino.Core()
        self._threads = job.threads
        self._batches = InBatches(job)
        self._file = _path(job, "int8" if precision == "int8" else "float32")
        self.variants = tuple(f"hint {hint}" for hint in _HINTS[precision])
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in capabilities:
            self.variants = tuple(variant for variant in self.variants if variant != "hint bf16")
        if not self.variants:
            raise RuntimeError("OpenVINO does not offer bfloat16 on this processor")
        self._model: Any = None
        self._made_for: tuple[str, int] | None = None
        self._requests = threading.local()

    @staticmethod
    def prepare(job: Job, *, precision: str) -> None:
        """Convert, and quantize where int8 is asked for."""
        # Both report their use to their makers, but not where this is set.
        os.environ["CI"] = "true"
        once(_path(job, "float32"), lambda made: _convert(job, made))
        if precision == "int8":
            once(_path(job, "int8"), lambda made: _quantize(job, made))

    def shapes(self, quick: bool) -> list[Setting]:
        """What usually is best."""
        return usual_shapes(self._threads, quick)

    def use(self, setting: Setting) -> None:
        """Compile for latency with one stream, and for throughput with several."""
        if (setting.variant, setting.streams) != self._made_for:
            self._model = None
            self._model = self._core.compile_model(
                self._file,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": setting.variant.removeprefix("hint "),
                    "PERFORMANCE_HINT": "THROUGHPUT" if setting.streams > 1 else "LATENCY",
                    "NUM_STREAMS": setting.streams,
                    "INFERENCE_NUM_THREADS": self._threads,
                },
            )
            self._made_for = (setting.variant, setting.streams)
        self._requests = threading.local()
        self._batches.use(setting)

    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors, in the order of ids."""
        return self._batches.vectors(ids, self._answer)

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts."""
        return self._batches.encode(texts, self._answer)

    def _answer(self, ids: Ids) -> Vectors:
        if not hasattr(self._requests, "own"):
            self._requests.own = self._model.create_infer_request()
        return np.array(self._requests.own.infer(list(padded(ids)))[0], dtype=np.float32)


def _path(job: Job, kind: str) -> Path:
    return job.converted(f"openvino-{importlib.metadata.version('openvino')}-{kind}.xml")


def _convert(job: Job, path: Path) -> None:
    import openvino

    from engines.transformers import FirstToken, example_inputs

    inputs = example_inputs()
    shape = openvino.PartialShape([-1, -1])
    model = openvino.convert_model(
        FirstToken(str(job.folder), "sdpa"),
        example_input=inputs,
        input=[(name, shape, openvino.Type.i64) for name in inputs],
    )
    openvino.save_model(model, path, compress_to_fp16=False)


def _quantize(job: Job, path: Path) -> None:
    """Activations get fixed ranges, from texts of the workload's kind."""
    import nncf
    import openvino

    ids = job.workloads["calibration"].ids
    batches = [dict(zip(("input_ids", "attention_mask"), padded([row]), strict=True)) for row in ids]
    model = nncf.quantize(
        openvino.Core().read_model(_path(job, "float32")),
        nncf.Dataset(batches),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(batches),
    )
    openvino.save_model(model, path, compress_to_fp16=False)
