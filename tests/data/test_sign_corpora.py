"""Tests on corpora in their published formats, with invented content."""

from __future__ import annotations

import json
import logging
import unicodedata
import zipfile
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.data import corpus_files
from kgloss_hf.data.sign_corpora import is_corpus, read_corpus
from kgloss_hf.runtime.glosses import type_of_notation

SENTENCE = "3월 2일 9시 15분에 QR코드로 5층 전시를 신청하세요"


def gesture(gloss: Any, start: Any = None, end: Any = None, span: tuple[Any, Any] = ("", "")) -> dict[str, Any]:
    place = {"start": span[0], "end": span[1]}
    return {"gloss_id": gloss, "express": "s", "start": start, "end": end, "sentence_loc": place, "hold_exact": None}


def niasl(text: Any = SENTENCE, both: Any = (), strong: Any = (), weak: Any = (), **more: Any) -> dict[str, Any]:
    script = {"both": both, "strong": strong, "weak": weak}
    return {
        "metadata": {"id": "INVENTED_0001", "category": "exhibition", "signer_id": 7, "video_fps": 30},
        "text": {"raw": {"korean": text}},
        "sign_script": {f"sign_gestures_{hand}": list(signs) if signs else signs for hand, signs in script.items()},
        "nms_script": {"Hno": [], "Mmo": [{"start": 2.5, "end": 3.0}], "EBf": [{"start": 1.0, "end": 1.5}]},
        **more,
    }


def nikl(text: Any = "집에 불이 났다", listed: Any = "집1/불1", strong: Any = None, weak: Any = None) -> dict[str, Any]:
    return {
        "id": "INVENTED-NIKL-1",
        "krlgg_sntenc": {"koreanText": text, "realm": "생활", "thema": "안전", "category": "화재"},
        "sign_lang_sntenc": listed,
        "sign_script": {"sign_gestures_strong": strong, "sign_gestures_weak": weak},
        "nms_script": None,
    }


def aihub_103(name: str = "INVENTED_SEN0001_D.mp4", *glosses: str, **metadata: Any) -> dict[str, Any]:
    data = [{"start": n, "end": n + 0.5, "attributes": [{"name": gloss}]} for n, gloss in enumerate(glosses)]
    return {"metaData": {"name": name, "url": f"https://example.org/{name}", **metadata}, "data": data}


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")
    return path


def archive(path: Path, files: Mapping[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, value in files.items():
            packed.writestr(name, value if isinstance(value, str | bytes) else json.dumps(value))
    return path


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    return [row for _, row in read_corpus(path, **options)]


def only(path: Path, value: Any, **options: Any) -> dict[str, Any]:
    (row,) = rows(write(path / "one.json", value), **options)
    return row


def test_the_lists_of_hands_interleave_by_start(tmp_path: Path) -> None:
    value = niasl(
        both=[gesture("전시1", 1.0, 1.4), gesture("신청2", "3.0", "3.5")],
        strong=[gesture("보다1", 2.0, 2.5), gesture("좋다1", 3.0, 3.2)],
        weak=[gesture("저기", 3.0, 3.1), gesture("끝1", 0.5, 0.9)],
    )
    row = only(tmp_path, value)
    assert row["glosses"] == ["끝1", "전시1", "보다1", "신청2", "좋다1", "저기"]
    assert row["hands"] == ["weak", "both", "strong", "both", "strong", "weak"]
    assert row["starts"] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    assert row["ends"] == [0.9, 1.4, 2.5, 3.5, 3.2, 3.1]
    assert row["senses"] == ["1", "1", "1", "2", "1", ""]
    assert row["non_manual"] == [
        {"signal": "EBf", "start": 1.0, "end": 1.5},
        {"signal": "Mmo", "start": 2.5, "end": 3.0},
    ]
    assert (row["id"], row["signer"], row["category"]) == ("INVENTED_0001", "7", "exhibition")
    assert row["split"] is None
    assert row["source"].startswith("NIASL2021")


def test_a_gesture_without_a_time_keeps_its_place_in_its_list(tmp_path: Path) -> None:
    value = niasl(both=[gesture("하나", 1), gesture("둘"), gesture("넷", 4)], weak=[gesture("셋", 3)])
    assert only(tmp_path, value)["glosses"] == ["하나", "둘", "셋", "넷"]


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("집 불", (0, 1), [0, 1]),
        ("집 불", ("2", "3"), [2, 3]),
        ("\n 집 불 ", (2, 3), [0, 1]),  # the sentence is stripped, and spans with it
        ("집 불", ("", ""), None),
        ("집 불", (0, ""), None),
        ("집 불", (None, None), None),
        ("집 불", (2, 9), None),
        ("집 불", (1, 1), None),
        ("  집 불", (0, 1), None),
    ],
)
def test_spans_refer_to_the_sentence_as_given(tmp_path: Path, text: str, span: tuple[Any, Any], expected: Any) -> None:
    row = only(tmp_path, niasl(text, both=[gesture("집1", 0, 1, span)]))
    assert row["spans"] == [expected]
    assert row["text"] == "집 불"


