from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

from conftest import SENTENCES
from kgloss_hf.data.language import SAMPLE, check_language
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

OTHERS = {
    "English": ["The museum opens at 9.", "Where is the exit?"],
    "German": ["morgen wird es im süden kühler", "örtlich fällt regen"],
    "Turkish": ["Müze saat dokuzda açılıyor"],
    "Russian": ["Музей открывается в девять часов утра."],
    "Japanese": ["博物館は9時に開きます。"],
}


@pytest.mark.parametrize("texts", OTHERS.values(), ids=OTHERS.keys())
def test_another_language_under_okt_is_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"analyser okt reads, found \d+% of words .* add --analyzer whitespace"):
        check_language("okt", texts)
    check_language("whitespace", texts)


@pytest.mark.parametrize("analyzer", ["kiwi", "mecab", "komoran"])
def test_other_analysers_of_korean(analyzer: str) -> None:
    check_language(analyzer, SENTENCES)
    for language in ("English", "German", "Turkish", "Russian"):
        with pytest.raises(ValueError, match=f"the analyser {analyzer} reads"):
            check_language(analyzer, OTHERS[language])


@pytest.mark.parametrize(
    "text",
    [
        "QR 코드를 스캔하면 PDF 12개를 WiFi로 봅니다.",
        "3시 20분, 4시 30분에 만나요",
        "1 2 3 4",
        "?!",
        "",
        "ㅋㅋㅋ",
        "大韓民國은 민주공화국이다",
    ],
)
def test_korean_with_latin_words_and_numbers_is_read(text: str, caplog: pytest.LogCaptureFixture) -> None:
    check_language("okt", [text])
    assert not caplog.records


def test_korean_of_mostly_latin_words_gets_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    check_language("okt", ["KBS MBC SBS 방송", "QR WiFi 코드"], "my sentences")
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "my sentences: 71% of words are in a script other than Hangul (sentences examined: 2, for example 'KBS MBC"
    )


def test_half_of_the_words_is_not_most_of_them() -> None:
    check_language("okt", ["exit door", "출구 문"])
    with pytest.raises(ValueError, match="found 60% of words in another script"):
        check_language("okt", ["exit door open", "출구 문"])


def test_only_the_first_sentences_are_read() -> None:
    def texts() -> Iterator[str]:
        for number in range(SAMPLE):
            yield f"집 {number}"
        raise AssertionError("one too many")

    check_language("okt", texts())


def test_a_tokenizer_is_checked_by_its_own_analyser(
    tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture
) -> None:
    check_language(tokenizer, SENTENCES)
    english = train_tokenizer(OTHERS["English"], [["EXIT"]], analyzer="whitespace")
    check_language(english, OTHERS["English"])
    assert not caplog.records
    with pytest.raises(ValueError, match="use a tokenizer that was learnt with --analyzer whitespace"):
        check_language(tokenizer, OTHERS["English"])


def test_a_tokenizer_that_does_not_know_most_words_gets_a_warning(
    tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture
) -> None:
    english = train_tokenizer(OTHERS["English"], [["EXIT"]], analyzer="whitespace")
    check_language(english, ["문화를 확인한다."], "training sentences")
    copies = copy.deepcopy(tokenizer)
    copies.init_kwargs["copy_names"] = True
    check_language(copies, ["이화여대 여의도"])
    text = "training sentences: the tokenizer does not know 100% of words (sentences examined: 1, for example "
    assert [record.getMessage()[: len(text) + 4] for record in caplog.records] == [f"{text}'문화를", f"{text}'이화여"]
