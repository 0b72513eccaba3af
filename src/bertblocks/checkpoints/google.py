"""A folder as Google released it: bert_config.json, vocab.txt, bert_model.ckpt.index and its data files.

The checkpoint's tensors are told apart through the table of names, so that everything behind (shapes, values,
heads) is checked in one place for every form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from bertblocks._foreign_files import is_there, read_json_object
from bertblocks.checkpoints.huggingface_config import read_config
from bertblocks.checkpoints.listing import listed
from bertblocks.checkpoints.names import HEAD_TENSORFLOW_NAMES, POOLER_PARAMETERS, encoder_parameters
from bertblocks.checkpoints.tensor_bundle import TensorBundle, open_bundle
from bertblocks.checkpoints.weight_sources import Source, Sources
from bertblocks.encoder.config import EncoderConfig
from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer
from bertblocks.text.google_folders import GOOGLE_CONFIG

_USUAL_PREFIX = "bert_model.ckpt"
_INDEX = ".index"
_ENCODER = "bert/"
_WORD = "bert/embeddings/word_embeddings"
# google-research/bert, modeling.py: BertConfig's own default; the released files say 2.
_TYPE_VOCAB_SIZE = 16

_SLOTS = frozenset(
    {
        *("adam_m", "adam_v", "lamb_m", "lamb_v"),
        *("Adam", "Adam_1", "LAMB", "LAMB_1", "Momentum", "Adagrad", "Adadelta", "Adadelta_1"),
        *("RMSProp", "RMSProp_1", "RMSProp_2", "Ftrl", "Ftrl_1"),
    }
)
"""What optimizers keep beside each weight NAME, as NAME/adam_m: BERT's own and LAMB's, then tf.train's."""

_COUNTERS = frozenset(
    {"global_step", "beta1_power", "beta2_power", "loss_scale", "current_loss_scale", "good_steps"}
)
"""Single numbers of a training run."""

_AVERAGED = "/ExponentialMovingAverage"
_OF_TENSORFLOW_2 = "/.ATTRIBUTES/VARIABLE_VALUE"


def read_google_config(folder: Path) -> EncoderConfig:
    """Read bert_config.json.

    Layer norm's epsilon is not in it: 1e-12, as Google's code has it. Its "gelu" is the erf form
    (docs/numerics.md, 1).

    Raises:
        CheckpointError: If it cannot be read, describes another network, or states another casing than the
            vocabulary beside it.
    """
    path = folder / GOOGLE_CONFIG
    config = read_config(path, missing={"type_vocab_size": _TYPE_VOCAB_SIZE})
    _check_casing(path)
    return config