def test_spans_outside_the_sentence_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    only(tmp_path, niasl("집", both=[gesture("집1", 0, 1, (0, 7))]))
    assert "1 span outside the sentence left out (the first: " in caplog.text


@pytest.mark.parametrize(
    ("sense", "text", "gloss", "expected", "number"),
    [
        ("keep", "낮에 온다", "낮1", "낮1", "1"),
        ("drop", "낮에 온다", "낮1", "낮", "1"),
        ("drop", "낮 1시에 온다", "낮12", "낮", "12"),
        ("drop", "낮1시에 온다", "낮1", "낮", "1"),
        ("drop", "코로나19가 퍼진다", "코로나19", "코로나19", ""),
        ("drop", "바이러스가 퍼진다", "코로나19", "코로나", "19"),
        ("drop", "낮", "낮01", "낮01", ""),
        ("drop", "낮", "낮123", "낮123", ""),
        ("drop", "집", "왕(임금)2", "왕(임금)", "2"),
        ("drop", "집", "12", "12", ""),
        ("drop", "집", "A1", "A1", ""),
        ("keep", "집", "지시2#너희", "지시2(너희)", "2"),
        ("drop", "집", "지시2#너희", "지시(너희)", "2"),
        ("drop", "집", "지시1#", "지시", "1"),
        ("drop", "집", "#집", "#집", ""),
    ],
)
def test_senses_and_referents(tmp_path: Path, sense: str, text: str, gloss: str, expected: str, number: str) -> None:
    row = only(tmp_path, niasl(text, both=[gesture(gloss, 0, 1)]), sense=sense)
    assert (row["glosses"], row["senses"]) == ([expected], [number])


@pytest.mark.parametrize("sense", ["keep", "drop"])
def test_a_referent_makes_a_similar_word(tmp_path: Path, sense: str) -> None:
    row = only(tmp_path, niasl("집", both=[gesture("지시2#너희", 0, 1)]), sense=sense)
    assert type_of_notation(row["glosses"][0]) == "similar_word"


def test_a_typed_value_repeats_times_and_narrows_spans(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    value = niasl(both=[gesture("날짜:3월2일", 0.5, 1.5, (0, 5)), gesture("시:9시16분", 2.0, 3.0, (6, 13))])
    row = only(tmp_path, value)
    assert row["glosses"] == ["Number/3월", "Number/2일", "Number/9시", "16분"]
    assert row["spans"] == [[0, 2], [3, 5], [6, 8], [6, 13]]
    assert row["starts"] == [0.5, 0.5, 2.0, 2.0]
    assert row["hands"] == ["both"] * 4
    assert "1 part of typed values not in the sentence, kept as plain glosses (the first: " in caplog.text
    assert "시:9시16분" in caplog.text


def test_the_same_gloss_on_both_hands_at_once_is_one_sign(tmp_path: Path) -> None:
    strong = [gesture("집1", "0.0", "1.0"), gesture("불1", 1.0, 2.0)]
    weak = [gesture("집1", "0.2", "1.1"), gesture("불1", 2.0, 3.0)]
    row = only(tmp_path, nikl(strong=strong, weak=weak))
    assert row["glosses"] == ["집1", "불1", "불1"]
    assert row["hands"] == ["both", "strong", "weak"]
    assert (row["starts"], row["ends"]) == ([0.0, 1.0, 2.0], [1.1, 2.0, 3.0])
    assert (row["category"], row["id"]) == ("생활/안전/화재", "INVENTED-NIKL-1")


def test_nikl_without_gestures_takes_the_string(tmp_path: Path) -> None:
    row = only(tmp_path, nikl(listed=" 집1 / 불1/"))
    assert (row["glosses"], row["hands"], row["starts"]) == (["집1", "불1"], ["", ""], [None, None])


@pytest.mark.parametrize(
    ("listed", "differs"), [("집/불", False), ("불1/집1", False), ("집1/물1", True), (None, False)]
)
def test_nikl_with_other_glosses_in_the_string_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, listed: str | None, differs: bool
) -> None:
    row = only(tmp_path, nikl(listed=listed, strong=[gesture("집1", 0, 1), gesture("불1", 1, 2)]))
    assert row["glosses"] == ["집1", "불1"]
    assert ("1 row with other glosses in sign_lang_sntenc" in caplog.text) == differs


