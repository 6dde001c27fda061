"""Papago, NAVER Cloud Platform's translation service."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine import EngineError, Limits, Price, RefusedError
from .remote import RemoteEngine, RequestError, check_endpoint, retry_after

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

KEYS = ("PAPAGO_CLIENT_ID", "PAPAGO_CLIENT_SECRET")
"""Environment variables with an Application's Client ID and Client Secret."""
_HEADERS = ("x-ncp-apigw-api-key-id", "x-ncp-apigw-api-key")
ENDPOINT = "https://papago.apigw.ntruss.com/nmt/v1/translation"
CHARACTERS = 5000
"""Characters of one request at most."""
LIST_PRICE = 20_000.0
"""Won for a million characters. NAVER Cloud's price list was not at hand; what a user reported in February 2025, about
100 yuan, accords (https://github.com/immersive-translate/immersive-translate/issues/2524). See the price of your
account at https://www.ncloud.com/product/aiService/papagoTranslation, and give it as `price`."""

_PARTNERS = {
    "ko": "en ja zh-CN zh-TW vi th id fr es ru de it",
    "en": "ja zh-CN zh-TW vi th id fr es ru de",
    "ja": "zh-CN zh-TW vi th id fr",
    "zh-CN": "zh-TW",
}
PAIRS = frozenset(frozenset((one, other)) for one, others in _PARTNERS.items() for other in others.split())
"""Languages that are translated to each other."""
HONORIFIC = frozenset({("en", "ko"), ("ja", "ko"), ("zh-CN", "ko"), ("zh-TW", "ko")}) | frozenset(
    {("ko", "ja"), ("en", "ja"), ("zh-CN", "ja"), ("zh-TW", "ja")}
)
"""Sources and targets that know honorific translation."""


