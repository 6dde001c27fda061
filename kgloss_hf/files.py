"""Write files and folders that get their names only once complete, one writer each; shorten paths for publication."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

_ABSOLUTE = re.compile(r"(?<![^=,])(/|[A-Za-z]:[\\/])[^,]*")
# torch reports such errors by "inline_container".
_CANNOT_WRITE = re.compile(r"\(os error \d+\)|No space left|Read-only file system|inline_container")


_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)


def check_model(name: str | None, what: str = "", mark: str = "config.json", *, owned: bool = True) -> None:
    """Check that a name can be the folder of a model or a Hub repository, without loading anything.

    Args:
        name: Folder or Hub repository; None is accepted.
        what: Option that the name was given to, for the message (default: no option is named).
        mark: File that the folder must hold; the configuration of an adapter is accepted instead (default:
            `config.json`).
        owned: Require a repository's name to begin with its owner (default); False admits the Hub's oldest models.

    Raises:
        FileNotFoundError: The folder does not exist, and the name cannot be that of a Hub repository.
        ValueError: The name is that of something other than a model. If the folder contains a model's folder, the
            message names it.

    Examples:
        >>> check_model(getfixture("checkpoint"))
        >>> check_model("outputs/pairs/modle")
        Traceback (most recent call last):
        ...
        FileNotFoundError: outputs/pairs/modle: no such folder; expected a model folder or a Hub repository OWNER/NAME
    """
    if name is None:
        return
    folder, place = Path(name or "''"), f"{what}: {name}" if what else name
    kind = "tokenizer" if mark.startswith("tokenizer") else "model"
    marked = [path for path in (folder, folder / "model", folder / "tokenizer") if (path / mark).is_file()]
    if folder in marked or (folder / "adapter_config.json").is_file():
        return
    if marked:
        raise ValueError(
            f"{place}: expected the folder of a {kind}, found the folder of a run; did you mean {marked[0]}?"
        )
    if folder.is_dir():
        raise ValueError(f"{place}: expected the folder of a {kind}, found no {mark} in it")
    if folder.is_file():
        raise ValueError(f"{place}: expected the folder of a {kind}, found a file; did you mean {folder.parent}?")
    if not name.isascii() or " " in name:
        raise ValueError(f"{name!r}: expected a {kind} first, found a sentence; name the {kind} before it")
    near = _like(folder)
    among_runs = any(True for pattern in ("*/config.json", "*/model/config.json") for _ in folder.parent.glob(pattern))
    hub_name = _HUB_NAME.fullmatch(name) or (not owned and re.fullmatch(r"\w[\w.-]*", name))
    if not hub_name or near or among_runs:
        hint = f"; did you mean {near}?" if near else ""
        raise FileNotFoundError(
            f"{place}: no such folder; expected a {kind} folder or a Hub repository OWNER/NAME{hint}"
        )


def check_file(name: str, *, folders: bool = False) -> None:
    """Check that a file exists.

    Args:
        name: The path.
        folders: Accept a folder too (default False).

    Raises:
        FileNotFoundError: The file does not exist. The message proposes a similar name, if there is one.
        ValueError: It is a folder. The message proposes a run's predictions in it, if there are any.

    Examples:
        >>> check_file("nowhere.csv")
        Traceback (most recent call last):
        FileNotFoundError: nowhere.csv: no such file; check the path
    """
    path = Path(name)
    if path.is_dir() and not folders:
        predictions = next(path.rglob("predictions.jsonl"), None)
        hint = f"; did you mean {predictions}?" if predictions else ""
        raise ValueError(f"{name}: expected a file, found a folder{hint}")
    if not path.exists():
        near = _like(path)
        raise FileNotFoundError(f"{name}: no such file" + (f"; did you mean {near}?" if near else "; check the path"))


def _like(path: Path) -> Path | None:
    """Return the existing path in the same folder whose name is most like that of a missing one."""
    near = get_close_matches(path.name, os.listdir(path.parent), 1, 0.75) if path.parent.is_dir() else ()
    return path.parent / near[0] if near else None


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Lock a file or folder for this process. The operating system releases it however the process ends.

    Args:
        path: File or folder to write. It need not exist; `.NAME.lock` is created next to it.

    Raises:
        RuntimeError: Another process is writing it.
        OSError: The file system has no locks.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, sole_writer(Path(folder, "glosses")):
        ...     [path.name for path in Path(folder).iterdir()]
        ['.glosses.lock']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        acquire(lock, path, timeout=0)
    except Timeout:
        raise RuntimeError(f"{path}: another process is writing it; wait until that is done, or end it") from None
    with lock:
        try:
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)


def acquire(lock: FileLock, path: Path, timeout: float) -> None:
    """Acquire a lock; where the file system has no locks, raise an error that names the path to write.

    Args:
        lock: Lock on a file next to `path`.
        path: File or folder to write.
        timeout: Seconds to wait for another process.

    Raises:
        Timeout: Another process holds it.
        OSError: The file system has no locks, or the lock file cannot be created.

    Examples:
        >>> lock = FileLock(Path(getfixture("tmp_path"), "glosses.lock"))
        >>> acquire(lock, Path("glosses"), timeout=0)
        >>> lock.is_locked
        True
    """
    try:
        lock.acquire(timeout=timeout)
    except (NotImplementedError, OSError) as error:
        if isinstance(error, Timeout) or getattr(error, "filename", None):
            raise
        raise OSError(
            f"{path} cannot be locked ({error}); write to a disk with file locks, such as a local one"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Re-raise write errors that carry no path, such as torch's and safetensors', as an OSError that names it.

    Args:
        path: File or folder that is being written.

    Raises:
        OSError: There is no space, or no permission.

    Examples:
        >>> with writing(Path("glosses")):
        ...     raise RuntimeError("No space left on device (os error 28)")
        Traceback (most recent call last):
        OSError: glosses cannot be written (No space left on device (os error 28)); free space or grant permission
    """
    try:
        yield
    except Exception as error:
        if getattr(error, "filename", None) or not _CANNOT_WRITE.search(str(error)):
            raise
        raise OSError(f"{path} cannot be written ({error}); free space or grant permission") from error