def test_aihub_103_takes_the_sentence_from_a_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a" / "1.json", aihub_103("INVENTED_SEN0001_D.mp4", "집1", "불1"))
    (tmp_path / "목록.csv").write_bytes("번호,파일명,한국어\n1,INVENTED_SEN0001_D,집에 불이 났다\n".encode("cp949"))
    (row,) = rows(tmp_path)
    assert (row["text"], row["glosses"], row["hands"]) == ("집에 불이 났다", ["집1", "불1"], ["", ""])
    assert (row["starts"], row["ends"]) == ([0, 1], [0.5, 1.5])
    assert "1 sentence taken from tables next to the files" in caplog.text
    assert "1 .csv file left out" in caplog.text


def test_aihub_103_with_its_sentence_in_the_metadata(tmp_path: Path) -> None:
    assert only(tmp_path, aihub_103("a.mp4", "집1", korean="집"))["text"] == "집"


def test_aihub_103_without_a_sentence_says_what_to_put_beside_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"one\.json: expected the sentence of the video WORD01\.mp4.*put a table"):
        only(tmp_path, aihub_103("WORD01.mp4", "집1"))


def test_a_table_with_two_sentences_for_a_name_gives_none(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("name,text\na,집\na,불\n", "utf-8")
    with pytest.raises(ValueError, match="expected the sentence of the video"):
        only(tmp_path, aihub_103("a.mp4", "집1"))


LINES = "".join(json.dumps(niasl(f"집 {n}", both=[gesture("집1", 0, 1)])) + "\n" for n in range(3))
ARRAY = json.dumps([niasl(f"집 {n}", both=[gesture("집1", 0, 1)]) for n in range(3)])


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.json", json.dumps(niasl("집 0", both=[gesture("집1", 0, 1)]), indent=2), [""]),
        ("a.JSON", LINES, [", row 1", ", row 2", ", row 3"]),
        ("a.jsonl", "\n" + LINES, [", row 2", ", row 3", ", row 4"]),
        ("a.json", ARRAY, [", item 1", ", item 2", ", item 3"]),
        ("a.jsonl", ARRAY.replace("{", "{\n"), [", item 1", ", item 2", ", item 3"]),
    ],
)
@pytest.mark.parametrize("mark", [b"", BOM_UTF8])
def test_one_object_lines_and_arrays(tmp_path: Path, name: str, content: str, places: list[str], mark: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(mark + content.encode())
    assert is_corpus(path)
    found = list(read_corpus(path))
    assert [where for where, _ in found] == [f"{path}{place}" for place in places]
    assert [row["text"] for _, row in found] == [f"집 {n}" for n in range(len(places))]


def test_an_array_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "_CHUNK", 50)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(json.loads(ARRAY), ensure_ascii=False, indent=3) + "\n", "utf-8")
    assert [row["text"] for row in rows(path)] == ["집 0", "집 1", "집 2"]


