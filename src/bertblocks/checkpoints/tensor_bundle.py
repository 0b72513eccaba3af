"""A TF1 checkpoint (a "tensor bundle"): PREFIX.index and PREFIX.data-00000-of-00001, read without TensorFlow.

Only the tensors asked for are read, each checked against its checksum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bertblocks._foreign_files import check_file, is_there, read_file
from bertblocks.checkpoints.bundle_index import ITEM_BYTES, BundleEntry, read_bundle_index
from bertblocks.checkpoints.crc32c import crc32c
from bertblocks.errors import CheckpointError

_LARGEST_INDEX = 64 << 20  # the multilingual checkpoint's has 9 KB
_TORCH: Mapping[str, torch.dtype] = {name: getattr(torch, name) for name in ITEM_BYTES}


@dataclass(frozen=True, kw_only=True)
class TensorBundle:
    """A checkpoint whose index has been read, and whose data has not.

    Attributes:
        prefix: What its files begin with, such as FOLDER/bert_model.ckpt.
        num_shards: Data files.
        entries: Where each tensor lies, by name.
    """

    prefix: Path
    num_shards: int
    entries: Mapping[str, BundleEntry]

    def shard_path(self, shard: int) -> Path:
        """The data file of a number."""
        name = f"{self.prefix.name}.data-{shard:05d}-of-{self.num_shards:05d}"
        return self.prefix.with_name(name)

    @property
    def data_paths(self) -> list[Path]:
        """The data files that hold the tensors."""
        return [self.shard_path(shard) for shard in sorted({entry.shard for entry in self.entries.values()})]

    def data_problems(self) -> list[str]:
        """What keeps the data files from holding what the index says, without reading them."""
        needed: dict[int, int] = {}
        for entry in self.entries.values():
            needed[entry.shard] = max(needed.get(entry.shard, 0), entry.offset + entry.num_bytes)
        problems = []
        for shard, num_bytes in sorted(needed.items()):
            path = self.shard_path(shard)
            if not is_there(path):
                problems.append(f"{path.name} is missing ({num_bytes:,} bytes)")
                continue
            try:
                found = check_file(path)
            except CheckpointError as error:
                problems.append(str(error).rstrip("."))
                continue
            if found < num_bytes:
                problems.append(f"{path.name} has {found:,} bytes, but the index needs {num_bytes:,}")
        return problems

    def read(self, name: str) -> torch.Tensor:
        """Read one tensor into memory of its own, in its own type.

        Raises:
            CheckpointError: If it is missing, empty, cut, damaged, or of a type without numbers.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise CheckpointError(f"{self.prefix}: there is no tensor {name!r}.")
        if entry.dtype not in _TORCH:
            raise CheckpointError(f"{self.prefix}: {name} is of {entry.dtype}, which is no kind of number.")
        if not entry.num_bytes:
            raise CheckpointError(f"{self.prefix}: {name} {entry.shape} is empty, which no weight is.")
        path = self.shard_path(entry.shard)
        # Asked first: memory is taken for what is there, not for what the index says.
        if check_file(path) < entry.offset + entry.num_bytes:
            raise CheckpointError(f"{path} is cut: {name} ends behind its last byte. Fetch it again.")
        try:
            content = np.fromfile(path, dtype=np.uint8, count=entry.num_bytes, offset=entry.offset)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
        if crc32c(content) != entry.crc32c:
            raise CheckpointError(
                f"{path} is damaged: {name} ({entry.num_bytes:,} bytes at {entry.offset:,}) does not have "
                "the checksum that the index states. Fetch or copy the file again."
            )
        return torch.from_numpy(content).view(_TORCH[entry.dtype]).reshape(entry.shape)


def open_bundle(prefix: Path) -> TensorBundle:
    """Read the index of a checkpoint.

    Args:
        prefix: What its files begin with, such as FOLDER/bert_model.ckpt.

    Raises:
        CheckpointError: If the index is missing or damaged.
    """
    path = prefix.with_name(prefix.name + ".index")
    content = read_file(path, limit=_LARGEST_INDEX)
    index = read_bundle_index(content, str(path))
    return TensorBundle(prefix=prefix, num_shards=index.num_shards, entries=index.entries)
