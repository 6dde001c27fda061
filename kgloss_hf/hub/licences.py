"""Terms of the licences of training data, and the licence of a model that follows from them.

The Hub's ids are those of hub-docs (repositories-licenses.md, in its version of 2026-08-22). The terms of the Korea
Open Government License (KOGL, 공공누리) are those of 2026-01-28, which added type 0 and the AI mark. AI-Hub's terms are
its data use policy (https://aihub.or.kr/intro/policy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..runtime.normalization import normalize_line

UNKNOWN = "unknown"
"""The Hub's id for a licence that nobody has stated."""

OTHER = "other"
"""The Hub's id for any licence without an id of its own; `license_name` and `license_link` identify it."""


class Terms(NamedTuple):
    """The terms of a data licence for training models and for passing on.

    Args:
        commerce: The data and their derivatives may be used commercially.
        changes: Derivatives of the data may be passed on.
        same_licence: Derivatives must carry the same licence.
        passing_on: The data themselves may be passed on.
        model_licence: The terms state how a model trained on the data may be licensed.
    """

    commerce: bool = True
    changes: bool = True
    same_licence: bool = False
    passing_on: bool = True
    model_licence: bool = True


_HUB_IDS = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-
permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl
lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma other
"""
_IDS = frozenset(_HUB_IDS.split())
_PERMISSIVE = re.compile(
    r"apache-2\.0|mit|bsd(-.+)?|isc|unlicense|cc0-1\.0|cc-by(-\d\.\d)?|pddl|odc-by|cdla-permissive-.+|kogl-type-[01](-ai)?"
)
_PERMITTED = re.compile(r"\b(by|with)( the)? permission of\b", re.IGNORECASE)
# Conditions of the types, which official names add: 출처표시, 상업적 이용금지, 변경금지.
_KOGL = re.compile(
    r"(?:kogl|공공누리)-?(?:type|제)?-?([0-4])(?:-?유형)?(-?(?:and|및)?-?ai-?(?:type|유형)?)?"
    r"(?:-?(?:출처-?표시|상업적?-?이용-?금지|변경-?금지|자유-?이용|및|attribution|no-?commercial-?use|no-?derivatives?))*"
    r"(-?(?:and|및)?-?ai-?(?:type|유형)?)?-?"
)
_CREATIVE = re.compile(
    r"(?:creative-commons|cc)-?by((?:-?(?:nc|nd|sa))*)(?:-?(?:ver|v)?-?(\d\.\d))?(?:-(?:kr|korea|international|unported|deed))*"
)
_LINKS = {
    "kogl": "https://www.kogl.or.kr/info/license.do",
    "aihub": "https://aihub.or.kr/intro/policy",
    "nikl": "https://kli.korean.go.kr/corpus/main/requestMain.do",
}
_NO_COMMERCE = "cc-by-nc-4.0"


def licence_id(stated: Any) -> str:
    """Return the id under which this package knows a licence, or `unknown`.

    Args:
        stated: The Hub's id, the name of a Creative Commons licence, or that of a Korean public licence in any
            spelling: `kogl-type-0` to `kogl-type-4` for the Korea Open Government License, followed by `-ai` if it
            carries the AI mark; `aihub` for AI-Hub's terms; `nikl` for those of the National Institute of Korean
            Language's corpora.

    Examples:
        >>> [licence_id(name) for name in ("MIT", "공공누리 제2유형", "KOGL Type 4 + AI", "AI-Hub", "NIKL", "all mine")]
        ['mit', 'kogl-type-2', 'kogl-type-4-ai', 'aihub', 'nikl', 'unknown']
        >>> [licence_id(name) for name in ("CC BY-NC 4.0", "CC-BY-NC-SA", "research-only")]
        ['cc-by-nc-4.0', 'cc-by-nc-sa', 'unknown']
    """
    name = normalize_line(str(stated)).lower()
    words = re.sub(r"[\W_]+", "-", name)
    if kogl := _KOGL.fullmatch(words):
        return f"kogl-type-{kogl[1]}{'-ai' * bool(kogl[2] or kogl[3])}"
    if creative := _CREATIVE.fullmatch(re.sub(r"[^\w.]+|_", "-", name)):
        parts = "".join(f"-{part}" for part in re.findall("nc|nd|sa", creative[1]))
        return f"cc-by{parts}" + (f"-{creative[2]}" if creative[2] else "")
    if re.fullmatch(r"ai-?(hub|허브)(-terms|-이용정책)?", words):
        return "aihub"
    if re.fullmatch(r"nikl(-terms)?|모두의-?말뭉치|국립국어원-?말뭉치", words):
        return "nikl"
    return name if name in _IDS or terms_of(name) else UNKNOWN


def terms_of(licence: str) -> Terms | None:
    """Return the terms of a licence, or None if this package does not know them.

    Args:
        licence: Return value of `licence_id`.

    Examples:
        >>> terms_of("kogl-type-2")
        Terms(commerce=False, changes=True, same_licence=False, passing_on=True, model_licence=True)
        >>> terms_of("kogl-type-4-ai").passing_on, terms_of("aihub").passing_on
        (False, False)
    """
    if _PERMISSIVE.fullmatch(licence):
        return Terms()
    if kogl := re.fullmatch(r"kogl-type-([234])(-ai)?", licence):
        if kogl[2]:  # the AI mark exempts training from the type's conditions, but not the data themselves
            return Terms(passing_on=False)
        return Terms(commerce=kogl[1] == "3", changes=kogl[1] == "2")
    if licence in ("aihub", "nikl"):
        return Terms(passing_on=False, model_licence=False)
    if creative := re.fullmatch(r"cc-by((?:-(?:nc|nd|sa))+)(?:-\d\.\d)?", licence):
        parts = creative[1].split("-")
        return Terms(commerce="nc" not in parts, changes="nd" not in parts, same_licence="sa" in parts)
    return None


def may_pass_on(data: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether rows of corpora may be published with a model that was trained on them.

    Args:
        data: As for `license_of`; if it is empty, the answer is False.

    Examples:
        >>> may_pass_on([{"license": "kogl-type-1"}]), may_pass_on([{"license": "aihub"}])
        (True, False)
    """
    terms = [terms_of(licence_id(entry.get("license"))) for entry in data]
    return bool(terms) and all(known is not None and known.passing_on and known.changes for known in terms)


