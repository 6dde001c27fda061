"""Loading script of `mcksg`: Korean museum commentary and Korean Sign Language (KSL) glosses.

The configuration `sample` is the demonstration sample next to this file; `full` reads a user's own copy of a corpus.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import datasets

from kgloss_hf.data.arguments import ReadingArguments, changed_options, reading_of
from kgloss_hf.data.builders import LazyRows, PairBuilder, PairConfig, numbers_of_parts, split_pairs_by
from kgloss_hf.data.checks import inside
from kgloss_hf.data.columns import COLUMNS, find_columns
from kgloss_hf.data.lines import is_text
from kgloss_hf.data.pairs import Row, pairs_of
from kgloss_hf.data.rows import Table, corpus_table
from kgloss_hf.data.sample import warn_of_sample
from kgloss_hf.data.sign_corpora import is_corpus
from kgloss_hf.data.splitting import ROW_FRACTIONS, keys_of_pair
from kgloss_hf.data.tables import TABLE_SUFFIXES, is_table, read_rows, table_suffix
from kgloss_hf.runtime.glosses import GLOSS_TYPES, UNKNOWN_TYPE, placeholder_of, type_of_notation
from kgloss_hf.runtime.normalization import normalize, normalize_line

logger = logging.getLogger(__name__)

LEXICON_COLUMNS = {
    "gloss": ("gloss", "glosses", "글로스", "수어", "표제어", "수지"),
    "type": COLUMNS["gloss_types"],
}
"""Names of the columns of a lexicon."""

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
"""Names of types in a lexicon or a type column; case and white space are ignored."""

ANNOTATIONS = {
    "starts": datasets.Sequence(datasets.Value("float64")),
    "ends": datasets.Sequence(datasets.Value("float64")),
    "hands": datasets.Sequence(datasets.Value("string")),
    "senses": datasets.Sequence(datasets.Value("string")),
    "spans": datasets.Sequence(datasets.Sequence(datasets.Value("int32"))),
    # not a list of structures, which the two generations of datasets store differently
    "non_manual": {
        "signal": datasets.Sequence(datasets.Value("string")),
        "start": datasets.Sequence(datasets.Value("float64")),
        "end": datasets.Sequence(datasets.Value("float64")),
    },
    "signer": datasets.Value("string"),
    "category": datasets.Value("string"),
}
"""Additional features of the rows of a sign corpus (`kgloss_hf.data.sign_corpora.read_corpus`)."""

_LAYOUT = (
    "MCKSG was never published: ask the authors of Dang et al., 'Korean Text to Gloss: Self-Supervised Learning "
    "approach'. Then put it into a folder as a table with a column text and a column glosses "
    f"({', '.join(TABLE_SUFFIXES)}), with lexicon.csv (columns gloss and type) next to it if there is one, and pass "
    "the folder: load_dataset('mcksg', 'full', data_dir='FOLDER')."
)


@dataclass
class McksgConfig(ReadingArguments, PairConfig):
    """Options of `mcksg`: those of `PairConfig`, those for reading a user's own copy, and its lexicon.

    Args:
        lexicon: Name of the lexicon in `data_dir` (default: `lexicon` with the suffix of a table, if that file exists).

    Examples:
        >>> McksgConfig("full", encoding="cp949", gloss_separator="|").on_bad_rows
        'raise'
    """

    lexicon: str | None = None

    def files(self, folder: Path) -> list[Path]:
        """List the files in `data_dir` that rows may come from: its tables, or all files of a sign corpus."""
        if folder.is_dir() and is_corpus(folder):
            return [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return super().files(folder)


def _find_files(data_dir: str | None, lexicon: str | None) -> tuple[list[Path], Path | None]:
    """Return the tables of pairs in a folder, sorted by name, and its lexicon."""
    if not data_dir:
        raise ValueError(f"mcksg/full: expected data_dir, a folder with a copy of the corpus, found none. {_LAYOUT}")
    folder = Path(data_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder with a copy of the corpus, found none. {_LAYOUT}")
    # An open spreadsheet has a lock file whose name begins with ~$.
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "~$"))]
    tables = [path for path in files if is_table(path.name)]
    named = [folder / lexicon] if lexicon is not None else []
    lexicons = named or [path for path in tables if _stem(path) == "lexicon"]
    holds_corpus = is_corpus(folder)
    pairs = [] if holds_corpus else [path for path in tables if _stem(path) != "lexicon" and path not in lexicons]
    for path in (*lexicons, *pairs):
        if not inside(folder, path).is_file() or not is_table(path.name):
            raise FileNotFoundError(f"{path}: expected a {', '.join(TABLE_SUFFIXES)} file, found none")
    if not pairs and not holds_corpus:
        raise FileNotFoundError(f"{folder}: expected a {', '.join(TABLE_SUFFIXES)} file, found none. {_LAYOUT}")
    for files in (lexicons, pairs):
        stems = Counter(map(_stem, files))
        if doubled := [path.name for path in files if stems[_stem(path)] > 1]:
            raise ValueError(
                f"{folder}: found {' and '.join(doubled)}, which may be the same table; keep one or rename it"
            )
    return pairs, lexicons[0] if lexicons else None


def _stem(path: Path) -> str:
    return path.name.casefold().removesuffix(table_suffix(path.name))


def parse_type(name: Any) -> str:
    """Return the type that a name in a lexicon or a type column stands for.

    Args:
        name: Key of `TYPE_NAMES`, in any case and with any white space.

    Raises:
        ValueError: The name is unknown.

    Examples:
        >>> parse_type("Sign_word"), parse_type("비수지 신호")
        ('sign_word', 'non_manual')
    """
    gloss_type = TYPE_NAMES.get("".join(normalize(name).casefold().split())) if isinstance(name, str) else None
    if gloss_type is None:
        raise ValueError(f"expected a type ({', '.join(TYPE_NAMES)}), found {name!r:.60}; correct it")
    return gloss_type


class Mcksg(PairBuilder):
    """Builder of `sample` (default; 357 rows) and `full`, which is the default if `data_dir` is given.

    Features of a row: `id`, `text` (a Korean sentence), `glosses` (strings, one per sign), `gloss_types` (a
    ClassLabel for each gloss) and `source`. The type of a gloss comes from the table's type column, else from the
    lexicon, else from its notation (`kgloss_hf.runtime.glosses.type_of_notation`). Rows are split 70:30 into `train`
    and `test`; see `PairConfig`.

    Args:
        args: As for `datasets.DatasetBuilder`.
        config_name: `sample` or `full`.
        data_dir: Folder with the user's copy, for `full`. All tables in it are read, sorted by name, except those in
            subfolders. Two tables that differ only in their suffix are refused, since they may be the same table.
        kwargs: As for `datasets.DatasetBuilder`, and the options in `McksgConfig`.

    Raises:
        ValueError: `full` has no folder, data_files are given, an option is unknown, or a file is outside the folder or
            invalid.
        NotADirectoryError: data_dir is a file.
        FileNotFoundError: The folder does not exist, or lacks the lexicon or any table.
        ImportError: openpyxl, which reads XLSX, is not installed.

    Examples:
        >>> from datasets import load_dataset
        >>> load_dataset("mcksg", split="train", split_by="none")[0]["glosses"]  # doctest: +SKIP
        ['우리', '박물관', '여러분', '오다', '환영']
        >>> load_dataset("mcksg", data_dir="FOLDER", encoding="cp949")  # doctest: +SKIP
    """

    # Part of the cache path: raise it with every change in the data files or in how rows are made from them, which the
    # hash of the script does not cover.
    VERSION = datasets.Version("2.2.0")
    BUILDER_CONFIG_CLASS = McksgConfig
    BUILDER_CONFIGS = [
        McksgConfig("sample", version=VERSION, description="Demonstration sample, written by the project."),
        McksgConfig("full", version=VERSION, description="A user's own copy of a corpus."),
    ]
    DEFAULT_CONFIG_NAME = "sample"

    def __init__(self, *args: Any, config_name: str | None = None, data_dir: str | None = None, **kwargs: Any) -> None:
        if config_name is None and data_dir is not None:
            config_name = "full"
        super().__init__(*args, config_name=config_name, data_dir=data_dir, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        sample = self.config.name == "sample"
        if sample:
            # Every load calls this, even if the data are cached.
            warn_of_sample()
        features = {
            "id": datasets.Value("string"),
            "text": datasets.Value("string"),
            "glosses": datasets.Sequence(datasets.Value("string")),
            "gloss_types": datasets.Sequence(datasets.ClassLabel(names=[*GLOSS_TYPES, UNKNOWN_TYPE])),
            "source": datasets.Value("string"),
        }
        folder = self.config.data_dir
        if not sample and folder and Path(folder).is_dir() and is_corpus(Path(folder)):
            features |= ANNOTATIONS
        return datasets.DatasetInfo(
            description="Korean sentences in the style of museum commentary, and KSL glosses.",
            features=datasets.Features(features),
            license="apache-2.0" if sample else "",
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        config = self.config
        changed = changed_options(config)
        if config.name == "full":
            files, lexicon = _find_files(config.data_dir, config.lexicon)
        elif (config.data_dir, config.lexicon) == (None, None) and set(changed) <= {"on_bad_rows"}:
            # `datasets` copies a script that it loads away from its data; base_path is then the data's folder.
            folder = "" if self.base_path else os.path.dirname(os.path.abspath(__file__))
            names = [os.path.join(folder, name) for name in ("sample.jsonl", "lexicon.csv")]
            *files, lexicon = map(Path, self.local(dl_manager, names))
        else:
            refused = [name for name in ("data_dir", "lexicon") if getattr(config, name) is not None] + changed
            raise ValueError(
                f"mcksg/sample is bundled and takes no data_dir, lexicon or other option, found {', '.join(refused)}; "
                "load 'full' instead"
            )
        types = self._read_lexicon(lexicon) if lexicon else {}
        reading = ReadingArguments(**reading_of(config))
        by, seed = config.split_by, config.split_seed
        if not files:
            read = partial(_corpus_rows, Path(config.data_dir), reading, types)
            keys, parts, unknown, total = [], [], 0, 0
            for row in read():
                keys.append(tuple(map(hash, keys_of_pair(row["text"], row["glosses"]))))
                parts.append(row["split"])
                unknown, total = unknown + row["gloss_types"].count(UNKNOWN_TYPE), total + len(row["glosses"])
            numbers = numbers_of_parts(keys, parts, ROW_FRACTIONS, by=by, seed=seed)
            splits: Any = {name: LazyRows(partial(read, again=True), part) for name, part in numbers.items()}
        else:
            seen: dict[str, str] = {}
            parted = [row for file in files for row in _table_rows(file, reading, types, seen)]
            kinds = [kind for _, row in parted for kind in row["gloss_types"]]
            unknown, total = kinds.count(UNKNOWN_TYPE), len(kinds)
            rows, parts = [row for _, row in parted], [part for part, _ in parted]
            splits = split_pairs_by(rows, ROW_FRACTIONS, by=by, seed=seed, parts=parts)
        if unknown:
            logger.warning(
                "mcksg/%s: %d of %d gloss types are unknown; a lexicon next to the table tells more than the notation",
                config.name,
                unknown,
                total,
            )
        return self.generators(splits)

    def _read_lexicon(self, path: Path) -> dict[str, str]:
        rows = list(_told(read_rows(path, encoding=self.config.encoding)))
        if not rows:
            raise ValueError(f"{path}: expected rows with gloss and type, found none; add some")
        if not isinstance(rows[0][1], dict):
            raise ValueError(f"{path}: expected rows that are JSON objects, found {rows[0][1]!r:.60}; correct it")
        columns = find_columns(rows[0][1], str(path), wanted=LEXICON_COLUMNS, needed=("gloss", "type"))
        types: dict[str, str] = {}

        def check(number: int, row: Any) -> dict[str, Any]:
            cells = _object(row)
            gloss = cells.get(columns["gloss"])
            if not isinstance(gloss, str) or not (gloss := normalize_line(gloss)):
                raise ValueError(f"expected a gloss, found {gloss!r:.60}; add it or remove the row")
            gloss_type = parse_type(cells.get(columns["type"]))
            if types.setdefault(gloss, gloss_type) != gloss_type:
                raise ValueError(f"expected one type of {gloss!r}, found {types[gloss]} and {gloss_type}; remove one")
            return {}

        self.checked(path, rows, check)
        return types


def _told(rows: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from rows
    except UnicodeError as error:
        raise ValueError(f"{error}, or load all files with their own encoding: encoding='cp949'") from error


def _table_rows(
    path: Path, reading: ReadingArguments, types: Mapping[str, str], seen: dict[str, str]
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield the set and the row of each pair of a table; `seen` maps ids to their places."""

    def check(row: Row) -> tuple[str | None, dict[str, Any]]:
        place = f"{path.name}:{row.number}"
        if not (row_id := str(row.cells.get("id", place) or "").strip()):
            raise ValueError("expected an id, found none; add it or remove the column")
        if row_id in seen:
            raise ValueError(f"expected a unique id, found {row_id!r}, as in {seen[row_id]}; change one of them")
        pair = _pair(row, types, row_id, str(row.cells.get("source") or path.name))
        seen[row_id] = place
        return row.part, pair

    rows = _told(read_rows(path, encoding=reading.encoding))
    if (first := next(rows, None)) and isinstance(first[1], dict):
        columns = find_columns(
            first[1], str(path), given={"text": reading.text_column, "glosses": reading.gloss_column}
        )
        if unused := [name for name in first[1] if name and name not in columns.values()]:
            logger.warning("%s: columns not used: %s", path, ", ".join(map(repr, unused)))
    yield from pairs_of(Table(str(path), None, chain([first] if first else [], rows), reading), check)


