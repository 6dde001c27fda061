from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.data.signs import Notes
from kgloss_hf.data.speech import sentences_of
from kgloss_hf.data.subtitles import Cue
from kgloss_hf.data.timelines import by_rule, learnt_durations, spread, timeline

TYPES = ["sign_word", "fingerspelling", "non_manual"]


@st.composite
def films(draw: st.DrawFn) -> tuple[list[Cue], list[Any], list[dict[str, Any]]]:
    start, cues = 0, []
    for number in range(draw(st.integers(0, 7))):
        start += draw(st.integers(0, 1_500))
        text = draw(
            st.sampled_from(["이 토기는", "4세기에 만들어졌어요. 볼까요?", "- 네\n- 아니", "(음악)", "가요", ""])
        )
        cues.append(Cue(number + 1, start, start + draw(st.sampled_from([0, 1, 3, 900, 2_000])), text))
    sentences = sentences_of(cues, Notes())
    answers = []
    for sentence in sentences:
        glosses = draw(st.lists(st.sampled_from(["토기", "4C", "ㄱ", "볼"]), max_size=6)) if sentence.text else []
        place = st.integers(0, max(0, len(sentence.text) - 1)).map(lambda at: [at, at + 1])
        spans = [draw(st.none() | place) for _ in glosses]
        answers.append({"glosses": glosses, "types": [draw(st.sampled_from(TYPES)) for _ in glosses]})
        answers[-1]["alignment"] = spans
    return cues, sentences, answers


@given(films())
def test_times_never_leave_their_cues_nor_their_order(film: tuple[list[Cue], list[Any], list[dict[str, Any]]]) -> None:
    cues, sentences, answers = film
    spans = spread(cues, sentences, answers)
    document = timeline(cues, sentences, answers, spans)
    by_number = {cue.number: cue for cue in cues}
    assert json.loads(json.dumps(document)) == document
    assert {number for one in document["sentences"] for number in one["cues"]} == set(by_number)
    for sentence, answer, span in zip(document["sentences"], answers, spans, strict=True):
        items = sentence["glosses"]
        assert [item["gloss"] for item in items] == answer["glosses"]
        own = [by_number[number] for number in sentence["cues"]]
        assert own[0].start <= sentence["start"] <= sentence["end"] <= own[-1].end
        last = sentence["start"]
        for item, timed in zip(items, span.glosses, strict=True):
            cue = cues[timed.cue]
            assert cue.number in sentence["cues"]
            assert max(cue.start, last) <= item["start"] <= item["end"] <= min(cue.end, sentence["end"])
            assert isinstance(item["start"], int)
            assert isinstance(item["end"], int)
            last = item["end"]


@given(films())
def test_gloss_whose_source_keeps_the_order_is_in_the_cue_of_its_source(film: Any) -> None:
    cues, sentences, answers = film
    for sentence, answer, span in zip(sentences, answers, spread(cues, sentences, answers), strict=True):
        sources = [
            next((part.cue for part in reversed(sentence.parts) if at and part.start <= at[0]), None)
            for at in answer["alignment"]
        ]
        told = [source for source in sources if source is not None]
        if told == sorted(told):
            for source, timed in zip(sources, span.glosses, strict=True):
                assert source in (None, timed.cue)


def places(*spans: list[int] | None) -> list[int]:
    cues = [Cue(1, 0, 100, "하나"), Cue(2, 100, 200, "둘"), Cue(3, 200, 300, "셋")]
    answer = {"glosses": ["집"] * len(spans), "alignment": list(spans)}
    (span,) = spread(cues, sentences_of(cues, Notes()), [answer])
    return [timed.cue for timed in span.glosses]


def test_gloss_without_a_source_or_against_the_order_goes_between_its_neighbours() -> None:
    first, second, third = [0, 2], [3, 4], [5, 6]
    assert places(first, None, third, None) == [0, 0, 2, 2]
    assert places(None, second) == [1, 1]
    assert places(first, third, second, third) == [0, 1, 1, 2]
    assert places(third, first, first, second) == [0, 0, 0, 1]
    assert places(first, second, first, third) == [0, 0, 0, 2]
    assert places(None, None) == [0, 0]


