from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from kgloss_hf.data.lexicon import load_lexicon
from kgloss_hf.runtime.lexicon import Entry

ROWS = [
    {"gloss": "집", "id": "12", "video": "https://clips.example/집.mp4", "group": "1", "licence": "CC BY"},
    {"gloss": "가옥", "id": None, "video": None, "group": "1", "licence": None},
]
ENTRIES = (
    Entry("집", id="12", video="https://clips.example/집.mp4", group="1", licence="CC BY"),
    Entry("가옥", group="1"),
)

ITEM = {
    "title": "가깝다,근처",
    "subDescription": "http://sldict.example/1.mp4",
    "url": "http://sldict.example/view.do?origin_no=77&category=",
    "signDescription": "두 손을 모은다",
    "signImages": "http://sldict.example/a.jpg,http://sldict.example/b.jpg",
    "referenceIdentifier": "http://sldict.example/thumb.jpg",
    "categoryType": "수어",
}


def response(*items: Any, code: str = "0000", total: int | None = None) -> dict[str, Any]:
    total = len(items) if total is None else total
    body = {"items": {"item": items[0] if len(items) == 1 else list(items)} if items else "", "totalCount": str(total)}
    return {"response": {"header": {"resultCode": code, "resultMsg": "said so"}, "body": body}}


def xml(*items: dict[str, str], code: str = "0000", total: int | None = None) -> str:
    def element(item: dict[str, str]) -> str:
        parts = (f"<{name}>{value.replace('&', '&amp;')}</{name}>" for name, value in item.items())
        return f"<item>{''.join(parts)}</item>"

    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><response><header>'
        f"<resultCode>{code}</resultCode><resultMsg>said so</resultMsg></header><body><items>"
        f"{''.join(map(element, items))}</items><numOfRows>10</numOfRows><pageNo>1</pageNo>"
        f"<totalCount>{len(items) if total is None else total}</totalCount></body></response>"
    )


