"""Tables in folders, by patterns, and behind pyarrow's filesystems; folders that jobs write into."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from bertblocks.data.finding import find_tables
from bertblocks.data.locations import file_state, location_of
from bertblocks.data.places import LocalFolder, RemoteFolder, place_of
from bertblocks.data.tables import check_alike, open_table, open_tables
from bertblocks.errors import DataError

CSV = b"n,text\n1,one\n2,two\n"


def names(source, **options):
    return [str(location) for location in find_tables(source, **options).locations]


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "tables"
    for name in ("b.csv", "a.csv", "deep/er/c.csv", ".hidden.csv", "_job/d.csv", "deep/.x/e.csv", "notes.md"):
        path = inside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CSV)
    return inside


@pytest.fixture(params=["subtree", "mock"])
def remote(request, tmp_path):
    """A filesystem that is not this machine's, as far as anybody can tell."""
    if request.param == "subtree":
        (tmp_path / "store").mkdir()
        return fs.SubTreeFileSystem(str(tmp_path / "store"), fs.LocalFileSystem())
    return fs._MockFileSystem()


def put(filesystem, path, content):
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(path, compression=None) as file:
        file.write(content)


class TestFolders:
    def test_a_folder_by_name_without_what_is_hidden(self, folder):
        found = find_tables(folder)
        expected = ["a.csv", "b.csv", "deep/er/c.csv"]
        assert [path.relative_to(folder).as_posix() for path in found.locations] == expected
        assert [Path(name).name for name in found.others] == ["notes.md"]

    def test_patterns(self, folder):
        assert names(f"{folder}/*.csv") == [f"{folder}/a.csv", f"{folder}/b.csv"]
        assert names(f"{folder}/**/c.csv") == [f"{folder}/deep/er/c.csv"]
        assert names(f"{folder}/[b-z].csv") == [f"{folder}/b.csv"]
        odd = folder / "odd[1].csv"
        odd.write_bytes(CSV)
        assert names(odd) == [str(odd)], "a file of that name is no pattern"

    def test_nothing_found(self, folder, tmp_path):
        with pytest.raises(DataError, match=r"\*\.tsv has no tables in it"):
            find_tables(f"{folder}/*.tsv")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="has no tables in it"):
            find_tables(tmp_path / "empty")
        with pytest.raises(DataError, match=r"notes\.md"):
            find_tables(f"{folder}/*.md")
        with pytest.raises(DataError, match=r"none\.csv does not exist"):
            open_tables(tmp_path / "none.csv")

    def test_what_is_passed_over_is_said(self, folder):
        (folder / "c.csv").write_bytes(b"n,text\n")
        (folder / "d.csv").write_bytes(b"")
        said: list[str] = []
        tables = open_tables(folder, say=said.append)
        assert [table.path.name for table in tables] == ["a.csv", "b.csv", "c.csv"]
        assert [table.path.parent.name for table in tables][-1] == "er"
        assert "notes.md" in said[0] and "no rows" in said[1] and "d.csv" in said[1]

    def test_only_tables_without_rows(self, tmp_path):
        for name in "ab":
            (tmp_path / f"{name}.csv").write_bytes(b"n,text\n")
        with pytest.raises(DataError, match="has no table with a row"):
            open_tables(tmp_path)

    def test_tables_that_differ(self, tmp_path):
        (tmp_path / "a.csv").write_bytes(CSV)
        (tmp_path / "b.csv").write_bytes(b"n,other\n1,x\n")
        (tmp_path / "c.csv").write_bytes(b"text,n,more\nx,1,y\n")
        a, b, c = open_tables(tmp_path)
        with pytest.raises(DataError, match=r"b\.csv has no column 'text'"):
            check_alike([a, b])
        with pytest.raises(DataError, match=r"c\.csv has the columns \['more'\], which .*a\.csv has not"):
            check_alike([a, c])
        check_alike([a, c], ["n", "text"])
        check_alike([a, b], ["n"])


