from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bertblocks.checkpoints import NAMED_ENCODERS, resolve_encoder
from bertblocks.errors import CheckpointError, ConfigError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "89abcdef0123456789abcdef0123456789abcdef"
SAFE = {"config.json": b"{}", "model.safetensors": b"weights", "vocab.txt": b"[PAD]\n", "tf_model.h5": b"no"}
PICKLED = {"config.json": b"{}", "pytorch_model.bin": b"weights", "vocab.txt": b"[PAD]\n"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub's; nothing leaves the machine."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def put(cache, repo_id, commit, files, branch="main"):
    """Lay a repository out as the hub's client does."""
    repo = cache / f"models--{repo_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        (snapshot / name).write_bytes(content)
    if branch:
        (repo / "refs").mkdir(exist_ok=True)
        (repo / "refs" / branch).write_text(commit, encoding="utf-8")
    return snapshot


class Hub:
    """The few addresses of the hub that a download asks for, on this machine."""

    def __init__(self, repos, gated):
        self.repos, self.gated, self.fetched = repos, gated, []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.respond()

            def do_GET(self):
                self.respond()

            def respond(self):
                status, headers, body = hub.answer(self.command, self.path.partition("?")[0].strip("/"))
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, method, path):
        match = re.fullmatch(r"(?:api/models/)?([^/]+/[^/]+)(?:/(revision|tree|resolve)/(\w+)/?(.*))?", path)
        if not match or match[1] not in self.repos:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        repo_id, kind, revision, name = match.groups()
        files = self.repos[repo_id]
        if revision not in (None, "main", COMMIT):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if kind == "resolve":
            if repo_id in self.gated:  # what a gated repository has is public, the files are not
                return 403, {"X-Error-Code": "GatedRepo"}, b""
            if method == "GET":
                self.fetched.append(name)
            oid = hashlib.sha1(files[name], usedforsecurity=False).hexdigest()
            return 200, {"ETag": f'"{oid}"', "X-Repo-Commit": COMMIT}, files[name]
        tree = [
            {
                "type": "file",
                "path": path,
                "size": len(content),
                "oid": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            }
            for path, content in files.items()
        ]
        info = {"id": repo_id, "sha": COMMIT, "siblings": [{"rfilename": path} for path in files]}
        return (
            200,
            {"Content-Type": "application/json"},
            json.dumps(tree if kind == "tree" else info).encode(),
        )


@pytest.fixture
def hub(cache, monkeypatch):
    from huggingface_hub import constants

    repos = {"org/safe": SAFE, "org/pickled": PICKLED, "org/gated": SAFE, "org/empty": {"README.md": b""}}
    served = Hub(repos, gated={"org/gated"})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)
    template = served.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield served
    served.close()


def refusal(source, **options):
    with pytest.raises(CheckpointError) as caught:
        resolve_encoder(source, **options)
    return str(caught.value)


# Folders and names


def test_a_local_folder_wins_over_repositories_and_as_a_path_over_names(cache):
    for name in ("org/name", "./mini", "./multilingual-cased"):
        Path(name).mkdir(parents=True)
        assert resolve_encoder(name) == Path(name)
    assert resolve_encoder(Path("mini")) == Path("mini")
    assert (resolve_encoder("mini") / "model.safetensors").is_file()


def test_a_path_object_is_never_a_name(cache):
    assert "does not exist" in refusal(Path("multilingual-cased"))
    assert "does not exist" in refusal(Path("google-bert/bert-base-uncased"))


def test_a_file_is_no_folder(cache):
    Path("weights.bin").write_bytes(b"")
    assert "is a file" in refusal("weights.bin")


@pytest.mark.parametrize("source", [".", Path()])
def test_a_revision_of_a_folder_is_refused(cache, source):
    with pytest.raises(ConfigError, match="no effect"):
        resolve_encoder(source, revision="main")


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("multilingual_cased", "'multilingual-cased'"),
        ("Multilingual-Cased", "'multilingual-cased'"),
        ("bert-base-multilingual-cased", "'multilingual-cased'"),
        ("bert-base-uncased", "'english-uncased'"),
        ("minni", "'mini'"),
    ],
)
def test_near_names_are_suggested(cache, source, meant):
    message = refusal(source)
    assert f"Did you mean {meant}?" in message
    assert "multilingual-cased, english-uncased, mini" in message


@pytest.mark.parametrize("source", ["./models/mine", "models/of/mine", "C:\\models\\mine", "~/mine"])
def test_what_looks_like_a_path_is_said_not_to_exist(cache, source):
    assert "As a path it would be" in refusal(source)


@pytest.mark.parametrize(
    "source", ["", " ", "a\0b", "\udc80", "x" * 5000, "a/" + "x" * 200, "../x", "a/../b", "a--b/c", "日本/語"]
)
def test_odd_sources_are_refused_with_the_known_names(cache, source):
    assert "Known names: multilingual-cased, english-uncased, mini" in refusal(source)


