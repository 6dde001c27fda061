"""Tests on ELAN documents with invented content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest

from kgloss_hf.data.elan import read_eaf
from kgloss_hf.data.sign_corpora import is_corpus, read_corpus

Timed = tuple[str, int | None, int | None]


class Document:
    """Builder of an ELAN document, in which each annotation has time slots of its own, except in chains."""

    def __init__(self) -> None:
        self._slots: list[int | None] = []
        self._tiers: list[str] = []
        self._count = 0

    def slot(self, time: int | None) -> str:
        self._slots.append(time)
        return f"ts{len(self._slots)}"

    def aligned(self, value: str, one: str, other: str) -> str:
        self._count += 1
        return (
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{self._count}" TIME_SLOT_REF1="{one}" '
            f'TIME_SLOT_REF2="{other}"><ANNOTATION_VALUE>{escape(value)}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
            "</ANNOTATION>"
        )

    def tier(self, name: str, *annotations: Timed, **attributes: str) -> Document:
        inner = [self.aligned(value, self.slot(start), self.slot(end)) for value, start, end in annotations]
        return self.add(name, inner, **attributes)

    def chain(self, name: str, values: Sequence[str], start: int, end: int) -> Document:
        slots = [self.slot(start), *(self.slot(None) for _ in values[1:]), self.slot(end)]
        return self.add(name, [self.aligned(v, *slots[n : n + 2]) for n, v in enumerate(values)])

    def referring(self, name: str, parent: str, *pairs: tuple[str, str], chained: bool = False) -> Document:
        inner = []
        for number, (value, reference) in enumerate(pairs):
            self._count += 1
            previous = f' PREVIOUS_ANNOTATION="a{self._count - 1}"' if chained and number else ""
            inner.append(
                f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a{self._count}" ANNOTATION_REF="{reference}"{previous}>'
                f"<ANNOTATION_VALUE>{escape(value)}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
            )
        return self.add(name, list(reversed(inner)) if chained else inner, PARENT_REF=parent)

    def add(self, name: str, annotations: list[str], **attributes: str) -> Document:
        more = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
        self._tiers.append(
            f'<TIER TIER_ID={quoteattr(name)} LINGUISTIC_TYPE_REF="t"{more}>{"".join(annotations)}</TIER>'
        )
        return self

    def __str__(self) -> str:
        slots = "".join(
            f'<TIME_SLOT TIME_SLOT_ID="ts{n}"' + ("" if time is None else f' TIME_VALUE="{time}"') + "/>"
            for n, time in enumerate(self._slots, 1)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT FORMAT="3.0"><HEADER MEDIA_FILE="" '
            f'TIME_UNITS="milliseconds"/><TIME_ORDER>{slots}</TIME_ORDER>{"".join(self._tiers)}</ANNOTATION_DOCUMENT>'
        )


def write(folder: Path, document: object) -> Path:
    path = folder / "invented.eaf"
    path.write_text(str(document), "utf-8")
    return path


def rows(folder: Path, document: object, **options: Any) -> list[dict[str, Any]]:
    return [row for _, row in read_corpus(write(folder, document), **options)]


def small() -> Document:
    return Document().tier("문장", ("집이 크다", 0, 2000)).tier("글로스", ("집1", 0, 900), ("크다1", 1000, 1900))


def test_sentences_with_the_signs_made_in_their_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = (
        Document()
        .tier("sentence", ("둘째", 3000, 5000), ("첫째", 0, 2000), PARTICIPANT="S01")
        .tier("RH", ("집1", 100, 900), ("불1", 3100, 3500), ("끝1", 1500, 2300), ("밖1", 2100, 2900))
        .tier("LH", ("집1", 200, 950), ("불1", 3600, 4000))
        .tier("both", ("크다1", 950, 1400))
        .tier("head", ("nod", 500, 700), ("shake", 4000, 4100))
        .tier("Mmo", ("", 3000, 3200))
    )
    path = write(tmp_path, document)
    assert is_corpus(path)
    (one, first), (other, second) = read_corpus(path)
    assert (one, other) == (f"{path}, sentence 1", f"{path}, sentence 2")
    assert (first["id"], first["text"], first["signer"], first["source"]) == ("invented-1", "첫째", "S01", "ELAN")
    assert first["glosses"] == ["집1", "크다1", "끝1"]
    assert first["hands"] == ["both", "both", "strong"]
    assert (first["starts"], first["ends"]) == ([0.1, 0.95, 1.5], [0.95, 1.4, 2.3])
    assert first["spans"] == [None] * 3
    assert first["non_manual"] == [{"signal": "head:nod", "start": 0.5, "end": 0.7}]
    assert second["glosses"] == ["불1", "불1"]
    assert second["hands"] == ["strong", "weak"]
    assert [signal["signal"] for signal in second["non_manual"]] == ["Mmo", "head:shake"]
    assert "read as ELAN (2 rows), 5 glosses; 1 sign outside every sentence left out" in caplog.text


@pytest.mark.parametrize(
    ("text", "strong", "weak"),
    [
        ("sentence", "right", "left"),
        ("Korean", "gloss_RH", "gloss_LH"),
        ("English translation", "main gloss", "non-dominant hand gloss"),
        ("한국어", "오른손", "왼손"),
        ("번역", "우세손 글로스", "비우세손 글로스"),
        ("Text_A", "Gloss_r_A", "Gloss_l_A"),
        ("문장", "수어1", "수어2"),
    ],
)
def test_names_of_tiers_tell_what_they_hold(tmp_path: Path, text: str, strong: str, weak: str) -> None:
    document = Document().tier("eye gaze left", ("x", 0, 100)).tier(text, ("문장이다", 0, 1000))
    (row,) = rows(tmp_path, document.tier(strong, ("하나", 100, 400)).tier(weak, ("둘", 500, 900)))
    assert (row["glosses"], row["hands"]) == (["하나", "둘"], ["strong", "weak"])


def test_a_single_tier_of_glosses_tells_no_hand(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, small())
    assert (row["id"], row["glosses"], row["hands"]) == ("invented", ["집1", "크다1"], ["", ""])


def test_tiers_can_be_named(tmp_path: Path) -> None:
    document = small().tier("A", ("불이 났다", 0, 2000)).tier("B", ("불1", 0, 500)).tier("C", ("나다1", 500, 900))
    (row,) = rows(tmp_path, document, text_tier="A", gloss_tiers=["b", "C"])
    assert (row["text"], row["glosses"], row["hands"]) == ("불이 났다", ["불1", "나다1"], ["strong", "weak"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_tier": "X"}, r"expected one tier 'X', found the tiers '문장' \(1\).*--text_column"),
        ({"gloss_tiers": ["X"]}, r"expected one tier 'X', found the tiers '문장' \(1\).*--gloss_column"),
    ],
)
def test_a_tier_that_is_not_there(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rows(tmp_path, small(), **options)


def test_tiers_whose_names_tell_nothing_are_listed(tmp_path: Path) -> None:
    document = Document().tier("A", ("집", 0, 9)).tier("B", ("집1", 0, 9), ("집1", 9, 12))
    expected = r"sentences and glosses, found the tiers 'A' \(1\), 'B' \(2\), each with .*--text_column.*--gloss_column"
    with pytest.raises(ValueError, match=expected):
        rows(tmp_path, document)
    with pytest.raises(ValueError, match="expected tier names that show which tiers hold sentences, found"):
        rows(tmp_path, small().tier("sentence", ("집", 0, 2000)))


def test_people_have_tiers_of_their_own(tmp_path: Path) -> None:
    document = Document()
    for person, gloss in (("A", "집1"), ("B", "불1")):
        document.tier(f"sentence_{person}", (f"말 {person}", 0, 1000), PARTICIPANT=person)
        document.tier(f"gloss_{person}", (gloss, 0, 500), PARTICIPANT=person)
        document.tier(f"head_{person}", ("nod", 0, 500), PARTICIPANT=person)
    first, second = rows(tmp_path, document)
    assert (first["signer"], first["glosses"], second["signer"], second["glosses"]) == ("A", ["집1"], "B", ["불1"])
    assert [signal["signal"] for signal in first["non_manual"]] == ["head_A:nod"]
    (row,) = rows(tmp_path, document, text_tier="sentence_B")
    assert (row["glosses"], len(row["non_manual"])) == (["불1"], 1)
    both = rows(tmp_path, document, text_tier="sentence_A,sentence_B", gloss_tiers=["gloss_A", "gloss_B"])
    assert [row["glosses"] for row in both] == [["집1"], ["불1"]]


def test_annotations_that_share_slots_without_a_time_divide_it_evenly(tmp_path: Path) -> None:
    document = Document().tier("문장", ("집 크다 좋다 끝", 0, 4000))
    document.chain("RH", ["집1", "크다1", "좋다1", "끝1"], 0, 4000).chain("LH", ["불1", "물1"], 0, 4000)
    (row,) = rows(tmp_path, document)
    assert row["glosses"] == ["집1", "불1", "크다1", "좋다1", "물1", "끝1"]
    assert row["starts"] == [0, 0, 1, 2, 2, 3]


def test_slots_without_a_time_lie_between_their_neighbours(tmp_path: Path) -> None:
    document = Document().tier("문장", ("집", 0, 3000)).tier("RH", ("집1", 0, None), ("불1", None, 3000))
    (row,) = rows(tmp_path, document)
    assert (row["starts"], row["ends"]) == ([0, 2], [1, 3])


def test_references_have_the_times_of_what_they_refer_to(tmp_path: Path) -> None:
    document = Document().tier("문장", ("집이 크다", 1000, 3000))
    document.referring("글로스", "문장", ("집1", "a1"), ("크다1", "a1"), ("끝1", "a1"), chained=True)
    (row,) = rows(tmp_path, document)
    assert (row["glosses"], row["starts"], row["ends"]) == (["집1", "크다1", "끝1"], [1.0] * 3, [3.0] * 3)
    assert row["non_manual"] == []


def test_one_annotation_with_all_glosses_is_taken_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = Document().tier("문장", ("집이 크다", 0, 2000)).referring("글로스", "문장", ("집1 V (꽃)\n크다1", "a1"))
    (row,) = rows(tmp_path, document)
    assert row["glosses"] == ["집1", "V (꽃)", "크다1"]
    assert "1 annotation with the glosses of a whole sentence, split at white space" in caplog.text
    assert rows(tmp_path, small().tier("양손", ("THANK YOU", 100, 300)))[0]["glosses"][1] == "THANK YOU"


def test_senses_and_typed_values_are_those_of_other_corpora(tmp_path: Path) -> None:
    document = Document().tier("문장", ("8월의 집", 0, 9)).tier("수어", ("날짜:8월", 0, 1), ("집2", 2, 3))
    assert rows(tmp_path, document, sense="drop")[0]["glosses"] == ["Number/8월", "집"]
    document = Document().tier("sentence", ("I saw 8", 0, 9)).tier("gloss", ("IX:i", 0, 1), ("SEE2", 2, 3))
    assert rows(tmp_path, document, sense="drop")[0]["glosses"] == ["IX:i", "SEE2"]


def test_sentences_without_signs_are_bad_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = small().tier("문장 2", ("불", 5000, 6000), PARTICIPANT="B")
    with pytest.raises(ValueError, match=r"invented\.eaf, sentence 2: expected glosses, found none"):
        rows(tmp_path, document)
    assert len(rows(tmp_path, document, on_bad_rows="skip")) == 1
    assert "1 bad row skipped" in caplog.text


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
OUTSIDE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("prolog", [f'<!DOCTYPE d [<!ENTITY e0 "ha">{BOMB}]>', OUTSIDE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_entities_are_refused(tmp_path: Path, prolog: str, encoding: str) -> None:
    path = write(tmp_path, "")
    document = str(small()).replace("집1", "&e8;" if "e8" in prolog else "&x;").replace("UTF-8", encoding)
    document = document.replace("<ANNOTATION_DOCUMENT", f"{prolog}<ANNOTATION_DOCUMENT", 1)
    path.write_bytes(document.encode(encoding))
    expected = "found UTF-16" if encoding == "utf-16" else "without a DOCTYPE"
    with pytest.raises(ValueError, match=rf"invented\.eaf: .*{expected}"):
        list(read_corpus(path))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "damaged or not an ELAN document"),
        ("<html/>", "expected an ANNOTATION_DOCUMENT"),
        (str(small())[:-9], "damaged or not an ELAN document"),
        (str(small()).replace("milliseconds", "PAL-frames"), "expected times in milliseconds, found 'PAL-frames'"),
        (str(small()).replace('"2000"', '"two"'), "expected milliseconds in TIME_VALUE, found 'two'"),
        (str(small()).replace('REF1="ts3"', 'REF1="ts99"'), "expected time slots with times, found ts99 and ts4"),
        (str(Document().tier("문장", ("집", None, None))), "expected time slots with times"),
        (
            str(small().referring("x", "x", ("a", "a4"))),
            "annotation a4: expected a reference to an annotation with times",
        ),
    ],
)
def test_damaged_documents(document: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_eaf(document)


def test_a_damaged_document_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.eaf").write_text("<x", "utf-8")
    write(tmp_path, small())
    with pytest.raises(ValueError, match=r"a\.eaf: damaged or not an ELAN document.*on_bad_rows='skip'"):
        list(read_corpus(tmp_path))
    assert len(list(read_corpus(tmp_path, on_bad_rows="skip"))) == 1
