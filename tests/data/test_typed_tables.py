from __future__ import annotations

import datetime
import decimal
import gzip
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertblocks.data import parquet_tables
from bertblocks.data.tables import open_table
from bertblocks.errors import ConfigError, DataError


def _read(path: Path, **options):
    (batch,) = open_table(path, **options).batches()
    return batch


def _lines(folder: Path, *lines: str | bytes, name: str = "table.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"\n".join(x.encode("utf-8") if isinstance(x, str) else x for x in lines))
    return path


def test_json_lines_keep_their_types_and_know_missing_keys(tmp_path):
    path = _lines(
        tmp_path,
        '{"text": "a\\u2028b", "label": 1}',
        "",
        '{"text": null, "label": ["x", "y"], "score": 2.5}\r',
        '{"label": true}',
    )
    batch = _read(path)
    assert open_table(path).columns == ("text", "label", "score")
    assert batch.columns == {
        "text": ["a\u2028b", None, None],
        "label": [1, ["x", "y"], True],
        "score": [None, 2.5, None],
    }
    assert (batch.rows, batch.lines, batch.problems) == ([1, 2, 3], [1, 3, 4], ())


def test_malformed_json_lines_are_problems_of_their_own(tmp_path):
    path = _lines(
        tmp_path,
        '{"text": "a"}',
        '{"text": "b"',
        '["c"]',
        "3",
        b'{"text": "caf\xe9"}',
        '{"text": "\\ud83d"}',
        b'\xff{"text": "d"}',
        "[" * 100_000,
        '{"text": ' + "9" * 5000 + "}",
        '{"text": "e"}',
    )
    batch = _read(path)
    # The earliest 3.10 read integers of any length.
    assert batch.rows in ([1, 10], [1, 9, 10])
    found = {problem.row: str(problem) for problem in batch.problems}
    assert found[2].startswith("row 2 (line 2): not JSON")
    assert "expected an object" in found[3]
    assert "found 3" in found[4]
    assert found[5].startswith("row 5 (line 5), column 'text': byte 0xe9 in 'caf\\xe9'")
    assert "half a character (the lone surrogate U+D83D)" in found[6]
    assert "byte 0xff" in found[7]
    assert 8 in found


def test_a_key_that_comes_after_the_columns_are_named_is_a_problem_of_its_row(tmp_path):
    late = '{"text": "c", "note": 1, "text": "d", "\\ud800": 2}'
    path = _lines(tmp_path, *['{"text": "a", "label": "x"}'] * 1000, late, '{"label": "y"}')
    table = open_table(path)
    (batch,) = table.batches()
    assert batch.rows == [*range(1, 1001), 1002] and set(batch.columns) == {"text", "label"}
    (problem,) = batch.problems
    assert (problem.row, problem.line, problem.reason) == (1001, 1001, "malformed row")
    assert "the key 'note', '\\ud800' is in none of the first 1,000 rows" in problem.message
    assert "put a row that has it among these" in problem.message and "Parquet or CSV" in problem.message
    # Who reads certain columns loses nothing by the others.
    (batch,) = table.batches(["text"])
    assert batch.problems == () and batch.columns["text"][1000:] == ["d", None]


def test_json_lines_in_gzip_and_other_encodings(tmp_path):
    path = tmp_path / "t.ndjson.gz"
    path.write_bytes(gzip.compress('\ufeff{"text": "ä"}\n'.encode("utf-16-le")))
    for encoding in ("utf-16", "utf-16-le"):
        assert _read(path, encoding=encoding).columns == {"text": ["ä"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"},\n {"text": "b"}]', "one object on one line of its own"),
        ('{\n "text": "a"\n}', "one object on one line of its own"),
        ("text,label", r"row 1 \(line 1\): not JSON"),
        ("\n\n", "is empty"),
        ("{}\n", "the object is empty"),
    ],
)
def test_json_files_without_usable_rows(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        open_table(_lines(tmp_path, content, name="table.json"))


def test_parquet_gives_python_values(tmp_path):
    path = tmp_path / "t.parquet"
    day = datetime.date(2024, 2, 29)
    table = pa.table(
        {
            "text": pa.array(["a", None]).dictionary_encode(),
            "raw": pa.array([b"caf\xc3\xa9", None]),
            "labels": pa.array([["x"], []]),
            "day": pa.array([day, None]),
            "time": pa.array([datetime.datetime(2024, 1, 1, 12), None], type=pa.timestamp("ns")),
            "price": pa.array([decimal.Decimal("1.50"), None]),
            "count": pa.array([1, 2]),
        }
    )
    pq.write_table(table, path)
    batch = _read(path)
    assert (batch.rows, batch.lines) == ([1, 2], None)
    assert batch.columns == {
        "text": ["a", None],
        "raw": ["café", None],
        "labels": [["x"], []],
        "day": ["2024-02-29", None],
        "time": ["2024-01-01 12:00:00.000000000", None],
        "price": [1.5, None],
        "count": [1, 2],
    }
    assert _read(path).columns == batch.columns


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()])
def test_parquet_texts_that_are_not_utf8_spoil_only_their_row(tmp_path, kind):
    raw = pa.array([b"good", b"caf\xe9", None], type=pa.binary())
    column = raw if kind == pa.binary() else pa.Array.from_buffers(kind, 3, raw.buffers())
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"n": [1, 2, 3], "text": column}), path)
    batch = _read(path)
    assert batch.columns == {"n": [1, 3], "text": ["good", None]}
    assert [str(problem) for problem in batch.problems] == [
        "row 2, column 'text': byte 0xe9 is not UTF-8, as all text in Parquet must be"
    ]
    assert open_table(path).batches(["n"]).__next__().rows == [1, 2, 3]


