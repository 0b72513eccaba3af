from __future__ import annotations

import csv
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertblocks.blocks import Task
from bertblocks.data import json_tables, open_table, open_writer
from bertblocks.encoder import BertEncoder
from bertblocks.errors import ConfigError, DataError
from bertblocks.inference import (
    JobReport,
    Predictor,
    embed_table,
    load_encoder,
    predict_table,
    result_tables,
    shard_results,
    table_windows,
)
from bertblocks.inference.vector_arrays import write_vectors
from bertblocks.text import Tokenizer
from tiny import tiny_model

TOPICS = Task(kind="binary", labels=("no", "yes"))
TEXT_COLUMN = "text"
ADDED = ["prediction", "probability:no", "probability:yes", "num_tokens", "truncated", "num_unknown"]


@pytest.fixture(scope="module")
def predictor(tiny_encoder):
    return Predictor(tiny_model(tiny_encoder("cased"), TOPICS, sequence_length=16), precision="float32")


@pytest.fixture(scope="module")
def encoder(tiny_encoder):
    return load_encoder(tiny_encoder("cased"), precision="float32")


@pytest.fixture
def small_chunks(monkeypatch):
    """Three rows a chunk, so that a few rows are many chunks."""
    monkeypatch.setattr(table_windows, "WINDOW_ROWS", 3)
    monkeypatch.setattr(result_tables, "_BATCH_ROWS", 2)


def write(path: Path, columns: dict[str, list[Any]]) -> Any:
    """A table, and opened for reading."""
    with open_writer(path, list(columns)) as writer:
        writer.write(columns)
    return open_table(path)


def read(path: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for batch in open_table(path).batches():
        for name, values in batch.columns.items():
            found.setdefault(name, []).extend(values)
    return found


def report_of(found: Any, limit: int, skipped: dict[str, int] | None = None, **counts: int) -> JobReport:
    """The report on texts of which the tokenizer counted this."""
    return JobReport(
        num_unknown=int(found.num_unknown.sum()),
        num_tokens_read=sum(min(int(count), limit) for count in found.num_tokens),
        sequence_length=limit,
        skipped=skipped or {},
        **{"num_truncated": 0, "num_in_windows": 0, "num_empty": 0, "num_dropped": 0, **counts},
    )


ROWS = {
    "id": [f"{i:02}" for i in range(10)],
    "text": [
        "dear food",
        "slow",
        "a " * 40,
        "The film",
        "好 好 x",
        "I would",
        "great",
        "zebra",
        "bad",
        "red cat",
    ],
    "note": ["", "a,b", 'say "x"', "two\nlines", "ü", "", "", "", "", "last"],
}


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "csv.gz"])
@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_rows_keep_their_order_and_columns(predictor, tmp_path, small_chunks, source, ending):
    table = write(tmp_path / f"in.{source}", ROWS)
    done = []
    report = predict_table(predictor, table, tmp_path / f"out.{ending}", on_batch=done.append)
    expected = predictor.predict(ROWS["text"])
    assert report == report_of(expected, 16, num_rows=10, num_truncated=1)
    assert report.num_unknown == 2 and 0 < report.unknown_share < 1
    assert done == [3, 3, 3, 1]
    found = read(tmp_path / f"out.{ending}")
    assert list(found) == [*ROWS, *ADDED]
    assert found["id"] == ROWS["id"] and found["text"] == ROWS["text"]
    assert [note or "" for note in found["note"]] == ROWS["note"]
    assert found["prediction"] == expected.answers
    probabilities = np.array([found["probability:no"], found["probability:yes"]], dtype=np.float64).T
    np.testing.assert_allclose(probabilities, expected.scores, atol=2e-6)
    assert [int(count) for count in found["num_tokens"]] == expected.num_tokens.tolist()
    assert [int(count) for count in found["num_unknown"]] == expected.num_unknown.tolist()
    cut = [value in (True, "true") for value in found["truncated"]]
    assert cut == expected.truncated.tolist() == [i == 2 for i in range(10)]


