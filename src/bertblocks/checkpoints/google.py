"""A folder as Google released it: bert_config.json, vocab.txt, bert_model.ckpt.index and its data files.

The checkpoint's tensors are shown under Hugging Face's names and in torch's layout, so that everything behind
(names, shapes, values, heads) is checked in one place for both forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from bertblocks.checkpoints.huggingface_config import read_config
from bertblocks.checkpoints.listing import listed
from bertblocks.checkpoints.names import (
    HEAD_TENSORFLOW_NAMES,
    POOLER_PARAMETERS,
    PREFIXES,
    encoder_parameters,
)
from bertblocks.checkpoints.tensor_bundle import TensorBundle, open_bundle
from bertblocks.encoder.config import EncoderConfig
from bertblocks.errors import CheckpointError
from bertblocks.text.google_folders import GOOGLE_CONFIG

_PREFIX = PREFIXES["bert"]
_USUAL_PREFIX = "bert_model.ckpt"
_INDEX = ".index"
# google-research/bert, modeling.py: BertConfig's own default; the released files say 2.
_TYPE_VOCAB_SIZE = 16
_SLOTS = ("/adam_m", "/adam_v", "/lamb_m", "/lamb_v")
"""What optimizers keep beside each weight."""


def read_google_config(folder: Path) -> EncoderConfig:
    """Read bert_config.json.

    Layer norm's epsilon is not in it: 1e-12, as Google's code has it. Its "gelu" is the erf form
    (docs/numerics.md, 1).

    Raises:
        CheckpointError: If it cannot be read, or describes another network.
    """
    return read_config(folder / GOOGLE_CONFIG, missing={"type_vocab_size": _TYPE_VOCAB_SIZE})


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """A tensor's name in the checkpoint, and whether its two axes are the other way round there."""

    name: str
    transposed: bool


@dataclass(frozen=True, kw_only=True)
class GoogleWeights:
    """A TF1 checkpoint as a file of weights under Hugging Face's names.

    Attributes:
        bundle: The checkpoint.
        stored: Where each tensor is.
    """

    bundle: TensorBundle
    stored: Mapping[str, _Stored]

    @property
    def path(self) -> Path:
        """What the checkpoint's files begin with."""
        return self.bundle.prefix

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, as torch holds it."""
        return {name: self._shape(place) for name, place in self.stored.items()}

    def read(self, names: Iterable[str], dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """Read tensors into memory of their own; floating point ones become `dtype`."""
        return {name: self._read(self.stored[name], dtype) for name in names}

    def _shape(self, place: _Stored) -> tuple[int, ...]:
        shape = self.bundle.entries[place.name].shape
        return shape[::-1] if place.transposed else shape

    def _read(self, place: _Stored, dtype: torch.dtype) -> torch.Tensor:
        tensor = self.bundle.read(place.name)
        tensor = tensor.t() if place.transposed else tensor
        return tensor.to(dtype if tensor.is_floating_point() else tensor.dtype).contiguous()


def open_google_weights(folder: Path) -> list[GoogleWeights]:
    """Find a folder's checkpoint and read which tensors it holds.

    An optimizer's slots and global_step are left out on purpose: they are of no use here. What has a name
    that Google's model does not know is shown under that name, for the caller to refuse.

    Raises:
        CheckpointError: If there is no checkpoint (what was found is listed) or its files are damaged, cut or
            missing, all of them at once.
    """
    bundle = open_bundle(_prefix(folder))
    if problems := bundle.data_problems():
        raise CheckpointError(
            f"{folder} lacks the data of its {len(bundle.entries):,} tensors: {'; '.join(problems)}. Fetch "
            "these files again (one of a hundred bytes is often only a pointer to the real one)."
        )
    names = {place.name: (name, place) for name, place in _known(_num_layers(bundle)).items()}
    stored: dict[str, _Stored] = {}
    for name in bundle.entries:
        if name == "global_step" or name.endswith(_SLOTS):
            continue
        theirs, place = names.get(name, (_unknown(name), _Stored(name=name, transposed=False)))
        # A kernel of the wrong rank cannot be turned round; its shape is refused as it stands.
        turned = place.transposed and len(bundle.entries[name].shape) == 2
        stored[theirs] = _Stored(name=name, transposed=turned)
    return [GoogleWeights(bundle=bundle, stored=stored)]


def _prefix(folder: Path) -> Path:
    """What the files of the folder's one checkpoint begin with."""
    indexes = sorted(path.name.removesuffix(_INDEX) for path in folder.glob(f"*{_INDEX}") if path.is_file())
    if _USUAL_PREFIX in indexes:
        return folder / _USUAL_PREFIX
    if len(indexes) == 1:
        return folder / indexes[0]
    found = listed(sorted(path.name for path in folder.iterdir()))
    raise CheckpointError(
        f"{folder} has {len(indexes) or 'no'} checkpoints: expected {_USUAL_PREFIX}{_INDEX}, or one other "
        f"file that ends in {_INDEX}, found {found}."
    )


def _num_layers(bundle: TensorBundle) -> int:
    """Layers that the checkpoint has names for, whatever bert_config.json says."""
    layers = {
        int(number)
        for name in bundle.entries
        if (number := name.removeprefix("bert/encoder/layer_").partition("/")[0]).isdecimal()
        and len(number) <= 3
    }
    return max(layers, default=0) + 1


def _known(num_layers: int) -> dict[str, _Stored]:
    """Every tensor of Google's model by its name in Hugging Face's."""
    rows = (*encoder_parameters(num_layers), *POOLER_PARAMETERS)
    known = {
        _PREFIX + theirs: _Stored(name=name, transposed=row.transposed)
        for row in rows
        for theirs, name in zip(row.hugging_face, row.tensorflow, strict=True)
    }
    heads = {
        theirs: _Stored(name=name, transposed=turned)
        for theirs, (name, turned) in HEAD_TENSORFLOW_NAMES.items()
    }
    return {**known, **heads}


def _unknown(name: str) -> str:
    """A name that no table has: below "bert/" an error to report, elsewhere a head."""
    return _PREFIX + name if name.startswith("bert/") else name