def license_of(data: Sequence[Mapping[str, Any]]) -> str:
    """Return the Hub's id of the licence that training data require of a model trained on them.

    Args:
        data: Corpora, each with `name` and `license`, as in metrics.json.

    Returns:
        `apache-2.0` if no corpus requires more than attribution; otherwise the strictest of their licences. `unknown`
        if a licence is not stated, forbids derivatives, says nothing about models or excludes another, or if nothing is
        known about the data. Only public bodies may grant KOGL, so a model gets the Creative Commons licence with
        similar terms.

    Examples:
        >>> license_of([{"license": "mit"}, {"license": "cc-by-nc-4.0"}, {"license": "cc-by-nc-sa-4.0"}])
        'cc-by-nc-sa-4.0'
        >>> license_of([{"license": "kogl-type-1"}]), license_of([{"license": "kogl-type-2"}])
        ('apache-2.0', 'cc-by-nc-4.0')
        >>> license_of([{"license": "cc-by-sa-4.0"}, {"license": "cc-by-nc-sa-4.0"}])
        'unknown'
    """
    strict = {licence for licence in map(_id, data) if terms_of(licence) not in (Terms(), Terms(passing_on=False))}
    if data and not strict:
        return "apache-2.0"
    candidates = {licence if licence in _IDS else _NO_COMMERCE for licence in strict}
    for candidate in sorted(candidates, reverse=True):
        judged = all(licence == candidate or not (terms_of(licence) or Terms()).commerce for licence in strict)
        if judged and not any(_contradictions([candidate], data, permitted=False)):
            return candidate
    return UNKNOWN


