"""Read a lexicon of signs from tables and from saved responses of the public dictionary's API."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

from ..reporting import counted
from ..runtime.glosses import separated_at
from ..runtime.lexicon import Entry, Lexicon, is_safe
from ..runtime.normalization import normalize_line
from .cells import GlossCells, is_spreadsheet_error
from .checks import BadRows, parse_xml
from .columns import COLUMNS, find_columns
from .lines import read_text, utf8_or_cp949
from .tables import TABLE_SUFFIXES, is_table, read_rows, table_suffix

logger = logging.getLogger(__name__)

LEXICON_COLUMNS: dict[str, tuple[str, ...]] = {
    "gloss": ("gloss", *COLUMNS["glosses"], "word", "headword", "title", "표제어", "단어", "낱말"),
    # 번호 usually numbers rows; as an id, it would make every gloss appear playable.
    "id": ("id", "sign_id", "identifier", "origin_no", "아이디", "식별자", "고유번호", "수어 번호", "수어번호"),
    "video": (
        *("video", "url", "address", "link", "clip", "video_url", "영상", "동영상", "주소", "링크", "클립"),
        *("영상 주소", "영상주소", "동영상 주소", "동영상주소"),
    ),
    "meaning": ("meaning", "description", "definition", "뜻", "의미", "설명", "뜻풀이", "수형 설명", "수형설명"),
    "group": ("group", "same_sign", "같은 수어", "같은수어", "동일 수어", "동일수어"),
    "type": ("type", *COLUMNS["gloss_types"]),
    "licence": ("licence", "license", "rights", "저작권", "라이선스", "라이센스", "이용 허락", "이용허락"),
    "synonyms": ("synonyms", "synonym", "동의어", "유의어"),
}
"""Header names of a lexicon by field, the canonical name first."""

_SUFFIXES = (".xml", *TABLE_SUFFIXES)
_PIECE = 2**20  # characters
# What stands in a column of addresses where there is none.
_NO_ADDRESS = re.compile(
    r"[\W_]*|없음|없다|미정|미등록|보기|링크|영상|동영상|none|null|nil|na|n/a|nan|tbd|x", re.IGNORECASE
)
_SUCCESS = re.compile(r"0+|200|ok|success|normal[ _]service", re.IGNORECASE)
_ORIGIN = re.compile(r"[?&]origin_no=(\w+)")
_ROOTS = {"response", "OpenAPI_ServiceResponse"}
_OF_API = {"title", "subDescription"}
_RESPONSE = "save the response of the dictionary's API again, as XML or JSON"


class _Item(NamedTuple):
    """Entry of a row, with the other words for its sign."""

    entry: Entry
    synonyms: list[str]


class _Left(NamedTuple):
    """Addresses that were left out, each with its row: unsafe ones, and words that are none."""

    unsafe: list[str]
    no_address: list[str]


def load_lexicon(path: str | PathLike[str], *, encoding: str | None = None, on_bad_rows: str = "raise") -> Lexicon:
    """Read a lexicon, which lists what plays each gloss. Addresses are only read; nothing is downloaded.

    Args:
        path: A table (`kgloss_hf.data.tables.read_rows`) with a column `gloss` and any of `id`, `video`, `meaning`,
            `group`, `type`, `licence` and `synonyms` (`LEXICON_COLUMNS` lists other names, including Korean ones); a
            saved response of the public dictionary's API (KCISA, 일상생활수어 and its siblings) as XML or JSON; a
            folder of such files; or several of them separated by commas. Rows with the same `group`, and the glosses
            listed in `synonyms`, are words for one sign. The words in the title of a response form a group.
        encoding: Encoding of text files. Default: UTF-8; a file that is not UTF-8 is read as CP949, with a warning.
        on_bad_rows: `raise`, or `skip`, which skips and counts rows without a gloss or with values other than text
            (default `raise`).

    Returns:
        The lexicon. Warnings count entries with unsafe addresses, which are left out, words such as 없음 in place of an
        address, and glosses with several entries. The first entry that can be played counts.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file cannot be read, is the response to a failed request, or holds no entries.
        ImportError: openpyxl, which reads XLSX, is not installed.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "lexicon.csv")
        ...     _ = file.write_text("글로스,영상,동의어\\n집,clips/집.mp4,가옥 주택\\n", "utf-8")
        ...     load_lexicon(file).sign("주택")["entry"]
        {'gloss': '집', 'video': 'clips/집.mp4', 'group': '집'}
    """
    name = fspath(path)
    files = _files(name)
    left = _Left([], [])
    totals: dict[str, int] = {}
    items: list[_Item] = []
    distinct: set[str] = set()
    repeated = 0
    for file in files:
        written = encoding or _encoding(file)
        response = _response(file, written, totals)
        bad = BadRows(file, on_bad_rows, "; correct it")
        if response is None:
            items += _table(file, written, bad, left)
        else:
            new = {key: item for item in response if (key := repr(item)) not in distinct}
            distinct.update(new)
            repeated += len(response) - len(new)
            numbered = ((f"{file}, item {number}", item) for number, item in enumerate(new.values(), 1))
            items += chain.from_iterable(bad.checked(numbered, lambda where, item: _entries(where, item, left)))
        bad.warn()
    unsafe = left.unsafe
    if not items and not unsafe:
        raise ValueError(f"{name}: expected entries, found none; add rows with a gloss and a video or id")
    if repeated:
        logger.warning("%s: %s of the dictionary repeated, read once", name, counted(repeated, "entry", "entries"))
    if len(distinct) < (total := sum(totals.values())):
        logger.warning(
            "%s: %s of %s entries of the dictionary; save the remaining pages too (pageNo), in the same folder",
            *(name, f"{len(distinct):,}", f"{total:,}"),
        )
    if unsafe:
        logger.warning(
            "%s: %s with an unsafe address left out (expected http, https or a relative path); the first: %s",
            *(name, counted(len(unsafe), "entry", "entries"), unsafe[0]),
        )
    if left.no_address:
        logger.warning(
            "%s: %s with a word in place of an address, read as without a video; the first: %s",
            *(name, counted(len(left.no_address), "entry", "entries"), left.no_address[0]),
        )
    lexicon = Lexicon(_grouped(items))
    _say_several(name, lexicon)
    return lexicon


def _files(name: str) -> list[Path]:
    """Return the files that a name stands for, after checking that they exist."""
    files: list[Path] = []
    for path in map(Path, [name] if Path(name).exists() else name.split(",")):
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.rglob("[!.]*") if _is_read(file.name) and file.is_file())
        if not inside:
            raise ValueError(f"{path}: expected {', '.join(_SUFFIXES)} files in this folder, found none")
        files += inside
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; give the path of a lexicon ({', '.join(_SUFFIXES)})")
        if not _is_read(path.name):
            raise ValueError(
                f"{path}: expected a {', '.join(_SUFFIXES)} file, found {path.suffix or 'no extension'!r}; convert it"
            )
    return files


def _encoding(file: Path) -> str:
    """Return the encoding of a text file, since Korean ones are often saved as CP949."""
    if table_suffix(file.name).removesuffix(".gz") in (".xlsx", ".parquet"):
        return "utf-8"
    return utf8_or_cp949(file, lambda problem: logger.warning("%s: %s", file, problem), "save it as UTF-8")


def _is_read(name: str) -> bool:
    return is_table(name) or name.lower().endswith(".xml")


def _table(file: Path, encoding: str, bad: BadRows, left: _Left) -> Iterator[_Item]:
    cells = GlossCells(str(file), remedy="write all cells with the same separator")
    rows = read_rows(file, encoding=encoding)
    if (first := next(rows, None)) is None:
        return
    columns_of: dict[tuple[Any, ...], dict[str, str]] = {}

    def columns(row: Any) -> dict[str, str]:
        if not isinstance(row, dict):
            raise ValueError(f"expected a row with a gloss, found {type(row).__name__}")
        if (names := tuple(row)) not in columns_of:
            columns_of[names] = find_columns(row, str(file), wanted=LEXICON_COLUMNS, needed=["gloss"], options={})
        return columns_of[names]

    def item(number: int, row: Any) -> list[_Item]:
        if isinstance(row, dict) and row.keys() >= _OF_API:
            return _entries(f"row {number}", row, left)
        headers = columns(row)
        texts = {name: _text(row[column], column) for name, column in headers.items() if name != "synonyms"}
        cell = row[headers["synonyms"]] if "synonyms" in headers else None
        synonyms = [] if cell is None or _is_nothing(cell) else cells.split(cell)
        if not isinstance(synonyms, list) or not all(isinstance(synonym, str) for synonym in synonyms):
            raise ValueError(f"{headers['synonyms']}: expected glosses, found {synonyms!r:.60}")
        return _items(f"row {number}", texts, synonyms, left)

    name = columns(first[1]).get("synonyms", "synonyms") if isinstance(first[1], dict) else "synonyms"
    numbered = cells.sampled(chain([first], rows), name)
    yield from chain.from_iterable(bad.checked(numbered, item))
    cells.warn()


def _is_nothing(value: Any) -> bool:
    # Only NaN, as pandas writes it, differs from itself.
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _text(value: Any, name: str) -> str:
    """Return a cell as text; numbers are ids that a program did not recognise as text."""
    if _is_nothing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or is_spreadsheet_error(value):
        raise ValueError(f"{name}: expected text, found {value!r:.60}")
    return normalize_line(str(value))


def _items(where: str, texts: dict[str, str], synonyms: Sequence[str], left: _Left) -> list[_Item]:
    if not texts["gloss"]:
        raise ValueError("expected a gloss, found none")
    video = texts.get("video", "")
    if not is_safe(video):
        left.unsafe.append(f"{where}, {texts['gloss']}: {video!r:.60}")
        return []
    if video and _NO_ADDRESS.fullmatch(video):
        left.no_address.append(f"{where}, {texts['gloss']}: {video!r:.60}")
        texts = {**texts, "video": ""}
    other_words = [word for word in map(normalize_line, synonyms) if word and word != texts["gloss"]]
    return [_Item(Entry(**texts), other_words)]


def _response(file: Path, encoding: str, totals: dict[str, int]) -> list[Mapping[str, Any]] | None:
    """Return the items of one or several responses of the API in a file, or None if the file is a table."""
    name = file.name.lower().removesuffix(".gz")
    if name.endswith(".xml"):
        return _items_of(file, _xml(file, "".join(read_text(file, encoding, _PIECE, cut=True))), totals)
    if not name.endswith((".json", ".jsonl")):
        return None
    pages: list[Any] = []
    for _, page in read_rows(file, encoding=encoding):
        if not isinstance(page, dict) or not page.keys() & _ROOTS:
            if pages:
                raise ValueError(f"{file}: expected only responses of the API, found another row; {_RESPONSE}")
            return None
        pages.append(page)
    return [item for page in pages for item in _items_of(file, page[next(iter(page.keys() & _ROOTS))], totals)]


def _items_of(file: Path, response: Any, totals: dict[str, int]) -> list[Any]:
    """Return the items of a response."""
    parts = response if isinstance(response, dict) else {}
    header = _mapping(parts, "header") or _mapping(parts, "cmmMsgHeader")
    code = str(header.get("resultCode", header.get("returnReasonCode", "")))
    if not _SUCCESS.fullmatch(code.strip()):
        reasons = [str(header[key]) for key in ("resultMsg", "errMsg", "returnAuthMsg") if header.get(key)]
        reason = ": ".join(filter(None, [code, ", ".join(reasons)])) or "no resultCode"
        raise ValueError(f"{file}: expected a response with entries, found the error {reason:.200}; {_RESPONSE}")
    body = _mapping(parts, "body")
    items = _mapping(body, "items").get("item") or []
    total = str(body.get("totalCount") or 0)
    # Pages of the same list have the same total; lists of different kinds of signs seldom do.
    totals[total] = int(total) if total.isdecimal() else 0
    return list(items) if isinstance(items, list) else [items]


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _xml(file: Path, document: str) -> dict[str, Any]:
    try:
        root = parse_xml(document, "XML", _RESPONSE)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if root.tag not in ("response", "OpenAPI_ServiceResponse"):
        raise ValueError(f"{file}: expected a response of the dictionary's API, found {root.tag!r:.60}; {_RESPONSE}")
    parts: dict[str, Any] = {
        part.tag: {child.tag: (child.text or "").strip() for child in part} for part in root if part.tag != "body"
    }
    body = root.find("body")
    if body is not None:
        items = [{child.tag: child.text or "" for child in item} for item in body.iterfind("items/item")]
        parts["body"] = {"items": {"item": items}, "totalCount": (body.findtext("totalCount") or "").strip()}
    return parts


def _entries(where: str, item: Any, left: _Left) -> list[_Item]:
    """Return an entry for each word of an item of the API, all in one group."""
    if not isinstance(item, dict):
        raise ValueError(f"expected an item with a title, found {type(item).__name__}")
    names = ("title", "subDescription", "signDescription", "url", "referenceIdentifier", "rights", "copyrightOthers")
    title, video, meaning, page, reference, *licences = (_text(item.get(name), name) for name in names)
    words = [word for word in separated_at(title, ",") if word]
    if not words:
        raise ValueError("title: expected a word, found none")
    origin = _ORIGIN.search(page)
    sign_id = origin[1] if origin else reference if reference and "://" not in reference else page
    texts = {"id": sign_id, "video": video, "meaning": meaning, "licence": next(filter(None, licences), "")}
    texts["group"] = (sign_id or video or words[0]) if len(words) > 1 else ""
    return list(chain.from_iterable(_items(where, {**texts, "gloss": word}, [], left) for word in words))


def _grouped(items: Sequence[_Item]) -> Iterator[Entry]:
    """Yield the entries, grouped by their synonyms, and an entry for each synonym without one.

    A word with several entries may have several meanings, so it does not connect entries.
    """
    if not any(item.synonyms for item in items):
        yield from (item.entry for item in items)
        return
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        places[item.entry.gloss].append(place)
    leaders = list(range(len(items)))

    def leader(place: int) -> int:
        while leaders[place] != place:
            leaders[place] = place = leaders[leaders[place]]
        return place

    named: dict[str, int] = {}
    for place, item in enumerate(items):
        tied = [places[other][0] for other in item.synonyms if len(places[other]) == 1]
        tied += [named.setdefault(item.entry.group, place)] if item.entry.group else []
        for other in tied:
            first, second = sorted((leader(place), leader(other)))
            leaders[second] = first
    tied_places = {leader(place) for place, item in enumerate(items) if item.synonyms}
    names: dict[int, str] = {}
    taken: set[str] = {item.entry.group for item in items}
    for place in range(len(items)):
        if (first := leader(place)) in tied_places and first not in names:
            group = items[first].entry.group or items[first].entry.gloss
            while group in taken and group != items[first].entry.group:
                group += "'"
            taken.add(group)
            names[first] = group
    for place, item in enumerate(items):
        group = names.get(leader(place), item.entry.group)
        yield Entry(**{**item.entry.row(), "group": group})
        yield from (Entry(other, group=group) for other in item.synonyms if len(places.get(other, ())) != 1)


def _say_several(name: str, lexicon: Lexicon) -> None:
    """Warn of glosses with several signs, of groups with several videos, and if nothing can be played."""
    signs: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for entry in lexicon.entries:
        if entry.video or entry.id:
            signs[entry.gloss].add((entry.video, entry.id))
    if several := [gloss for gloss, different in signs.items() if len(different) > 1]:
        logger.warning(
            "%s: %s several entries; the first that can be played counts: %s",
            *(name, counted(len(several), "gloss has", "glosses have")),
            ", ".join(several[:5]) + (", …" if len(several) > 5 else ""),
        )
    of_group: defaultdict[str, set[str]] = defaultdict(set)
    for entry in lexicon.entries:
        if entry.group and entry.video:
            of_group[entry.group].add(entry.video)
    if mixed := [group for group, videos in of_group.items() if len(videos) > 1]:
        logger.warning(
            "%s: %s different videos, such as %s; the words of a group share one sign, and the video of one plays all",
            *(name, counted(len(mixed), "group has", "groups have"), mixed[0]),
        )
    if not signs:
        logger.warning("%s: no entry has a video or an id, so nothing can be played; add either of these columns", name)
