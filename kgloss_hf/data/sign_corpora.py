"""Read sign language corpora in their published form: NIASL2021 and AI-Hub 636, NIKL, AI-Hub 103, and ELAN files."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from ..reporting import counted
from ..runtime.normalization import normalize_line
from .checks import BadRows
from .columns import COLUMNS, find_columns
from .corpus_files import (
    ARCHIVE,
    NESTED,
    SUFFIXES,
    Member,
    first_bytes,
    first_value,
    json_values,
    members,
    read_text,
    tables_beside,
)
from .elan import eaf_sentences, read_eaf
from .review import is_review
from .signs import HANDS, SENSES, Annotated, Notes, Sign, Signal, interleaved, joined, row_of, seconds, word
from .tables import read_rows

logger = logging.getLogger(__name__)

_LOOKED_AT = 5  # files that are examined before a folder or archive is taken for something else
NIASL, NIKL, AIHUB_103, ELAN = "NIASL2021 / AI-Hub 636", "NIKL parallel corpus", "AI-Hub 103", "ELAN"
_SENTENCE_NAMES = ("korean", "sentence", "text", "한국어", "한국어문장", "한국어 문장", "문장")  # in metaData
_TEXT = {"text": COLUMNS["text"]}


def _kind(value: Any) -> str | None:
    """Return the corpus that a JSON value comes from, or None."""
    if not isinstance(value, dict):
        return None
    if "krlgg_sntenc" in value or "sign_lang_sntenc" in value:
        return NIKL
    text = value.get("text")
    if "sign_script" in value or (isinstance(text, dict) and "raw" in text):
        return NIASL
    return AIHUB_103 if isinstance(value.get("metaData"), dict) and "data" in value else None


def is_corpus(path: Path) -> bool:
    """Return whether a path holds a corpus that `read_corpus` reads, by the content of its first files.

    Args:
        path: A folder, a file, or a ZIP archive.

    Examples:
        >>> is_corpus(Path(__file__))
        False
    """
    # Not Path.is_dir, which raises if the name of a data set is too long for a file name.
    if not os.path.isdir(path) and not (os.path.isfile(path) and path.suffix.lower() in (*SUFFIXES, ARCHIVE)):
        return False
    nested: list[str] = []
    try:
        for member in islice(members(path, lambda kind, name: nested.append(kind)), _LOOKED_AT):
            if member.suffix == ".eaf":
                if b"<ANNOTATION_DOCUMENT" in first_bytes(member).replace(b"\0", b""):  # also in UTF-16
                    return True
            elif _kind(first_value(member)):
                return True
    except ValueError:  # reported when the same archive is read
        return path.is_file()
    return path.suffix.lower() == ARCHIVE and NESTED in nested


def read_corpus(
    path: Path,
    *,
    sense: str = "keep",
    text_tier: str | None = None,
    gloss_tiers: Sequence[str] = (),
    on_bad_rows: str = "raise",
    quiet: bool = False,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the location of each sentence of a corpus, and its row, with one row in memory at a time.

    A warning at the end reports what was recognised, and what was left out or could not be mapped.

    Args:
        path: A folder, read with its subfolders, a `.json`, `.jsonl` or `.eaf` file, or a ZIP archive.
        sense: `keep` keeps the sense number in a gloss (`낮1`), `drop` removes it (default `keep`).
        text_tier: Tier of ELAN files with the sentence, or tiers of several people separated by commas (default:
            recognised by name).
        gloss_tiers: Tiers of ELAN files with the glosses (default: recognised by name).
        on_bad_rows: `raise`, or `skip`, which leaves out and counts what cannot be read (default `raise`).
        quiet: Whether to omit the warning at the end, because an earlier pass over the corpus has reported it.

    Returns:
        Rows with `id`, `text`, `glosses` in signing order, and for each gloss its `starts` and `ends` (seconds, or
        None), `hands` (`both`, `strong`, `weak`, or an empty string), `senses` (a number as a string, or an empty
        one) and `spans` (start and end in characters of `text`, or None); `non_manual` (objects with `signal`, `start`
        and `end`), `signer`, `category`, `split` (`train`, `validation`, `test` or None) and `source`.

    Raises:
        FileNotFoundError: The path does not exist.
        ValueError: An option is unknown, a file cannot be read, a sentence has no text or no glosses, or the corpus has
            no sentence at all.

    Examples:
        >>> import json, tempfile
        >>> video = {"text": {"raw": {"korean": "집"}}, "sign_script": {"sign_gestures_both": [{"gloss_id": "집1"}]}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "1.json").write_text(json.dumps(video), "utf-8")
        ...     [row["glosses"] for _, row in read_corpus(Path(folder), sense="drop")]
        [['집']]
    """
    if sense not in SENSES:
        raise ValueError(f"sense: expected 'keep' or 'drop', found {sense!r}")
    BadRows(path, on_bad_rows)  # raises for an unknown option
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; name a folder, ZIP archive or file of a sign corpus")
    return _Reader(path, sense, text_tier, tuple(gloss_tiers), on_bad_rows == "skip", quiet).rows()