@pytest.mark.parametrize("ending", ["", ",", "] x", ", [", '{"a": '])
def test_a_damaged_array(tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.json"
    path.write_text(ARRAY[:-1] + ending)
    with pytest.raises(ValueError, match=r"a\.json, after item \d: expected an array"):
        rows(path)
    assert len(rows(path, on_bad_rows="skip")) == 3
    assert "1 bad row skipped" in caplog.text


def nested(split: str) -> dict[str, Any]:
    return {
        f"{split}/라벨/b.json": niasl("집", both=[gesture("집1", 0, 1)]),
        f"{split}/a.json": niasl("불", both=[gesture("불1", 0, 1)]),
        f"{split}/.hidden.json": "damaged",
        f"{split}/a.mp4": "video",
        f"{split}/b.MP4": "video",
        "__MACOSX/._a.json": "damaged",
    }


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("1.Training", "train"),
        ("train", "train"),
        (unicodedata.normalize("NFD", "학습데이터"), "train"),
        ("2.Validation", "validation"),
        ("dev", "validation"),
        ("검증", "validation"),
        ("TEST_data", "test"),
        ("3. 평가", "test"),
        ("contest", None),
        ("videos", None),
    ],
)
def test_folders_and_archives_alike(
    tmp_path: Path, folder: str, split: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in nested(folder).items():
        path = tmp_path / "corpus" / name
        write(path, value) if isinstance(value, dict) else write(path, "").write_text(value)
    packed = archive(tmp_path / "corpus.zip", nested(folder))
    for path in (tmp_path / "corpus", packed):
        assert is_corpus(path)
        found = rows(path)
        assert sorted(row["text"] for row in found) == ["불", "집"]
        assert {row["split"] for row in found} == {split}
    assert caplog.text.count("2 .mp4 files left out") == 2


def test_an_archive_within_a_folder(tmp_path: Path) -> None:
    (tmp_path / "Validation").mkdir()
    archive(tmp_path / "Validation" / "a.zip", {"b.json": niasl("집", both=[gesture("집1", 0, 1)])})
    ((where, row),) = read_corpus(tmp_path)
    assert where.endswith("a.zip, member b.json")
    assert row["split"] == "validation"


def test_names_in_cp949_are_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"AA/a.json": niasl("집", both=[gesture("집1", 0, 1)])})
    content = path.read_bytes().replace(b"AA/", "검".encode("cp949") + b"/")
    path.write_bytes(content.replace(b"AA/", b"BB/"))
    ((where, _),) = read_corpus(path)
    assert "member 검/a.json" in where


def test_archives_inside_archives_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inner = archive(tmp_path / "inner.zip", {"a.json": niasl("집", both=[gesture("집1", 0, 1)])}).read_bytes()
    outer = archive(tmp_path / "outer.zip", {"inner.zip": inner})
    assert is_corpus(outer)
    with pytest.raises(ValueError, match="1 archive inside archives left out"):
        rows(outer)
    archive(outer, {"inner.zip": inner, "b.json": niasl("불", both=[gesture("불1", 0, 1)])})
    assert [row["text"] for row in rows(outer)] == ["불"]
    assert "1 archive inside archives left out" in caplog.text


def test_a_name_that_would_steer_a_terminal(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"../\x1b[2J\u202e.json": niasl("집", both=[gesture("집1", 0, 1)])})
    ((where, _),) = read_corpus(path)
    assert "member ../\\u001b[2J\\u202e.json" in where
    assert list(tmp_path.iterdir()) == [path]


def test_a_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {f"{n}.json": b" " * 2**25 for n in range(3)})
    with pytest.raises(ValueError, match="to unpack to at most"):
        rows(path)


def test_damaged_archives(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"a.json": niasl("집", both=[gesture("집1", 0, 1)])})
    content = path.read_bytes()
    for damaged in (content[:-30], content[:40] + b"\xff" * 40 + content[80:], b"no archive"):
        path.write_bytes(damaged)
        is_corpus(path)
        with pytest.raises(ValueError, match=r"a\.zip"):
            rows(path)


def test_an_encrypted_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"a.json": niasl("집", both=[gesture("집1", 0, 1)])})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert is_corpus(path)
    with pytest.raises(ValueError, match="expected a file that is not encrypted; unpack the archive with its password"):
        rows(path)


@pytest.mark.parametrize(("encoding", "found"), [("utf-16", "found UTF-16"), ("cp949", "found b")])
def test_other_encodings_are_recognised_and_refused(tmp_path: Path, encoding: str, found: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(niasl("집", both=[gesture("집1", 0, 1)]), ensure_ascii=False).encode(encoding))
    assert is_corpus(path)
    with pytest.raises(ValueError, match=rf"a\.json: expected UTF-8, {found}.*iconv"):
        rows(path)


