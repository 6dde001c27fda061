"""Stream the files of a corpus from a folder, a file or a ZIP archive, without unpacking anything to disk."""

from __future__ import annotations

import codecs
import errno
import json
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..reporting import one_line
from ..runtime.normalization import normalize_line
from .bounds import check_unfolded
from .json_items import JsonError, json_items
from .splitting import part_of

SUFFIXES = (".json", ".jsonl", ".eaf")
"""File extensions of a corpus, in any case."""

ARCHIVE = ".zip"
"""File extension of an archive, in any case."""

NESTED = "archive(s) inside archives"
"""Kind of nested archives, which are left out because only archives named by the user are opened."""

_MOST = 2**26  # bytes of one object or of one ELAN file
_CHUNK = 2**16
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    OSError,
    struct.error,
    ValueError,
)
_TOO_LARGE = f"expected at most {_MOST:,} bytes, found more; save it in several files"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


class Member(NamedTuple):
    """A file of a corpus.

    Args:
        where: Path of the file, or its archive and its name there, as shown in messages.
        name: Path of the file relative to the named folder or archive.
        open: Function that opens the file for reading bytes.
    """

    where: str
    name: str
    open: Callable[[], IO[bytes]]

    @property
    def suffix(self) -> str:
        """Extension of the file in lower case."""
        return Path(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """Name of the file without folders and extension."""
        return normalize_line(Path(self.name).stem)

    @property
    def split(self) -> str | None:
        """Set of the data (`train`, `validation`, `test`) named by the nearest folder with a known name, or None."""
        for folder in reversed(Path(self.name).parts[:-1]):
            bare = re.sub(
                r"^[\W\d_]+|(?<=[a-z가-힣])[\W_]*(data|set|데이터)?[\W\d_]*$", "", normalize_line(folder).casefold()
            )
            if split := part_of(bare):
                return split
        return None


def members(path: Path, left_out: Callable[[str, str], None] = lambda kind, name: None) -> Iterator[Member]:
    """Yield the files of a corpus, sorted within each folder and archive.

    Hidden files and links are left out.

    Args:
        path: A folder, searched with its subfolders, one file, or a ZIP archive.
        left_out: Called with the kind and the name of each file that is left out.

    Raises:
        ValueError: An archive is damaged, encrypted, or unpacks to far more than its size.

    Examples:
        >>> [member.name for member in members(Path("a.json"))]
        ['a.json']
    """
    if path.is_dir():
        for file in _files(path, left_out):
            yield from _of_file(file, Path(path.resolve().name) / file.relative_to(path), left_out)
    else:
        yield from _of_file(path, Path(path.name), left_out)


def tables_beside(path: Path) -> list[Path]:
    """Return the tables (CSV, TSV, XLSX) in a folder and its subfolders, or in the folder of a file.

    Args:
        path: A folder or file named by the user.

    Examples:
        >>> tables_beside(Path(__file__))
        []
    """
    files = _files(path, lambda kind, name: None) if path.is_dir() else sorted(path.parent.iterdir())
    return [file for file in files if file.suffix.lower() in (".csv", ".tsv", ".xlsx") and file.is_file()]


def first_value(member: Member) -> Any:
    """Return the first value of a JSON file, if need be by guessing its encoding; None if it cannot be read.

    Args:
        member: The file.
    """
    value = next((value for _, value in json_values(member)), None)
    if not isinstance(value, UnicodeError):
        return value
    with _readable(), member.open() as file:
        content = file.read(_MOST)
    text = content.decode("utf-16" if content.startswith(_UTF16) else "latin-1", errors="replace")
    for part in (text, text.lstrip().partition("\n")[0]):
        try:
            values = json.loads(part)
        except (ValueError, RecursionError):
            continue
        return values[0] if isinstance(values, list) and values else values
    return None


def _files(folder: Path, left_out: Callable[[str, str], None]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        kinds = sorted((entry.name, entry.is_symlink(), entry.is_dir(), entry.is_file()) for entry in entries)
    for name, is_link, is_folder, is_file in kinds:
        path = folder / name
        if is_link:
            left_out("link(s)", str(path))
        elif not _hidden(name):
            if is_folder:
                yield from _files(path, left_out)
            elif is_file:
                yield path


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX")) and name not in (".", "..")


def _kind(suffix: str) -> str:
    return f"{one_line(suffix[:12])} file(s)" if suffix else "file(s) without an extension"


def _of_file(path: Path, name: Path, left_out: Callable[[str, str], None]) -> Iterator[Member]:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        yield Member(str(path), str(name), lambda: path.open("rb"))
    elif suffix == ARCHIVE:
        yield from _of_archive(path, name.with_suffix(""), left_out)
    else:
        left_out(_kind(suffix), str(path))


def _of_archive(path: Path, name: Path, left_out: Callable[[str, str], None]) -> Iterator[Member]:
    with _readable(f"{path}: "):
        archive = zipfile.ZipFile(path)
        infos = sorted(archive.infolist(), key=lambda info: info.filename)
    check_unfolded(path, sum(info.file_size for info in infos if _suffix(info) in SUFFIXES))
    with archive:
        for info in infos:
            if not info.filename or info.is_dir() or any(map(_hidden, info.filename.split("/"))):
                continue
            member_name = _member_name(info)
            where = f"{path}, member {one_line(member_name)}"
            suffix = _suffix(info)
            if suffix == ARCHIVE:
                left_out(NESTED, where)
            elif suffix not in SUFFIXES:
                left_out(_kind(suffix), where)
            elif info.flag_bits & 1:
                raise ValueError(
                    f"{where}: expected a file that is not encrypted; unpack the archive with its password, and name "
                    "the folder instead"
                )
            else:
                yield Member(where, str(name / member_name.lstrip("/")), partial(archive.open, info))


def _suffix(info: zipfile.ZipInfo) -> str:
    return Path(info.filename).suffix.lower()


def _member_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member, decoding Korean names whose encoding the archive does not state."""
    if not info.flag_bits & 0x800 and not info.filename.isascii():
        for encoding in ("utf-8", "cp949"):
            try:
                return info.filename.encode("cp437").decode(encoding)
            except UnicodeError:
                continue
    return info.filename


@contextmanager
def _readable(where: str = "") -> Iterator[None]:
    """Raise a ValueError in place of the many kinds of errors that damaged archives cause."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # seeking before the beginning
            raise
        raise ValueError(
            f"{where}damaged, or not a readable ZIP archive ({error}); download it or create it again"
        ) from error


def first_bytes(member: Member) -> bytes:
    """Return the first 64 KiB of a file.

    Args:
        member: The file.

    Raises:
        ValueError: The file is damaged.
    """
    with _readable(), member.open() as file:
        return file.read(_CHUNK)


def read_text(member: Member) -> str:
    """Return the text of a file.

    Args:
        member: The file.

    Raises:
        UnicodeError: The file is not UTF-8. A ValueError.
        ValueError: The file is larger than 64 MiB, or damaged.
    """
    with _readable(), member.open() as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise ValueError(_TOO_LARGE)
    return decoded(content)


def decoded(content: bytes) -> str:
    """Return the content of a corpus file as text.

    Args:
        content: UTF-8, with or without a byte order mark.

    Raises:
        UnicodeError: The content is in another encoding. A ValueError.

    Examples:
        >>> decoded("집".encode("utf-8-sig"))
        '집'
    """
    if content.startswith(_UTF16):
        raise UnicodeError(
            "expected UTF-8, found UTF-16; save the file as UTF-8, for example: iconv -f UTF-16 -t UTF-8"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnicodeError(
            f"expected UTF-8, found {content[error.start : error.start + 8]!r}; "
            "save the file as UTF-8, for example: iconv -f CP949 -t UTF-8"
        ) from error


def json_values(member: Member) -> Iterator[tuple[str, Any]]:
    """Yield the location of each value of a JSON file with the value, or with the ValueError that it raised.

    The file holds one value, an array of values, or one value per line. Only part of an array, or one line, is in
    memory at a time.

    Args:
        member: The file.
    """
    try:
        with _readable(), member.open() as file:
            yield from _values(member, file)
    except ValueError as error:
        yield member.where, error


def _values(member: Member, file: Any) -> Iterator[tuple[str, Any]]:
    if file.peek(_CHUNK).removeprefix(_BOM).lstrip().startswith(b"["):
        yield from _array(member.where, file)
        return
    lines = enumerate(iter(partial(file.readline, _MOST + 1), b""), 1)
    number, line = next(((number, line) for number, line in lines if line.removeprefix(_BOM).strip()), (1, b""))
    value = _loaded(line)
    if member.suffix != ".jsonl" and isinstance(value, ValueError):
        yield member.where, _loaded(line + file.read(_MOST + 1))
        return
    after = next(lines, None)
    yield (f"{member.where}, row {number}" if after else member.where), value
    for number, line in chain([after] if after else [], lines):
        if line.strip():
            yield f"{member.where}, row {number}", _loaded(line)


def _loaded(content: bytes) -> Any:
    try:
        if len(content) > _MOST:
            raise ValueError(_TOO_LARGE)
        return json.loads(decoded(content))
    except UnicodeError as error:
        return error
    except (ValueError, RecursionError) as error:  # raised also for values too long or too deeply nested
        return ValueError(f"expected a JSON object ({error})")


def _array(where: str, file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield the items of an array up to the first damaged one; the rest is lost."""
    pieces = codecs.iterdecode(iter(lambda: file.read(_CHUNK), b""), "utf-8-sig")
    number = 0
    try:
        for number, value in enumerate(json_items(pieces, _MOST), 1):
            yield f"{where}, item {number}", value
    except UnicodeError as error:
        yield f"{where}, after item {number}", UnicodeError(f"expected UTF-8 ({error})")
    except JsonError as error:
        yield f"{where}, after item {number}", ValueError(f"expected an array of JSON objects ({error})")
