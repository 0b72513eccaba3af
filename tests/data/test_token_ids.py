from __future__ import annotations

import numpy as np
import pytest

from bertblocks.data import (
    RowReport,
    TokenIdsColumn,
    as_text,
    encode_token_ids,
    open_table,
    read_examples,
)
from bertblocks.errors import ConfigError, DataError
from tiny_ids import BAD_CELLS, order_rows, write_json_lines, write_parquet
from tiny_tables import write_csv

COLUMN = TokenIdsColumn(name="events", vocabulary_size=20)
GOOD = {"events": [[0, 1, 2], [19] * 512, [3, 4, 5, 6]], "label": ["a", "b", "a"]}


@pytest.mark.parametrize("write, ending", [(write_json_lines, "jsonl"), (write_parquet, "parquet")])
def test_lists_are_read_as_they_are(tmp_path, write, ending):
    table = open_table(write(tmp_path / f"table.{ending}", GOOD))
    examples = list(read_examples(table, text=COLUMN, target="label"))
    assert [example.text.tolist() for example in examples] == GOOD["events"]
    assert all(example.text.dtype == np.int32 for example in examples)
    assert [example.target for example in examples] == GOOD["label"]


@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_bad_cell_names_table_row_column_and_value(tmp_path, name):
    value, message = BAD_CELLS[name]
    path = write_json_lines(tmp_path / "table.jsonl", {"events": [[1, 2, 3], value], "label": ["a", "b"]})
    with pytest.raises(DataError) as error:
        list(read_examples(open_table(path), text=COLUMN, target="label"))
    assert str(error.value).startswith(f"{path}, row 2 (line 2), column 'events': {message}")
    assert "--skip-bad-rows" in str(error.value)


def test_bad_cells_can_be_left_out_and_are_counted(tmp_path):
    cells = [[1, 2, 3], *(value for value, _ in BAD_CELLS.values())]
    path = write_json_lines(tmp_path / "table.jsonl", {"events": cells})
    report = RowReport()
    examples = list(read_examples(open_table(path), text=COLUMN, on_bad_row="skip", report=report))
    assert [example.row for example in examples] == [1]
    assert report.total_skipped == len(BAD_CELLS)
    assert set(report.num_skipped) == {"missing value", "wrong type", "wrong length", "id out of range"}
    assert report.num_skipped["wrong length"] == 3


def test_parquet_of_floats_is_refused(tmp_path):
    table = open_table(write_parquet(tmp_path / "table.parquet", {"events": [[1.0, 2.0, 3.0]]}))
    with pytest.raises(DataError, match=r"row 1, column 'events': item 1 of the list is 1\.0 \(float\)"):
        list(read_examples(table, text=COLUMN))


def test_csv_has_no_lists(tmp_path):
    table = open_table(write_csv(tmp_path / "table.csv", {"events": ["[1, 2, 3]"], "label": ["a"]}))
    with pytest.raises(DataError, match=r"table\.csv is CSV .* JSON Lines or Parquet.*to_json"):
        read_examples(table, text=COLUMN, target="label")


def test_a_column_of_ids_is_no_target(tmp_path):
    table = open_table(write_json_lines(tmp_path / "table.jsonl", GOOD))
    with pytest.raises(ConfigError, match="'events' cannot be two"):
        read_examples(table, text=COLUMN, target="events")
    with pytest.raises(DataError, match="no column 'event'"):
        read_examples(table, text=TokenIdsColumn(name="event", vocabulary_size=20))


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2, 3], (4, 5, 6)],
        np.array([[1, 2, 3], [4, 5, 6]]),
        [np.array([1, 2, 3], np.uint8), np.array([4, 5, 6], np.int64)],
        iter([[1, 2, 3], [np.int64(4), 5, 6]]),
    ],
)
def test_rows_in_memory(rows):
    encoded = encode_token_ids(rows, 20)
    assert [ids.tolist() for ids in encoded.ids] == [[1, 2, 3], [4, 5, 6]]
    assert encoded.num_first.tolist() == encoded.num_tokens.tolist() == [3, 3]
    assert not encoded.truncated.any() and not encoded.num_unknown.any()


@pytest.mark.parametrize("name", BAD_CELLS)
def test_bad_rows_in_memory_are_named(name):
    value, message = BAD_CELLS[name]
    with pytest.raises(DataError) as error:
        encode_token_ids([[1, 2, 3], value], 20)
    assert f"row 1: {message}" in str(error.value)


def test_many_bad_rows_are_counted():
    with pytest.raises(DataError, match=r"row 4: .*; and 3 more\.$"):
        encode_token_ids([[]] * 8, 20)


@pytest.mark.parametrize("rows", ["1 2 3", b"123", 5, None])
def test_what_is_no_column(rows):
    with pytest.raises(DataError, match="a list of lists of integers was expected"):
        encode_token_ids(rows, 20)


def test_no_rows():
    assert len(encode_token_ids([], 20)) == 0


def test_as_text():
    assert as_text("a text") == "a text"
    assert as_text(np.array([1, 20, 3], np.int32)) == "1 20 3"


def test_the_rows_of_these_tests_differ_in_order_alone():
    rows = order_rows(50)
    assert all({1, 2} <= set(ids) for ids in rows["events"])