def license_problems(
    licences: Sequence[str],
    data: Sequence[Mapping[str, Any]],
    body: str,
    *,
    name: Any = None,
    link: Any = None,
    of_data: bool = False,
) -> list[str]:
    """List the problems of a card's licences, one sentence each.

    Args:
        licences: Licences in the card's metadata.
        data: As for `license_of`.
        body: Text of the card, in which the words "with permission of" state that the right holders agreed.
        name: `license_name` in the metadata, which `other` needs.
        link: `license_link` in the metadata, which `other` needs.
        of_data: The card is that of data, which must be allowed to be passed on themselves (default False).

    Examples:
        >>> license_problems(["mit"], [{"name": "gksl", "license": "cc-by-nc-4.0"}], "")
        ["license: expected a licence with -nc, since the data 'gksl' have cc-by-nc-4.0, found mit; choose one"]
        >>> license_problems(["other"], [], "", name="kogl-type-1")
        ["license_link: expected the address of the licence 'other', found none; add it"]
    """
    problems = []
    for licence in licences:
        if fields := hub_fields(licence_id(licence)):
            stated = " and ".join(f"{key}: {value}" for key, value in fields.items() if key != "license")
            problems.append(f"license: expected 'other' with {stated}, found {licence!r}; write these fields")
        elif licence not in _IDS:
            problems.append(
                f"license: expected the Hub's id of a licence that the training data allow, found {licence!r}; choose "
                "such a licence"
            )
    if OTHER in licences:
        problems += [
            f"{key}: expected {noun} of the licence 'other', found none; add it"
            for key, noun, value in (("license_name", "the name", name), ("license_link", "the address", link))
            if not value
        ]
    named = licence_id(name)
    own = [named if licence == OTHER and terms_of(named) else licence for licence in licences]
    permitted = bool(_PERMITTED.search(body))
    for licence in dict.fromkeys([*own, *map(_id, data)]) if of_data and not permitted else ():
        if (terms := terms_of(licence)) and not terms.passing_on:
            problems.append(
                f"license: expected data that may be passed on, found {licence}, whose terms forbid it; keep them, or "
                "ask the right holder for permission and write 'with permission of …' in the card"
            )
    return [*problems, *_contradictions(own, data, permitted=permitted)]


def hub_fields(licence: str) -> dict[str, str]:
    """Return the fields in which a card states a licence without an id on the Hub; for any other licence, no fields.

    Args:
        licence: Return value of `licence_id`.

    Examples:
        >>> hub_fields("kogl-type-0")
        {'license': 'other', 'license_name': 'kogl-type-0', 'license_link': 'https://www.kogl.or.kr/info/license.do'}
        >>> hub_fields("mit")
        {}
    """
    link = _LINKS.get(licence.partition("-")[0])
    return {"license": OTHER, "license_name": licence, "license_link": link} if link else {}


def _contradictions(licences: Sequence[str], data: Iterable[Mapping[str, Any]], *, permitted: bool) -> Iterator[str]:
    """Yield conflicts between a card's licences and its data's; `permitted` says that the card states a permission."""
    own = ", ".join(licences)
    remedy = "train without them, or ask the right holder for permission and write 'with permission of …' in the card"
    for entry in data:
        name, licence = f"the data {entry.get('name')!r}", _id(entry)
        terms = terms_of(licence) or Terms()
        judged = {OTHER, UNKNOWN}.issuperset(licences)
        if licence == UNKNOWN and not judged:
            stated = f"the unknown licence {entry['license']!r:.80}" if entry.get("license") else f"only {own}"
            yield (
                f"license: expected the licence of {name} too, found {stated}; state it in metrics.json as one that "
                "docs/publishing.md lists, or by the Hub's id"
            )
        elif terms_of(licence) is None and licence not in (*licences, OTHER) and not judged and not permitted:
            yield f"license: expected {licence}, that of {name}, or 'other', found {own}; use it, {remedy}"
        if not terms.commerce and any("-nc" not in one and (terms_of(one) or Terms()).commerce for one in licences):
            yield f"license: expected a licence with -nc, since {name} have {licence}, found {own}; choose one"
        if terms.same_licence and any(one != licence for one in licences) and not permitted:
            yield f"license: expected {licence}, since {name} require it, found {own}; use it, {remedy}"
        if not terms.changes and not permitted:
            yield f"license: expected data whose derivatives may be passed on, found {licence} for {name}; {remedy}"


def _id(entry: Mapping[str, Any]) -> str:
    return licence_id(entry.get("license"))
