"""Translation with Papago, NAVER Cloud Platform's translation service."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ...reporting import counted
from .engine import EngineError, Limits, Price, RefusedError
from .remote import RemoteEngine

logger = logging.getLogger(__name__)

_CHARACTERS = 5000  # maximum per request
_PARTNERS = {
    "ko": "en ja zh-CN zh-TW vi th id fr es ru de it",
    "en": "ja zh-CN zh-TW vi th id fr es ru de",
    "ja": "zh-CN zh-TW vi th id fr",
    "zh-CN": "zh-TW",
}
PAIRS = frozenset(frozenset((one, other)) for one, others in _PARTNERS.items() for other in others.split())
"""Pairs of languages that Papago translates, in both directions."""
_HONORIFIC = frozenset({("en", "ko"), ("ja", "ko"), ("zh-CN", "ko"), ("zh-TW", "ko")}) | frozenset(
    {("ko", "ja"), ("en", "ja"), ("zh-CN", "ja"), ("zh-TW", "ja")}
)
"""Pairs of source and target that support honorific translation."""


@dataclass(kw_only=True, eq=False, repr=False)
class PapagoEngine(RemoteEngine):
    """An engine that translates with Papago Text Translation.

    The API takes one text per request, so several texts are sent as the lines of one. If a different number of lines
    comes back, the texts are sent again one by one, which is counted and billed again.

    Requests, languages, limits and errors follow https://api.ncloud-docs.com/docs/en/ai-naver-papagonmt and
    https://api.ncloud-docs.com/docs/en/ai-naver-papagonmt-translation (September 2026). Spaces and line ends count as
    characters. NAVER Cloud asks users to name Papago where its translations are used
    (https://guide.ncloud-docs.com/docs/en/papagotranslation-spec); check its terms before you train models on
    translations or pass them on.

    The options are those of `RemoteEngine` and the following. `max_cost` and `price` are in won; Papago bills per
    million characters.

    Args:
        honorific: Translate to polite Korean and Japanese, from the languages for which Papago supports it (default
            False).
        texts_per_request: Maximum number of lines per request (default 100). 1 costs the same and rules out mixed-up
            lines, but is slower.

    Examples:
        >>> engine = PapagoEngine(max_cost=10_000)
        >>> engine.describe()
        {'kind': 'papago', 'honorific': False, 'texts_per_request': 100}
        >>> engine.translate(["불이 났어요."], "ko", "en")  # doctest: +SKIP
        ['There is a fire.']
    """

    name: str = "papago"
    honorific: bool = False
    texts_per_request: int = 100
    endpoint: str = "https://papago.apigw.ntruss.com/nmt/v1/translation"

    extra = "papago"
    libraries = ("requests",)
    # An Application's Client ID and Client Secret.
    keys: ClassVar[Mapping[str, str]] = {
        "x-ncp-apigw-api-key-id": "PAPAGO_CLIENT_ID",
        "x-ncp-apigw-api-key": "PAPAGO_CLIENT_SECRET",
    }
    credentials = (
        f"{' and '.join(keys.values())}, and that Text Translation is selected for the Application in the console"
    )
    # NAVER Cloud's price list was not available; the price that a user reported in February 2025, about 100 yuan,
    # agrees with this one (https://github.com/immersive-translate/immersive-translate/issues/2524). See the price of
    # your account at https://www.ncloud.com/product/aiService/papagoTranslation, and give it as `price`.
    list_price = Price(20_000.0, "KRW")
    result = "message.result.translatedText"
    explanations = (
        ("^HTTP 400: .*N2MT0[2456]", ValueError, ""),
        ("^HTTP 429: ", EngineError, "; see the limits and the selected APIs of the Application"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.honorific, bool):
            raise ValueError(f"{self.name}: expected honorific to be true or false, found {self.honorific!r}")
        lines = self.texts_per_request
        if type(lines) is not int or not 1 <= lines <= _CHARACTERS // 2:
            raise ValueError(
                f"{self.name}: expected texts_per_request to be a whole number from 1 to {_CHARACTERS // 2}, found "
                f"{lines!r}"
            )
        self.limits = Limits(lines, _CHARACTERS + 1 - lines, _CHARACTERS)

    def describe(self) -> dict[str, Any]:
        """Return the settings that determine the translations."""
        return {"kind": "papago", "honorific": self.honorific, "texts_per_request": self.texts_per_request}

    def check_languages(self, source: str, target: str) -> None:
        """Raise ValueError if Papago does not translate from one language to the other."""
        if frozenset((source, target)) not in PAIRS:
            partners = sorted(partner for pair in PAIRS if source in pair for partner in pair - {source})
            known = f"{source} to {', '.join(partners)}" if partners else ", ".join(sorted(frozenset().union(*PAIRS)))
            raise ValueError(f"{self.name}: expected languages from {known}, found {source!r} and {target!r}")

    def translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate texts as the lines of one request, or one by one if the number of lines changes."""
        if line := next((text for text in texts if "\n" in text or "\r" in text), None):
            raise ValueError(f"expected a text without line ends, found {line[:40]!r}")
        text = "\n".join(texts)
        body: dict[str, Any] = {"source": source, "target": target, "text": text}
        if self.honorific and (source, target) in _HONORIFIC:
            body["honorific"] = True
        (translation,) = self.ask(self.endpoint, body, len(text))
        lines = [line.removesuffix("\r") for line in translation.split("\n")]
        if len(lines) == len(texts):
            return lines
        if len(texts) == 1:
            raise RefusedError(f"{self.name}: expected a translation of one line, found {len(lines)}")
        logger.warning(
            "%s: expected %d lines, found %d; sending the texts again one by one (%s)",
            self.name,
            len(texts),
            len(lines),
            counted(sum(map(len, texts)), "character"),
        )
        lines = []
        for text in texts:
            lines += self.translate_batch([text], source, target)
            self.keep([text], lines[-1:], source, target)
        return lines

    def read(self, answer: Any) -> list[str]:
        """Return the translation in an answer, with all lines in one text."""
        return [answer["message"]["result"]["translatedText"]]
