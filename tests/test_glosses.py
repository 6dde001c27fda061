from __future__ import annotations

import pytest

from kgloss_hf.glosses import (
    content_of,
    mark_placeholders,
    placeholder_contents,
    placeholder_of,
    restore_placeholders,
)
from kgloss_hf.okt import analyze


@pytest.mark.parametrize(
    ("gloss", "placeholder", "content"),
    [
        ("Number/4C", "Number", "4C"),
        ("Alpha/QR", "Alpha", "QR"),
        ("Number/1,200", "Number", "1,200"),
        ("Number", "Number", "Number"),
        ("Number/", "Number", "Number/"),
        ("그릇/항아리", "그릇/항아리", "그릇/항아리"),
        ("V (불꽃무늬)", "V (불꽃무늬)", "V (불꽃무늬)"),
    ],
)
def test_placeholder_and_content(gloss: str, placeholder: str, content: str) -> None:
    assert (placeholder_of(gloss), content_of(gloss)) == (placeholder, content)


def test_contents_in_the_order_of_the_sentence() -> None:
    found = placeholder_contents(analyze(["1971년 7월에 6세기 QR 코드와 3점, 5G를"])[0])
    assert found == {"Number": ["1971년", "7월", "6C", "3", "5"], "Alpha": ["QR", "G"]}


def test_restoring_invents_nothing() -> None:
    morphemes = analyze(["4세기와 5세기의 QR 코드"])[0]
    restored = restore_placeholders(["Number", "Alpha", "Number", "Number", "문화", "Alpha"], morphemes)
    assert restored == ["4C", "QR", "5C", "Number", "문화", "Alpha"]


def test_marking_takes_only_what_the_sentence_holds() -> None:
    morphemes = analyze(["10분 뒤에 9호선이 도착합니다."])[0]
    assert mark_placeholders(["도착", "10분", "9호", "20분", "바꾸다2"], morphemes) == [
        "도착",
        "Number/10분",
        "9호",
        "20분",
        "바꾸다2",
    ]
