from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.back_translation.engines.budget import Budget
from kgloss_hf.back_translation.engines.engine import Price
from kgloss_hf.files import check_model, save_file, save_folder, sole_writer


def _fill(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"1")
    (folder / "card").write_bytes(b"2")


def test_all_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def fsync(descriptor: int) -> None:
        steps.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).relative_to(tmp_path).as_posix())

    def renamed(self: Any, target: Any) -> None:
        steps.append("renamed")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renamed)
    monkeypatch.setattr(Path, "rename", renamed)
    save_file(tmp_path / "scores", lambda path: path.write_bytes(b"3"))
    save_folder(tmp_path / "run", _fill)
    files = [".run.partial/card", ".run.partial", ".run.partial/model/weights", ".run.partial/model"]
    assert steps == [".scores.partial", "renamed", ".", *files, "renamed", "."]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EIO])
def test_where_there_are_no_locks_the_path_is_named(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / "spending.json"
    with pytest.raises(OSError, match=r"spending.json cannot be locked \(.*\); write to a disk"), sole_writer(path):
        pytest.fail("it was not locked")
    with pytest.raises(OSError, match=r"spending.json cannot be locked \(.*\); write to a disk"):
        Budget("papago", Price(20_000, "KRW"), path=path).reserve(1)


def test_a_disk_without_sync_of_folders_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", fsync)
    save_folder(tmp_path / "run", _fill)
    assert (tmp_path / "run" / "model" / "weights").read_bytes() == b"1"


def test_a_full_disk_is_seen_before_the_name_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    for save, write in ((save_folder, _fill), (save_file, lambda path: path.write_bytes(b"1"))):
        with pytest.raises(OSError, match="run cannot be written .*No space left"):
            save(tmp_path / "run", write)
        assert list(tmp_path.iterdir()) == []


def test_a_models_folder_is_told_from_what_is_none(checkpoint: str, tmp_path: Path) -> None:
    for name in (None, checkpoint, "klue/bert-base"):
        check_model(name)
    check_model("bert-base-multilingual-cased", owned=False)
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(
        ValueError, match="--init_from: .*run: expected the folder of a model, found no config.json in it"
    ):
        check_model(str(run), "--init_from")
    (run / "model").symlink_to(checkpoint)
    with pytest.raises(ValueError, match=r"found the folder of a run; did you mean .*run/model\?"):
        check_model(str(run))
    with pytest.raises(FileNotFoundError, match=r"runs: no such folder; .*; did you mean .*run\?"):
        check_model(str(tmp_path / "runs"))
    with pytest.raises(ValueError, match="expected a model first, found a sentence"):
        check_model("집에 불이 났어요.")
    for name in ("", "./nowhere", "bert-base-multilingual-cased", "a/b/c"):
        with pytest.raises(FileNotFoundError, match="no such folder; expected a model folder"):
            check_model(name)
