"""CTranslate2: float32 and int8; it takes padding out by itself."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np

from engines.in_batches import InBatches, usual_shapes
from engines.interface import Ids, Job, Setting, Vectors
from engines.temporary import once


class CTranslate2:
    """Its encoder on lists of ids.

    Args:
        job: The encoder and the threads.
        compute_type: As it calls them: "float32", "int8_float32", "int8_bfloat16".
    """

    variants = ("",)

    def __init__(self, job: Job, *, compute_type: str) -> None:
        if _has_avx512():
            # Read once, as it is loaded. On AMD it takes AVX2 by itself, which was 3 to 12 % slower; with its
            # other switch, CT2_USE_MKL, it was 2 to 12 times slower.
            os.environ["CT2_FORCE_CPU_ISA"] = "AVX512"
        import ctranslate2

        supported = ctranslate2.get_supported_compute_types("cpu")
        if compute_type not in supported:
            raise RuntimeError(f"on this processor CTranslate2 offers {', '.join(sorted(supported))}")
        self._threads = job.threads
        self._compute_type = compute_type
        self._file = _path(job, _stored(compute_type))
        self._batches = InBatches(job)
        self._encoder: Any = None
        self._made_for: int | None = None

    @staticmethod
    def prepare(job: Job, *, compute_type: str) -> None:
        """Convert, and round the weights where they are int8."""
        once(_path(job, _stored(compute_type)), lambda made: _convert(job, made, _stored(compute_type)))

    def shapes(self, quick: bool) -> list[Setting]:
        """What usually is best."""
        return usual_shapes(self._threads, quick)

    def use(self, setting: Setting) -> None:
        """Load with the streams' share of the threads."""
        import ctranslate2

        if setting.streams != self._made_for:
            self._encoder = None
            self._encoder = ctranslate2.Encoder(
                str(self._file),
                device="cpu",
                compute_type=self._compute_type,
                inter_threads=setting.streams,
                intra_threads=self._threads // setting.streams,
            )
            self._made_for = setting.streams
        self._batches.use(setting)

    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors, in the order of ids."""
        return self._batches.vectors(ids, self._answer)

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts."""
        return self._batches.encode(texts, self._answer)

    def _answer(self, ids: Ids) -> Vectors:
        import ctranslate2

        hidden_BLD = self._encoder.forward_batch([list(row) for row in ids]).last_hidden_state
        if hidden_BLD.dtype != ctranslate2.DataType.float32:
            hidden_BLD = hidden_BLD.to(ctranslate2.DataType.float32)
        return np.array(hidden_BLD)[:, 0]


def _stored(compute_type: str) -> str:
    return compute_type.split("_", maxsplit=1)[0]


def _path(job: Job, kind: str) -> Path:
    return job.converted(f"ctranslate2-{importlib.metadata.version('ctranslate2')}-{kind}")


def _convert(job: Job, path: Path, quantization: str) -> None:
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(job.folder)).convert(str(path), quantization=quantization)


def _has_avx512() -> bool:
    processor = Path("/proc/cpuinfo")
    return processor.exists() and " avx512f" in processor.read_text(encoding="utf-8")
