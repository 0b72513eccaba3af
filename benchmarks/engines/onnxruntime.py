"""onnxruntime: float32, and its dynamic int8 quantization."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engines.in_batches import InBatches, padded, usual_shapes
from engines.interface import Ids, Job, Setting, Vectors
from engines.temporary import once

INPUTS = ("input_ids", "attention_mask")


class OnnxRuntime:
    """A session on padded batches.

    Args:
        job: The encoder and the threads.
        precision: "float32" or "int8".
    """

    def __init__(self, job: Job, *, precision: str) -> None:
        self._job = job
        self._threads = job.threads
        self._batches = InBatches(job)
        self._files = _files(job, precision)
        self.variants = tuple(self._files)
        self._session: Any = None
        self._made_for: tuple[str, int] | None = None

    @staticmethod
    def prepare(job: Job, *, precision: str) -> None:
        """Export and fuse, and quantize where int8 is asked for: what is not there yet."""
        exported, fused = _path(job, "float32"), _path(job, "fused")
        once(exported, lambda made: _export(job, made))
        once(fused, lambda made: _fuse(job, made))
        if precision == "int8":
            once(_path(job, "int8"), lambda made: _quantize(exported, made, per_channel=False))
            once(_path(job, "int8-channels"), lambda made: _quantize(exported, made, per_channel=True))
            once(_path(job, "int8-fused"), lambda made: _quantize(fused, made, per_channel=True))

    def shapes(self, quick: bool) -> list[Setting]:
        """What usually is best."""
        return usual_shapes(self._threads, quick)

    def use(self, setting: Setting) -> None:
        """Open a session with each stream's share of the threads."""
        import onnxruntime

        wanted = (setting.variant, self._threads // setting.streams)
        if wanted != self._made_for:
            self._session = None
            options = onnxruntime.SessionOptions()
            # A run of one thread is computed by the thread that calls.
            options.intra_op_num_threads = wanted[1]
            options.inter_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(
                self._files[setting.variant], options, providers=["CPUExecutionProvider"]
            )
            self._made_for = wanted
        self._batches.use(setting)

    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors, in the order of ids."""
        return self._batches.vectors(ids, self._answer)

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts."""
        return self._batches.encode(texts, self._answer)

    def _answer(self, ids: Ids) -> Vectors:
        vectors: Vectors = self._session.run(None, dict(zip(INPUTS, padded(ids), strict=True)))[0]
        return vectors


def _path(job: Job, kind: str) -> Path:
    import importlib.metadata

    return job.converted(f"onnxruntime-{importlib.metadata.version('onnxruntime')}-{kind}.onnx")


def _files(job: Job, precision: str) -> dict[str, Path]:
    """The files of a precision by what is different about them."""
    if precision == "float32":
        return {"as exported": _path(job, "float32"), "fused by its optimizer": _path(job, "fused")}
    files = {
        "per channel": _path(job, "int8-channels"),
        "per tensor": _path(job, "int8"),
        "fused, per channel": _path(job, "int8-fused"),
    }
    return dict(list(files.items())[:1]) if job.quick else files


def _export(job: Job, path: Path) -> None:
    """Traced with plain attention, in the form that onnxruntime's optimizer knows and fuses."""
    import torch

    from engines.transformers import FirstToken, example_inputs

    torch.onnx.export(
        FirstToken(str(job.folder), "eager"),
        tuple(example_inputs().values()),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=list(INPUTS),
        output_names=["vectors"],
        dynamic_axes={**{name: {0: "texts", 1: "tokens"} for name in INPUTS}, "vectors": {0: "texts"}},
    )


def _fuse(job: Job, path: Path) -> None:
    """Attention, layer norm and GELU as one operator each."""
    from onnxruntime.transformers.optimizer import optimize_model

    sizes = json.loads((job.folder / "config.json").read_text(encoding="utf-8"))
    model = optimize_model(
        str(_path(job, "float32")),
        model_type="bert",
        num_heads=sizes["num_attention_heads"],
        hidden_size=sizes["hidden_size"],
        opt_level=0,
    )
    model.save_model_to_file(str(path))


def _quantize(source: Path, path: Path, *, per_channel: bool) -> None:
    """Weights once, activations while it runs; products of two activations stay as they are."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        path,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        # Types that cannot be inferred are those behind fused operators.
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
    )