class _Reader:
    """Reader of one corpus, which counts its rows."""

    def __init__(
        self, path: Path, sense: str, text_tier: str | None, gloss_tiers: tuple[str, ...], skip: bool, quiet: bool
    ) -> None:
        self._path, self._sense, self._skip, self._quiet = path, sense, skip, quiet
        self._tiers = text_tier, gloss_tiers
        self._notes = Notes()
        self._texts: dict[str, str | None] | None = None
        self._sources: Counter[str] = Counter()

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        glosses = 0
        for member in members(self._path, self._left_out):
            split = member.split
            for where, source, sentence in self._sentences(member):
                try:
                    if isinstance(sentence, ValueError):
                        raise sentence
                    annotated = sentence(where) if callable(sentence) else sentence
                    row = row_of(annotated, sense=self._sense, source=source, notes=self._notes, where=where)
                except ValueError as error:
                    self._bad(where, error)
                    continue
                row["split"] = split
                self._sources[source] += 1
                glosses += len(row["glosses"])
                yield where, row
        self._say(glosses)

    def _left_out(self, kind: str, name: str) -> None:
        self._notes.add(f"{kind} left out")

    def _bad(self, where: str, error: ValueError) -> None:
        problem = f"{where}: {error}"
        if not self._skip:
            raise ValueError(f"{problem}; correct it, or skip bad rows with on_bad_rows='skip'") from error
        self._notes.add("bad row(s) skipped", problem)

    def _say(self, glosses: int) -> None:
        rows = self._sources.total()
        notes = f"; {self._notes}" if self._notes else ""
        if not rows:
            raise ValueError(
                f"{self._path}: expected sentences of a sign language corpus ({NIASL}, {NIKL}, {AIHUB_103} or {ELAN}), "
                f"found none{notes}"
            )
        if self._quiet:
            return
        sources = ", ".join(f"{source} ({counted(count, 'row')})" for source, count in self._sources.items())
        logger.warning("%s: read as %s, %s%s", self._path, sources, counted(glosses, "gloss", "glosses"), notes)

    def _sentences(self, member: Member) -> Iterator[tuple[str, str, Any]]:
        """Yield the location of each sentence of a file, its corpus, and the sentence, its factory or its error."""
        if member.suffix == ".eaf":
            yield from self._elan(member)
            return
        is_first, name = True, member.stem
        for where, value in json_values(member):
            kind = _kind(value)
            if isinstance(value, ValueError):
                yield where, "", value
            elif kind is not None:
                make = {NIASL: self._niasl, NIKL: self._nikl, AIHUB_103: self._aihub_103}[kind]
                yield where, kind, _made_by(make, value, name)
            elif is_first:
                self._notes.add("JSON file(s) of another kind left out", member.where)
                return
            else:
                yield where, "", ValueError(f"expected an object of a sign language corpus, found {value!r:.60}")
            is_first = False

    def _elan(self, member: Member) -> Iterator[tuple[str, str, Any]]:
        try:
            tiers = read_eaf(read_text(member))
            if is_review(tiers):
                raise ValueError(
                    "expected a sign corpus, found a review sheet; name the review sheets one by one, separated by "
                    "commas"
                )
            text_tier, gloss_tiers = self._tiers
            sentences = eaf_sentences(
                tiers, member.stem, self._notes, member.where, text_tier=text_tier, gloss_tiers=gloss_tiers
            )
            for where, sentence in sentences:
                yield where, ELAN, sentence
        except ValueError as error:
            yield member.where, ELAN, error

    def _niasl(self, value: dict[str, Any], name: str, where: str) -> Annotated:
        metadata = _dict(value, "metadata")
        script = _dict(value, "sign_script")
        hands = [self._gestures(script, hand) for hand in HANDS]
        return Annotated(
            id=word(metadata.get("id")) or word(value.get("id")) or name,
            text=_text(_dict(_dict(value, "text"), "raw").get("korean"), "text.raw.korean"),
            signs=interleaved(*hands),
            non_manual=self._signals(value.get("nms_script", script.get("nms_script")), where),
            signer=word(metadata.get("signer_id")),
            category=word(metadata.get("category")),
        )

    def _nikl(self, value: dict[str, Any], name: str, where: str) -> Annotated:
        metadata, script = _dict(value, "metadata"), _dict(value, "sign_script")
        korean = value.get("krlgg_sntenc")
        sentence = korean if isinstance(korean, dict) else {"koreanText": korean}
        listed = value.get("sign_lang_sntenc")
        if not isinstance(listed, str | None):
            raise ValueError(f"sign_lang_sntenc: expected glosses separated by /, found {listed!r:.60}")
        written = [gloss for gloss in map(normalize_line, (listed or "").split("/")) if gloss]
        both, strong, weak = (self._gestures(script, hand) for hand in HANDS)
        together, strong, weak = joined(strong, weak)
        signs = interleaved([*both, *together], strong, weak)
        if not signs:
            signs = [Sign(gloss) for gloss in written]
        elif written and Counter(map(_sign, written)) != Counter(_sign(sign.gloss) for sign in signs):
            self._notes.add("row(s) with other glosses in sign_lang_sntenc than in the gestures, which count", where)
        topics = [word(part.get(key)) for key in ("realm", "thema", "category") for part in (sentence, value, metadata)]
        return Annotated(
            id=word(metadata.get("id")) or word(value.get("id")) or word(sentence.get("id")) or name,
            text=_text(sentence.get("koreanText"), "krlgg_sntenc.koreanText"),
            signs=signs,
            non_manual=self._signals(script.get("nms_script", value.get("nms_script")), where),
            signer=word(metadata.get("signer_id")) or word(metadata.get("signer")),
            category="/".join(dict.fromkeys(filter(None, topics))),
        )

    def _aihub_103(self, value: dict[str, Any], name: str, where: str) -> Annotated:
        metadata = _dict(value, "metaData")
        signs = []
        for item in _list(value, "data"):
            if not isinstance(item, dict):
                raise ValueError(f"data: expected objects, found {item!r:.60}")
            for attribute in _list(item, "attributes"):
                gloss = attribute.get("name") if isinstance(attribute, dict) else attribute
                if not isinstance(gloss, str | None):
                    raise ValueError(f"data: expected a gloss in attributes[].name, found {gloss!r:.60}")
                signs.append(Sign(gloss or "", seconds(item.get("start")), seconds(item.get("end"))))
        names = [word(metadata.get(key)) for key in ("name", "url", "id")]
        return Annotated(
            id=word(metadata.get("id")) or PurePath(names[0]).stem or name,
            text=self._sentence_of(metadata, [*names, name], where),
            signs=interleaved(signs),
        )

    def _sentence_of(self, metadata: dict[str, Any], names: list[str], where: str) -> str:
        """Return the sentence of a video of AI-Hub 103, whose published files contain none."""
        for key in _SENTENCE_NAMES:
            if isinstance(metadata.get(key), str) and metadata[key].strip():
                return str(metadata[key])
        if self._texts is None:
            self._texts = _sentences_beside(self._path, self._notes)
        for key in dict.fromkeys(key for name in names if name for key in (name, PurePath(name).stem)):
            if text := self._texts.get(key):
                self._notes.add("sentence(s) taken from tables next to the files", f"{where}: {key}")
                return text
        raise ValueError(
            f"expected the sentence of the video {names[0] or names[-1]}, found none, since {AIHUB_103} contains only "
            "glosses; put a table (CSV, TSV, XLSX) next to the files, with the name of each video in one column and "
            "its sentence in a column text or 문장"
        )

    def _gestures(self, script: dict[str, Any], hand: str) -> list[Sign]:
        """Return the signs in the list of one hand."""
        key = f"sign_gestures_{hand}"
        signs = []
        for item in _list(script, key):
            if not isinstance(item, dict):
                raise ValueError(f"{key}: expected objects, found {item!r:.60}")
            gloss = item.get("gloss_id")
            if gloss is None:
                gloss = ""
            if not isinstance(gloss, str):
                raise ValueError(f"{key}: expected a gloss in gloss_id, found {gloss!r:.60}")
            signs.append(Sign(gloss, seconds(item.get("start")), seconds(item.get("end")), hand, _location(item, key)))
        return signs

    def _signals(self, channels: Any, where: str) -> list[Signal]:
        """Return the non-manual signals, sorted by start."""
        if channels is not None and not isinstance(channels, dict):
            raise ValueError(f"nms_script: expected an object, found {channels!r:.60}")
        signals = []
        channels = channels or {}
        for name in channels:
            for item in _list(channels, name):
                start, end = (seconds(item.get(key)) if isinstance(item, dict) else None for key in ("start", "end"))
                if start is None or end is None:
                    self._notes.add("non-manual signal(s) without times left out", f"{where}: {name}")
                else:
                    signals.append(Signal(word(name), start, end))
        return sorted(signals, key=lambda signal: signal.start)


