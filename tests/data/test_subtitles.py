from __future__ import annotations

from pathlib import Path

import pysubs2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kgloss_hf.data.lines import check_no_other_subtitles
from kgloss_hf.data.subtitles import Subtitles, plain, read_subtitles, write_subtitles

HOUR = 3_600_000
TEXTS = st.text(st.sampled_from("가집 12<>&;-:,.{}\\Nnibrlt/aA♪\n"), max_size=30)
ROWS = st.lists(st.tuples(st.integers(0, 200 * HOUR), st.integers(0, 9_000), TEXTS), max_size=6).map(
    lambda rows: sorted(((start, start + length, text) for start, length, text in rows), key=lambda row: row[0])
)


def read(tmp_path: Path, content: str | bytes, name: str = "film.srt", encoding: str | None = None) -> Subtitles:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_subtitles(path, encoding=encoding)


def contents(subtitles: Subtitles) -> list[tuple[int, int, str]]:
    return [(cue.start, cue.end, plain(cue.text)) for cue in subtitles.cues]


@given(ROWS)
@example([(0, 0, "<i>a</i> &lt; {\\an8} a\\Nb <br> 1 --> 2\n12")])
@example([(0, 1, "1"), (0, 1, "12\n3"), (100 * HOUR, 100 * HOUR + 1, "")])
def test_subrip_to_webvtt_to_subrip_keeps_times_and_texts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("film")
    first = read(folder, write_subtitles("srt", rows))
    assert [row[:2] for row in contents(first)] == [row[:2] for row in rows]
    through = read(folder, write_subtitles("vtt", contents(first)), "film.vtt")
    last = read(folder, write_subtitles("srt", contents(through)))
    assert contents(first) == contents(through) == contents(last)
    assert (through.kind, last.kind) == ("vtt", "srt")
    assert not first.notes
    assert not through.notes


@given(ROWS)
def test_webvtt_keeps_every_text_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, str]]
) -> None:
    back = contents(read(tmp_path_factory.mktemp("film"), write_subtitles("vtt", rows), "film.vtt"))
    assert [text.split() for *_, text in back] == [text.split() for *_, text in rows]


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_pysubs2_reads_what_is_written(kind: str) -> None:
    rows = [(1_000, 2_500, "집 불"), (2_500, 2_500, "2026"), (50 * HOUR, 50 * HOUR + 7, "끝")]
    cues = pysubs2.SSAFile.from_string(write_subtitles(kind, rows))
    assert [(cue.start, cue.end, cue.plaintext) for cue in cues] == rows


def test_times_of_a_comment_a_style_and_karaoke_are_no_cues(tmp_path: Path) -> None:
    film = read(
        tmp_path,
        "WEBVTT 제목\n머리\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:fred\n\n첫째\n"
        "00:01.000 --> 00:02.000 align:left\n"
        "<00:00:01.100>하나 <00:00:01.500>둘\n\nNOTE 다음\n1\n\n"
        "2\n00:00:03.000 --> 00:00:04.000\n<c.a.b>셋</c> &amp; <ruby>漢<rt>한</rt></ruby>\n",
        "film.vtt",
    )
    assert contents(film) == [(1_000, 2_000, "하나 둘"), (3_000, 4_000, "셋 & 漢")]
    assert not film.notes


