"""transformers, as its users run it: one text at a time, batches as they come, sorted, or compiled."""

from __future__ import annotations

import torch
import transformers

from engines.in_batches import InBatches, padded, usual_shapes
from engines.interface import Ids, Job, Setting, Vectors


class Transformers:
    """AutoModel on padded batches.

    Args:
        job: The encoder and the threads.
        precision: "float32" or "bfloat16".
        batch_texts: Fixes the batches, which then are not sorted; None sorts, and tries several.
        compiled_by: A backend of torch.compile.
    """

    variants = ("",)

    def __init__(
        self, job: Job, *, precision: str, batch_texts: int | None = None, compiled_by: str | None = None
    ) -> None:
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self._threads = job.threads
        self._batch_texts = batch_texts
        self._compiled_by = compiled_by
        self._batches = InBatches(job)
        model = transformers.AutoModel.from_pretrained(
            job.folder, dtype=getattr(torch, precision), add_pooling_layer=False
        ).eval()
        if compiled_by is not None:
            __import__(compiled_by)
            model = torch.compile(model, backend=compiled_by, dynamic=True)
        self._model = model

    def shapes(self, quick: bool) -> list[Setting]:
        """As fixed; or sorted, a few sizes."""
        if self._batch_texts is not None:
            return [Setting(batch_texts=self._batch_texts, is_sorted=False)]
        if self._compiled_by is None:
            return usual_shapes(self._threads, quick)
        # Compiled code is not run from several threads at a time.
        sizes = [4] if quick else [4, 1, 8, 16]
        return [Setting(batch_texts=size) for size in sizes]

    def use(self, setting: Setting) -> None:
        """Share the threads among the streams."""
        torch.set_num_threads(self._threads // setting.streams)
        self._batches.use(setting)

    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors, in the order of ids."""
        return self._batches.vectors(ids, self._answer)

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts."""
        return self._batches.encode(texts, self._answer)

    def _answer(self, ids: Ids) -> Vectors:
        ids_BL, mask_BL = (torch.from_numpy(array) for array in padded(ids))
        with torch.inference_mode():
            hidden_BLD = self._model(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state
            vectors: Vectors = hidden_BLD[:, 0].float().numpy()
            return vectors


class FirstToken(torch.nn.Module):
    """What other engines are given to convert: it returns the first tokens' vectors alone."""

    def __init__(self, folder: str, attention: str) -> None:
        super().__init__()
        self.encoder = transformers.AutoModel.from_pretrained(
            folder, dtype=torch.float32, add_pooling_layer=False, attn_implementation=attention
        ).eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """First-token vectors, shape (B, D)."""
        hidden_BLD = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return hidden_BLD[:, 0]


def example_inputs() -> dict[str, torch.Tensor]:
    """A batch to trace with; one of its texts is padded, so that the mask cannot be left out."""
    input_ids = torch.randint(1000, 5000, (2, 16), generator=torch.Generator().manual_seed(0))
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 9:] = 0
    return {"input_ids": input_ids, "attention_mask": attention_mask}
