"""Order the signs of an annotated sentence, and write them as a row in the package's notation."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..reporting import one_line
from ..runtime.normalization import normalize_line
from .lines import is_text
from .typed_values import Sentence, typed_parts

HANDS = ("both", "strong", "weak")
"""Hands that make a sign, in the order in which simultaneous signs are listed."""

SENSES = ("keep", "drop")
"""Treatments of the number that distinguishes the senses of a gloss: `낮1` stays `낮1`, or becomes `낮`."""

_KEPT = 2**16
_SENSE = re.compile(r"(.*[가-힣)])([1-9]\d?)")
_TIME_BEHIND = r"(?!\d|[시분초월일])"  # `낮1시` in a sentence does not contain `낮1`
_POINTING = re.compile(r"([^#]*[가-힣)]\d{0,2})#([^#()]*)")


class Sign(NamedTuple):
    """A gloss as annotated, with its times in seconds, its hand and its span of the sentence, if known."""

    gloss: str
    start: float | None = None
    end: float | None = None
    hand: str = ""
    span: tuple[int, int] | None = None


class Signal(NamedTuple):
    """A non-manual signal with its times in seconds."""

    signal: str
    start: float
    end: float


class Annotated(NamedTuple):
    """A sentence with its signs as annotated."""

    id: str
    text: str
    signs: Sequence[Sign]
    non_manual: Sequence[Signal] = ()
    signer: str = ""
    category: str = ""


class Notes:
    """Counter of what is left out of a corpus or cannot be mapped, with the first example of each kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, what: str, first: str = "", count: int = 1) -> None:
        """Count occurrences of a kind.

        Args:
            what: The kind, with `(s)` where the plural has an s.
            first: Example for the message, kept if it is the first of its kind.
            count: Number of occurrences.
        """
        if count:
            self._counts[what] += count
            self._first.setdefault(what, first)

    def __str__(self) -> str:
        parts = []
        for kind, count in self._counts.items():
            example = f" (the first: {one_line(self._first[kind]):.200})" if self._first[kind] else ""
            parts.append(f"{count:,} {kind.replace('(s)', '' if count == 1 else 's')}{example}")
        return "; ".join(parts)

    def __bool__(self) -> bool:
        return bool(self._counts)


def interleaved(*hands: Iterable[Sign]) -> list[Sign]:
    """Return the signs of several hands in signing order.

    Args:
        *hands: Signs of each hand, as listed. Signs that begin at the same time are sorted by the order of the hands. A
            sign without a time stays after its predecessor in its list.

    Examples:
        >>> [sign.gloss for sign in interleaved([Sign("집", 2), Sign("불")], [Sign("크다", 1)])]
        ['크다', '집', '불']
    """
    timed = []
    for hand in hands:
        last = -math.inf
        for sign in hand:
            last = last if sign.start is None else sign.start
            timed.append((last, sign))
    return [sign for _, sign in sorted(timed, key=lambda item: item[0])]


def joined(strong: Iterable[Sign], weak: Iterable[Sign]) -> tuple[list[Sign], list[Sign], list[Sign]]:
    """Merge signs with the same gloss made by both hands at the same time.

    Args:
        strong: Signs of the strong hand.
        weak: Signs of the weak hand.

    Returns:
        The signs of both hands, of the strong hand, and of the weak hand.

    Examples:
        >>> joined([Sign("집", 1, 2, "strong")], [Sign("집", 1.5, 3, "weak"), Sign("불", 1, 2, "weak")])[0]
        [Sign(gloss='집', start=1, end=3, hand='both', span=None)]
    """
    both: list[Sign] = []
    waiting: dict[str, list[Sign]] = defaultdict(list)
    for sign in weak:
        waiting[sign.gloss].append(sign)
    alone = []
    for sign in strong:
        partner = next((other for other in waiting[sign.gloss] if _overlap(sign, other)), None)
        if partner is None:
            alone.append(sign)
        else:
            waiting[sign.gloss].remove(partner)
            start, end = _union(sign, partner)
            both.append(Sign(sign.gloss, start, end, "both", sign.span or partner.span))
    return both, alone, [sign for signs in waiting.values() for sign in signs]


def _overlap(one: Sign, other: Sign) -> bool:
    if one.start is None or other.start is None:
        return False
    ends = (one.start if one.end is None else one.end, other.start if other.end is None else other.end)
    return one.start == other.start or (one.start < ends[1] and other.start < ends[0])


def _union(one: Sign, other: Sign) -> tuple[float | None, float | None]:
    starts = [sign.start for sign in (one, other) if sign.start is not None]
    ends = [sign.end for sign in (one, other) if sign.end is not None]
    return min(starts, default=None), max(ends, default=None)


