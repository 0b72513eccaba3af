from __future__ import annotations

import gzip
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bertblocks.data.csv_tables import find_separator
from bertblocks.data.tables import open_table
from bertblocks.errors import ConfigError, DataError


def _file(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def _columns(path: Path, **options) -> dict[str, list]:
    table = open_table(path, **options)
    found: dict[str, list] = {name: [] for name in table.columns}
    for batch in table.batches(batch_rows=2):
        assert not batch.problems
        for name, values in batch.columns.items():
            found[name] += values
    return found


def _problems(path: Path, columns=None, **options) -> tuple[list[int], list[str]]:
    batches = list(open_table(path, **options).batches(columns))
    return [row for batch in batches for row in batch.rows], [
        str(p) for batch in batches for p in batch.problems
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_found_and_every_cell_stays_text(tmp_path, separator):
    lines = [["id", "text", "label"], ["01", "one", "1.0"], ["02", "", "yes"]]
    path = _file(tmp_path, "".join(separator.join(cells) + "\n" for cells in lines))
    assert _columns(path) == {"id": ["01", "02"], "text": ["one", None], "label": ["1.0", "yes"]}


@pytest.mark.parametrize(
    ("sample", "separator"),
    [
        ("text;label\nHello, world, all of you;pos\nWell, well;neg\n", ";"),
        ("text\tlabel\nHello, world\tpos\n; a, b; c\tneg\n", "\t"),
        ("text, long;label\na;b\nc;d\n", ";"),
        ('id,text\n1,"a;b;c"\n2,"d;e;f\ng;h"\n', ","),
        ("a;b,c\n1;2,3\n4;5,6\n", ","),
        ("a,b\n", ","),
    ],
)
def test_separators_within_texts_do_not_count(sample, separator):
    # In the fifth both fit equally: the comma comes first.
    assert find_separator(sample) == separator


def test_a_row_cut_off_at_the_samples_end_does_not_count():
    assert find_separator("a;b,c,d\n1,2,3;4\n5,6", complete=False) == find_separator("a;b,c,d\n1,2,3;4\n")
    assert find_separator("a,b;c\n1;", complete=True) == ";"
    assert find_separator("a,b;c\n1;", complete=False) == ","


def test_a_single_column_keeps_its_commas(tmp_path):
    path = _file(tmp_path, 'text\nHello, world\n"a; ""quoted"" b"\n\nplain\n')
    assert _columns(path) == {"text": ["Hello, world", 'a; "quoted" b', "plain"]}
    assert open_table(path).format == "CSV"


def test_quotes_and_newlines_within_cells(tmp_path):
    path = _file(tmp_path, 'text,label\r\n"one\r\ntwo ""2"", three",x\r\nfour,y\r\n')
    assert _columns(path) == {"text": ['one\r\ntwo "2", three', "four"], "label": ["x", "y"]}


def test_nul_within_a_cell_spoils_at_most_its_row(tmp_path):
    path = _file(tmp_path, "text,label\na\x00b,x\nc,y\n")
    rows, problems = _problems(path)
    # Python 3.10's csv module refuses NUL, later ones read it.
    assert (rows, len(problems)) == (([2], 1) if sys.version_info < (3, 11) else ([1, 2], 0))


def test_rows_are_counted_without_blank_lines_and_lines_with_them(tmp_path):
    path = _file(tmp_path, '\ntext,label\n"a\nb",x\n\nc,y\n')
    (batch,) = open_table(path).batches()
    assert (batch.rows, batch.lines) == ([1, 2], [3, 6])


def test_a_byte_order_mark_is_dropped(tmp_path):
    assert _columns(_file(tmp_path, "\ufefftext,label\na,b\n")) == {"text": ["a"], "label": ["b"]}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "latin-1", "shift_jis", "gb18030"])
def test_other_encodings(tmp_path, encoding):
    text = {"latin-1": "café", "shift_jis": "日本語", "gb18030": "中文，你好"}.get(encoding, "naïve 😀")
    path = _file(tmp_path, f"text,label\n{text},a\nx,b\n".encode(encoding))
    assert _columns(path, encoding=encoding)["text"] == [text, "x"]


