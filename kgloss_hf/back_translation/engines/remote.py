"""What engines behind paid web services share: a budget, a pace, and trying again."""

from __future__ import annotations

import json
import logging
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ...files import save_file
from .engine import EngineError, Limits, Price, RefusedError, batches

logger = logging.getLogger(__name__)

ATTEMPTS = 6
"""Times that a request is sent at most."""
LONGEST_WAIT = 300.0
"""Seconds that a service may ask to wait; if it asks for more, the request is given up."""

_LOCK_TIMEOUT = 60.0
_PACE_UNIT = 100

T = TypeVar("T")


class BudgetError(EngineError):
    """A request would go over the budget, or what is spent cannot be told. Nothing was sent."""


class RequestError(Exception):
    """A request that brought no translation.

    Args:
        message: What happened, without keys and texts.
        status: HTTP status of the answer; None if there was none, or none that can be read.
        wait: Seconds that the service asks to wait.
        sent: Whether the request may have reached the service.
    """

    def __init__(self, message: str, *, status: int | None = None, wait: float = 0.0, sent: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait
        # Behind a gateway that gave up waiting (504), the service may still have translated.
        self.free = not sent or status not in (None, 504)

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status is None or self.status in (408, 429) or self.status >= 500


class Budget:
    """Counts the characters that an engine sends, and keeps them under a limit over processes and restarts.

    Args:
        name: The engine's, under which its characters are counted.
        price: What they cost.
        max_characters: Characters in all at most; None for no limit.
        max_cost: Money in all at most, in the price's currency; None for no limit.
        path: JSON file of engines' names and characters, shared by all processes; None counts in memory only.

    Example:
        >>> budget = Budget("papago", Price(20_000, "KRW"), max_cost=1)
        >>> budget.reserve(30)
        >>> budget.reserve(30)
        Traceback (most recent call last):
        kgloss_hf.back_translation.engines.remote.BudgetError: papago: expected at most 50 characters in all (1.00 \
KRW), found 30 spent and 30 in the next request; raise max_characters or max_cost to go on
        >>> budget.give_back(20)
        >>> budget.spent()
        10
    """

    def __init__(
        self,
        name: str,
        price: Price,
        *,
        max_characters: int | None = None,
        max_cost: float | None = None,
        path: Path | None = None,
    ) -> None:
        self.name = name
        self.price = price
        self.path = path
        self._counts: dict[str, int] = {}
        limits = [] if max_characters is None else [max_characters]
        if max_cost is not None and price.per_million:
            limits.append(int(Decimal(str(max_cost)) * 1_000_000 / Decimal(str(price.per_million))))
        self.limit = min(limits, default=None)

    def spent(self) -> int:
        """Characters sent so far, by all processes that share the file.

        Raises:
            BudgetError: The file is damaged.
        """
        return self._read().get(self.name, 0)

    def reserve(self, characters: int) -> None:
        """Count characters that are about to be sent.

        Raises:
            BudgetError: There is not enough left, or the file is damaged. Nothing is counted.
        """
        self._change(characters)

    def give_back(self, characters: int) -> None:
        """Take back characters that are certainly not billed."""
        self._change(-characters)

    def _change(self, characters: int) -> None:
        if self.path is None:
            self._counts[self.name] = self._sum(self.spent(), characters)
            return
        from filelock import FileLock, Timeout

        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{path}.lock", timeout=_LOCK_TIMEOUT):
                counts = self._read()
                counts[self.name] = self._sum(counts.get(self.name, 0), characters)
                save_file(path, lambda partial: partial.write_text(json.dumps(counts, ensure_ascii=False), "utf-8"))
        except Timeout as error:
            raise BudgetError(
                f"{path}: another process holds {path}.lock for {_LOCK_TIMEOUT:.0f} s; end it, then go on"
            ) from error

    def _sum(self, spent: int, characters: int) -> int:
        if self.limit is not None and characters > 0 and spent + characters > self.limit:
            where = f" ({self.path})" if self.path else ""
            raise BudgetError(
                f"{self.name}: expected at most {self.limit:,} characters in all ({self._cost(self.limit)}), found "
                f"{spent:,} spent{where} and {characters:,} in the next request; raise max_characters or max_cost to "
                "go on"
            )
        return max(0, spent + characters)

    def _cost(self, characters: int) -> str:
        return f"{characters * self.price.per_million / 1_000_000:,.2f} {self.price.currency}"

    def _read(self) -> dict[str, int]:
        if self.path is None:
            return self._counts
        try:
            counts = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            counts = None
        if not isinstance(counts, dict) or not all(type(count) is int and count >= 0 for count in counts.values()):
            raise BudgetError(
                f"{self.path}: expected a JSON object of engines and the characters that they have sent, such as "
                '{"papago": 1200}; the file is damaged: write into it what the services\' consoles say'
            )
        return counts


class Pace:
    """Lets requests through only so fast. Of several processes (`WORLD_SIZE`), each takes its share.

    Args:
        requests_per_second: Of all processes together; None for no limit.
        characters_per_minute: Of all processes together; None for no limit. Counted in hundreds begun.
    """

    def __init__(self, requests_per_second: float | None, characters_per_minute: float | None) -> None:
        from pyrate_limiter import InMemoryBucket, Limiter, Rate

        processes = int(os.environ.get("WORLD_SIZE", "1"))
        self._requests = self._characters = None
        if requests_per_second is not None:
            # One request in an interval, instead of several in a second, allows fractions and makes no bursts.
            rate = Rate(1, max(1, round(1000 * processes / requests_per_second)))
            self._requests = Limiter(InMemoryBucket([rate]), buffer_ms=1)
        if characters_per_minute is not None:
            self._portion = max(1, int(characters_per_minute / processes / _PACE_UNIT))
            self._characters = Limiter(InMemoryBucket([Rate(self._portion, 60_000)]), buffer_ms=1)

    def wait(self, characters: int) -> None:
        """Wait until a request of so many characters may be sent."""
        if self._requests:
            self._requests.try_acquire()
        if self._characters:
            units = math.ceil(characters / _PACE_UNIT)
            # A limiter refuses for good what is more than it lets through in a minute.
            for start in range(0, units, self._portion):
                self._characters.try_acquire(weight=min(self._portion, units - start))


class RemoteEngine(ABC):
    """An engine behind a web service that is paid for by the character.

    Answers that say so (429, 5xx), timeouts, cut connections and answers that are no JSON are tried again up to
    `ATTEMPTS` times, after a wait that doubles each time, or after the one that the service asks for (`Retry-After`).
    Each attempt is counted before it is sent. It is taken back if the service answers with an error; what had no answer
    stays counted, since it may be billed.

    Args:
        name: Stands in the corpus's column `engine`, and in the file of what is spent.
        price: What characters cost.
        max_characters: Characters in all at most.
        max_cost: Money in all at most, in the price's currency.
        requests_per_second: At most, of all processes together.
        characters_per_minute: At most, of all processes together.
        timeout: Seconds to wait for a connection, and for each part of an answer.
        spending: File in which characters are counted; None counts in memory.

    Raises:
        ValueError: An option has no sense.
        ImportError: A library is missing.
    """

    extra: str
    """Extra of kgloss-hf that installs the libraries."""
    libraries: Sequence[str]
    """Modules that the engine needs."""
    credentials: str
    """What to look at if the service does not let us in."""
    limits: Limits

    def __init__(
        self,
        name: str,
        price: Price,
        *,
        max_characters: int | None,
        max_cost: float | None,
        requests_per_second: float | None,
        characters_per_minute: float | None,
        timeout: float,
        spending: Path | None,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"expected name to be a word, found {name!r}")
        if isinstance(max_characters, float):
            raise ValueError(f"{name}: expected max_characters to be a whole number, found {max_characters!r}")
        if not _is_number(price.per_million) or price.per_million < 0:
            raise ValueError(f"{name}: expected price to be a number from 0, found {price.per_million!r}")
        for option, value in (
            ("max_characters", max_characters),
            ("max_cost", max_cost),
            ("requests_per_second", requests_per_second),
            ("characters_per_minute", characters_per_minute),
            ("timeout", timeout),
        ):
            if value is not None and (not _is_number(value) or value <= 0):
                raise ValueError(f"{name}: expected {option} to be a number above 0, found {value!r}")
        require((*self.libraries, "filelock", "tenacity", "pyrate_limiter"), self.extra)
        self.name = name
        self.price = price
        self.budget = Budget(name, price, max_characters=max_characters, max_cost=max_cost, path=spending)
        self._rates = requests_per_second, characters_per_minute
        self._pace: Pace | None = None
        self._timeout = timeout
        self._kept: dict[tuple[str, str, str], str] = {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What decides the translations."""

    @abstractmethod
    def check_languages(self, source: str, target: str) -> None:
        """Raise ValueError if a language is not known."""

    @abstractmethod
    def translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of texts that fit into one request."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of any number of texts, in their order.

        Equal texts are sent once. What was translated before a call failed is kept, and not sent again by the next.

        Args:
            texts: Not blank, without line ends, none longer than `limits.text`.
            source: Language of the texts.
            target: Language to translate to.

        Returns:
            As many texts as were given; "" where the service gave nothing.

        Raises:
            ValueError: A language is not known.
            BudgetError: The budget is spent.
            RefusedError: The service will not take one of the texts.
            EngineError: There is no usable answer.
        """
        self.check_languages(source, target)
        missing = [text for text in dict.fromkeys(texts) if (text, source, target) not in self._kept]
        for indices in batches(missing, self.limits):
            batch = [missing[index] for index in indices]
            self.keep(batch, self.translate_batch(batch, source, target), source, target)
        found = [self._kept[text, source, target] for text in texts]
        for text in texts:
            self._kept.pop((text, source, target), None)
        return found

    def keep(self, texts: Iterable[str], translations: Iterable[str], source: str, target: str) -> None:
        """Keep translations, as many as texts, for this call or, if it fails, for the next."""
        for text, translation in zip(texts, translations, strict=True):
            self._kept[text, source, target] = translation

    def ask(self, send: Callable[[], T], characters: int) -> T:
        """What `send` returns, within the budget, at the pace, and tried again where that can help.

        Args:
            send: Sends one request, and raises `RequestError` if that brings nothing.
            characters: That it sends.

        Raises:
            BudgetError: The budget is spent.
            RefusedError: The service will not take the request.
            EngineError: There is no usable answer.
        """
        import tenacity

        backoff = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)

        def log(state: tenacity.RetryCallState) -> None:
            wait = state.next_action.sleep if state.next_action else 0.0
            number = state.attempt_number
            logger.warning("%s: %s; attempt %d of %d, next in %.0f s", self.name, _error(state), number, ATTEMPTS, wait)

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
            return retrying(self._attempt, send, characters)
        except RequestError as error:
            raise self.explain(error) from error

    def explain(self, error: RequestError) -> Exception:
        """What to raise for a request that is given up."""
        if error.passes:
            asked = f", and asks to wait {error.wait:.0f} s" if error.wait > LONGEST_WAIT else ""
            return EngineError(f"{self.name}: {error}{asked}; given up, run it again later to go on")
        if error.status in (400, 413):
            return RefusedError(f"{self.name}: {error}")
        if error.status in (401, 403):
            return EngineError(f"{self.name}: {error}; check {self.credentials}")
        return EngineError(f"{self.name}: {error}")

    def _attempt(self, send: Callable[[], T], characters: int) -> T:
        if self._pace is None:
            self._pace = Pace(*self._rates)
        self._pace.wait(characters)
        self.budget.reserve(characters)
        try:
            return send()
        except RequestError as error:
            if error.free:
                self.budget.give_back(characters)
            raise


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
    if value is None:
        return 0.0
    value = value.strip()
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
        found = urlsplit(endpoint if isinstance(endpoint, str) else "")
    except ValueError:
        found = urlsplit("")
    local = found.scheme == "http" and found.hostname in ("localhost", "127.0.0.1", "::1")
    if not found.hostname or found.username is not None or not (found.scheme == "https" or local):
        raise ValueError(
            f"{name}: expected endpoint to be https://…, or http://localhost…, found "
            f"{found.scheme or 'no scheme'}://{found.hostname or ''}"
        )


def is_local(endpoint: str) -> bool:
    """Whether an endpoint that was checked is not encrypted, so on this machine."""
    return urlsplit(endpoint).scheme == "http"


def require(modules: Iterable[str], extra: str) -> None:
    """Raise ImportError, with how to install it, if a module is missing. None is imported."""
    for module in modules:
        try:
            missing = find_spec(module) is None
        except ModuleNotFoundError:
            missing = True
        if missing:
            raise ImportError(f'expected the module {module}, found none; run: pip install "kgloss-hf[{extra}]"')


def _error(state: Any) -> RequestError:
    error: RequestError = state.outcome.exception()
    return error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
