from __future__ import annotations

import unicodedata

import pytest

from kgloss_hf.runtime.glosses import content_of, placeholder_of, split_glosses, type_of_notation


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


@pytest.mark.parametrize(
    ("gloss", "expected"),
    [
        ("Number", "fingerspelled_number"),
        ("Number/5,000원", "fingerspelled_number"),
        ("100", "fingerspelled_number"),
        ("1,000", "fingerspelled_number"),
        ("10분", "unknown"),
        ("Alpha", "fingerspelling"),
        ("Alpha/m", "fingerspelling"),
        ("QR", "fingerspelling"),
        ("ㅏ", "fingerspelling"),
        ("ㄱㅏ", "fingerspelling"),
        ("V", "unknown"),
        ("v(체크)", "iconic"),
        ("V (불꽃무늬)", "iconic"),
        ("길다 (칼모양)", "iconic"),
        ("(핸드폰속으로)저장되다", "iconic"),
        ("이층삼각형", "unknown"),
        ("디지털(컴퓨터)", "similar_word"),
        ("모형(복제)", "similar_word"),
        ("강조형(강하다)", "non_manual"),
        ("휴지(쉽)", "non_manual"),
        ("휴지동작", "non_manual"),
        ("휴지", "unknown"),
        ("(집)", "unknown"),
        ("그릇/항아리", "unknown"),
        ("", "unknown"),
    ],
)
def test_type_that_the_notation_tells(gloss: str, expected: str) -> None:
    assert type_of_notation(gloss) == expected


@pytest.mark.parametrize(
    ("cell", "glosses"),
    [
        ("집  불", ["집", "불"]),
        (" 열쇠 (무덤모양) 집 ", ["열쇠 (무덤모양)", "집"]),
        ("집 (불에)굽다", ["집", "(불에)굽다"]),
        ("(두 손으로)받치다 불", ["(두 손으로)받치다", "불"]),
        ("층층이 (탑 모양)", ["층층이 (탑 모양)"]),
        ("집( 불", ["집(", "불"]),
        ('["집", "V (불꽃무늬)"]', ["집", "V (불꽃무늬)"]),
        ("['집', 'V (불꽃무늬)']", ["집", "V (불꽃무늬)"]),
        ("('집', 'V (불꽃무늬)')", ["집", "V (불꽃무늬)"]),
        ("('집',)", ["집"]),
        ("['집' 'V (불꽃무늬)']", ["집", "V (불꽃무늬)"]),
        ("['집' 'V (불꽃무늬)'\n 'Number/4C']", ["집", "V (불꽃무늬)", "Number/4C"]),
        ("[np.str_('집'), np.str_('불')]", ["집", "불"]),
        ("""['it\\'s' "it's" "\\ud55c"]""", ["it's", "it's", "한"]),
        ("[집, V (불꽃무늬), (집, 불)굽다, 2,000원]", ["집", "V (불꽃무늬)", "(집, 불)굽다", "2,000원"]),
        ("[집]", ["집"]),
        ("［집, 불］", ["집", "불"]),
        ("[의문] 우리 박물관", ["[의문]", "우리", "박물관"]),
        ("[집]불", ["[집]불"]),
        ("[의문] [긍정]", ["[의문]", "[긍정]"]),
        ("('집')불", ["('집')불"]),
        ("", []),
        ("[]", []),
    ],
)
def test_glosses_of_a_cell(cell: str, glosses: list[str]) -> None:
    assert split_glosses(cell) == glosses


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "집\t불",
            "집\n불",
            "[" * 9_999,
            f"[{'9' * 5_000}]",
            '["집", ',
            '["집"',
            '["집" "불',
            "['집', '불'",
            "['집'] 불",
        ),
        *(
            '["집", "불"]]',
            '["집"; "불"]',
            "[['집'], ['불']]",
            "['집''불']",
            "['집' '\\x']",
            "['\\d']",
            "[집, 불",
            "[우리 박물관]",
            "[집,,불]",
        ),
        *("['집' '불' ... '물']", "[집, ..., 물]", "('집', '불'", "['집', '불')", "[집, 불] 물", "['집', 3]"),
    ],
)
def test_cell_that_is_no_gloss_list(cell: str) -> None:
    with pytest.raises(ValueError, match="expected .*glosses.*, found"):
        split_glosses(cell)


@pytest.mark.parametrize(
    ("cell", "separator", "glosses"),
    [
        ("고맙 습니다|V (불꽃무늬)| 오다 ", "|", ["고맙 습니다", "V (불꽃무늬)", "오다"]),
        ("|우리|박물관|", "|", ["우리", "박물관"]),
        ("우리｜박물관", "|", ["우리", "박물관"]),
        ("우리|박물관", "｜", ["우리", "박물관"]),
        ("우리 | 박물관", " | ", ["우리", "박물관"]),
        ("우리\t박물관", "\t", ["우리", "박물관"]),
        ("우리 -> 박물관", "->", ["우리", "박물관"]),
        (
            "Number/4C/Alpha/QR/Name/폭/(흙/돌)만들다/집",
            "/",
            ["Number/4C", "Alpha/QR", "Name/폭", "(흙/돌)만들다", "집"],
        ),
        ("Number/Alpha", "/", ["Number/Alpha"]),
        ("12,000원, 3,4,  집(불, 물)", ",", ["12,000원", "3", "4", "집(불, 물)"]),
        ("집(|불", "|", ["집(", "불"]),
        ('["집|불", "물"]', "|", ["집|불", "물"]),
        ("[의문]|우리", "|", ["[의문]", "우리"]),
        ("집 불", " ", ["집", "불"]),
        ("", "|", []),
        ("|", "|", []),
    ],
)
def test_glosses_of_a_cell_with_a_separator(cell: str, separator: str, glosses: list[str]) -> None:
    assert split_glosses(cell, separator) == glosses


@pytest.mark.parametrize(
    ("cell", "separator", "message"),
    [
        ("우리||박물관", "|", r"expected a gloss between two '\|', found none in '우리\|\|박물관'"),
        ("우리, ,박물관", ",", "expected a gloss between two ','"),
        ("우리|박\n물관", "|", "between them, found .*n"),
        ("우리", "", "expected a sign that separates glosses, such as .*, found ''"),
        ("우리", "  ", "expected a sign that separates glosses"),
    ],
)
def test_cell_that_a_separator_does_not_split(cell: str, separator: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_glosses(cell, separator)


@pytest.mark.parametrize(
    "cell",
    [
        "집 V (불꽃무늬)",
        unicodedata.normalize("NFD", "집 V (불꽃무늬)"),
        "\ufeff집\u200b V\xa0（불꽃무늬）",
        '["집", "V (불꽃무늬)"]',
        '\ufeff["집\u200b", "V\xa0（불꽃무늬）"]',
    ],
)
def test_cells_that_look_the_same_hold_the_same_glosses(cell: str) -> None:
    assert split_glosses(cell) == ["집", "V (불꽃무늬)"]


def test_a_cell_without_a_visible_character_is_empty() -> None:
    assert split_glosses("\u200b \ufeff\u3164") == []


def test_types_of_notation_in_any_form() -> None:
    for gloss in ("의문형(무엇)", "디지털(컴퓨터)", "휴지동작", "V (불꽃무늬)"):
        assert type_of_notation(unicodedata.normalize("NFD", gloss)) == type_of_notation(gloss) != "unknown"
