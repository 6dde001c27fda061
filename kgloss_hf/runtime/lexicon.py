"""Look up what plays a gloss: its entry in a lexicon, that of another word for the same sign, or letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from .fingerspelling import fingerspell
from .glosses import PLACEHOLDERS, UNKNOWN_TYPE, content_of, type_of_notation
from .normalization import normalize_line

NO_ENTRY = "no entry"
NO_VIDEO = "no video"
NO_ID = "no id"
NO_LETTER = "no letter"
NO_SOURCE = "no source"
NON_MANUAL = "non-manual"
REASONS = (NO_ENTRY, NO_VIDEO, NO_ID, NO_LETTER, NO_SOURCE, NON_MANUAL)
"""Why a gloss cannot be played: no entry; entries without the video or id that plays the others; a word to be spelled
without a letter that has an entry; a placeholder without a source in the sentence; a signal of face or head."""

WAYS = ("entry", "group", "headword", "letters")
"""What plays a gloss: its own entry; another of the same sign; that of its headword, or of its first sense; letters."""

_SPELLED_TYPES = ("fingerspelling", "fingerspelled_number")
# An address with a host, or a path without a scheme; browsers read \ as /, and two of them as the start of a host.
_ADDRESS = re.compile(r"(?i:https?)://[^\s/?#\\]+.*|(?![/\\]{2})[^:/\\?#]*(?:[/\\?#].*)?")
_LINK = re.compile(r"(?i:https?)://")
_NUMBERED = re.compile(r"(.*[가-힣)])(\d{1,2})")
_HEADWORD = re.compile(r"([가-힣]+\d{0,2})\([^()]+\)")
_MOST_KEPT = 100_000  # answers of a lexicon
_SYMBOLS = {
    "Number": "0123456789",
    "Alpha": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "Name": "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎㅏㅓㅗㅜㅡㅣ",
}
"""Of which a placeholder's content is spelled; one that has an entry lets it be emitted."""


@dataclass(frozen=True)
class Entry:
    """One row of a lexicon: a gloss, and what a program needs to play it. Each text is normalised, in one line.

    Args:
        gloss: As the model emits it, or a word of the dictionary.
        id: Of the sign, such as the dictionary's number or the name of an avatar's animation.
        video: Address of a clip: http, https, or a relative path.
        meaning: What it means, or how it is signed.
        group: Entries with the same group are words for one sign.
        type: One of `kgloss_hf.runtime.glosses.GLOSS_TYPES`.
        licence: Of the clip.

    Raises:
        TypeError: A value is no string.
        ValueError: The gloss is blank, or the video's address is of another kind, such as `javascript:` or `file:`.

    Example:
        >>> Entry("토기", id="1234").row()
        {'gloss': '토기', 'id': '1234'}
        >>> Entry("토기", video="javascript:alert(1)")
        Traceback (most recent call last):
        ValueError: video: expected an address of http or https, or a relative path, found 'javascript:alert(1)'
    """

    gloss: str
    id: str = ""
    video: str = ""
    meaning: str = ""
    group: str = ""
    type: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str):
                raise TypeError(f"{field.name}: expected a string, found {type(value).__name__}")
            object.__setattr__(self, field.name, normalize_line(value))  # as frozen dataclasses have to
        if not self.gloss:
            raise ValueError("gloss: expected a gloss, found none")
        if not is_safe(self.video):
            raise ValueError(
                f"video: expected an address of http or https, or a relative path, found {self.video!r:.60}"
            )

    def row(self) -> dict[str, str]:
        """Return the fields that hold something, for JSON."""
        return {name: value for name, value in vars(self).items() if value}


def is_safe(address: str) -> bool:
    """Return whether an address is of http or https, or a path without a scheme; nothing else may become a link.

    Args:
        address: Normalised.

    Example:
        >>> [is_safe(one) for one in ("https://a.example/집.mp4", "clips/집.mp4", "data:,x", "//b.example")]
        [True, True, False, False]
    """
    return bool(_ADDRESS.fullmatch(address))


def is_link(address: str) -> bool:
    """Return whether an address is of http or https, so that a page can link to it.

    Args:
        address: Any text.

    Example:
        >>> is_link("https://a.example/집.mp4"), is_link("clips/집.mp4")
        (True, False)
    """
    return bool(_LINK.match(address)) and is_safe(address)


class _Found(NamedTuple):
    """Hold the entry or letters that play a gloss, and which of `WAYS` that is; or the reason why nothing does."""

    why: str
    entry: Entry | None = None
    letters: tuple[Entry, ...] = ()


