"""Encoding: shapes and counts, cutting, pairs, bad input, pickling, threads and forks."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bertblocks.errors import ConfigError, DataError
from bertblocks.text import Tokenizer, load_tokenizer
from bertblocks.text import library as library_module
from bertblocks.text.template import lengths_of_cut_pair

PAD, UNK, CLS, SEP, MASK = 0, 100, 101, 102, 103


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer("english-uncased")


def rows_of(tokenizer: Tokenizer, texts, pairs=None) -> list[list[int]]:
    return [row.tolist() for row in tokenizer.encode(texts, pairs).ids]


def test_attributes(tokenizer: Tokenizer) -> None:
    assert tokenizer.name == "english-uncased"
    assert tokenizer.casing == "uncased"
    assert tokenizer.vocabulary_size == 30_522
    assert tokenizer.sequence_length == 512
    assert tokenizer.special_tokens == {"pad": PAD, "unk": UNK, "cls": CLS, "sep": SEP, "mask": MASK}
    assert [tokenizer.token(i) for i in (0, 101, 30_521)] == ["[PAD]", "[CLS]", "##～"]
    assert "english-uncased" in repr(tokenizer)


def test_special_tokens_are_counted(tokenizer: Tokenizer) -> None:
    for pair, second in ((False, None), (True, [""])):
        assert tokenizer.num_special_tokens(pair) == tokenizer.encode([""], second).num_tokens[0]
    assert [tokenizer.num_special_tokens(pair) for pair in (False, True)] == [2, 3]
    assert load_tokenizer("mini").num_special_tokens(pair=True) == 4


@pytest.mark.parametrize("index", [-1, 30_522])
def test_no_token_outside_the_vocabulary(tokenizer: Tokenizer, index: int) -> None:
    with pytest.raises(IndexError, match="30521"):
        tokenizer.token(index)


def test_encode_gives_typed_ragged_rows(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode(["hello world", "", "hello \u4e02 \u4e02"])
    assert len(encoded) == 3
    assert [row.tolist() for row in encoded.ids] == [
        [CLS, 7592, 2088, SEP],
        [CLS, SEP],
        [CLS, 7592, UNK, UNK, SEP],
    ]
    assert all(row.dtype == np.int32 for row in encoded.ids)
    assert encoded.num_tokens.tolist() == encoded.num_first.tolist() == [4, 2, 5]
    assert encoded.num_unknown.tolist() == [0, 0, 2]
    assert encoded.truncated.tolist() == [False, False, False]
    counts = (encoded.num_tokens, encoded.num_first, encoded.num_unknown)
    assert all(count.dtype == np.int32 for count in counts)
    assert encoded.truncated.dtype == np.bool_


def test_no_rows(tokenizer: Tokenizer) -> None:
    for encoded in (tokenizer.encode([]), tokenizer.encode([], [])):
        assert len(encoded) == 0
        assert encoded.num_tokens.shape == encoded.truncated.shape == (0,)


def test_single_texts_are_cut_on_the_right_and_counted(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.with_sequence_length(6).encode(
        ["one two three four", "one two three four five \u4e02"]
    )
    uncut = rows_of(tokenizer, ["one two three four five"])[0]
    assert encoded.ids[0].tolist() == encoded.ids[1].tolist() == [*uncut[:5], SEP]
    assert encoded.num_tokens.tolist() == [6, 8]
    assert encoded.truncated.tolist() == [False, True]
    assert encoded.num_unknown.tolist() == [0, 0], "only ids that are kept count"


def test_pairs(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode(["hello", "", "world"], ["world hello", "world", ""])
    assert [row.tolist() for row in encoded.ids] == [
        [CLS, 7592, SEP, 2088, 7592, SEP],
        [CLS, SEP, 2088, SEP],
        [CLS, 2088, SEP, SEP],
    ]
    assert encoded.num_first.tolist() == [3, 2, 3]
    assert encoded.num_tokens.tolist() == [6, 4, 4]


def test_pairs_are_cut_longest_first(tokenizer: Tokenizer) -> None:
    short = tokenizer.with_sequence_length(10)
    encoded = short.encode(["a " * 20, "a " * 2, "a " * 20], ["b " * 2, "b " * 20, "b " * 20])
    a, b = rows_of(tokenizer, ["a b"])[0][1:3]
    counts = [(row.tolist().count(a), row.tolist().count(b)) for row in encoded.ids]
    assert counts == [(5, 2), (2, 5), (3, 4)]
    assert encoded.num_tokens.tolist() == [25, 25, 43]
    assert encoded.num_first.tolist() == [7, 4, 5]
    assert encoded.truncated.all()


@pytest.mark.parametrize(
    ("first", "second", "room", "expected"),
    [
        (3, 4, 7, (3, 4)),
        (10, 10, 7, (3, 4)),
        (20, 21, 9, (4, 5)),
        (21, 20, 9, (5, 4)),
        (4, 12, 8, (4, 4)),
        (2, 12, 8, (2, 6)),
        (12, 2, 8, (6, 2)),
        (5, 5, 0, (0, 0)),
        (0, 9, 4, (0, 4)),
        (1, 20, 1, (0, 1)),
    ],
)
def test_lengths_of_cut_pair(first: int, second: int, room: int, expected: tuple[int, int]) -> None:
    assert lengths_of_cut_pair(first, second, room) == expected


def test_smallest_length_holds_special_tokens_only_for_pairs(tokenizer: Tokenizer) -> None:
    smallest = tokenizer.with_sequence_length(3)
    assert rows_of(smallest, ["hello world"]) == [[CLS, 7592, SEP]]
    assert rows_of(smallest, ["hello"], ["world"]) == [[CLS, SEP, SEP]]


@pytest.mark.parametrize("length", [2, 513, 0, -1, 128.0, "128", True, None])
def test_sequence_length_out_of_range(tokenizer: Tokenizer, length: object) -> None:
    with pytest.raises(ConfigError, match="from 3 to 512"):
        tokenizer.with_sequence_length(length)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="from 3 to 512"):
        load_tokenizer("english-uncased", sequence_length=length)  # type: ignore[arg-type]


def test_with_sequence_length_leaves_the_original(tokenizer: Tokenizer) -> None:
    assert tokenizer.with_sequence_length(8).sequence_length == 8
    assert tokenizer.sequence_length == 512


@pytest.mark.parametrize(
    ("bad", "found"), [(None, "None"), (math.nan, "nan"), (b"bytes", "bytes"), (7, "int"), (["a"], "list")]
)
def test_entries_that_are_not_texts_are_named(tokenizer: Tokenizer, bad: object, found: str) -> None:
    with pytest.raises(DataError, match=rf"texts .*row 1 is .*{found}"):
        tokenizer.encode(["fine", bad])  # type: ignore[list-item]
    with pytest.raises(DataError, match=rf"pairs .*row 0 is .*{found}"):
        tokenizer.encode(["fine"], [bad])  # type: ignore[list-item]


def test_many_bad_rows_are_counted(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"row 0 .*row 4 .*and 1,995 more"):
        tokenizer.encode([None] * 2000)  # type: ignore[list-item]


@pytest.mark.parametrize("single", ["one text", b"one text", None, 5])
def test_a_single_text_must_be_wrapped(tokenizer: Tokenizer, single: object) -> None:
    with pytest.raises(DataError, match=r"\[text\]"):
        tokenizer.encode(single)  # type: ignore[arg-type]
    if single is not None:
        with pytest.raises(DataError, match=r"pairs is a single"):
            tokenizer.encode(["a"], single)  # type: ignore[arg-type]


def test_pairs_of_another_length(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="2 and 1"):
        tokenizer.encode(["a", "b"], ["c"])


@pytest.mark.parametrize("name", ["english-uncased", "multilingual-cased"])
def test_nul_vanishes_and_a_lone_surrogate_makes_its_word_unknown(name: str) -> None:
    tokenizer = load_tokenizer(name)
    plain, *others = rows_of(tokenizer, ["hello", "he\0llo", "he\ufffdllo"])
    assert others == [plain] * 2
    assert rows_of(tokenizer, ["he\ud800llo", "\udfffhello"]) == [[CLS, UNK, SEP]] * 2


@pytest.mark.parametrize(
    "texts", [np.array(["hello", "world"]), ("hello", "world"), [np.str_("hello"), "world"]]
)
def test_other_sequences_of_text(tokenizer: Tokenizer, texts) -> None:
    assert rows_of(tokenizer, texts) == [[CLS, 7592, SEP], [CLS, 2088, SEP]]


def test_batch_equals_single_in_any_order(tokenizer: Tokenizer) -> None:
    texts = [f"text {'number ' * (i % 7)}{i} \ue000{'ΑΣ' * (i % 3)}" for i in range(200)]
    batch = rows_of(tokenizer, texts)
    assert batch == [rows_of(tokenizer, [text])[0] for text in texts]
    assert rows_of(tokenizer, texts[::-1]) == batch[::-1]


def test_batches_are_bounded_and_lose_nothing(monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer) -> None:
    texts = ["a" * (i % 13) for i in range(100)]
    expected = rows_of(tokenizer, texts)
    monkeypatch.setattr(library_module, "_BATCH_TEXTS", 5)
    monkeypatch.setattr(library_module, "_BATCH_CHARACTERS", 20)
    batches = list(library_module._batches(texts))
    assert [text for batch in batches for text in batch] == texts
    assert max(map(len, batches)) == 5
    assert all(sum(map(len, batch)) <= 20 or len(batch) == 1 for batch in batches)
    assert rows_of(tokenizer, texts) == expected


def test_pickle(tokenizer: Tokenizer) -> None:
    short = tokenizer.with_sequence_length(7)
    copy = pickle.loads(pickle.dumps(short))
    texts = ["hello [SEP] world", "ΑΣ \ue000", "long " * 300]
    assert rows_of(copy, texts) == rows_of(short, texts)
    assert (copy.name, copy.casing, copy.sequence_length) == (short.name, short.casing, 7)


def test_threads_share_a_tokenizer(tokenizer: Tokenizer) -> None:
    texts = [f"text {i}" for i in range(300)]
    expected = rows_of(tokenizer, texts)
    with ThreadPoolExecutor(4) as pool:
        assert all(rows == expected for rows in pool.map(lambda _: rows_of(tokenizer, texts), range(8)))


FORK = """
import os, sys
from bertblocks.text import load_tokenizer
tokenizer = load_tokenizer("english-uncased")
texts = [f"text {i}" for i in range(2000)]
expected = [row.tolist() for row in tokenizer.encode(texts).ids]
child = os.fork()
if child == 0:
    same = [row.tolist() for row in tokenizer.encode(texts).ids] == expected
    os._exit(0 if same and os.environ["TOKENIZERS_PARALLELISM"] == "false" else 3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert os.environ.get("TOKENIZERS_PARALLELISM") == (sys.argv[1] or None)
assert [row.tolist() for row in tokenizer.encode(texts).ids] == expected
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("setting", ["", "true"])
def test_forked_child_neither_warns_nor_hangs(setting: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    if setting:
        environment["TOKENIZERS_PARALLELISM"] = setting
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, setting]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_text_package_loads_no_torch() -> None:
    code = "import sys, bertblocks.text; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