def test_more_rows_than_a_chunk(predictor, tmp_path):
    num_rows = table_windows.WINDOW_ROWS + 500
    texts = [["good", "bad film", "slow hotel staff"][i % 3] for i in range(num_rows)]
    table = write(tmp_path / "in.csv", {"n": [str(i) for i in range(num_rows)], "text": texts})
    done = []
    report = predict_table(predictor, table, tmp_path / "out.jsonl", on_batch=done.append)
    assert report.num_rows == num_rows and done == [4096, 500]
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["n"] for row in rows] == [str(i) for i in range(num_rows)]
    assert [row["num_tokens"] for row in rows[-3:]] == [len(text.split()) + 2 for text in texts[-3:]]
    assert list(rows[0]) == ["n", "text", *ADDED]
    assert {type(value) for value in rows[0].values()} == {str, float, int, bool}


def test_pairs(tiny_encoder, tmp_path, small_chunks):
    model = tiny_model(tiny_encoder("cased"), TOPICS, text="q", text_pair="a")
    predictor = Predictor(model, precision="float32")
    rows = {"a": ROWS["text"], "other": ROWS["id"], "q": ROWS["text"][::-1]}
    predict_table(predictor, write(tmp_path / "in.csv", rows), tmp_path / "out.jsonl")
    expected = predictor.predict(rows["q"], rows["a"])
    found = read(tmp_path / "out.jsonl")
    np.testing.assert_allclose(found["probability:yes"], expected.scores[:, 1], atol=2e-6)


def test_numbers_and_labels(tiny_encoder, tmp_path):
    stars = Task(kind="regression", target_mean=0.3, target_scale=0.001)
    predictor = Predictor(tiny_model(tiny_encoder("cased"), stars), precision="float32")
    table = write(tmp_path / "in.csv", ROWS)
    predict_table(predictor, table, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*ROWS, "prediction", "num_tokens", "truncated", "num_unknown"]
    expected = predictor.predict(ROWS["text"]).scores
    written = np.array([row["prediction"] for row in rows], dtype=np.float64)
    np.testing.assert_allclose(written, expected, rtol=0, atol=0.001 * 1e-7)
    assert max(len(row["prediction"]) for row in rows) <= 12, "no digits that a float32 logit cannot tell"
    tags = Task(kind="multilabel", labels=("x", "y"), thresholds=(0.0, 1.0))
    predictor = Predictor(tiny_model(tiny_encoder("cased"), tags), precision="float32")
    for ending in ("jsonl", "parquet"):
        predict_table(predictor, table, tmp_path / f"out.{ending}")
        assert read(tmp_path / f"out.{ending}")["prediction"] == [["x"]] * 10
    predict_table(predictor, table, tmp_path / "out.csv")
    assert read(tmp_path / "out.csv")["prediction"] == ['["x"]'] * 10


GAPS = {"text": ["good", None, "bad", None, None, None, "slow", "  ", "x"], "n": list(range(9))}
UNREADABLE = {"unreadable characters": 1}
GAPPED = {"missing value": 5}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_rows_without_a_text(predictor, tmp_path, small_chunks, ending):
    table = write(tmp_path / "in.jsonl", GAPS)
    output = tmp_path / f"out.{ending}"
    with pytest.raises(DataError) as caught:
        predict_table(predictor, table, output)
    message = str(caught.value)
    assert "row 2 (line 2), column 'text': the text is missing" in message
    assert "--skip-bad-rows" in message
    assert not output.exists()
    said: list[str] = []
    report = predict_table(predictor, table, output, on_bad_row="skip", say=said.append)
    (sentence,) = said
    assert sentence.startswith(
        f"{table.path}: 5 of 9 rows have no prediction\n  missing value, 5: row 2 (line 2)"
    )
    expected = predictor.predict(["good", "bad", "slow", "x"])
    assert report == report_of(expected, 16, GAPPED, num_rows=9, num_empty=5)
    found = read(output)
    assert found["n"] == GAPS["n"]
    missing = [i in (1, 3, 4, 5, 7) for i in range(9)]
    for name in ADDED:
        assert [value is None for value in found[name]] == missing, name


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_table_whose_first_rows_have_no_text(predictor, tmp_path, small_chunks, ending):
    rows = {"text": [None] * 4 + ["good"], "n": [None] * 4 + [2.5]}
    table = write(tmp_path / "in.jsonl", rows)
    report = predict_table(predictor, table, tmp_path / f"out.{ending}", on_bad_row="skip")
    assert report.num_rows == 5 and report.num_empty == 4
    found = read(tmp_path / f"out.{ending}")
    assert [value in (None, "") for value in found["prediction"]] == [True] * 4 + [False]
    assert float(found["n"][4]) == 2.5 and int(found["num_tokens"][4]) == 3


