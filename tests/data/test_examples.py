from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bertblocks.blocks import Task
from bertblocks.data.examples import Example, RowReport, read_examples
from bertblocks.data.tables import open_table
from bertblocks.data.target_arrays import TargetReader
from bertblocks.errors import ConfigError, DataError


def _table(folder: Path, content: str, name: str = "t.csv"):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return open_table(path)


def test_columns_become_examples(tmp_path):
    table = _table(tmp_path, "id,a,b,score,language\n1,one,eins,0.5,de\n2,two,zwei,1.0,\n")
    assert list(read_examples(table, text="a", pair="b", target="score", group="language")) == [
        Example(row=1, text="one", pair="eins", target="0.5", group="de"),
        Example(row=2, text="two", pair="zwei", target="1.0", group=None),
    ]
    assert next(read_examples(table, text="a")) == Example(row=1, text="one")


def test_a_bad_row_is_an_error_that_names_file_row_and_column(tmp_path):
    table = _table(tmp_path, "text,label\na,x\n  ,y\nc,\nd\n,z\n")
    with pytest.raises(DataError) as caught:
        list(read_examples(table, text="text", target="label"))
    message = str(caught.value)
    assert str(table.path) in message
    assert "row 2 (line 3), column 'text': the text is blank" in message
    assert "row 3 (line 4), column 'label': the target is missing" in message
    assert "row 4 (line 5): 1 cell," in message
    assert "and 1 more" in message
    assert "--skip-bad-rows" in message


def test_bad_rows_can_be_left_out_and_are_counted(tmp_path):
    table = _table(tmp_path, "text,label\na,x\n  ,y\nc,\nd\n,z\ne,w\n")
    report = RowReport()
    examples = list(read_examples(table, text="text", target="label", on_bad_row="skip", report=report))
    assert [example.row for example in examples] == [1, 6]
    assert (report.num_rows, report.total_skipped) == (6, 4)
    assert report.num_skipped == {"missing value": 3, "malformed row": 1}
    assert [problem.row for problem in report.first["missing value"]] == [2, 3, 5]
    first, *rest = report.summary().splitlines()
    assert first == "4 of 6 rows were left out"
    assert rest[0].startswith("  missing value, 3: row 2 (line 3), column 'text'")
    assert RowReport(num_rows=3).summary() == ""


def test_the_report_keeps_only_the_first_of_each_kind(tmp_path):
    table = _table(tmp_path, "text,label\n" + ",x\n" * 5000 + "a,x\n")
    report = RowReport()
    assert len(list(read_examples(table, text="text", on_bad_row="skip", report=report))) == 1
    assert report.num_skipped["missing value"] == 5000
    assert len(report.first["missing value"]) == 3
    assert report.summary().endswith(", ...")


def test_numbers_count_as_text_but_lists_and_truth_values_do_not(tmp_path):
    values = [3, 2.5, "a", True, ["b"], {"c": 1}, None, float("nan")]
    table = _table(tmp_path, "\n".join(json.dumps({"text": value}) for value in values), "t.jsonl")
    report = RowReport()
    examples = list(read_examples(table, text="text", on_bad_row="skip", report=report))
    assert [example.text for example in examples] == ["3", "2.5", "a"]
    assert report.num_skipped == {"wrong type": 3, "missing value": 2}
    assert "found True (bool)" in str(report.first["wrong type"][0])


def test_targets_keep_their_type_and_dictionaries_are_refused(tmp_path):
    values = ["a", 1, 2.5, True, ["x"], [], {"c": 1}, float("nan"), " "]
    lines = "\n".join(json.dumps({"text": "t", "y": value}) for value in values)
    report = RowReport()
    examples = list(
        read_examples(
            _table(tmp_path, lines, "t.jsonl"), text="text", target="y", on_bad_row="skip", report=report
        )
    )
    assert [example.target for example in examples] == ["a", 1, 2.5, True, ["x"], []]
    assert report.num_skipped == {"missing value": 2, "wrong type": 1}


def test_a_known_task_names_the_only_targets(tmp_path):
    numbers = _table(tmp_path, 'text,y\na,3.5\nb,"3,5"\nc,4\n')
    report = RowReport()
    read = {"text": "text", "target": "y", "on_bad_row": "skip", "report": report}
    examples = list(read_examples(numbers, task=Task(kind="regression"), **read))
    assert [example.target for example in examples] == ["3.5", "4"]
    assert report.num_skipped == {"unusable target": 1}
    assert "write 3.5, not 3,5" in str(report.first["unusable target"][0])
    labels = _table(tmp_path, "text,y\na,1.0\nb,x;1\nc,x|1\nd,\n")
    task = Task(kind="multilabel", labels=("1", "x"))
    with pytest.raises(
        DataError,
        match=r"'x;1' is unknown \(labels are separated by '\|' here; .*\)\. Known labels: '1', 'x'\. Mend",
    ):
        list(read_examples(labels, text="text", target="y", task=task, label_separator="|"))
    problem = TargetReader(task).problem
    assert problem("x|1")[1].endswith("say with --label-separator what stands between them)")
    assert problem("other")[1] == "the label 'other' is unknown" and problem("x") is None
    with pytest.raises(ConfigError, match="label_separator is empty"):
        read_examples(labels, text="text", target="y", label_separator="")


def test_wrong_columns_are_errors_before_anything_is_read(tmp_path):
    table = _table(tmp_path, "text,label\na,b\n")
    with pytest.raises(DataError, match=r"t\.csv has no column 'Texts' \(did you mean 'text'\?\)"):
        read_examples(table, text="Texts", target="label")
    with pytest.raises(ConfigError, match="'text' cannot be two of text, pair, target and weight"):
        read_examples(table, text="text", target="text")
    with pytest.raises(ConfigError, match="on_bad_row is 'ignore'"):
        read_examples(table, text="text", on_bad_row="ignore")


def test_a_table_without_one_usable_row_is_an_error(tmp_path):
    table = _table(tmp_path, "text,label\n,b\n,c\n")
    with pytest.raises(DataError, match=r"no row can be used\. 2 of 2 rows were left out"):
        list(read_examples(table, text="text", on_bad_row="skip"))


def test_undecodable_rows_are_bad_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"text,label\nok,a\ncaf\xe9,b\n")
    with pytest.raises(DataError, match=r"row 2 \(line 3\), column 'text': byte 0xe9 .*--encoding cp1252"):
        list(read_examples(open_table(path), text="text"))
    assert [e.row for e in read_examples(open_table(path), text="text", on_bad_row="skip")] == [1]
    for name, line in (("many.csv", b"caf\xe9,b\n"), ("many.jsonl", b'{"text": "caf\xe9"}\n')):
        many = tmp_path / name
        many.write_bytes((b"text,label\n" if name == "many.csv" else b'{"text": "x"}\n') + line * 5)
        with pytest.raises(DataError) as caught:
            list(read_examples(open_table(many), text="text"))
        # What is wrong with each row, and once what mends them all.
        assert str(caught.value).count("byte 0xe9") == 3
        assert str(caught.value).count("--encoding cp1252") == 1
        report = RowReport()
        with suppress(DataError):
            list(read_examples(open_table(many), text="text", on_bad_row="skip", report=report))
        assert report.summary().count("--encoding cp1252") == 1
    assert [e.text for e in read_examples(open_table(path, encoding="cp1252"), text="text")] == ["ok", "café"]


def test_tables_load_neither_torch_nor_what_only_some_tables_need():
    heavy = ("torch", "pyarrow", "openpyxl", "sklearn", "pandas")
    program = f"import sys, bertblocks.data; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
