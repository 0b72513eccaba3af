from __future__ import annotations

import os
from pathlib import Path

import pytest

from bertblocks._files import (
    replace_folder_when_done,
    replace_when_done,
    restore_folder,
    write_text_atomically,
)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_text_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_text_atomically(path, "ä\n")
    write_text_atomically(str(path), "ö\n")
    assert path.read_bytes() == "ö\n".encode()
    assert _names(path.parent) == ["a.json"]


def test_the_file_is_not_there_until_the_block_ends(tmp_path):
    path = tmp_path / "a.npz"
    with replace_when_done(path) as temporary:
        temporary.write_bytes(b"1")
        assert not path.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".npz"
    assert _names(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(error), replace_when_done(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise error
    assert path.read_text(encoding="utf-8") == "old"
    assert _names(tmp_path) == ["a.txt"]


def test_only_files_are_replaced_by_files(tmp_path):
    with pytest.raises(FileExistsError, match="is not a file"), replace_when_done(tmp_path):
        pass
    (tmp_path / "a").write_text("", encoding="utf-8")
    with pytest.raises(NotADirectoryError, match="is not a folder"), replace_folder_when_done(tmp_path / "a"):
        pass


@pytest.mark.skipif(os.name == "nt", reason="symbolic links and mode bits need POSIX")
def test_links_are_followed_and_the_mode_is_the_usual_one(tmp_path):
    (tmp_path / "usual").write_text("", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text_atomically(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text(encoding="utf-8") == "text"
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def _fill(path: Path, content: str) -> None:
    with replace_folder_when_done(path) as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file").write_text(content, encoding="utf-8")


def test_a_folder_is_written_and_replaced_whole(tmp_path):
    path = tmp_path / "model"
    _fill(path, "old")
    (path / "stale").write_text("", encoding="utf-8")
    _fill(path, "new")
    assert (path / "inner" / "file").read_text(encoding="utf-8") == "new"
    assert _names(path) == ["inner"]
    assert _names(tmp_path) == ["model"]


def test_a_failure_leaves_the_old_folder(tmp_path, monkeypatch):
    path = tmp_path / "model"
    _fill(path, "old")
    with pytest.raises(RuntimeError), replace_folder_when_done(path) as temporary:
        (temporary / "file").write_text("half", encoding="utf-8")
        raise RuntimeError
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if ".partial" in self.name:
            raise PermissionError("in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(PermissionError):
        _fill(path, "new")
    assert (path / "inner" / "file").read_text(encoding="utf-8") == "old"
    assert _names(tmp_path) == ["model"]


def test_a_swap_that_was_killed_half_way_is_undone(tmp_path, monkeypatch):
    path = tmp_path / "model"
    _fill(path, "old")
    path.rename(tmp_path / ".model.replaced")
    restore_folder(path)
    assert (path / "inner" / "file").read_text(encoding="utf-8") == "old"
    # Killed after the swap, before the old folder was deleted: the new one stays.
    (tmp_path / ".model.replaced").mkdir()
    restore_folder(path)
    assert _names(tmp_path) == ["model"]
    restore_folder(tmp_path / "absent")
    path.rename(tmp_path / ".model.replaced")
    _fill(path, "new")
    assert _names(tmp_path) == ["model"]
    assert (path / "inner" / "file").read_text(encoding="utf-8") == "new"
