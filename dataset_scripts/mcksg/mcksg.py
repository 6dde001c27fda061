"""Loading script of `mcksg`: Korean museum commentary and Korean Sign Language (KSL) glosses.

The configuration `sample` is the demonstration sample beside this file; `full` reads a holder's own copy of a corpus.
"""

from __future__ import annotations

import functools
import logging
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from kgloss_hf.data.builders import PairBuilder, PairConfig, split_pairs_by
from kgloss_hf.data.checks import inside
from kgloss_hf.data.splitting import ROW_FRACTIONS
from kgloss_hf.data.tables import TABLE_SUFFIXES, is_text, read_rows
from kgloss_hf.runtime.glosses import GLOSS_TYPES, UNKNOWN_TYPE, placeholder_of, split_glosses, type_of_notation
from kgloss_hf.runtime.normalization import normalize, normalize_line

logger = logging.getLogger(__name__)

COLUMNS = {
    "id": ("id", "no", "번호", "순번", "연번", "아이디"),
    "text": ("text", "sentence", "korean", "문장", "한국어", "한국어 문장", "한국어문장", "원문", "텍스트"),
    "glosses": ("glosses", "gloss", "글로스", "수어", "수어문", "수어 문장", "수어 글로스", "수어글로스", "수지"),
    "gloss_types": ("gloss_types", "types", "type", "유형", "글로스 유형", "글로스유형", "종류"),
    "source": ("source", "출처"),
}
"""Header names of a table of pairs, for each field; case and surrounding space do not count."""

LEXICON_COLUMNS = {
    "gloss": ("gloss", "glosses", "글로스", "수어", "표제어", "수지"),
    "type": COLUMNS["gloss_types"],
}
"""Header names of a lexicon."""

TYPE_NAMES = {
    **{name: name for name in (*GLOSS_TYPES, UNKNOWN_TYPE)},
    "수어단어": "sign_word",
    "유사어": "similar_word",
    "도상": "iconic",
    "지문자": "fingerspelling",
    "지숫자": "fingerspelled_number",
    "비수지": "non_manual",
    "비수지신호": "non_manual",
}
"""Types as a lexicon or a type column may write them; case and white space do not count."""

_LAYOUT = (
    "MCKSG was never published: ask the authors of Dang et al., 'Korean Text to Gloss: Self-Supervised Learning "
    "approach'. Then put it into a folder as a table with a column text and a column glosses "
    f"({', '.join(TABLE_SUFFIXES)}; lexicon.csv with gloss and type beside it, if there is one) and name the folder: "
    "load_dataset('mcksg', 'full', data_dir='FOLDER')."
)


@functools.cache
def _warn() -> None:
    logger.warning(
        "mcksg/sample was written for demonstration: it is not the MCKSG corpus and was not reviewed by KSL signers."
    )


@dataclass
class McksgConfig(PairConfig):
    """Options of `mcksg`: those of `PairConfig`, and two for a holder's own copy.

    Args:
        encoding: Of CSV, TSV and JSON Lines files, such as `cp949`.
        lexicon: Name of the lexicon in `data_dir`. Default: the file `lexicon` with a table's ending, if there is one.

    Example:
        >>> McksgConfig("full", encoding="cp949").split_by
        'group'
    """

    encoding: str = "utf-8"
    lexicon: str | None = None


