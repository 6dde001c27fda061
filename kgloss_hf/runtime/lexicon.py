"""Look up what plays a gloss: its own entry in a lexicon, the entry of another word for the same sign, or letters.

To play a gloss is to show its sign: by its entry's clip, or by the avatar's animation that the entry's id names.
"""

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
"""Reasons why a gloss cannot be played: it has no entry; its entries lack the video or id that plays the others; it is
spelled, and a letter has no entry; it is a placeholder without a source in the sentence; it is a signal of face or
head."""

WAYS = ("entry", "group", "headword", "letters")
"""Ways to play a gloss: its own entry; another entry of the same sign; that of its headword or first sense; letters."""

_SPELLED_TYPES = ("fingerspelling", "fingerspelled_number")
# An address with a host, or a path without a scheme. Browsers read \ as /, and two of them as the start of a host.
_ADDRESS = re.compile(r"(?i:https?)://[^\s/?#\\]+.*|(?![/\\]{2})[^:/\\?#]*(?:[/\\?#].*)?")
_LINK = re.compile(r"(?i:https?)://")
_NUMBERED = re.compile(r"(.*[가-힣)])(\d{1,2})")
_HEADWORD = re.compile(r"([가-힣]+\d{0,2})\([^()]+\)")
_MOST_KEPT = 100_000  # look-ups that a lexicon remembers
SYMBOLS = {
    "Number": "0123456789",
    "Alpha": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "Name": "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ",
}
"""Digits, Latin letters and the Korean finger alphabet, by the placeholder whose contents they spell. One symbol with
an entry is enough to emit the placeholder."""