def test_sentences_of_a_cue_share_its_time_by_characters() -> None:
    cues = [Cue(1, 1_000, 2_000, "네. 갑니다.")]
    sentences = sentences_of(cues, Notes())
    spans = spread(cues, sentences, [{"glosses": ["맞다"]}, {"glosses": ["가다", "2026"], "types": TYPES[:2]}])
    assert [span[:2] for span in spans] == [(1_000, 1_333), (1_333, 2_000)]
    lengths = [timed.end - timed.start for timed in spans[1].glosses]
    assert lengths == [191, 476]  # one sign, and five numerals of half the weight


def test_learnt_durations_are_medians_of_the_gloss_its_type_or_all(tmp_path: Path) -> None:
    rows = [
        {"text": "집", "glosses": ["집", "집"], "starts": [0, 1.0], "ends": [0.4, 1.6], "gloss_types": ["a", "a"]},
        {"text": "불", "glosses": ["불", "물"], "starts": [0, None], "ends": [2.0, 3.0], "gloss_types": ["b", "b"]},
        {"text": "강", "glosses": ["강"]},
    ]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    weigh = learnt_durations(str(corpus))
    measured = [weigh("집", "b"), weigh("물", "b"), weigh("강", "c")]
    assert measured == pytest.approx([0.5, 2.0, 0.6])


@pytest.mark.parametrize(("starts", "ends"), [('"[0, 1.0]"', '"[0.5, 3.0]"'), ("0 1.0", "0.5 3.0"), ("0;x", "0.5;3")])
def test_durations_are_read_from_cells(tmp_path: Path, starts: str, ends: str) -> None:
    corpus = tmp_path / "corpus.csv"
    corpus.write_text(f"text,glosses,starts,ends\n집,집 불,{starts},{ends}\n", "utf-8")
    weigh = learnt_durations(str(corpus))
    assert (weigh("집", ""), weigh("불", "")) == (0.5, 0.5 if "x" in starts else 2.0)


def test_endless_durations_do_not_count(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    rows = ('"starts": [0, 0], "ends": [Infinity, NaN]', '"starts": ["0", 1], "ends": ["0.5", 0.5]')
    corpus.write_text("\n".join(f'{{"text": "집", "glosses": ["집", "불"], {row}}}' for row in rows), "utf-8")
    assert learnt_durations(str(corpus))("불", "") == 0.5


def test_corpus_without_times_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("text,glosses\n집,집\n", "utf-8")
    with pytest.raises(ValueError, match="expected starts and ends of glosses"):
        learnt_durations(str(tmp_path / "pairs.csv"))


def test_rule_gives_the_longest_most() -> None:
    weights = [by_rule(*gloss) for gloss in (("ㄱ", TYPES[1]), ("집", TYPES[0]), ("2026", "fingerspelled_number"))]
    assert weights == [0.5, 1.0, 2.5]
    assert by_rule(".", "fingerspelled_number") > 0


def test_items_hold_what_the_answer_tells_of_the_sign() -> None:
    cues = [Cue(7, 0, 300, "집 불 Number")]
    answer = {
        "glosses": ["집", "불", "Number"],
        "types": ["sign_word", "iconic", "fingerspelled_number"],
        "confidence": [0.9, None, 0.5],
        "unresolved": [2],
        "unknown_words": ["집"],
        "signs": [
            {"gloss": "집", "entry": {"gloss": "집", "id": "1"}},
            {"gloss": "불", "letters": [{"gloss": "ㅂ"}]},
            {"gloss": "Number", "reason": "no source"},
        ],
    }
    sentences = sentences_of(cues, Notes())
    (sentence,) = timeline(cues, sentences, [answer], spread(cues, sentences, [answer]))["sentences"]
    assert (sentence["cues"], sentence["unknown_words"]) == ([7], ["집"])
    house, fire, number = sentence["glosses"]
    assert (house["confidence"], house["entry"]) == (0.9, {"gloss": "집", "id": "1"})
    assert (fire["confidence"], fire["letters"], fire["type"]) == (None, [{"gloss": "ㅂ"}], "iconic")
    assert (number["unresolved"], number["reason"]) == (True, "no source")
