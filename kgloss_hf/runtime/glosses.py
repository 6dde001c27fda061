"""Gloss notation: the six types, and placeholders with their contents."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from .normalization import normalize, normalize_line

GLOSS_TYPES = ("sign_word", "similar_word", "iconic", "fingerspelling", "fingerspelled_number", "non_manual")
"""The paper's six categories (Table 3) under the field's names."""

UNKNOWN_TYPE = "unknown"
"""Type of a gloss whose type cannot be determined."""

NAME = "Name"

PLACEHOLDERS = ("Number", "Alpha", NAME)
"""Vocabulary entries that stand for any number, any Latin-alphabet word and, if a tokenizer copies names, any noun that
it does not know. They are also the tags of such morphemes. The first two come from the paper and from Okt."""

CENTURY = "세기"
"""Word for century; a number before it is written with a C, as in the paper's data (Table 2)."""


_UNSEPARATED = r"\([^()]*\)|(?<!\w)(?:Number|Alpha|Name)/(?=[^\s/])|(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)"
"""Parts in which a sign separates nothing: parentheses, a placeholder's mark (`Number/`), thousands in a number."""

_ESCAPE = r"""\\[\\'"nrtxuU]"""  # that repr writes
_STRING = rf"""'(?:[^'\\]|{_ESCAPE})*+'|"(?:[^"\\]|{_ESCAPE})*+\""""
_ITEM = rf"(?s:np\.str_\((?:{_STRING})\)|{_STRING}|\.\.\.)"

_TYPE_OF_NOTATION = {
    "fingerspelled_number": r"Number(/.+)?|\d[\d,.]*",
    "fingerspelling": r"(Alpha|Name)(/.+)?|[ㄱ-ㅣ]+|[A-Za-z]{2,}",
    "non_manual": r"(감탄|강조|과|긍정|명령|부정|어|의문|추측)형\([^()]+\)|휴지\([^()]+\)|휴지동작",
    "iconic": r"[A-Za-z] ?\([^()]+\)|[^()]+ \([^()]+\)|\([^()]+\)\S.*",
    "similar_word": r"[가-힣]+\d{0,2}\([^()]+\)",
}


def placeholder_of(gloss: str) -> str:
    """Return the gloss as the model sees it: `Number/4C` becomes `Number`, any other gloss is unchanged.

    Args:
        gloss: A gloss, which may be a placeholder with its content.

    Examples:
        >>> placeholder_of("Number/4C"), placeholder_of("문화")
        ('Number', '문화')
    """
    head, slash, _ = gloss.partition("/")
    return head if slash and head in PLACEHOLDERS else gloss


def content_of(gloss: str) -> str:
    """Return the gloss in its signed form: `Number/4C` becomes `4C`, any other gloss is unchanged.

    Args:
        gloss: A gloss, which may be a placeholder with its content.

    Examples:
        >>> content_of("Number/4C"), content_of("Number"), content_of("문화")
        ('4C', 'Number', '문화')
    """
    head, slash, content = gloss.partition("/")
    return content if slash and content and head in PLACEHOLDERS else gloss


def type_of_notation(gloss: str) -> str:
    """Return the type of a gloss if its notation reveals it, else `unknown`.

    Args:
        gloss: A gloss as in the paper's Tables 2 and 3, on which these rules are based:

            - `fingerspelled_number`: the placeholder `Number`, bare or with content, and plain digits (`0, 10, 100`).
            - `fingerspelling`: jamo (`ㄱ, ㅏ`), the placeholders `Alpha` and `Name`, and a Latin word of two or more
              letters, which Table 2 writes as `Alpha/QR` in the source and as `QR` in the glosses. A single letter may
              be a shape.
            - `non_manual`: `휴지동작`, and the name of a signal with its content (`의문형(무엇)`, `강조형(강하다)`,
              `휴지(쉽)`). The names are a closed list, because words such as 모형 also end in 형.
            - `iconic`: a letter as a shape, or a space before the parentheses (`v(체크)`, `V (불꽃무늬)`), and
              parentheses in front (`(사진)확대`), which name the object that the depicting sign acts on.
            - `similar_word`: a headword followed, without a space, by its meaning here (`디지털(컴퓨터)`). The
              headword may carry the number of its sense (`지시2(너희)`).

            A plain word is `unknown`: 기도 is a sign word and 이층삼각형 is iconic, which only a lexicon can tell.

    Examples:
        >>> [type_of_notation(gloss) for gloss in ("Number/4C", "ㄱ", "의문형(무엇)", "V (불꽃무늬)")]
        ['fingerspelled_number', 'fingerspelling', 'non_manual', 'iconic']
        >>> type_of_notation("디지털(컴퓨터)"), type_of_notation("기도")
        ('similar_word', 'unknown')
    """
    gloss = normalize(gloss)
    return next((name for name, rule in _TYPE_OF_NOTATION.items() if re.fullmatch(rule, gloss)), UNKNOWN_TYPE)


