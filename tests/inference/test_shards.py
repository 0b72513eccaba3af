"""Jobs in shards: what is interrupted ends as what was not, to the byte, and no job takes another's parts."""

from __future__ import annotations

import csv
import gzip
import json
import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from bertblocks.blocks import Task
from bertblocks.data import open_table, open_writer
from bertblocks.errors import ConfigError, DataError
from bertblocks.inference import Predictor, embed_table, load_encoder, predict_table, table_windows
from tiny import tiny_model

TOPICS = Task(kind="binary", labels=("no", "yes"))
WORDS = [
    "the",
    "film",
    "was",
    "very",
    "good",
    "bad",
    "great",
    "awful",
    "food",
    "hotel",
    "room",
    "slow",
    "fast",
    "dog",
    "cat",
]
NUM_ROWS = 103
FILES = ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz"]


@pytest.fixture(scope="module")
def predictor(tiny_encoder):
    return Predictor(tiny_model(tiny_encoder("cased"), TOPICS, sequence_length=16), precision="float32")


@pytest.fixture(scope="module")
def encoder(tiny_encoder):
    return load_encoder(tiny_encoder("cased"), precision="float32")


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(table_windows, "WINDOW_ROWS", 7)


def texts_of(num_rows, seed=0):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(num_rows)]


def table_of(path, texts, **columns):
    rows = {"id": [f"{i:03}" for i in range(len(texts))], "text": texts, **columns}
    with open_writer(path, list(rows)) as writer:
        writer.write(rows)
    return open_table(path)


@pytest.fixture
def table(tmp_path):
    return table_of(tmp_path / "in.csv", texts_of(NUM_ROWS))


def rows_of(path):
    found = {}
    for batch in open_table(path).batches():
        for name, values in batch.columns.items():
            found.setdefault(name, []).extend(values)
    return found


