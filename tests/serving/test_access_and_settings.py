from __future__ import annotations

import base64

import pytest

from bertblocks.errors import ConfigError
from bertblocks.serving import Limits, ServerSettings, read_tokens
from bertblocks.serving.access import Access
from bertblocks.serving.cores import usable_cores

ONE, TWO = "first-token-1", "second-token-2"


def basic(user: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "number"),
    [
        (f"Bearer {ONE}", 0),
        (f"bearer  {TWO} ", 1),
        (TWO, 1),
        (basic(ONE), 0),
        (basic(TWO, "anything"), 1),
        ("Bearer wrong-token", None),
        (f"Bearer {ONE}x", None),
        (f"Bearer {ONE[:-1]}", None),
        ("Basic ???", None),
        ("Basic //79", None),
        (basic("", ONE), None),
        ("", None),
        (None, None),
        ("Bearer", None),
        ("Bearer \udcff", None),
        ("x" * 100_000, None),
    ],
)
def test_tokens(header, number):
    assert Access([ONE, TWO]).number_of(header) == number


def test_everybody_may_where_there_is_no_token():
    assert Access([]).is_open and Access([]).number_of(None) == 0


def test_tokens_are_not_kept():
    assert ONE not in repr(vars(Access([ONE])))


def test_tokens_come_from_three_places(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"# of the web shop\n{ONE}\n\n  {TWO}\n", encoding="utf-8")
    environment = {"BERTBLOCKS_TOKENS": f"third-token, {ONE},"}
    assert read_tokens("zeroth-token", file, environment) == ("zeroth-token", ONE, TWO, "third-token")
    assert read_tokens(None, None, {}) == ()


@pytest.mark.parametrize(
    "token", ["short", "with a space in it", "with:a-colon", "ünicode-token", "x" * 2000, ""]
)
def test_tokens_that_cannot_be_used_are_not_shown(token):
    with pytest.raises(ConfigError) as refused:
        read_tokens(token, None, {})
    assert "--token" in str(refused.value) and (not token or token not in str(refused.value))


def test_a_token_file_that_cannot_be_used(tmp_path):
    for content, told in (
        (b"", "no token"),
        (b"# none\n", "no token"),
        (b"\xff\xfe", "UTF-8"),
        (b"abc\n", "line 1"),
    ):
        file = tmp_path / "tokens"
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=told):
            read_tokens(None, file, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tokens(None, tmp_path / "missing", {})


def test_all_wrong_limits_are_told_at_once():
    with pytest.raises(ConfigError) as refused:
        Limits(concurrent_requests=0, timeout_s=float("nan"), max_delay_ms=-1, texts_per_request=True)  # type: ignore[arg-type]
    for name in ("concurrent_requests", "timeout_s", "max_delay_ms", "texts_per_request"):
        assert name in str(refused.value)
    with pytest.raises(ConfigError, match="held_bytes"):
        Limits(body_bytes=100, held_bytes=99)
    assert Limits(max_delay_ms=0).max_delay_ms == 0


def test_wrong_settings():
    with pytest.raises(ConfigError) as refused:
        ServerSettings(model="m", host="", port=70_000, threads=0, allow_origins=("example.org",))
    for name in ("host", "port", "threads", "allow_origin"):
        assert name in str(refused.value)


@pytest.mark.parametrize(
    ("content", "cores"),
    [("max 100000", None), ("50000 100000", 1), ("100000 100000", 1), ("nonsense", None), ("", None)],
)
def test_threads_follow_the_containers_limit(tmp_path, content, cores):
    all_cores = usable_cores(tmp_path)
    (tmp_path / "cpu.max").write_text(content)
    assert usable_cores(tmp_path) == (cores or all_cores)


def test_threads_follow_an_old_containers_limit(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cores(tmp_path) == usable_cores(tmp_path / "none")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("60000\n")
    assert usable_cores(tmp_path) == 1
