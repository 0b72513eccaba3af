"""A real Ray on this machine, of several processes: the same parts as without it, whatever dies meanwhile."""

from __future__ import annotations

import csv
import os
import pickle
import random
import subprocess
import sys

import dying_predictor
import pytest

from bertblocks.blocks import Task
from bertblocks.data import open_table
from bertblocks.errors import ConfigError, DataError, MissingPackageError
from bertblocks.inference import Predictor, predict_table
from tiny import tiny_model

pytest.importorskip("ray", reason="needs Ray: pip install 'bertblocks[ray]'")

import ray

from bertblocks.cluster import ray as on_ray

# Ray, its threads and what it starts warn of what is not ours; the tests look at results.
pytestmark = pytest.mark.filterwarnings("ignore")

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
    "dog",
]
NUM_ROWS = 6_000
OPTIONS = {"shard_rows": 500, "on_bad_row": "column"}
TWO_WORKERS = on_ray.RayResources(num_workers=2, cpus_per_worker=1)


@pytest.fixture(scope="module")
def predictor(tiny_encoder):
    # Whatever number of threads a worker has, these kernels give the same bits.
    return Predictor(tiny_model(tiny_encoder("cased"), TOPICS, sequence_length=16), precision="float32")


@pytest.fixture(scope="module")
def cluster():
    """One Ray for all tests: starting its processes takes most of the time."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three tables, with hostile rows among the others."""
    draw = random.Random(0)
    path = tmp_path_factory.mktemp("tables")
    hostile = ["", "\x00", "<script>", "日本語" * 30, "שלום", "good " * 2000, 'a "quote"\nand more']
    for number, num_rows in enumerate((NUM_ROWS - 1700, 1, 1699)):
        with (path / f"{number}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text"])
            for row in range(num_rows):
                text = " ".join(draw.choices(WORDS, k=draw.randint(1, 12)))
                text = draw.choice(hostile) if row % 50 == 49 else text
                writer.writerow([row, text, "too much"] if row % 613 == 612 else [row, text])
    return path


@pytest.fixture(scope="module")
def tables(folder):
    return [open_table(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def expected(predictor, tables, tmp_path_factory):
    """The parts of one machine, and its report."""
    out = tmp_path_factory.mktemp("whole") / "out"
    report = predict_table(predictor, tables, f"{out}/", **OPTIONS)
    return out, report


def parts_of(folder):
    """Every part and record, with its bytes."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "job.json")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_the_parts_are_those_of_one_machine_though_workers_are_killed(
    cluster, predictor, tables, expected, tmp_path
):
    done = []
    # Workers know no module of the tests.
    ray.cloudpickle.register_pickle_by_value(dying_predictor)
    dying = dying_predictor.DyingPredictor.of(predictor, tmp_path / "out", num_deaths=2)
    report = on_ray.predict_table(
        dying, tables, f"{tmp_path}/out/", resources=TWO_WORKERS, on_batch=done.append, **OPTIONS
    )
    assert (tmp_path / "death-0").exists() and (tmp_path / "death-1").exists()
    whole, whole_report = expected
    assert report == whole_report and sum(done) == NUM_ROWS
    assert parts_of(tmp_path / "out") == parts_of(whole)


class StoppedError(Exception):
    """Stands for a kill."""


def stop_after(num_calls):
    left = [num_calls]

    def count(_rows):
        left[0] -= 1
        if left[0] < 0:
            raise StoppedError

    return count


def test_either_engine_goes_on_from_the_other(cluster, predictor, tables, tmp_path, monkeypatch):
    options = {**OPTIONS, "limit": 4500, "columns": ["id"]}
    predict_table(predictor, tables, tmp_path / "one.csv", **options)
    out = tmp_path / "out.csv"
    with pytest.raises(StoppedError):
        predict_table(predictor, tables, out, on_batch=stop_after(4), **options)
    with pytest.raises(StoppedError):
        on_ray.predict_table(predictor, tables, out, resources=TWO_WORKERS, on_batch=stop_after(3), **options)
    said = []
    predict_table(predictor, tables, out, say=said.append, **options)
    assert "done before: going on from there." in said[0]
    assert out.read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4501
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "out.csv"]


def test_a_bad_row_ends_the_job_as_on_one_machine(cluster, predictor, tables, tmp_path):
    with pytest.raises(DataError) as alone:
        predict_table(predictor, tables, tmp_path / "one.csv", shard_rows=500)
    with pytest.raises(DataError) as together:
        on_ray.predict_table(
            predictor, tables[:1], tmp_path / "ray.csv", resources=TWO_WORKERS, shard_rows=500
        )
    assert "row 50" in str(alone.value) and "--skip-bad-rows" in str(together.value)
    assert not (tmp_path / "ray.csv").exists()


def test_too_small_a_cluster(cluster, predictor, tables, tmp_path):
    for resources in (
        on_ray.RayResources(num_workers=4, cpus_per_worker=1),
        on_ray.RayResources(num_workers=1, cpus_per_worker=3),
    ):
        with pytest.raises(ConfigError, match=r"has 3 CPUs and 0 GPUs .*, too little for"):
            on_ray.predict_table(predictor, tables, f"{tmp_path}/out/", resources=resources)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "values", [{"num_workers": 0}, {"cpus_per_worker": 1.5}, {"gpus_per_worker": -1}, {"num_workers": True}]
)
def test_resources_that_cannot_be(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        on_ray.RayResources(**values)


def test_ray_that_is_not_installed(predictor, tables, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'bertblocks\[ray\]'"):
        on_ray.predict_table(predictor, tables, f"{tmp_path}/out/")
    assert not (tmp_path / "out").exists()


def test_the_cluster_needs_no_training():
    code = (
        "import sys, bertblocks.cluster.ray; "
        "print('bertblocks.training' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_the_predictor_can_be_pickled_as_it_is(predictor):
    again = pickle.loads(pickle.dumps(predictor))
    texts = ["good film", "bad"]
    assert again.predict(texts).scores.tolist() == predictor.predict(texts).scores.tolist()
    assert again.sha256 == predictor.sha256


def test_gpus_for_a_model_that_is_prepared_for_a_processor(tiny_encoder, predictor, tables, tmp_path):
    resources = on_ray.RayResources(gpus_per_worker=1)
    prepared = Predictor(tiny_model(tiny_encoder("cased"), TOPICS), precision="int8")
    with pytest.raises(ConfigError, match=r"was prepared for a processor, with .* kernels and in int8"):
        on_ray.predict_table(prepared, tables, f"{tmp_path}/out/", resources=resources)
    assert not (tmp_path / "out").exists()