class TestFilesystems:
    @pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "parquet", "xlsx"])
    def test_every_format_is_read(self, remote, tmp_path, ending):
        path = tmp_path / f"t.{ending}"
        if ending == "parquet":
            pq.write_table(pa.table({"n": ["1", "2"], "text": ["one", "two"]}), path)
        elif ending == "xlsx":
            workbook = openpyxl.Workbook()
            for row in (["n", "text"], ["1", "one"], ["2", "two"]):
                workbook.active.append(row)
            workbook.save(path)
        else:
            lines = b'{"n": "1", "text": "one"}\n{"n": "2", "text": "two"}\n'
            path.write_bytes({"csv": CSV, "csv.gz": gzip.compress(CSV), "jsonl": lines}[ending])
        put(remote, f"bucket/{path.name}", path.read_bytes())
        table = open_table(f"bucket/{path.name}", filesystem=remote)
        for _ in range(2):
            (batch,) = table.batches()
            assert batch.columns == {"n": ["1", "2"], "text": ["one", "two"]}
        assert str(table.path) == f"bucket/{path.name}" and table.path.name == path.name
        state = file_state(table.path)
        assert state.size == path.stat().st_size and len(state.ends_sha256) == 64

    def test_folders_and_patterns(self, remote):
        for name in ("b.csv", "a.csv", "deep/c.csv", "_job/d.csv", "deep/.x/e.csv", "notes.md"):
            put(remote, f"bucket/tables/{name}", CSV)
        base = "bucket/tables"
        assert names(base, filesystem=remote) == [
            f"{base}/{name}" for name in ("a.csv", "b.csv", "deep/c.csv")
        ]
        assert names(f"{base}/", filesystem=remote) == names(base, filesystem=remote)
        assert names(f"{base}/*.csv", filesystem=remote) == [f"{base}/a.csv", f"{base}/b.csv"]
        assert f"{base}/deep/c.csv" in names("bucket/**/*.csv", filesystem=remote)
        assert names(f"{base}/[!a].csv", filesystem=remote) == [f"{base}/b.csv"]
        assert names(f"{base}/a.csv", filesystem=remote) == [f"{base}/a.csv"]
        with pytest.raises(DataError, match="has no tables in it"):
            find_tables(f"{base}/*.tsv", remote)

    def test_what_is_not_there(self, remote):
        with pytest.raises(DataError, match=r"bucket/none\.csv does not exist"):
            open_table("bucket/none.csv", filesystem=remote)
        put(remote, "bucket/empty.csv", b"")
        with pytest.raises(DataError, match="is empty"):
            open_table("bucket/empty.csv", filesystem=remote)
        remote.create_dir("bucket/folder.csv")
        with pytest.raises(DataError, match="is a folder"):
            open_table("bucket/folder.csv", filesystem=remote)

    def test_file_uris_are_this_machine(self, tmp_path):
        path = tmp_path / "a b.csv"
        path.write_bytes(CSV)
        assert location_of(path.as_uri()) == path
        assert names(path.as_uri()) == [str(path)]
        assert open_table(path.as_uri()).columns == ("n", "text")
        assert names(tmp_path.as_uri()) == [str(path)]

    def test_uris_that_lead_nowhere(self):
        for uri in ("nothing://bucket/t.csv", "memory://t.csv"):
            with pytest.raises(DataError, match=r"cannot be reached: .*Known are"):
                open_table(uri)

    def test_a_table_elsewhere_can_be_pickled(self, tmp_path):
        (tmp_path / "t.csv").write_bytes(CSV)
        filesystem = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
        table = pickle.loads(pickle.dumps(open_table("t.csv", filesystem=filesystem)))
        assert next(iter(table.batches())).columns["n"] == ["1", "2"]


class TestPlaces:
    @pytest.fixture(params=["local", "subtree", "mock"])
    def place(self, request, tmp_path):
        if request.param == "local":
            return place_of(tmp_path / "out")
        if request.param == "mock":
            return place_of("bucket/out/", fs._MockFileSystem())
        return place_of("out", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))

    def test_files_come_and_go(self, place):
        assert place.names() == [] and place.names("_job") == []
        assert place.read_text("_job/a.json") is None and place.sha256("x") is None
        place.write_text("_job/a.json", "grüße\n")
        hashed = place.put("part.bin", lambda path: path.write_bytes(b"0" * 3_000_000) and None)
        assert place.names() == ["part.bin"] and place.names("_job") == ["a.json"]
        assert place.read_text("_job/a.json") == "grüße\n" and place.sha256("part.bin") == hashed
        place.write_text("_job/a.json", "other")
        assert place.read_text("_job/a.json") == "other"
        for _ in range(2):
            place.remove("part.bin")
            place.remove("_job/a.json")
        assert place.names() == [] and place.names("_job") == []

    def test_what_fails_leaves_nothing(self, place):
        def fail(path):
            path.write_bytes(b"half")
            raise RuntimeError

        with pytest.raises(RuntimeError):
            place.put("part.bin", fail)
        assert place.names() == []

    def test_kinds(self, tmp_path):
        assert place_of(f"file://{tmp_path}/out/") == LocalFolder(path=tmp_path / "out")
        assert place_of("some/where/") == LocalFolder(path=Path("some/where"))
        filesystem = fs._MockFileSystem()
        assert place_of("bucket/x/", filesystem) == RemoteFolder(
            filesystem=filesystem, path="bucket/x", uri="bucket/x"
        )