@pytest.mark.parametrize(
    ("content", "texts", "unread", "note"),
    [
        ("1\n00:00:0x,000 --> 00:00:02,000\n잃음\n\n2\n00:00:03,000 --> 00:00:04,000\n둘\n", ["둘"], 1, "line 2"),
        ("1\n00:00:01,000 -> 00:00:02,000\n잃음\n\n2\n00:00:03,000 --> 00:00:04,000\n둘\n", ["둘"], 1, "line 2"),
        ("1\n00:99:01,000 --> 00:99:02,000\n잃음\n\n2\n00:00:03,000 --> 00:00:04,000\n둘\n", ["둘"], 1, "잃음"),
        ("1\n00:00:01,000 --> 00:00:02,000\n하나\n\n2\n\n잃음\n", ["하나"], 1, "1 block of text without times"),
        ("머리말\n\n1\n00:00:01,000 --> 00:00:02,000\n하나\n", ["하나"], 0, "line 1: 머리말"),
        ("1\n00:00:05,000 --> 00:00:02,000\n하나\n", ["하나"], 0, "ending before the start, given no length"),
        (
            "00:00:05,000 --> 00:00:06,000\n둘\n\n00:00:01,000 --> 00:00:02,000\n하나\n",
            ["하나", "둘"],
            0,
            "out of order, sorted by start",
        ),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n하나\n\n잃음\n", ["하나"], 1, "line 6: 잃음"),
    ],
)
def test_what_is_wrong_is_counted(tmp_path: Path, content: str, texts: list[str], unread: int, note: str) -> None:
    film = read(tmp_path, content)
    assert ([cue.text for cue in film.cues], film.unread) == (texts, unread)
    assert note in str(film.notes)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("1\n00:00:01,000 --> 00:00:02,000\n하나\n2\n00:00:03,000 --> 00:00:04,000\n둘", ["하나", "둘"]),
        ("1\n00:00:01,000 --> 00:00:02,000\n\n1\n00:00:03,000 --> 00:00:04,000\n1988", ["", "1988"]),
        ("1\r\n00:00:01,000 --> 00:00:02,000\r\n하나\r\n\r\n둘\r\n", ["하나\n둘"]),
        ("1\r00:00:01,000 --> 00:00:02,000 X1:40 X2:600\r하나\r", ["하나"]),
        ("0:1:2.5-->100:00:00\n하나", ["하나"]),
        ("1\n00:00:01,000 --> 00:00:02,000\n몇 년\n1988\n", ["몇 년\n1988"]),
        (
            "1\n00:00:01,000 --> 00:00:02,000\n몇 년\n\n1988\n\n2\n00:00:03,000 --> 00:00:04,000\n둘",
            ["몇 년\n1988", "둘"],
        ),
        ("1\n\n00:00:01,000 --> 00:00:02,000\n\n하나\n\n2\n\n00:00:03,000 --> 00:00:04,000\n\n둘\n", ["하나", "둘"]),
        ("1\n00:00:01,000 --> 00:00:02,000\n하나\n\n2\n", ["하나"]),
        ("WEBVTT\n00:01.000 --> 00:02.000\n하나\n00:03.000 --> 00:04.000\n둘", ["하나", "둘"]),
        ("\n\nWEBVTT\n\n00:01.000 --> 00:02.000\n하나\n\nNOTE x", ["하나"]),
        ("WEBVTT", []),
        ("", []),
        ("\n\n", []),
    ],
)
def test_what_players_read_is_read_without_a_note(tmp_path: Path, content: str, texts: list[str]) -> None:
    film = read(tmp_path, content)
    assert [cue.text for cue in film.cues] == texts
    assert not film.notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
def test_encodings_are_recognised_and_a_guess_is_said(tmp_path: Path, encoding: str) -> None:
    film = read(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\n똠방각하\n".encode(encoding))
    assert [cue.text for cue in film.cues] == ["똠방각하"]
    assert ("read as CP949" in str(film.notes)) == (encoding == "cp949")


def test_file_that_is_neither_utf8_nor_korean_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnicodeError, match=r"--encoding"):
        read(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\nça déjà\n".encode("latin-1"))
    assert read(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\n집".encode("utf-16-le"), encoding="utf-16-le").cues
    with pytest.raises(ValueError, match="NUL"):
        read(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\na".encode("utf-16-le"))


def test_text_without_a_cue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected cues of SubRip or WebVTT, found none .1 block"):
        read(tmp_path, "안녕하세요\n")


def test_subtitles_of_another_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "film.SMI").touch()
    with pytest.raises(ValueError, match="convert them"):
        check_no_other_subtitles(str(tmp_path / "film.SMI"))


def test_first_line_tells_the_format(tmp_path: Path) -> None:
    assert read(tmp_path, "WEBVTT\n\n00:01.000 --> 00:02.000\n하나\n", "film.srt").kind == "vtt"
    film = read(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\n하나\n", "film.vtt")
    assert (film.kind, str(film.notes)) == ("srt", "1 file without WEBVTT in its first line, read as SubRip")
