from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertblocks.data.tables import open_table
from bertblocks.data.writers import open_writer
from bertblocks.errors import ConfigError, DataError

_NASTY = ['a,b;c\td "quoted"', "two\nlines", "\r", "ends\r\n", "ünï 😀 \u2028", '"', " spaced ", "x"]


def _write(path, *batches, **options):
    with open_writer(path, list(batches[0]), **options) as writer:
        for batch in batches:
            writer.write(batch)
    return writer


def _read(path):
    table = open_table(path)
    found = {name: [] for name in table.columns}
    for batch in table.batches():
        assert not batch.problems
        for name, values in batch.columns.items():
            found[name] += values
    return found


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".txt", ".jsonl", ".json", ".parquet", ".csv.gz", ".jsonl.gz"]
)
def test_texts_come_back_as_they_were(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    batch = {
        "id": [f"0{i}" for i in range(len(_NASTY))],
        "text": _NASTY,
        "none": [None, *["y"] * (len(_NASTY) - 1)],
    }
    writer = _write(path, batch, batch)
    assert writer.num_rows == 2 * len(_NASTY)
    assert _read(path) == {name: values * 2 for name, values in batch.items()}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_typed_values_come_back_as_they_were(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    batch = {
        "number": [1.5, None],
        "count": [np.int64(3), 4],
        "flag": [True, False],
        "labels": [["a", "b"], []],
    }
    _write(path, batch)
    assert _read(path) == {**batch, "count": [3, 4]}


def test_csv_writes_lists_as_json_and_not_a_number_as_missing(tmp_path):
    path = tmp_path / "t.csv"
    _write(
        path,
        {"a": [["ä", 1], {"b": None}], "b": [float("nan"), True], "c": [np.float32(0.5), np.array([1, 2])]},
    )
    assert path.read_bytes().decode() == 'a,b,c\n"[""ä"", 1]",,0.5\n"{""b"": null}",true,"[1, 2]"\n'


VECTORS = [np.array([0.1, -2.5, 1e-30, 3e38], dtype=np.float32), None, np.zeros(0, dtype=np.float32)]


def test_vectors_have_as_many_digits_as_they_need(tmp_path):
    batch = {"id": ["a", None, "ü"], "vector": VECTORS}
    _write(tmp_path / "t.csv", batch)
    _write(tmp_path / "t.jsonl", batch)
    assert _read(tmp_path / "t.csv")["vector"] == ["[0.1, -2.5, 1e-30, 3e+38]", None, "[]"]
    found = _read(tmp_path / "t.jsonl")
    assert found["id"] == batch["id"] and found["vector"][1:] == [None, []]
    assert np.array_equal(np.array(found["vector"][0], dtype=np.float32), VECTORS[0])


def test_every_float32_comes_back_as_it_was(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32)
    vector = bits.view(np.float32)
    vector = vector[np.isfinite(vector)]
    _write(tmp_path / "t.jsonl", {"vector": [vector]})
    assert np.array_equal(np.array(_read(tmp_path / "t.jsonl")["vector"][0], dtype=np.float32), vector)


def test_vectors_that_are_not_finite_have_gaps(tmp_path):
    vector = np.array([1, np.nan, np.inf], dtype=np.float32)
    _write(tmp_path / "t.jsonl", {"vector": [vector]})
    assert _read(tmp_path / "t.jsonl")["vector"] == [[1.0, None, None]]


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "t.jsonl"
    _write(path, {"a": [float("nan"), float("inf"), [np.float32("nan"), 1.0]]})
    assert path.read_text(encoding="utf-8") == '{"a": null}\n{"a": null}\n{"a": [null, 1.0]}\n'


def test_parquet_types_are_fixed_by_the_first_batch_or_a_schema(tmp_path):
    path = tmp_path / "t.parquet"
    _write(path, {"text": [None], "n": [1]}, {"text": ["a"], "n": [2]})
    assert _read(path) == {"text": [None, "a"], "n": [1, 2]}
    with pytest.raises(DataError, match="Column 'n', which holds int64 since its first rows, cannot hold"):
        _write(path, {"n": [1]}, {"n": ["x"]})
    with pytest.raises(DataError, match="Column 'n', cannot hold what was given"):
        _write(path, {"n": [1, "x"]})
    _write(path, {"n": [1]}, {"n": [2.5]}, schema=pa.schema({"n": pa.float64()}))
    assert _read(path) == {"n": [1.0, 2.5]}


def test_parquet_gathers_small_batches_into_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("bertblocks.data.parquet_writer._ROW_GROUP_ROWS", 10)
    path = tmp_path / "t.parquet"
    _write(path, *[{"n": [i, i]} for i in range(12)])
    with pq.ParquetFile(path) as file:
        assert file.metadata.num_row_groups == 3
    assert _read(path)["n"] == [i for i in range(12) for _ in range(2)]


def test_parquet_gathers_no_more_than_fits(tmp_path, monkeypatch):
    monkeypatch.setattr("bertblocks.data.parquet_writer._ROW_GROUP_BYTES", 5000)
    _write(tmp_path / "t.parquet", *[{"a": ["x" * 1000] * 3}] * 4)
    with pq.ParquetFile(tmp_path / "t.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [6, 6]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_failure_leaves_what_was_there(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    _write(path, {"a": ["old"]})
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="stop"), open_writer(path, ["a"]) as writer:
        writer.write({"a": ["new"]})
        raise RuntimeError("stop")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    _write(path, {"a": ["new"]})
    assert _read(path) == {"a": ["new"]}


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_half_a_character_cannot_be_written(tmp_path, ending):
    with pytest.raises(DataError, match=r"lone surrogate U\+D83D"):
        _write(tmp_path / f"t{ending}", {"a": ["\ud83d"]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_table_without_rows_is_a_file_all_the_same(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    with open_writer(path, ["a", "b"]):
        pass
    assert path.is_file()


def test_batches_must_fit(tmp_path):
    with open_writer(tmp_path / "t.csv", ["a", "b"]) as writer:
        with pytest.raises(DataError, match=r"the columns \['a'\], but the table \['a', 'b'\]"):
            writer.write({"a": [1]})
        with pytest.raises(DataError, match="differ in length"):
            writer.write({"a": [1], "b": []})
        writer.write({"b": [2], "a": [1]})
    assert _read(tmp_path / "t.csv") == {"a": ["1"], "b": ["2"]}


def test_places_and_names_that_cannot_be_written(tmp_path):
    for name in ("t.xlsx", "t.parquet.gz", "t"):
        with pytest.raises(DataError, match="this ending"), open_writer(tmp_path / name, ["a"]):
            pass
    for columns in ([], ["a", "a"], ["a", ""]):
        with pytest.raises(DataError, match="distinct names"), open_writer(tmp_path / "t.csv", columns):
            pass
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is not a file"), open_writer(tmp_path / "folder.csv", ["a"]):
        pass
    schema = pa.schema({"a": pa.int64()})
    with pytest.raises(ConfigError, match="no effect"), open_writer(tmp_path / "t.csv", ["a"], schema=schema):
        pass
    with (
        pytest.raises(ConfigError, match="the schema has"),
        open_writer(tmp_path / "t.parquet", ["b"], schema=schema),
    ):
        pass
    with pytest.raises(DataError, match="cannot be written as JSON"):
        _write(tmp_path / "t.jsonl", {"a": [{1, 2}]})
