from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgloss_hf.back_translation.engines.budget import Budget, BudgetError, Pace
from kgloss_hf.back_translation.engines.engine import EngineError, Limits, Price, RefusedError
from kgloss_hf.back_translation.engines.papago import PapagoEngine
from kgloss_hf.back_translation.engines.remote import (
    ATTEMPTS,
    LARGEST_ANSWER,
    RemoteEngine,
    check_endpoint,
    retry_after,
)

from ..servers import KEYS, TEXTS, Answer, Paid, Service, serve

pytest.importorskip("tenacity")

PRICE = Price(20_000, "KRW")


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
        "from kgloss_hf.back_translation.engines.budget import Budget, BudgetError\n"
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

    monkeypatch.setattr("kgloss_hf.back_translation.engines.budget._LOCK_TIMEOUT", 0.01)
    with FileLock(tmp_path / "spending.json.lock"), pytest.raises(BudgetError, match="another process has held"):
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


class Clock:
    """A clock that advances only in sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("kgloss_hf.back_translation.engines.budget.monotonic", lambda: self.now)
        monkeypatch.setattr("kgloss_hf.back_translation.engines.budget.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 35), st.integers(0, 90)), max_size=20))
def test_a_pace_is_never_gone_over(monkeypatch: pytest.MonkeyPatch, requests: list[tuple[int, int]]) -> None:
    clock, pace, sent = Clock(monkeypatch), Pace(10, 60), []
    for units, pause in requests:
        before = clock.now
        pace.wait(units)
        assert clock.now - before <= 60 * -(-units // 10), "it waits no longer than it must"
        sent += [(clock.now, units)] if units <= 10 else []  # larger amounts passed in portions
        clock.now += pause
    for begin, _ in sent:
        assert sum(units for moment, units in sent if begin <= moment < begin + 60) <= 10


def test_a_pace_lets_more_through_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), Pace(1000, 60)
    moments = []
    for characters in (1, 999, 2_450, 550, 1):
        pace.wait(characters)
        moments.append(clock.now)
    assert moments == [0, 0, 180, 180, 240]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("options", [{"requests_per_second": 0.1}, {"characters_per_minute": 60}])
def test_processes_share_the_pace(monkeypatch: pytest.MonkeyPatch, processes: int, options: dict[str, Any]) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    clock, engine = Clock(monkeypatch), PapagoEngine(**options, texts_per_request=1)
    for variable, value in KEYS.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(engine, "post", lambda session, url, body: [body["text"]])
    engine.translate([f"{number:010}" for number in range(1, 20)], "ko", "en")
    # 19 requests of 10 characters: one per ten seconds, or six per minute.
    assert clock.now == pytest.approx(180 * processes)


PAUSING = [
    *[(Answer(status, {"error": {"message": "busy"}}), False) for status in (408, 429, 500, 503)],
    (Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}), False),
    (Answer(500, {"error": "text"}), False),
    (Answer(500, b'"text"'), False),
    (Answer(500, b"[" * 99_999), False),
    (Answer(403, {"error": {"message": "User Rate Limit Exceeded"}}), False),
    # The service may have translated although its gateway gave up waiting.
    (Answer(504, {"error": {"message": "Deadline exceeded."}}), True),
    (Answer(200, {"translations": [], "message": None}, cut=True), True),
    *[
        (Answer(200, body), True)
        for body in (b'{"translations": [', b'{"message": {', b"", b"[" * 99_999, b"null", b"5")
    ],
    (Answer(200, b"<html>Log in</html>", {"Content-Type": "text/html"}), True),
    (Answer(200, '{"translations": [{"translatedText": "물"}]}'.encode("cp949")), True),
    *[(Answer(status, b"\xff\xfe", {"Content-Encoding": "br", "Location": "/"}), True) for status in (200, 301)],
    (Answer(200, ["translations"]), True),
    (Answer(200, b'"translations"'), True),
    (Answer(200, {"translations": 5}), True),
    (Answer(200, {"translations": {"translatedText": "a"}, "message": None}), True),
    *[
        (Answer(200, {"translations": [answer], "message": {"result": answer}}), True)
        for answer in ({"translatedText": 5}, {"translatedText": None})
    ],
]


@pytest.mark.parametrize(("answer", "counted"), PAUSING)
def test_faults_that_may_pass_are_tried_again(
    engine: RemoteEngine, service: Service, waits: list[float], answer: Answer, counted: bool
) -> None:
    service.script = [answer]
    assert engine.translate(TEXTS, "ko", "en") == [f"[{text}]" for text in TEXTS]
    assert service.requests[0].body == service.requests[1].body
    cost = sum(map(len, TEXTS)) + (2 if engine.name == "papago" else 0)  # Papago gets lines, whose ends count
    assert engine.budget.spent() == (2 if counted else 1) * cost
    assert len(waits) == 1


def test_a_slow_answer_is_given_up_and_counted(paid: Paid, service: Service) -> None:
    service.script = [Answer(body=paid.answer(["late"]), delay=5)]
    engine = paid.open(service, timeout=0.2)
    assert engine.translate(["물"], "ko", "en") == ["[물]"]
    assert engine.budget.spent() == 2


def test_the_budget_holds_for_further_attempts(paid: Paid, service: Service) -> None:
    service.script = [Answer(504)] * 2
    with pytest.raises(BudgetError, match="found 6 spent"):
        paid.open(service, max_characters=7).translate(["abc"], "ko", "en")
    assert len(service.requests) == 2


def test_no_connection_is_tried_again_and_not_counted(paid: Paid, service: Service, waits: list[float]) -> None:
    with serve(paid.translate) as gone:
        engine = paid.open(gone)
    with pytest.raises(EngineError, match=rf"{engine.name}: no connection \(ConnectionError\); given up"):
        engine.translate(["물"], "ko", "en")
    assert (len(waits), engine.budget.spent()) == (ATTEMPTS - 1, 0)


def test_the_service_s_own_wait_counts(engine: RemoteEngine, service: Service, waits: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)
    service.script = [Answer(429, headers={"Retry-After": value}) for value in ("70", date)]
    engine.translate(["물"], "ko", "en")
    assert waits[0] == 70
    assert 190 < waits[1] <= 200


def test_a_wait_too_long_is_not_begun(engine: RemoteEngine, service: Service, waits: list[float]) -> None:
    service.script = [Answer(503, headers={"Retry-After": "3600"})]
    with pytest.raises(EngineError, match="HTTP 503: no message, and the service asks to wait 3600 s; given up"):
        engine.translate(["물"], "ko", "en")
    assert waits == []


def test_attempts_are_bounded_and_logged_without_texts(
    engine: RemoteEngine, service: Service, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service.script = [Answer(503, {"error": {"message": "busy"}})] * ATTEMPTS
    with pytest.raises(
        EngineError, match=f"{engine.name}: HTTP 503: busy; given up, run the command again later to"
    ) as error:
        engine.translate(TEXTS, "ko", "en")
    assert not isinstance(error.value, RefusedError)
    assert len(service.requests) == ATTEMPTS
    assert all(2**number <= wait <= 2**number + 1 for number, wait in enumerate(waits))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * len(waits) == [logging.WARNING] * 5
    assert f"{engine.name}: HTTP 503: busy; attempt 1 of 6, next in" in caplog.text
    assert TEXTS[0] not in caplog.text
    assert "gloss-1" not in caplog.text


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, RefusedError, "HTTP 400: no$"),
        (413, RefusedError, "HTTP 413: no$"),
        (401, EngineError, "(HTTP 401: no|no access .*); check [A-Z_]+_(CREDENTIALS|CLIENT_ID)"),
        (403, EngineError, "HTTP 403: no; check [A-Z_]+_(CREDENTIALS|CLIENT_ID)"),
        (404, EngineError, "HTTP 404: no$"),
        (302, EngineError, "HTTP 302: no$"),
    ],
)
def test_faults_that_stay_are_not_tried_again(
    engine: RemoteEngine, service: Service, waits: list[float], status: int, kind: type[Exception], message: str
) -> None:
    service.script = [Answer(status, {"error": {"message": "no"}})]
    with pytest.raises(EngineError, match=f"^{engine.name}: {message}") as error:
        engine.translate(TEXTS, "ko", "en")
    assert type(error.value) is kind
    assert (len(service.requests), waits, engine.budget.spent()) == (1, [], 0)


@pytest.mark.parametrize("body", [b"\xff\xfe\xfd", b"[" * 99_999, ["?"], {"error": "?"}])
def test_refusals_without_a_message(engine: RemoteEngine, service: Service, body: Any) -> None:
    service.script = [Answer(400, body)]
    with pytest.raises(RefusedError, match="HTTP 400: no message$"):
        engine.translate(TEXTS, "ko", "en")


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_without_end_is_not_read(
    engine: RemoteEngine, paid: Paid, service: Service, waits: list[float], status: int
) -> None:
    content = gzip.compress(json.dumps(paid.answer([" " * 2 * LARGEST_ANSWER])).encode())
    service.script = [Answer(status, content, {"Content-Encoding": "gzip"})] * ATTEMPTS
    with pytest.raises(EngineError, match=f"{engine.name}: expected an answer of up to 16,777,216 bytes, found more"):
        engine.translate(["물"], "ko", "en")
    assert len(service.requests) == (ATTEMPTS if status == 200 else 1)


def test_nothing_in_a_service_s_words_steers_a_terminal(
    engine: RemoteEngine, service: Service, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    service.script = [Answer(503, {"error": {"message": "\x1b[31mbusy\r\nINFO \u202eall is well"}})] * ATTEMPTS
    with pytest.raises(EngineError) as error:
        engine.translate(["물"], "ko", "en")
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    for text in (str(error.value), *warnings):
        assert r"HTTP 503: \u001b[31mbusy INFO \u202eall is well" in text
        assert text.isprintable()


def test_keys_do_not_follow_a_redirection(engine: RemoteEngine, paid: Paid, service: Service) -> None:
    with serve(paid.translate) as other:
        service.script = [Answer(307, headers={"Location": other.url})]
        with pytest.raises(EngineError, match="HTTP 307"):
            engine.translate(["물"], "ko", "en")
        assert other.requests == []


def test_the_budget_is_never_passed_also_by_a_second_run(paid: Paid, service: Service, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_cost": 0.5, "price": 20_000, "spending": tmp_path / "spending.json"}
    paid.open(service, **options).translate(["가" * 20], "ko", "en")
    with pytest.raises(BudgetError, match=r"at most 25 characters in total \(0.50 ...\), found 20 spent .* and 6 in"):
        paid.open(service, **options).translate(["나" * 6], "ko", "en")
    engine = paid.open(service, **options)
    engine.translate(["다" * 5], "ko", "en")
    assert json.loads((tmp_path / "spending.json").read_text()) == {engine.name: 25}
    assert len(service.requests) == 2


def test_translates_in_batches_in_order_and_equal_texts_once(
    engine: RemoteEngine, paid: Paid, service: Service
) -> None:
    engine.limits = Limits(2, 100, 50)
    assert engine.translate(["a", "bbb", "cc", "a"], "ko", "en") == ["[a]", "[bbb]", "[cc]", "[a]"]
    assert [paid.asked(request.body) for request in service.requests] == [["bbb", "cc"], ["a"]]
    assert engine.translate([], "ko", "en") == []


def test_what_was_translated_before_a_failure_is_not_paid_for_again(
    engine: RemoteEngine, paid: Paid, service: Service
) -> None:
    engine.limits, engine.budget.limit = Limits(2, 100, 50), 6
    texts = ["aaa", "bb", "c"]
    with pytest.raises(BudgetError):
        engine.translate([*texts, "d"], "ko", "en")
    engine.budget.limit = None
    assert engine.translate(["bb"], "en", "ko") == ["[bb]"]
    assert engine.translate(texts, "ko", "en") == ["[aaa]", "[bb]", "[c]"]
    assert [paid.asked(request.body) for request in service.requests] == [["aaa", "bb"], ["bb"], ["c"]]


def test_languages_are_checked_before_anything_is_sent(engine: RemoteEngine, service: Service) -> None:
    with pytest.raises(ValueError, match="found 'ko'"):
        engine.translate(["a"], "ko", "ko")
    assert service.requests == []


@pytest.mark.parametrize(
    "options",
    [
        {"max_characters": 0},
        {"max_characters": 1.5},
        {"max_characters": "1e6"},
        {"max_cost": True},
        {"max_cost": float("nan")},
        {"requests_per_second": -1},
        {"requests_per_second": 10**400},
        {"characters_per_minute": "many"},
        {"timeout": 0},
        {"price": -1},
        {"price": "cheap"},
        {"name": " "},
        {"name": 5},
        {"endpoint": "http://a.b"},
    ],
)
def test_options_without_sense(paid: Paid, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"expected {next(iter(options))} to be"):
        paid.engine(**options)