GOOD = gesture("집1", 0, 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (niasl(""), r"text\.raw\.korean: expected a sentence, found none"),
        (niasl("\u200b", both=[GOOD]), "expected a sentence, found none"),
        (niasl(None, both=[GOOD]), "expected a sentence, found none"),
        (niasl(5, both=[GOOD]), "expected a sentence, found 5"),
        (niasl("\ud83d", both=[GOOD]), "half a character"),
        (niasl("집"), "expected glosses, found none"),
        (niasl("집", both=None), "expected glosses, found none"),
        (niasl("집", both=[gesture("")]), "expected glosses, found none"),
        (niasl("집", both=[gesture(None)]), "expected glosses, found none"),
        (niasl("집", both={"a": 1}), "sign_gestures_both: expected"),
        (niasl("집", both=["집1"]), "sign_gestures_both: expected objects, found '집1'"),
        (niasl("집", both=[gesture(5)]), "expected a gloss in gloss_id, found 5"),
        (niasl("집", both=[gesture("\ud83d")]), "half a character"),
        (niasl("집", both=[gesture("집", "soon")]), "expected a time in seconds, found 'soon'"),
        (niasl("집", both=[gesture("집", True)]), "expected a time in seconds, found True"),
        (niasl("집", both=[gesture("집", float("nan"))]), "expected a time in seconds, found nan"),
        (niasl("집", both=[gesture("집", 10**400)]), "expected a time in seconds, found 1000"),
        (niasl("집", both=[gesture("집", 0, 1, (0.5, 1))]), "expected character positions in sentence_loc"),
        (niasl("집", both=[GOOD], nms_script=[]), "nms_script: expected an object"),
        (niasl("집", both=[GOOD], metadata=[]), "metadata: expected an object"),
        (nikl(None), r"krlgg_sntenc\.koreanText: expected a sentence, found none"),
        (nikl("집", listed=""), "expected glosses, found none"),
        (nikl("집", listed=["집"]), "sign_lang_sntenc: expected glosses separated by /"),
        (aihub_103("a", korean="집"), "expected glosses, found none"),
    ],
)
def test_bad_rows(tmp_path: Path, value: Any, message: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(value) + "\n" + LINES, "utf-8")
    with pytest.raises(ValueError, match=rf"a\.jsonl, row 1: .*{message}.*on_bad_rows='skip'"):
        rows(path)
    assert len(rows(path, on_bad_rows="skip")) == 3
    assert "1 bad row skipped (the first: " in caplog.text


@pytest.mark.parametrize("line", ["{", "5", "null", '{"text": "집", "glosses": "집"}', "[" * 100_000, "\udcff"])
def test_bad_lines(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes((LINES + line + "\n" + LINES).encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"a\.jsonl, row 4: expected .*on_bad_rows='skip'"):
        rows(path)
    assert len(rows(path, on_bad_rows="skip")) == 6


def test_files_of_another_kind_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.json", niasl("집", both=[GOOD]))
    write(tmp_path / "settings.json", {"fps": 30})
    (tmp_path / "pairs.jsonl").write_text('{"text": "집", "glosses": "집"}\n' * 2, "utf-8")
    (tmp_path / "README").write_text("x")
    (tmp_path / "link.json").symlink_to(tmp_path / "a.json")
    assert len(rows(tmp_path)) == 1
    assert "2 JSON files of another kind left out" in caplog.text
    assert "1 file without an extension left out" in caplog.text
    assert "1 link left out" in caplog.text


def test_one_line_says_what_was_recognised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.json", niasl("집", both=[GOOD]))
    write(tmp_path / "b.json", nikl())
    rows(tmp_path)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    expected = f"{tmp_path}: read as NIASL2021 / AI-Hub 636 (1 row), NIKL parallel corpus (1 row), 3 glosses"
    assert record.getMessage() == expected


def tables(folder: Path) -> Iterable[Path]:
    (folder / "a.jsonl").write_text('{"text": "집", "glosses": ["집"]}\n', "utf-8")
    (folder / "b.json").write_text('[{"korean": "집", "gloss": "집"}]', "utf-8")
    (folder / "c.csv").write_text("text,glosses\n집,집\n", "utf-8")
    (folder / "d.json").write_text("", "utf-8")
    yield from sorted(folder.iterdir())
    yield folder


def test_tables_are_no_corpora(tmp_path: Path) -> None:
    for path in tables(tmp_path):
        assert not is_corpus(path)
    for name in ("nowhere", "nowhere.json", "nowhere.zip"):
        assert not is_corpus(tmp_path / name)
        with pytest.raises(FileNotFoundError, match="no such file or folder"):
            read_corpus(tmp_path / name)


def test_only_the_first_files_are_looked_at(tmp_path: Path) -> None:
    for n in range(9):
        write(tmp_path / f"{n}.json", {"n": n})
    write(tmp_path / "z.json", niasl("집", both=[GOOD]))
    assert not is_corpus(tmp_path)


def test_a_corpus_without_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected sentences of a sign language corpus .*, found none"):
        rows(tmp_path)


def test_options_are_checked_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="sense: expected 'keep' or 'drop', found 'both'"):
        read_corpus(Path("nowhere"), sense="both")
    with pytest.raises(ValueError, match="on_bad_rows: expected 'raise' or 'skip'"):
        read_corpus(Path("nowhere"), on_bad_rows="drop")


def test_rows_come_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(LINES + "damaged\n", "utf-8")
    assert len(list(islice(read_corpus(path), 3))) == 3