def _corpus_rows(
    folder: Path, reading: ReadingArguments, types: Mapping[str, str], again: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a sign corpus; in the first pass, `split` holds the set that each row came with."""

    def check(row: Row) -> dict[str, Any]:
        pair = _pair(row, types, str(row.cells["id"]), str(row.cells["source"]))
        annotations = {name: row.cells[name] for name in ANNOTATIONS}
        signals = annotations["non_manual"]
        annotations["non_manual"] = {key: [signal[key] for signal in signals] for key in ("signal", "start", "end")}
        return pair | annotations | ({} if again else {"split": row.part})

    yield from pairs_of(corpus_table(folder, reading, again=again), check)


def _pair(row: Row, types: Mapping[str, str], row_id: str, source: str) -> dict[str, Any]:
    """Return the features of a row; types come from the row, else from the lexicon, else from the notation."""
    glosses = list(row.pair.glosses)
    kinds = [parse_type(name) for name in row.types or ()]
    pair = {
        "id": row_id,
        "text": row.cells["text"].strip(),
        "glosses": glosses,
        "gloss_types": kinds or [types.get(placeholder_of(gloss)) or type_of_notation(gloss) for gloss in glosses],
        "source": source,
    }
    for field in ("id", "source"):
        if not is_text(pair[field]):
            raise ValueError(f"expected text in {field}, found half a character; correct it")
    return pair


def _object(row: Any) -> dict[Any, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {row!r:.60}; correct it")
    return row