class PapagoEngine(RemoteEngine):
    """Translates by Papago Text Translation.

    The API takes one text a request, so several are sent as lines of one. If other than so many lines come back, the
    texts are sent again one by one, which is counted and paid for again.

    Requests, languages, limits and errors are those of https://api.ncloud-docs.com/docs/en/ai-naver-papagonmt and
    https://api.ncloud-docs.com/docs/en/ai-naver-papagonmt-translation (September 2026). Spaces and line ends count as
    characters. NAVER Cloud asks to name Papago where its translations are used
    (https://guide.ncloud-docs.com/docs/en/papagotranslation-spec); check its terms before you train models on them, or
    give them to others.

    Args:
        name: Stands in the corpus's column `engine`, and in the file of what is spent.
        honorific: Translate to polite Korean and Japanese, from the languages from which Papago can.
        texts_per_request: Lines of a request at most. 1 costs the same and rules out that lines get mixed up, but is
            slower.
        max_characters: Characters to send in all at most.
        max_cost: Won to spend in all at most, by `price`.
        price: Won for a million characters. Papago bills by the million.
        requests_per_second: At most, of all processes together.
        timeout: Seconds to wait for a connection, and for each part of an answer.
        endpoint: URL of the API, or of a proxy for it.
        spending: File in which characters are counted; None counts in memory.

    Raises:
        ValueError: An option has no sense.
        ImportError: A library is missing.

    Example:
        >>> engine = PapagoEngine(max_cost=10_000)
        >>> engine.describe()
        {'kind': 'papago', 'honorific': False, 'texts_per_request': 100}
        >>> engine.translate(["불이 났어요."], "ko", "en")  # doctest: +SKIP
        ['There is a fire.']
    """

    extra = "papago"
    libraries = ("httpx",)
    credentials = f"{' and '.join(KEYS)}, and that Text Translation is selected for the Application in the console"

    def __init__(
        self,
        name: str = "papago",
        *,
        honorific: bool = False,
        texts_per_request: int = 100,
        max_characters: int | None = None,
        max_cost: float | None = None,
        price: float = LIST_PRICE,
        requests_per_second: float | None = None,
        timeout: float = 30.0,
        endpoint: str = ENDPOINT,
        spending: Path | None = None,
    ) -> None:
        super().__init__(
            name,
            Price(price, "KRW"),
            max_characters=max_characters,
            max_cost=max_cost,
            requests_per_second=requests_per_second,
            characters_per_minute=None,
            timeout=timeout,
            spending=spending,
        )
        if not isinstance(honorific, bool):
            raise ValueError(f"{name}: expected honorific to be true or false, found {honorific!r}")
        if type(texts_per_request) is not int or not 1 <= texts_per_request <= CHARACTERS // 2:
            raise ValueError(
                f"{name}: expected texts_per_request to be a whole number from 1 to {CHARACTERS // 2}, found "
                f"{texts_per_request!r}"
            )
        check_endpoint(name, endpoint)
        self.limits = Limits(texts_per_request, CHARACTERS + 1 - texts_per_request, CHARACTERS)
        self._honorific = honorific
        self._endpoint = endpoint
        self._client: httpx.Client | None = None

    def describe(self) -> dict[str, Any]:
        """What decides the translations."""
        return {"kind": "papago", "honorific": self._honorific, "texts_per_request": self.limits.texts}

    def check_languages(self, source: str, target: str) -> None:
        """Raise ValueError if Papago does not translate from one language to the other."""
        if frozenset((source, target)) not in PAIRS:
            partners = sorted(partner for pair in PAIRS if source in pair for partner in pair - {source})
            known = f"from {source} to {', '.join(partners)}" if partners else f"from {', '.join(languages())}"
            raise ValueError(f"{self.name}: expected languages {known}, found {source!r} and {target!r}")

    def translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of texts that fit into one request."""
        lines = split_lines(self._translate_text(join_lines(texts), source, target))
        if len(lines) == len(texts):
            return lines
        if len(texts) == 1:
            raise RefusedError(f"{self.name}: expected a translation of one line, found {len(lines)}")
        logger.warning(
            "%s: expected %d lines, found %d; the texts are sent again one by one, %d characters",
            self.name,
            len(texts),
            len(lines),
            sum(map(len, texts)),
        )
        found = []
        for text in texts:
            found += self.translate_batch([text], source, target)
            self.keep([text], found[-1:], source, target)
        return found

    def explain(self, error: RequestError) -> Exception:
        """What to raise for a request that is given up."""
        if error.status == 400 and re.search("N2MT0[2456]", str(error)):
            return ValueError(f"{self.name}: {error}")
        if error.status == 429:
            return EngineError(f"{super().explain(error)}; see the limits and the selected APIs of the Application")
        return super().explain(error)

    def _translate_text(self, text: str, source: str, target: str) -> str:
        client = self._open()
        body: dict[str, Any] = {"source": source, "target": target, "text": text}
        if self._honorific and (source, target) in HONORIFIC:
            body["honorific"] = True
        return self.ask(lambda: self._post(client, body), len(text))

    def _post(self, client: httpx.Client, body: dict[str, Any]) -> str:
        import httpx

        try:
            response = client.post(self._endpoint, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise RequestError(f"no connection ({type(error).__name__})", sent=False) from error
        except httpx.RequestError as error:
            raise RequestError(f"no answer ({type(error).__name__})") from error
        if response.status_code != 200:
            message = _message(response)
            for key, header in zip(KEYS, _HEADERS, strict=True):
                message = message.replace(client.headers[header], f"${key}")
            raise RequestError(
                f"HTTP {response.status_code}: {message[:300] or 'no message'}",
                status=response.status_code,
                wait=retry_after(response.headers.get("retry-after")),
            )
        try:
            translation = response.json()["message"]["result"]["translatedText"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RequestError(_unreadable(response)) from error
        if not isinstance(translation, str):
            raise RequestError(_unreadable(response))
        return translation

    def _open(self) -> httpx.Client:
        if self._client is None:
            import httpx

            headers = {header: _key(self.name, key) for key, header in zip(KEYS, _HEADERS, strict=True)}
            self._client = httpx.Client(headers=headers, timeout=self._timeout)
        return self._client


def languages() -> list[str]:
    """Languages that Papago knows.

    Example:
        >>> languages()
        ['de', 'en', 'es', 'fr', 'id', 'it', 'ja', 'ko', 'ru', 'th', 'vi', 'zh-CN', 'zh-TW']
    """
    return sorted(frozenset().union(*PAIRS))


def join_lines(texts: Sequence[str]) -> str:
    """Texts as lines.

    Args:
        texts: Without line ends.

    Raises:
        ValueError: A text has a line end.

    Example:
        >>> split_lines(join_lines(["불이 났어요.", "도와주세요."]))
        ['불이 났어요.', '도와주세요.']
    """
    for text in texts:
        if "\n" in text or "\r" in text:
            raise ValueError(f"expected a text without line ends, found {text[:40]!r}")
    return "\n".join(texts)


def split_lines(text: str) -> list[str]:
    """Lines of a text. Only line feeds end a line, with or without a carriage return before them.

    Example:
        >>> split_lines("There is a fire.\\r\\nHelp.")
        ['There is a fire.', 'Help.']
    """
    return [line.removesuffix("\r") for line in text.split("\n")]


def _key(name: str, variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    # An HTTP library that does not take a key says so with the key in its message.
    if not key or not key.isascii() or not key.isprintable():
        raise EngineError(
            f"{name}: expected the environment variable {variable} to hold a key of NAVER Cloud Platform, found "
            f"{'something else' if key else 'none'}; see the Application's authentication information in the console"
        )
    return key


def _message(response: httpx.Response) -> str:
    """The service's own message, in the form of its gateway or that of the translator behind it."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return ""
    fault = answer.get("error", answer) if isinstance(answer, dict) else {}
    if not isinstance(fault, dict):
        return ""
    parts = [fault.get(field) for field in ("errorCode", "message", "errorMessage", "details")]
    return ", ".join(str(part) for part in parts if part)


def _unreadable(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "no content type")
    return f"expected JSON with message.result.translatedText, found {len(response.content)} bytes ({kind})"