def test_bytes_that_are_not_utf8_spoil_only_their_row_and_only_if_asked_for(tmp_path):
    path = _file(tmp_path, b"id,text,note\n1,good,x\n2,caf\xe9 au lait,y\n3,good,\xff\n4,fine,z\n")
    rows, problems = _problems(path, ["text"])
    assert rows == [1, 3, 4]
    (problem,) = problems
    assert problem.startswith("row 2 (line 3), column 'text': byte 0xe9 in 'caf\\xe9 au lait' is not UTF-8")
    assert _problems(path, ["id"]) == ([1, 2, 3, 4], [])
    assert _problems(path)[0] == [1, 4]
    assert _columns(path, encoding="cp1252")["text"][1] == "café au lait"


def test_bytes_unknown_to_another_encoding_are_named(tmp_path):
    path = _file(tmp_path, b"text,label\n\x81,a\nb,c\n")
    rows, (problem,) = _problems(path, encoding="cp1252")
    assert rows == [2]
    assert "byte 0x81 in '\\x81' is not cp1252" in problem


def test_rows_of_the_wrong_width_are_problems_of_their_own(tmp_path):
    path = _file(tmp_path, "text,label\na,b\nonly\nc,d,e\nf,g\n")
    rows, problems = _problems(path)
    assert rows == [1, 4]
    assert problems[0].startswith("row 2 (line 3): 1 cell, but the header names 2 columns; found: only.")
    assert problems[1].startswith("row 3 (line 4): 3 cells")


def test_quotes_that_are_not_closed_or_not_doubled_are_problems(tmp_path):
    rows, problems = _problems(_file(tmp_path, 'text,label\n"He said "hi" to me",a\nb,c\nd,"e\nf,g\n'))
    assert rows == [2]
    assert "row 1 (line 2)" in problems[0]
    assert "not doubled" in problems[0]
    assert "row 3 (line 4)" in problems[1]
    assert "never closed" in problems[1]
    assert "line 5" in problems[1]


def test_a_cell_of_10_mb(tmp_path):
    long = "x, y\n" * 2_000_000
    columns = _columns(_file(tmp_path, f'label,text\na,"{long}"\nb,short\n'))
    assert columns == {"label": ["a", "b"], "text": [long, "short"]}


def test_a_quote_that_swallows_more_than_any_cell_ends_the_reading(tmp_path, monkeypatch):
    import csv

    before = csv.field_size_limit()
    monkeypatch.setattr("bertblocks.data.csv_tables._LONGEST_CELL", 1000)
    csv.field_size_limit(1000)
    try:
        path = _file(tmp_path, 'text,label\na,b\n"c,d\n' + "e,f\n" * 1000)
        with pytest.raises(DataError, match="begins at line 3, a cell has more than 1,000 characters"):
            list(open_table(path).batches())
    finally:
        csv.field_size_limit(before)


def test_gzip(tmp_path):
    path = _file(tmp_path, gzip.compress("text;label\nä;b\n".encode()), "table.csv.gz")
    assert _columns(path) == {"text": ["ä"], "label": ["b"]}
    broken = _file(tmp_path, path.read_bytes()[:-12], "broken.tsv.gz")
    with pytest.raises(DataError, match="cannot be read"):
        list(open_table(broken).batches())


def test_batches_can_be_read_again_by_name_and_in_any_order(tmp_path):
    table = open_table(_file(tmp_path, "a,b,c\n1,2,3\n4,5,6\n7,8,9\n"))
    for _ in range(2):
        batches = list(table.batches(["c", "a"], batch_rows=2))
        assert [batch.columns for batch in batches] == [
            {"c": ["3", "6"], "a": ["1", "4"]},
            {"c": ["9"], "a": ["7"]},
        ]
        assert [batch.rows for batch in batches] == [[1, 2], [3]]


