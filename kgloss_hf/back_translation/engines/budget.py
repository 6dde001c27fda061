"""Budgets and rates for paid services, kept across processes and restarts."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep

from filelock import FileLock, Timeout

from ...files import acquire, save_file
from ...reporting import counted
from .engine import EngineError, Price

_LOCK_TIMEOUT = 60.0


class BudgetError(EngineError):
    """A request would exceed the budget, or the amount spent is unknown. Nothing was sent."""


@dataclass
class Budget:
    """A count of the characters that an engine sends, with a limit that holds across processes and restarts.

    Args:
        name: Name of the engine, under which its characters are counted.
        price: Price of the characters.
        max_characters: Maximum number of characters in total; None for no limit.
        max_cost: Maximum cost in total, in the price's currency; None for no limit.
        path: JSON file of engines' names and characters, shared by all processes; None counts in memory only.

    Examples:
        >>> budget = Budget("papago", Price(20_000, "KRW"), max_cost=1)
        >>> budget.reserve(30)
        >>> budget.reserve(30)
        Traceback (most recent call last):
        kgloss_hf.back_translation.engines.budget.BudgetError: papago: expected at most 50 characters in total (1.00 \
KRW), found 30 spent and 30 in the next request; raise max_characters or max_cost to continue
        >>> budget.give_back(20)
        >>> budget.spent()
        10
    """

    name: str
    price: Price
    max_characters: int | None = None
    max_cost: float | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        self._counts: dict[str, int] = {}
        limits = [] if self.max_characters is None else [self.max_characters]
        if self.max_cost is not None and self.price.per_million:
            limits.append(int(Decimal(str(self.max_cost)) * 1_000_000 / Decimal(str(self.price.per_million))))
        self.limit = min(limits, default=None)

    def spent(self) -> int:
        """Return the number of characters sent so far by all processes that share the file.

        Raises:
            BudgetError: The file is damaged.
        """
        return self._read().get(self.name, 0)

    def reserve(self, characters: int) -> None:
        """Count characters that are about to be sent.

        Raises:
            BudgetError: Too little of the budget is left, or the file is damaged. Nothing is counted.
        """
        self._change(characters)

    def give_back(self, characters: int) -> None:
        """Subtract characters that are certainly not billed."""
        self._change(-characters)

    def _change(self, characters: int) -> None:
        if self.path is None:
            self._add(characters)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self.path}.lock")
        try:
            acquire(lock, self.path, timeout=_LOCK_TIMEOUT)
        except Timeout as error:
            raise BudgetError(
                f"{self.path}: another process has held {self.path}.lock for {_LOCK_TIMEOUT:.0f} s; end it, then run "
                "the command again"
            ) from error
        try:
            self._add(characters)
        finally:
            lock.release()

    def _add(self, characters: int) -> None:
        spent, limit = self.spent(), self.limit
        if limit is not None and characters > 0 and spent + characters > limit:
            cost = f"{limit * self.price.per_million / 1_000_000:,.2f} {self.price.currency}"
            where = f" ({self.path})" if self.path else ""
            raise BudgetError(
                f"{self.name}: expected at most {counted(limit, 'character')} in total ({cost}), found {spent:,} spent"
                f"{where} and {characters:,} in the next request; raise max_characters or max_cost to continue"
            )
        self._counts = self._read() | {self.name: max(0, spent + characters)}
        if self.path:
            text = json.dumps(self._counts, ensure_ascii=False)
            save_file(self.path, lambda partial: partial.write_text(text, "utf-8"))

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
                f"{self.path}: expected a JSON object of engines and the numbers of characters that they have sent, "
                'such as {"papago": 1200}, found a damaged file; enter the numbers that the services\' consoles show'
            )
        return counts


class Pace:
    """A rate limit: at most `most` units in any window of `seconds`; larger amounts pass in portions.

    tenacity waits only after failures, and a service's `Retry-After` comes too late, so this class keeps a queue of the
    units sent.

    Args:
        most: Maximum number of units per window, at least 1.
        seconds: Length of the window.

    Examples:
        >>> pace = Pace(2, 0.01)
        >>> pace.wait(5)  # takes 0.02 seconds
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._sent: deque[tuple[float, int]] = deque()

    def wait(self, units: int) -> None:
        """Wait until this many units may be sent, and count them."""
        for start in range(0, units, self.most):
            portion = min(self.most, units - start)
            while sum(count for _, count in self._sent) > self.most - portion:
                moment, _ = self._sent.popleft()
                sleep(max(0.0, moment + self.seconds - monotonic()))
            self._sent.append((monotonic(), portion))