def files_of(folder):
    """Every file of a job's folder but its lock, with its bytes."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class StoppedError(Exception):
    """Stands for a kill: nothing is done in answer to it but what is always done."""


def stop_after(num_calls):
    left = [num_calls]

    def count(_rows):
        left[0] -= 1
        if left[0] < 0:
            raise StoppedError

    return count


class TestGoingOn:
    @pytest.mark.parametrize("ending", FILES)
    def test_a_file(self, predictor, table, tmp_path, ending):
        whole, output = tmp_path / f"whole.{ending}", tmp_path / f"out.{ending}"
        expected = predict_table(predictor, table, whole, shard_rows=20)
        kept = []
        for num_calls in (1, 4, 4, 6):
            with pytest.raises(StoppedError):
                predict_table(predictor, table, output, shard_rows=20, on_batch=stop_after(num_calls))
            work = tmp_path / f"out.{ending}.unfinished"
            kept.append(len(list(work.glob("part-*"))) if work.exists() else 0)
            assert not output.exists()
        assert kept == [0, 1, 2, 4]
        done = []
        report = predict_table(predictor, table, output, shard_rows=20, on_batch=done.append)
        assert report == expected and sum(done) == NUM_ROWS - 80
        assert output.read_bytes() == whole.read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", output.name, whole.name]

    @pytest.mark.parametrize("form", ["parquet", "csv", "tsv", "jsonl"])
    def test_a_folder(self, predictor, table, tmp_path, form):
        options = {"shard_rows": 20, "format": form}
        expected = predict_table(predictor, table, f"{tmp_path}/whole/", **options)
        for _ in range(2):
            with pytest.raises(StoppedError):
                predict_table(predictor, table, f"{tmp_path}/out/", on_batch=stop_after(5), **options)
        said = []
        assert predict_table(predictor, table, tmp_path / "out", say=said.append, **options) == expected
        assert said == ["2 parts with 40 rows done before: going on from there."]
        assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
        parts = sorted((tmp_path / "out").glob("part-*"))
        assert [path.name for path in parts] == [f"part-000000-00000{i}.{form}" for i in range(6)]
        ids = [name for path in parts for name in rows_of(path)["id"]]
        assert ids == [f"{i:03}" for i in range(NUM_ROWS)]

    @pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "csv.gz"])
    def test_parts_together_are_the_file(self, predictor, table, tmp_path, ending):
        one, several = tmp_path / f"one.{ending}", tmp_path / f"several.{ending}"
        predict_table(predictor, table, one)
        predict_table(predictor, table, several, shard_rows=21)
        # Windows of 7 rows end where shards do, so that both are computed alike.
        assert rows_of(one) == rows_of(several)
        assert ending == "parquet" or one.read_bytes() == several.read_bytes()
        if ending.endswith("gz"):
            assert len(gzip.decompress(one.read_bytes()).splitlines()) == NUM_ROWS + 1

    def test_vectors(self, encoder, table, tmp_path):
        embed_table(encoder, table, tmp_path / "whole.npy", text="text", shard_rows=20)
        for _ in range(2):
            with pytest.raises(StoppedError):
                embed_table(
                    encoder, table, tmp_path / "out.npy", text="text", shard_rows=20, on_batch=stop_after(4)
                )
        embed_table(encoder, table, tmp_path / "out.npy", text="text", shard_rows=20)
        assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
        found = np.load(tmp_path / "out.npy")
        np.testing.assert_allclose(found, encoder.encode(texts_of(NUM_ROWS)), atol=1e-5)
        embed_table(encoder, table, f"{tmp_path}/parts/", text="text", shard_rows=20, format="npy")
        parts = [np.load(path) for path in sorted((tmp_path / "parts").glob("*.npy"))]
        assert np.array_equal(np.concatenate(parts), found)

    def test_a_part_that_is_not_what_was_written_is_done_again(self, predictor, table, tmp_path):
        predict_table(predictor, table, f"{tmp_path}/whole/", shard_rows=20)
        out = tmp_path / "out"
        predict_table(predictor, table, f"{out}/", shard_rows=20)
        changed, gone, unknown, broken = (out / f"part-000000-00000{i}.parquet" for i in (0, 2, 3, 5))
        changed.write_bytes(changed.read_bytes()[:-1] + b"x")
        gone.unlink()
        (out / "_job" / unknown.with_suffix(".json").name).unlink()
        (out / "_job" / broken.with_suffix(".json").name).write_text("{", encoding="utf-8")
        (out / ".part-000000-000001.abc.partial.parquet").write_bytes(b"half")
        said, done = [], []
        predict_table(predictor, table, f"{out}/", shard_rows=20, on_batch=done.append, say=said.append)
        assert files_of(out) == files_of(tmp_path / "whole")
        assert sum(done) == 20 + 20 + 20 + 3
        assert "done again: part-000000-000000.parquet, part-000000-000005.parquet" in said[0]

    def test_a_job_that_was_done_is_not_done_again(self, predictor, table, tmp_path, monkeypatch):
        expected = predict_table(predictor, table, f"{tmp_path}/out/", shard_rows=20)
        before = files_of(tmp_path / "out")
        monkeypatch.setattr(predictor, "predict_encoded", lambda *_, **__: pytest.fail("it was done"))
        monkeypatch.setattr(type(table), "_rows", lambda *_: pytest.fail("it was read"))
        assert predict_table(predictor, table, f"{tmp_path}/out/", shard_rows=20) == expected
        assert files_of(tmp_path / "out") == before

    def test_reports_tell_of_all_rows(self, predictor, tmp_path):
        texts = texts_of(60)
        texts[3], texts[41], texts[42] = "", None, " "
        table = table_of(tmp_path / "in.jsonl", texts)
        options = {"shard_rows": 20, "on_bad_row": "skip"}
        told = []
        expected = predict_table(predictor, table, tmp_path / "whole.csv", say=told.append, **options)
        assert expected.num_empty == 3 and expected.skipped == {"missing value": 3}
        with pytest.raises(StoppedError):
            predict_table(predictor, table, tmp_path / "out.csv", on_batch=stop_after(5), **options)
        said = []
        report = predict_table(predictor, table, tmp_path / "out.csv", say=said.append, **options)
        assert report == expected and said[-1] == told[-1]
        assert "missing value, 3: row 4 (line 4), column 'text': the text is blank; row 42" in said[-1]


class TestTheSameJob:
    @pytest.fixture
    def unfinished(self, predictor, table, tmp_path):
        with pytest.raises(StoppedError):
            predict_table(predictor, table, tmp_path / "out.csv", shard_rows=20, on_batch=stop_after(5))
        return tmp_path / "out.csv"

    def test_another_model(self, predictor, tiny_encoder, table, unfinished):
        other = Predictor(
            tiny_model(tiny_encoder("cased"), TOPICS, sequence_length=16, seed=1), precision="float32"
        )
        with pytest.raises(ConfigError, match=r"another job, which differs in model\.sha256 \("):
            predict_table(other, table, unfinished, shard_rows=20)
        report = predict_table(other, table, unfinished, shard_rows=20, restart=True)
        assert report.num_rows == NUM_ROWS
        expected = other.predict(texts_of(NUM_ROWS)).answers
        assert rows_of(unfinished)["prediction"] == expected

    def test_other_options(self, predictor, table, unfinished):
        for options, told in (
            ({"shard_rows": 21}, r"shard_rows \(20 then, 21 now\)"),
            ({"shard_rows": 20, "limit": 50}, r"limit \(None then, 50 now\)"),
            ({"shard_rows": 20, "columns": ["id"]}, r"columns \(None then, \['id'\] now\)"),
            ({"shard_rows": 20, "on_bad_row": "column"}, r"on_error \('stop or skip' then, 'column' now\)"),
        ):
            with pytest.raises(ConfigError, match=told):
                predict_table(predictor, table, unfinished, **options)
        assert len(list(unfinished.parent.glob("out.csv.unfinished/part-*"))) == 1, "nothing is lost"

    def test_other_rows(self, predictor, table, unfinished):
        texts = texts_of(NUM_ROWS)
        texts[-1] += " x"
        changed = table_of(Path(table.path), texts)
        with pytest.raises(ConfigError, match=r"tables\[0\]\.(changed_ns|ends_sha256|size)"):
            predict_table(predictor, changed, unfinished, shard_rows=20)

    def test_what_is_done_without_an_error_is_as_if_errors_were_passed_over(self, predictor, tmp_path):
        texts = texts_of(60)
        texts[50] = ""
        table = table_of(tmp_path / "in.jsonl", texts)
        said = []
        with pytest.raises(DataError, match="row 51"):
            predict_table(predictor, table, tmp_path / "out.csv", shard_rows=20, say=said.append)
        assert "2 parts that are done are kept in" in said[0]
        done = []
        predict_table(
            predictor,
            table,
            tmp_path / "out.csv",
            shard_rows=20,
            on_bad_row="skip",
            on_batch=done.append,
        )
        assert sum(done) == 20
        with pytest.raises(StoppedError):
            predict_table(
                predictor,
                table,
                tmp_path / "b.csv",
                shard_rows=20,
                on_bad_row="skip",
                on_batch=stop_after(8),
            )
        with pytest.raises(ConfigError, match="bad rows were passed over"):
            predict_table(predictor, table, tmp_path / "b.csv", shard_rows=20)

    def test_a_folder_of_somebody_elses(self, predictor, table, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "precious.txt").write_text("x", encoding="utf-8")
        for restart in (False, True):
            with pytest.raises(ConfigError, match=r"no job of bertblocks has made \(precious\.txt\)"):
                predict_table(predictor, table, tmp_path / "out", restart=restart)
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious.txt"]

    def test_another_process_in_the_folder(self, predictor, table, tmp_path):
        def again(_rows):
            with pytest.raises(ConfigError, match="Another process is writing into"):
                predict_table(predictor, table, f"{tmp_path}/out/", shard_rows=20)
            raise StoppedError

        with pytest.raises(StoppedError):
            predict_table(predictor, table, f"{tmp_path}/out/", shard_rows=20, on_batch=again)

    def test_other_threads_are_said(self, predictor, table, unfinished, monkeypatch):
        monkeypatch.setattr("bertblocks.inference.prediction_jobs.environment_of", lambda *_: {"threads": 64})
        said = []
        predict_table(predictor, table, unfinished, shard_rows=20, say=said.append)
        assert "threads (1 then, 64 now)" in said[0] and "last digits" in said[0]

    def test_a_model_in_memory_is_known_by_its_weights(self, predictor, tiny_encoder):
        def sha256(**options):
            return Predictor(tiny_model(tiny_encoder("cased"), TOPICS, **options), precision="float32").sha256

        assert sha256(sequence_length=16) == predictor.sha256 == pickle.loads(pickle.dumps(predictor)).sha256
        assert len({sha256(), sha256(seed=1), sha256(sequence_length=16)}) == 3

    def test_a_saved_model_is_known_by_its_folder(self, tiny_encoder, tmp_path):
        model = tiny_model(tiny_encoder("cased"), TOPICS)
        for name in "ab":
            model.save(tmp_path / name)
        one, other = (Predictor.load(tmp_path / name, precision="float32") for name in "ab")
        assert one.sha256 == other.sha256
        assert load_encoder(tmp_path / "a").sha256 == one.sha256
        assert load_encoder(tiny_encoder("cased")).sha256 != load_encoder(tiny_encoder("uncased")).sha256


class TestRowsAndColumns:
    def test_a_column_of_errors(self, predictor, tmp_path):
        path = tmp_path / "in.csv"
        path.write_bytes(
            b"id,text,n\n1,good,1\n2,,2\n3,bad\xff,3\n4,slow,3,4,5\n5,red\xfe,x,y\n6,\x00,6\n7,great,7\n"
        )
        for output in (tmp_path / "out.jsonl", tmp_path / "out.parquet", tmp_path / "out.csv"):
            said = []
            report = predict_table(predictor, open_table(path), output, on_bad_row="column", say=said.append)
            assert (report.num_rows, report.num_empty, report.num_dropped) == (7, 4, 0)
            found = rows_of(output)
            assert [value or None for value in found["id"]] == ["1", "2", None, None, None, "6", "7"]
            expected = predictor.predict(["good", "\x00", "great"]).answers
            assert [value for value in found["prediction"] if value] == expected
            told = [value or "" for value in found["error"]]
            assert [bool(text) for text in told] == [False, True, True, True, True, False, False]
            assert told[1] == "row 2 (line 3), column 'text': the text is missing"
            assert "byte 0xff" in told[2] and "5 cells" in told[3] and "4 cells" in told[4]
            assert "4 of 7 rows have no prediction" in said[-1]

    def test_errors_stay_in_their_place_in_shards(self, predictor, tmp_path):
        texts = texts_of(60)
        for bad in (0, 19, 20, 33, 59):
            texts[bad] = None
        table = table_of(tmp_path / "in.jsonl", texts)
        predict_table(predictor, table, f"{tmp_path}/out/", on_bad_row="column", shard_rows=20)
        found = pa.dataset.dataset(tmp_path / "out").to_table().to_pydict()
        assert found["id"] == [f"{i:03}" for i in range(60)]
        assert [i for i, text in enumerate(found["error"]) if text] == [0, 19, 20, 33, 59]
        assert [i for i, text in enumerate(found["prediction"]) if text is None] == [0, 19, 20, 33, 59]

    def test_an_error_column_cannot_be_carried_beside_another(self, predictor, tmp_path):
        table = table_of(tmp_path / "in.csv", ["good"], error=["x"])
        with pytest.raises(DataError, match=r"has 'error', which the result calls .*--columns"):
            predict_table(predictor, table, tmp_path / "out.csv", on_bad_row="column")
        predict_table(predictor, table, tmp_path / "out.csv", on_bad_row="column", columns=["id"])
        assert rows_of(tmp_path / "out.csv")["error"] == [None]
        predict_table(predictor, table, tmp_path / "out.csv")
        assert rows_of(tmp_path / "out.csv")["error"] == ["x"]

    @pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
    def test_columns(self, predictor, tmp_path, ending):
        table = table_of(tmp_path / f"in.{ending}", ["good", "bad"], note=["x", "y"], prediction=["p", "q"])
        out = tmp_path / "out.jsonl"
        predict_table(predictor, table, out, columns=["note", "id"])
        assert list(rows_of(out))[:3] == ["note", "id", "prediction"]
        assert rows_of(out)["note"] == ["x", "y"]
        predict_table(predictor, table, out, columns=[])
        assert next(iter(rows_of(out))) == "prediction"
        with pytest.raises(DataError, match=r"no column 'nte' \(did you mean 'note'\?\)"):
            predict_table(predictor, table, out, columns=["nte"])
        with pytest.raises(ConfigError, match="each can be carried only once"):
            predict_table(predictor, table, out, columns=["id", "id"])

    @pytest.mark.parametrize("limit", [1, 7, 20, 50, 102, 103, 500])
    def test_a_limit(self, predictor, table, tmp_path, limit):
        report = predict_table(predictor, table, tmp_path / "out.csv", limit=limit, shard_rows=20)
        assert report.num_rows == min(limit, NUM_ROWS)
        assert rows_of(tmp_path / "out.csv")["id"] == [f"{i:03}" for i in range(min(limit, NUM_ROWS))]

    @pytest.mark.parametrize(("name", "value"), [("limit", 0), ("limit", True), ("shard_rows", 2.5)])
    def test_numbers_that_cannot_be(self, predictor, table, tmp_path, name, value):
        with pytest.raises(ConfigError, match=f"{name} is {value}, but must be a whole number above 0"):
            predict_table(predictor, table, tmp_path / "out.csv", **{name: value})

    def test_an_array_has_no_columns(self, encoder, predictor, table, tmp_path):
        for options in ({"columns": ["id"]}, {"on_bad_row": "column"}):
            with pytest.raises(ConfigError, match=r"is an array: .*has no effect"):
                embed_table(encoder, table, tmp_path / "out.npy", text="text", **options)
        with pytest.raises(ConfigError, match="predictions are a table"):
            predict_table(predictor, table, tmp_path / "out.npy")
        with pytest.raises(ConfigError, match="format is 'xlsx'"):
            predict_table(predictor, table, f"{tmp_path}/out/", format="xlsx")
        with pytest.raises(ConfigError, match="format='csv' has no effect"):
            predict_table(predictor, table, tmp_path / "out.csv", format="csv")
        assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


class TestSeveralTables:
    @pytest.fixture
    def tables(self, tmp_path):
        sizes, tables, texts = (23, 1, 40), [], texts_of(64)
        for number, size in enumerate(sizes):
            begin = sum(sizes[:number])
            tables.append(table_of(tmp_path / f"in{number}.csv", texts[begin : begin + size]))
        return tables

    def test_are_one_result(self, predictor, tables, tmp_path):
        predict_table(predictor, tables, tmp_path / "whole.csv", shard_rows=14)
        for num_calls in (3, 3, 2):
            with pytest.raises(StoppedError):
                predict_table(
                    predictor, tables, tmp_path / "out.csv", shard_rows=14, on_batch=stop_after(num_calls)
                )
        predict_table(predictor, tables, tmp_path / "out.csv", shard_rows=14)
        assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        assert rows_of(tmp_path / "out.csv")["text"] == texts_of(64)

    def test_a_limit_ends_among_them(self, predictor, tables, tmp_path):
        for limit in (10, 23, 24, 30, 64):
            predict_table(predictor, tables, tmp_path / "out.csv", limit=limit, shard_rows=14)
            assert rows_of(tmp_path / "out.csv")["text"] == texts_of(64)[:limit]

    def test_errors_name_the_table(self, predictor, tables, tmp_path):
        bad = table_of(tmp_path / "bad.jsonl", ["good", None])
        predict_table(predictor, [*tables, bad], tmp_path / "out.csv", on_bad_row="column")
        assert rows_of(tmp_path / "out.csv")["error"][-1].startswith(
            "bad.jsonl, row 2 (line 2), column 'text'"
        )

    def test_that_differ_are_refused_before_the_work(self, predictor, tables, tmp_path):
        other = table_of(tmp_path / "other.csv", ["good"], more=["x"])
        with pytest.raises(DataError, match=r"other\.csv has the columns \['more'\]"):
            predict_table(predictor, [*tables, other], tmp_path / "out.csv")
        predict_table(predictor, [*tables, other], tmp_path / "out.csv", columns=["id"])
        assert len(rows_of(tmp_path / "out.csv")["id"]) == 65

    def test_parquet_types_of_all_of_them(self, predictor, tmp_path):
        one = table_of(tmp_path / "a.jsonl", ["good"], n=[1])
        other = tmp_path / "b.parquet"
        schema = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("n", pa.float32())])
        pq.write_table(pa.table({"id": ["1"], "text": ["bad"], "n": [2.5]}, schema=schema), other)
        predict_table(predictor, [one, open_table(other)], tmp_path / "out.parquet")
        found = pq.read_table(tmp_path / "out.parquet")
        assert found.column("n").to_pylist() == [1.0, 2.5]

    def test_none(self, predictor, tmp_path):
        with pytest.raises(ConfigError, match="no tables"):
            predict_table(predictor, [], tmp_path / "out.csv")


class TestElsewhere:
    def test_tables_and_results_in_another_filesystem(self, predictor, table, tmp_path):
        (tmp_path / "store" / "in").mkdir(parents=True)
        (tmp_path / "store" / "in" / "t.csv").write_bytes(Path(table.path).read_bytes())
        filesystem = fs.SubTreeFileSystem(str(tmp_path / "store"), fs.LocalFileSystem())
        remote = open_table("in/t.csv", filesystem=filesystem)
        expected = predict_table(predictor, table, f"{tmp_path}/here/", shard_rows=20)
        for _ in range(2):
            with pytest.raises(StoppedError):
                predict_table(
                    predictor, remote, "out/", shard_rows=20, filesystem=filesystem, on_batch=stop_after(5)
                )
        found = predict_table(predictor, remote, "out/", shard_rows=20, filesystem=filesystem)
        assert found == expected
        here, there = files_of(tmp_path / "here"), files_of(tmp_path / "store" / "out")
        parts = [name for name in here if name.startswith("part-")]
        assert len(parts) == 6 and all(here[name] == there[name] for name in parts)
        assert here.keys() == there.keys()

    def test_an_output_by_uri(self, predictor, table, tmp_path):
        predict_table(predictor, table, (tmp_path / "out").as_uri(), shard_rows=20)
        assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 6


class TestRecords:
    def test_say_what_a_part_is(self, predictor, table, tmp_path):
        predict_table(predictor, table, f"{tmp_path}/out/", shard_rows=20)
        from hashlib import sha256

        job = json.loads((tmp_path / "out" / "_job" / "job.json").read_text(encoding="utf-8"))
        for index in range(6):
            name = f"part-000000-00000{index}"
            text = (tmp_path / "out" / "_job" / f"{name}.json").read_text(encoding="utf-8")
            record = json.loads(text)
            assert record["part"] == f"{name}.parquet"
            content = (tmp_path / "out" / record["part"]).read_bytes()
            assert record["sha256"] == sha256(content).hexdigest()
            assert (record["first_row"], record["last_row"]) == (index * 20 + 1, min(103, index * 20 + 20))
            assert record["counts"]["num_rows"] == record["last_row"] - record["first_row"] + 1
            assert (
                record["model"]
                == job["model"]
                == {
                    "sha256": predictor.sha256,
                    "precision": "float32",
                }
            )
            assert record["table"] == job["tables"][0]
        ended = json.loads((tmp_path / "out" / "_job" / "table-000000.json").read_text(encoding="utf-8"))
        assert ended["num_rows"] == NUM_ROWS
        report = json.loads((tmp_path / "out" / "_job" / "report.json").read_text(encoding="utf-8"))
        assert report["num_rows"] == NUM_ROWS

    def test_the_folder_is_one_table_to_others(self, predictor, table, tmp_path):
        predict_table(predictor, table, f"{tmp_path}/out/", shard_rows=20)
        found = pa.dataset.dataset(tmp_path / "out", format="parquet").to_table()
        assert found.column("id").to_pylist() == [f"{i:03}" for i in range(NUM_ROWS)]
        with (tmp_path / "in.csv").open(encoding="utf-8", newline="") as file:
            assert found.column("text").to_pylist() == [row["text"] for row in csv.DictReader(file)]
