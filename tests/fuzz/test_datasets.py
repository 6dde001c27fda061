"""Loading scripts on user tables, intact and damaged: rows as written, or an error that names the file."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from kgloss_hf.dataset_scripts.gksl.gksl import FILES, GLOSSES, TEXT, Gksl
from kgloss_hf.dataset_scripts.mcksg.mcksg import TYPE_NAMES, Mcksg, parse_type

from kgloss_hf.data.arguments import ReadingArguments
from kgloss_hf.data.corpora import CORPORA, PARAPHRASED, CorpusFolder
from kgloss_hf.data.lines import is_text
from kgloss_hf.data.pairs import Row, pairs_of
from kgloss_hf.data.rows import Table
from kgloss_hf.data.shards import COLUMNS, read_shard
from kgloss_hf.runtime.normalization import normalize_line

from .strategies import CELL, GLOSS, HALVES, damaged, json_text, json_values, share
from .test_tables import QUICK, WRITERS, as_csv, as_json_lines, as_parquet, as_tsv

READING = ReadingArguments()


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "data").mkdir()
    return folder / "data"


def built(builder: type[Any], name: str, data: Path, cache: Path, **options: Any) -> Any:
    return builder(config_name=name, data_dir=str(data), cache_dir=str(cache), **options)


def rows_of(builder: Any) -> list[dict[str, Any]]:
    """Return the rows of a builder after checking that `load_dataset` could write them with its features."""
    rows = [
        row for split in builder._split_generators(None) for _, row in builder._generate_examples(**split.gen_kwargs)
    ]
    encoded = [builder.info.features.encode_example(row) for row in rows]
    pa.Table.from_pylist(encoded, schema=builder.info.features.arrow_schema)
    return rows


def outcome(call: Callable[[], Any], data: Path) -> Any:
    """Return the result of a call, or None if it raises a ValueError that names a file."""
    try:
        return call()
    except ValueError as error:
        assert str(data) in str(error)
        assert len(str(error)) < 3000
        return None


ROW = st.fixed_dictionaries(
    {
        "text": st.one_of(CELL, json_values(), HALVES),
        "glosses": st.one_of(st.lists(GLOSS, max_size=3), st.lists(json_values(), max_size=2), CELL, json_values()),
    },
    optional={
        "id": st.one_of(st.integers(0, 3), CELL, json_values()),
        "유형": st.one_of(st.lists(st.sampled_from(list(TYPE_NAMES)), max_size=3), json_values(), CELL),
        "source": st.one_of(CELL, json_values()),
        "영상": json_values(),
    },
)
LEXICON = st.fixed_dictionaries(
    {},
    optional={
        "gloss": st.one_of(GLOSS, json_values()),
        "type": st.one_of(st.sampled_from(list(TYPE_NAMES)), json_values()),
    },
)


@share(0.05)
@given(st.lists(ROW, min_size=1, max_size=4), st.none() | st.lists(LEXICON | json_values(), min_size=1, max_size=3))
def test_mcksg_takes_rows_of_any_json_or_names_the_bad_one(
    folder: Path, rows: list[Any], lexicon: list[Any] | None
) -> None:
    data = emptied(folder)
    (data / "pairs.jsonl").write_bytes(as_json_lines(rows))
    if lexicon is not None:
        (data / "lexicon.jsonl").write_bytes(as_json_lines(lexicon))
    whole = outcome(lambda: rows_of(built(Mcksg, "full", data, folder, split_by="none")), data)
    some = outcome(lambda: rows_of(built(Mcksg, "full", data, folder, split_by="none", on_bad_rows="skip")), data)
    if whole is not None:
        assert len(whole) == len(rows)
        assert some == whole
    if some is not None:
        assert len(some) <= len(rows)
        for row in some:
            assert row["text"].strip()
            assert row["glosses"]
            assert len(row["gloss_types"]) == len(row["glosses"])


@share(0.05)
@given(
    QUICK,
    st.lists(st.tuples(CELL.filter(str.strip), st.lists(GLOSS, min_size=1, max_size=3)), min_size=1, max_size=4),
)
def test_mcksg_reads_what_was_written(folder: Path, suffix: str, pairs: list[tuple[str, list[str]]]) -> None:
    data = emptied(folder)
    rows = [{"문장": text, "글로스": " ".join(glosses)} for text, glosses in pairs]
    (data / f"pairs{suffix}").write_bytes(WRITERS[suffix](rows))
    rows = rows_of(built(Mcksg, "full", data, folder, split_by="none"))
    assert [(row["text"], row["glosses"]) for row in rows] == [(text.strip(), glosses) for text, glosses in pairs]


TABLE = st.lists(
    st.fixed_dictionaries({"text": CELL, "glosses": st.lists(GLOSS, max_size=3).map(" ".join), "type": CELL}),
    min_size=1,
    max_size=4,
)


@share(0.05)
@given(
    st.sampled_from(((as_csv, ".csv"), (as_tsv, ".tsv"), (as_json_lines, ".json"), (as_parquet, ".parquet"))).flatmap(
        lambda form: st.tuples(damaged(TABLE.map(form[0])), st.just(form[1]))
    ),
    st.sampled_from(("utf-8", "cp949", "utf-16")),
    st.sampled_from(("raise", "skip")),
)
def test_mcksg_names_a_damaged_file(folder: Path, file: tuple[bytes, str], encoding: str, bad: str) -> None:
    data = emptied(folder)
    (data / f"pairs{file[1]}").write_bytes(file[0])
    outcome(
        lambda: rows_of(built(Mcksg, "full", data, folder, split_by="none", encoding=encoding, on_bad_rows=bad)), data
    )


def row_glosses(row: Row) -> tuple[str, ...]:
    return row.pair.glosses


@share(1.5)
@given(st.one_of(json_values(), CELL, st.lists(GLOSS), json_text()))
def test_cells_are_parsed_or_refused(cell: Any) -> None:
    try:
        [glosses] = pairs_of(Table("a.jsonl", None, [(1, {"text": "집", "glosses": cell})], READING), row_glosses)
    except ValueError as error:
        assert "a.jsonl" in str(error)
    else:
        assert glosses
        assert all(gloss == gloss.strip() != "" for gloss in glosses)
    try:
        assert parse_type(cell) in TYPE_NAMES.values()
    except ValueError:
        assert not isinstance(cell, str) or cell not in TYPE_NAMES


def as_gksl(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([(FILES["original"].source, GLOSSES, TEXT), *rows])
    return text.getvalue().encode()


GKSL_ROWS = st.lists(
    st.tuples(CELL, st.lists(GLOSS.map(lambda gloss: gloss.replace(" ", "")), max_size=3).map(" ".join), CELL),
    max_size=4,
)


@share(0.05)
@given(GKSL_ROWS, st.none() | damaged(GKSL_ROWS.map(as_gksl)), st.sampled_from(("raise", "skip")))
def test_gksl_reads_what_was_written_or_names_the_file(
    folder: Path, rows: list[tuple[str, str, str]], broken: bytes | None, bad: str
) -> None:
    data = emptied(folder)
    (data / FILES["original"].name).write_bytes(as_gksl(rows) if broken is None else broken)
    loaded = outcome(lambda: rows_of(built(Gksl, "original", data, folder, split_by="none", on_bad_rows=bad)), data)
    good = [(source, glosses.split(), text) for source, glosses, text in rows if glosses and normalize_line(text)]
    if broken is None and (bad == "skip" or len(good) == len(rows)) and rows:
        assert [(row["source"], row["glosses"], row["text"]) for row in loaded] == good
    elif broken is None:
        assert loaded is None


def rows_in(tables: Iterable[pa.Table]) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for table in tables:
        table.validate(full=True)
        rows += table.to_pylist()
    return rows


SHARD_ROW = st.fixed_dictionaries(dict.fromkeys(COLUMNS, CELL))
ANY_ROW = st.one_of(SHARD_ROW, SHARD_ROW, st.fixed_dictionaries(dict.fromkeys(COLUMNS, json_values())), json_values())
BAD = st.sampled_from(("raise", "skip"))
ROWS, GOOD_ROWS = (st.lists(kind, min_size=1, max_size=4) for kind in (ANY_ROW, SHARD_ROW))


@share(0.15)
@given(
    ROWS,
    st.one_of(
        st.none(),
        json_text().map(lambda line: ("jsonl", line.encode(errors="replace") + b"\n")),
        damaged(GOOD_ROWS.map(as_json_lines)).map(lambda content: ("jsonl", content)),
        damaged(GOOD_ROWS.map(as_parquet)).map(lambda content: ("parquet", content)),
    ),
    BAD,
)
def test_shards(folder: Path, rows: list[Any], hostile: tuple[str, bytes] | None, bad: str) -> None:
    data = emptied(folder)
    (data / "shards").mkdir()
    (data / "shards" / "0.jsonl").write_bytes(as_json_lines(rows))
    if hostile is not None:
        (data / "shards" / f"1.{hostile[0]}").write_bytes(hostile[1])
    opened = CorpusFolder(str(data), on_bad_rows=bad)
    read = outcome(lambda: rows_in(chain(*(read_shard(path, bad) for path in opened.find_shards(None)))), data)
    good = [row for row in rows if isinstance(row, dict) and all(is_good(row.get(column)) for column in COLUMNS)]
    if read is not None:
        expected = [{column: row[column] for column in COLUMNS} for row in good]
        assert read[: len(good)] == expected if hostile else read == expected
    else:
        assert hostile is not None or len(good) < len(rows)


def is_good(cell: Any) -> bool:
    return isinstance(cell, str) and bool(cell.strip()) and is_text(cell)


@st.composite
def corpus_files(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """Draw a file of a corpus with the right header and any cells, intact or damaged."""
    name = draw(st.sampled_from(sorted(CORPORA)))
    file, layout = draw(st.sampled_from(list(CORPORA[name].files.items())))
    columns = layout.columns if layout else ("index", "word", "tag")
    labels = st.sampled_from(("0", "1", "entailment", "neutral", "4.5", "NS", "5", "nan", ""))
    lines = draw(st.lists(st.lists(CELL | labels, min_size=len(columns), max_size=len(columns)), max_size=12))
    if layout and layout.header:
        lines = [list(columns), *lines]
    content = "".join("\t".join(cells).replace("\n", "") + "\n" for cells in lines).encode()
    return name, file, draw(st.just(content) | damaged(st.just(content)))


@share(0.06)
@given(corpus_files(), st.sampled_from(("utf-8", "cp949")), BAD)
def test_corpora(folder: Path, corpus: tuple[str, str, bytes], encoding: str, bad: str) -> None:
    name, file, content = corpus
    path = emptied(folder) / CORPORA[name].clone / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    opened = CorpusFolder(str(folder / "data"), [name], encoding=encoding, on_bad_rows=bad)
    sentences = outcome(lambda: [text for text, _ in opened.read_sentences()], folder / "data")
    if sentences is not None:
        assert len(set(sentences)) == len(sentences)
        assert all(sentence == " ".join(sentence.split()) != "" for sentence in sentences)
    if name in PARAPHRASED:
        pairs = outcome(lambda: rows_in(opened.read_paraphrases(name)), folder / "data")
        assert pairs is None or {pair[side] for pair in pairs for side in ("source", "target")} <= set(sentences)