def written(file: Path, text: str, encoding: str = "utf-8") -> Path:
    file.write_text(text, encoding)
    return file


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"])
def test_tables(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"lexicon.{kind}"
    cells = [list(ROWS[0]), *([row[name] for name in row] for row in ROWS)]
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    elif kind == "xlsx":
        book = Workbook()
        for row in cells:
            book.active.append(row)
        book.save(file)
    elif kind in ("json", "jsonl"):
        text = json.dumps(ROWS) if kind == "json" else "\n".join(map(json.dumps, ROWS))
        written(file, text)
    else:
        separator = "," if kind == "csv" else "\t"
        written(file, "\n".join(separator.join(cell or "" for cell in row) for row in cells))
    lexicon = load_lexicon(file)
    assert lexicon.entries == ENTRIES
    assert lexicon.sign("가옥")["entry"]["gloss"] == "집"


def test_korean_headers_and_cp949(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "표제어,동영상,뜻,같은 수어,유형,저작권,수어 번호\n집,a/집.mp4,사는 곳,1,sign_word,CC BY,7\n"
    file = written(tmp_path / "lexicon.csv", text, "cp949")
    expected = Entry("집", "7", "a/집.mp4", "사는 곳", "1", "sign_word", "CC BY")
    assert load_lexicon(str(file), encoding="cp949").entries == (expected,)
    assert not caplog.records
    assert load_lexicon(file).entries == (expected,)
    assert "lexicon.csv: not UTF-8, read as CP949; if that is wrong, save it as UTF-8" in caplog.text
    assert load_lexicon(written(file, text, "utf-16")).entries == (expected,)
    packed = tmp_path / "lexicon.tsv.gz"
    packed.write_bytes(gzip.compress(text.replace(",", "\t").encode("cp949")))
    assert load_lexicon(packed).entries == (expected,)
    for content in (b"\xff\xff\xff", "Müller".encode("latin-1"), "中文".encode("gbk")):
        file.write_bytes(b"gloss,id\n" + content + b",1\n")
        with pytest.raises(UnicodeError, match=r"lexicon\.csv, line 2: expected UTF-8, found"):
            load_lexicon(file)


def test_synonyms_tie_words_together(tmp_path: Path) -> None:
    text = 'gloss,id,synonyms\n집,1,"가옥, 주택"\n가옥,,\n저택,,"집"\n배,2,선박\n배,3,복부\n'
    lexicon = load_lexicon(written(tmp_path / "lexicon.csv", text))
    for word in ("집", "가옥", "주택", "저택"):
        assert lexicon.sign(word)["entry"]["id"] == "1"
    assert [lexicon.sign(word)["entry"]["id"] for word in ("배", "선박", "복부")] == ["2", "2", "3"]


def test_the_word_with_a_sign_may_stand_among_the_synonyms(tmp_path: Path) -> None:
    file = written(tmp_path / "lexicon.csv", "gloss,id,synonyms\n집,,가옥\n가옥,5,\n")
    assert load_lexicon(file).sign("집")["entry"] == {"gloss": "가옥", "id": "5", "group": "집"}


@pytest.mark.parametrize("kind", ["xml", "json", "one item", "lines", "list"])
def test_responses_of_the_dictionary(kind: str, tmp_path: Path) -> None:
    other = ITEM | {"title": "집", "url": "", "referenceIdentifier": "I-9", "subDescription": "http://sldict.example/2"}
    items = [ITEM] if kind == "one item" else [ITEM, other]
    text = {
        "xml": xml(*items),
        "lines": "\n".join(map(json.dumps, items)),
        "list": json.dumps(items),
    }.get(kind, json.dumps(response(*items)))
    lexicon = load_lexicon(written(tmp_path / f"page1.{'xml' if kind == 'xml' else 'json'}", text))
    near = {"id": "77", "video": "http://sldict.example/1.mp4", "meaning": "두 손을 모은다", "group": "77"}
    assert lexicon.sign("가깝다")["entry"] == {"gloss": "가깝다"} | near
    assert lexicon.sign("근처")["entry"] == {"gloss": "근처"} | near
    assert kind == "one item" or lexicon.sign("집")["entry"]["id"] == "I-9"


def test_pages_in_a_folder_or_with_commas_between_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = written(tmp_path / "1.xml", xml(ITEM, total=2))
    (tmp_path / "more").mkdir()
    second = written(tmp_path / "more" / "2.json", json.dumps(response(ITEM | {"title": "집", "url": ""}, total=2)))
    written(tmp_path / "notes.txt", "not read")
    written(tmp_path / ".hidden.xml", "not read")
    glosses = [entry.gloss for entry in load_lexicon(tmp_path).entries]
    assert glosses == ["가깝다", "근처", "집"]
    assert not caplog.records
    assert [entry.gloss for entry in load_lexicon(f"{first},{second}").entries] == glosses
    load_lexicon(first)
    assert "1 of 2 entries of the dictionary; save the remaining pages too" in caplog.text


KEY = (
    "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg><returnAuthMsg>SERVICE_KEY_IS_NOT_REGISTERED"
    "</returnAuthMsg><returnReasonCode>30</returnReasonCode></cmmMsgHeader></OpenAPI_ServiceResponse>"
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", xml(code="30"), r"a\.xml: expected a response with entries, found the error 30: said so; save"),
        ("a.xml", KEY, "found the error 30: SERVICE ERROR, SERVICE_KEY_IS_NOT_REGISTERED"),
        ("a.json", json.dumps(response(code="22")), "found the error 22: said so"),
        ("a.json", '{"response": []}', "found the error no resultCode"),
        ("a.xml", "<html><body/></html>", "expected a response of the dictionary's API, found 'html'"),
        ("a.xml", "<response>", "damaged or not XML"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><response/>', "without a DOCTYPE"),
        ("a.xml", xml(), r"a\.xml: expected entries, found none"),
        ("a.xml", xml({"title": " , "}), r"a\.xml, item 1: title: expected a word, found none; correct it, or skip"),
        ("a.csv", "gloss,video\n", "expected entries, found none"),
        ("a.csv", "", "expected entries, found none"),
        ("a.csv", "video\nx.mp4\n", r"a\.csv: expected a column of gloss, named gloss"),
        ("a.csv", "gloss,video\n,x.mp4\n", r"a\.csv, row 2: expected a gloss, found none; correct it, or skip bad"),
        ("a.csv", "word,title\n집,집\n", "expected one column of gloss"),
        ("a.jsonl", '{"gloss": ["집"]}', r"a\.jsonl, row 1: gloss: expected text, found \['집'\]"),
        ("a.jsonl", '{"gloss": "집", "id": true}', "id: expected text, found True"),
        ("a.jsonl", '{"gloss": "집", "synonyms": 3}', "synonyms: expected glosses"),
        ("a.jsonl", "[]", "expected entries, found none|expected a row with a gloss"),
        ("a.jsonl", "3", "expected a row with a gloss, found int"),
        ("a.txt", "집", r"a\.txt: expected a \.xml, .* file, found '\.txt'"),
    ],
)
def test_what_is_no_lexicon(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        load_lexicon(written(tmp_path / name, text))
    assert str(tmp_path) in str(raised.value)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv: no such file"):
        load_lexicon(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match="files in this folder, found none"):
        load_lexicon(tmp_path)


def test_unsafe_addresses_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    addresses = ["javascript:alert(1)", "JavaScript:x", "java\u200bscript:x", "data:text/html,x", "file:///etc/passwd"]
    addresses += ["//evil.example/x", "\\\\\\\\host\\\\x", "ftp://a.example/b", "C:\\\\clips\\\\a.mp4"]
    safe = [
        "http://a.example/b.mp4",
        "HTTPS://a.example/내 집.mp4?a=1#t=2",
        "clips/내 집.mp4",
        "../집.mp4",
        "/clips/a:b.mp4",
    ]
    rows = [f'{{"gloss": "{number}", "video": "{one}"}}' for number, one in enumerate([*addresses, *safe])]
    lexicon = load_lexicon(written(tmp_path / "lexicon.jsonl", "\n".join(rows)))
    assert [entry.video for entry in lexicon.entries] == safe
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "9 entries with an unsafe address left out" in caplog.text
    assert "row 1, 0: 'javascript:alert(1)'" in caplog.text


def test_words_in_place_of_an_address_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = ["-", "없음", "보기", "N/A", "TBD", "–"]
    text = "".join(f"집{number},{word}\n" for number, word in enumerate([*words, "clips/a.mp4", "clip7"]))
    lexicon = load_lexicon(written(tmp_path / "lexicon.csv", f"gloss,video\n{text}"))
    assert [entry.video for entry in lexicon.entries] == [*[""] * len(words), "clips/a.mp4", "clip7"]
    assert lexicon.sign("집1") == {"gloss": "집1", "reason": "no video"}
    assert "6 entries with a word in place of an address, read as without a video; the first: row 2, 집0: '-'" in (
        caplog.text
    )


def test_an_error_of_a_spreadsheet_is_a_bad_row(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row 2: video: expected text, found '#N/A'"):
        load_lexicon(written(tmp_path / "lexicon.csv", "gloss,video\n집,#N/A\n"))


def test_a_page_that_was_saved_twice_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("1.json", "1 (1).json"):
        written(tmp_path / name, json.dumps(response(ITEM, total=2)))
    assert [entry.gloss for entry in load_lexicon(tmp_path).entries] == ["가깝다", "근처"]
    assert "1 entry of the dictionary repeated, read once" in caplog.text
    assert "1 of 2 entries of the dictionary; save the remaining pages" in caplog.text


@pytest.mark.parametrize("name", ["both.json", "both.jsonl"])
def test_several_responses_in_a_file_are_all_read(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pages = [response(ITEM, total=2), response(ITEM | {"title": "집", "url": ""}, total=2)]
    text = json.dumps(pages) if name.endswith(".json") else "\n".join(map(json.dumps, pages))
    assert [entry.gloss for entry in load_lexicon(written(tmp_path / name, text)).entries] == ["가깝다", "근처", "집"]
    assert not caplog.records
    with pytest.raises(ValueError, match="expected only responses of the API, found another row"):
        load_lexicon(written(tmp_path / "mixed.json", json.dumps([*pages, {"gloss": "불"}])))


def test_a_response_in_cp949_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1.xml").write_bytes(xml(ITEM, total=1).replace("UTF-8", "EUC-KR").encode("cp949"))
    assert load_lexicon(tmp_path / "1.xml").sign("근처")["entry"]["gloss"] == "근처"
    assert "not UTF-8, read as CP949" in caplog.text


def test_advice_is_one_that_a_lexicon_can_follow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "gloss,video,synonyms\n집,1.mp4,가옥|주택\n불,2.mp4,화재|불길\n"
    load_lexicon(written(tmp_path / "lexicon.csv", text))
    assert "if that is wrong, write all cells with the same separator" in caplog.text
    assert "--gloss_separator" not in caplog.text


def test_several_entries_for_a_gloss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "gloss,video\n배,\n배,1.mp4\n배,2.mp4\n집,3.mp4\n집,3.mp4\n"
    lexicon = load_lexicon(written(tmp_path / "lexicon.csv", text))
    assert lexicon.sign("배")["entry"]["video"] == "1.mp4"
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'lexicon.csv'}: 1 gloss has several entries; the first that can be played counts: 배"
    ]


def test_a_count_of_rows_is_no_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lexicon = load_lexicon(written(tmp_path / "lexicon.csv", "번호,글로스,뜻\n1,집,사는 곳\n2,불,\n"))
    assert lexicon.sign("집")["reason"] == "no id"
    assert "nothing can be played" in caplog.text


def test_a_group_of_several_signs_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_lexicon(written(tmp_path / "lexicon.csv", "gloss,video,group\n개,1.mp4,동물\n말,2.mp4,동물\n집,3.mp4,\n"))
    assert "1 group has different videos, such as 동물; the words of a group share one sign" in caplog.text


def test_a_lexicon_that_plays_nothing_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_lexicon(written(tmp_path / "lexicon.csv", "gloss,type\n집,sign_word\n"))
    assert "no entry has a video or an id" in caplog.text


def test_bad_rows_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path / "lexicon.csv", "gloss,id\n,1\n집,2\n불,3,4\n\n")
    assert load_lexicon(file, on_bad_rows="skip").entries == (Entry("집", id="2"),)
    assert "2 bad rows skipped" in caplog.text
    with pytest.raises(ValueError, match="on_bad_rows"):
        load_lexicon(file, on_bad_rows="ignore")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(["response", "header", "body", "items", "item", "resultCode", "title", "gloss", "id"]),
                s,
            )
        ),
    )
)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    file = written(tmp_path_factory.getbasetemp() / "any.json", json.dumps(value))
    try:
        lexicon = load_lexicon(file)
    except ValueError as error:
        assert str(file) in str(error)
    else:
        assert len(lexicon) > 0
