"""The files that hold a Hugging Face folder's weights: one or several, safetensors or .bin.

A .bin is a pickle. It is only ever read with torch's weights-only loader, which builds tensors and nothing
else; and only by a torch in which that loader is sound (CVE-2026-24747: before 2.10 a forged file could
corrupt memory).
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from bertblocks._foreign_files import check_file, is_there, read_json_object
from bertblocks.checkpoints.listing import listed
from bertblocks.checkpoints.storage import each_tensor, read_shapes
from bertblocks.errors import CheckpointError

SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
WEIGHT_FILES = (SAFETENSORS, SAFETENSORS_INDEX, PICKLED, PICKLED_INDEX)
"""Where weights are looked for, the first that exists first."""

_SOUND_TORCH = "2.10"
_LARGEST_GROWTH = 4
"""How often a .bin's tensors may count the same bytes; tied embeddings count theirs twice."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of weights, its header read and its tensors not yet.

    Attributes:
        path: The file.
        shapes: Shape of every tensor, by the name in the file.
        pickled: For a .bin its tensors, mapped from the file where the format allows it.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    pickled: Mapping[str, torch.Tensor] | None = None

    def read(self, names: Iterable[str], dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
        """Read one tensor after another into memory of its own; floating point ones become `dtype`."""
        if self.pickled is None:
            yield from each_tensor(self.path, names, dtype=dtype)
            return
        for name in names:
            tensor = self.pickled[name]
            target = dtype if tensor.is_floating_point() else tensor.dtype
            yield name, tensor.to(target, copy=True).contiguous()


def has_weights(folder: Path) -> bool:
    """Whether a folder has weights, every shard of them; what is in the files is not looked at.

    Args:
        folder: A Hugging Face folder.

    Raises:
        CheckpointError: If there is an index of shards that cannot be read.
    """
    found = _find(folder)
    if found is None or found.suffix != ".json":
        return found is not None and found.is_file()
    return all((folder / shard).is_file() for shard in _read_index(found))


def open_weights(folder: Path) -> list[WeightFile]:
    """Find a folder's weights and read which tensors they hold.

    Args:
        folder: A Hugging Face folder.

    Raises:
        CheckpointError: If there are none (the message lists what was tried), or files are missing, damaged
            or hold something other than tensors; every such file at once.
    """
    found = _find(folder)
    if found is None:
        raise CheckpointError(_no_weights(folder))
    promised = _read_index(found) if found.suffix == ".json" else {found.name: []}
    files, problems = [], []
    for name, tensors in promised.items():
        try:
            file = _open(folder / name)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        files.append(file)
        absent = sorted(set(tensors) - set(file.shapes))
        problems += [f"{file.path} lacks {listed(absent)}, which {found.name} promises."] if absent else []
    owners: dict[str, Path] = {}
    for file in files:
        for name in file.shapes:
            if owners.setdefault(name, file.path) != file.path:
                problems.append(f"{name} is both in {owners[name].name} and in {file.path.name}.")
    if problems:
        raise CheckpointError(listed(problems, separator="\n"))
    return files


def weight_paths(folder: Path) -> list[Path]:
    """The files that open_weights would open, if any: one, or an index and each shard that it names.

    Args:
        folder: A Hugging Face folder.

    Raises:
        CheckpointError: If there is an index of shards that cannot be read.
    """
    found = _find(folder)
    if found is None:
        return []
    return [found, *(folder / shard for shard in _read_index(found))] if found.suffix == ".json" else [found]


def _find(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHT_FILES if is_there(folder / name)), None)


def _open(path: Path) -> WeightFile:
    if path.suffix != ".bin":
        return WeightFile(path=path, shapes=read_shapes(path))
    tensors = _load_pickled(path)
    return WeightFile(
        path=path, shapes={name: tuple(t.shape) for name, t in tensors.items()}, pickled=tensors
    )


