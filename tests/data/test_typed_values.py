from __future__ import annotations

import unicodedata

import pytest

from kgloss_hf.data.typed_values import Sentence, typed_parts
from kgloss_hf.runtime.glosses import content_of, placeholder_of
from kgloss_hf.runtime.okt import analyze
from kgloss_hf.runtime.placeholders import restore_placeholders


@pytest.mark.parametrize(
    ("gloss", "text", "glosses"),
    [
        ("날짜:8월19일", "8월 19일부터", ["Number/8월", "Number/19일"]),
        ("날짜:8월 19일", "8월19일(목)", ["Number/8월", "Number/19일"]),
        ("날짜:2021년8월", "2021년 8월에", ["Number/2021년", "Number/8월"]),
        ("시:12시20분", "12시 20분 현재", ["Number/12시", "Number/20분"]),
        ("시:오후3시", "오후 3시에 연다", ["오후", "Number/3시"]),
        ("시간:3시간30분", "3시간 30분 동안", ["Number/3시간", "Number/30분"]),
        ("시:20시~22시", "20시~22시 통제", ["Number/20시", "Number/22시"]),
        ("날짜:8월", "8 월의 날씨", ["Number/8", "월"]),
        ("숫자:100mm", "비가 100mm 왔다", ["Number/100", "Alpha/mm"]),
        ("숫자:3.5%", "물가가 3.5% 올랐다", ["Number/3.5%"]),
        ("숫자:1200명", "1,200명이 대피했다", ["Number/1,200", "명"]),
        ("숫자:70만원", "70만원을 냈다", ["Number/70만원"]),
        ("숫자:1만2천명", "1만 2천명이 왔다", ["Number/1만", "Number/2천", "명"]),
        ("숫자:3백명", "3백명이 왔다", ["Number/3백", "명"]),
        ("숫자:10~20명", "10~20명이 온다", ["Number/10~20", "명"]),
        ("시:12:20", "12:20에 출발한다", ["Number/12:20"]),
        ("날짜:2021.8.19", "2021.8.19에 찍었다", ["Number/2021.8", "Number/19"]),
        ("전화:02-1234-5678", "02-1234-5678로 전화하세요", ["Number/02-1234", "Number/5678"]),
        ("숫자:1,2,3등", "1,2,3등이 왔다", ["Number/1", "Number/2", "Number/3등"]),
        ("숫자:1000.5", "1,000.5에 섰다", ["Number/1,000.5"]),
        ("세기:4세기", "4세기의 그릇", ["Number/4C"]),
        ("코드:QR", "QR 코드를 찍는다", ["Alpha/QR"]),
        ("코드:qr", "QR 코드를 찍는다", ["Alpha/QR"]),
        ("이름:제5호", "제5호 태풍", ["제", "Number/5", "호"]),
        ("시:12시", "열두 시에 만난다", ["Number/12", "시"]),
        ("숫자:20", "스무 명이 왔다", ["Number/20"]),
        ("URL:QR", "QR 코드를 찍는다", ["Alpha/QR"]),
    ],
)
def test_what_the_sentence_holds_is_restored_from_it(gloss: str, text: str, glosses: list[str]) -> None:
    parts = typed_parts(gloss, Sentence(text))
    assert [part.gloss for part in parts] == glosses
    assert all(part.held for part in parts)
    restored = restore_placeholders(map(placeholder_of, glosses), analyze([text])[0])
    assert restored == list(map(content_of, glosses))


@pytest.mark.parametrize(
    ("gloss", "text", "glosses"),
    [
        ("시:12시", "낮에 온다", ["12시"]),
        ("시:12시20분", "12시에 온다", ["Number/12시", "20분"]),
        ("숫자:1200명", "많이 왔다", ["1200명"]),
        ("숫자:100mm", "비가 왔다", ["100mm"]),
        ("코드:QR", "코드를 찍는다", ["QR"]),
        ("날짜:19일", "119에 신고한다", ["19일"]),
        ("시:2시", "12시에 온다", ["2시"]),
    ],
)
def test_what_the_sentence_lacks_stays_plain(gloss: str, text: str, glosses: list[str]) -> None:
    parts = typed_parts(gloss, Sentence(text))
    assert [part.gloss for part in parts] == glosses
    assert not parts[-1].held


@pytest.mark.parametrize(
    ("gloss", "text"),
    [("집", "집"), ("12:20", "12:20에"), ("IX:i", "i see"), (":집", "집"), ("날짜:", "집"), ("http://a.kr", "집")],
)
def test_no_typed_values(gloss: str, text: str) -> None:
    assert typed_parts(gloss, Sentence(text)) == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("text", ["8월 19일, 8월 20일", "\u200b８월 １９일, ８월 ２０일"])
def test_spans_are_those_of_the_text_as_given(text: str, form: str) -> None:
    text = unicodedata.normalize(form, text) if form == "NFD" else text
    whole = (text.index(","), len(text))
    (month, day) = typed_parts("날짜:8월20일", Sentence(text), whole)
    assert month.span is not None
    assert day.span is not None
    written = [unicodedata.normalize("NFKC", text[slice(*part.span)]) for part in (month, day) if part.span]
    assert written == ["8월", "20일"]
    assert month.span[0] > whole[0]


def test_parts_outside_the_span_keep_it() -> None:
    (part,) = typed_parts("날짜:8월", Sentence("어느 날, 8월"), (0, 4))
    assert part.span == (0, 4)
    assert typed_parts("날짜:8월", Sentence("8월"))[0].span is None
