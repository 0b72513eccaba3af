from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bertblocks.assembly import load_model
from bertblocks.errors import BertBlocksError, ConfigError, DataError, MissingPackageError
from bertblocks.inference import Predictor
from bertblocks.training import RUN_FILE, EpochDone, StepDone, TableRun, TrainingSettings, train_table
from bertblocks.training.checkpoint import BEST, CHECKPOINT
from bertblocks.training.work_folder import MODEL_FOLDER
from tiny_tables import CLUES, class_texts, label_lists, numbers, write_csv

QUICK = {"precision": "float32", "device": "cpu", "batch_tokens": 256, "epochs": 2, "checkpoint_every_s": 0}


@pytest.fixture
def table(tmp_path):
    texts, labels = class_texts(90, tuple(CLUES))
    return write_csv(tmp_path / "table.csv", {"text": texts, "label": labels, "group": ["a", "b", ""] * 30})


@pytest.fixture
def run_of(tiny_encoder, tmp_path, table):
    def make(output="model", training=None, **changed):
        options = {
            "table": str(table),
            "text": "text",
            "target": "label",
            "encoder": str(tiny_encoder("cased")),
            "baseline": False,
            **changed,
        }
        return TableRun(
            **options,
            output=str(tmp_path / output),
            training=TrainingSettings(**{**QUICK, **(training or {})}),
        )

    return make


class KilledError(Exception):
    """Stands for a kill, at a moment that the test chooses."""


def killed_at(step):
    def listen(event):
        if isinstance(event, StepDone) and event.step == step:
            raise KilledError

    return listen


