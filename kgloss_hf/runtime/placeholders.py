"""Find what the placeholders `Number` and `Alpha` stand for in a sentence, and restore it in glosses."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import combinations, permutations
from math import exp

from .glosses import CENTURY, PLACEHOLDERS
from .normalization import normalize_line
from .numerals import COUNTERS, Source, character_ends, number_words
from .okt import Morpheme

_REACH = 2.0
"""Distance in glosses and morphemes at which nearness falls to about a third. Chosen on the bundled sample, like the
next constant."""

_COST_OF_A_SWAP = 0.05
"""Gain in nearness required to put two placeholders in another order than their sources."""

_MOST_PERMUTED = 6
"""Up to this many placeholders or sources of a kind, compare all assignments; beyond it, follow sentence order."""


# Okt joins a number and these units to one morpheme, even if the unit is only the beginning of a word: `2분기` becomes
# `2분` and `기`. The rest of the word decides: a unit is followed by particles, forms of 이다, and endings of its kind.
_WITH_UNIT = re.compile(r"(.*\d[천만억조]*)(시간|[원등년월일회시분초엔옌]|달러|위안|유로)")
_OF_ANY_UNIT = (
    "짜리 가량 정도 동안 미만 초과 안팎 내외 내내 남짓 단위 간격 부로 만 쯤 께 씩 째 마다 당 여 뒤 후 넘게 넘어"
)
_OF_MONEY = "대 어치 권 선 상당"
_ENDINGS = {
    "월": "전 안 말 초 중 내 경 생 호 분 치 초순 중순 하순",
    "일": "간 전 안 차 중 내 경 자 치 생 호",
    "시": "전 경 반 정각",
    "분": "간 전 안 내 경 거리",
    "초": "간 전 내 경",
    "회": "차 말 초 용 분",
    "등": "한 할 해 하고 하는 하면 했다 했습니다",
    **dict.fromkeys(["원", "달러", "위안", "유로", "엔", "옌"], _OF_MONEY),
}
_CASES = (
    "에서 에선 에게 에 엔 으로써 으로서 으로 로써 로서 로 부터 부턴 까지 까진 보다 처럼 만큼 밖에 대로 랑 하고 과 와"
)
_FOCUSES = "부터 까지 마저 조차 만 뿐 라도 든지 든 나 은 는 도 의 가 을 를 야"
_OF_BE = "이[가-힣]*|입니[가-힣]+|였[가-힣]+|예요|에요|요|인|인[가데지][가-힣]*|일[까지때]?|임|[되된될돼됐][가-힣]*"
_OF_BE_BEHIND_VOWELS = "다|고|며|면|니까?|네요?|지만|지요|죠|라|라서|라고|라는|라면|란|던"  # 8시다 for 8시이다


def _can_follow(unit: str, endings: str) -> re.Pattern[str]:
    endings, cases, focuses = ("|".join(words.split()) for words in (f"{_OF_ANY_UNIT} {endings}", _CASES, _FOCUSES))
    behind = f"(?:{cases}){{0,2}}(?:{focuses}){{0,2}}(?:{_OF_BE})?"
    contracted = "?" if unit[-1] in "시회초러로" else ""
    return re.compile(f"(?:{endings}){{0,2}}{behind}|(?:(?:{endings}){{1,2}}){contracted}(?:{_OF_BE_BEHIND_VOWELS})")


_KEPT_BEFORE = {
    **{unit: _can_follow(unit, endings) for unit, endings in _ENDINGS.items()},
    "년": re.compile(".*"),  # begins no other word, as initial 년 is written 연
    "시간": re.compile("(?!표|대).*"),
}
_HANGUL = re.compile("[가-힣]+")
_WORDS_OF_LARGE_UNITS = re.compile("조[각항목건합별편직]|만두|천막")  # 3조각: three pieces, not three trillion

# Okt assigns 백 and 십 to the next word, where they may belong to it: `3백 명` is 300, but `3백합` is three lilies.
_HUNDREDS = re.compile(f"([십백][만억조]?)(?:여|{'|'.join(sorted(COUNTERS))}|[은는이을를의에만]?$)")
# Numbers that begin in words and continue in digits of a smaller unit, such as `만 5천`.
_BEGUN_IN_WORDS = re.compile(r"(?:[일이삼사오육칠팔구십백천]*만\d+[천백]|[일이삼사오육칠팔구]?천\d+백).*")


def placeholder_sources(morphemes: Sequence[Morpheme]) -> list[Source]:
    """Return the parts of a sentence that placeholders can stand for, in order: digits, Latin words, nouns to copy.

    A number before 세기 (century) is written with a C, as in the paper's data (Table 2). Otherwise, a number includes
    whatever Okt joins to it: units as in `10시`, `5,000원`, `70만` and `1900년`, ranges as in `10~20`, decimals. A unit
    cut out of a longer word is not included: the number of `2분기` (a quarter) is `2`, that of `2분간` (for two
    minutes) is `2분`.

    Args:
        morphemes: Morphemes of the sentence, from `kgloss_hf.runtime.okt.analyze` or a tokenizer's `morphemes`.

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> placeholder_sources(analyze(["전남은 4 세기"])[0])
        [Source(tag='Number', content='4C', start=4, end=8, index=2)]
    """
    sources = []
    for index, morpheme in enumerate(morphemes):
        if morpheme.tag in PLACEHOLDERS:
            content, first, end = morpheme.surface, index, morpheme.end
            if morpheme.tag == "Number":
                content, end = _number(morphemes, index)
                if index and _goes_on(morphemes, index, content):
                    content, first = morphemes[index - 1].surface + content, index - 1
            sources.append(Source(morpheme.tag, content, morphemes[first].start, end, first))
    return sources


def _goes_on(morphemes: Sequence[Morpheme], index: int, content: str) -> bool:
    """Return whether a number continues the word before it, as in `만 5천`, but not in `만 3세` and `학생만 5천 명`."""
    word = morphemes[index - 1]
    begins = index == 1 or morphemes[index - 2].end < word.start
    return begins and word.tag != "Josa" and bool(_BEGUN_IN_WORDS.fullmatch(word.surface + content))


def _number(morphemes: Sequence[Morpheme], index: int) -> tuple[str, int]:
    """Return the signed form of a number, with C for 세기 but no unit cut out of a longer word, and its end."""
    number = morphemes[index]
    content = number.surface
    after = _rest_of_word(morphemes, index + 1)
    adjoins = index + 1 < len(morphemes) and morphemes[index + 1].start <= number.end
    rest = "".join(morpheme.surface for morpheme in after)
    if content[-1].isdigit() and rest.startswith(CENTURY):
        ends = [end for morpheme in after for end in character_ends(morpheme)]
        return content + "C", ends[len(CENTURY) - 1]
    if content[-1].isdigit() and adjoins and (hundreds := _HUNDREDS.match(rest)):
        ends = [end for morpheme in after for end in character_ends(morpheme)]
        return content + hundreds[1], ends[len(hundreds[1]) - 1]
    if adjoins and rest:
        joined = _WITH_UNIT.fullmatch(content)
        following = index + 1 + len(after)
        fraction = rest == "의" and following < len(morphemes) and _is_number(morphemes[following])
        if joined and (not _KEPT_BEFORE[joined[2]].fullmatch(rest) or (joined[2] == "분" and fraction)):
            content = joined[1]
        elif content[-1] in "천만조" and _WORDS_OF_LARGE_UNITS.match(content[-1] + rest):
            content = content[:-1]
    return content, number.end if content == number.surface else list(character_ends(number))[len(content) - 1]


def _is_number(morpheme: Morpheme) -> bool:
    return morpheme.tag == "Number" or morpheme.surface in tuple("일이삼사오육칠팔구")


def _rest_of_word(morphemes: Sequence[Morpheme], start: int) -> list[Morpheme]:
    """Return the morphemes from `start` up to white space or a morpheme that is not Hangul."""
    rest: list[Morpheme] = []
    for morpheme in morphemes[start:]:
        if not _HANGUL.fullmatch(morpheme.surface) or (rest and morpheme.start > rest[-1].end):
            break
        rest.append(morpheme)
    return rest


def placeholder_contents(morphemes: Sequence[Morpheme]) -> dict[str, list[str]]:
    """Return the contents that `Number` and `Alpha` can have in a sentence, in the sentence's order.

    A number before 세기 (century) is written with a C, as in the paper's data (Table 2).

    Args:
        morphemes: As for `placeholder_sources`, whose contents are returned.

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> placeholder_contents(analyze(["4세기의 QR 코드 12개"])[0])
        {'Number': ['4C', '12'], 'Alpha': ['QR']}
    """
    contents: dict[str, list[str]] = {"Number": [], "Alpha": []}
    for source in placeholder_sources(morphemes):
        contents.setdefault(source.tag, []).append(source.content)
    return contents


def mark_placeholders(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[str]:
    """Write each gloss that is one of the sentence's numbers or Latin words as a placeholder with its content.

    Corpora differ in notation: MCKSG writes `Number/10분` where GKSL writes `10분`. A gloss that merely has a digit
    (`바꾸다2`), or whose number is not in the sentence, is unchanged.

    Args:
        glosses: Glosses in the notation of any corpus.
        morphemes: Morphemes of the sentence, from `kgloss_hf.runtime.okt.analyze` or a tokenizer's `morphemes`.

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> mark_placeholders(["도착", "10분"], analyze(["10분 뒤에 도착합니다."])[0])
        ['도착', 'Number/10분']
    """
    contents = placeholder_contents(morphemes)
    glosses = [normalize_line(gloss) for gloss in glosses]
    tag_of = {content: tag for tag, group in contents.items() for content in group}
    return [f"{tag_of[gloss]}/{gloss}" if gloss in tag_of else gloss for gloss in glosses]


def assign_sources(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[Source | None]:
    """Return the source in the sentence of each gloss that is a placeholder, as long as sources are left; else None.

    If there are more `Number`s than numbers in digits, the remaining ones stand for numbers that the sentence writes in
    Korean words. If there is a choice, a placeholder takes the source nearest to the words that the neighbouring
    glosses name: `폭 Number` is the number next to 폭 in the sentence, even if signs and words have different orders.
    Without such neighbours, placeholders take sources in the sentence's order.

    Args:
        glosses: Output of a model.
        morphemes: Morphemes of the source sentence, from `kgloss_hf.runtime.okt.analyze` or a tokenizer's `morphemes`.

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> morphemes = analyze(["높이 12m, 폭 6m의 벽"])[0]
        >>> sources = assign_sources(["벽", "폭", "Number", "높이", "Number", "Number"], morphemes)
        >>> [source and source.content for source in sources]
        [None, None, '6', None, '12', None]
    """
    glosses = list(glosses)
    sources = placeholder_sources(morphemes)
    missing = glosses.count("Number") - sum(source.tag == "Number" for source in sources)
    if missing > 0:
        sources = sorted([*sources, *number_words(morphemes)[:missing]], key=lambda source: source.index)
    assigned: list[Source | None] = [None] * len(glosses)
    for tag in PLACEHOLDERS:
        places = [place for place, gloss in enumerate(glosses) if gloss == tag]
        candidates = [source for source in sources if source.tag == tag]
        if len({source.content for source in candidates}) > 1:
            chosen = _by_neighbours(glosses, places, morphemes, candidates)
        else:
            chosen = list(zip(places, candidates, strict=False))
        for place, source in chosen:
            assigned[place] = source
    return assigned


def _by_neighbours(
    glosses: Sequence[str], places: Sequence[int], morphemes: Sequence[Morpheme], candidates: Sequence[Source]
) -> list[tuple[int, Source]]:
    """Return the assignment with the greatest total nearness, minus a cost for each change of order."""
    if not places or max(len(places), len(candidates)) > _MOST_PERMUTED:
        return list(zip(places, candidates, strict=False))
    nearness = _nearness(glosses, places, morphemes, candidates)
    size = max(len(places), len(candidates))
    best = float("-inf")
    chosen: list[tuple[int, int]] = []
    # The sentence's order comes first, so it wins if all are equal.
    for order in permutations(range(size)):
        pairs = [(p, c) for p, c in enumerate(order[: len(places)]) if c < len(candidates)]
        swaps = sum(first > second for (_, first), (_, second) in combinations(pairs, 2))
        sum_of_pairs = sum(nearness[p][c] for p, c in pairs) - _COST_OF_A_SWAP * swaps
        if sum_of_pairs > best + 1e-9:
            best, chosen = sum_of_pairs, pairs
    return [(places[p], candidates[c]) for p, c in chosen]


def _nearness(
    glosses: Sequence[str], places: Sequence[int], morphemes: Sequence[Morpheme], candidates: Sequence[Source]
) -> list[list[float]]:
    """Return, for each place and candidate, the summed nearness of both to glosses that also occur in the sentence."""
    words: dict[str, list[int]] = {}
    for index, morpheme in enumerate(morphemes):
        for word in {morpheme.surface, morpheme.lemma.lower()}:
            words.setdefault(word, []).append(index)
    anchors = [(at, words[gloss]) for at, gloss in enumerate(glosses) if gloss in words and gloss not in PLACEHOLDERS]
    return [
        [
            sum(exp(-(abs(at - place) + _distance(source.index, indices)) / _REACH) for at, indices in anchors)
            for source in candidates
        ]
        for place in places
    ]


def _distance(index: int, indices: Sequence[int]) -> int:
    """Return the distance to the nearest of some sorted indices."""
    place = bisect_left(indices, index)
    return min(abs(index - near) for near in indices[max(0, place - 1) : place + 1])


def restore_placeholders(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[str]:
    """Replace the placeholders that a model emitted with the sentence's numbers and Latin words (`assign_sources`).

    A placeholder for which the sentence has no source left stays a bare `Number` or `Alpha`: nothing is invented.

    Args:
        glosses: As for `assign_sources`.
        morphemes: As for `assign_sources`.

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> restore_placeholders(["전남", "Number", "전", "Number"], analyze(["전남은 4세기 전반부터"])[0])
        ['전남', '4C', '전', 'Number']
        >>> restore_placeholders(["아기", "Number"], analyze(["아이가 다섯 살이 되었다"])[0])
        ['아기', '5']
    """
    glosses = list(glosses)
    sources = assign_sources(glosses, morphemes)
    return [gloss if source is None else source.content for gloss, source in zip(glosses, sources, strict=True)]
