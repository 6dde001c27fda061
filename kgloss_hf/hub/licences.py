"""Derive the licence of a model from the licences of its training data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

UNKNOWN = "unknown"
"""The Hub's id for a licence that nobody has stated."""

_ID = re.compile(r"(?!none$)[a-z0-9.+-]+")
_PERMISSIVE = re.compile(
    r"apache-2\.0|mit|bsd(-.+)?|isc|unlicense|cc0-1\.0|cc-by-\d\.\d|pddl|odc-by|cdla-permissive-.+"
)
_PERMITTED = re.compile(r"\b(by|with)( the)? permission of\b", re.IGNORECASE)


def license_of(data: Sequence[Mapping[str, Any]]) -> str:
    """Return the licence that training data require of a model trained on them, by the Hub's id.

    Args:
        data: Corpora, each with `name` and `license`, as in metrics.json.

    Returns:
        `apache-2.0` where no corpus requires more than to be named; else the strictest of their licences; `unknown`
        where one is not stated, forbids derivatives, or excludes another, and where nothing is known of the data.

    Example:
        >>> license_of([{"license": "mit"}, {"license": "cc-by-nc-4.0"}, {"license": "cc-by-nc-sa-4.0"}])
        'cc-by-nc-sa-4.0'
        >>> license_of([{"license": "cc-by-sa-4.0"}, {"license": "cc-by-nc-sa-4.0"}])
        'unknown'
    """
    strict = {licence for licence in map(_id, data) if not _PERMISSIVE.fullmatch(licence)}
    if data and not strict:
        return "apache-2.0"
    for candidate in sorted(strict, reverse=True):
        judged = all(licence == candidate or "-nc" in licence for licence in strict)  # of others we know no terms
        if judged and not any(_contradictions([candidate], data, permitted=False)):
            return candidate
    return UNKNOWN


def license_problems(licences: Sequence[str], data: Sequence[Mapping[str, Any]], body: str) -> list[str]:
    """List the problems of a card's licences, one sentence each.

    Args:
        licences: Those of its metadata.
        data: As for `license_of`.
        body: The card's text, where the words "with permission of" say that right holders agreed.

    Example:
        >>> license_problems(["mit"], [{"name": "gksl", "license": "cc-by-nc-4.0"}], "")
        ["license: expected one with -nc, as the data 'gksl' have cc-by-nc-4.0, found mit; choose one"]
    """
    problems = [
        f"license: expected the Hub's id of a licence that the training data allow, found {licence!r}; choose one"
        for licence in licences
        if licence == UNKNOWN or not _ID.fullmatch(licence)
    ]
    return [*problems, *_contradictions(licences, data, permitted=bool(_PERMITTED.search(body)))]


def _contradictions(licences: Sequence[str], data: Iterable[Mapping[str, Any]], *, permitted: bool) -> Iterator[str]:
    """Yield the licences that do not fit the data's; `permitted` means that the card says the right holders agreed."""
    own = ", ".join(licences)
    remedy = "train without them, or ask the right holder for permission and write 'with permission of …' in the card"
    for entry in data:
        name, licence = f"the data {entry.get('name')!r}", _id(entry)
        if licence == UNKNOWN and not {"other", UNKNOWN}.issuperset(licences):
            yield f"license: expected the licence of {name} too, found {own} without it; state it in metrics.json"
        if "-nc" in licence and not all("-nc" in own for own in licences):
            yield f"license: expected one with -nc, as {name} have {licence}, found {own}; choose one"
        if "-sa" in licence and any(own != licence for own in licences) and not permitted:
            yield f"license: expected {licence}, as {name} require it, found {own}; take it, {remedy}"
        if "-nd" in licence and not permitted:
            yield f"license: expected data of which derivatives may be passed on, found {licence} of {name}; {remedy}"


def _id(entry: Mapping[str, Any]) -> str:
    licence = str(entry.get("license")).lower()
    return licence if _ID.fullmatch(licence) else UNKNOWN
