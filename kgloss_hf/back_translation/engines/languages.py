"""Languages as a checkpoint writes them (`ko`, `ko_KR`, `kor_Hang`, `>>kor<<`), found from ISO 639 codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from ...optional import require

# mBART's ko_KR and NLLB's kor_Hang.
_SPECIAL = re.compile(r"[a-z]{2}_[A-Z]{2}|[a-z]{3}_[A-Z][a-z]{3}")


class Direction(NamedTuple):
    """How a checkpoint is told what to translate.

    Args:
        prefix: Put before each text.
        source: The tokenizer's `src_lang`; None where it has none.
        target: Token that each translation is made to begin with; None where there is none.
    """

    prefix: str = ""
    source: str | None = None
    target: str | None = None


def into_korean(target: str) -> bool:
    """Whether a target language is Korean, in any checkpoint's way of writing it.

    Example:
        >>> [into_korean(code) for code in ("ko", "kor_Hang", "ko_KR", "kok")]
        [True, True, True, False]
    """
    return re.split("[-_]", target)[0] in ("ko", "kor")


def find_direction(tokenizer: Any, source: str, target: str, model: str) -> Direction:
    """How to tell a checkpoint to translate from one language to another.

    Args:
        tokenizer: Of Marian, M2M100, NLLB or mBART-50. One that knows no languages is taken as of one direction, which
            is checked where it says which (Marian's `source_lang` and `target_lang`).
        source: As ISO 639-1 (`ko`) or as the tokenizer writes it.
        target: The same.
        model: Name of the checkpoint, for messages.

    Raises:
        ValueError: A language is not known, is ambiguous, or is not the one the checkpoint translates.
    """
    # M2M100 lists its languages; mBART's and NLLB's are among the special tokens.
    tokens = getattr(tokenizer, "lang_code_to_token", None) or {
        token: token for token in tokenizer.all_special_tokens if _SPECIAL.fullmatch(token)
    }
    if tokens:
        code = find_language(target, tokens, model)
        return Direction(source=find_language(source, tokens, model), target=tokens[code])
    # A Marian with several target languages is told which in the text.
    targets = [token[2:-2] for token in getattr(tokenizer, "supported_language_codes", [])]
    own_source, own_target = (getattr(tokenizer, name, None) for name in ("source_lang", "target_lang"))
    if _other(own_source, source) or (not targets and _other(own_target, target)):
        raise ValueError(
            f"{model}: expected to be asked for {own_source} to {own_target}, found {source} to {target}; a Marian "
            "checkpoint is of one direction, so give one for each (model=…,back_model=…)"
        )
    return Direction(prefix=f">>{find_language(target, targets, model)}<< ") if targets else Direction()


def find_language(language: str, codes: Iterable[str], model: str) -> str:
    """The one of a checkpoint's codes that means a language.

    Args:
        language: One of the codes, or a language as ISO 639-1 or 639-3, with a script or a country where that matters.
        codes: What the checkpoint knows.
        model: Name of the checkpoint, for the message.

    Raises:
        ValueError: No code means it, or more than one does; says which there are.
        ImportError: langcodes is not installed, and the language is none of the codes.

    Example:
        >>> codes = ["eng_Latn", "kor_Hang", "zho_Hans", "zho_Hant"]
        >>> find_language("ko", codes, "nllb"), find_language("zh-Hant", codes, "nllb")
        ('kor_Hang', 'zho_Hant')
        >>> find_language("zh", codes, "nllb")
        Traceback (most recent call last):
        ValueError: nllb: expected one language, found that zh can be zho_Hans, zho_Hant; give one of these
    """
    codes = list(codes)
    if language in codes:
        return language
    wanted = _parts(language)
    if wanted:
        parsed = [(code, parts) for code in codes if (parts := _parts(code))]
        # Level 0 is the language itself; 1 is what it is a part of, as Standard Arabic (arb) of Arabic (ar).
        for level in (0, 1):
            matches = [
                code
                for code, parts in parsed
                if parts[level] == wanted[level]
                and all(w in (None, p) for w, p in zip(wanted[2:], parts[2:], strict=True))
            ]
            if len(matches) > 1:
                raise ValueError(
                    f"{model}: expected one language, found that {language} can be {', '.join(matches)}; "
                    "give one of these"
                )
            if matches:
                return matches[0]
    near = sorted(codes, key=lambda code: (code[:1] != language[:1], code))
    raise ValueError(
        f"{model}: expected one of its {len(codes)} languages ({', '.join(near[:12])}{', …' if near[12:] else ''}), "
        f"found {language!r}"
    )


def _other(code: str | None, asked: str) -> bool:
    """Whether a language is surely not the one asked for; of a group (`mul`, `gmq`) nothing is sure."""
    own, wanted = _parts(code) if code else None, _parts(asked)
    return bool(own and wanted and len(own[1]) == 2 and own[0] != wanted[0] and own[1] != wanted[1])


@lru_cache(maxsize=4096)
def _parts(code: str) -> tuple[str, str, str | None, str | None] | None:
    """ISO 639-3 code, tag of the language it is a part of, script and country; None if it is no language."""
    require("back-translation", "langcodes", purpose=f"{code!r}, which is not written as the checkpoint writes it")
    import langcodes

    try:
        tag = langcodes.Language.get(code, normalize=False)
        return tag.to_alpha3(), langcodes.standardize_tag(tag.language or "und", macro=True), tag.script, tag.territory
    except (LookupError, ValueError):
        return None