def row_of(sentence: Annotated, *, sense: str, source: str, notes: Notes, where: str) -> dict[str, Any]:
    """Return an annotated sentence as a row (`kgloss_hf.data.sign_corpora.read_corpus` has its columns).

    Args:
        sentence: Sentence with its signs in signing order.
        sense: One of `SENSES`.
        source: Name of the recognised corpus.
        notes: Counter of what cannot be mapped.
        where: File and location, for the notes.

    Raises:
        ValueError: The sentence or its glosses are missing, or a text cannot be written to a file.

    Examples:
        >>> row = row_of(Annotated("1", "8월의 집", [Sign("집1"), Sign("날짜:8월")]), sense="drop", source="NIKL",
        ...     notes=Notes(), where="a.json")
        >>> row["glosses"], row["senses"]
        (['집', 'Number/8월'], ['1', ''])
    """
    text = sentence.text.strip()
    shift = len(sentence.text) - len(sentence.text.lstrip())
    if not normalize_line(text):
        raise ValueError("expected a sentence, found none")
    if not is_text(text):
        raise ValueError(f"expected a sentence, found half a character in {text!a:.60}")
    held = Sentence(text)
    row: dict[str, Any] = {
        "id": sentence.id,
        "text": text,
        **{name: [] for name in ("glosses", "starts", "ends", "hands", "senses", "spans")},
    }
    for sign in sentence.signs:
        if not is_text(sign.gloss):
            raise ValueError(f"expected glosses, found half a character in {sign.gloss!a:.60}")
        span = _span(sign.span, shift, len(text), notes, where)
        start, end = sign.start, sign.end
        if start is not None and end is not None and end < start:
            notes.add("gloss end(s) before the start left out", f"{where}: {sign.gloss}")
            end = None
        for gloss, number, part in _glosses(sign.gloss, held, span, sense, notes, where):
            row["glosses"].append(gloss)
            row["starts"].append(start)
            row["ends"].append(end)
            row["hands"].append(sign.hand)
            row["senses"].append(number)
            row["spans"].append(part and list(part))
    if not row["glosses"]:
        raise ValueError("expected glosses, found none")
    row["non_manual"] = [signal._asdict() for signal in sentence.non_manual]
    return row | {"signer": sentence.signer, "category": sentence.category, "split": None, "source": source}


def _span(span: tuple[int, int] | None, shift: int, length: int, notes: Notes, where: str) -> tuple[int, int] | None:
    if span is None:
        return None
    start, end = span[0] - shift, span[1] - shift
    if 0 <= start < end <= length:
        return start, end
    notes.add("span(s) outside the sentence left out", f"{where}: {span[0]}–{span[1]} of {length + shift}")
    return None


class _Form(NamedTuple):
    """Parsed form of an annotated gloss without its sentence; cached, since corpora repeat few glosses."""

    gloss: str
    head: str = ""
    bare: str = ""  # the head without its sense number
    number: str = ""
    referent: str = ""  # with its parentheses
    problem: str = ""


@lru_cache(_KEPT)
def _form(gloss: str) -> _Form:
    gloss = normalize_line(gloss)
    pointing = _POINTING.fullmatch(gloss)
    head, referent = pointing.groups() if pointing else (gloss, "")
    numbered = _SENSE.fullmatch(head)
    bare, number = numbered.groups() if numbered else (head, "")
    problem = ""
    if re.fullmatch(r"[가-힣]+:[\W_]*", gloss):
        problem = "typed value(s) without a value kept as written"
    elif "#" in gloss and not pointing and re.search("[가-힣]", gloss):
        problem = "unclear referent(s) behind # kept as written"
    return _Form(gloss, head, bare, number, f"({referent.strip()})" if referent.strip() else "", problem)


def _glosses(
    annotated: str, sentence: Sentence, span: tuple[int, int] | None, sense: str, notes: Notes, where: str
) -> list[tuple[str, str, tuple[int, int] | None]]:
    """Return an annotated gloss in the package's notation: glosses, sense numbers and spans."""
    gloss, head, bare, number, referent, problem = _form(annotated)
    if not gloss:
        notes.add("annotation(s) without a gloss left out", where)
        return []
    if ":" in gloss and (parts := typed_parts(gloss, sentence, span)):
        for part in parts:
            if not part.held:
                kind = "part(s) of typed values not in the sentence, kept as plain glosses"
                notes.add(kind, f"{where}: {gloss}")
        return [(part.gloss, "", part.span) for part in parts]
    if problem:
        notes.add(problem, f"{where}: {gloss}")
    if number and _writes(sentence.normal, head):
        number, bare = "", head
    return [((bare if sense == "drop" else head) + referent, number, span)]


def _writes(text: str, gloss: str) -> bool:
    """Return whether a sentence contains a gloss with its number, such as 코로나19."""
    return gloss in text and re.search(re.escape(gloss) + _TIME_BEHIND, text) is not None


def seconds(value: Any) -> float | None:
    """Return a time of an annotation as a number.

    Args:
        value: A number, or a string that holds one; None or an empty string for a missing time.

    Raises:
        ValueError: The value is something else, or not a finite number.

    Examples:
        >>> seconds("1.25"), seconds("")
        (1.25, None)
    """
    if isinstance(value, float) and math.isfinite(value):
        return value
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a time in seconds, found {value!r:.60}")
    return number


def word(value: Any) -> str:
    """Return a name or number from the metadata of a corpus as a string, or an empty string if it is missing.

    Args:
        value: Value in the metadata.

    Examples:
        >>> word(112), word(None), word(" 홍수 ")
        ('112', '', '홍수')
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return normalize_line(value) if isinstance(value, str) and is_text(value) else ""
