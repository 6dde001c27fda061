"""Strategies for fuzzing: hostile text, glosses, tables, damaged bytes, and the size of each test."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from kgloss_hf.runtime.okt import Morpheme

FEWEST = 10


def share(part: float) -> settings:
    """Set the share of the profile's examples that a test runs: 1 if an input takes microseconds, else less."""
    return settings(max_examples=max(FEWEST, round(part * settings().max_examples)))


_KOREAN = """
    이 토기는 4세기에 만들어졌습니다. QR 코드 2층 열두 명 10~20명 1,000원 펼쳐집니다 됬닼ㅋㅋㅋ 감사합니다!! 했는데 간지
    ㄱ ㅏㅏㅏㅏ ㅎㅎㅎ 한국어 어어어어 가 힣 곩 = #태그 @나 http://a.kr/b?c a@b.kr $KRW ３．５ ⅳ ① ½ İ ß ﬁ Ａ ｶﾞ 漢字 Ж
    हिन्दी [BOS] [UNK] [PAD] ## Number Alpha/QR Number/4C {{x}} <b> | ` \\ " ' “ ( )
"""
_JAMO = "\u1112\u1161\u11ab \u1100\u1161 \u115f \u3164 \uffa1 \ua960 \ud7b0 e\u0301 " + "\u0300" * 9
_EMOJI = ("👨\u200d👩\u200d👧", "🇰🇷", "👍🏽", "😀", "\U0010ffff", "\ufe0f")
_RIGHT_TO_LEFT = ("\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627")
_UNSEEN = "\u200b \u200d \u2060 \ufeff \u202e \u2066 \u061c \0 \x1b[31m \x7f"
_SPACE = (*"\t\n\v\f\x1c\x85\xa0 \u1680\u2028\u2029\u3000", "\r\n", "  ")
_PIECES = (*_KOREAN.split(), *_JAMO.split(), *_EMOJI, *_RIGHT_TO_LEFT, *_UNSEEN.split(), *_SPACE)
_LONG = st.builds(
    lambda piece, times: piece * times,
    st.sampled_from(("가", "a", "ㅋㅋ", "1", "😀", "가.", "((")),
    st.integers(1, 400),
)

TEXT = st.one_of(
    st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=4)), max_size=8).map("".join),
    st.text(max_size=30),
    st.text("가각갇간했다요ㅋㅏ .,?!~'\"()#@1a/", max_size=30).map(lambda text: unicodedata.normalize("NFD", text)),
    st.builds(lambda one, long, other: one + long + other, st.text(max_size=3), _LONG, st.text(max_size=3)),
)
"""Text without lone surrogates: Korean, jamo, conjoining jamo, emoji, zero-width, direction marks, controls, NUL."""

HALVES = st.text(
    st.one_of(st.characters(categories=["Cs"]), st.sampled_from("가a 4😀.")), min_size=1, max_size=12
).filter(lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text))
"""Text with lone surrogates, which no file encoding can represent."""

_GLOSS_FORMS = ("{}", "Number/{}", "Alpha/{}", "({})확대", "{}(뜻)", "{} (모양)", "의문형({})", "휴지({})")
GLOSS = st.builds(
    str.format, st.sampled_from(_GLOSS_FORMS), st.text("가나다집불QRab0129ㄱㅏ.~", min_size=1, max_size=5)
)
"""Gloss in one of the notations of the paper."""


