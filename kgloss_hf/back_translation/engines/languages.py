"""Find the language codes of a checkpoint (`ko`, `ko_KR`, `kor_Hang`, `>>kor<<`) from ISO 639 codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from ...optional import require

# mBART's ko_KR and NLLB's kor_Hang.
_SPECIAL = re.compile(r"[a-z]{2}_[A-Z]{2}|[a-z]{3}_[A-Z][a-z]{3}")


class Direction(NamedTuple):
    """The settings that tell a checkpoint the languages to translate from and to.

    Args:
        prefix: Text to put before each text.
        source: Value of the tokenizer's `src_lang`; None if it has none.
        target: Token that each translation must begin with; None if there is none.
    """

    prefix: str = ""
    source: str | None = None
    target: str | None = None


def into_korean(target: str) -> bool:
    """Return whether a target language is Korean, as any checkpoint writes it.

    Args:
        target: Code of the language, such as `ko`, `ko_KR` or `kor_Hang`.

    Examples:
        >>> [into_korean(code) for code in ("ko", "kor_Hang", "ko_KR", "kok")]
        [True, True, True, False]
    """
    return re.split("[-_]", target)[0] in ("ko", "kor")


def find_direction(tokenizer: Any, source: str, target: str, model: str) -> Direction:
    """Return the settings that make a checkpoint translate from one language to another.

    Args:
        tokenizer: Tokenizer of Marian, M2M100, NLLB or mBART-50. If it lists no languages, the checkpoint is taken to
            translate in one direction only, which is checked if the tokenizer states it (Marian's `source_lang` and
            `target_lang`).
        source: Source language, as ISO 639-1 (`ko`) or as the tokenizer writes it.
        target: Target language, likewise.
        model: Name of the checkpoint, for messages.

    Raises:
        ValueError: A language is not known, is ambiguous, or is not one that the checkpoint translates.
    """
    # M2M100 lists its languages; mBART's and NLLB's are among the special tokens.
    tokens = getattr(tokenizer, "lang_code_to_token", None) or {
        token: token for token in tokenizer.all_special_tokens if _SPECIAL.fullmatch(token)
    }
    if tokens:
        code = find_language(target, tokens, model)
        return Direction(source=find_language(source, tokens, model), target=tokens[code])
    # A Marian checkpoint with several target languages takes the target from the text.
    targets = [token[2:-2] for token in getattr(tokenizer, "supported_language_codes", [])]
    own_source, own_target = (getattr(tokenizer, name, None) for name in ("source_lang", "target_lang"))
    if _other(own_source, source) or (not targets and _other(own_target, target)):
        raise ValueError(
            f"{model}: expected {own_source} to {own_target}, found {source} to {target}; a Marian checkpoint "
            "translates in one direction only, so give one for each (model=…,back_model=…)"
        )
    return Direction(prefix=f">>{find_language(target, targets, model)}<< ") if targets else Direction()


def find_language(language: str, codes: Iterable[str], model: str) -> str:
    """Return the code by which a checkpoint knows a language.

    Args:
        language: One of the codes, or a language as ISO 639-1 or 639-3, with a script or a country if it matters.
        codes: Codes that the checkpoint knows.
        model: Name of the checkpoint, for the message.

    Raises:
        ValueError: No code means the language, or more than one does; the message lists them.
        ImportError: langcodes is not installed, and the language is not among the codes.

    Examples:
        >>> codes = ["eng_Latn", "kor_Hang", "zho_Hans", "zho_Hant"]
        >>> find_language("ko", codes, "nllb"), find_language("zh-Hant", codes, "nllb")
        ('kor_Hang', 'zho_Hant')
        >>> find_language("zh", codes, "nllb")
        Traceback (most recent call last):
        ValueError: nllb: expected one language, but zh can mean zho_Hans, zho_Hant; give one of these
    """
    codes = list(codes)
    if language in codes:
        return language
    wanted = _parts(language)
    if wanted:
        parsed = [(code, parts) for code in codes if (parts := _parts(code))]
        # Level 0 is the language itself; level 1 is its macrolanguage, as Arabic (ar) is for Standard Arabic (arb).
        for level in (0, 1):
            matches = [
                code
                for code, parts in parsed
                if parts[level] == wanted[level]
                and all(w in (None, p) for w, p in zip(wanted[2:], parts[2:], strict=True))
            ]
            if len(matches) > 1:
                raise ValueError(
                    f"{model}: expected one language, but {language} can mean {', '.join(matches)}; give one of these"
                )
            if matches:
                return matches[0]
    near = sorted(codes, key=lambda code: (code[:1] != language[:1], code))
    raise ValueError(
        f"{model}: expected one of its {len(codes)} languages ({', '.join(near[:12])}{', …' if near[12:] else ''}), "
        f"found {language!r}"
    )


def _other(code: str | None, asked: str) -> bool:
    """Return whether a code certainly means another language than asked for; a group (`mul`, `gmq`) never does."""
    own, wanted = _parts(code) if code else None, _parts(asked)
    return bool(own and wanted and len(own[1]) == 2 and own[0] != wanted[0] and own[1] != wanted[1])


@lru_cache(maxsize=4096)
def _parts(code: str) -> tuple[str, str, str | None, str | None] | None:
    """Return the ISO 639-3 code, the macrolanguage's tag, script and country, or None if the code is not a language."""
    require("back-translation", "langcodes", purpose=f"{code!r}, which is not written as the checkpoint writes it")
    import langcodes

    try:
        tag = langcodes.Language.get(code, normalize=False)
        return tag.to_alpha3(), langcodes.standardize_tag(tag.language or "und", macro=True), tag.script, tag.territory
    except (LookupError, ValueError):
        return None
