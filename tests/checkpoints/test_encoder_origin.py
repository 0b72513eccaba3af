"""Where an encoder's weights come from is found out, kept in a saved model, and shown."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from bertblocks.assembly import load_model
from bertblocks.blocks import Task
from bertblocks.checkpoints import MANIFEST, NAMED_ENCODERS, encoder_files, encoder_origin, resolve_encoder
from bertblocks.errors import CheckpointError
from tiny import tiny_encoder_folder, tiny_model

TASK = Task(kind="classification", labels=("bad", "good"))
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path):
    return tiny_encoder_folder(tmp_path / "models--org--tiny" / "snapshots" / COMMIT)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_of_the_hubs_cache(folder):
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n# Tiny\n", encoding="utf-8")
    found = encoder_origin("org/tiny", folder)
    assert (found.name, found.repository, found.revision, found.licence) == (
        "org/tiny",
        "org/tiny",
        COMMIT,
        "mit",
    )
    assert found.weights_sha256 == {"model.safetensors": sha256(folder / "model.safetensors")}


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\r\nlicense: 'apache-2.0'\r\n---\r\n", "apache-2.0"),
        ("---\nlicense:\n- cc-by-4.0\n---\n", "cc-by-4.0"),
        ("---\nlanguage: en\n---\nlicense: mit\n", None),
        ("license: mit\n", None),
        ("---\nlicense:\n---\n", None),
        ("\udcff".encode("utf-8", "surrogatepass").decode("latin-1"), None),
        ("", None),
    ],
)
def test_licences_in_readmes(tmp_path, text, licence):
    (tmp_path / "README.md").write_bytes(text.encode())
    assert encoder_origin("here", tmp_path).licence == licence


def test_a_readme_that_is_no_file_states_nothing(tmp_path):
    (tmp_path / "README.md").mkdir()
    assert encoder_origin("here", tmp_path).licence is None


def test_shards_that_the_index_names_are_hashed_and_other_files_are_not(tmp_path):
    index, shards = "model.safetensors.index.json", ["model-00001-of-00002.safetensors", "second.safetensors"]
    for name in (*shards, "model-00002-of-00002.safetensors", "head.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / index).write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    assert list(encoder_origin("here", tmp_path).weights_sha256) == [index, *shards]


def test_of_googles_checkpoint_the_index_and_the_data_that_it_names(shared, tmp_path):
    folder = shutil.copytree(shared / "fixtures" / "keras-bert-tf1-tiny", tmp_path / "google")
    (folder / "other.data-00000-of-00001").write_bytes(b"older")
    names = ["bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"]
    assert list(encoder_origin("here", folder).weights_sha256) == names
    assert list(encoder_files(folder)) == ["bert_config.json", "vocab.txt", *names]


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt"])
def test_no_file_outside_the_folder_is_hashed(tmp_path, name):
    folder = tiny_encoder_folder(tmp_path / "model")
    (folder / name).unlink()
    (folder / name).symlink_to("/etc/passwd")
    with pytest.raises(CheckpointError, match="symbolic link out of its folder"):
        encoder_files(folder)


def test_of_a_named_encoder():
    found = encoder_origin("mini", resolve_encoder("mini"))
    assert found.licence == NAMED_ENCODERS["mini"].licence and found.repository is None


def test_a_saved_model_keeps_it(folder, tmp_path):
    model = tiny_model(folder, TASK)
    model.save(tmp_path / "saved")
    found = load_model(tmp_path / "saved").encoder_origin
    assert found == model.encoder_origin and found is not None and found.revision == COMMIT
    assert found.weights_sha256 == {"model.safetensors": sha256(folder / "model.safetensors")}


def test_models_saved_without_it_still_load_and_bad_ones_are_refused(folder, tmp_path):
    tiny_model(folder, TASK).save(tmp_path / "saved")
    path = tmp_path / "saved" / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    good = manifest.pop("encoder_origin")
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert load_model(tmp_path / "saved").encoder_origin is None
    for bad in ("text", {}, {**good, "name": 3}, {**good, "weights_sha256": {"a": 1}}, {**good, "more": "x"}):
        path.write_text(json.dumps({**manifest, "encoder_origin": bad}), encoding="utf-8")
        with pytest.raises(CheckpointError, match="encoder_origin"):
            load_model(tmp_path / "saved")
