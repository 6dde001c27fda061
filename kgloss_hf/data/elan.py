"""Read sentences with their signs from ELAN annotation documents (.eaf)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from xml.etree.ElementTree import Element

from ..runtime.glosses import split_glosses
from ..runtime.normalization import normalize_line
from .checks import parse_xml
from .signs import Annotated, Notes, Sign, Signal, interleaved, joined, word

_DEEPEST = 100  # references from an annotation to the annotation with times


class Annotation(NamedTuple):
    """A value with its times in seconds."""

    value: str
    start: float
    end: float

    @property
    def middle(self) -> float:
        """Time halfway between start and end."""
        return (self.start + self.end) / 2


class Tier(NamedTuple):
    """A tier with its annotations, sorted by start.

    Args:
        name: TIER_ID of the tier.
        participant: Name of the signer, or an empty string.
        annotations: Annotations of the tier. One that refers to another has the times of the other.
        aligned: Whether the tier has times of its own.
    """

    name: str
    participant: str
    annotations: list[Annotation]
    aligned: bool


def read_eaf(document: str) -> list[Tier]:
    """Return the tiers of an ELAN document.

    Args:
        document: Text of the file. Time slots without a time are spread evenly between their neighbours, as in ELAN.

    Raises:
        ValueError: The document is not an ELAN document, is damaged, has a DOCTYPE, or has times in frames.

    Examples:
        >>> read_eaf(
        ...     "<ANNOTATION_DOCUMENT><TIME_ORDER><TIME_SLOT TIME_SLOT_ID='a' TIME_VALUE='0'/><TIME_SLOT "
        ...     "TIME_SLOT_ID='b' TIME_VALUE='900'/></TIME_ORDER><TIER TIER_ID='gloss'><ANNOTATION>"
        ...     "<ALIGNABLE_ANNOTATION ANNOTATION_ID='1' TIME_SLOT_REF1='a' TIME_SLOT_REF2='b'><ANNOTATION_VALUE>집"
        ...     "</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
        ... )
        [Tier(name='gloss', participant='', annotations=[Annotation(value='집', start=0.0, end=0.9)], aligned=True)]
    """
    root = parse_xml(document, "an ELAN document", "save it again from ELAN")
    if root.tag != "ANNOTATION_DOCUMENT":
        raise ValueError(f"expected an ANNOTATION_DOCUMENT of ELAN, found {root.tag:.60}; save it again from ELAN")
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise ValueError(
            f"expected times in milliseconds, found {units!r:.60}; save it again with a newer version of ELAN"
        )
    elements = [(tier, list(_annotations(tier))) for tier in root.iter("TIER")]
    times = _times(root, elements)
    by_id = {item.get("ANNOTATION_ID", ""): item for _, items in elements for item in items}
    tiers = []
    for tier, items in elements:
        annotations = [Annotation(_value(item), *_when(item, by_id, times)) for item in _in_order(items)]
        tiers.append(
            Tier(
                tier.get("TIER_ID", ""),
                word(tier.get("PARTICIPANT")),
                sorted(annotations, key=lambda annotation: annotation.start),
                any(item.tag == "ALIGNABLE_ANNOTATION" for item in items),
            )
        )
    return tiers


def _annotations(tier: Element) -> Iterator[Element]:
    for element in tier.iter("ANNOTATION"):
        yield from (item for item in element if item.tag in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"))


def _value(item: Element) -> str:
    return (item.findtext("ANNOTATION_VALUE") or "").strip()


def _in_order(items: Sequence[Element]) -> list[Element]:
    """Return annotations in order; those that refer to the same annotation name their predecessor."""
    if not any(item.get("PREVIOUS_ANNOTATION") for item in items):
        return list(items)
    following = defaultdict(list)
    for item in reversed(items):
        following[item.get("PREVIOUS_ANNOTATION")].append(item)
    ordered = []
    waiting = following.pop(None, [])
    while waiting:
        ordered.append(waiting.pop())
        waiting += following.pop(ordered[-1].get("ANNOTATION_ID"), [])
    return ordered + [item for left in following.values() for item in left]


def _times(root: Element, elements: Iterable[tuple[Element, Sequence[Element]]]) -> dict[str, float]:
    """Return the time of each slot in milliseconds.

    Annotations of a tier that share slots without a time divide the time between the surrounding slots evenly. The
    remaining slots lie evenly between their neighbours in the document.
    """
    times: dict[str, float | None] = {}
    for slot in root.iter("TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        try:
            times[slot.get("TIME_SLOT_ID", "")] = None if value is None else int(value)
        except ValueError as error:
            raise ValueError(f"expected milliseconds in TIME_VALUE, found {value!r:.60}") from error
    if None in times.values():
        for _, items in elements:
            following = {item.get("TIME_SLOT_REF1", ""): item.get("TIME_SLOT_REF2", "") for item in items}
            followed: set[str] = set()
            for start in [name for name in following if times.get(name) is not None]:
                chain = [start]
                name = following[start]
                while name in following and times.get(name) is None and name not in followed:
                    followed.add(name)
                    chain.append(name)
                    name = following[name]
                if times.get(name) is not None:
                    _spread(times, [*chain, name])
        _spread_rest(times)
    return {name: time for name, time in times.items() if time is not None}


def _spread(times: dict[str, float | None], names: Sequence[str]) -> None:
    first, last = times[names[0]], times[names[-1]]
    if first is not None and last is not None:
        for place, name in enumerate(names[1:-1], 1):
            times[name] = first + (last - first) * place / (len(names) - 1)


def _spread_rest(times: dict[str, float | None]) -> None:
    names = list(times)
    known = [place for place, name in enumerate(names) if times[name] is not None]
    for one, other in pairwise(known):
        _spread(times, names[one : other + 1])
    if known:  # slots before the first and after the last known one have only one neighbour
        for edge, outside in ((known[0], names[: known[0]]), (known[-1], names[known[-1] + 1 :])):
            times.update(dict.fromkeys(outside, times[names[edge]]))


def _when(item: Element, by_id: Mapping[str, Element], times: Mapping[str, float]) -> tuple[float, float]:
    """Return the times of an annotation, or of the annotation that it refers to, in seconds."""
    name = item.get("ANNOTATION_ID", "")
    for _ in range(_DEEPEST):
        if item.tag == "ALIGNABLE_ANNOTATION":
            slots = item.get("TIME_SLOT_REF1", ""), item.get("TIME_SLOT_REF2", "")
            if slots[0] not in times or slots[1] not in times:
                raise ValueError(
                    f"annotation {name:.60}: expected time slots with times, found {' and '.join(slots):.60}"
                )
            return times[slots[0]] / 1000, times[slots[1]] / 1000
        parent = item.get("ANNOTATION_REF", "")
        if parent not in by_id:
            break
        item = by_id[parent]
    raise ValueError(f"annotation {name:.60}: expected a reference to an annotation with times, found none")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words in the names of tiers. The name of a tier of sentences or glosses has at least one of the core words, and
# otherwise only the accompanying words (`_BESIDE_…`) and labels.
_TEXT = _set(
    "sentence sentences text translation translations utterance utterances subtitle subtitles korean "
    "한국어 한국어문장 한국어번역 문장 번역 원문 자막 한글"
)
_BESIDE_TEXT = _set("free literal spoken written in into of english german deutsch")
_GLOSS = _set("gloss glosses 글로스 글로스열 수어 수어글로스 수지 수화")
_STRONG = _set("right rh dominant strong dh 오른손 우세손 오른손글로스 우세손글로스")
_WEAK = _set("left lh nondominant weak ndh 왼손 비우세손 왼손글로스 비우세손글로스")
_BOTH = _set("both bh 양손 양손글로스 두손")
_BESIDE_GLOSS = _set("hand hands sign signs main non id manual r l b 손")
_LABEL = re.compile(r"[a-z]|\d+|signer|speaker|participant")


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+|\d+", normalize_line(name).casefold()))


def _is_text_tier(tier: Tier) -> bool:
    return _made_of(_words(tier.name), _TEXT, _BESIDE_TEXT)


def _is_gloss_tier(tier: Tier) -> bool:
    return _made_of(_words(tier.name), _GLOSS | _STRONG | _WEAK | _BOTH, _BESIDE_GLOSS)


def _made_of(words: set[str], core: frozenset[str], beside: frozenset[str]) -> bool:
    return bool(words & core) and all(_LABEL.fullmatch(part) for part in words - core - beside)


def _hand(name: str) -> str:
    """Return the hand that is given by the name of a tier, or an empty string."""
    words = _words(name)
    letters = words & {"r", "l", "b"} if words & (_GLOSS | _BESIDE_GLOSS - {"r", "l", "b"}) else set()
    if words & _BOTH or letters == {"b"}:
        return "both"
    if words & _WEAK or letters == {"l"} or {"non", "dominant"} <= words:
        return "weak"
    return "strong" if words & (_STRONG | {"main"}) or letters == {"r"} else ""


def _hands(tiers: Sequence[Tier]) -> list[str]:
    """Return the hand of each gloss tier; of several whose names give no hand, the first is the strong hand."""
    hands = [_hand(tier.name) for tier in tiers]
    if len(tiers) > 1:
        for hand in ("strong", "weak"):
            if hand not in hands and "" in hands:
                hands[hands.index("")] = hand
    return hands


def _named(tiers: Sequence[Tier], name: str, option: str) -> Tier:
    """Return the tier with the name given by the user."""
    same = [tier for tier in tiers if tier.name == name]
    same = same or [tier for tier in tiers if normalize_line(tier.name).casefold() == normalize_line(name).casefold()]
    if len(same) != 1:
        raise ValueError(f"expected one tier {name!r}, found {_listed(tiers)}; name another tier with {option}")
    return same[0]


def _listed(tiers: Sequence[Tier]) -> str:
    names = ", ".join(f"{tier.name!r} ({len(tier.annotations)})" for tier in tiers)
    return f"the tiers {names or 'none':.1000}"


class _Chosen(NamedTuple):
    text: Tier
    glosses: list[Tier]


def _choose(tiers: Sequence[Tier], text_tier: str | None, gloss_tiers: Sequence[str]) -> list[_Chosen]:
    """Return each tier of sentences with its tiers of glosses: one pair, or one per participant."""
    filled = [tier for tier in tiers if tier.annotations]
    if text_tier:
        names = [text_tier] if any(tier.name == text_tier for tier in tiers) else text_tier.split(",")
        texts = [_named(tiers, name, "--text_column") for name in names]
    else:
        texts = list(filter(_is_text_tier, filled))
    if gloss_tiers:
        glosses = [_named(tiers, name, "--gloss_column") for name in gloss_tiers]
    else:
        glosses = [tier for tier in filled if _is_gloss_tier(tier) and tier not in texts]
    clear = len({tier.participant for tier in texts}) == len(texts) > 0
    if not clear or not glosses:
        unclear = " and ".join(name for name, is_clear in (("sentences", clear), ("glosses", glosses)) if not is_clear)
        raise ValueError(
            f"expected tier names that show which tiers hold {unclear}, found {_listed(tiers)}, each with its "
            "number of annotations; name the tier of the sentences with --text_column, and the tiers of the glosses "
            "with --gloss_column, separated by commas, the strong hand first"
        )
    if len(texts) == 1:
        own = [tier for tier in glosses if tier.participant == texts[0].participant]
        return [_Chosen(texts[0], glosses if gloss_tiers or not own else own)]
    return [_Chosen(text, [tier for tier in glosses if tier.participant == text.participant]) for text in texts]


def eaf_sentences(
    tiers: Sequence[Tier],
    name: str,
    notes: Notes,
    where: str,
    *,
    text_tier: str | None = None,
    gloss_tiers: Sequence[str] = (),
) -> Iterator[tuple[str, Annotated]]:
    """Yield the location of each sentence of an ELAN document, and the sentence with the signs made in its time.

    A sign or signal belongs to the sentence during which its middle lies.

    Args:
        tiers: Tiers from `read_eaf`.
        name: Name of the document, for the ids of the sentences.
        notes: Counter of what is left out.
        where: The document, for messages.
        text_tier: Name of the tier with the sentences (default: recognised).
        gloss_tiers: Names of the tiers with the glosses (default: recognised).

    Raises:
        ValueError: The tiers cannot be recognised, or a named tier does not exist.

    Examples:
        >>> texts, glosses = [Annotation("집이다", 0, 1)], [Annotation("집", 0, 1)]
        >>> tiers = [Tier("sentence", "", texts, True), Tier("RH", "", glosses, True)]
        >>> [(place, sentence.signs) for place, sentence in eaf_sentences(tiers, "a", Notes(), "a.eaf")]
        [('a.eaf, sentence 1', [Sign(gloss='집', start=0, end=1, hand='strong', span=None)])]
    """
    chosen = _choose(tiers, text_tier, gloss_tiers)
    signal_tiers = _signal_tiers(tiers, chosen, notes, where)
    number = sum(len(text.annotations) for text, _ in chosen)
    count = 0
    for text, glosses in chosen:
        sentences = text.annotations
        starts = [sentence.start for sentence in sentences]
        hands = _hands(glosses)
        signs = [_by_sentence(tier.annotations, sentences, starts) for tier in glosses]
        for tier, by_sentence in zip(glosses, signs, strict=True):
            outside = by_sentence.pop(-1, [])
            notes.add("sign(s) outside every sentence left out", f"{where}, tier {tier.name}", len(outside))
        own = [tier for tier in signal_tiers if tier.participant in ("", text.participant) or not text.participant]
        signals = [(tier.name, _by_sentence(tier.annotations, sentences, starts)) for tier in own]
        signer = text.participant or next((tier.participant for tier in glosses if tier.participant), "")
        for place, sentence in enumerate(sentences):
            count += 1
            by_hand = [
                (hand, _whole(tier.get(place, []), sentence, notes, where))
                for hand, tier in zip(hands, signs, strict=True)
            ]
            yield (
                f"{where}, sentence {count}",
                Annotated(
                    id=name if number == 1 else f"{name}-{count}",
                    text=sentence.value,
                    signs=_signing_order(by_hand),
                    non_manual=_in_time((label, tier.get(place, [])) for label, tier in signals),
                    signer=signer,
                ),
            )


def _signal_tiers(tiers: Sequence[Tier], chosen: Sequence[_Chosen], notes: Notes, where: str) -> list[Tier]:
    """Return the remaining tiers with times, without those of other sentences or glosses and of other people."""
    taken = {tier.name for text, glosses in chosen for tier in (text, *glosses)}
    people = {text.participant for text, _ in chosen}
    signal_tiers = []
    for tier in tiers:
        if tier.aligned and tier.annotations and tier.name not in taken:
            if _words(tier.name) & (_TEXT | _GLOSS):
                notes.add("tier(s) of other sentences or glosses left out", f"{where}: {tier.name}")
            elif tier.participant and "" not in people and tier.participant not in people:
                notes.add("tier(s) of other participants left out", f"{where}: {tier.name}")
            else:
                signal_tiers.append(tier)
    return signal_tiers


def _by_sentence(
    annotations: Iterable[Annotation], sentences: Sequence[Annotation], starts: Sequence[float]
) -> dict[int, list[Annotation]]:
    """Return the annotations made in the time of each sentence, and under -1 those outside all sentences."""
    by_sentence: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        place = bisect_right(starts, annotation.middle) - 1
        inside = place >= 0 and annotation.middle <= sentences[place].end
        by_sentence[place if inside else -1].append(annotation)
    return by_sentence


def _whole(annotations: list[Annotation], sentence: Annotation, notes: Notes, where: str) -> list[Annotation]:
    """Return the annotations of a sentence; a single one that holds all its glosses is divided."""
    if len(annotations) == 1 and annotations[0][1:] == sentence[1:] and re.search(r"\s", annotations[0].value):
        notes.add("annotation(s) with the glosses of a whole sentence, split at white space", where)
        glosses = split_glosses(" ".join(annotations[0].value.split()))
        return [annotations[0]._replace(value=gloss) for gloss in glosses]
    return annotations


def _signing_order(annotations: Iterable[tuple[str, list[Annotation]]]) -> list[Sign]:
    by_hand: dict[str, list[Sign]] = defaultdict(list)
    for hand, items in annotations:
        by_hand[hand] += [Sign(item.value, item.start, item.end, hand) for item in items]
    together, strong, weak = joined(by_hand["strong"], by_hand["weak"])
    return interleaved([*by_hand["both"], *together], strong, weak, by_hand[""])


def _in_time(annotations: Iterable[tuple[str, list[Annotation]]]) -> list[Signal]:
    signals = [
        Signal(word(f"{name}:{item.value}" if item.value else name), item.start, item.end)
        for name, items in annotations
        for item in items
    ]
    return sorted(signals, key=lambda signal: signal.start)