def _find_files(data_dir: str | None, lexicon: str | None) -> tuple[list[Path], Path | None]:
    """Return the tables of pairs in a folder, sorted by name, and its lexicon."""
    if not data_dir:
        raise ValueError(f"mcksg/full expects data_dir, a folder with a copy of the corpus, and got none. {_LAYOUT}")
    folder = Path(data_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder with a copy of the corpus, found none. {_LAYOUT}")
    tables = [
        path
        for path in sorted(folder.iterdir())
        # A spreadsheet that is open elsewhere leaves a lock file that begins with ~$.
        if path.suffix.lower() in TABLE_SUFFIXES and not path.name.startswith((".", "~$"))
    ]
    if lexicon is not None:
        lexicons = [folder / lexicon]
    else:
        lexicons = [path for path in tables if path.stem.casefold() == "lexicon"]
    pairs = [path for path in tables if path.stem.casefold() != "lexicon" and path not in lexicons]
    for path in (*lexicons, *pairs):
        if not inside(folder, path).is_file() or path.suffix.lower() not in TABLE_SUFFIXES:
            raise FileNotFoundError(f"{path}: expected a {', '.join(TABLE_SUFFIXES)} file, found none")
    if not pairs:
        raise FileNotFoundError(f"{folder}: expected a {', '.join(TABLE_SUFFIXES)} file, found none. {_LAYOUT}")
    for files in (lexicons, pairs):
        stems = Counter(path.stem.casefold() for path in files)
        if doubled := [path.name for path in files if stems[path.stem.casefold()] > 1]:
            raise ValueError(f"{folder}: found {' and '.join(doubled)}, maybe one table twice; keep one or rename it")
    return pairs, lexicons[0] if lexicons else None


def _find_columns(
    path: Path, row: Any, wanted: Mapping[str, tuple[str, ...]], needed: tuple[str, ...]
) -> dict[str, str]:
    """Return which column of a table, told by its first row, holds which of the wanted fields."""
    if not isinstance(row, dict):
        raise ValueError(f"{path}: expected rows that are JSON objects, found {row!r:.60}")
    names = [name for name in row if isinstance(name, str)]
    columns = {}
    for field, synonyms in wanted.items():
        matches = [name for name in names if normalize_line(name).casefold() in synonyms]
        if len(matches) > 1:
            raise ValueError(f"{path}: expected one column of {field}, found {matches}; rename all but one")
        if matches:
            columns[field] = matches[0]
        elif field in needed:
            raise ValueError(
                f"{path}: expected a column of {field}, named {', '.join(synonyms)}; found the columns {names!s:.300}; "
                "rename the right one"
            )
    return columns


def parse_type(name: Any) -> str:
    """The type that a lexicon or a type column names.

    Args:
        name: A key of `TYPE_NAMES`, in any case and with any white space.

    Raises:
        ValueError: It is no such name.

    Example:
        >>> parse_type("Sign_word"), parse_type("비수지 신호")
        ('sign_word', 'non_manual')
    """
    gloss_type = TYPE_NAMES.get("".join(normalize(name).casefold().split())) if isinstance(name, str) else None
    if gloss_type is None:
        raise ValueError(f"expected a type ({', '.join(TYPE_NAMES)}), found {name!r:.60}; correct it")
    return gloss_type


def parse_glosses(cell: Any) -> list[str]:
    """The glosses of a row.

    Args:
        cell: A list of strings, or a string that `kgloss_hf.runtime.glosses.split_glosses` takes.

    Raises:
        ValueError: There are none, one is blank or no string, or one holds a tab or a line break.

    Example:
        >>> parse_glosses("불 V (불꽃무늬)"), parse_glosses(["집 ", "불"])
        (['불', 'V (불꽃무늬)'], ['집', '불'])
    """
    glosses = split_glosses(cell) if isinstance(cell, str) else cell
    if not isinstance(glosses, list) or not glosses:
        raise ValueError(f"expected glosses, found {glosses!r:.60}; add them or remove the row")
    for gloss in glosses:
        if not isinstance(gloss, str) or not normalize_line(gloss) or re.search(r"[\t\r\n]", gloss.strip()):
            raise ValueError(f"expected glosses, without tabs and line breaks, found {gloss!r:.60}; correct it")
    return list(map(normalize_line, glosses))


class Mcksg(PairBuilder):
    """Builder of `sample` (default; 357 rows) and `full`, which is the default where `data_dir` is given.

    Features of a row: `id`, `text` (a Korean sentence), `glosses` (strings, one a sign), `gloss_types` (a ClassLabel
    for each gloss) and `source`. A gloss's type is that of the table's type column, else of the lexicon, else of the
    notation (`kgloss_hf.runtime.glosses.type_of_notation`). Rows are split 70:30 into `train` and `test`; see
    `PairConfig`.

    Args:
        args: As of `datasets.DatasetBuilder`.
        config_name: `sample` or `full`.
        data_dir: Of `full`: the holder's folder. All tables in it are read, sorted by name, but not those in folders
            below it; two that differ only by their ending are refused, since they may be one table twice.
        kwargs: As of `datasets.DatasetBuilder`, and the options in `McksgConfig`.

    Raises:
        ValueError: `full` without a folder, data_files, an unknown option, or a file that is outside the folder or not
            as expected.
        NotADirectoryError: data_dir is a file.
        FileNotFoundError: The folder is not there, or lacks the lexicon or any table.
        ImportError: openpyxl, which reads XLSX, is not installed.

    Example:
        >>> from datasets import load_dataset
        >>> load_dataset("mcksg", split="train", split_by="none")[0]["glosses"]  # doctest: +SKIP
        ['우리', '박물관', '여러분', '오다', '환영']
        >>> load_dataset("mcksg", data_dir="FOLDER", encoding="cp949")  # doctest: +SKIP
    """

    # Part of the cache's path: raise it with every change of the data files and of what is made of them, which the
    # script's own hash leaves out.
    VERSION = datasets.Version("2.1.0")
    BUILDER_CONFIG_CLASS = McksgConfig
    BUILDER_CONFIGS = [
        McksgConfig("sample", version=VERSION, description="Demonstration sample, written by the project."),
        McksgConfig("full", version=VERSION, description="A holder's own copy of a corpus."),
    ]
    DEFAULT_CONFIG_NAME = "sample"

    def __init__(self, *args: Any, config_name: str | None = None, data_dir: str | None = None, **kwargs: Any) -> None:
        if config_name is None and data_dir is not None:
            config_name = "full"
        super().__init__(*args, config_name=config_name, data_dir=data_dir, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        sample = self.config.name == "sample"
        if sample:
            # Every load passes here, also one that the cache answers.
            _warn()
        return datasets.DatasetInfo(
            description="Korean sentences in the style of museum commentary, and KSL glosses.",
            features=datasets.Features(
                {
                    "id": datasets.Value("string"),
                    "text": datasets.Value("string"),
                    "glosses": datasets.Sequence(datasets.Value("string")),
                    "gloss_types": datasets.Sequence(datasets.ClassLabel(names=[*GLOSS_TYPES, UNKNOWN_TYPE])),
                    "source": datasets.Value("string"),
                }
            ),
            license="apache-2.0" if sample else "",
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        config = self.config
        if config.name == "full":
            files, lexicon = _find_files(config.data_dir, config.lexicon)
        elif (config.data_dir, config.lexicon, config.encoding) == (None, None, "utf-8"):
            # A script that `datasets` loads is copied away from its data, and base_path then says where they are.
            folder = "" if self.base_path else os.path.dirname(os.path.abspath(__file__))
            names = [os.path.join(folder, name) for name in ("sample.jsonl", "lexicon.csv")]
            *files, lexicon = map(Path, self.local(dl_manager, names))
        else:
            raise ValueError("mcksg/sample is bundled and takes no data_dir, lexicon or encoding; load 'full' instead")
        types = self._read_lexicon(lexicon) if lexicon else {}
        seen: dict[str, str] = {}
        rows = [row for file in files for row in self._read_pairs(file, types, seen)]
        types_of_rows = [name for row in rows for name in row["gloss_types"]]
        if unknown := types_of_rows.count(UNKNOWN_TYPE):
            logger.warning(
                "mcksg/%s: %d of %d gloss types are unknown; a lexicon beside the table tells more than the notation",
                config.name,
                unknown,
                len(types_of_rows),
            )
        return self.generators(split_pairs_by(rows, ROW_FRACTIONS, by=config.split_by, seed=config.split_seed))

    def _read(
        self, path: Path, wanted: Mapping[str, tuple[str, ...]], needed: tuple[str, ...]
    ) -> tuple[list[tuple[int, Any]], dict[str, str]]:
        try:
            rows = list(read_rows(path, encoding=self.config.encoding))
        except UnicodeError as error:
            raise ValueError(f"{error}, or load all files with the encoding they have: encoding='cp949'") from error
        if not rows:
            raise ValueError(f"{path}: expected rows with {' and '.join(needed)}, found none")
        return rows, _find_columns(path, rows[0][1], wanted, needed)

    def _read_lexicon(self, path: Path) -> dict[str, str]:
        rows, columns = self._read(path, LEXICON_COLUMNS, ("gloss", "type"))
        types: dict[str, str] = {}

        def check(number: int, row: Any) -> dict[str, Any]:
            cells = _object(row)
            [gloss] = parse_glosses([cells.get(columns["gloss"])])
            gloss_type = parse_type(cells.get(columns["type"]))
            if types.setdefault(gloss, gloss_type) != gloss_type:
                raise ValueError(f"expected one type of {gloss!r}, found {types[gloss]} and {gloss_type}; remove one")
            return {}

        self.checked(path, rows, check)
        return types

    def _read_pairs(self, path: Path, types: Mapping[str, str], seen: dict[str, str]) -> list[dict[str, Any]]:
        rows, columns = self._read(path, COLUMNS, ("text", "glosses"))
        if unused := [name for name in rows[0][1] if name and name not in columns.values()]:
            logger.warning("%s: columns not used: %s", path, ", ".join(map(repr, unused)))

        def check(number: int, row: Any) -> dict[str, Any]:
            held = _object(row)
            cells = {field: held.get(column) for field, column in columns.items()}
            text = cells["text"]
            if not isinstance(text, str) or not normalize_line(text):
                raise ValueError(f"expected a sentence, found {text!r:.60}; add it or remove the row")
            glosses = parse_glosses(cells["glosses"])
            place = f"{path.name}:{number}"
            if not (row_id := str(cells.get("id", place) or "").strip()):
                raise ValueError("expected an id, found none; add it or remove the column")
            if row_id in seen:
                raise ValueError(
                    f"expected an id of its own, found {row_id!r}, as in {seen[row_id]}; change one of them"
                )
            pair = {
                "id": row_id,
                "text": text.strip(),
                "glosses": glosses,
                "gloss_types": _types(cells.get("gloss_types"), glosses, types),
                "source": str(cells.get("source") or path.name),
            }
            for field, cell in pair.items():
                if not is_text("".join(cell)):
                    raise ValueError(f"expected text in {field}, found half a character; correct it")
            seen[row_id] = place
            return pair

        return self.checked(path, rows, check)


def _object(row: Any) -> dict[Any, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {row!r:.60}; correct it")
    return row


def _types(cell: Any, glosses: list[str], lexicon: Mapping[str, str]) -> list[str]:
    """The types that a row gives itself, else those of the lexicon, else of the notation."""
    if not cell:
        return [lexicon.get(placeholder_of(gloss)) or type_of_notation(gloss) for gloss in glosses]
    names = split_glosses(cell) if isinstance(cell, str) else cell
    if not isinstance(names, list) or len(names) != len(glosses):
        raise ValueError(f"expected a type for each of {len(glosses)} glosses, found {cell!r:.60}; correct it")
    return [parse_type(name) for name in names]