class Lexicon:
    """Entries by gloss, which say what plays a gloss. `kgloss_hf.load_lexicon` reads one from a file.

    An entry can be played if it has a video; in a lexicon in which no entry has one, if it has an id. Of several
    entries for one gloss, the first that can be played counts.

    Args:
        entries: In the order in which they count.

    Raises:
        TypeError: An item is no `Entry`.

    Example:
        >>> lexicon = Lexicon([Entry("토기", id="12", group="흙"), Entry("질그릇", group="흙"), Entry("4", id="4")])
        >>> lexicon.sign("질그릇")
        {'gloss': '질그릇', 'entry': {'gloss': '토기', 'id': '12', 'group': '흙'}, 'way': 'group'}
        >>> lexicon.sign("휴관"), lexicon.sign("Number/4C")
        ({'gloss': '휴관', 'reason': 'no entry'}, {'gloss': '4C', 'reason': 'no letter'})
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entries)
        self._of_gloss: dict[str, list[Entry]] = {}
        self._of_group: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if not isinstance(entry, Entry):
                raise TypeError(
                    f"entries: expected Entry, found {type(entry).__name__}; kgloss_hf.load_lexicon reads files"
                )
            self._of_gloss.setdefault(entry.gloss, []).append(entry)
            if entry.group:
                self._of_group.setdefault(entry.group, []).append(entry)
        self.played_by = "video" if any(entry.video for entry in self.entries) else "id"
        """What an entry needs to be played: `video`, or `id` where no entry has a video."""
        self._signs: dict[tuple[str, str, bool], _Found] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"Lexicon of {len(self):,} entries, played by {self.played_by}"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_signs": {}}

    def sign(self, gloss: str, kind: str = "", *, spelled: bool = False) -> dict[str, Any]:
        """Return what plays a gloss, or why nothing does.

        In this order: its own entry, with its sense number (`가깝다1`); an entry of the same group; where its notation
        is that of a similar word (`디지털(컴퓨터)`), its headword's; for a first sense (`가깝다1`) the headword without
        a number, and the other way round. Contents of placeholders, and glosses whose type says that they are spelled,
        are played by their own entry, or by letters. A further sense (`가깝다2`) is never played by another one.

        Args:
            gloss: As an answer or a corpus holds it; `Number/4C` is `4C`, spelled where it has no entry.
            kind: Its type (default: what the notation tells).
            spelled: It was a placeholder, so that letters can play it (default False).

        Returns:
            `gloss`, and `entry`, whose own `gloss` differs where another word's sign stands in, with `way`, one of
            `WAYS`; or `letters`, a list of entries; or `reason`, one of `REASONS`.

        Example:
            >>> Lexicon([Entry("가깝다", video="clips/1.mp4")]).sign("가깝다1")["way"]
            'headword'
        """
        key = gloss, kind, spelled
        if (found := self._signs.get(key)) is None:
            if len(self._signs) > _MOST_KEPT:  # contents of sentences are without end
                self._signs.clear()
            found = self._signs[key] = self._sign(normalize_line(gloss), kind, spelled)
        signed: dict[str, Any] = {"gloss": content_of(gloss)}
        if found.letters:
            return signed | {"letters": [entry.row() for entry in found.letters]}
        if found.entry is None:
            return signed | {"reason": found.why}
        return signed | {"entry": found.entry.row()} | ({} if found.why == "entry" else {"way": found.why})

    def plays(self, gloss: str, kind: str = "") -> bool:
        """Return whether a gloss can be played; a bare placeholder can where some of its letters can.

        Args:
            gloss: As a model emits it.
            kind: Its type (default: what the notation tells).

        Example:
            >>> lexicon = Lexicon([Entry("4", id="4")])
            >>> lexicon.plays("Number"), lexicon.plays("Alpha")
            (True, False)
        """
        if gloss in _SYMBOLS:
            return any("reason" not in self.sign(symbol, spelled=True) for symbol in _SYMBOLS[gloss])
        return "reason" not in self.sign(gloss, kind)

    def _sign(self, gloss: str, kind: str, spelled: bool) -> _Found:
        form = content_of(gloss)
        if form in PLACEHOLDERS:
            return _Found(NO_SOURCE)
        notation = type_of_notation(form)
        kind = notation if kind in ("", UNKNOWN_TYPE) else kind
        if found := self._played(form):
            return found
        if kind == "non_manual":
            return _Found(NON_MANUAL)
        if spelled or form != gloss or kind in _SPELLED_TYPES:
            letters = [self._played(letter) or self._played(letter.lower()) for letter in fingerspell(form)]
            entries = [letter.entry for letter in letters if letter and letter.entry]
            whole = 0 < len(letters) == len(entries)
            return _Found("letters", letters=tuple(entries)) if whole else _Found(NO_LETTER)
        for other in _others(form, notation):
            if found := self._played(other):
                return _Found("headword", found.entry)
        return _Found((NO_VIDEO if self.played_by == "video" else NO_ID) if form in self._of_gloss else NO_ENTRY)

    def _played(self, form: str) -> _Found | None:
        """Return the entry that plays a gloss, its own or one of its group, and which of both."""
        own = self._of_gloss.get(form, [])
        if entry := self._first(own):
            return _Found("entry", entry)
        groups = (self._of_group[entry.group] for entry in own if entry.group)
        mate = next(filter(None, map(self._first, groups)), None)
        return _Found("group", mate) if mate else None

    def _first(self, entries: Iterable[Entry]) -> Entry | None:
        return next((entry for entry in entries if getattr(entry, self.played_by)), None)


def _others(form: str, notation: str) -> Iterable[str]:
    """Yield the words whose sign a gloss is by its notation, the nearest first."""
    if notation == "similar_word" and (headword := _HEADWORD.fullmatch(form)):
        form = headword[1]
        yield form
    numbered = _NUMBERED.fullmatch(form)
    if numbered and numbered[2] == "1":
        yield numbered[1]
    elif not numbered:
        yield f"{form}1"


PREFERENCE = 0.6
"""What the share of glosses that can be played adds to a candidate's score, where `playable="prefer"` ranks by both.

Chosen on GKSL's validation part (`benchmarks/playable.py`): about as much as costs no Jaccard there."""


def playable_share(signs: Iterable[Mapping[str, Any]]) -> float:
    """Return the share of signs that can be played, from 0 to 1; 0 where there are none.

    Args:
        signs: Of an answer.

    Example:
        >>> playable_share([{"gloss": "집", "entry": {"gloss": "집"}}, {"gloss": "불", "reason": "no entry"}])
        0.5
    """
    playable = ["reason" not in sign for sign in signs]
    return sum(playable) / max(1, len(playable))
