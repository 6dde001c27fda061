"""Read text files line by line, and find out their encoding."""

from __future__ import annotations

import codecs
import functools
import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_LINE = 10 * 2**20  # characters
_SAMPLE = 4096  # bytes
_HANGUL = "[가-힣]"
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # first, because it begins with the mark of UTF-16
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

TEXT_SUFFIXES = (".txt", ".txt.gz")
"""Extensions of the files that `read_lines` reads, in any case."""

SUBTITLE_SUFFIXES = (".srt", ".vtt")
"""Extensions of the files that `kgloss_hf.data.subtitles` reads, in any case."""

_OTHER_SUBTITLES = (".smi", ".sami", ".ass", ".ssa", ".sbv", ".ttml", ".dfxp", ".sub")


def is_text_file(name: str) -> bool:
    """Return whether a name has the extension of a text file with one sentence per line.

    Args:
        name: Name of a file, or any other text.

    Examples:
        >>> is_text_file("Reviews.TXT.gz")
        True
    """
    return name.lower().endswith(TEXT_SUFFIXES)


def is_subtitles(name: str) -> bool:
    """Return whether a name has the extension of a subtitle file.

    Args:
        name: Name of a file, or any other text.

    Examples:
        >>> is_subtitles("Film.SRT"), is_subtitles("film.txt")
        (True, False)
    """
    return name.lower().endswith(SUBTITLE_SUFFIXES)


def check_no_other_subtitles(name: str) -> None:
    """Refuse a file with subtitles of another format, whose name would be taken for a sentence.

    Args:
        name: Name of a file, or a sentence.

    Raises:
        ValueError: The name has the extension of such a format and no spaces, or is that of a file.

    Examples:
        >>> check_no_other_subtitles("sentences.txt")
    """
    if name.lower().endswith(_OTHER_SUBTITLES) and (len(name.split()) == 1 or os.path.isfile(name)):
        raise ValueError(
            f"{name}: expected subtitles in SubRip (.srt) or WebVTT (.vtt), found another format; convert them, for "
            "example with ffmpeg or Subtitle Edit"
        )


def read_lines(path: Path, *, encoding: str = "utf-8") -> Iterator[str]:
    """Return the lines of a text file with their line ends.

    Args:
        path: The file; gzip-compressed if its name ends in `.gz`.
        encoding: Encoding of the text (default `utf-8`). A byte order mark of UTF-8 or UTF-16 is recognised.

    Raises:
        UnicodeError: A line is in another encoding. A ValueError.
        ValueError: The file is damaged, or a line has more than ten million characters.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sentences.txt")
        ...     _ = file.write_text("집에 불이 났어요.\\n도와 주세요.", "utf-8")
        ...     list(read_lines(file))
        ['집에 불이 났어요.\\n', '도와 주세요.']
    """
    return read_text(path, encoding, _LINE)


def utf8_or_cp949(path: Path, warn: Callable[[str], object], remedy: str) -> str:
    """Return the encoding of a Korean text file: UTF-8, or CP949, which programs on Korean Windows often write.

    Args:
        path: As for `read_lines`. A file with a byte order mark counts as UTF-8, because `read_lines` knows the mark.
        warn: Function that is called with a warning if the file is read as CP949.
        remedy: Advice at the end of that warning, should CP949 be wrong.

    Raises:
        UnicodeError: The file is not UTF-8 and holds no Hangul in CP949. A ValueError.
        ValueError: As for `read_lines`.

    Examples:
        >>> file = Path(getfixture("tmp_path"), "glosses.csv")
        >>> _ = file.write_text("집", "cp949")
        >>> utf8_or_cp949(file, print, "save it as UTF-8")
        not UTF-8, read as CP949; if that is wrong, save it as UTF-8
        'cp949'
    """
    try:
        for _ in read_lines(path):
            pass
        return "utf-8"
    except UnicodeError:
        with suppress(UnicodeError):
            if re.search(_HANGUL, "".join(read_lines(path, encoding="cp949"))):
                warn(f"not UTF-8, read as CP949; if that is wrong, {remedy}")
                return "cp949"
        raise


def read_text(path: Path, encoding: str, most: int, *, cut: bool = False) -> Iterator[str]:
    """Yield the lines of a text file.

    Args:
        path: As for `read_lines`.
        encoding: As for `read_lines`.
        most: Maximum number of characters per line.
        cut: Whether to yield a longer line in several pieces. Default: a longer line is an error.

    Raises:
        ValueError: As for `read_lines`.
    """
    utf8 = encoding.lower() in ("utf-8", "utf8", "utf-8-sig")
    for number, line in enumerate(_decoded_lines(path, "utf-8-sig" if utf8 else encoding, most, cut), 1):
        try:
            line.encode()
        except UnicodeEncodeError as error:
            # Not every codec can encode the surrogates again.
            smuggled = "b" + ascii(line[error.start :][:10]).replace("\\udc", "\\x")
            raise _wrong_encoding(_place(path, number, cut), "UTF-8" if utf8 else encoding, smuggled) from error
        if not (utf8 or line.isascii()) and _is_korean_utf8(line, encoding):
            raise _wrong_encoding(_place(path, number, cut), encoding, "UTF-8")
        yield line


def is_text(value: str) -> bool:
    """Return whether a string can be written to a file; one with half a character cannot (in JSON, `\\ud83d` of 😀).

    Args:
        value: The string, as it was read.

    Examples:
        >>> is_text("집"), is_text("\\ud83d")
        (True, False)
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _place(path: Path, number: int, cut: bool) -> str:
    return str(path) if cut else f"{path}, line {number}"


def _decoded_lines(path: Path, encoding: str, most: int, cut: bool) -> Iterator[str]:
    unpacked = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with unpacked(path, "rb") as content:
            start = content.peek(_SAMPLE)
            encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), encoding)
            if start.count(0) > len(start) / 50 and not re.search("16|32", encoding):
                raise ValueError(
                    f"{path}: expected text, found NUL bytes, as in UTF-16 without a byte order mark; convert the file "
                    "to UTF-8, or set its encoding: --encoding utf-16-le"
                )
            # Bytes that cannot be decoded are passed on as surrogates, because the decoder does not know the line.
            file = io.TextIOWrapper(content, encoding, "surrogateescape", newline="")
            for number, line in enumerate(iter(functools.partial(file.readline, most + (not cut)), ""), 1):
                if len(line) > most:
                    raise ValueError(
                        f"{path}, line {number}: expected at most {most:,} characters per line, found more; check that "
                        "it is a text file, and break the line"
                    )
                yield line
    except UnicodeError as error:  # UTF-16 and similar encodings allow no surrogates
        raise _wrong_encoding(str(path), encoding, f"other ({error})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged or not a gzip file ({error}); get the file again") from error
    except LookupError as error:
        raise ValueError(f"{error}; choose one that Python knows, such as 'utf-8' or 'cp949'") from error


def _wrong_encoding(where: str, expected: str, found: str) -> UnicodeError:
    other = "utf-16-le" if "BOM" in found else "cp949" if expected == "UTF-8" else "utf-8"
    return UnicodeError(
        f"{where}: expected {expected}, found {found}; convert the file to UTF-8, for example: iconv -f CP949 -t "
        f"UTF-8, or set its encoding: --encoding {other}"
    )


def _is_korean_utf8(line: str, encoding: str) -> bool:
    """Return whether a line read in another encoding is Korean in UTF-8, which most encodings accept silently."""
    try:
        return bool(re.search(_HANGUL, line.encode(encoding).decode("utf-8-sig")))
    except UnicodeError:
        return False