@dataclass(frozen=True, kw_only=True)
class GoogleWeights:
    """A TF1 checkpoint as a file of weights, under Google's names.

    Attributes:
        bundle: The checkpoint.
        shapes: Shape of every tensor, as it is stored.
    """

    bundle: TensorBundle
    shapes: Mapping[str, tuple[int, ...]]

    def read(self, names: Iterable[str], dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
        """Read one tensor after another into memory of its own; floating point ones become `dtype`."""
        for name in names:
            tensor = self.bundle.read(name)
            yield name, tensor.to(dtype if tensor.is_floating_point() else tensor.dtype)


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder has a TF1 checkpoint's index, of whatever name."""
    return any(folder.glob(f"*{_INDEX}"))


def checkpoint_files(folder: Path) -> list[Path]:
    """The files of a folder's checkpoint, where there is one: its index, and each data file that it names.

    Raises:
        CheckpointError: If there are several checkpoints, or the index is damaged.
    """
    if not has_checkpoint(folder):
        return []
    prefix = _prefix(folder)
    return [prefix.with_name(prefix.name + _INDEX), *open_bundle(prefix).data_paths]


def google_sources(folder: Path, config: EncoderConfig) -> Sources:
    """Find a folder's checkpoint and tell its tensors apart.

    What an optimizer keeps and the counters of a training run are left out on purpose: they are of no use
    here. What is outside "bert/" belongs to a head.

    Args:
        folder: With bert_config.json.
        config: Decides the layers.

    Raises:
        CheckpointError: If there is no checkpoint (what was found is listed), its files are damaged, cut or
            missing, all of them at once, or it is of a kind that is not read.
    """
    bundle = open_bundle(_prefix(folder))
    _refuse_other_kinds(bundle)
    _refuse_missing_data(bundle)
    file = GoogleWeights(bundle=bundle, shapes={name: entry.shape for name, entry in bundle.entries.items()})
    names = _encoder_names(config)
    sources = Sources(
        spelling={theirs: name for name, (theirs, _) in names.items()}, hint=_beginning_hint(bundle)
    )
    heads = {name: (theirs, turned) for theirs, (name, turned) in HEAD_TENSORFLOW_NAMES.items()}
    for name in _weights_of(bundle):
        if name in names:
            theirs, turned = names[name]
            sources.wanted[theirs] = Source(file=file, name=name, transposed=turned)
        elif name in heads:
            theirs, turned = heads[name]
            # A kernel of the wrong rank cannot be turned round.
            turned = turned and len(file.shapes[name]) == 2
            sources.head[theirs] = Source(file=file, name=name, transposed=turned)
        else:
            (sources.unexpected if name.startswith(_ENCODER) else sources.dropped).append(name)
    return sources


def _check_casing(path: Path) -> None:
    """Compare do_lower_case, which some add to bert_config.json, with the vocabulary."""
    stated = read_json_object(path).get("do_lower_case")
    if stated is None:
        return
    vocabulary = path.with_name("vocab.txt")
    if not isinstance(stated, bool):
        raise CheckpointError(f"{path}: do_lower_case is {stated!r:.100}, but must be true or false.")
    if is_there(vocabulary) and (found := load_tokenizer(path.parent).casing) != _casing(stated):
        raise CheckpointError(
            f"{path} says do_lower_case {str(stated).lower()}, but {vocabulary.name} is {found}. Lowercasing "
            "for the wrong vocabulary ruins a model: bring the vocabulary that belongs to the weights, or "
            "correct do_lower_case."
        )


def _casing(do_lower_case: bool) -> str:
    return "uncased" if do_lower_case else "cased"


def _prefix(folder: Path) -> Path:
    """What the files of the folder's one checkpoint begin with."""
    indexes = sorted(path.name.removesuffix(_INDEX) for path in folder.glob(f"*{_INDEX}"))
    if _USUAL_PREFIX in indexes:
        return folder / _USUAL_PREFIX
    if len(indexes) == 1:
        return folder / indexes[0]
    found = listed(sorted(path.name for path in folder.iterdir()))
    raise CheckpointError(
        f"{folder} has {len(indexes) or 'no'} checkpoints: expected {_USUAL_PREFIX}{_INDEX}, or one other "
        f"file that ends in {_INDEX}, found {found}."
    )


def _refuse_other_kinds(bundle: TensorBundle) -> None:
    """Checkpoints that hold BERT's weights in a way in which they are not read."""
    if any(name.endswith(_OF_TENSORFLOW_2) for name in bundle.entries):
        raise CheckpointError(
            f"{bundle.prefix} is a checkpoint of objects as TensorFlow 2 writes it (names that end in "
            f"{_OF_TENSORFLOW_2}), expected one of variables under Google's names ({_WORD}, ...). Save the "
            "model as a Hugging Face folder with the code that wrote it."
        )
    if averaged := [name for name in bundle.entries if name.endswith(_AVERAGED)]:
        raise CheckpointError(
            f"{bundle.prefix} holds averaged copies of weights ({listed(averaged, 3)}), and which of the two "
            "a model should use is not said. Save it again with one of them, under its plain name."
        )


def _refuse_missing_data(bundle: TensorBundle) -> None:
    if problems := bundle.data_problems():
        raise CheckpointError(
            f"{bundle.prefix.parent} lacks the data of its {len(bundle.entries):,} tensors: "
            f"{listed(problems, separator='; ')}. Fetch these files again (one of a hundred bytes is often "
            "only a pointer to the real one)."
        )


def _weights_of(bundle: TensorBundle) -> Iterator[str]:
    """Names of tensors without an optimizer's slots and a training run's counters."""
    for name, entry in bundle.entries.items():
        base, _, last = name.rpartition("/")
        is_slot = last in _SLOTS and base in bundle.entries
        if not is_slot and not (last in _COUNTERS and not entry.shape):
            yield name


def _encoder_names(config: EncoderConfig) -> dict[str, tuple[str, bool]]:
    """Hugging Face's name, and whether the axes are turned round, of each tensor by Google's name."""
    rows = (*encoder_parameters(config.num_hidden_layers), *POOLER_PARAMETERS)
    return {
        name: (theirs, row.transposed)
        for row in rows
        for theirs, name in zip(row.hugging_face, row.tensorflow, strict=True)
    }


def _beginning_hint(bundle: TensorBundle) -> str | None:
    """Say so where the encoder lies deeper in a model."""
    found = next((name.removesuffix(_WORD) for name in bundle.entries if name.endswith("/" + _WORD)), None)
    if found is None:
        return None
    return f"its names begin with {found + _ENCODER!r:.100}, expected {_ENCODER!r}: save the model without it"
