from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pympi import Elan

from kgloss_hf.data.elan import read_eaf
from kgloss_hf.data.elan_writing import Signed, eaf_document
from kgloss_hf.data.pairs import read_pairs
from kgloss_hf.data.signs import Notes


def gloss(start: int, end: int, name: str, kind: str = "sign_word", **others: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "gloss": name, "type": kind, **others}


FILM = [
    Signed(
        "집에 불이 났어요.", 0, 900, [gloss(0, 300, "집"), gloss(300, 600, "불"), gloss(600, 900, "고개", "non_manual")]
    ),
    Signed(
        "도와 주세요.", 500, 1_500, [gloss(500, 1_500, "돕다", confidence=0.25, entry={"gloss": "돕다", "id": "7"})]
    ),
    Signed("끝 & <끝>", 1_500, 1_600, [gloss(1_500, 1_600, "끝", reason="no entry")]),
]


def test_pympi_and_the_reader_of_corpora_open_the_document(tmp_path: Path) -> None:
    path = tmp_path / "film.eaf"
    path.write_text(eaf_document(FILM, notes := Notes()), "utf-8")
    document = Elan.Eaf(path)
    assert document.get_annotation_data_for_tier("glosses") == [(0, 300, "집"), (300, 600, "불"), (1_500, 1_600, "끝")]
    assert document.get_annotation_data_for_tier("non-manual") == [(600, 900, "고개")]
    assert document.get_annotation_data_for_tier("sentence 2") == [(500, 1_500, "도와 주세요.")]
    assert [note[2] for note in document.get_ref_annotation_data_for_tier("glosses 2 entry")] == ["7"]
    assert [note[2] for note in document.get_ref_annotation_data_for_tier("glosses 2 confidence")] == ["0.2500"]
    assert not notes
    rows = list(read_pairs(str(path)))
    assert {row.pair for row in rows} == {
        ("집에 불이 났어요.", ("집", "불")),
        ("도와 주세요.", ("돕다",)),
        ("끝 & <끝>", ("끝",)),
    }
    first = next(row for row in rows if row.pair.glosses == ("집", "불"))
    assert (first.cells["starts"], first.cells["ends"]) == ([0.0, 0.3], [0.3, 0.6])
    assert [signal["signal"] for signal in first.cells["non_manual"]] == ["non-manual:고개"]


def test_same_sentences_give_the_same_bytes_without_author_or_path() -> None:
    document = eaf_document(FILM, Notes())
    assert document == eaf_document(FILM[::-1], Notes())
    assert 'AUTHOR=""' in document
    assert 'MEDIA_FILE=""' in document


def test_what_has_no_length_is_left_out_and_counted() -> None:
    notes = Notes()
    film = [Signed("집", 0, 0, [gloss(0, 0, "집")]), Signed("불", 0, 9, [gloss(0, 0, "불"), gloss(0, 9, "물")])]
    tiers = {tier.name: tier.annotations for tier in read_eaf(eaf_document(film, notes))}
    assert [note.value for note in tiers["sentence"]] == ["불"]
    assert [note.value for note in tiers["glosses"]] == ["물"]
    assert "1 sentence without length" in str(notes)
    assert "1 sign without length" in str(notes)


def test_control_characters_do_not_break_the_document() -> None:
    (sentence, *_) = read_eaf(eaf_document([Signed("집\x0b\x00", 0, 9, [gloss(0, 9, "a\x1b")])], Notes()))
    assert "집" in sentence.annotations[0].value


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 30)), max_size=12))
def test_annotations_of_a_tier_never_overlap(times: list[tuple[int, int]]) -> None:
    film = [Signed("집", start, start + length, [gloss(start, start + length, "집")]) for start, length in times]
    tiers = [tier.annotations for tier in read_eaf(eaf_document(film, Notes())) if tier.name.startswith("sentence")]
    assert sum(map(len, tiers)) == sum(length > 0 for _, length in times)
    for own in tiers:
        for before, after in pairwise(own):
            assert before.end <= after.start


@pytest.mark.parametrize("film", [[], [Signed("", 0, 9, [])]])
def test_film_without_speech_gives_an_empty_document(film: list[Signed], tmp_path: Path) -> None:
    path = tmp_path / "film.eaf"
    path.write_text(eaf_document(film, Notes()), "utf-8")
    assert Elan.Eaf(path).get_annotation_data_for_tier("sentence") == []