_WORDS = """
    한 두 세 네 열 스물 스물두 이 일 삼 십 백 천 만 억 조 십이 이천 천사 유월 시월 시 명 층 년 원 사람 세기 살 개월
    3 4 12 10시 3.5 을 를 이 만 QR m Wi-Fi 집 폭 높이 , . ( 🙂 첫 번째
"""
_TAGS = "Noun Number Alpha Josa Modifier Verb Eomi Punctuation Name Foreign"


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, list[Morpheme]]:
    """Draw a text and an analysis that Okt might or might not give, without needing Java."""
    words = st.sampled_from(_WORDS.split())
    tags = st.sampled_from(_TAGS.split())
    text = ""
    morphemes = []
    for _ in range(draw(st.integers(0, 9))):
        surface, tag = draw(words), draw(tags)
        morphemes.append(
            Morpheme(surface, draw(st.sampled_from((surface, "이다"))), tag, len(text), len(text) + len(surface))
        )
        text += surface + draw(st.sampled_from(("", " ")))
    return text, morphemes


# Text that every table format can hold.
CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12) | st.sampled_from(
    (
        "이 토기는 4세기에 만들어졌습니다.",
        "집 불",
        '["집", "불"]',
        *('a"b', '"', "'", "a,b", "=1+1", "1", "NaN", "null", "한\u2028글"),
    )
)
NAMES = st.lists(
    st.sampled_from(("text", "glosses", "문장", "글로스", "a b", "id", "_", "유형")),
    min_size=1,
    max_size=4,
    unique=True,
)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Draw at least one row; all rows have the same columns and none is blank."""
    names = draw(NAMES)
    cells = st.fixed_dictionaries(dict.fromkeys(names, CELL))
    return draw(st.lists(cells.filter(lambda row: any(cell.strip() for cell in row.values())), min_size=1, max_size=5))


def json_values(leaves: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    """Return a strategy for any JSON value, including NaN, huge numbers and lone surrogates."""
    simple = (st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), HALVES, st.just(10**400))
    leaf = st.one_of(*simple, *([] if leaves is None else [leaves]))
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )


DEEP = st.builds(
    lambda opened, depth, end: opened * depth + end,
    st.sampled_from(("[", '{"a":', '[{"a":')),
    st.integers(1, 20_000),
    st.text(max_size=2),
)
"""JSON that is unclosed, or nested deeper than parsers allow."""

HUGE = st.integers(1, 6_000).map(lambda size: "9" * size)


def json_text(leaves: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[str]:
    """Return a strategy for JSON text, whole or broken."""
    whole = json_values(leaves).map(json.dumps)
    cut = st.builds(lambda text, at: text[:at], whole, st.integers(0, 40))
    return st.one_of(whole, whole, whole, cut, DEEP, HUGE, st.text(max_size=10))


_Edit = Callable[[bytes], bytes]


@st.composite
def _edits(draw: st.DrawFn) -> _Edit:
    where = draw(st.floats(0, 1, exclude_max=True))
    kind = draw(st.sampled_from(("flip", "cut", "drop", "insert", "repeat", "zero")))
    size = draw(st.integers(1, 40))
    value = draw(st.integers(1, 255))
    inserted = draw(
        st.binary(min_size=1, max_size=8)
        | st.sampled_from(
            (*b'\0|\r|\n|\r\n|"|,|\t|\xef\xbb\xbf|\xff\xfe|\xed\xa0\x80|\\ud800'.split(b"|"), b"[" * 5000, b"9" * 5000)
        )
    )

    def edit(content: bytes) -> bytes:
        at = int(where * len(content))
        match kind:
            case "flip" if content:
                return content[:at] + bytes([content[at] ^ value]) + content[at + 1 :]
            case "cut":
                return content[:at]
            case "drop":
                return content[:at] + content[at + size :]
            case "insert":
                return content[:at] + inserted + content[at:]
            case "repeat":
                return content[: at + size] + content[at:]
            case _:
                return content[:at] + bytes(len(content[at : at + size])) + content[at + size :]

    return edit


def damaged(content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Apply one to four edits to content: flip bits, or cut out, repeat, zero or insert parts."""

    def apply(whole: bytes, edits: list[_Edit]) -> bytes:
        for edit in edits:
            whole = edit(whole)
        return whole

    return st.builds(apply, content, st.lists(_edits(), min_size=1, max_size=4))
