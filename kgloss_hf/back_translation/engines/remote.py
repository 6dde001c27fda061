"""Requests, retries and errors, shared by the engines that call paid web services."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from ...optional import require
from ...reporting import counted, one_line
from .budget import Budget, Pace
from .engine import EngineError, Limits, Price, RefusedError, batches, is_number

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

ATTEMPTS = 6
"""Maximum number of times that a request is sent."""
LONGEST_WAIT = 300.0
"""Maximum number of seconds that a service may ask to wait; beyond it, the request is given up."""
LARGEST_ANSWER = 2**24
"""Maximum size of an unpacked answer in bytes; the answer to 30,000 characters has a hundredth of that."""


class RequestError(Exception):
    """A request that returned no translation.

    Args:
        message: Description of the failure, without keys and texts. Control characters in a service's own message are
            escaped.
        status: HTTP status of the answer; None if there was no answer, or none that can be read.
        wait: Seconds that the service asks to wait.
        sent: Whether the request may have reached the service.
    """

    def __init__(self, message: str, *, status: int | None = None, wait: float = 0.0, sent: bool = True) -> None:
        super().__init__(one_line(message))
        self.status = status
        self.wait = wait
        # Behind a gateway that gave up waiting (504), the service may still have translated.
        self.free = not sent or status not in (None, 504)

    @property
    def passes(self) -> bool:
        """True if the same request may succeed later."""
        return self.status is None or self.status in (408, 429) or self.status >= 500


@dataclass(kw_only=True, eq=False, repr=False)
class RemoteEngine(ABC):
    """An engine that calls a web service which takes JSON and bills per character.

    After a temporary error (429, 5xx), a timeout, a lost connection or an answer that is not JSON, the request is sent
    again, up to `ATTEMPTS` times in total. The wait between attempts doubles each time, or is the one that the service
    asks for (`Retry-After`). The characters of each attempt are counted before it is sent. They are subtracted if the
    service answers with an error; without an answer they stay counted, since they may be billed.

    Args:
        name: Value of the corpus's column `engine`, and the key in the spending file (default: the engine's kind).
        max_characters: Maximum number of characters to send in total (default: no limit).
        max_cost: Maximum amount of money to spend in total, by `price` (default: no limit).
        price: Price of a million characters, in the service's currency (default: its list price).
        requests_per_second: Maximum number of requests per second, for all processes together (default: no limit).
        characters_per_minute: Maximum number of characters per minute, for all processes together (default: no limit).
        timeout: Seconds to wait for a connection, and for each part of an answer (default: 30).
        endpoint: URL of the API, or of a proxy for it.
        spending: File in which characters are counted (default: they are counted in memory).

    Raises:
        ValueError: The value of an option is not allowed.
        ImportError: A library is not installed.
    """

    name: str
    max_characters: int | None = None
    max_cost: float | None = None
    price: Any = None  # given as a number, kept as a Price, for which dataclasses have no type
    requests_per_second: float | None = None
    characters_per_minute: float | None = None
    timeout: float = 30.0
    endpoint: str
    spending: Path | None = None

    extra: ClassVar[str]
    """Name of the kgloss-hf extra that installs the libraries."""
    libraries: ClassVar[Sequence[str]]
    """Modules that the engine needs."""
    keys: ClassVar[Mapping[str, str]] = {}
    """Headers, each with the environment variable that holds its key."""
    credentials: ClassVar[str]
    """Settings to check if the service denies access, for messages."""
    list_price: ClassVar[Price]
    result: ClassVar[str]
    """Location of the translations in an answer, for messages."""
    explanations: ClassVar[Sequence[tuple[str, type[Exception], str]]] = ()
    """Patterns of errors, each with the exception to raise and the words to add to its message."""
    limits: Limits = field(init=False)

    def __post_init__(self) -> None:
        name, price = self.name, self.price
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"expected name to be a word, found {name!r}")
        if isinstance(self.max_characters, float):
            raise ValueError(f"{name}: expected max_characters to be a whole number, found {self.max_characters!r}")
        if price is not None and (not is_number(price) or price < 0):
            raise ValueError(f"{name}: expected price to be a number from 0, found {price!r}")
        for option in ("max_characters", "max_cost", "requests_per_second", "characters_per_minute", "timeout"):
            value = getattr(self, option)
            if value is not None and (not is_number(value) or value <= 0):
                raise ValueError(f"{name}: expected {option} to be a number above 0, found {value!r}")
        check_endpoint(name, self.endpoint)
        require(self.extra, *self.libraries, "tenacity", purpose=name)
        self.price = self.list_price if price is None else self.list_price._replace(per_million=price)
        self.budget = Budget(name, self.price, self.max_characters, self.max_cost, self.spending)
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        self._requests = self._characters = None
        if self.requests_per_second is not None:
            # One request per interval, instead of several per second, allows fractions and avoids bursts.
            self._requests = Pace(1, processes / self.requests_per_second)
        if self.characters_per_minute is not None:
            self._characters = Pace(max(1, int(self.characters_per_minute / processes)), 60)
        self._kept: dict[tuple[str, str, str], str] = {}

    @abstractmethod
    def check_languages(self, source: str, target: str) -> None:
        """Raise ValueError if a language is not known."""

    @abstractmethod
    def translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate texts that fit into one request."""

    @abstractmethod
    def read(self, answer: Any) -> list[str]:
        """Return the translations in an answer; raise KeyError, TypeError or AttributeError for any other form."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate any number of texts, in their order; see `Engine.translate`.

        Equal texts are sent once. If a call fails, also because of the budget (BudgetError), its translations so far
        are kept, and the next call does not send them again. A translation is "" if the service returned none.
        """
        self.check_languages(source, target)
        missing = [text for text in dict.fromkeys(texts) if (text, source, target) not in self._kept]
        for indices in batches(missing, self.limits):
            batch = [missing[index] for index in indices]
            self.keep(batch, self.translate_batch(batch, source, target), source, target)
        translations = [self._kept[text, source, target] for text in texts]
        for text in texts:
            self._kept.pop((text, source, target), None)
        return translations

    def keep(self, texts: Iterable[str], translations: Iterable[str], source: str, target: str) -> None:
        """Keep the translations of texts for this call or, if it fails, for the next."""
        for text, translation in zip(texts, translations, strict=True):
            self._kept[text, source, target] = translation

    def ask(self, url: str, body: dict[str, Any], characters: int) -> list[str]:
        """Request translations within the budget and the rate limits, and retry where that can help.

        Args:
            url: URL to post to.
            body: Content to send as JSON.
            characters: Number of characters that are billed.

        Raises:
            BudgetError: The budget is spent.
            RefusedError: The service refuses the request.
            EngineError: The service gave no usable answer.
        """
        import tenacity

        session = self._session  # before anything is counted
        backoff = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)

        def log(state: tenacity.RetryCallState) -> None:
            wait = state.next_action.sleep if state.next_action else 0.0
            number = state.attempt_number
            logger.warning("%s: %s; attempt %d of %d, next in %.0f s", self.name, _error(state), number, ATTEMPTS, wait)

        def attempt() -> list[str]:
            if self._requests:
                self._requests.wait(1)
            if self._characters:
                self._characters.wait(characters)
            self.budget.reserve(characters)
            try:
                return self.post(session, url, body)
            except RequestError as error:
                if error.free:
                    self.budget.give_back(characters)
                raise

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, RequestError) and error.passes and error.wait <= LONGEST_WAIT
            ),
            wait=lambda state: max(_error(state).wait, backoff(state)),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            sleep=sleep,
            before_sleep=log,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except RequestError as error:
            raise self._explained(error) from error

    def post(self, session: requests.Session, url: str, body: dict[str, Any]) -> list[str]:
        """Send one request, and return its translations.

        Raises:
            RequestError: The request returned no translation.
        """
        from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

        try:
            # Keys do not follow a redirection.
            with session.post(url, json=body, timeout=self.timeout, allow_redirects=False, stream=True) as response:
                content = _content(response)
        except _errors_of_reading() as error:
            reason = getattr(error.args[0], "reason", None) if error.args else None
            sent = not isinstance(reason, NewConnectionError | ConnectTimeoutError)
            message = f"no {'answer' if sent else 'connection'} ({type(error).__name__})"
            raise RequestError(message, sent=sent) from error
        status = response.status_code
        if status != 200:
            message = _message(content)
            for header, variable in self.keys.items():  # before truncating, so that no part of a key is left
                message = message.replace(str(session.headers[header]), f"${variable}")
            if token := str(response.request.headers.get("authorization", "")).partition(" ")[2]:
                message = message.replace(token, "(access token)")
            message = message[:300] or "no message"
            # Google may report its quota per minute as 403, as it does the quota per day.
            busy = status == 403 and "rate limit exceeded" in message.lower()
            wait = retry_after(response.headers.get("retry-after"))
            raise RequestError(f"HTTP {status}: {message}", status=429 if busy else status, wait=wait)
        try:
            translations = self.read(json.loads(content))
            if not all(isinstance(text, str) for text in translations):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            kind = response.headers.get("content-type", "no content type")
            message = f"expected JSON with {self.result}, found {counted(len(content), 'byte')} ({kind})"
            raise RequestError(message) from error
        return translations

    @cached_property
    def _session(self) -> requests.Session:
        """HTTP session that sends the keys."""
        import requests

        session = requests.Session()
        session.headers.update({header: _key(self.name, variable) for header, variable in self.keys.items()})
        return session

    def _explained(self, error: RequestError) -> Exception:
        """Return the exception to raise for a request that is given up."""
        message = f"{self.name}: {error}"
        if error.passes:
            asked = f", and the service asks to wait {error.wait:.0f} s" if error.wait > LONGEST_WAIT else ""
            message += f"{asked}; given up, run the command again later to continue"
        for pattern, kind, advice in self.explanations:
            if re.search(pattern, str(error), re.IGNORECASE | re.DOTALL):
                return kind(message + advice)
        if error.status in (401, 403):
            message += f"; check {self.credentials}"
        return (RefusedError if error.status in (400, 413) else EngineError)(message)


