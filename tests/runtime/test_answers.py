from __future__ import annotations

import copy
import html
import inspect
import json
import pickle
import re
from typing import Any

import numpy as np
import pytest

from kgloss_hf.runtime.answers import _COLOURS, GlossSequence, _letters, _Sign, _spelled
from kgloss_hf.runtime.fingerspelling import fingerspell
from kgloss_hf.runtime.glosses import GLOSS_TYPES, UNKNOWN_TYPE
from kgloss_hf.runtime.lexicon import Entry, Lexicon
from kgloss_hf.runtime.okt import Morpheme

WHOLE: dict[str, Any] = {
    "generated_text": "흙 Number ㄱ",
    "glosses": ["흙", "Number", "ㄱ"],
    "unresolved": [1],
    "unknown_words": ["안녕"],
    "log_prob": -1.5,
    "score": -0.5,
    "types": ["sign_word", "fingerspelled_number", "fingerspelling"],
    "alignment": [[0, 1], None, [2, 3]],
    "agreement": 0.5,
    "fallback": [2],
    "signs": [
        {"gloss": "흙", "entry": {"gloss": "흙", "video": "https://a.example/흙.mp4"}},
        {"gloss": "Number", "reason": "no source"},
        {"gloss": "ㄱ", "entry": {"gloss": "ㄱ", "id": "1"}},
    ],
    "confidence": [0.5, 0.25, None],
}


def test_every_key_is_an_attribute() -> None:
    answer = GlossSequence(WHOLE)
    assert {key: getattr(answer, key) for key in WHOLE} == WHOLE
    documented = (inspect.getdoc(GlossSequence) or "").partition("Attributes:")[2].partition("Raises:")[0]
    assert set(re.findall(r"^    (\w+): ", documented, re.MULTILINE)) == WHOLE.keys()


def test_a_key_that_is_not_there_names_the_option() -> None:
    answer = GlossSequence(generated_text="", glosses=[], unresolved=[])
    for key, option in (("types", "return_types=True"), ("score", "num_return_sequences=N"), ("log_prob", "consensus")):
        with pytest.raises(AttributeError, match=f"{key}: expected an answer with this key.*{option}"):
            getattr(answer, key)
    assert getattr(answer, "types", None) is None
    with pytest.raises(AttributeError):
        answer.glosses = ["흙"]  # type: ignore[misc]


def test_it_is_a_dict() -> None:
    answer = GlossSequence(WHOLE)
    assert list(answer) == list(WHOLE)
    assert len(answer) == len(WHOLE)
    assert answer == WHOLE
    assert json.loads(json.dumps(answer)) == WHOLE
    for same in (pickle.loads(pickle.dumps(answer)), copy.copy(answer), copy.deepcopy(answer)):  # noqa: S301
        assert (type(same), same) == (GlossSequence, answer)
    assert answer != GlossSequence(WHOLE | {"glosses": ["흙"]})


def _shown(answer: GlossSequence) -> str:
    return html.unescape(re.sub("<[^>]+>", "|", answer._repr_html_()))


def test_a_notebook_names_the_types() -> None:
    shown = _shown(GlossSequence(WHOLE))
    assert [part for part in shown.split("|") if part.strip()] == [
        *("흙", "sign word", "Number", "fingerspelled number, no source", "ㄱ", "fingerspelling, fallback"),
        "unknown words: 안녕",
    ]
    assert len(set(_COLOURS.values())) == len(_COLOURS)
    assert _COLOURS.keys() == {*GLOSS_TYPES, UNKNOWN_TYPE}
    plain = GlossSequence(generated_text="흙", glosses=["흙"], unresolved=[])
    assert [part for part in _shown(plain).split("|") if part] == ["흙"]
    assert "no glosses" in _shown(GlossSequence(generated_text="", glosses=[], unresolved=[]))