EVERYTHING = ["model", "model-evaluation", "table.csv", "whole", "whole-evaluation"]


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def same_model(one, other):
    return (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_what_a_run_leaves(run_of, tmp_path):
    said, told = [], []
    finished = train_table(run_of(), on_event=told.append, say=said.append)
    folder = tmp_path / "model"
    assert finished.folder == folder
    assert {
        "bertblocks.json",
        "config.json",
        "model.safetensors",
        "metrics.json",
        "run.json",
        "training.jsonl",
    } <= {*files(folder)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model-evaluation", "table.csv"]
    record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    assert record["settings"]["training"]["epochs"] == 2
    assert record["resolved"]["learning_rate"] == 1e-4 and record["resolved"]["patience"] >= 1
    assert record["outcome"] == "all epochs done" and record["precision"] == "float32"
    assert record["train_rows"] == 81 and record["validation_rows"] == 9
    lines = [
        json.loads(line) for line in (folder / "training.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["event"] for line in lines].count("epoch") == 2
    assert len(lines) == sum(isinstance(event, StepDone | EpochDone) for event in told)
    assert "90 rows" in said[0] and "'bad', 'colour', 'good'" in said[0] and "9 of the rows" in said[1]


def test_too_many_groups_are_found_before_training(run_of, monkeypatch):
    monkeypatch.setattr("bertblocks.evaluation.evaluations.MAX_GROUPS", 2)
    events = []
    with pytest.raises(DataError, match=r"table.csv: The group column 'group' has more than 2 different"):
        train_table(run_of(group_by="group"), on_event=events.append)
    assert events == []


def test_the_evaluation_is_of_the_held_out_rows_by_the_saved_model(run_of, tmp_path):
    finished = train_table(run_of(group_by="group"))
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics == finished.evaluation.to_json()
    assert metrics["rows"] == 9 and metrics["baseline"] is None
    assert sorted(group["group"] for group in metrics["groups"]) == ["(none)", "a", "b"]
    predictor = Predictor.load(tmp_path / "model", precision="float32", device="cpu")
    texts, _ = class_texts(90, tuple(CLUES))
    one = Predictor(finished.trained.model, precision="float32", device="cpu").predict(texts)
    assert np.array_equal(predictor.predict(texts).scores, one.scores)
    assert load_model(tmp_path / "model").graph.target.column == "label"


def test_the_baseline_stands_beside(run_of, tmp_path):
    said = []
    finished = train_table(run_of(baseline=True), say=said.append)
    assert finished.evaluation.baseline is not None
    assert finished.evaluation.baseline.metrics["accuracy"] is not None
    assert any("baseline" in sentence for sentence in said)


def test_a_table_of_its_own_for_validation(run_of, tmp_path):
    texts, labels = class_texts(12, tuple(CLUES), seed=5)
    other = write_csv(tmp_path / "dev.csv", {"text": texts, "label": labels})
    finished = train_table(run_of(validation=str(other)))
    record = json.loads((tmp_path / "model" / RUN_FILE).read_text(encoding="utf-8"))
    assert (record["train_rows"], record["validation_rows"]) == (90, 12)
    assert finished.evaluation.overall.num_rows == 12


def test_a_label_that_only_the_validation_table_has_is_named_with_its_place(run_of, tmp_path):
    other = write_csv(tmp_path / "dev.csv", {"text": ["the film", "food"], "label": ["bad", "ugly"]})
    with pytest.raises(
        DataError, match=r"dev\.csv, row 2 \(line 3\), column 'label': the label 'ugly' is unk"
    ):
        train_table(run_of(validation=str(other)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.csv", "table.csv"]


@pytest.mark.parametrize(
    ("labels", "options", "problem"),
    [
        (["good", "good", "good"], {}, "Column 'label' has one class only"),
        (
            ["1.5", "2.5", "x"],
            {"task": "regression"},
            "row 3 (line 4), column 'label': expected a number, found 'x'",
        ),
        (["a", "b", "c"], {"task": "classification"}, "3 rows are too few"),
    ],
)
def test_targets_that_cannot_be_learnt_are_named_with_their_table(run_of, tmp_path, labels, options, problem):
    table = write_csv(tmp_path / "odd.csv", {"text": ["the film", "food", "room"], "label": labels})
    with pytest.raises(DataError) as caught:
        train_table(run_of(table=str(table), **options))
    assert str(caught.value).startswith(str(table)) and problem in str(caught.value)


def test_rows_without_a_number_are_left_out_of_a_regression(run_of, tmp_path):
    texts, values = numbers(40)
    table = write_csv(tmp_path / "n.csv", {"text": texts, "label": [*map(str, values[:-2]), "inf", "n/a?"]})
    said = []
    train_table(run_of(table=str(table), task="regression", skip_bad_rows=True), say=said.append)
    assert any("2 of 40 rows were left out" in sentence for sentence in said), said
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text(encoding="utf-8"))
    assert sum(metrics["skipped_in_training"].values()) == 2


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan"), "0", "2"])
def test_a_share_that_is_none(run_of, share):
    with pytest.raises(ConfigError, match="must be a table or a share between 0 and 1"):
        train_table(run_of(validation=share))


def test_several_labels_by_a_separator(run_of, tmp_path):
    texts, labels = label_lists(60)
    table = write_csv(
        tmp_path / "many.csv", {"text": texts, "label": ["|".join(row) or "none" for row in labels]}
    )
    finished = train_table(run_of(table=str(table), label_separator="|"))
    assert finished.trained.model.task.kind == "multilabel"
    assert finished.trained.model.task.labels == ("CAT", "DOG", "none")


def test_a_regression(run_of, tmp_path):
    texts, values = numbers(60)
    table = write_csv(tmp_path / "n.csv", {"text": texts, "label": [value + 0.5 for value in values]})
    finished = train_table(run_of(table=str(table), baseline=True))
    assert finished.trained.model.task.kind == "regression"
    assert finished.evaluation.overall["mae"] is not None


@pytest.mark.parametrize("freeze_encoder", [False, True])
def test_a_killed_run_that_is_resumed_equals_the_uninterrupted_one(run_of, tmp_path, freeze_encoder):
    options = {"freeze_encoder": freeze_encoder}
    train_table(run_of("whole", **options))
    for step in (1, 3):
        with pytest.raises(KilledError):
            train_table(run_of("killed", **options), resume=True, on_event=killed_at(step))
        assert (tmp_path / "killed.unfinished").is_dir() and not (tmp_path / "killed").exists()
    train_table(run_of("killed", **options), resume=True)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert same_model(whole, killed)
    assert files(whole) == files(killed)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "killed",
        "killed-evaluation",
        "table.csv",
        "whole",
        "whole-evaluation",
    ]
    for name in ("metrics.json", "bertblocks.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
    logs = [
        [
            {key: value for key, value in json.loads(line).items() if key != "seconds"}
            for line in (folder / "training.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for folder in (whole, killed)
    ]
    assert logs[0] == logs[1]


def test_resume_with_nothing_there_begins_anew(run_of, tmp_path):
    train_table(run_of("plain"))
    train_table(run_of("resumed"), resume=True)
    assert same_model(tmp_path / "plain", tmp_path / "resumed")


class TestResumeRefuses:
    @pytest.fixture
    def unfinished(self, run_of, tmp_path):
        with pytest.raises(KilledError):
            train_table(run_of(), on_event=killed_at(3))
        return tmp_path / "model.unfinished"

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"training": {"seed": 1}}, r"settings\.training\.seed \(0 then, 1 now\)"),
            ({"training": {"epochs": 3}}, r"settings\.training\.epochs \(2 then, 3 now\)"),
            ({"pooling": "max"}, r"settings\.pooling \(None then, 'max' now\)"),
            ({"validation": 0.2}, r"settings\.validation \(0\.1 then, 0\.2 now\)"),
        ],
    )
    def test_other_settings(self, run_of, unfinished, changed, named):
        before = {path: path.read_bytes() for path in unfinished.iterdir()}
        with pytest.raises(ConfigError, match=rf"belongs to another run, which differs in .*{named}"):
            train_table(run_of(**changed), resume=True)
        assert {path: path.read_bytes() for path in unfinished.iterdir()} == before

    def test_other_data(self, run_of, unfinished, table):
        content = table.read_text(encoding="utf-8")
        table.write_text(content.replace("film", "food"), encoding="utf-8")
        with pytest.raises(ConfigError, match="differs in train_sha256"):
            train_table(run_of(), resume=True)

    def test_labels_of_other_names(self, run_of, unfinished, table):
        content = table.read_text(encoding="utf-8")
        table.write_text(content.replace(",good,", ",fine,"), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"differs in .*task\.labels"):
            train_table(run_of(), resume=True)

    def test_but_not_what_changes_no_weight(self, run_of, unfinished, tmp_path):
        train_table(run_of(group_by="group", training={"checkpoint_every_s": 60}), resume=True)
        record = json.loads((tmp_path / "model" / RUN_FILE).read_text(encoding="utf-8"))
        assert record["settings"]["group_by"] == "group"
        train_table(run_of("whole"))
        assert same_model(tmp_path / "model", tmp_path / "whole")

    def test_another_encoder_by_the_same_name(self, run_of, tiny_encoder, tmp_path):
        encoder = tmp_path / "encoder"
        shutil.copytree(tiny_encoder("cased"), encoder)
        run = run_of(encoder=str(encoder))
        with pytest.raises(KilledError):
            train_table(run, on_event=killed_at(3))
        weights = load_file(encoder / "model.safetensors")
        save_file({name: tensor + 1 for name, tensor in weights.items()}, encoder / "model.safetensors")
        with pytest.raises(ConfigError, match=r"differs in encoder_sha256\..*/model\.safetensors"):
            train_table(run, resume=True)

    def test_but_goes_on_with_another_number_of_threads_and_says_so(self, run_of, unfinished, tmp_path):
        said = []
        torch.set_num_threads(2)  # The fixture of all tests here restores it.
        train_table(run_of(), resume=True, say=said.append)
        assert any("threads (1 then, 2 now)" in sentence for sentence in said)
        assert (tmp_path / "model" / "bertblocks.json").is_file()

    def test_a_record_that_is_none(self, run_of, unfinished):
        (unfinished / RUN_FILE).write_text("[]", encoding="utf-8")
        with pytest.raises(ConfigError, match="not the record of a run"):
            train_table(run_of(), resume=True)


class TestPlaces:
    def test_two_runs_at_once(self, run_of, tmp_path):
        def begin_another(event):
            if isinstance(event, StepDone):
                for resume in (False, True):
                    with pytest.raises(ConfigError, match=r"Another process is training in .*unfinished"):
                        train_table(run_of(training={"epochs": 1}), resume=resume)

        # Also once there is a checkpoint, which nobody should be told to remove.
        train_table(run_of(training={"epochs": 1, "checkpoint_every_s": 0}), on_event=begin_another)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model-evaluation", "table.csv"]

    def test_an_output_that_is_there_is_left_alone(self, run_of, tmp_path):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "mine.txt").write_text("mine", encoding="utf-8")
        told = []
        for resume in (False, True):
            with pytest.raises(ConfigError, match="is there already; choose another --output"):
                train_table(run_of(), resume=resume, on_event=told.append, say=told.append)
        assert told == [] and files(tmp_path / "model") == ["mine.txt"]
        assert not (tmp_path / "model.unfinished").exists()

    def test_an_output_that_is_a_file(self, run_of, tmp_path):
        (tmp_path / "model").write_text("mine", encoding="utf-8")
        with pytest.raises(ConfigError, match="is there already"):
            train_table(run_of())

    def test_an_empty_folder_is_filled(self, run_of, tmp_path):
        (tmp_path / "model").mkdir()
        train_table(run_of())
        assert (tmp_path / "model" / "bertblocks.json").is_file()

    def test_a_link_to_an_empty_folder_is_filled(self, run_of, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        try:
            (tmp_path / "model").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        except OSError:
            pytest.skip("this system lets nobody make links")
        train_table(run_of())
        assert (tmp_path / "elsewhere" / "bertblocks.json").is_file()

    def test_parents_of_the_output_are_made(self, run_of, tmp_path):
        train_table(run_of("a/b/model"))
        assert (tmp_path / "a" / "b" / "model" / "bertblocks.json").is_file()

    def test_an_unfinished_run_is_not_lost_by_mistake(self, run_of, tmp_path):
        with pytest.raises(KilledError):
            train_table(run_of(), on_event=killed_at(3))
        with pytest.raises(ConfigError, match="holds a run that did not finish; go on with it by --resume"):
            train_table(run_of())
        assert (tmp_path / "model.unfinished" / CHECKPOINT).exists()

    def test_a_run_that_had_computed_nothing_is_in_nobodys_way(self, run_of, tmp_path):
        with pytest.raises(KilledError):
            train_table(run_of(training={"seed": 1}), on_event=killed_at(1))
        assert files(tmp_path / "model.unfinished") == ["lock", RUN_FILE, "training.jsonl"]
        train_table(run_of())
        assert (tmp_path / "model" / "bertblocks.json").is_file()

    def test_a_folder_of_somebody_else_by_this_name_is_left_alone(self, run_of, tmp_path):
        (tmp_path / "model.unfinished").mkdir()
        (tmp_path / "model.unfinished" / "novel.txt").write_text("mine", encoding="utf-8")
        for resume in (False, True):
            with pytest.raises(ConfigError, match="is not a run's"):
                train_table(run_of(), resume=resume)
        assert files(tmp_path / "model.unfinished") == ["novel.txt"]

    def test_an_error_late_in_a_run_leaves_what_was_computed(self, run_of, tmp_path):
        late = {"learning_rate": 1e30, "epochs": 30, "checkpoint_every_s": 0.0}
        with pytest.raises(ConfigError, match="Lower the learning rate"):
            train_table(run_of(training=late))
        assert "run.json" in files(tmp_path / "model.unfinished")


class TestErrorsOfTheCaller:
    """They leave nothing behind, so that the mended command runs."""

    def fails(self, run, message):
        with pytest.raises(BertBlocksError, match=message):
            train_table(run)

    @pytest.mark.parametrize("freeze_encoder", [False, True])
    def test_leave_no_work_folder(self, run_of, tmp_path, freeze_encoder):
        early = {"learning_rate": 1e30, "epochs": 30, "checkpoint_every_s": 120.0}
        run = run_of(freeze_encoder=freeze_encoder, training=early)
        self.fails(run, "Lower the learning rate")
        assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
        train_table(run_of(freeze_encoder=freeze_encoder))

    def test_come_before_the_baseline_and_the_encoder(self, run_of, tmp_path):
        for training, message in (
            ({"metric": "rmse"}, "metric is 'rmse', but a classification task has loss"),
            ({"device": "tpu"}, "device is 'tpu'"),
        ):
            said = []
            with pytest.raises(ConfigError, match=message):
                train_table(run_of(baseline=True, training=training), say=said.append)
            assert not any("baseline" in sentence for sentence in said)
            assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]

    def test_come_before_the_table_is_read(self, run_of, tmp_path):
        missing = {"table": str(tmp_path / "no.csv")}
        for changed, message in (
            ({"encoder": "no-such"}, "no encoder 'no-such'"),
            ({"training": {"device": "tpu"}, **missing}, "device is 'tpu'"),
            ({"validation": 0.0, **missing}, "must be a table or a share"),
            ({"validation": "nofile.csv"}, "nofile.csv"),
        ):
            said = []
            with pytest.raises(BertBlocksError, match=message):
                train_table(run_of(**changed), say=said.append)
            assert said == [] and [path.name for path in tmp_path.iterdir()] == ["table.csv"]

    def test_an_output_that_cannot_be_made(self, run_of, tmp_path):
        with pytest.raises(ConfigError, match=r"which cannot be made: .*Choose another --output"):
            train_table(run_of(output="table.csv/model"))

    def test_leave_no_parents_that_were_made_for_them(self, run_of, tmp_path):
        self.fails(run_of(output="a/b/model", text="no such column"), "no such column")
        assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]

    def test_sequence_lengths(self, run_of):
        self.fails(run_of(sequence_length=0), "sequence_length 0")
        self.fails(run_of(sequence_length=513), "sequence_length 513")
        self.fails(run_of(sequence_length=200), "position table ends at 128: set sequence_length=128")

    def test_class_weights_of_a_regression(self, run_of, tmp_path):
        texts, values = numbers(30)
        table = write_csv(tmp_path / "n.csv", {"text": texts, "label": [value + 0.5 for value in values]})
        self.fails(run_of(table=str(table), training={"class_weight": "auto"}), "no effect on a regression")

    def test_a_resumed_run_that_fails_is_kept(self, run_of, tmp_path):
        training = {"learning_rate": 1e30, "epochs": 30}
        with pytest.raises(KilledError):
            train_table(run_of(training=training), on_event=killed_at(1))
        with pytest.raises(ConfigError, match="Lower the learning rate"):
            train_table(run_of(training=training), resume=True)
        assert (tmp_path / "model.unfinished" / RUN_FILE).is_file()


class TestKilledAtTheEnd:
    """Between the model's last byte and the removal of the work folder."""

    @pytest.fixture
    def whole(self, run_of, tmp_path):
        train_table(run_of("whole"))
        return tmp_path / "whole"

    @pytest.mark.parametrize("where", ["evaluate_run", "move_to_output", "write_record"])
    def test_a_kill_while_saving(self, run_of, tmp_path, whole, monkeypatch, where):
        def die(*arguments, **options):
            raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(f"bertblocks.training.table_training.{where}", die)
            with pytest.raises(KilledError):
                train_table(run_of())
        train_table(run_of(), resume=True)
        assert same_model(tmp_path / "model", whole)
        assert sorted(path.name for path in tmp_path.iterdir()) == EVERYTHING

    def test_a_kill_after_the_model_has_moved(self, run_of, tmp_path, whole, monkeypatch):
        def die_after_the_move(work):
            if (tmp_path / "model").exists():
                raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr("bertblocks.training.work_folder.empty", die_after_the_move)
            with pytest.raises(KilledError):
                train_table(run_of())
        # The model has moved; the work folder is still there, in part or as a whole.
        assert (tmp_path / "model" / "bertblocks.json").is_file()
        assert (tmp_path / "model.unfinished").is_dir()
        (tmp_path / "model.unfinished" / RUN_FILE).unlink()
        said = []
        finished = train_table(run_of(), resume=True, say=said.append)
        assert said[-1].startswith("This run had finished before")
        assert finished.evaluation.to_json() == json.loads(
            (tmp_path / "model" / "metrics.json").read_text(encoding="utf-8")
        )
        assert same_model(tmp_path / "model", whole)
        assert not (tmp_path / "model.unfinished").exists()

    def test_a_model_half_written_in_the_work_folder(self, run_of, tmp_path, whole):
        late = killed_at(4)
        with pytest.raises(KilledError):
            train_table(run_of(), on_event=late)
        half = tmp_path / "model.unfinished" / f".{MODEL_FOLDER}.0123456789ab.partial"
        half.mkdir()
        (half / "model.safetensors").write_bytes(b"half")
        train_table(run_of(), resume=True)
        assert same_model(tmp_path / "model", whole)
        assert sorted(path.name for path in tmp_path.iterdir()) == EVERYTHING


def test_resuming_a_finished_run_gives_its_figures_and_changes_nothing(run_of, tmp_path):
    first = train_table(run_of(baseline=True))
    before = {name: (tmp_path / "model" / name).read_bytes() for name in files(tmp_path / "model")}
    again = train_table(run_of(baseline=True), resume=True)
    assert again.evaluation.to_json() == first.evaluation.to_json()
    assert again.trained.settings == first.trained.settings
    assert {name: (tmp_path / "model" / name).read_bytes() for name in files(tmp_path / "model")} == before
    with pytest.raises(ConfigError, match=r"belongs to another run.*seed"):
        train_table(run_of(baseline=True, training={"seed": 1}), resume=True)


def test_the_best_epoch_outlasts_a_kill(run_of, tmp_path):
    texts, labels = class_texts(90, tuple(CLUES), seed=1)
    turned = {"bad": "good", "good": "colour", "colour": "bad"}
    contrary = write_csv(tmp_path / "dev.csv", {"text": texts, "label": [turned[label] for label in labels]})
    training = {"learning_rate": 5e-3, "epochs": 4, "patience": 9, "metric": "loss"}
    options = {"validation": str(contrary), "training": training}
    told = []
    train_table(run_of("whole", **options), on_event=told.append)
    epochs = [event for event in told if isinstance(event, EpochDone)]
    assert not epochs[-1].best
    late = max(event.step for event in told if isinstance(event, StepDone))
    with pytest.raises(KilledError):
        train_table(run_of("killed", **options), on_event=killed_at(late))
    assert (tmp_path / "killed.unfinished" / BEST).is_file()
    train_table(run_of("killed", **options), resume=True)
    assert same_model(tmp_path / "whole", tmp_path / "killed")


def test_tensorboard_events_come_along(run_of, tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(KilledError):
        train_table(run_of(tensorboard=True), on_event=killed_at(3))
    train_table(run_of(tensorboard=True), resume=True)
    folder = tmp_path / "model" / "tensorboard"
    assert len(files(folder)) == 2
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    lines = (tmp_path / "model" / "training.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    expected = [(line["step"], pytest.approx(line["loss"])) for line in steps if line["event"] == "step"]
    assert [(scalar.step, scalar.value) for scalar in found.Scalars("train/loss")] == expected
    assert len(found.Scalars("validation/accuracy")) == 2


def test_a_missing_tensorboard_is_said_before_any_work(run_of, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    said = []
    with pytest.raises(MissingPackageError, match=r"pip install 'bertblocks\[tensorboard\]'"):
        train_table(run_of(tensorboard=True, baseline=True), say=said.append)
    assert not any("baseline" in sentence for sentence in said)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_rows_that_cannot_be_used_are_counted(run_of, tmp_path):
    texts, labels = class_texts(60)
    texts[5], labels[7] = "", ""
    table = write_csv(tmp_path / "holes.csv", {"text": texts, "label": labels})
    with pytest.raises(DataError, match="--skip-bad-rows"):
        train_table(run_of(table=str(table)))
    said = []
    finished = train_table(run_of(table=str(table), skip_bad_rows=True), say=said.append)
    assert "2 of 60 rows were left out" in said[0]
    # Only usable rows are held out: none of those that are evaluated was left out.
    assert finished.evaluation.to_json()["skipped_in_training"] == {"missing value": 2}
    assert finished.evaluation.to_json()["skipped"] == {}
    dev = write_csv(tmp_path / "dev.csv", {"text": ["good", "", "bad"], "label": ["good", "good", "ugly"]})
    finished = train_table(run_of("other", table=str(table), validation=str(dev), skip_bad_rows=True))
    assert finished.evaluation.to_json()["skipped"] == {"missing value": 1, "unknown label": 1}
    assert sum(finished.evaluation.to_json()["skipped_in_training"].values()) == 2


def test_texts_that_are_cut_are_told_of(run_of, tmp_path):
    texts, labels = class_texts(60)
    table = write_csv(tmp_path / "long.csv", {"text": [text * 30 for text in texts], "label": labels})
    said = []
    train_table(run_of("short", table=str(table), sequence_length=8), say=said.append)
    cut = "100.0% of the training rows were cut at 8 tokens; --sequence-length 128 reads more of them, "
    assert cut + "--windows slide reads them whole." in said
    said.clear()
    train_table(run_of("long", table=str(table)), say=said.append)
    assert any(sentence.endswith("at 128 tokens; --windows slide reads them whole.") for sentence in said)
    said.clear()
    finished = train_table(run_of("whole", table=str(table), windows="slide", stride=60), say=said.append)
    assert any("were read in windows of 128 tokens; none were cut." in sentence for sentence in said)
    assert finished.evaluation.tokens.num_truncated == 0


def test_thresholds_are_tuned_on_the_held_out_rows_and_stored(run_of, tmp_path):
    texts, lists = label_lists(120)
    table = write_csv(
        tmp_path / "labels.csv", {"text": texts, "label": ["|".join(row) or "|" for row in lists]}
    )
    said = []
    options = {"label_separator": "|", "validation": 0.4, "baseline": True}
    run = run_of(table=str(table), training={"seed": 2}, **options)
    finished = train_table(run, say=said.append)
    task = load_model(tmp_path / "model").task
    assert len(task.thresholds) == 2 and task == finished.trained.model.task
    assert any("'CAT' 0." in sentence and "'DOG' 0." in sentence for sentence in said)
    # A model of two epochs is unsure of everything: the best thresholds are not the plain ones.
    assert task.thresholds != (0.5, 0.5)
    found = Predictor(finished.trained.model, precision="float32", device="cpu").predict(texts)
    given = found.scores >= np.array(task.thresholds, dtype=np.float32)
    assert found.answers == [tuple(np.array(task.labels)[row]) for row in given]


def test_rows_without_labels_are_counted_and_said(run_of, tmp_path):
    texts, lists = label_lists(40)
    table = write_csv(tmp_path / "labels.csv", {"text": texts, "label": ["|".join(row) for row in lists]})
    said = []
    finished = train_table(run_of(table=str(table), label_separator="|"), say=said.append)
    assert finished.trained.model.task.labels == ("CAT", "DOG")
    assert any("10 rows have no label" in sentence for sentence in said)
    rows = [json.dumps({"text": text, "label": row}) for text, row in zip(texts, lists, strict=True)]
    (tmp_path / "labels.jsonl").write_text("\n".join(rows), encoding="utf-8")
    said.clear()
    train_table(run_of(output="other", table=str(tmp_path / "labels.jsonl")), say=said.append)
    assert any("10 rows have no label" in sentence for sentence in said)


def test_a_column_of_weights(run_of, tmp_path, table):
    texts, labels = class_texts(90, tuple(CLUES))
    columns = {"text": texts, "label": labels}
    even = write_csv(tmp_path / "even.csv", {**columns, "w": [2] * 90})
    uneven = write_csv(tmp_path / "uneven.csv", {**columns, "w": [1, 5, 0] * 30})
    train_table(run_of(output="plain"))
    train_table(run_of(output="even", table=str(even), weight="w"))
    train_table(run_of(output="uneven", table=str(uneven), weight="w"))
    assert same_model(tmp_path / "plain", tmp_path / "even")
    assert not same_model(tmp_path / "plain", tmp_path / "uneven")
    bad = write_csv(tmp_path / "bad.csv", {**columns, "w": [1, "x", *[1] * 88]})
    with pytest.raises(DataError, match=r"row 2 .*column 'w': expected a weight"):
        train_table(run_of(output="bad", table=str(bad), weight="w"))
    train_table(run_of(output="bad", table=str(bad), weight="w", skip_bad_rows=True, validation=str(table)))


def test_a_table_for_validation_needs_no_weights(run_of, tmp_path, table):
    texts, labels = class_texts(30, tuple(CLUES))
    weighted = write_csv(tmp_path / "w.csv", {"text": texts, "label": labels, "w": [1, 2, 3] * 10})
    finished = train_table(run_of(table=str(weighted), weight="w", validation=str(table)))
    assert finished.evaluation.overall.num_rows == 90
