"""Loading script of the pretext corpus: shards, human paraphrases and plain sentences."""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import get_dataset_config_names, get_dataset_default_config_name, load_dataset

from kgloss_hf.data.corpora import CORPORA, CorpusFolder
from kgloss_hf.data.shards import COLUMNS
from kgloss_hf.plugin import artefact

FOLDER = artefact("dataset_scripts/ko_backtranslation")
NAME = "ko_backtranslation"

Write = Callable[..., str]

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file into data_dir and returns data_dir."""

    def write(name: str, content: str | bytes, encoding: str = "utf-8") -> str:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(tmp_path / "data")

    return write


def load(data_dir: str | None, name: str | None = None, **options: Any) -> Any:
    return load_dataset(NAME, name, data_dir=data_dir, split="train", **options)


def paraphrases(data_dir: str, name: str | None = None, **options: Any) -> list[tuple[str, str]]:
    rows = load(data_dir, name, pairs="paraphrase", **options)
    return [(row["source"], row["target"]) for row in rows]


def sentences(data_dir: str, name: str, **options: Any) -> list[str]:
    return [text for text, _ in CorpusFolder(data_dir, [name], **options).read_sentences()]


def row(number: int, origin: str = "kornli", engine: str = "marian") -> dict[str, str]:
    return {"source": f"문장 {number}", "target": f"글 {number}", "origin": origin, "engine": engine}


def parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, **options)
    return sink.getvalue().to_pybytes()


def jsonl(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


NLI = "sentence1\tsentence2\tgold_label\n"
STS = "genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\n"
QUESTIONS = "question1\tquestion2\tis_duplicate\n"
PAWSX = "id\tsentence1\tsentence2\tlabel\n"


def sentence_set(start: int = 0) -> list[str]:
    return [f"같은 말 {number}" for number in range(start, start + 10)]


def parakqc(sentences: list[str]) -> str:
    return "\r\n".join(f"0\t1\t{sentence}" for sentence in sentences)


# shards


def test_configurations() -> None:
    names = ["kornli", "korsts", "naver_ner", "question_pair", "mcksg", "parakqc", "stylekqc", "pawsx", "all"]
    assert get_dataset_config_names(NAME) == names
    assert get_dataset_default_config_name(NAME) == "all"


def test_shards_of_both_kinds_in_the_order_of_their_names(write: Write) -> None:
    write("shards/b.parquet", parquet([row(3, "korsts"), row(4)]))
    write("shards/.c.parquet", b"hidden")
    write("shards/d.parquet.part", b"being written")
    # The selection of pairs is not repeated.
    same, repeated = {**row(0), "target": row(0)["source"]}, row(2, "mcksg", "papago")
    folder = write("shards/a.jsonl", jsonl([{**row(1), "score": 0.5}, same, repeated, repeated]))
    data = load(folder)
    assert data.column_names == ["source", "target", "origin", "engine"]
    assert all(data.features[column] == datasets.Value("string") for column in COLUMNS)
    assert list(data) == [row(1), same, repeated, repeated, row(3, "korsts"), row(4)]
    assert list(load(folder, streaming=True)) == list(data)
    assert list(load(folder, num_proc=2)) == list(data)


def test_a_configuration_takes_the_rows_of_its_origin(write: Write) -> None:
    write("shards/a.parquet", parquet([row(1), row(2, "korsts"), row(3)]))
    folder = write("shards/b.jsonl", jsonl([row(4, "korsts"), row(5)]))
    assert list(load(folder, "kornli")) == [row(1), row(3), row(5)]
    assert list(load(folder, "korsts", streaming=True)) == [row(2, "korsts"), row(4, "korsts")]
    with pytest.raises(ValueError, match=r"shards: expected rows with the origin mcksg, found none; build"):
        load(folder, "mcksg")


def test_shards_longer_than_a_batch_keep_every_row(write: Write) -> None:
    rows = [row(number, "korsts" if number % 3 else "kornli") for number in range(20_001)]
    write("shards/a.parquet", parquet(rows, row_group_size=7_000))
    folder = write("shards/b.jsonl", jsonl(rows))
    assert list(load(folder)) == rows * 2
    assert load(folder, "kornli").num_rows == 2 * 6_667


def test_other_string_types_are_read(write: Write) -> None:
    columns = {column: pa.array([row(1)[column]], pa.large_string()) for column in ("source", "target")}
    columns |= {column: pa.array([row(1)[column]]).dictionary_encode() for column in ("origin", "engine")}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    assert list(load(write("shards/a.parquet", sink.getvalue().to_pybytes()))) == [row(1)]


def test_changed_files_are_read_again(write: Write) -> None:
    assert load(write("shards/a.jsonl", jsonl([row(1)]))).num_rows == 1
    assert load(write("shards/a.jsonl", jsonl([row(1), row(2)]))).num_rows == 2
    assert load(write("shards/b.parquet", parquet([row(3)]))).num_rows == 3
    assert len(paraphrases(write("question_pair/train.txt", QUESTIONS + "가\t나\t0\n"))) == 1
    assert len(paraphrases(write("question_pair/train.txt", QUESTIONS + "가\t나\t0\n다\t라\t0\n"))) == 2


BLANK = {**row(2), "target": " \u3000"}
NULL = {**row(2), "source": None}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([row(1), BLANK], r"row 2: expected text in target, found ' \\u3000'; correct the row, or delete the shard"),
        ([NULL, row(1)], "row 1: expected text in source, found None"),
    ],
    ids=["empty sentence", "null"],
)
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_bad_row_of_a_shard(
    kind: str, bad: list[Any], message: str, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(f"shards/a.{kind}", parquet(bad) if kind == "parquet" else jsonl(bad))
    for streaming in (False, True):
        with pytest.raises(ValueError, match=f"shards.a.{kind}, {message}.*on_bad_rows='skip'"):
            list(load(folder, streaming=streaming))
    with caplog.at_level(logging.WARNING):
        assert list(load(folder, on_bad_rows="skip")) == [row(1)]
    assert "1 bad row skipped; the first: " in caplog.text


def test_row_numbers_of_parquet_count_across_batches(write: Write) -> None:
    rows = [row(number) for number in range(10_000)]
    with pytest.raises(ValueError, match=r"a\.parquet, row 10002: "):
        load(write("shards/a.parquet", parquet([*rows, row(1), BLANK])))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"source": "말", "tar\n', 'a JSON object, found \'{"source": "말",'),
        ("\n", "a JSON object, found"),
        ("[" * 99_999 + "\n", r"a JSON object, found '\[{59};"),
        ("9" * 2_000 + "\n", "a JSON object, found 9{60};"),
        ("[1]\n", r"a JSON object, found \[1\]"),
        ('{"source": "말"}\n', "text in target, found None"),
        (json.dumps({**row(1), "engine": "\ud800"}) + "\n", r"text in engine, found '.ud800'"),
    ],
    ids=["cut off", "blank line", "nested too deeply", "long number", "no object", "no key", "half a character"],
)
def test_bad_line_of_json_lines(line: str, message: str, write: Write) -> None:
    folder = write("shards/a.jsonl", jsonl([row(1)]) + line)
    with pytest.raises(ValueError, match=f"a.jsonl, row 2: expected {message}"):
        load(folder)
    assert list(load(folder, on_bad_rows="skip")) == [row(1)]


TEXT_THAT_IS_NONE = parquet([row(1)], compression="none", use_dictionary=False).replace(b"kornli", b"\xff" * 6)


@pytest.mark.parametrize("name", [None, "kornli"])
@pytest.mark.parametrize("content", [parquet([row(1)])[:-20], TEXT_THAT_IS_NONE], ids=["cut off", "text that is none"])
def test_damaged_parquet(content: bytes, name: str | None, write: Write) -> None:
    with pytest.raises(ValueError, match=r"a.parquet: damaged or not a Parquet file.*builder write it again"):
        load(write("shards/a.parquet", content), name)


def test_parquet_damaged_inside_says_after_which_row(write: Write) -> None:
    rows = [row(number) for number in range(30_000)]
    content = bytearray(parquet(rows, row_group_size=10_000, compression="snappy", use_dictionary=False))
    start = pq.ParquetFile(pa.BufferReader(bytes(content))).metadata.row_group(2).column(0).data_page_offset
    content[start : start + 200] = b"\xff" * 200
    with pytest.raises(ValueError, match=r"a.parquet, after row 20000: damaged or not a Parquet file"):
        load(write("shards/a.parquet", bytes(content)))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.parquet", parquet([{"source": "말"}]), r"expected the columns .*, found \['source'\]"),
        ("a.parquet", parquet([{**row(1), "origin": 1}]), "expected text in origin, found the type int64"),
        ("a.jsonl", '{"text": "말"}\n', r"expected the keys source, target, origin, engine, found \['text'\]"),
        ("a.jsonl", "", r"expected the keys source, target, origin, engine, found \[\]"),
        ("a.jsonl", jsonl([row(1)]).encode("cp949"), "line 1: expected UTF-8, found b'.xb9"),
    ],
    ids=["columns", "type", "keys", "empty", "encoding"],
)
def test_wrong_shard_is_refused_before_any_is_read(file: str, content: str | bytes, message: str, write: Write) -> None:
    write(f"shards/{file}", content)
    folder = write("shards/0.jsonl", jsonl([BLANK]))
    with pytest.raises(ValueError, match=rf"{file}.*{message}.*delete the shard and let the builder write it again"):
        load(folder, streaming=True)


def test_errors_of_worker_processes_are_seen(write: Write) -> None:
    write("shards/a.jsonl", jsonl([row(1)]))
    with pytest.raises(ValueError, match=r"b.jsonl, row 1: expected text in"):
        load(write("shards/b.jsonl", jsonl([BLANK])), num_proc=2)


# human paraphrases


ENTAILED = (
    "가  나\t다\tentailment\n가\t나\tneutral\n가\t나\tcontradiction\n라\t 라 \tentailment\n다\t가 나\tentailment\n"
)
SCORED = "".join(f'a\tb\tc\td\t{score}\t"가{score}\t나{score}\n' for score in ("5.000", "4.0", "3.999", "0"))
ASKED = "가\t나\t0\n다\t라\t1\n"
WITH_NS = "1\t가\t나\t1\n2\t다\tNS\t1\n3\t라\t마\t0\n4\tNS사\t아\t1\n"


@pytest.mark.parametrize(
    ("name", "file", "content", "pairs"),
    [
        ("kornli", "kor-nlu-datasets/KorNLI/xnli.dev.ko.tsv", NLI + ENTAILED, [("가 나", "다")]),
        ("korsts", "kornlu/sts-test.tsv", STS + SCORED, [('"가5.000', "나5.000"), ('"가4.0', "나4.0")]),
        ("question_pair", "Question_pair/train.txt", QUESTIONS + ASKED, [("가", "나"), ("마", "바")]),
        ("pawsx", "KoELECTRA/finetune/data/paws/dev_2k.tsv", PAWSX + WITH_NS, [("가", "나"), ("NS사", "아")]),
    ],
)
def test_labelled_pairs(name: str, file: str, content: str, pairs: list[tuple[str, str]], write: Write) -> None:
    write("question_pair/train.txt", "the clone comes before the other folder")
    write("Question_pair/test.txt", QUESTIONS + "마\t바\t0\n")
    assert paraphrases(write(file, content), name) == pairs


def test_rows_that_hold_ns_are_counted(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    assert sentences(write("pawsx_ko/dev_2k.tsv", PAWSX + WITH_NS), "pawsx") == ["가", "나", "라", "마", "NS사", "아"]
    assert "pawsx: left out: rows without a sentence (NS) (1)" in caplog.text


def test_parakqc_has_every_two_of_a_set_once(write: Write) -> None:
    sets = sentence_set(), sentence_set(10)
    folder = write("paraKQC/data/paraKQC_v1.txt", parakqc([*sets[0], *sets[1]]))
    pairs = paraphrases(folder, "parakqc")
    assert len(pairs) == 90
    assert pairs[0] == ("같은 말 0", "같은 말 1")
    assert pairs == [pair for sentences in sets for pair in combinations(sentences, 2)]


@pytest.mark.parametrize("places", [("act/dev.tsv", "sts/dev.tsv"), ("act__dev.tsv", "sts__dev.tsv")])
def test_stylekqc_sets_and_labelled_pairs(places: tuple[str, str], write: Write) -> None:
    write(f"stylekqc/{places[0]}", "act\tsentence\n" + "".join(f"0\t{sentence}\n" for sentence in sentence_set()))
    labelled = "similarity\tsentence1\tsentence2\n1\t같은 말 3\t같은 말 1\n1\t가\t나\n0\t다\t라\n"
    folder = write(f"stylekqc/{places[1]}", labelled)
    # The first labelled pair is in the set in the other order.
    assert paraphrases(folder, "stylekqc") == [*combinations(sentence_set(), 2), ("가", "나")]


def test_equal_and_repeated_pairs_are_counted(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    rows = "가\t 가\t0\n가\t나\t0\n나\t가\t0\n가 \t나\t0\n"
    folder = write("question_pair/train.txt", QUESTIONS + rows)
    assert paraphrases(folder, "question_pair") == [("가", "나")]
    assert "question_pair: left out: pairs of equal sentences (1), pairs seen before (2)" in caplog.text
    assert "not found, and therefore left out: question_pair's validation.txt, question_pair's test.txt" in caplog.text


def test_all_takes_the_corpora_that_are_there(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    write("question_pair/train.txt", QUESTIONS + "가\t나\t0\n")
    folder = write("kornlu/xnli.test.ko.tsv", NLI + "가\t나\tentailment\n")
    rows = load(folder, pairs="paraphrase")
    assert list(rows) == [
        {"source": "가", "target": "나", "origin": origin, "engine": "human"} for origin in ("kornli", "question_pair")
    ]
    assert "not found, and therefore left out: korsts, parakqc, stylekqc, pawsx, kornli's snli" in caplog.text
    assert list(load(folder, pairs="paraphrase", streaming=True)) == list(rows)
    assert list(load(folder, pairs="paraphrase", num_proc=2)) == list(rows)


def test_more_pairs_than_a_batch(write: Write) -> None:
    sentences = [f"말 {number}" for number in range(2_500)]
    folder = write("parakqc/paraKQC_v1.txt", parakqc(sentences))
    assert len(set(paraphrases(folder, "parakqc"))) == 250 * 45


@pytest.mark.parametrize("name", ["naver_ner", "mcksg"])
def test_corpora_without_paraphrases_say_so(name: str, write: Write) -> None:
    with pytest.raises(
        ValueError, match=f"{name} contains no paraphrases: expected one of kornli, .*'backtranslation'"
    ):
        load(write("note.txt", ""), name, pairs="paraphrase")


# bad files


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("question_pair/train.txt", "", r"train.txt: expected the columns question1, .*, found \[\]; rename"),
        (
            "question_pair/train.txt",
            "q1\tquestion2\tlabel\n가\t나\t0\n",
            r"train.txt: expected the columns .*, found \['q1', 'question2', 'label'\].* get an unchanged copy",
        ),
        (
            "question_pair/train.txt",
            (QUESTIONS + "가\t나\t0\n").encode("cp949"),
            "train.txt, line 2: expected UTF-8, found b'.xb0.*iconv.*or set its encoding, such as encoding='cp949'",
        ),
        (
            "parakqc/paraKQC_v1.txt",
            parakqc(sentence_set()[:9]),
            "rows 1 to 9: expected sets of 10 rows that begin alike, found 9 rows",
        ),
        (
            "parakqc/paraKQC_v1.txt",
            parakqc(sentence_set()).replace("0\t1\t같은 말 4", "2\t1\t같은 말 4"),
            "rows 1 to 10: expected sets of 10 rows .*, found 10 rows beginning with 0 1, 2 1",
        ),
    ],
    ids=["empty", "header", "encoding", "rows missing", "rows moved"],
)
@pytest.mark.parametrize("on_bad_rows", ["raise", "skip"])
def test_bad_file_is_named_with_the_repair(
    file: str, content: str | bytes, message: str, on_bad_rows: str, write: Write
) -> None:
    folder = write(file, content)
    name = file.partition("/")[0]
    with pytest.raises(ValueError, match=message):
        load(folder, name, pairs="paraphrase", on_bad_rows=on_bad_rows)
    with pytest.raises(ValueError, match=message):
        sentences(folder, name, on_bad_rows=on_bad_rows)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("가\t\t0", "row 3: expected a sentence in question2, found nothing"),
        ("가\t나", r"row 3: expected 3 cells \(question1, question2, is_duplicate\), found fewer"),
        ("가\t나\t0\t1", r"row 3: expected 3 cells, as in the header, found 4"),
        ("가\t나\tsame", "row 3: expected a label as published in is_duplicate, found 'same'"),
    ],
    ids=["empty sentence", "too few", "too many", "label"],
)
def test_bad_row_of_a_corpus(bad: str, message: str, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    folder = write("question_pair/train.txt", f"{QUESTIONS}다\t라\t0\n{bad}\n마\t바\t0\n")
    for streaming in (False, True):
        with pytest.raises(ValueError, match=f"question_pair.train.txt, {message}.*on_bad_rows='skip'"):
            paraphrases(folder, "question_pair", streaming=streaming)
    assert paraphrases(folder, "question_pair", on_bad_rows="skip") == [("다", "라"), ("마", "바")]
    assert "train.txt: 1 bad row skipped; the first: " in caplog.text
    assert sentences(folder, "question_pair", on_bad_rows="skip") == ["다", "라", "마", "바"]


@pytest.mark.parametrize("score", ["high", "6", "-1", "nan"])
def test_score_out_of_range(score: str, write: Write) -> None:
    with pytest.raises(ValueError, match=f"row 2: expected a label as published in score, found '{score}'"):
        paraphrases(write("kornlu/sts-dev.tsv", f"{STS}a\tb\tc\td\t{score}\t가\t나\n"), "korsts")


def test_a_skipped_row_leaves_its_set_with_nine(write: Write) -> None:
    sentences = sentence_set()
    folder = write("parakqc/paraKQC_v1.txt", parakqc([*sentences[:2], "", *sentences[3:], *sentence_set(10)]))
    with pytest.raises(ValueError, match="row 3: expected a sentence in sentence, found nothing"):
        paraphrases(folder, "parakqc")
    assert len(paraphrases(folder, "parakqc", on_bad_rows="skip")) == 36 + 45


@pytest.mark.parametrize("encoding", ["cp949", "utf-16"])
def test_another_encoding_is_read_when_named(encoding: str, write: Write) -> None:
    folder = write("question_pair/train.txt", QUESTIONS + "똠방각하\t펲시콜라\t0\n", encoding=encoding)
    assert paraphrases(folder, "question_pair", encoding=encoding) == [("똠방각하", "펲시콜라")]
    assert sentences(folder, "question_pair", encoding=encoding) == ["똠방각하", "펲시콜라"]


def test_blank_lines_and_a_byte_order_mark_are_no_rows(write: Write) -> None:
    folder = write("question_pair/train.txt", QUESTIONS + "\n가\t나\t0\n\n", encoding="utf-8-sig")
    assert paraphrases(folder, "question_pair") == [("가", "나")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": "human"}, "pairs: expected 'backtranslation' or 'paraphrase', found 'human'"),
        ({"on_bad_rows": "drop"}, "on_bad_rows: expected 'raise' or 'skip', found 'drop'"),
        ({"pairs": "paraphrase", "encoding": "ks"}, "unknown encoding: ks; choose one that Python knows"),
    ],
)
def test_options_are_checked(options: dict[str, str], message: str, write: Write) -> None:
    write("shards/a.jsonl", jsonl([row(1)]))
    with pytest.raises(ValueError, match=message):
        load(write("parakqc/paraKQC_v1.txt", parakqc(sentence_set())), **options)


@pytest.mark.parametrize("pairs", ["backtranslation", "paraphrase"])
def test_without_data_dir_says_where_each_corpus_comes_from(pairs: str) -> None:
    with pytest.raises(ValueError, match="expected data_dir, your data folder, found None") as error:
        load(None, pairs=pairs)
    message = str(error.value)
    assert "DATA_DIR/shards/*.parquet" in message
    for corpus in CORPORA.values() if pairs == "backtranslation" else (CORPORA["kornli"], CORPORA["pawsx"]):
        assert f"DATA_DIR/{corpus.clone}/" in message
        assert f"{corpus.repository} (licence: {corpus.licence})" in message
    with pytest.raises(ValueError, match="kor-nlu-datasets") as error:
        load(None, "korsts")
    assert "paraKQC" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "pairs", "message"),
    [
        ("kornli", "paraphrase", r"files of kornli, found none.*xnli.dev.ko.tsv.*DATA_DIR/kornlu/.*CC"),
        (None, "paraphrase", "files of kornli, .*, pawsx, found none.*paraKQC_v1.txt"),
        (None, "backtranslation", "shards: expected shards, found none.*kornli: snli_1.0_train.ko.tsv"),
    ],
)
def test_folder_without_a_known_file(name: str | None, pairs: str, message: str, write: Write) -> None:
    folder = write("kornlu/other.tsv", NLI)
    with pytest.raises(FileNotFoundError, match=f"(?s){message}"):
        load(folder, name, pairs=pairs)
    with pytest.raises(FileNotFoundError, match="(?s)files of naver_ner, found none.*train_data"):
        CorpusFolder(folder, ["naver_ner"]).read_sentences()
    with pytest.raises(FileNotFoundError, match="expected data_dir, your data folder, found .*nowhere"):
        load(f"{folder}/nowhere")


@pytest.mark.parametrize("link", ["shards/a.jsonl", "shards", "parakqc/paraKQC_v1.txt"])
def test_paths_may_not_lead_out_of_the_folder(link: str, write: Write, tmp_path: Path) -> None:
    inside, outside = Path(write(link, ""), link), tmp_path / "outside"
    inside.unlink()
    outside.mkdir()
    (outside / "a.jsonl").write_text(jsonl([row(1)]), encoding="utf-8")
    # Relative, so the link climbs by `..`.
    inside.symlink_to(os.path.relpath(outside if link == "shards" else outside / "a.jsonl", inside.parent))
    pairs = "paraphrase" if link.startswith("parakqc") else "backtranslation"
    with pytest.raises(ValueError, match=r"expected a file inside .*, found .*outside.*; copy it into"):
        load(str(tmp_path / "data"), pairs=pairs)
    if pairs == "paraphrase":
        with pytest.raises(ValueError, match="expected a file inside"):
            sentences(str(tmp_path / "data"), "parakqc")


def test_a_link_inside_is_followed(write: Write) -> None:
    folder = Path(write("files/a.jsonl", jsonl([row(1)])))
    (folder / "shards").symlink_to("files")
    assert list(load(str(folder))) == [row(1)]


# plain sentences


def test_read_sentences_gives_each_different_one_once(write: Write) -> None:
    write("kornlu/xnli.dev.ko.tsv", NLI + "가\t나\tneutral\n가\t다  라\tentailment\n")
    folder = write("kornlu/xnli.test.ko.tsv", NLI + "마\t다 라\tcontradiction\n")
    assert sentences(folder, "kornli") == ["가", "나", "다 라", "마"]


@pytest.mark.parametrize("place", ["nlp-challenge/missions/ner/data/train", "naver_ner"])
def test_read_sentences_of_naver_ner(place: str, write: Write) -> None:
    lines = "1\t비가\t-\n2\t온다\t-\n3\t.\t-\n\n\n1\t서울로\tLOC_B\n2\t간다\t-\n\n1\t비가\t-\n2\t온다\t-\n3\t.\t-"
    assert sentences(write(f"{place}/train_data", lines), "naver_ner") == ["비가 온다 .", "서울로 간다"]


@pytest.mark.parametrize("bad", ["2 온다 -", "2\t\t-"])
def test_bad_line_of_naver_ner(bad: str, write: Write) -> None:
    folder = write("naver_ner/train_data", f"1\t비가\t-\n{bad}\n\n1\t간다\t-\n")
    with pytest.raises(
        ValueError, match="train_data, row 1: expected an index, a word and a tag.* in line 2, found '2"
    ):
        sentences(folder, "naver_ner")
    assert sentences(folder, "naver_ner", on_bad_rows="skip") == ["간다"]


def test_read_sentences_of_several_corpora(write: Write) -> None:
    write("parakqc/paraKQC_v1.txt", parakqc(sentence_set()))
    folder = write("mcksg/mcksg.tsv", "id\ttext\n1\t이 토기는 4세기에 만들어졌습니다.\n2\t환영합니다.\n")
    expected = [(text, "mcksg") for text in ("이 토기는 4세기에 만들어졌습니다.", "환영합니다.")]
    assert list(CorpusFolder(folder).read_sentences()) == [*expected, *((text, "parakqc") for text in sentence_set())]


# the script, the card


def test_shards_take_no_encoding(write: Write) -> None:
    folder = write("shards/a.jsonl", jsonl([row(1)]))
    with pytest.raises(
        ValueError, match="encoding: expected none for shards, which are UTF-8, found 'cp949'; leave it out"
    ):
        load_dataset("ko_backtranslation", data_dir=folder, encoding="cp949")


def test_script_by_path(write: Write) -> None:
    if int(datasets.__version__.partition(".")[0]) >= 4:
        pytest.skip("datasets 4 and later run no scripts")
    folder = write("shards/a.jsonl", jsonl([row(1)]))
    assert list(load_dataset(str(FOLDER), data_dir=folder, split="train", trust_remote_code=True)) == [row(1)]


def card() -> str:
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def test_card_names_every_source_with_its_licence() -> None:
    for name, corpus in CORPORA.items():
        line = next(line for line in card().splitlines() if line.startswith(f"| `{name}` |"))
        assert all(f"`{file}`" in line for file in corpus.files)
        assert f"`{corpus.clone}`" in line
        assert corpus.licence in line
        assert corpus.repository in line or name == "mcksg"
    assert "data are not shipped" in card()
    assert sorted(file.name for file in FOLDER.iterdir() if file.is_file()) == ["README.md", f"{NAME}.py"]


def test_pairs_of_the_public_corpora_are_as_many_as_the_card_says_different_and_clean(corpora: Path) -> None:
    table = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \|$", card(), flags=re.MULTILINE)
    rows = load(str(corpora), pairs="paraphrase")
    pairs = Counter(rows["origin"])
    assert {name: int(count.replace(",", "")) for name, count, _ in table} == pairs
    assert {name: int(count.replace(",", "")) for name, _, count in table} == {
        name: len(sentences(str(corpora), name)) for name in pairs
    }
    assert f"{rows.num_rows:,} pairs" in card()
    assert set(rows["engine"]) == {"human"}
    triples = list(zip(rows["origin"], rows["source"], rows["target"], strict=True))
    assert len({(origin, *sorted((source, target))) for origin, source, target in triples}) == rows.num_rows
    assert not any(source == target for _, source, target in triples)
    texts = {text for _, *both in triples for text in both}
    assert all(text and " ".join(text.split()) == text for text in texts)