def test_no_row_has_a_text(predictor, tmp_path):
    table = write(tmp_path / "in.jsonl", {"text": [None, ""], "n": [1, 2]})
    report = predict_table(predictor, table, tmp_path / "out.parquet", on_bad_row="skip")
    assert report == report_of(predictor.predict([]), 16, {"missing value": 2}, num_rows=2, num_empty=2)
    assert report.unknown_share == 0
    assert pq.read_schema(tmp_path / "out.parquet").field("num_tokens").type == pa.int64()


def test_many_bad_rows_are_counted_not_listed(predictor, tmp_path):
    table = write(tmp_path / "in.jsonl", {"text": [None] * 20, "n": [1] * 20})
    with pytest.raises(DataError) as caught:
        predict_table(predictor, table, tmp_path / "out.csv")
    message = str(caught.value)
    assert message.count("the text is missing") == 3 and "; and 17 more, up to row 20. Mend" in message


def test_rows_that_cannot_be_read(predictor, tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes("text,n\ngood,1\nbad\xff,2\nslow,3,4,5\nred,6\n".encode("latin-1"))
    with pytest.raises(DataError, match="row 2"):
        predict_table(predictor, open_table(path), tmp_path / "out.csv")
    said: list[str] = []
    report = predict_table(
        predictor, open_table(path), tmp_path / "out.csv", on_bad_row="skip", say=said.append
    )
    dropped = {"unreadable characters": 1, "malformed row": 1}
    assert report == report_of(predictor.predict(["good", "red"]), 16, dropped, num_rows=2, num_dropped=2)
    assert "2 of 4 rows could not be read and are left out\n" in said[0] and len(said) == 1
    assert read(tmp_path / "out.csv")["text"] == ["good", "red"]


def test_a_row_with_a_key_that_is_no_column_is_not_written_without_it(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(json_tables, "_ROWS_THAT_NAME_COLUMNS", 2)
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "good"}\n{"text": "bad"}\n{"text": "red", "id": 3}\n', encoding="utf-8")
    for ending in ("csv", "parquet"):
        with pytest.raises(DataError, match=r"row 3 \(line 3\): the key 'id' is in none of the first 2 rows"):
            predict_table(predictor, open_table(path), tmp_path / f"out.{ending}")
    report = predict_table(predictor, open_table(path), tmp_path / "out.csv", on_bad_row="skip")
    assert (report.num_rows, report.num_dropped) == (2, 1)


def test_a_parquet_column_that_begins_empty_keeps_its_type(predictor, tmp_path, small_chunks):
    schema = pa.schema([("text", pa.string()), ("stars", pa.int64()), ("tags", pa.list_(pa.string()))])
    columns = {"text": ROWS["text"], "stars": [None] * 7 + [1, 2, 3], "tags": [None] * 8 + [[], ["a"]]}
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "in.parquet")
    predict_table(predictor, open_table(tmp_path / "in.parquet"), tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema.field("stars").type == pa.int64()
    assert found.column("stars").to_pylist() == columns["stars"]
    assert found.column("tags").to_pylist() == columns["tags"]
    assert found.schema.field("probability:yes").type == pa.float64()
    assert found.schema.field("truncated").type == pa.bool_()


def test_types_widen_over_the_whole_table(predictor, tmp_path, small_chunks):
    rows = {"text": ROWS["text"], "n": [1] * 5 + [2.5] + [1] * 4, "nothing": [None] * 10}
    predict_table(predictor, write(tmp_path / "in.jsonl", rows), tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.column("n").to_pylist() == rows["n"]
    assert found.schema.field("nothing").type == pa.string()


def test_a_column_of_two_types_is_refused_before_the_work(predictor, tmp_path, small_chunks, monkeypatch):
    table = write(tmp_path / "in.jsonl", {"text": ROWS["text"], "n": [1] * 8 + ["many", "few"]})
    monkeypatch.setattr(predictor, "predict_encoded", lambda *_ids: pytest.fail("the work had begun"))
    with pytest.raises(DataError, match=r"column 'n': .*write the result as \.jsonl or \.csv"):
        predict_table(predictor, table, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_numbers_are_read_as_texts(predictor, tmp_path):
    table = write(tmp_path / "in.jsonl", {"text": [17, 2.5, "17"], "n": [1, 2, 3]})
    predict_table(predictor, table, tmp_path / "out.jsonl")
    found = read(tmp_path / "out.jsonl")
    assert found["probability:yes"][0] == found["probability:yes"][2]
    with pytest.raises(DataError, match="found True"):
        flags = write(tmp_path / "flags.jsonl", {"text": [True], "n": [1]})
        predict_table(predictor, flags, tmp_path / "out.jsonl")


def test_a_missing_column_is_met_with_its_nearest(predictor, tmp_path):
    table = write(tmp_path / "in.csv", {"Text": ["good"]})
    with pytest.raises(DataError, match=r"in\.csv has no column 'text' \(did you mean 'Text'\?\)"):
        predict_table(predictor, table, tmp_path / "out.csv")


def test_what_no_text_is_is_said_as_in_training(predictor, tmp_path):
    table = write(tmp_path / "in.jsonl", {"text": ["good", True, ["a"], 3]})
    with pytest.raises(
        DataError, match=r"row 2 \(line 2\), column 'text': expected a text, found True \(bool\); row 3"
    ):
        predict_table(predictor, table, tmp_path / "out.csv")


def test_columns_that_clash_or_are_missing(predictor, tmp_path):
    rows = {"review": ["good"], "prediction": ["x"], "truncated": ["y"]}
    with pytest.raises(DataError) as caught:
        predict_table(predictor, write(tmp_path / "in.csv", rows), tmp_path / "out.csv")
    message = str(caught.value)
    assert "has no column 'text'" in message
    assert "has 'prediction', 'truncated', which the result calls its own columns: rename them" in message
    assert "Its columns are: 'review', 'prediction', 'truncated'" in message
    assert not (tmp_path / "out.csv").exists()


def test_a_crash_leaves_what_was_there(predictor, encoder, tmp_path, small_chunks):
    table = write(tmp_path / "in.csv", ROWS)

    def crash(_rows: int) -> None:
        raise KeyboardInterrupt

    for ending in ("csv", "jsonl", "parquet", "npy"):
        (tmp_path / f"old.{ending}").write_text("precious", encoding="utf-8")
    for ending in ("csv", "jsonl", "parquet"):
        for name in ("new", "old"):
            with pytest.raises(KeyboardInterrupt):
                predict_table(predictor, table, tmp_path / f"{name}.{ending}", on_batch=crash)
    for ending in ("csv", "parquet", "npy"):
        for name in ("new", "old"):
            with pytest.raises(KeyboardInterrupt):
                embed_table(encoder, table, tmp_path / f"{name}.{ending}", text="text", on_batch=crash)
    expected = {"in.csv", "old.csv", "old.jsonl", "old.parquet", "old.npy"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    for name in expected - {"in.csv"}:
        assert (tmp_path / name).read_text(encoding="utf-8") == "precious"


def test_rows_are_read_and_tokenized_ahead(predictor, tmp_path, small_chunks, monkeypatch):
    threads = set()
    encode = Tokenizer.encode

    def told(*arguments):
        threads.add(threading.current_thread().name)
        return encode(*arguments)

    monkeypatch.setattr(Tokenizer, "encode", told)
    predict_table(predictor, write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv")
    assert threads == {"read-ahead"}
    assert "read-ahead" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("output", ["out.csv", "out.parquet", "out.npy"])
def test_a_bad_row_further_on_is_met_in_its_place(predictor, encoder, tmp_path, small_chunks, output):
    table = write(tmp_path / "in.jsonl", {"text": ["good"] * 7 + [None], "n": list(range(8))})
    done: list[int] = []
    with pytest.raises(DataError, match="row 8"):
        if output.endswith("npy"):
            embed_table(encoder, table, tmp_path / output, text="text", on_batch=done.append)
        else:
            predict_table(predictor, table, tmp_path / output, on_batch=done.append)
    assert done == [3, 3], "what comes before it has been computed"
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
    assert "read-ahead" not in [thread.name for thread in threading.enumerate()]


def test_equal_texts_are_computed_once_unless_all_should_be(predictor, encoder, tmp_path, monkeypatch):
    seen = []
    forward = BertEncoder.forward

    def counted(self, packed, *rest):
        seen.append(packed.num_sequences)
        return forward(self, packed, *rest)

    monkeypatch.setattr(BertEncoder, "forward", counted)
    rows = {"text": ["good", "slow", "good", "good"], "n": ["1", "2", "3", "4"]}
    table = write(tmp_path / "in.csv", rows)
    for deduplicate, expected in ((True, 2), (False, 4)):
        for output in ("vectors.npy", "vectors.csv"):
            seen.clear()
            embed_table(encoder, table, tmp_path / output, text="text", deduplicate=deduplicate)
            assert sum(seen) == expected
        seen.clear()
        report = predict_table(predictor, table, tmp_path / "out.csv", deduplicate=deduplicate)
        assert sum(seen) == expected
        assert report.num_rows == 4 and report.num_tokens_read == 12, "every row counts"
    found = read(tmp_path / "out.csv")
    assert found["n"] == rows["n"] and len(set(found["probability:yes"])) == 2


def test_vectors_are_written_a_few_rows_at_a_time(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_results, "_WRITTEN_VECTORS", 3)
    embed_table(encoder, write(tmp_path / "in.csv", ROWS), tmp_path / "out.jsonl", text="text")
    found = read(tmp_path / "out.jsonl")
    assert found["id"] == ROWS["id"] and found["note"] == [note or None for note in ROWS["note"]]
    np.testing.assert_allclose(np.array(found["vector"]), encoder.encode(ROWS["text"]), atol=1e-6)


def test_an_array_is_read_by_numpy_in_every_way(tmp_path):
    parts = [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.zeros((0, 3), dtype=np.float32),
        np.ones((1, 3)),
    ]
    write_vectors(tmp_path / "a.npy", 3, iter(parts))
    expected = np.concatenate(parts).astype(np.float32)
    for mode in (None, "r"):
        found = np.load(tmp_path / "a.npy", mmap_mode=mode)
        assert found.dtype == np.float32 and np.array_equal(found, expected)
        del found


def test_settings_that_cannot_be(predictor, encoder, tmp_path):
    table = write(tmp_path / "in.csv", ROWS)
    with pytest.raises(ConfigError, match="on_bad_row is 'ignore'"):
        predict_table(predictor, table, tmp_path / "out.csv", on_bad_row="ignore")
    with pytest.raises(DataError, match=r"out\.doc: cannot write a table with this ending"):
        predict_table(predictor, table, tmp_path / "out.doc")
    with pytest.raises(ConfigError, match="output is 'mean'"):
        embed_table(encoder, table, tmp_path / "out.npy", text="text", pooling="mean")
    with pytest.raises(ConfigError, match="position table ends at 128"):
        embed_table(encoder, table, tmp_path / "out.npy", text="text", sequence_length=512)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("pooling", ["cls", "average", "max"])
def test_vectors_as_an_array(encoder, tmp_path, small_chunks, pooling):
    done = []
    report = embed_table(
        encoder,
        write(tmp_path / "in.csv", ROWS),
        tmp_path / "out.npy",
        text="text",
        pooling=pooling,
        sequence_length=16,
        on_batch=done.append,
    )
    tokens = encoder.tokenize(ROWS["text"], 16)
    assert report == report_of(tokens, 16, num_rows=10, num_truncated=1)
    assert report.num_tokens_read == sum(map(len, tokens.ids)) and report.num_unknown == 2
    assert done == [3, 3, 3, 1]
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == np.float32
    expected = encoder.encode(ROWS["text"], output=pooling, sequence_length=16)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv"])
def test_vectors_beside_the_columns(encoder, tmp_path, small_chunks, ending):
    embed_table(encoder, write(tmp_path / "in.csv", ROWS), tmp_path / f"out.{ending}", text="text")
    found = read(tmp_path / f"out.{ending}")
    assert list(found) == [*ROWS, "vector"] and found["id"] == ROWS["id"]
    vectors = [json.loads(cell) for cell in found["vector"]] if ending == "csv" else found["vector"]
    np.testing.assert_allclose(np.array(vectors), encoder.encode(ROWS["text"]), atol=1e-6)
    if ending == "parquet":
        assert pq.read_schema(tmp_path / "out.parquet").field("vector").type == pa.list_(pa.float32())


def test_vectors_of_rows_without_a_text(encoder, tmp_path, small_chunks):
    table = write(tmp_path / "in.jsonl", GAPS)
    with pytest.raises(DataError, match="the text is missing"):
        embed_table(encoder, table, tmp_path / "out.npy", text="text")
    report = embed_table(encoder, table, tmp_path / "out.npy", text="text", on_bad_row="skip")
    tokens = encoder.tokenize(["good", "bad", "slow", "x"])
    assert report == report_of(tokens, 128, GAPPED, num_rows=9, num_empty=5)
    missing = [i in (1, 3, 4, 5, 7) for i in range(9)]
    assert np.isnan(np.load(tmp_path / "out.npy")).all(axis=1).tolist() == missing
    assert np.isnan(np.load(tmp_path / "out.npy")).any(axis=1).tolist() == missing
    for ending in ("jsonl", "parquet"):
        embed_table(encoder, table, tmp_path / f"out.{ending}", text="text", on_bad_row="skip")
        assert [row is None for row in read(tmp_path / f"out.{ending}")["vector"]] == missing


def test_an_array_has_a_row_for_every_row_whose_text_can_be_read(encoder, tmp_path, small_chunks):
    path = tmp_path / "in.csv"
    path.write_bytes("text,note\ngood,a\nbad,\xff\nslow\xff,c\nred,d\n".encode("latin-1"))
    report = embed_table(encoder, open_table(path), tmp_path / "out.npy", text="text", on_bad_row="skip")
    tokens = encoder.tokenize(["good", "bad", "red"])
    assert report == report_of(tokens, 128, UNREADABLE, num_rows=3, num_dropped=1)
    expected = encoder.encode(["good", "bad", "red"])
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)


def test_an_array_without_rows(encoder, tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes("text,note\n\xff,a\n".encode("latin-1"))
    report = embed_table(encoder, open_table(path), tmp_path / "out.npy", text="text", on_bad_row="skip")
    assert report == report_of(encoder.tokenize([]), 128, UNREADABLE, num_rows=0, num_dropped=1)
    assert np.load(tmp_path / "out.npy").shape == (0, 32)


def test_vector_columns_that_clash_or_are_missing(encoder, tmp_path):
    table = write(tmp_path / "in.csv", {"review": ["good"], "vector": ["x"]})
    with pytest.raises(DataError, match="has no column 'text' and has 'vector', which the result calls its"):
        embed_table(encoder, table, tmp_path / "out.csv", text="text")
    embed_table(encoder, table, tmp_path / "out.npy", text="review")
    assert np.load(tmp_path / "out.npy").shape == (1, 32)


def test_the_table_that_is_read_is_never_replaced(predictor, encoder, tmp_path):
    table = write(tmp_path / "t.csv", {TEXT_COLUMN: ["a", "b"]})
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(ConfigError, match="is the table that is read"):
        predict_table(predictor, table, tmp_path / "t.csv")
    with pytest.raises(ConfigError, match="is the table that is read"):
        embed_table(encoder, table, tmp_path / "t.csv", text=TEXT_COLUMN)
    assert (tmp_path / "t.csv").read_bytes() == before