def test_mini_needs_no_hub(cache):
    import bertblocks

    folder = Path(bertblocks.__file__).parent / "mini"
    if (folder / "config.json").is_file():
        assert resolve_encoder("mini") == folder
    else:
        assert "Reinstall" in refusal("mini")


def test_named_encoders_are_pinned_to_commits():
    for name, encoder in NAMED_ENCODERS.items():
        assert encoder.name == name
        assert (encoder.repo_id is None) == (encoder.revision is None) == (name == "mini")
        assert encoder.revision is None or re.fullmatch("[0-9a-f]{40}", encoder.revision)


# The cache


def test_a_cached_named_encoder_needs_no_network(cache):
    encoder = NAMED_ENCODERS["multilingual-cased"]
    snapshot = put(cache, encoder.repo_id, encoder.revision, SAFE, branch=None)
    put(cache, encoder.repo_id, OTHER, SAFE)  # what main has become since is not what the name means
    assert resolve_encoder("multilingual-cased") == snapshot
    assert resolve_encoder("multilingual-cased", revision="main").name == OTHER


def test_a_cached_repository_needs_no_network(cache):
    snapshot = put(cache, "org/name", COMMIT, PICKLED)
    assert resolve_encoder("org/name") == snapshot
    assert resolve_encoder("org/name", revision=COMMIT) == snapshot


def test_a_cache_without_a_vocabulary_is_used_offline(cache):
    files = {name: SAFE[name] for name in ("config.json", "model.safetensors")}
    snapshot = put(cache, "org/name", COMMIT, files)
    assert resolve_encoder("org/name") == snapshot


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": b"{}", "vocab.txt": b""},
        {"model.safetensors": b"", "vocab.txt": b""},
        {
            "config.json": b"{}",
            "vocab.txt": b"",
            "model.safetensors.index.json": b'{"weight_map": {"a": "m1.safetensors", "b": "m2.safetensors"}}',
            "m1.safetensors": b"",
        },
    ],
)
def test_half_a_download_is_not_used(cache, files):
    put(cache, "org/name", COMMIT, files)
    message = refusal("org/name")
    assert "offline mode is on" in message and "--encoder mini" in message


def test_offline_says_what_to_do(cache):
    message = refusal("multilingual-cased")
    encoder = NAMED_ENCODERS["multilingual-cased"]
    for part in (
        f"{encoder.repo_id}/tree/{encoder.revision}",
        "HF_HUB_OFFLINE",
        "714 MB",
        "config.json, model.safetensors, vocab.txt, tokenizer.json",
        "--encoder FOLDER",
        "--encoder mini",
        str(cache),
    ):
        assert part in message
    assert f"Neither is there a folder {Path('org/name').absolute()}" in refusal("org/name")


def test_the_environment_decides_and_only_when_asked():
    code = (
        "import sys, bertblocks.checkpoints as c\n"
        "assert 'huggingface_hub' not in sys.modules\n"
        "try: c.resolve_encoder('org/name')\n"
        "except c.hub.CheckpointError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert "not in the cache nowhere" in result.stdout and "offline mode is on" in result.stdout


# Downloads


def test_a_download_fetches_what_is_needed_once_and_in_silence(hub, cache, capfd):
    folder = resolve_encoder("org/safe")
    assert folder.name == COMMIT
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: content for name, content in SAFE.items() if name != "tf_model.h5"
    }
    assert resolve_encoder("org/safe") == folder
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "vocab.txt"]
    assert "Fetching" not in (stderr := capfd.readouterr().err) and "%" not in stderr


def test_a_pickle_is_fetched_only_where_there_is_nothing_better(hub):
    folder = resolve_encoder("org/pickled", revision="main")
    assert sorted(path.name for path in folder.iterdir()) == sorted(PICKLED)


@pytest.mark.parametrize(
    ("repo_id", "revision", "reason"),
    [
        ("org/absent", None, "no such repository"),
        ("org/gated", None, "accept the terms"),
        ("org/safe", OTHER, "not this revision"),
        ("org/safe", "v9", "not this revision"),
    ],
)
def test_a_refused_download_says_why(hub, repo_id, revision, reason):
    message = refusal(repo_id, revision=revision)
    assert reason in message and "--encoder FOLDER" in message


def test_a_repository_without_weights_is_refused(hub):
    message = refusal("org/empty")
    assert "org/empty on the hub is no model" in message and "README.md" in message


def test_half_a_download_is_completed(hub, cache):
    put(cache, "org/safe", COMMIT, {"config.json": b"{}"})
    assert (resolve_encoder("org/safe") / "model.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("cached", [{}, {"config.json": b"{}"}])
def test_a_hub_that_is_gone_says_what_to_do(hub, cache, cached):
    put(cache, "org/safe", COMMIT, cached)
    hub.close()
    message = refusal("org/safe")
    assert "cannot be reached" in message and "--encoder mini" in message