def retry_after(value: str | None) -> float:
    """Return the seconds to wait by the header `Retry-After` (RFC 9110), which is a number of seconds or a date.

    Args:
        value: Value of the header; None if there is none.

    Returns:
        At least 0; also 0 if the value is neither a number nor a date.

    Examples:
        >>> retry_after("120"), retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), retry_after("soon"), retry_after(None)
        (120.0, 0.0, 0.0, 0.0)
    """
    value = (value or "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def check_endpoint(name: str, endpoint: str) -> None:
    """Raise ValueError if keys and texts would be sent unencrypted over a network.

    Args:
        name: Name of the engine.
        endpoint: URL that requests go to.

    Examples:
        >>> check_endpoint("papago", "https://papago.apigw.ntruss.com/nmt/v1/translation")
        >>> check_endpoint("papago", "http://example.com/")
        Traceback (most recent call last):
        ValueError: papago: expected endpoint to be https://… or http://localhost…, found http://example.com
    """
    try:
        url = urlsplit(endpoint if isinstance(endpoint, str) else "")
    except ValueError:
        url = urlsplit("")
    local = url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")
    if not url.hostname or url.username is not None or not (url.scheme == "https" or local):
        raise ValueError(
            f"{name}: expected endpoint to be https://… or http://localhost…, found "
            f"{url.scheme or 'no scheme'}://{url.hostname or ''}"
        )


def is_local(endpoint: str) -> bool:
    """Return whether an endpoint that `check_endpoint` accepted is on this machine, and so not encrypted."""
    return urlsplit(endpoint).scheme == "http"


def _errors_of_reading() -> tuple[type[Exception], ...]:
    """Return the errors of requests, and those of brotli, which urllib3 passes on when it decodes with brotli."""
    import requests

    brotli = sys.modules.get("brotli")  # urllib3 imports it if it is installed
    return (requests.RequestException, *([brotli.error] if brotli else []))


def _content(response: requests.Response) -> bytes:
    content = bytearray()
    for part in response.iter_content(2**16):
        content += part
        if len(content) > LARGEST_ANSWER:
            status = None if response.status_code == 200 else response.status_code
            raise RequestError(f"expected an answer of up to {LARGEST_ANSWER:,} bytes, found more", status=status)
    return bytes(content)


def _message(content: bytes) -> str:
    """Return a service's own message, in the form of Google, of NAVER's gateway or of Papago behind the gateway."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    fault = answer.get("error", answer) if isinstance(answer, dict) else {}
    if not isinstance(fault, dict):
        return ""
    parts = [fault.get(name) for name in ("errorCode", "message", "errorMessage", "details")]
    return ", ".join(str(part) for part in parts if part and isinstance(part, str | int))


def _key(name: str, variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    # An HTTP library that rejects a key quotes the key in its message.
    if not key or not key.isascii() or not key.isprintable():
        raise EngineError(
            f"{name}: expected the environment variable {variable} to hold a key, found "
            f"{'something else' if key else 'none'}; see the authentication information in the service's console"
        )
    return key


def _error(state: Any) -> RequestError:
    error: RequestError = state.outcome.exception()
    return error
