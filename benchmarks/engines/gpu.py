"""Engines on a GPU, in bfloat16: bertblocks packed, transformers on sorted padded batches.

On a CPU they run too, which shows that they work.
"""

from __future__ import annotations

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

import bertblocks
from engines.in_batches import padded
from engines.interface import Ids, Job, Setting, Vectors
from engines.ours import encoded_ids

_TOKENS = (8192, 16_384, 32_768, 65_536)
_QUICK_TOKENS = (1024, 8192)
_TEXTS = (64, 128, 256, 512)
_QUICK_TEXTS = (8,)


class _OnDevice:
    """What both have in common: their device, its clock and its memory."""

    def __init__(self, job: Job, device: str) -> None:
        torch.set_num_threads(job.threads)
        self._device = torch.device(device)

    def _wait(self) -> None:
        """Let the GPU finish, so that its work is timed with what gave it the work."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _forget_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)

    def gpu_memory(self) -> float:
        """The most MB that tensors took; 0 on a CPU."""
        return torch.cuda.max_memory_allocated(self._device) / 1e6 if self._device.type == "cuda" else 0.0

    def _backend(self) -> str:
        """Of torch.compile: on a CPU, where nothing is measured, its own compiler only costs time."""
        return "inductor" if self._device.type == "cuda" else "eager"


class Ours(_OnDevice):
    """A TextEncoder, as its users call it; equal texts are computed as often as they come.

    Args:
        job: The encoder and the threads.
        device: "cuda" or "cpu".
        compiled: Whether the parts between attention's kernels are compiled. The encoder as a whole cannot
            be: it goes by the lengths of a batch, and each batch would be compiled anew.
        num_workers: Processes that tokenize; None is what bertblocks chooses.
    """

    def __init__(
        self, job: Job, *, device: str, compiled: bool = False, num_workers: int | None = None
    ) -> None:
        super().__init__(job, device)
        kernels = "auto" if device == "cuda" else "plain"
        self._encoder = bertblocks.load_encoder(
            job.folder, precision="bfloat16", device=device, kernels=kernels
        )
        if num_workers is not None:
            self._encoder.num_workers = num_workers
        if compiled:
            for layer in self._encoder._encoder.layers:
                layer.feed_forward.compile(dynamic=True, backend=self._backend())
                layer.attention.norm.compile(dynamic=True, backend=self._backend())
        self.variants = tuple(f"{tokens:,} tokens a batch" for tokens in _sizes(job, _TOKENS, _QUICK_TOKENS))
        self._batch_tokens = _TOKENS[0]

    def shapes(self, quick: bool) -> list[Setting]:
        """Its variants say it all."""
        return [Setting()]

    def use(self, setting: Setting) -> None:
        """Take the budget of tokens."""
        self._batch_tokens = int(setting.variant.split()[0].replace(",", ""))
        self._forget_memory()

    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors, in the order of ids."""
        self._wait()
        vectors = self._encoder.vectors(
            encoded_ids(ids), "cls", batch_tokens=self._batch_tokens, deduplicate=False
        )
        self._wait()
        return vectors

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts."""
        self._wait()
        vectors = self._encoder.encode(
            texts, output="cls", batch_tokens=self._batch_tokens, deduplicate=False
        )
        self._wait()
        return vectors


class Transformers(_OnDevice):
    """AutoModel on padded batches of texts of like length; vectors come back together, at the end.

    Args:
        job: The encoder and the threads.
        device: "cuda" or "cpu".
        attention: "sdpa" or "flash_attention_2".
        precision: "bfloat16"; the reference has "float32".
        compiled: Whether torch.compile compiles it, for shapes that change.
    """

    variants = ("",)

    def __init__(
        self, job: Job, *, device: str, attention: str, precision: str = "bfloat16", compiled: bool = False
    ) -> None:
        super().__init__(job, device)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self._tokenizer = Tokenizer.from_file(str(job.folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(512)
        model = transformers.AutoModel.from_pretrained(
            job.folder,
            dtype=getattr(torch, precision),
            add_pooling_layer=False,
            attn_implementation=attention,
        )
        self._model = model.eval().to(self._device)
        if compiled:
            self._model = torch.compile(self._model, dynamic=True, backend=self._backend())
        self._sizes = _sizes(job, _TEXTS, _QUICK_TEXTS)
        self._batch_texts = self._sizes[0]

    def shapes(self, quick: bool) -> list[Setting]:
        """How many texts a batch."""
        return [Setting(batch_texts=size) for size in self._sizes]

    def use(self, setting: Setting) -> None:
        """Take the size of the batches."""
        self._batch_texts = setting.batch_texts or self._sizes[0]
        self._forget_memory()

    @torch.inference_mode()
    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors, in the order of ids."""
        self._wait()
        order = sorted(range(len(ids)), key=lambda index: -len(ids[index]))
        parts = [
            self._batch([ids[index] for index in order[start : start + self._batch_texts]])
            for start in range(0, len(order), self._batch_texts)
        ]
        rows = torch.cat(parts).cpu().numpy()
        vectors = np.empty_like(rows)
        vectors[order] = rows
        self._wait()
        return vectors

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts, tokenized by all cores."""
        return self.vectors([row.ids for row in self._tokenizer.encode_batch_fast(texts)])

    def _batch(self, ids: Ids) -> torch.Tensor:
        """Vectors of a batch, left on the device."""
        ids_BL, mask_BL = (self._there(torch.from_numpy(array)) for array in padded(ids))
        hidden_BLD = self._model(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state
        return hidden_BLD[:, 0].float()

    def _there(self, x: torch.Tensor) -> torch.Tensor:
        if self._device.type != "cuda":
            return x
        return x.pin_memory().to(self._device, non_blocking=True)


def _sizes(job: Job, sizes: tuple[int, ...], quick: tuple[int, ...]) -> tuple[int, ...]:
    return quick if job.quick else sizes
