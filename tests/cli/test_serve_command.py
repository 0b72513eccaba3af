from __future__ import annotations

import builtins
import socket
import subprocess
import sys

import pytest

from bertblocks.serving import ServerSettings, server


@pytest.fixture
def started(monkeypatch) -> list[ServerSettings]:
    """The settings of the servers that would have been started."""
    found: list[ServerSettings] = []
    monkeypatch.setattr(server, "serve", lambda settings, on_ready: found.append(settings))
    monkeypatch.delenv("BERTBLOCKS_TOKENS", raising=False)
    return found


def test_what_is_served_unless_told_otherwise(cli, started):
    assert cli("serve", "a-model").status == 0
    (settings,) = started
    assert settings == ServerSettings(model="a-model")
    assert settings.host == "127.0.0.1" and settings.limits.texts_per_request == 1024


def test_every_option_arrives(cli, started, tmp_path):
    (tmp_path / "tokens").write_text("token-of-the-file\n", encoding="utf-8")
    ended = cli(
        *("serve", "m", "--host", "0.0.0.0", "--port", 9, "--token", "token-given", "--threads", 3),
        *("--token-file", tmp_path / "tokens", "--precision", "int8", "--device", "cpu"),
        *("--concurrent-requests", 5, "--texts-per-request", 6, "--text-characters", 7),
        *("--body-bytes", 100_000_000, "--batch-tokens", 10, "--timeout-s", 11, "--drain-s", 12),
        *("--worker-s", 13, "--allow-origin", "https://a.example", "--allow-origin", "https://b.example"),
        "--no-access-log",
    )
    assert ended.status == 0, ended.err
    (settings,) = started
    limits = settings.limits
    assert (settings.host, settings.port, settings.threads, settings.precision) == ("0.0.0.0", 9, 3, "int8")
    assert settings.tokens == ("token-given", "token-of-the-file") and not settings.access_log
    assert (limits.concurrent_requests, limits.texts_per_request, limits.text_characters) == (5, 6, 7)
    assert (limits.body_bytes, limits.held_bytes) == (100_000_000, 100_000_000)
    assert (limits.batch_tokens, limits.timeout_s, limits.drain_s, limits.worker_s) == (10, 11, 12, 13)
    assert settings.allow_origins == ("https://a.example", "https://b.example")
    assert "warning" not in ended.err and "token-given" not in ended.err


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("127.9.9.9", False),
        ("0.0.0.0", True),
        ("::", True),
    ],
)
def test_who_listens_to_everybody_without_a_token_is_warned(cli, started, host, warned):
    ended = cli("serve", "m", "--host", host)
    assert ("warning: whoever reaches" in ended.err) is warned and len(started) == 1


def test_tokens_of_the_environment(cli, started, monkeypatch):
    monkeypatch.setenv("BERTBLOCKS_TOKENS", "first-token,second-token")
    assert "warning" not in cli("serve", "m", "--host", "0.0.0.0").err
    assert started[0].tokens == ("first-token", "second-token")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--token", "short"), "expected 8 to 1024"),
        (("--token-file", "missing"), "cannot be read"),
        (("--port", 70_000), "port is 70000"),
        (("--threads", 0), "threads is 0"),
        (("--texts-per-request", 0), "--texts-per-request is 0"),
        (("--timeout-s", "nan"), "--timeout-s is nan"),
        (("--allow-origin", "a.example"), "a.example"),
    ],
)
def test_what_cannot_be_is_a_refusal(cli, started, options, told):
    ended = cli("serve", "m", *options)
    assert ended.status == 2 and told in ended.err.replace("\n", " ") and not started
    assert ended.err.count("error: ") == 1 and "Traceback" not in ended.err


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(cli, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = cli("serve", tmp_path / "no-model", "--port", taken.getsockname()[1])
    assert ended.status == 2 and "cannot be used" in ended.err and "--port" in ended.err


def test_what_is_not_installed_is_named_with_its_command(cli, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("bertblocks.serving.server", "uvicorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("bertblocks.serving.server", raising=False)
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "uvicorn":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    ended = cli("serve", "m")
    assert ended.status == 2 and "pip install 'bertblocks[serve]'" in ended.err and "uvicorn" in ended.err


def test_the_process_that_talks_needs_neither_torch_nor_numpy():
    code = "import sys, bertblocks.serving.server; print([n for n in ('torch', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