def _sentences_beside(path: Path, notes: Notes) -> dict[str, str | None]:
    """Return sentences by each other cell of their rows in the tables next to a corpus; None if they differ."""
    texts: dict[str, str | None] = {}
    for table in tables_beside(path):
        try:
            try:
                rows = [row for _, row in read_rows(table)]
            except UnicodeError:
                rows = [row for _, row in read_rows(table, encoding="cp949")]
            column = find_columns(rows[0] if rows else (), str(table), wanted=_TEXT, needed=()).get("text")
        except ValueError as error:
            notes.add("unreadable table(s) left out", str(error))
            continue
        for row in rows if column else []:
            text = word(row[column])
            cells = {word(cell) for name, cell in row.items() if name not in (column, None)}
            for key in {form for cell in cells if cell and text for form in (cell, PurePath(cell).stem)}:
                texts[key] = text if texts.get(key, text) == text else None
    return texts


def _made_by(
    make: Callable[[dict[str, Any], str, str], Annotated], value: Any, name: str
) -> Callable[[str], Annotated]:
    return lambda where: make(value, name, where)


def _dict(value: dict[str, Any], key: str) -> dict[str, Any]:
    part = value.get(key)
    if not isinstance(part, dict | None):
        raise ValueError(f"{key}: expected an object, found {part!r:.60}")
    return part or {}


def _list(value: dict[str, Any], key: str) -> list[Any]:
    part = value.get(key)
    if not isinstance(part, list | None):
        raise ValueError(f"{key}: expected a list, found {part!r:.60}")
    return part or []


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str | None):
        raise ValueError(f"{key}: expected a sentence, found {value!r:.60}")
    if not (value or "").strip():
        raise ValueError(f"{key}: expected a sentence, found none")
    return value or ""


def _location(item: dict[str, Any], key: str) -> tuple[int, int] | None:
    """Return the span of the sentence that a gesture comes from, if both ends are given."""
    place = _dict(item, "sentence_loc")
    ends = [place.get("start"), place.get("end")]
    if ends in (["", ""], [None, None]):
        return None
    ends = [seconds(end) for end in ends]
    if None in ends:
        return None
    start, end = (int(end) for end in ends if end is not None)
    if [start, end] != ends:
        raise ValueError(f"{key}: expected character positions in sentence_loc, found {place!r:.60}")
    return start, end


@lru_cache(2**16)
def _sign(gloss: str) -> str:
    """Return a gloss without its sense number, in which the two lists of a sentence may differ."""
    return normalize_line(gloss).rstrip("0123456789")
