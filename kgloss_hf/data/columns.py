"""Find the columns of a table of pairs by their English or Korean headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..runtime.normalization import normalize_line

COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "no", "번호", "순번", "연번", "아이디", "번호 id"),
    "text": (
        *("text", "sentence", "korean", "translation", "문장", "한국어", "한국어 문장", "한국어문장", "원문"),
        *("한국어 원문", "한국어원문", "텍스트", "문장 text"),
    ),
    "glosses": (
        *("glosses", "gloss", "orth", "글로스", "글로스열", "수어", "수어문", "수어 문장", "수어문장", "수어 글로스"),
        *("수어글로스", "한국수어", "한국 수어", "수지", "글로스 glosses"),
    ),
    "gloss_types": ("gloss_types", "types", "type", "유형", "글로스 유형", "글로스유형", "종류"),
    "source": ("source", "출처"),
    "split": ("split", "partition", "분할", "데이터 구분", "데이터구분"),
}
"""Header names of a table of pairs by field, the canonical name first; case and outer white space are ignored."""

OPTIONS = {"text": "--text_column", "glosses": "--gloss_column"}
"""Options that choose a column, by field."""


def find_columns(
    names: Iterable[Any],
    origin: str,
    *,
    wanted: Mapping[str, tuple[str, ...]] = COLUMNS,
    needed: Iterable[str] = ("text", "glosses"),
    given: Mapping[str, str | None] = {},
    options: Mapping[str, str] = OPTIONS,
) -> dict[str, str]:
    """Return the column of a table that holds each field.

    A column chosen by the user takes precedence, then the canonical name, then the only synonym in the table. Names are
    compared after normalisation, ignoring case.

    Args:
        names: Headers of the table; values other than strings are skipped.
        origin: Name of the table, for messages.
        wanted: Header names by field, the canonical name first.
        needed: Fields that the table must have.
        given: Columns chosen by the user, by field; None for a field without a choice.
        options: Options that choose a column, by field, for messages.

    Returns:
        The headers by field, spelt as in the table. Fields without a column are omitted.

    Raises:
        ValueError: A chosen or needed column is missing, or several columns match.

    Examples:
        >>> find_columns(["번호", "문장", "글로스"], "pairs.csv")
        {'id': '번호', 'text': '문장', 'glosses': '글로스'}
        >>> find_columns(["text", "원문", "수어"], "pairs.csv", given={"text": "원문"})
        {'text': '원문', 'glosses': '수어'}
    """
    headers = [name for name in names if isinstance(name, str)]
    chosen = {
        field: _chosen(name, headers, origin, options.get(field, f"the option of {field}"))
        for field, name in given.items()
        if name is not None
    }
    free = {name: _form(name) for name in headers if name not in chosen.values()}
    columns = {}
    for field, (canonical, *synonyms) in wanted.items():
        matches = [name for name, form in free.items() if form == canonical]
        matches = matches or [name for name, form in free.items() if form in synonyms]
        if field in chosen:
            columns[field] = chosen[field]
        elif len(matches) > 1:
            repair = f"rename all but one{_or_choose(options.get(field))}"
            raise ValueError(f"{origin}: expected one column of {field}, found {matches!s:.300}; {repair}")
        elif matches:
            columns[field] = matches[0]
        elif field in needed:
            raise ValueError(
                f"{origin}: expected a column of {field}, named {', '.join((canonical, *synonyms))}; found the columns "
                f"{headers!s:.300}; rename the column of {field}{_or_choose(options.get(field))}"
            )
    return columns


def _chosen(name: str, headers: list[str], origin: str, option: str) -> str:
    matches = [name] if name in headers else [header for header in headers if _form(header) == _form(name)]
    if len(matches) != 1:
        columns = ", ".join(map(repr, matches or headers))
        raise ValueError(
            f"{origin}: expected one column {name!r}, found {'several' if matches else 'none'} ({columns:.300}); name "
            f"the column with {option}"
        )
    return matches[0]


def _form(name: str) -> str:
    return normalize_line(name).casefold()


def _or_choose(option: str | None) -> str:
    return f", or choose it with {option}" if option else ""