def split_glosses(cell: str, separator: str | None = None) -> list[str]:
    """Return the glosses in a cell of a table, normalised (`kgloss_hf.runtime.normalization`).

    Args:
        cell: A list, or glosses with a separator between them. A list may be JSON, a Python list or tuple of strings,
            a printed NumPy array, or a list without quotation marks (`[우리, 박물관]`, `[집]`). Anything else that
            begins with a bracket is notation (`[의문] 우리`, `[집]불`).
        separator: The sign between glosses, such as `|`. None or a space means white space; a space before parentheses
            that end a gloss then belongs to the gloss (`V (불꽃무늬)`). With a sign, white space inside a gloss
            belongs to the gloss. A sign in parentheses separates nothing, nor does `/` in `Number/4C` or `,` in
            `2,000원`. A sign may also stand at the ends of the cell (`|우리|박물관|`).

    Raises:
        ValueError: A list is damaged or shortened, glosses have a tab or a line break between them, nothing stands
            between two separators, or the separator is blank.

    Examples:
        >>> split_glosses("불  V (불꽃무늬) (사진)확대")
        ['불', 'V (불꽃무늬)', '(사진)확대']
        >>> split_glosses("['불' '(큰 돌을)들다']"), split_glosses("고맙 습니다|Number/4C", "|")
        (['불', '(큰 돌을)들다'], ['고맙 습니다', 'Number/4C'])
    """
    for form in (cell.strip(), normalize(cell).strip()):  # the second removes invisible characters around a list
        if (items := _listed(form)) is not None:
            return [_gloss(item) if isinstance(item, str) else item for item in items]
    if separator not in (None, " "):
        return _separated(form, separator)
    if control := re.search(r"[\t\r\n\v\f]", form):
        raise ValueError(f"expected glosses with spaces between them, found {control[0]!r} in {form!r:.60}")
    return list(map(normalize_line, re.findall(r"(?:\([^()]*\)|\S)+(?:\s+\([^()]*\)(?!\S))?", form)))


def separated_at(text: str, separator: str) -> list[str]:
    """Return the stripped pieces between the separators of a text, as `split_glosses` separates glosses.

    Args:
        text: The text, normalised.
        separator: The sign that separates.

    Examples:
        >>> separated_at("Number/4C/그릇/(흙/돌)만들다", "/")
        ['Number/4C', '그릇', '(흙/돌)만들다']
        >>> separated_at("2,000원, 사다", ",")
        ['2,000원', '사다']
    """
    if separator not in text:
        return [text.strip()]
    pieces, start = [], 0
    for match in re.finditer(f"{_UNSEPARATED}|({re.escape(separator)})", text):
        if match[1]:
            pieces.append(text[start : match.start()].strip())
            start = match.end()
    return [*pieces, text[start:].strip()]


def _separated(form: str, separator: str) -> list[str]:
    sign = normalize(separator)
    sign = sign.strip() or sign.strip(" ")  # a tab is also a separator
    if not sign:
        raise ValueError(f"expected a sign that separates glosses, such as '|', found {separator!r}")
    pieces = separated_at(form, sign)
    pieces = pieces[not pieces[0] :]
    pieces = pieces[: len(pieces) - bool(pieces and not pieces[-1])]
    for piece in pieces:
        if not piece:
            raise ValueError(f"expected a gloss between two {sign!r}, found none in {form!r:.60}")
        if control := re.search(r"[\t\r\n\v\f]", piece):
            raise ValueError(f"expected glosses with {sign!r} between them, found {control[0]!r} in {form!r:.60}")
    return list(map(normalize_line, pieces))


def _listed(form: str) -> list[Any] | None:
    """Return the items of a list, or None if the cell is not a list."""
    is_tuple = bool(re.match(r"\(\s*[\"']", form))
    if not is_tuple and not form.startswith("["):
        return None
    problem = f'expected a JSON list of glosses such as ["집", "불"], or another list, found {form!r:.60}'
    try:
        items: list[Any] = json.loads(form)
        return items
    except json.JSONDecodeError as error:
        if (literals := _literals(form)) is not None:
            return literals
        if _is_notation(form):
            return None
        if form.endswith("]") and re.fullmatch(r"\[\s*[^\s\"'{\[\]][^\[\]]*\]", form):  # without quotation marks
            glosses = separated_at(normalize(form[1:-1]), ",")
            _check_whole(form, glosses)
            if all(glosses) and (len(glosses) > 1 or len(form.split()) == 1):
                return glosses
        raise ValueError(problem) from error
    except (ValueError, RecursionError) as error:  # too long, or nested too deeply
        raise ValueError(problem) from error


def _is_notation(form: str) -> bool:
    """Return whether a cell is notation that begins with a bracket (`[의문] 우리`), and not a damaged list."""
    if form.startswith("("):
        return bool(re.match(r"\([^()]*\)", form))
    balanced = form.count("[") == form.count("]")
    return balanced and bool(re.match(r"(?s)\[\s*[^\s\[\]\"'{,][^\[\],]*\](?=.*[^\s\]])", form))


def _literals(form: str) -> list[str] | None:
    """Return the strings of a Python list or tuple, or of a printed NumPy array; None for anything else."""
    inside = re.fullmatch(rf"[\[(]\s*+({_ITEM}(?:(?:\s*+,\s*+|\s++){_ITEM})*+)\s*+,?\s*+[\])]", form)
    if not inside or (form[0] == "[") != (form[-1] == "]"):
        return None
    items = re.findall(_ITEM, inside[1])
    _check_whole(form, items)
    try:
        return [ast.literal_eval(re.sub(r"^np\.str_\((.*)\)$", r"\1", item, flags=re.DOTALL)) for item in items]
    except (SyntaxError, ValueError):  # an invalid escape
        return None


def _check_whole(form: str, items: list[str]) -> None:
    if "..." in items:
        raise ValueError(
            f"expected all glosses, found a list that was shortened to {form!r:.60}; write it again as JSON, or after "
            "calling numpy.set_printoptions(threshold=sys.maxsize)"
        )


def _gloss(item: str) -> str:
    """Return the gloss in normal form, except for tabs and line breaks, which corpora refuse."""
    return re.sub(r"[^\S\t\r\n\v\f]+", " ", normalize(item)).strip(" ")
