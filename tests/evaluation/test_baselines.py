from __future__ import annotations

import sys

import pytest

from kgloss_hf.data.pairs import Pair, Split
from kgloss_hf.evaluation.baselines import baseline_predictions

PAIRS = [
    Pair("집에 불이 났어요.", ("집", "불")),
    Pair("도와주세요.", ("돕다", "부탁")),
    Pair("화장실이 어디에 있나요?", ("화장실", "어디")),
    Pair("식사를 하다가 목에 음식이 걸렸어요.", ("먹다", "Number/4C", "목", "실수", "삼키다")),
]
GLOSSES = [["집", "불"], ["돕다", "부탁"], ["화장실", "어디"], ["먹다", "4C", "목", "실수", "삼키다"]]


def answers(baseline: str, texts: list[str], training: list[Pair] = PAIRS, analyzer: str = "okt") -> list[list[str]]:
    return baseline_predictions(Split(training, [], [Pair(text, ()) for text in texts]), analyzer)[baseline]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("집에 불이 났어요.", ["집", "불", "나다"]),
        ("몸의 형태에 따라 구분된다.", ["몸", "형태", "따르다", "구분", "되다"]),
        ("전남은 4세기 전반부터", ["전남", "4C", "전반"]),
        ("4 세기와 30분, 100개", ["4C", "30분", "100", "개"]),
        ("QR 코드", ["QR", "코드"]),
        ("그러나 너무 빨리!", ["너무", "빨리"]),
        ("세기의 결혼", ["세기", "결혼"]),
        ("이것을 못합니다", ["것", "못", "하다"]),
        ("아름다운 탑을 천천히 보세요", ["아름답다", "탑", "천천히", "보다"]),
        ("화면\u00a0하단에", ["화면", "하단"]),
        ("\u110c\u1175\u11b8\u200b에 ２", ["집", "2"]),
        ("", []),
        (" \n", []),
        ("?!", []),
    ],
)
def test_copies_content_words(text: str, expected: list[str]) -> None:
    assert answers("copy", [text]) == [expected]


def test_copies_batches_in_order() -> None:
    assert answers("copy", []) == []
    assert answers("copy", ["집", "", "불"]) == [["집"], [], ["불"]]


def test_nearest_neighbour() -> None:
    assert answers("nearest neighbour", [pair.text for pair in PAIRS]) == GLOSSES
    assert answers("nearest neighbour", ["화장실은 어디죠?", "불이 났다"]) == [GLOSSES[2], GLOSSES[0]]
    assert answers("nearest neighbour", []) == []


def test_ties_go_to_the_first() -> None:
    training = [Pair("나", ("나",)), Pair("집", ("집1",)), Pair("집", ("집2",))]
    assert answers("nearest neighbour", ["집", "zzz", ""], training) == [["집1"], ["나"], ["나"]]


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [pair.text for pair in PAIRS] * 5
    monkeypatch.setattr("kgloss_hf.evaluation.baselines._SIMILARITIES_AT_ONCE", 9)
    assert answers("nearest neighbour", texts) == GLOSSES * 5


def test_scikit_learn_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "kgloss-hf\[train\]"'):
        answers("nearest neighbour", ["집"])


@pytest.mark.parametrize("analyzer", ["kiwi", "mecab", "komoran"])
def test_other_analysers_copy_the_same_parts_of_speech(analyzer: str) -> None:
    copied = answers("copy", ["그리고 이 박물관에서 토기 12점을 보세요!", "PDF"], analyzer=analyzer)
    assert copied == [["박물관", "토기", "12", "점", "보다"], ["PDF"]]


@pytest.mark.parametrize(
    ("glosses", "expected"),
    [
        (("WETTER", "MORGEN", "poss-SEIN"), ["WEISS", "IST", "DER", "SCHNEE", "12"]),
        (("wetter", "morgen"), ["weiß", "ist", "der", "schnee", "12"]),
        (("Wetter", "MORGEN"), ["Weiß", "ist", "der", "Schnee", "12"]),
        (("12", "Number/7", "WETTER"), ["Weiß", "ist", "der", "Schnee", "12"]),
    ],
)
def test_words_are_copied_in_the_case_of_the_glosses(glosses: tuple[str, ...], expected: list[str]) -> None:
    training = [Pair("das Wetter morgen", glosses)]
    assert answers("copy", ["Weiß ist der Schnee (12)!"], training, "whitespace") == [expected]


def test_latin_glosses_among_korean_ones_fold_nothing() -> None:
    assert answers("copy", ["wifi 코드"], [Pair("QR 코드", ("QR", "코드", "보다"))]) == [["wifi", "코드"]]


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="expected Korean, which the analyser okt reads"):
        answers("copy", ["das Wetter"], [Pair("das Wetter morgen", ("WETTER",))])
