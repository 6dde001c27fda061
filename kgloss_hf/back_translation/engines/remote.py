"""Send texts to paid web services: what their engines share."""

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
from ...reporting import one_line
from .budget import Budget, Pace
from .engine import EngineError, Limits, Price, RefusedError, batches, is_number

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

ATTEMPTS = 6
"""Times that a request is sent at most."""
LONGEST_WAIT = 300.0
"""Seconds that a service may ask to wait; if it asks for more, the request is given up."""
LARGEST_ANSWER = 2**24
"""Bytes of an answer that are read at most, unpacked; a request of 30,000 characters brings a hundredth of that."""


class RequestError(Exception):
    """A request that brought no translation.

    Args:
        message: What happened, without keys and texts. Control characters of a service's own words are escaped.
        status: HTTP status of the answer; None if there was none, or none that can be read.
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
        """Whether the same request may succeed later."""
        return self.status is None or self.status in (408, 429) or self.status >= 500


@dataclass(kw_only=True, eq=False, repr=False)
class RemoteEngine(ABC):
    """An engine behind a web service that takes JSON and is paid for by the character.

    Errors that may pass (429, 5xx), timeouts, cut connections and answers that are no JSON are tried again up to
    `ATTEMPTS` times, after a wait that doubles each time, or after the one that the service asks for (`Retry-After`).
    Each attempt is counted before it is sent. It is taken back if the service answers with an error; what had no answer
    stays counted, since it may be billed.

    Args:
        name: Stands in the corpus's column `engine`, and in the file of what is spent (default: the engine's kind).
        max_characters: Characters to send in all at most (default: no limit).
        max_cost: Money to spend in all at most, by `price` (default: no limit).
        price: Of a million characters, in the service's currency (default: its list price).
        requests_per_second: At most, of all processes together (default: no limit).
        characters_per_minute: At most, of all processes together (default: no limit).
        timeout: Seconds to wait for a connection, and for each part of an answer (30).
        endpoint: URL of the API, or of a proxy for it.
        spending: File in which characters are counted (default: they are counted in memory).

    Raises:
        ValueError: An option has no sense.
        ImportError: A library is missing.
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
    """Extra of kgloss-hf that installs the libraries."""
    libraries: ClassVar[Sequence[str]]
    """Modules that the engine needs."""
    keys: ClassVar[Mapping[str, str]] = {}
    """Headers, each with the environment variable that has its key."""
    credentials: ClassVar[str]
    """What to look at if the service does not let us in."""
    list_price: ClassVar[Price]
    result: ClassVar[str]
    """Where an answer has translations, for messages."""
    explanations: ClassVar[Sequence[tuple[str, type[Exception], str]]] = ()
    """Patterns of errors, each with the exception to raise and with what to add to its message."""
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
            # One request in an interval, instead of several in a second, allows fractions and makes no bursts.
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
        """Return the translations in an answer; raise KeyError, TypeError or AttributeError if it has another form."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate any number of texts, in their order; see `Engine.translate`.

        Equal texts are sent once. What was translated before a call failed, also by the budget (BudgetError), is kept,
        and not sent again by the next. A translation is "" where the service gave nothing.
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
        """Keep translations, as many as texts, for this call or, if it fails, for the next."""
        for text, translation in zip(texts, translations, strict=True):
            self._kept[text, source, target] = translation

    def ask(self, url: str, body: dict[str, Any], characters: int) -> list[str]:
        """Request translations, within the budget, at the pace, and again where that can help.

        Args:
            url: To post to.
            body: What is sent as JSON.
            characters: That are paid for.

        Raises:
            BudgetError: The budget is spent.
            RefusedError: The service will not take the request.
            EngineError: There is no usable answer.
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
            RequestError: The request brought nothing.
        """
        from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

        try:
            # Keys do not follow a redirection.
            with session.post(url, json=body, timeout=self.timeout, allow_redirects=False, stream=True) as response:
                content = _content(response)
        except _errors_of_reading() as error:
            reason = getattr(error.args[0], "reason", None) if error.args else None
            sent = not isinstance(reason, NewConnectionError | ConnectTimeoutError)
            what = f"no {'answer' if sent else 'connection'} ({type(error).__name__})"
            raise RequestError(what, sent=sent) from error
        status = response.status_code
        if status != 200:
            message = _message(content)
            for header, variable in self.keys.items():  # before it is cut, lest a part of a key is left
                message = message.replace(str(session.headers[header]), f"${variable}")
            message = message[:300] or "no message"
            # Google's quota by the minute may come as 403, as that by the day does.
            busy = status == 403 and "rate limit exceeded" in message.lower()
            wait = retry_after(response.headers.get("retry-after"))
            raise RequestError(f"HTTP {status}: {message}", status=429 if busy else status, wait=wait)
        try:
            translations = self.read(json.loads(content))
            if not all(isinstance(text, str) for text in translations):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            kind = response.headers.get("content-type", "no content type")
            what = f"expected JSON with {self.result}, found {len(content)} bytes ({kind})"
            raise RequestError(what) from error
        return translations

    @cached_property
    def _session(self) -> requests.Session:
        """A session that carries the keys."""
        import requests

        session = requests.Session()
        session.headers.update({header: _key(self.name, variable) for header, variable in self.keys.items()})
        return session

    def _explained(self, error: RequestError) -> Exception:
        """Return what to raise for a request that is given up."""
        message = f"{self.name}: {error}"
        if error.passes:
            asked = f", and asks to wait {error.wait:.0f} s" if error.wait > LONGEST_WAIT else ""
            message += f"{asked}; given up, run it again later to go on"
        for pattern, kind, advice in self.explanations:
            if re.search(pattern, str(error), re.IGNORECASE | re.DOTALL):
                return kind(message + advice)
        if error.status in (401, 403):
            message += f"; check {self.credentials}"
        return (RefusedError if error.status in (400, 413) else EngineError)(message)


def retry_after(value: str | None) -> float:
    """Seconds to wait by the header `Retry-After` (RFC 9110), which is a number of seconds or a date.

    Args:
        value: Of the header; None if there is none.

    Returns:
        From 0; 0 also if the value is neither.

    Example:
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
    """Raise ValueError if keys and texts would go unencrypted over a network.

    Args:
        name: Of the engine.
        endpoint: URL that requests go to.

    Example:
        >>> check_endpoint("papago", "https://papago.apigw.ntruss.com/nmt/v1/translation")
        >>> check_endpoint("papago", "http://example.com/")
        Traceback (most recent call last):
        ValueError: papago: expected endpoint to be https://…, or http://localhost…, found http://example.com
    """
    try:
        url = urlsplit(endpoint if isinstance(endpoint, str) else "")
    except ValueError:
        url = urlsplit("")
    local = url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")
    if not url.hostname or url.username is not None or not (url.scheme == "https" or local):
        raise ValueError(
            f"{name}: expected endpoint to be https://…, or http://localhost…, found "
            f"{url.scheme or 'no scheme'}://{url.hostname or ''}"
        )


def is_local(endpoint: str) -> bool:
    """Whether an endpoint that was checked is not encrypted, so on this machine."""
    return urlsplit(endpoint).scheme == "http"


def _errors_of_reading() -> tuple[type[Exception], ...]:
    """Return requests' errors, and brotli's, which urllib3 lets through where it decodes with it."""
    import requests

    brotli = sys.modules.get("brotli")  # which urllib3 imports where it is installed
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
    """Return a service's own message, in the form of Google, of NAVER's gateway, or of Papago behind that."""
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
    # An HTTP library that does not take a key says so with the key in its message.
    if not key or not key.isascii() or not key.isprintable():
        raise EngineError(
            f"{name}: expected the environment variable {variable} to hold a key, found "
            f"{'something else' if key else 'none'}; see the authentication information in the service's console"
        )
    return key


def _error(state: Any) -> RequestError:
    error: RequestError = state.outcome.exception()
    return error
