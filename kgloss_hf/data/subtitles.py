"""Read and write the cues of subtitle files in SubRip and WebVTT.

The file structure is parsed here, because every defect of a file must be counted. pysubs2 1.8.1 merges NOTE blocks,
names of cues and damaged times into the text of the preceding cue, takes a line with two karaoke times for a cue, and
reads 100 hours as 0; webvtt-py 0.6 and srt 3.5 omit what they cannot read, or the whole file. The tests read the files
written here with pysubs2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from .lines import read_text, utf8_or_cp949
from .signs import Notes

_LINE = "\n"
_LONGEST_LINE = 2**20  # characters
_STAMP = r"(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
_TIMES = re.compile(rf"\s*{_STAMP}\s*-->\s*{_STAMP}(\s.*)?", re.ASCII | re.DOTALL)
# What may follow the times: settings of WebVTT and its predecessor, and coordinates of SubRip.
_SETTINGS = re.compile(r"(?:\s+(?:vertical|line|position|size|align|region|[ADLST]|[XY][12]):\S*)*\s*", re.ASCII)
# A line that was meant as times: a time, an arrow, and a time with seconds; or a complete time without words after it.
# Scores (`1:0 → 2:0`) and hours (`12:30 -> 13:30`) are speech.
_MEANT_AS_TIMES = re.compile(
    r"\s{0,9}-?\d{1,6}\s{0,3}:[^>→]{0,60}(?:[-–—]>|→)\s{0,9}-?\d{1,6}\s{0,3}:\s{0,3}\d{1,2}\s{0,3}[:.,]"
    r"|\s{0,9}\d{1,6}:\d{2}:\d{2}[.,]\d(?:[^a-zA-Z가-힣]*$|\s*[-–—=~>→]+\s*\d{1,6}:)",
    re.ASCII,
)
_NUMBER = re.compile(r"\s*\d{1,9}\.?\s*", re.ASCII)
_HEAD = re.compile(r"WEBVTT(\s|$)")
_BESIDE_CUES = re.compile(r"(WEBVTT|NOTE|STYLE|REGION)(\s|$)|X-TIMESTAMP-MAP=")

# Markup: tags of SubRip and WebVTT with their classes, karaoke times, and overrides of SubStation Alpha. The reading
# above a word (ruby) is removed with its tag.
_READING = re.compile(r"<rt\b[^<>]*>[^<]*(?:</rt>)?")
_BREAK = re.compile(r"<br\s*/?>|\\N", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|</>|<\d[\d:.]*>|\{\\[^{}]*\}")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[a-zA-Z]\w{1,30});", re.ASCII)
# Control characters, direction marks, zero-width characters, and what XML cannot hold.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


class Cue(NamedTuple):
    """A text with the times at which it is shown, in milliseconds.

    Args:
        number: Position in the file, from 1.
        start: Time at which the text appears.
        end: Time at which it disappears; never before `start`.
        text: Text as in the file, its lines separated by line feeds.
    """

    number: int
    start: int
    end: int
    text: str


class Subtitles(NamedTuple):
    """Cues of a file, its format (`srt` or `vtt`), and its defects.

    Args:
        kind: Format of the file, by its content.
        cues: Cues sorted by start; those with equal starts are in the order of the file.
        notes: Counter of what was changed or left out.
        unread: Number of cues left out because their times cannot be read.
    """

    kind: str
    cues: list[Cue]
    notes: Notes
    unread: int


def read_subtitles(path: Path, *, encoding: str | None = None) -> Subtitles:
    """Read the cues of a SubRip or WebVTT file.

    The first line determines the format, not the name. Times may have one to nine digits after the point or comma, and
    may omit the hours. Text without times, or with unreadable times, is left out and counted. A cue that ends before
    it starts is given no length, and cues out of order are sorted. The offset of a stream (`X-TIMESTAMP-MAP`) is not
    added to the times, which is noted.

    Args:
        path: The file.
        encoding: Encoding of the text. Default: UTF-8, or UTF-16 with a byte order mark; a file in neither is read as
            CP949, which is noted.

    Raises:
        FileNotFoundError: The file does not exist.
        UnicodeError: The file is in another encoding. A ValueError.
        ValueError: The file is not text, or holds text but no cue.

    Examples:
        >>> path = Path(getfixture("tmp_path"), "film.srt")
        >>> _ = path.write_text("1\\n00:00:01,000 --> 00:00:02,500\\n안녕하세요.\\n", "utf-8")
        >>> read_subtitles(path).cues
        [Cue(number=1, start=1000, end=2500, text='안녕하세요.')]
    """
    notes = Notes()
    lines = _lines(path, encoding, notes)
    kind = "vtt" if _HEAD.match(next(filter(str.strip, lines), "")) else "srt"
    if kind == "srt" and path.suffix.lower() == ".vtt" and any(map(str.strip, lines)):
        notes.add("file without WEBVTT in its first line, read as SubRip")
    marks = [number for number, line in enumerate(lines) if _is_mark(lines, number)]
    cues: list[Cue] = []
    head = lines[: _end_before(lines, marks[0] if marks else len(lines), 0, kind)]
    untimed, unread = _note_rest(head, kind, 0, notes), 0
    for number, (mark, following) in enumerate(pairwise([*marks, len(lines)]), 1):
        times = _TIMES.fullmatch(lines[mark])
        end_of_body = _end_before(lines, following, mark + 1, kind)
        body = lines[mark + 1 : end_of_body]
        next_number = _number_before(lines, following) if end_of_body < following else None
        text, rest = _text(body, kind, _number_before(lines, mark), next_number)
        if times and (spoken := _SETTINGS.sub("", times[9] or "", count=1)):
            notes.add("cue(s) with text after the times, kept", f"line {mark + 1}: {spoken}")
            text = [spoken.strip(), *text]
        start, end = (_milliseconds(times.groups()[at : at + 4]) if times else None for at in (0, 4))
        if start is None or end is None:
            notes.add("cue(s) with unreadable times left out", f"line {mark + 1}: {lines[mark]} {' '.join(text)}")
            unread += 1
        else:
            if end < start:
                notes.add("cue(s) ending before the start, given no length", f"line {mark + 1}: {lines[mark]}")
            cues.append(Cue(number, start, max(start, end), _LINE.join(text)))
        unread += _note_rest(rest, kind, mark + 1 + len(body) - len(rest), notes)
    if not cues and untimed + unread:
        raise ValueError(f"{path}: expected cues of SubRip or WebVTT, found none ({notes}); correct the times")
    late = next((after for before, after in pairwise(cues) if after.start < before.start), None)
    if late:
        count = sum(after.start < before.start for before, after in pairwise(cues))
        notes.add("cue(s) out of order, sorted by start", f"cue {late.number}", count)
    return Subtitles(kind, sorted(cues, key=lambda cue: cue.start), notes, unread)


def _lines(path: Path, encoding: str | None, notes: Notes) -> list[str]:
    """Return the lines of a file without their line ends."""
    encoding = encoding or utf8_or_cp949(
        path, lambda problem: notes.add(f"file that is {problem}"), "set its encoding with --encoding"
    )
    lines = list(read_text(path, encoding, _LONGEST_LINE))
    return [line.removeprefix("\ufeff").rstrip("\r\n") for line in lines]


def _is_mark(lines: Sequence[str], number: int) -> bool:
    """Return whether a line holds, or was meant to hold, the times of a cue."""
    line = lines[number]
    if "-->" in line:
        if _TIMES.fullmatch(line) or _MEANT_AS_TIMES.match(line):
            return True
        before = number - 1 if number and _NUMBER.fullmatch(lines[number - 1]) else number
        return before == 0 or not lines[before - 1].strip()
    return bool(_MEANT_AS_TIMES.match(line))


def _end_before(lines: Sequence[str], mark: int, first: int, kind: str) -> int:
    """Return the end of the lines before a line of times, excluding the number or name of the cue that it begins."""
    if mark == len(lines) or mark <= first or not lines[mark - 1].strip():
        return mark
    named = kind == "vtt" and (mark == 1 or not _line_of(lines[mark - 2], kind))
    return mark - 1 if named or _NUMBER.fullmatch(lines[mark - 1]) else mark


def _line_of(line: str, kind: str) -> str:
    """Return what must be empty for a line to separate cues: WebVTT takes a line of spaces for text."""
    return line if kind == "vtt" else line.strip()


def _number_before(lines: Sequence[str], mark: int) -> int | None:
    """Return the number of the cue whose times are in a line."""
    before = next((line for line in reversed(lines[max(0, mark - 2) : mark]) if line.strip()), "")
    return int(before.strip(" .\t")) if _NUMBER.fullmatch(before) else None


def _text(
    body: Sequence[str], kind: str, number: int | None, next_number: int | None
) -> tuple[list[str], Sequence[str]]:
    """Divide the lines after a line of times into the text and what does not belong to it.

    An empty line ends a text in WebVTT. A text in SubRip continues after it, as in players, up to the number of the
    next cue, whose times may be missing or follow another blank line. If the next times have a number of their own
    (`next_number`), the same number before it is text.
    """
    blank = [number for number, line in enumerate(body) if not _line_of(line, kind)]
    if kind == "vtt":
        end = blank[0] if blank else len(body)
    else:
        numbers = [n + 1 for n in blank if n + 1 < len(body) and _NUMBER.fullmatch(body[n + 1])]
        values = [int(body[n].strip(" .\t")) for n in numbers]
        expected = None if number is None else number + 1
        is_next = [
            value == expected != next_number or (next_number is None and not any(map(str.strip, body[n + 1 :])))
            for n, value in zip(numbers, values, strict=True)
        ]
        end = next((n for n, cut in zip(numbers, is_next, strict=True) if cut), len(body))
    return [line.strip() for line in body[:end] if line.strip()], body[end:]


def _note_rest(rest: Sequence[str], kind: str, first: int, notes: Notes) -> int:
    """Note and count the blocks of text without times, except comments, styles and the head of WebVTT."""
    count = 0
    for _, block in groupby(enumerate(rest, first), lambda numbered: bool(_line_of(numbered[1], kind))):
        texts = [(number, line) for number, line in block if line.strip() and not _NUMBER.fullmatch(line)]
        number, line = texts[0] if texts else (0, "")
        for _, head in texts if kind == "vtt" else ():
            if head.startswith("X-TIMESTAMP-MAP="):
                notes.add("offset(s) of a stream not added to the times", head)
        if line.strip() and not (kind == "vtt" and _BESIDE_CUES.match(line)):
            notes.add("block(s) of text without times left out", f"line {number + 1}: {line}")
            count += 1
    return count


def _milliseconds(groups: Sequence[str | None]) -> int | None:
    hours, minutes, seconds = (int(group or 0) for group in groups[:3])
    if minutes > 59 or seconds > 59:
        return None
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + int((groups[3] or "0").ljust(3, "0")[:3])


def plain(text: str) -> str:
    """Return the text of a cue without tags, overrides, readings above words, entities and invisible characters.

    Args:
        text: Text of a cue. Its line feeds are kept; `<br>` and `\\N` become line feeds.

    Examples:
        >>> plain("<i>4세기</i>의 <c.yellow>토기</c> &amp; 돌 {\\\\an8}")
        '4세기의 토기 & 돌'
    """
    bare = _TAG.sub("", _READING.sub("", _BREAK.sub(_LINE, text))).replace(r"\h", " ")
    bare = _UNSEEN.sub("", _ENTITY.sub(lambda entity: unescape(entity[0]), bare))
    return _LINE.join(filter(None, (" ".join(line.split()) for line in bare.split(_LINE))))


def write_subtitles(kind: str, rows: Iterable[tuple[int, int, str]]) -> str:
    """Return the content of a SubRip or WebVTT file, in which no text acts as markup or times.

    SubRip has no escapes, so `<`, `>`, `&`, `{` and backslashes with a special meaning are replaced by their full-width
    forms.

    Args:
        kind: `srt` or `vtt`.
        rows: Start and end in milliseconds, and text, sorted by start. A text may be empty.

    Examples:
        >>> print(write_subtitles("vtt", [(1000, 2500, "집 <불>")]), end="")
        WEBVTT
        <BLANKLINE>
        00:00:01.000 --> 00:00:02.500
        집 &lt;불&gt;
    """
    blocks = ["WEBVTT"] if kind == "vtt" else []
    for number, (start, end, text) in enumerate(rows, 1):
        lines = [_escaped(line, kind) for line in _plain_lines(text)]
        times = f"{_stamp(start, kind)} --> {_stamp(end, kind)}"
        blocks.append(_LINE.join([*([str(number)] if kind == "srt" else []), times, *lines]))
    return "".join(f"{block}\n\n" for block in blocks[:-1]) + "".join(f"{block}\n" for block in blocks[-1:])


def _plain_lines(text: str) -> Iterator[str]:
    """Yield the lines of a text as a cue can hold them, without blank lines and invisible characters."""
    return filter(None, (" ".join(_UNSEEN.sub("", line).split()) for line in text.split(_LINE)))


def _escaped(line: str, kind: str) -> str:
    if kind == "vtt":
        return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\\", "&#92;")
    line = re.sub(r"\\(?=[Nnh])", "＼", re.sub(r"\{(?=\\)", "｛", line))
    line = re.sub(r"<(?=/?[a-zA-Z\d>])", "＜", line).replace("-->", "--＞")
    return _ENTITY.sub(lambda entity: "＆" + entity[0][1:], line)


def _stamp(milliseconds: int, kind: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{',' if kind == 'srt' else '.'}{rest:03}"
