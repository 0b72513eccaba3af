from __future__ import annotations

import json

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertblocks.data import open_table
from bertblocks.data.batches import RowRange

NUM_ROWS = 57
TEXTS = [f"text {i}\nsecond line, {i}" if i % 7 == 3 else f"text {i}" for i in range(NUM_ROWS)]


@pytest.fixture(params=["csv", "csv.gz", "jsonl", "parquet", "xlsx"])
def table(request, tmp_path):
    """Fifty-seven rows; in CSV and JSON Lines, row 20 is malformed and blank lines stand between."""
    path = tmp_path / f"t.{request.param}"
    if request.param == "parquet":
        columns = pa.table({"n": list(range(NUM_ROWS)), "text": TEXTS})
        pq.write_table(columns, path, row_group_size=10)
    elif request.param == "xlsx":
        workbook = openpyxl.Workbook()
        workbook.active.append(["n", "text"])
        for i, text in enumerate(TEXTS):
            workbook.active.append([i, text])
        workbook.save(path)
    else:
        lines = [json.dumps({"n": str(i), "text": text}) for i, text in enumerate(TEXTS)]
        if "csv" in request.param:
            lines = ["n,text", *(f'{i},"{text}"' for i, text in enumerate(TEXTS))]
        lines[20 if "csv" in request.param else 19] = "one,two,three"
        content = "\n\n".join(lines).encode()
        if request.param.endswith("gz"):
            import gzip

            content = gzip.compress(content)
        path.write_bytes(content)
    return open_table(path)


def numbers(batch):
    return sorted([*batch.rows, *(problem.row for problem in batch.problems)])


def read(table, batch_rows=9, **rows):
    return [(numbers(batch), batch) for batch in table.batches(None, batch_rows, RowRange(**rows))]


def test_all_rows_by_default(table):
    found = [row for rows, _ in read(table) for row in rows]
    assert found == list(range(1, NUM_ROWS + 1))


@pytest.mark.parametrize(
    ("start", "stop"),
    [(1, 1), (1, 2), (5, 9), (20, 21), (11, None), (57, None), (58, None), (90, 95), (40, 400)],
)
def test_some_rows_are_those_of_all(table, start, stop):
    whole = {row: batch for rows, batch in read(table, 1) for row in rows}
    found = read(table, start=start, stop=stop)
    assert [row for rows, _ in found for row in rows] == list(range(start, min(stop or 99, NUM_ROWS + 1)))
    for _, batch in found:
        for index, row in enumerate(batch.rows):
            assert whole[row].columns == {name: [values[index]] for name, values in batch.columns.items()}
            assert batch.lines is None or batch.lines[index] == whole[row].lines[0]
        for problem in batch.problems:
            assert whole[problem.row].problems == (problem,)


@pytest.mark.parametrize("cut_rows", [1, 4, 16, 25, 100])
def test_batches_after_a_cut_are_the_same_wherever_reading_begins(table, cut_rows):
    whole = [rows for rows, _ in read(table, cut_rows=cut_rows)]
    assert all((rows[0] - 1) // cut_rows == (rows[-1] - 1) // cut_rows for rows in whole)
    for start in range(1, NUM_ROWS + 1, cut_rows):
        assert [rows for rows, _ in read(table, start=start, cut_rows=cut_rows)] == [
            rows for rows in whole if rows[0] >= start
        ]


def test_long_cells_end_batches_alike_wherever_reading_begins(table, monkeypatch):
    for module in ("batches", "parquet_tables"):
        monkeypatch.setattr(f"bertblocks.data.{module}.BATCH_CHARACTERS", 60)
    monkeypatch.setattr("bertblocks.data.parquet_tables._PART_ROWS", 2)
    whole = [rows for rows, _ in read(table, cut_rows=16)]
    assert len(whole) > 8
    assert [rows for rows, _ in read(table, start=33, cut_rows=16)] == [
        rows for rows in whole if rows[0] > 32
    ]


def test_row_groups_before_the_start_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"n": list(range(100))}), path, row_group_size=10)
    groups = []
    iter_batches = pq.ParquetFile.iter_batches

    def told(self, *arguments, row_groups=None, **options):
        groups.extend(row_groups)
        return iter_batches(self, *arguments, row_groups=row_groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", told)
    (batch,) = open_table(path).batches(rows=RowRange(start=55, stop=72))
    assert batch.columns["n"] == list(range(54, 71)) and groups == [5, 6, 7]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_hundred_thousand_rows_are_passed_over_in_a_moment(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    line = '{"n": "1", "text": "some words of a text"}\n' if ending == "jsonl" else "1,some words of a text\n"
    path.write_text(("" if ending == "jsonl" else "n,text\n") + line * 100_000, encoding="utf-8")
    (batch,) = open_table(path).batches(rows=RowRange(start=100_000))
    assert batch.rows == [100_000]