def test_an_index_column_as_pandas_writes_it_gets_a_name(tmp_path):
    table = open_table(_file(tmp_path, ",text\n0,a\n"))
    assert table.columns == ("index", "text")
    with pytest.raises(DataError, match=r"'index', 'text'\. A first column without a name is called 'index'"):
        table.batches(["label"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n \n", "is empty"),
        (b"text,label\n", "no rows below its header"),
        (b"text,label\n\n\n", "no rows below its header"),
        (b"text,text,b\n1,2,3\n", "2 columns are called 'text'"),
        (b"text,,b,\n1,2,3,4\n", "column 2 has no name; column 4 has no name"),
        (b"t\xe9xt,label\n1,2\n", "first row: byte 0xe9"),
        ("text,label\na,b\n".encode("utf-16"), "--encoding utf-16"),
        ("text,label\na,b\n".encode("utf-16-le"), "--encoding utf-16-le"),
        ("text,label\na,b\n".encode("utf-16-be"), "--encoding utf-16-be"),
        (b"PAR1....", "Parquet"),
        (b"PK\x03\x04....", "xlsx"),
        (b"\x1f\x8b....", "gz"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        open_table(_file(tmp_path, content))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        open_table(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        open_table(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"'\.pdf' is unknown. Known endings: \.csv, \.tsv, .*\.xlsx"):
        open_table(_file(tmp_path, "x", "table.pdf"))
    with pytest.raises(DataError, match=r"Save it as \.xlsx"):
        open_table(_file(tmp_path, "x", "table.xls"))
    path = _file(tmp_path, "a,b\n1,2\n")
    with pytest.raises(ConfigError, match="no text encoding 'cp9999'"):
        open_table(path, encoding="cp9999")
    with pytest.raises(ConfigError, match="sheet='one' has no effect"):
        open_table(path, sheet="one")


def test_a_wrong_column_is_an_error_at_once(tmp_path):
    table = open_table(_file(tmp_path, "Text,label\na,b\n"))
    with pytest.raises(
        DataError, match=r"no column 'txt' \(did you mean 'Text'\?\).*no column 'zzz'\. .*'Text', 'label'"
    ):
        table.batches(["txt", "zzz"])
    with pytest.raises(DataError, match="batch_rows is 0"):
        table.batches(batch_rows=0)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_batches_of_long_cells_have_fewer_rows(tmp_path, monkeypatch, ending):
    monkeypatch.setattr("bertblocks.data.batches.BATCH_CHARACTERS", 100)
    texts = ["a" * 40] * 5 + ["b" * 500, "c", "d" * 300]
    lines = ["text", *texts] if ending == ".csv" else [f'{{"text": "{text}"}}' for text in texts]
    table = open_table(_file(tmp_path, "\n".join(lines), f"t{ending}"))
    batches = list(table.batches(batch_rows=1000))
    assert [len(batch.rows) for batch in batches] == [3, 3, 2]
    assert [text for batch in batches for text in batch.columns["text"]] == texts
    assert [row for batch in batches for row in batch.rows] == list(range(1, 9))


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_whatever_the_bytes_every_row_is_given_or_named(tmp_path, ending):
    rng = np.random.default_rng(0)
    alphabet = [
        b"a",
        b",",
        b";",
        b"\t",
        b'"',
        b"\n",
        b"\r\n",
        b"\xe9",
        b"\xc3\xa9",
        b" ",
        b'{"x": 1}\n',
        b"\\",
    ]
    num_read = 0
    for _ in range(300):
        content = b"".join(alphabet[i] for i in rng.integers(len(alphabet), size=rng.integers(1, 60)))
        try:
            table = open_table(_file(tmp_path, content, f"t{ending}"))
        except DataError:
            continue
        batches = list(table.batches(batch_rows=3))
        rows = [row for batch in batches for row in batch.rows]
        rows += [problem.row for batch in batches for problem in batch.problems]
        assert sorted(rows) == list(range(1, len(rows) + 1))
        assert all(len(v) == len(b.rows) for b in batches for v in b.columns.values())
        num_read += 1
    assert num_read > 20


def test_memory_does_not_grow_with_rows(tmp_path):
    def peak(num_rows: int) -> int:
        path = _file(tmp_path, "text,label\n" + "some words of a text that is not so short,yes\n" * num_rows)
        tracemalloc.start()
        count = sum(len(batch.rows) for batch in open_table(path).batches(batch_rows=500))
        assert count == num_rows
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1000)
    small, large = peak(6_000), peak(30_000)
    assert large < small * 1.2


def test_real_tables_are_read_whole(shared):
    for name, num_rows, num_columns in (("sib200/dev", 20_295, 4), ("umsab/train", 14_712, 3)):
        table = open_table(shared / "data" / f"{name}.csv")
        batches = list(table.batches())
        assert len(table.columns) == num_columns
        assert sum(len(batch.rows) for batch in batches) == num_rows
        assert not any(batch.problems for batch in batches)
