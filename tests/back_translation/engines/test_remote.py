from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.back_translation.engines import remote
from kgloss_hf.back_translation.engines.engine import EngineError, Limits, Price, RefusedError
from kgloss_hf.back_translation.engines.remote import (
    ATTEMPTS,
    Budget,
    BudgetError,
    Pace,
    RemoteEngine,
    RequestError,
    check_endpoint,
    require,
    retry_after,
)

for library in ("filelock", "tenacity", "pyrate_limiter"):
    pytest.importorskip(library)

PRICE = Price(20_000, "KRW")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which take no time."""
    found: list[float] = []
    monkeypatch.setattr(remote, "sleep", found.append)
    return found


class Upper(RemoteEngine):
    """Translates to upper case, once it has raised all of `faults`."""

    extra = "papago"
    libraries = ()
    credentials = "UPPER_KEY"
    limits = Limits(2, 100, 50)

    def __init__(self, *faults: Exception, **options: Any) -> None:
        defaults: dict[str, Any] = dict.fromkeys(
            ("max_characters", "max_cost", "requests_per_second", "characters_per_minute", "spending")
        )
        options = {"name": "upper", "price": PRICE, "timeout": 1} | defaults | options
        super().__init__(options.pop("name"), options.pop("price"), **options)
        self.faults = list(faults)
        self.sent: list[list[str]] = []

    def describe(self) -> dict[str, Any]:
        return {}

    def check_languages(self, source: str, target: str) -> None:
        if source == target:
            raise ValueError("one language")

    def translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        def send() -> list[str]:
            self.sent.append(list(texts))
            if self.faults:
                raise self.faults.pop(0)
            return [text.upper() for text in texts]

        return self.ask(send, sum(map(len, texts)))


def busy(count: int = 1, **options: Any) -> list[RequestError]:
    return [RequestError("busy", status=503, **options) for _ in range(count)]


def test_budget_is_the_smaller_of_characters_and_money() -> None:
    assert Budget("papago", PRICE).limit is None
    assert Budget("papago", PRICE, max_characters=70).limit == 70
    assert Budget("google", Price(20, "USD"), max_characters=9_000, max_cost=0.1).limit == 5_000
    assert Budget("google", Price(0, "USD"), max_cost=0.1).limit is None


def test_budget_may_be_spent_to_the_last_character() -> None:
    budget = Budget("papago", PRICE, max_characters=10)
    budget.reserve(10)
    with pytest.raises(BudgetError, match="at most 10 characters .* found 10 spent and 1 in the next"):
        budget.reserve(1)
    assert budget.spent() == 10
    budget.give_back(4)
    budget.reserve(4)
    budget.give_back(99)
    assert budget.spent() == 0


def test_budget_outlasts_the_process_and_counts_each_engine(tmp_path: Path) -> None:
    path = tmp_path / "corpus" / "spending.json"
    Budget("파파고", PRICE, path=path).reserve(7)
    Budget("google", PRICE, path=path).reserve(5)
    again = Budget("파파고", PRICE, max_characters=10, path=path)
    with pytest.raises(BudgetError, match="7 spent .*spending.json"):
        again.reserve(4)
    again.reserve(3)
    assert json.loads(path.read_text("utf-8")) == {"파파고": 10, "google": 5}


def test_processes_together_do_not_go_over_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "spending.json"
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from kgloss_hf.back_translation.engines.engine import Price\n"
        "from kgloss_hf.back_translation.engines.remote import Budget, BudgetError\n"
        "budget = Budget('papago', Price(1, 'KRW'), max_characters=50, path=Path(sys.argv[1]))\n"
        "done = 0\n"
        "try:\n    for _ in range(40):\n        budget.reserve(1)\n        done += 1\n"
        "except BudgetError:\n    print('over', end=' ')\n"
        "print(done)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sum(int(output[-1]) for output in outputs) == 50
    assert any(output[0] == "over" for output in outputs)
    assert json.loads(path.read_text()) == {"papago": 50}


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]", b"\xff", b'{"papago": -1}', b'{"papago": "5"}', b'{"a": true}', b"[" * 99_999]
)
def test_damaged_spending_is_never_taken_for_nothing(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "spending.json"
    path.write_bytes(damaged)
    budget = Budget("papago", PRICE, path=path)
    for call in (budget.spent, lambda: budget.reserve(1), lambda: budget.give_back(1)):
        with pytest.raises(BudgetError, match=r"spending.json: expected a JSON object .* damaged"):
            call()
    assert path.read_bytes() == damaged


def test_a_held_lock_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(remote, "_LOCK_TIMEOUT", 0.01)
    with FileLock(tmp_path / "spending.json.lock"), pytest.raises(BudgetError, match="another process holds"):
        Budget("papago", PRICE, path=tmp_path / "spending.json").reserve(1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        (" 10 ", 10),
        ("3\x1f", 3),
        ("1" * 5000, float("inf")),
        ("-3", 0),
        ("1.5", 0),
        ("bald", 0),
        ("", 0),
        (None, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
    ],
)
def test_retry_after(value: str | None, seconds: float) -> None:
    assert retry_after(value) == seconds


def test_retry_after_takes_a_date_to_come() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < retry_after(date) <= 90


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://papago.example",
        "ftp://localhost",
        "localhost:80",
        "",
        "https://",
        "https://me:key@a.example",
        "https://[key",
        5,
    ],
)
def test_endpoints_that_would_give_keys_away_are_refused(endpoint: Any) -> None:
    with pytest.raises(ValueError, match="papago: expected endpoint") as error:
        check_endpoint("papago", endpoint)
    assert "key" not in str(error.value)


@pytest.mark.parametrize("endpoint", ["https://papago.example/a", "http://localhost:8000", "http://[::1]:80"])
def test_endpoints_that_are_safe(endpoint: str) -> None:
    check_endpoint("papago", endpoint)


@pytest.mark.parametrize("module", ["no_such_library", "no_such.part", "json.no_such"])
def test_a_missing_library_is_named_with_its_remedy(module: str) -> None:
    with pytest.raises(ImportError, match=r'the module no_such.*pip install "kgloss-hf\[papago\]"|the module json.no'):
        require(["json", module], "papago")


@pytest.mark.parametrize(("processes", "seconds"), [("1", 0.1), ("2", 0.2)])
def test_pace_of_requests_is_shared_by_processes(
    monkeypatch: pytest.MonkeyPatch, processes: str, seconds: float
) -> None:
    monkeypatch.setenv("WORLD_SIZE", processes)
    pace = Pace(20, None)
    start = time.monotonic()
    for _ in range(3):
        pace.wait(10)
    # The limiter counts in whole milliseconds.
    assert time.monotonic() - start > seconds - 0.01


def test_pace_of_characters_lets_long_requests_through_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrate_limiter import Limiter

    weights: list[int] = []
    monkeypatch.setattr(Limiter, "try_acquire", lambda self, weight=1: weights.append(weight))
    monkeypatch.setenv("WORLD_SIZE", "2")
    pace = Pace(None, 2_000)
    for characters in (1, 100, 101, 2_450):
        pace.wait(characters)
    assert weights == [1, 1, 2, 10, 10, 5]


def test_translates_in_batches_in_order_and_equal_texts_once() -> None:
    engine = Upper()
    assert engine.translate(["a", "bbb", "cc", "a"], "ko", "en") == ["A", "BBB", "CC", "A"]
    assert engine.sent == [["bbb", "cc"], ["a"]]
    assert engine.budget.spent() == 6
    assert engine.translate([], "ko", "en") == []


def test_passing_faults_are_tried_again_after_growing_waits(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    engine = Upper(*busy(ATTEMPTS - 1))
    assert engine.translate(["불이 났어요."], "ko", "en") == ["불이 났어요."]
    assert len(waits) == ATTEMPTS - 1
    assert all(2**n <= wait <= 2**n + 1 for n, wait in enumerate(waits))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * len(waits)
    assert "upper: busy; attempt 1 of 6, next in" in caplog.text
    assert "불이" not in caplog.text


def test_attempts_are_bounded(waits: list[float]) -> None:
    engine = Upper(*busy(99))
    with pytest.raises(EngineError, match="upper: busy; given up, run it again later") as error:
        engine.translate(["a"], "ko", "en")
    assert not isinstance(error.value, RefusedError)
    assert len(engine.sent) == ATTEMPTS
    assert len(waits) == ATTEMPTS - 1


def test_the_service_s_own_wait_counts(waits: list[float]) -> None:
    Upper(*busy(wait=42)).translate(["a"], "ko", "en")
    assert waits == [42]


def test_a_wait_too_long_is_not_begun(waits: list[float]) -> None:
    with pytest.raises(EngineError, match="busy, and asks to wait 3600 s; given up"):
        Upper(*busy(wait=3600)).translate(["a"], "ko", "en")
    assert waits == []


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, RefusedError, "upper: no$"),
        (413, RefusedError, "upper: no$"),
        (401, EngineError, "upper: no; check UPPER_KEY$"),
        (403, EngineError, "upper: no; check UPPER_KEY$"),
        (404, EngineError, "upper: no$"),
        (302, EngineError, "upper: no$"),
    ],
)
def test_faults_that_stay_are_not_tried_again(
    waits: list[float], status: int, kind: type[Exception], message: str
) -> None:
    engine = Upper(RequestError("no", status=status))
    with pytest.raises(EngineError, match=message) as error:
        engine.translate(["a"], "ko", "en")
    assert type(error.value) is kind
    assert (len(engine.sent), waits, engine.budget.spent()) == (1, [], 0)


@pytest.mark.parametrize(
    ("fault", "spent"),
    [
        (RequestError("429", status=429), 3),
        (RequestError("500", status=500), 3),
        (RequestError("not connected", sent=False), 3),
        (RequestError("gateway timed out", status=504), 6),
        (RequestError("timed out"), 6),
    ],
)
def test_only_what_is_certainly_not_billed_is_given_back(waits: list[float], fault: RequestError, spent: int) -> None:
    engine = Upper(fault)
    engine.translate(["abc"], "ko", "en")
    assert engine.budget.spent() == spent


def test_the_budget_holds_for_further_attempts(waits: list[float]) -> None:
    engine = Upper(RequestError("timed out"), RequestError("timed out"), max_characters=7)
    with pytest.raises(BudgetError, match="found 6 spent"):
        engine.translate(["abc"], "ko", "en")
    assert len(engine.sent) == 2


def test_what_was_translated_before_a_failure_is_not_paid_for_again() -> None:
    engine = Upper()
    engine.budget.limit = 5
    texts = ["aaa", "bb", "c"]
    with pytest.raises(BudgetError):
        engine.translate(texts, "ko", "en")
    engine.budget.limit = None
    assert engine.translate(["bb"], "en", "ko") == ["BB"]
    assert engine.translate(texts, "ko", "en") == ["AAA", "BB", "C"]
    assert engine.sent == [["aaa", "bb"], ["bb"], ["c"]]


def test_languages_are_checked_before_anything_is_sent() -> None:
    engine = Upper()
    with pytest.raises(ValueError, match="one language"):
        engine.translate(["a"], "ko", "ko")
    assert engine.sent == []


@pytest.mark.parametrize(
    "options",
    [
        {"max_characters": 0},
        {"max_characters": 1.5},
        {"max_characters": "1e6"},
        {"max_cost": True},
        {"max_cost": float("nan")},
        {"requests_per_second": -1},
        {"characters_per_minute": "many"},
        {"timeout": 0},
        {"price": Price(-1, "KRW")},
        {"price": Price("cheap", "KRW")},  # type: ignore[arg-type]
        {"name": " "},
        {"name": 5},
    ],
)
def test_options_without_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"expected {next(iter(options))} to be"):
        Upper(**options)
