import sys

import pytest

from kgloss_hf.evaluation.baselines import NearestNeighbour, copy_glosses

TEXTS = ["집에 불이 났어요.", "도와주세요.", "화장실이 어디에 있나요?", "식사를 하다가 목에 음식이 걸렸어요."]
GLOSSES = [["집", "불"], ["돕다", "부탁"], ["화장실", "어디"], ["먹다", "중간", "목", "실수", "삼키다"]]


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
        ("", []),
        (" \n", []),
        ("?!", []),
    ],
)
def test_copies_content_words(text, expected):
    assert copy_glosses([text]) == [expected]


def test_copies_batches_in_order():
    assert copy_glosses([]) == []
    assert copy_glosses(["집", "", "불"]) == [["집"], [], ["불"]]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("집에 불이", r"found one string; write \['집에 불이'\]"),
        (["집", None], r"texts\[1\]: expected a string, found NoneType"),
    ],
)
def test_texts_of_another_type(texts, message):
    fitted = NearestNeighbour().fit(TEXTS, GLOSSES)
    for call in (copy_glosses, fitted.predict, lambda found: NearestNeighbour().fit(found, GLOSSES[:2])):
        with pytest.raises(TypeError, match=message):
            call(texts)


def test_exact_sentences_give_their_glosses():
    assert NearestNeighbour().fit(TEXTS, GLOSSES).predict(TEXTS) == GLOSSES


def test_nearest_of_changed_sentences():
    fitted = NearestNeighbour().fit(TEXTS, GLOSSES)
    assert fitted.predict(["화장실은 어디죠?", "불이 났다"]) == [GLOSSES[2], GLOSSES[0]]
    assert fitted.predict([]) == []


def test_glosses_may_be_strings():
    assert NearestNeighbour().fit(TEXTS, [" ".join(glosses) for glosses in GLOSSES]).predict(TEXTS) == GLOSSES


def test_ties_go_to_the_first():
    fitted = NearestNeighbour().fit(["나", "집", "집"], [["나"], ["집1"], ["집2"]])
    assert fitted.predict(["집", "zzz", ""]) == [["집1"], ["나"], ["나"]]


def test_batches_change_nothing(monkeypatch):
    whole = NearestNeighbour().fit(TEXTS, GLOSSES).predict(TEXTS * 5)
    monkeypatch.setattr("kgloss_hf.evaluation.baselines._SIMILARITIES_AT_ONCE", 9)
    assert NearestNeighbour().fit(TEXTS, GLOSSES).predict(TEXTS * 5) == whole


def test_predictions_are_copies():
    fitted = NearestNeighbour().fit(TEXTS, GLOSSES)
    fitted.predict(TEXTS)[0].append("x")
    assert fitted.predict(TEXTS) == GLOSSES


def test_fitting_again_forgets():
    assert NearestNeighbour().fit(TEXTS, GLOSSES).fit(["집"], ["불"]).predict(TEXTS[:1]) == [["불"]]


@pytest.mark.parametrize(
    ("texts", "glosses", "error", "message"),
    [
        (TEXTS, GLOSSES[:1], ValueError, "found 4 texts and 1 gloss sequences; pass two columns"),
        ([], [], ValueError, "at least one text that is not blank, found 0"),
        (["", " "], [["집"], ["불"]], ValueError, "not blank, found 2"),
        (["집"], "집", TypeError, "glosses: expected a list of gloss sequences, found one string"),
        (["집"], [None], TypeError, r"glosses\[0\]: .* found NoneType"),
    ],
)
def test_fit_errors(texts, glosses, error, message):
    with pytest.raises(error, match=message):
        NearestNeighbour().fit(texts, glosses)


def test_predicting_before_fitting():
    with pytest.raises(ValueError, match="call fit"):
        NearestNeighbour().predict(TEXTS)


def test_scikit_learn_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "kgloss-hf\[train\]"'):
        NearestNeighbour().fit(TEXTS, GLOSSES)