def test_parquet_rows_are_numbered_over_batches(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a.b": list(range(10)), "c": list("abcdefghij")}), path, row_group_size=3)
    batches = list(open_table(path).batches(["c", "a.b"], batch_rows=4))
    assert [row for batch in batches for row in batch.rows] == list(range(1, 11))
    assert [value for batch in batches for value in batch.columns["a.b"]] == list(range(10))
    assert list(batches[0].columns) == ["c", "a.b"]


def test_parquet_batches_of_long_texts_have_fewer_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_tables, "BATCH_CHARACTERS", 100_000)
    texts = [f"{i}" * 1000 for i in range(300)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "t.parquet")
    batches = list(open_table(tmp_path / "t.parquet").batches())
    assert len(batches) > 1 and [row for batch in batches for row in batch.rows] == list(range(1, 301))
    assert [text for batch in batches for text in batch.columns["text"]] == texts


def test_parquet_files_that_cannot_be_used(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and then nothing that is Parquet")
    with pytest.raises(DataError, match=r"cannot be read as Parquet: .*[^.]\.$"):
        open_table(path)
    pq.write_table(pa.table({"text": pa.array([], type=pa.string())}), path)
    with pytest.raises(DataError, match="no rows, only the columns 'text'"):
        open_table(path)
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, names=["x", "x"]), path)
    with pytest.raises(DataError, match="2 columns are called 'x'"):
        open_table(path)
    with pytest.raises(ConfigError, match="has no effect"):
        open_table(path, encoding="cp1252")


_SHEET = "xl/worksheets/sheet1.xml"


def _workbook(folder: Path, sheets: dict[str, list[list[object]]]) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path = folder / "t.xlsx"
    workbook.save(path)
    return path


def _parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write_parts(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_excel_sheets_keep_types_and_lines(tmp_path):
    rows = [
        ["text", " label ", None],
        ["a", 1, None],
        [None, None],
        ["b", 2.5],
        [None, True],
        [datetime.date(2024, 2, 29), "#N/A"],
        ["c", "d", "beyond"],
    ]
    path = _workbook(tmp_path, {"first": rows, "second": [["x"], ["y"]]})
    batch = _read(path)
    assert batch.columns == {"text": ["a", "b", None, "2024-02-29T00:00:00"], "label": [1, 2.5, True, None]}
    assert (batch.rows, batch.lines) == ([1, 2, 3, 4], [2, 4, 5, 6])
    assert [str(problem) for problem in batch.problems] == [
        "row 5 (line 7): a value in column 3, but the header names 2 columns"
    ]
    assert _read(path, sheet="second").columns == {"x": ["y"]}
    assert open_table(path).format == "Excel sheet 'first'"


def test_excel_files_that_cannot_be_used(tmp_path):
    path = _workbook(tmp_path, {"empty": [], "header": [["text", "label"]]})
    with pytest.raises(DataError, match="the sheet 'empty' is empty"):
        open_table(path)
    with pytest.raises(DataError, match="the sheet 'header' has no rows"):
        open_table(path, sheet="header")
    with pytest.raises(DataError, match=r"no sheet 'absent'\. Its sheets are: 'empty', 'header'"):
        open_table(path, sheet="absent")
    path.write_bytes(b"not a zip file")
    with pytest.raises(DataError, match="cannot be read as an Excel file"):
        open_table(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("part", [_SHEET, "xl/workbook.xml"])
def test_a_damaged_excel_file_is_refused_however_late_it_shows(tmp_path, part, share):
    rows = [["text", "label"], *([f"text {i}", i % 3] for i in range(1000))]
    path = _workbook(tmp_path, {"first": rows})
    parts = _parts(path)
    _write_parts(path, {**parts, part: parts[part][: int(share * len(parts[part]))]})
    with pytest.raises(DataError, match=r"t\.xlsx cannot be read as an Excel file"):
        list(open_table(path).batches())


def test_an_excel_sheet_with_a_wrong_extent_is_read_whole(tmp_path):
    path = _workbook(tmp_path, {"first": [["text", "label"], ["a", 1], ["b", 2]]})
    parts = _parts(path)
    assert b'<dimension ref="A1:B3"' in parts[_SHEET]
    changed = parts[_SHEET].replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1:A1"')
    _write_parts(path, {**parts, _SHEET: changed})
    assert _read(path).columns == {"text": ["a", "b"], "label": [1, 2]}