def save_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` create a file that gets its name, or replaces the file of that name, only once complete and on disk.

    Args:
        path: File to create, in an existing folder.
        write: Called with a path next to it. If it fails, nothing is left there.

    Raises:
        RuntimeError: Another process is writing it.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file(Path(folder, "gloss.txt"), lambda path: path.write_text("집"))
        ...     [(path.name, path.read_text()) for path in Path(folder).iterdir()]
        [('gloss.txt', '집')]
    """
    partial = path.with_name(f".{path.name}.partial")
    with sole_writer(path):
        try:
            with writing(path):
                write(partial)
                _to_disk(partial)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        os.replace(partial, path)
        _to_disk(path.parent)


def save_folder(folder: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a folder that gets its name only once complete and on disk.

    Args:
        folder: Folder to create, with its parents; must not exist.
        write: Called with an empty folder next to it. If it fails, nothing is left there.

    Raises:
        RuntimeError: Another process is writing it.
        ValueError: The folder exists.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_folder(Path(folder, "glosses"), lambda partial: (partial / "gloss.txt").write_text("집"))
        ...     [path.name for path in Path(folder, "glosses").iterdir()]
        ['gloss.txt']
    """
    partial = folder.with_name(f".{folder.name}.partial")
    with sole_writer(folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            with writing(folder):
                write(partial)
                for made, _, names in os.walk(partial):
                    _to_disk(*(Path(made, name) for name in names), Path(made))
            if folder.exists():
                raise ValueError(
                    f"{folder} exists: another process has created it in the meantime; choose another folder, or "
                    "delete it"
                )
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.rename(folder)
        _to_disk(folder.parent)


def _to_disk(*paths: Path) -> None:
    """Wait until files and folders are on disk; Windows cannot do this for folders."""
    windows = os.name == "nt"
    for path in paths if not windows else filter(Path.is_file, paths):
        descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some network file systems do not support it
                raise
        finally:
            os.close(descriptor)


def check_output(output: str, inputs: Iterable[str], *, suffix: str = "") -> None:
    """Check that a file can be written without replacing what is read, before anything slow is begun.

    Args:
        output: File to write.
        inputs: Names that are read; files, folders, or anything else.
        suffix: Extension that it must have (default: any).

    Raises:
        ValueError: The file has another extension, is a folder, or is one of the inputs or in a folder of them.

    Examples:
        >>> check_output("missing.csv", ["lexicon.csv", "mcksg"])
        >>> check_output("missing.xlsx", [], suffix=".csv")
        Traceback (most recent call last):
        ValueError: missing.xlsx: expected a name ending in .csv; rename it
    """
    path = Path(output)
    if suffix and path.suffix.lower() != suffix:
        raise ValueError(f"{output}: expected a name ending in {suffix}; rename it")
    if path.is_dir():
        raise ValueError(f"{output}: expected a file to write, found a folder; name a file in it")
    if path.exists():
        for name in filter(os.path.exists, inputs):
            if path.samefile(name) or Path(name).resolve() in path.resolve().parents:
                raise ValueError(
                    f"{output}: expected a file other than the input, found the input itself; name another"
                )


def read_json(path: Path, *, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: The file.
        missing: Value to return if the file does not exist (default: raise an error).

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file holds something else.

    Examples:
        >>> read_json(Path("nowhere.json"), missing={})
        {}
    """
    if missing is not None and not path.is_file():
        return missing
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, found an error: {error}; copy the file again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object, found {type(content).__name__}; copy the file again")
    return content


def write_json(path: Path, value: Any, *, sort_keys: bool = False) -> None:
    """Write a value as human-readable JSON: UTF-8, indented by two spaces, with a line feed at its end.

    Args:
        path: File to write.
        value: Any value that JSON can represent.
        sort_keys: Sort the keys, instead of keeping the order of the mappings (default False).

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(Path(folder, "gloss.json"), {"gloss": "집"})
        ...     print(Path(folder, "gloss.json").read_text("utf-8"), end="")
        {
          "gloss": "집"
        }
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=sort_keys) + "\n"
    path.write_text(text, "utf-8", newline="")


def new_folder(output_dir: str) -> Path:
    """Return the path of a folder that `save_folder` can create. An empty folder is removed.

    Args:
        output_dir: Path that does not exist yet, or an empty folder.

    Raises:
        ValueError: It is a folder with contents, or a file.

    Examples:
        >>> new_folder("outputs/new").name
        'new'
    """
    folder = Path(output_dir)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    elif folder.exists():
        raise ValueError(f"{folder} already exists; choose another --output_dir, or delete it")
    return folder


def public_path(word: str) -> str:
    """Return a path, or a word of a command line with paths in it, without the folders of this machine.

    Args:
        word: A path below the working directory becomes relative to it; of another absolute path, the name remains.
            Everything else is left unchanged.

    Examples:
        >>> public_path("--data_dir=/home/me/corpora/gksl"), public_path("outputs/demo")
        ('--data_dir=gksl', 'outputs/demo')
    """
    return _ABSOLUTE.sub(lambda match: _below_here(Path(match[0])), word)


def _below_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name
