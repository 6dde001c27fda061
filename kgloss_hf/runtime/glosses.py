"""Gloss notation: the six types, and placeholders with the content they stand for."""

from __future__ import annotations

import json
import re

from .normalization import normalize, normalize_line

GLOSS_TYPES = ("sign_word", "similar_word", "iconic", "fingerspelling", "fingerspelled_number", "non_manual")
"""The paper's six categories (Table 3) under the field's names."""

UNKNOWN_TYPE = "unknown"
"""For a gloss whose type nothing tells."""

NAME = "Name"

PLACEHOLDERS = ("Number", "Alpha", NAME)
"""Vocabulary entries that stand for any number, any Latin-alphabet word, and, where a tokenizer copies names, any noun
that it does not know; also tags of such morphemes. The first two are the paper's and Okt's own."""

CENTURY = "세기"
"""A number before it is written with a C, as in the paper's data (Table 2)."""


_TYPE_OF_NOTATION = {
    "fingerspelled_number": r"Number(/.+)?|\d[\d,.]*",
    "fingerspelling": r"(Alpha|Name)(/.+)?|[ㄱ-ㅣ]+|[A-Za-z]{2,}",
    "non_manual": r"(감탄|강조|과|긍정|명령|부정|어|의문|추측)형\([^()]+\)|휴지\([^()]+\)|휴지동작",
    "iconic": r"[A-Za-z] ?\([^()]+\)|[^()]+ \([^()]+\)|\([^()]+\)\S.*",
    "similar_word": r"[가-힣]+\([^()]+\)",
}


def placeholder_of(gloss: str) -> str:
    """The gloss as the model sees it: `Number/4C` becomes `Number`, any other gloss is unchanged.

    Example:
        >>> placeholder_of("Number/4C"), placeholder_of("문화")
        ('Number', '문화')
    """
    head, slash, _ = gloss.partition("/")
    return head if slash and head in PLACEHOLDERS else gloss


def content_of(gloss: str) -> str:
    """The gloss as it is signed: `Number/4C` becomes `4C`, any other gloss is unchanged.

    Example:
        >>> content_of("Number/4C"), content_of("Number"), content_of("문화")
        ('4C', 'Number', '문화')
    """
    head, slash, content = gloss.partition("/")
    return content if slash and content and head in PLACEHOLDERS else gloss


def type_of_notation(gloss: str) -> str:
    """The type of a gloss as far as its notation tells, else `unknown`.

    Args:
        gloss: As in the paper's Tables 2 and 3, which these rules rest on:

            - `fingerspelled_number`: the placeholder `Number`, bare or with content, and plain digits (`0, 10, 100`).
            - `fingerspelling`: jamo (`ㄱ, ㅏ`), the placeholders `Alpha` and `Name`, and a Latin word of two letters or
              more, which Table 2 writes as `Alpha/QR` in the source and as `QR` in the glosses. A single letter may be
              a shape.
            - `non_manual`: `휴지동작`, and the name of a signal with what it carries (`의문형(무엇)`, `강조형(강하다)`,
              `휴지(쉽)`). The names are a closed list, because words such as 모형 end in 형 too.
            - `iconic`: a letter as a shape, or a space before the parentheses (`v(체크)`, `V (불꽃무늬)`), and
              parentheses in front (`(사진)확대`), which say what the depicting sign does it to.
            - `similar_word`: a headword and, without a space, what it stands for here (`디지털(컴퓨터)`).

            A plain word is `unknown`: 기도 is a sign word and 이층삼각형 is iconic, and only a lexicon knows.

    Example:
        >>> [type_of_notation(gloss) for gloss in ("Number/4C", "ㄱ", "의문형(무엇)", "V (불꽃무늬)")]
        ['fingerspelled_number', 'fingerspelling', 'non_manual', 'iconic']
        >>> type_of_notation("디지털(컴퓨터)"), type_of_notation("기도")
        ('similar_word', 'unknown')
    """
    gloss = normalize(gloss)
    return next((name for name, rule in _TYPE_OF_NOTATION.items() if re.fullmatch(rule, gloss)), UNKNOWN_TYPE)


def split_glosses(cell: str) -> list[str]:
    """Return the glosses that a cell of a table holds, normalised (`kgloss_hf.runtime.normalization`).

    Args:
        cell: A JSON list of strings, or glosses with spaces between them. A space before parentheses that end a gloss
            belongs to it, as in `V (불꽃무늬)`.

    Raises:
        ValueError: There is a tab or a line break between glosses, or a list that is not JSON.

    Example:
        >>> split_glosses("불  V (불꽃무늬) (사진)확대")
        ['불', 'V (불꽃무늬)', '(사진)확대']
        >>> split_glosses('["불", "(큰 돌을)들다"]')
        ['불', '(큰 돌을)들다']
    """
    for form in (cell.strip(), normalize(cell).strip()):  # the second where invisible characters stand around a list
        if form.startswith("["):
            try:
                return [_gloss(item) if isinstance(item, str) else item for item in json.loads(form)]
            except (ValueError, RecursionError) as error:  # also what is too long or nested too deeply
                raise ValueError(
                    f'expected a JSON list of glosses such as ["집", "불"], found {cell.strip()!r:.60}'
                ) from error
    if control := re.search(r"[\t\r\n\v\f]", form):
        raise ValueError(f"expected glosses with spaces between them, found {control[0]!r} in {form!r:.60}")
    return list(map(normalize_line, re.findall(r"(?:\([^()]*\)|\S)+(?:\s+\([^()]*\)(?!\S))?", form)))


def _gloss(item: str) -> str:
    """The gloss in one form, but with its tabs and line breaks, which corpora refuse."""
    return re.sub(r"[^\S\t\r\n\v\f]+", " ", normalize(item)).strip(" ")
