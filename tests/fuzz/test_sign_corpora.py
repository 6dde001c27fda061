"""Sign corpora with missing, null and wrong parts: rows as documented, or a ValueError that names the file."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.data.lines import is_text
from kgloss_hf.data.sign_corpora import is_corpus, read_corpus
from kgloss_hf.runtime.normalization import normalize_line

from ..data.test_elan import Document
from ..data.test_sign_corpora import archive
from .strategies import GLOSS, HALVES, TEXT, damaged, json_text, json_values, share

ANY = json_values()
SIGN = (
    GLOSS
    | TEXT
    | st.sampled_from(("낮1", "날짜:8월19일", "시:12시 20분", "지시2#너희", "지시1#", "코로나19", "수:1,2:3#"))
)
TEXTS = TEXT | HALVES | st.sampled_from(("8월 19일 열두 시에 코로나19로", " 집 ", "QR 100mm, 3.5%"))
TIMES = st.floats(0, 9) | st.floats(0, 9) | st.floats(0, 9).map(str) | st.sampled_from((None, "", "x", 10**400))
PLACE = st.fixed_dictionaries(
    {"start": st.integers(-1, 20) | st.just("") | ANY, "end": st.integers(0, 20) | st.just("")}
)


@st.composite
def objects(draw: st.DrawFn, **parts: st.SearchStrategy[Any]) -> Any:
    """Draw objects in which some parts are missing or replaced."""
    value = {}
    for name, part in parts.items():
        fate = draw(st.integers(0, 19))
        if fate:  # 0: missing
            value[name] = draw(ANY) if fate == 1 else None if fate == 2 else draw(part)
    return value


@st.composite
def gestures(draw: st.DrawFn) -> Any:
    sign = objects(gloss_id=SIGN, start=TIMES, end=TIMES, sentence_loc=PLACE)
    return [draw(sign) for _ in range(draw(st.integers(0, 3)))]


@st.composite
def niasl(draw: st.DrawFn) -> Any:
    script = objects(**{f"sign_gestures_{hand}": gestures() for hand in ("both", "strong", "weak")})
    metadata = objects(id=TEXT, signer_id=st.integers(), category=TEXT)
    signals = objects(Mmo=st.lists(objects(start=TIMES, end=TIMES), max_size=2))
    text = objects(raw=objects(korean=TEXTS))
    return draw(objects(metadata=metadata, text=text, sign_script=script, nms_script=signals))


@st.composite
def nikl(draw: st.DrawFn) -> Any:
    script = objects(sign_gestures_strong=gestures(), sign_gestures_weak=gestures())
    sentence = objects(koreanText=TEXTS, realm=TEXT)
    listed = st.lists(SIGN, max_size=3).map("/".join)
    return draw(objects(krlgg_sntenc=sentence, sign_lang_sntenc=listed, sign_script=script))


@st.composite
def aihub_103(draw: st.DrawFn) -> Any:
    sign = objects(start=TIMES, end=TIMES, attributes=st.lists(objects(name=SIGN), max_size=2))
    return draw(objects(metaData=objects(name=TEXT, korean=TEXTS), data=st.lists(sign, max_size=3)))


CORPUS = st.lists(niasl() | nikl() | aihub_103(), min_size=1, max_size=3)


def checked(path: Path, **options: Any) -> None:
    """Check that each row of a corpus is as documented, and that an error names the file."""
    is_corpus(path)
    for skipped in ("raise", "skip"):
        try:
            for where, row in read_corpus(path, on_bad_rows=skipped, **options):
                assert where.startswith(str(path))
                assert normalize_line(row["text"])
                assert row["text"] == row["text"].strip()
                assert row["glosses"]
                assert all(gloss and is_text(gloss) for gloss in row["glosses"])
                for name in ("starts", "ends", "hands", "senses", "spans"):
                    assert len(row[name]) == len(row["glosses"])
                times = [time for time in (*row["starts"], *row["ends"]) if time is not None]
                times += [signal[end] for signal in row["non_manual"] for end in ("start", "end")]
                assert all(isinstance(time, float) and math.isfinite(time) for time in times)
                for span in filter(None, row["spans"]):
                    assert 0 <= span[0] < span[1] <= len(row["text"])
                assert {type(row[name]) for name in ("id", "signer", "category", "source")} == {str}
        except ValueError as error:
            assert str(path) in str(error)
            assert len(str(error)) < 3000


@share(0.3)
@given(values=CORPUS, sense=st.sampled_from(("keep", "drop")), form=st.sampled_from(("lines", "array", "archive")))
def test_json_with_wrong_parts(folder: Path, values: list[Any], sense: str, form: str) -> None:
    path = folder / ("a.zip" if form == "archive" else "a.json")
    if form == "archive":
        archive(path, {f"{number}.json": value for number, value in enumerate(values)})
    else:
        path.write_text(json.dumps(values) if form == "array" else "".join(json.dumps(v) + "\n" for v in values))
    checked(path, sense=sense)


@share(0.1)
@given(content=damaged(json_text(niasl()).map(lambda text: text.encode(errors="surrogatepass"))), jsonl=st.booleans())
def test_damaged_json(folder: Path, content: bytes, jsonl: bool) -> None:
    path = folder / ("b.jsonl" if jsonl else "b.json")
    path.write_bytes(content)
    checked(path)


def packed(value: Any) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a.json", json.dumps(value))
    return content.getvalue()


@share(0.1)
@given(content=damaged(niasl().map(packed)))
def test_damaged_archives(folder: Path, content: bytes) -> None:
    path = folder / "c.zip"
    path.write_bytes(content)
    checked(path)


MILLISECONDS = st.none() | st.integers(0, 3000)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=6)
TIERS = st.tuples(
    st.sampled_from(("문장", "RH", "LH", "both", "x")),
    st.lists(st.tuples(VALUES, MILLISECONDS, MILLISECONDS), max_size=3),
)


def document(tiers: list[Any]) -> bytes:
    written = Document()
    for name, items in tiers:
        written.tier(name, *items)
    return str(written).encode()


DOCUMENTS = st.lists(TIERS, max_size=5).map(document)


@share(0.1)
@given(content=DOCUMENTS | damaged(DOCUMENTS))
def test_elan_with_wrong_parts(folder: Path, content: bytes) -> None:
    path = folder / "d.eaf"
    path.write_bytes(content)
    checked(path)