def test_a_notebook_runs_nothing_of_an_answer() -> None:
    evil = "<img src=x onerror='alert(\"1\")'>"
    answer = GlossSequence(
        generated_text=evil, glosses=[evil], unresolved=[0], types=[evil], unknown_words=[evil], fallback=[0]
    )
    assert set(re.findall(r"<(\w+)", answer._repr_html_())) == {"div", "span", "b", "br", "small"}
    assert "'alert" not in answer._repr_html_()


def _luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", _COLOURS.values())
def test_colours_stand_out_from_white_and_from_a_dark_theme(colour: str) -> None:
    for background in ("#ffffff", "#1e1e1e"):
        darker, lighter = sorted((_luminance(colour), _luminance(background)))
        assert (lighter + 0.05) / (darker + 0.05) >= 3  # required for parts of graphics


def test_nouns_go_behind_what_stands_before_them() -> None:
    """Check that the order is the same as if nouns were inserted one after the other."""

    def one_by_one(signs: list[_Sign], nouns: list[Morpheme]) -> list[str]:
        spelled = [*signs]
        for noun in nouns:
            span = (noun.start, noun.end)
            if not any(s.span and s.span[0] < span[1] and span[0] < s.span[1] for s in spelled):
                before = [place for place, s in enumerate(spelled) if s.span and s.span[1] <= span[0]]
                place = before[-1] + 1 if before else 0
                spelled[place:place] = _letters(noun.surface, span)
        return [sign.gloss for sign in spelled]

    draw = np.random.default_rng(0)
    for _ in range(200):
        size = draw.integers(1, 12)
        nouns = [Morpheme(name := chr(0xAC00 + 29 * i + 588), name, "Noun", 2 * i, 2 * i + 1) for i in range(size)]
        spans = [None, *((noun.start, noun.end) for noun in nouns)]
        chosen = draw.integers(len(spans), size=draw.integers(8))
        signs = [_Sign(f"{number}", "sign_word", span=spans[place]) for number, place in enumerate(chosen)]
        spelled = _spelled(signs, [None] * len(signs), nouns, lambda noun: False)
        assert [sign.gloss for sign in spelled] == one_by_one(signs, nouns)
    assert fingerspell(nouns[0].surface)


def test_only_nouns_that_can_be_spelled_are_inserted_among_what_is_played() -> None:
    nouns = [Morpheme("가", "가", "Noun", 0, 1), Morpheme("나", "나", "Noun", 1, 2)]
    lexicon = Lexicon([Entry("ㄱ", id="1"), Entry("ㅏ", id="2")])
    spelled = _spelled([], [], nouns, lambda noun: False, lexicon)
    assert [sign.gloss for sign in spelled] == ["ㄱ", "ㅏ"]


def test_a_notebook_links_to_videos_and_marks_what_nothing_plays() -> None:
    videos = {"토기": 'https://a.example/"><script>.mp4', "집": "clips/집.mp4", "불": "javascript:alert(1)"}
    signs: list[dict[str, Any]] = [
        {"gloss": gloss, "entry": {"gloss": gloss, "video": videos[gloss]}} for gloss in videos
    ]
    signs += [{"gloss": "휴관", "reason": "no entry"}, {"gloss": "질그릇", "entry": {"gloss": "토기"}, "way": "group"}]
    glosses = [sign["gloss"] for sign in signs]
    answer = GlossSequence(generated_text=" ".join(glosses), glosses=glosses, unresolved=[], signs=signs)
    page = answer._repr_html_()
    assert re.findall('href="([^"]*)"', page) == ["https://a.example/&quot;&gt;&lt;script&gt;.mp4"]
    assert "<script" not in page
    assert "javascript" not in page
    assert page.count("<small>no entry</small>") == page.count("<small>as 토기</small>") == 1
    assert str(answer) == "토기 | 집 | 불 | 휴관! | 질그릇"


def test_marks_of_a_letter_and_of_a_placeholder() -> None:
    signs = [{"gloss": "ㄱ", "reason": "no letter"}, {"gloss": "Number", "reason": "no source"}]
    answer = GlossSequence(glosses=["ㄱ", "Number"], unresolved=[1], fallback=[0], signs=signs)
    assert str(answer) == "ㄱ*! | Number?"
