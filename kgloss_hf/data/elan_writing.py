"""Write sentences with timed glosses as ELAN annotation documents (.eaf)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..optional import require
from ..reporting import one_line
from .signs import Notes

NON_MANUAL = "non_manual"
_FIXED_DATE = "2000-01-01T00:00:00+00:00"  # the format requires a date; equal input must give equal bytes
_BELOW = ("type", "confidence", "entry")


class Signed(NamedTuple):
    """A sentence with its glosses, each with the keys of a timeline; times are in milliseconds."""

    text: str
    start: int
    end: int
    glosses: Sequence[Mapping[str, Any]]


def eaf_document(sentences: Iterable[Signed], notes: Notes) -> str:
    """Return an ELAN document with the tiers `sentence`, `glosses` and `non-manual`.

    The tiers `glosses` and `non-manual` have dependent tiers `type`, `confidence` and `entry`. The last names what
    plays a gloss: the id of the entry, or its video or gloss, or the reason why nothing plays it. In ELAN, annotations
    of a tier must not overlap, and each must have a length. Therefore simultaneous sentences are put into tiers of
    their own, of participant 2 and so on, and anything without length is left out and counted. The author is empty and
    the date fixed.

    Args:
        sentences: Sentences in any order; those without text are left out.
        notes: Counter of what is left out.

    Raises:
        ImportError: pympi-ling is not installed.

    Examples:
        >>> from kgloss_hf.data.elan import read_eaf
        >>> gloss = {"start": 0, "end": 900, "gloss": "불", "type": "sign_word"}
        >>> document = eaf_document([Signed("불!", 0, 900, [gloss])], Notes())
        >>> [(tier.name, tier.annotations[0].value) for tier in read_eaf(document) if tier.annotations]
        [('sentence', '불!'), ('glosses', '불'), ('glosses type', 'sign_word')]
    """
    document = new_document()
    document.add_linguistic_type("note", "Symbolic_Association", timealignable=False)
    lanes: list[list[Signed]] = []
    for sentence in sorted(sentences, key=lambda one: one.start):
        if not sentence.text:
            continue
        if sentence.end <= sentence.start:
            notes.add("sentence(s) without length, which ELAN cannot hold, left out", sentence.text)
            continue
        lane = next((lane for lane in lanes if lane[-1].end <= sentence.start), None)
        lanes.append([sentence]) if lane is None else lane.append(sentence)
    for number, lane in enumerate(lanes or [[]], 1):
        _add_tiers(document, lane, str(number) if len(lanes) > 1 else None, number, notes)
    return text_of(document)


def new_document() -> Any:
    """Return an empty ELAN document of pympi: no tiers, author or media, and a fixed date for reproducible files.

    Raises:
        ImportError: pympi-ling is not installed.

    Examples:
        >>> list(new_document().tiers)
        []
    """
    require("subtitles", "pympi", purpose="ELAN documents")
    from pympi.Elan import Eaf

    document = Eaf(author="")
    document.adocument["DATE"] = _FIXED_DATE
    document.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    document.remove_tier("default")
    return document


def text_of(document: Any) -> str:
    """Return a finished document as XML. (The writer of pympi itself would rename an existing file.)

    Args:
        document: Document from `new_document`.

    Examples:
        >>> text_of(new_document()).splitlines()[0]
        '<?xml version="1.0" encoding="UTF-8"?>'
    """
    from pympi.Elan import to_string

    document.remove_property("lastUsedAnnotation")
    document.add_property("lastUsedAnnotationId", document.maxaid)  # ELAN continues from this id
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{to_string(document)}\n'


def _add_tiers(document: Any, sentences: Sequence[Signed], person: str | None, number: int, notes: Notes) -> None:
    suffix = "" if number == 1 else f" {number}"
    document.add_tier(f"sentence{suffix}", part=person)
    for sentence in sentences:
        document.add_annotation(f"sentence{suffix}", sentence.start, sentence.end, one_line(sentence.text))
    glosses = [gloss for sentence in sentences for gloss in sentence.glosses]
    signals = [gloss for gloss in glosses if gloss.get("type") == NON_MANUAL]
    signs = [gloss for gloss in glosses if gloss.get("type") != NON_MANUAL]
    for name, own in (("glosses", signs), ("non-manual", signals)):
        tier = name + suffix
        document.add_tier(tier, part=person)
        ids = {}
        for place, gloss in enumerate(own):
            if gloss["end"] > gloss["start"]:
                document.add_annotation(tier, gloss["start"], gloss["end"], one_line(gloss["gloss"]))
                ids[place] = next(reversed(document.tiers[tier][0]))
            else:
                notes.add("sign(s) without length, which ELAN cannot hold, left out", gloss["gloss"])
        for below in _BELOW:
            values = {place: _note(own[place], below) for place in ids}
            if any(values.values()):
                document.add_tier(f"{tier} {below}", "note", tier, part=person)
                for place, value in values.items():
                    if value:  # pympi's own method searches all annotations for the one at a time
                        note = ids[place], value, None, None
                        document.tiers[f"{tier} {below}"][1][document.generate_annotation_id()] = note


def _note(gloss: Mapping[str, Any], below: str) -> str:
    if below == "confidence":
        return "" if gloss.get("confidence") is None else f"{gloss['confidence']:.4f}"
    if below == "entry":
        played = [gloss["entry"]] if "entry" in gloss else gloss.get("letters", ())
        names = (str(entry.get("id") or entry.get("video") or entry.get("gloss")) for entry in played)
        return one_line(" ".join(names) or gloss.get("reason", ""))
    return one_line(gloss.get(below, ""))
