"""Gloss notation: the six types, and the placeholders `Number` and `Alpha` with the content they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .okt import Morpheme

GLOSS_TYPES = ("sign_word", "similar_word", "iconic", "fingerspelling", "fingerspelled_number", "non_manual")
"""The paper's six categories (Table 3) under the field's names."""

PLACEHOLDERS = ("Number", "Alpha")
"""Vocabulary entries that stand for any number and any Latin-alphabet word; also the names of Okt's two tags."""

CENTURY = "세기"


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


def placeholder_contents(morphemes: Sequence[Morpheme]) -> dict[str, list[str]]:
    """What `Number` and `Alpha` can stand for in a sentence, in the sentence's order.

    A number before 세기 (century) is written with a C, as in the paper's data (Table 2).

    Example:
        >>> from kgloss_hf.okt import analyze
        >>> placeholder_contents(analyze(["4세기의 QR 코드 12개"])[0])
        {'Number': ['4C', '12'], 'Alpha': ['QR']}
    """
    contents: dict[str, list[str]] = {tag: [] for tag in PLACEHOLDERS}
    for index, morpheme in enumerate(morphemes):
        if morpheme.tag in contents:
            following = morphemes[index + 1].surface if index + 1 < len(morphemes) else ""
            century = morpheme.tag == "Number" and following == CENTURY
            contents[morpheme.tag].append(morpheme.surface + "C" * century)
    return contents


def mark_placeholders(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[str]:
    """Write a gloss that is one of the sentence's numbers or Latin words as a placeholder with its content.

    Corpora differ in notation: MCKSG writes `Number/10분` where GKSL writes `10분`. A gloss that merely holds a digit
    (`바꾸다2`) or whose number is not in the sentence stays as it is.

    Example:
        >>> from kgloss_hf.okt import analyze
        >>> mark_placeholders(["도착", "10분"], analyze(["10분 뒤에 도착합니다."])[0])
        ['도착', 'Number/10분']
    """
    contents = placeholder_contents(morphemes)
    tag_of = {content: tag for tag in PLACEHOLDERS for content in contents[tag]}
    return [f"{tag_of[gloss]}/{gloss}" if gloss in tag_of else gloss for gloss in glosses]


def restore_placeholders(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[str]:
    """Put the sentence's numbers and Latin words back where a model emitted placeholders, first come first served.

    A placeholder beyond what the sentence holds stays a bare `Number` or `Alpha`: nothing is invented.

    Example:
        >>> from kgloss_hf.okt import analyze
        >>> restore_placeholders(["전남", "Number", "전", "Number"], analyze(["전남은 4세기 전반부터"])[0])
        ['전남', '4C', '전', 'Number']
    """
    contents = {tag: iter(found) for tag, found in placeholder_contents(morphemes).items()}
    return [next(contents[gloss], gloss) if gloss in contents else gloss for gloss in glosses]
