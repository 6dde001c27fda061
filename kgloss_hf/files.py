"""Files and folders that get their names only once they are complete, and paths that can be published."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ABSOLUTE = re.compile(r"(?<![^=,])(/|[A-Za-z]:[\\/])[^,]*")


def save_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a file that gets its name, or replaces what has it, only once it is complete and on the disk.

    Args:
        path: File to make, in a folder that is there.
        write: Called with a path beside it. If it fails, nothing is left there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file(Path(folder, "gloss.txt"), lambda path: path.write_text("집"))
        ...     [(path.name, path.read_text()) for path in Path(folder).iterdir()]
        [('gloss.txt', '집')]
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial)
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    os.replace(partial, path)


def save_folder(folder: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a folder that gets its name only once it is complete.

    Args:
        folder: Folder to make, with its parents; must not be there.
        write: Called with an empty folder beside it. If it fails, nothing is left there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_folder(Path(folder, "glosses"), lambda partial: (partial / "gloss.txt").write_text("집"))
        ...     [path.name for path in Path(folder, "glosses").iterdir()]
        ['gloss.txt']
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(folder)


def new_folder(output_dir: str) -> Path:
    """The path of a folder that `save_folder` can make.

    Args:
        output_dir: Not there yet, or an empty folder.

    Raises:
        ValueError: It holds something, or is a file.

    Example:
        >>> new_folder("outputs/new").name
        'new'
    """
    folder = Path(output_dir)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    elif folder.exists():
        raise ValueError(f"{folder} is there already; choose another --output_dir, or delete it")
    return folder


def public_path(word: str) -> str:
    """A path, or a word of a command line with paths in it, without the folders of this machine.

    Args:
        word: What is not absolute, and what is below the working directory, stays as it is below it.

    Example:
        >>> public_path("--data_dir=/home/me/corpora/gksl"), public_path("outputs/demo")
        ('--data_dir=gksl', 'outputs/demo')
    """
    return _ABSOLUTE.sub(lambda found: _below_here(Path(found[0])), word)


def _below_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name
