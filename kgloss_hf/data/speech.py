"""Turn cues into sentences: leave out what is not spoken, join what was split, and divide what was put together.

The rules are few, and everything that they leave out is counted:

- Music symbols, text in square brackets, and text in round brackets at the start or end of a line, separated from its
  words, are not speech.
- A dash or `>>`, a name with a colon, or a WebVTT voice at the start of a line marks a change of speaker.
- `.` after Hangul, or `?` and `!` after anything, end a sentence if a space follows. A line that ends in this way, or
  with a final ending (다, 요, 까, 죠, 네, 냐, 구나; not 바다, 보다, 중요, 하니까 …), ends its sentence.
- A line that was already shown in the preceding cue, and scrolls up as new lines appear, is not counted as speech
  again.
- Otherwise the sentence continues in the next cue, if the speaker is the same and the gap between the cues is at most
  `GAP`. A sentence is limited by `MOST_CUES`, `MOST_CHARACTERS` and `LONGEST`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..runtime.normalization import normalize
from .signs import Notes
from .subtitles import Cue, plain

GAP = 1_000
"""Maximum number of milliseconds between two cues that share a sentence."""

OVERLAP = 100
"""Maximum number of milliseconds for which two such cues may overlap, since times are rounded."""

MOST_CUES = 6
"""Maximum number of cues per sentence."""

MOST_CHARACTERS = 200
"""Maximum number of characters of a sentence in several cues."""

LONGEST = 20_000
"""Maximum number of milliseconds of a sentence in several cues."""

_AT_ONCE = 10  # milliseconds
_SCROLLING = 50  # milliseconds
_OTHER = "\x1e"  # marks a change of speaker; `plain` has removed such characters from the text
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)*(?:\s[^<>]*)?>")
_MARKED_VOICE = "\ue000"  # of the private use area, which `plain` keeps
_MUSIC = re.compile("[♪♫♬♩🎵🎶]+")
_SQUARE = re.compile(r"\[[^\[\]]*\]|【[^【】]*】")
_ROUND = r"\([^()]{0,200}\)"  # `normalize` has replaced full-width brackets
_LEADING_ROUND = re.compile(rf"(?m)^([\s{_OTHER}]*){_ROUND}(?:\s+{_ROUND})*(?=\s|$)")
_TRAILING_ROUND = re.compile(rf"(?m)(?<=\s){_ROUND}(?: +{_ROUND}){{0,9}} *$")
_DASHED = re.compile(r"(?m)^\s*[-–—].*\s[-–—]\s.*$")
_DASH = re.compile(r"(?m)^\s*(?:[-–—]+(?!\d)|>{2,3})[ \t]*")
_NAME = re.compile(rf"(?m)^([\s{_OTHER}]*)[가-힣A-Za-z]{{1,10}}(?: ?\d{{1,2}})?(?: ?{_ROUND})? ?[:：]\s*(?=[^\d/\s])")

_CLOSING = "\"'”’」』)"
_WITHIN = re.compile(rf"(?:[가-힣]\.(?!\.)|\w[?!。？！]+)[{_CLOSING}]*\s+(?=\S)")
_ON_B = "".join(chr(0xAC00 + 28 * syllable + 17) for syllable in range(399))  # syllables that end in ㅂ
_ENDING = (
    r"(?:(?<=[가-힣])(?<![바마보])다|(?<=[가-힣])(?<![필중주개수])요|(?<![니아])까|"
    rf"[{_ON_B}]니까|죠|(?<!동)네|냐|구나)"
)
_FINAL = re.compile(rf"(?:(?<![.\d])\.|[?!。？！]|{_ENDING}(?:\.{{2,}}|…|~|～)*)[{_CLOSING}\s~～]*$")


class Part(NamedTuple):
    """Part of a sentence that is in one cue.

    Args:
        cue: Index of the cue in its list.
        start: Index of its first character in the text of the sentence.
        end: Index after its last character.
    """

    cue: int
    start: int
    end: int


class Sentence(NamedTuple):
    """A sentence with the cues that contain it; the sentence of a cue without speech has an empty text."""

    text: str
    parts: tuple[Part, ...]


def sentences_of(cues: Sequence[Cue], notes: Notes) -> list[Sentence]:
    """Return the sentences that are spoken in cues. Each cue is in at least one sentence.

    Args:
        cues: Cues sorted by start.
        notes: Counter of what is left out.

    Examples:
        >>> cues = [Cue(1, 0, 900, "(음악) 4세기에"), Cue(2, 1000, 2000, "<i>만들어졌어요.</i> 볼까요?")]
        >>> for sentence in sentences_of(cues, notes := Notes()):
        ...     print(sentence.text, sentence.parts)
        4세기에 만들어졌어요. (Part(cue=0, start=0, end=4), Part(cue=1, start=5, end=12))
        볼까요? (Part(cue=1, start=0, end=4),)
        >>> print(notes)
        1 description of sounds left out (the first: cue 1: (음악))
    """
    sentences: list[Sentence] = []
    waiting: list[tuple[str, int]] = []  # pieces of the current sentence, and the indices of their cues

    def end() -> None:
        if waiting:
            sentences.append(_joined(waiting))
            waiting.clear()

    for place, cue in enumerate(cues):
        is_empty = True
        if shown := _shown_again(cues[place - 1], cue) if place else 0:
            lines = cue.text.split("\n")
            notes.add("repeated line(s) left out", f"cue {cue.number}: {plain(lines[0])}", shown)
            cue = cue._replace(text="\n".join(lines[shown:]))
        for text, other in _pieces(cue, notes):
            # Each piece of a cue is a sentence of its own.
            if waiting and (other or not is_empty or not _goes_on(waiting, cues, place, text)):
                end()
            is_empty = False
            waiting.append((text, place))
            if _FINAL.search(text):
                end()
        if is_empty:
            sentences.append(Sentence("", (Part(place, 0, 0),)))
        if is_empty and not shown:
            end()
            notes.add("cue(s) without speech", f"cue {cue.number}: {plain(cue.text)}")
    end()
    return sorted(sentences, key=lambda sentence: sentence.parts[0].cue)


def _shown_again(before: Cue, cue: Cue) -> int:
    """Return the number of first lines of a cue that repeat the last lines of the cue before, as in scrolling captions.

    This applies to a cue that follows immediately and either shows further lines or is shown only during scrolling.
    """
    if abs(cue.start - before.end) > _AT_ONCE:
        return 0
    earlier, lines = ([plain(line) for line in one.text.split("\n")] for one in (before, cue))
    same = (n for n in range(min(len(earlier), len(lines)), 0, -1) if earlier[-n:] == lines[:n] != [""] * n)
    count = next(same, 0)
    return count if count < len(lines) or cue.end - cue.start <= _SCROLLING else 0


def _goes_on(waiting: Sequence[tuple[str, int]], cues: Sequence[Cue], place: int, text: str) -> bool:
    first, last, cue = cues[waiting[0][1]], cues[waiting[-1][1]], cues[place]
    return (
        -OVERLAP <= cue.start - last.end <= GAP
        and cue.end >= last.end
        and len(waiting) < MOST_CUES
        and sum(len(piece) + 1 for piece, _ in waiting) + len(text) <= MOST_CHARACTERS
        and cue.end - first.start <= LONGEST
    )


def _joined(pieces: Sequence[tuple[str, int]]) -> Sentence:
    parts, at = [], 0
    for text, place in pieces:
        parts.append(Part(place, at, at + len(text)))
        at += len(text) + 1
    return Sentence(" ".join(text for text, _ in pieces), tuple(parts))


def _pieces(cue: Cue, notes: Notes) -> Iterator[tuple[str, bool]]:
    """Yield the speech of a cue, sentence by sentence, each with whether the speaker changes before it."""

    def leave_out(kind: str, pattern: re.Pattern[str], text: str, by: str) -> str:
        def counted(match: re.Match[str]) -> str:
            notes.add(kind, f"cue {cue.number}: {' '.join(match[0].replace(_OTHER, ' ').split())}")
            return match.expand(by)

        return pattern.sub(counted, text)

    voiced = leave_out("name(s) of speakers left out", _VOICE, cue.text.replace(_MARKED_VOICE, ""), _MARKED_VOICE)
    text = normalize(plain(voiced)).replace(_MARKED_VOICE, f"\n{_OTHER}")
    text = leave_out("music symbol(s) left out", _MUSIC, text, " ")
    text = leave_out("description(s) of sounds left out", _SQUARE, text, " ")
    text = _DASHED.sub(lambda line: re.sub(r"\s[-–—]\s", "\n- ", line[0]), text)
    text = _DASH.sub(f"\n{_OTHER}", text)
    for _ in range(2):  # names and descriptions may come in either order
        text = leave_out("name(s) of speakers left out", _NAME, text, rf"\n{_OTHER}\1")
        text = leave_out("description(s) of sounds left out", _LEADING_ROUND, text, r"\1")
    text = leave_out("description(s) of sounds left out", _TRAILING_ROUND, text, "")
    is_other = False
    for number, speech in enumerate(text.split(_OTHER)):
        is_other = is_other or number > 0
        for text in _by_endings(speech):
            at = 0
            for end in [*(match.end() for match in _WITHIN.finditer(text)), len(text)]:
                if re.search(r"\w", piece := text[at:end].strip()):
                    yield piece, is_other
                    is_other = False
                at = end


def _by_endings(text: str) -> Iterator[str]:
    """Yield lines, each joined to the preceding lines that do not end a sentence."""
    waiting: list[str] = []
    for line in filter(None, (" ".join(line.split()) for line in text.split("\n"))):
        waiting.append(line)
        if _FINAL.search(line):
            yield " ".join(waiting)
            waiting.clear()
    yield " ".join(waiting)