def _read_index(path: Path) -> dict[str, list[str]]:
    """The shards that an index names, each with the tensors it promises there."""
    weight_map = read_json_object(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f'{path} has no "weight_map" from tensor names to files.')
    suffix = ".bin" if path.name == PICKLED_INDEX else ".safetensors"
    shards: dict[str, list[str]] = {}
    for tensor, shard in weight_map.items():
        # a plain name in the same folder: an index must not lead anywhere else
        if not isinstance(shard, str) or not re.fullmatch(r"\w[\w.-]*", shard) or not shard.endswith(suffix):
            raise CheckpointError(
                f"{path} puts {tensor} into {shard!r}, but must name a {suffix} file in the same folder."
            )
        shards.setdefault(shard, []).append(tensor)
    return shards


def _load_pickled(path: Path) -> dict[str, torch.Tensor]:
    """Read a .bin with torch's weights-only loader."""
    size = check_file(path)
    if torch.__version__ < _SOUND_TORCH:  # compares as versions, not as text
        raise CheckpointError(
            f"{path} is a pickle, which torch {torch.__version__} cannot read safely (CVE-2026-24747). "
            f"Either pip install 'torch>=2.10', or save the model as {SAFETENSORS}."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle's protocol: no matter for tensors
            # the older format of before torch 1.6 cannot be mapped
            mapped = zipfile.is_zipfile(path)
            if mapped:
                _refuse_packed(path)
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except CheckpointError:
        raise
    except Exception as error:  # the loader interprets bytes of any origin, and so raises any type
        raise CheckpointError(
            f"{path} cannot be read as weights: {_reason(error)}. Found {size:,} bytes; "
            "expected a dictionary of tensors as torch.save writes it. Fetch or copy the file again (one "
            f"of a few hundred bytes is often only a pointer to the real one), or save it as {SAFETENSORS}."
        ) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(
            f"{path} holds a {type(loaded).__name__}, but must hold a dictionary of tensors."
        )
    odd = [repr(name) for name, value in loaded.items() if not (isinstance(name, str) and _is_plain(value))]
    if odd:
        raise CheckpointError(
            f"{path} must hold a dictionary of plain tensors, but these are something else: {listed(odd)}."
        )
    _refuse_growth(path, loaded, size)
    return dict(loaded)


def _refuse_packed(path: Path) -> None:
    """A compressed entry may become a thousand times as large; torch.save writes plain ones."""
    with zipfile.ZipFile(path) as archive:
        packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise CheckpointError(
            f"{path} is a zip archive with compressed entries ({listed(packed, 5)}), which torch.save never "
            f"writes, and which is not unpacked for safety. Save the model again, best as {SAFETENSORS}."
        )


def _refuse_growth(path: Path, tensors: Mapping[str, torch.Tensor], size: int) -> None:
    """A tensor may repeat its bytes, and many may share them: a small file that fills the memory."""
    repeating = [
        name for name, tensor in tensors.items() if tensor.nbytes > tensor.untyped_storage().nbytes()
    ]
    total = sum(tensor.nbytes for tensor in tensors.values())
    if repeating or total > _LARGEST_GROWTH * size:
        raise CheckpointError(
            f"{path} has {size:,} bytes, but its tensors would take {total:,}: "
            + (f"{listed(repeating)} repeat the same bytes" if repeating else "many share the same bytes")
            + f". Save the model again, best as {SAFETENSORS}."
        )


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _reason(error: Exception) -> str:
    """What the loader objected to, without its advice to switch the protection off."""
    text = str(error).strip()
    refused = re.search(r"^.*\bunsupported\b.*$", text, re.IGNORECASE | re.MULTILINE)
    line = refused.group(0) if refused else text.partition("\n")[0][:200]
    return f"{type(error).__name__}: {line.strip(' .')}" if line else type(error).__name__


def _no_weights(folder: Path) -> str:
    found = listed(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else "no such folder"
    return f"{folder} holds no weights: tried {', '.join(WEIGHT_FILES)}, found {found}."