@dataclass(frozen=True)
class Entry:
    """One row of a lexicon: a gloss, and what a program needs to play it. Each text is normalised to one line.

    Args:
        gloss: Gloss as the model emits it, or a word of the dictionary.
        id: Identifier of the sign, such as its number in the dictionary or the name of an avatar's animation.
        video: Address of a clip: http, https, or a relative path.
        meaning: Meaning of the sign, or how it is made.
        group: Name of a group; entries with the same group are words for one sign.
        type: One of `kgloss_hf.runtime.glosses.GLOSS_TYPES`.
        licence: Licence of the clip.

    Raises:
        TypeError: A value is not a string.
        ValueError: The gloss is blank, or the video's address is of another kind, such as `javascript:` or `file:`.

    Examples:
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
            object.__setattr__(self, field.name, normalize_line(value))  # the dataclass is frozen
        if not self.gloss:
            raise ValueError("gloss: expected a gloss, found none")
        if not is_safe(self.video):
            raise ValueError(
                f"video: expected an address of http or https, or a relative path, found {self.video!r:.60}"
            )

    def row(self) -> dict[str, str]:
        """Return the fields that are not empty, for JSON."""
        return {name: value for name, value in vars(self).items() if value}


def is_safe(address: str) -> bool:
    """Return whether an address is http or https, or a path without a scheme; nothing else may become a link.

    Args:
        address: Normalised text.

    Examples:
        >>> [is_safe(one) for one in ("https://a.example/집.mp4", "clips/집.mp4", "data:,x", "//b.example")]
        [True, True, False, False]
    """
    return bool(_ADDRESS.fullmatch(address))


def is_link(address: str) -> bool:
    """Return whether an address is http or https, so that a page can link to it.

    Args:
        address: Any text.

    Examples:
        >>> is_link("https://a.example/집.mp4"), is_link("clips/집.mp4")
        (True, False)
    """
    return bool(_LINK.match(address)) and is_safe(address)


class _Played(NamedTuple):
    """Entry or letters that play a gloss, with one of `WAYS`, or the reason why nothing does."""

    why: str
    entry: Entry | None = None
    letters: tuple[Entry, ...] = ()


class Lexicon:
    """Lexicon of signs: entries by gloss, for playing glosses. `kgloss_hf.load_lexicon` reads one from a file.

    An entry can be played if it has a video or, in a lexicon without videos, if it has an id. Of several entries for
    one gloss, the first that can be played is used.

    Args:
        entries: Entries in order of preference.

    Raises:
        TypeError: An item is not an `Entry`.

    Examples:
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
            # `kgloss coverage` lists contents as Number/12; as an entry, that is the sign of 12.
            self._of_gloss.setdefault(content_of(entry.gloss), []).append(entry)
            if entry.group:
                self._of_group.setdefault(entry.group, []).append(entry)
        self.played_by = "video" if any(entry.video for entry in self.entries) else "id"
        """Field that an entry needs to be played: `video`, or `id` if no entry has a video."""
        self._signs: dict[tuple[str, str, bool], _Played] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"Lexicon (entries: {len(self):,}, played by: {self.played_by})"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_signs": {}}

    def sign(self, gloss: str, kind: str = "", *, spelled: bool = False) -> dict[str, Any]:
        """Return the entry or the letters that play a gloss, or the reason why nothing does.

        The search order is: its own entry, with its sense number (`가깝다1`); an entry of the same group; for the
        notation of a similar word (`디지털(컴퓨터)`), the entry of its headword; for a first sense (`가깝다1`), the
        headword without a number, and vice versa. Contents of placeholders, and glosses of a spelled type, are played
        by their own entry, or by letters. A further sense (`가깝다2`) is never played by another sense.

        Args:
            gloss: Gloss as in an answer or a corpus; `Number/4C` is `4C`, spelled if it has no entry.
            kind: Type of the gloss (default: as its notation tells).
            spelled: The gloss was a placeholder, so letters can play it (default False).

        Returns:
            A dict with `gloss` and one of: `entry`, whose own `gloss` differs if another word's sign stands in, with
            `way`, one of `WAYS`; `letters`, a list of entries; `reason`, one of `REASONS`.

        Examples:
            >>> Lexicon([Entry("가깝다", video="clips/1.mp4")]).sign("가깝다1")["way"]
            'headword'
        """
        key = gloss, kind, spelled
        if (played := self._signs.get(key)) is None:
            if len(self._signs) > _MOST_KEPT:  # sentences have endlessly many contents
                self._signs.clear()
            played = self._signs[key] = self._sign(normalize_line(gloss), kind, spelled)
        signed: dict[str, Any] = {"gloss": content_of(gloss)}
        if played.letters:
            return signed | {"letters": [entry.row() for entry in played.letters]}
        if played.entry is None:
            return signed | {"reason": played.why}
        return signed | {"entry": played.entry.row()} | ({} if played.why == "entry" else {"way": played.why})

    def plays(self, gloss: str, kind: str = "") -> bool:
        """Return whether a gloss can be played; a bare placeholder can if some of its symbols can.

        Args:
            gloss: Gloss as a model emits it.
            kind: Type of the gloss (default: as its notation tells).

        Examples:
            >>> lexicon = Lexicon([Entry("4", id="4")])
            >>> lexicon.plays("Number"), lexicon.plays("Alpha")
            (True, False)
        """
        if gloss in SYMBOLS:
            return any("reason" not in self.sign(symbol, spelled=True) for symbol in SYMBOLS[gloss])
        return "reason" not in self.sign(gloss, kind)

    def _sign(self, gloss: str, kind: str, spelled: bool) -> _Played:
        form = content_of(gloss)
        if form in PLACEHOLDERS:
            return _Played(NO_SOURCE)
        notation = type_of_notation(form)
        kind = notation if kind in ("", UNKNOWN_TYPE) else kind
        if played := self._played(form):
            return played
        if kind == "non_manual":
            return _Played(NON_MANUAL)
        if spelled or form != gloss or kind in _SPELLED_TYPES:
            letters = [self._played(letter) or self._played(letter.lower()) for letter in fingerspell(form)]
            entries = [letter.entry for letter in letters if letter and letter.entry]
            whole = 0 < len(letters) == len(entries)
            return _Played("letters", letters=tuple(entries)) if whole else _Played(NO_LETTER)
        for word in _related_words(form, notation):
            if played := self._played(word):
                return _Played("headword", played.entry)
        return _Played((NO_VIDEO if self.played_by == "video" else NO_ID) if form in self._of_gloss else NO_ENTRY)

    def _played(self, form: str) -> _Played | None:
        """Return the entry that plays a gloss, its own or one of its group, and which of the two it is."""
        own = self._of_gloss.get(form, [])
        if entry := self._first(own):
            return _Played("entry", entry)
        groups = (self._of_group[entry.group] for entry in own if entry.group)
        mate = next(filter(None, map(self._first, groups)), None)
        return _Played("group", mate) if mate else None

    def _first(self, entries: Iterable[Entry]) -> Entry | None:
        return next((entry for entry in entries if getattr(entry, self.played_by)), None)


def _related_words(form: str, notation: str) -> Iterable[str]:
    """Yield the words whose sign a gloss uses according to its notation, the closest first."""
    if notation == "similar_word" and (headword := _HEADWORD.fullmatch(form)):
        form = headword[1]
        yield form
    numbered = _NUMBERED.fullmatch(form)
    if numbered and numbered[2] == "1":
        yield numbered[1]
    elif not numbered:
        yield f"{form}1"


PREFERENCE = 0.6
"""Weight of the share of playable glosses in a candidate's rank with `playable="prefer"`, where the score has weight 1.

Chosen on GKSL's validation set (`benchmarks/playable.py`): about the largest weight that does not lower the Jaccard
score there."""


def playable_share(signs: Iterable[Mapping[str, Any]]) -> float:
    """Return the share of signs that can be played, from 0 to 1; 0 for an empty answer.

    Args:
        signs: `signs` of an answer.

    Examples:
        >>> playable_share([{"gloss": "집", "entry": {"gloss": "집"}}, {"gloss": "불", "reason": "no entry"}])
        0.5
    """
    playable = ["reason" not in sign for sign in signs]
    return sum(playable) / max(1, len(playable))
