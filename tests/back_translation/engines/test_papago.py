from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgloss_hf.back_translation.engines import remote
from kgloss_hf.back_translation.engines.engine import EngineError, Price, RefusedError, open_engine
from kgloss_hf.back_translation.engines.papago import PAIRS, PapagoEngine, languages
from kgloss_hf.back_translation.engines.remote import ATTEMPTS, BudgetError

from ..servers import Answer, Service, serve

for library in ("httpx", "filelock", "tenacity", "pyrate_limiter"):
    pytest.importorskip(library)

IDENTITY, SECRET = "identity-4711", "secret-0815"
TEXTS = ["집에 불이 났어요.", "도와주세요.", "물"]
SPENT = sum(map(len, TEXTS)) + 2


def result(text: Any) -> dict[str, Any]:
    """An answer as documented."""
    return {"message": {"result": {"srcLangType": "ko", "tarLangType": "en", "translatedText": text}}}


def gateway_fault(code: str, message: str, details: str = "") -> dict[str, Any]:
    return {"error": {"errorCode": code, "message": message, "details": details}}


def translate(body: Any) -> dict[str, Any]:
    return result("\n".join(f"[{body['target']}] {line}" for line in body["text"].split("\n")))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(remote, "sleep", found.append)
    return found


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, waits: list[float], caplog: pytest.LogCaptureFixture) -> Iterator[Service]:
    """Papago; no key may come into the log."""
    monkeypatch.setenv("PAPAGO_CLIENT_ID", f"{IDENTITY}\n")
    monkeypatch.setenv("PAPAGO_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    caplog.set_level(logging.DEBUG)
    with serve(translate) as service:
        yield service
    assert not has_key(caplog.text)


def has_key(text: str) -> bool:
    return IDENTITY in text or SECRET in text


def papago(service: Service, **options: Any) -> PapagoEngine:
    return PapagoEngine(endpoint=f"{service.url}/nmt/v1/translation", **options)


def test_sends_what_is_documented(service: Service) -> None:
    engine = papago(service)
    assert engine.translate(TEXTS, "ko", "en") == [f"[en] {text}" for text in TEXTS]
    (request,) = service.requests
    assert request.path == "/nmt/v1/translation"
    assert request.headers["x-ncp-apigw-api-key-id"] == IDENTITY
    assert request.headers["x-ncp-apigw-api-key"] == SECRET
    assert request.headers["content-type"] == "application/json"
    assert request.body == {"source": "ko", "target": "en", "text": "\n".join(TEXTS)}
    assert engine.budget.spent() == SPENT


def test_honorific_is_asked_for_where_it_is_known(service: Service) -> None:
    engine = papago(service, honorific=True)
    for source, target in (("ko", "en"), ("en", "ko"), ("ko", "ja"), ("vi", "ko")):
        engine.translate(["a"], source, target)
    assert [request.body.get("honorific") for request in service.requests] == [None, True, True, None]


def test_requests_stay_within_the_limits(service: Service) -> None:
    engine = papago(service)
    texts = [f"{number:04}" + "가" * (number % 70) for number in range(400)] + ["나" * 5000, "다" * 4901]
    assert engine.translate(texts, "ko", "en") == [f"[en] {text}" for text in texts]
    sent = [request.body["text"] for request in service.requests]
    assert max(map(len, sent)) == 5000
    assert max(text.count("\n") + 1 for text in sent) == 100
    assert engine.budget.spent() == sum(map(len, sent))


def test_line_ends_count_as_characters(service: Service) -> None:
    engine = papago(service)
    engine.translate([f"{number:03}" + "가" * 47 for number in range(100)], "ko", "en")
    assert [len(request.body["text"]) for request in service.requests] == [98 * 51 - 1, 2 * 51 - 1]
    assert engine.budget.spent() == 100 * 51 - 2


def test_one_text_a_request(service: Service) -> None:
    papago(service, texts_per_request=1).translate(TEXTS, "ko", "en")
    assert sorted(request.body["text"] for request in service.requests) == sorted(TEXTS)


@pytest.mark.parametrize("lines", ["one", "one\ntwo", "one\ntwo\nthree\nfour", ""])
def test_texts_are_sent_one_by_one_if_lines_do_not_match(
    service: Service, caplog: pytest.LogCaptureFixture, lines: str
) -> None:
    service.script = [Answer(body=result(lines))]
    engine = papago(service)
    assert engine.translate(TEXTS, "ko", "en") == [f"[en] {text}" for text in TEXTS]
    assert len(service.requests) == 4
    assert engine.budget.spent() == 2 * SPENT - 2
    found = len(lines.split("\n"))
    assert f"papago: expected 3 lines, found {found}; the texts are sent again one by one" in caplog.text
    assert not any(text in record.message for text in TEXTS[:2] for record in caplog.records)


def test_a_text_that_becomes_two_is_refused_and_the_others_are_kept(service: Service) -> None:
    service.script = [Answer(body=result("one")), Answer(body=result("first")), Answer(body=result("two\nlines"))]
    engine = papago(service)
    with pytest.raises(RefusedError, match="expected a translation of one line, found 2"):
        engine.translate(TEXTS, "ko", "en")
    assert engine.translate(TEXTS[:1], "ko", "en") == ["first"]
    assert len(service.requests) == 3


def test_an_empty_translation_is_passed_on(service: Service) -> None:
    service.script = [Answer(body=result("")), Answer(body=result("a\n\nb"))]
    engine = papago(service)
    assert engine.translate(["음"], "ko", "en") == [""]
    assert engine.translate(TEXTS, "ko", "en") == ["a", "", "b"]


def test_carriage_returns_end_no_translation(service: Service) -> None:
    service.script = [Answer(body=result("a\r\nb\r\nc"))]
    assert papago(service).translate(TEXTS, "ko", "en") == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["one\ntwo", "one\r"])
def test_texts_with_line_ends_are_not_sent(service: Service, text: str) -> None:
    with pytest.raises(ValueError, match="without line ends, found 'one"):
        papago(service).translate([text], "ko", "en")
    assert service.requests == []


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        (Answer(429, gateway_fault("410", "Throttle Limited")), False),
        (Answer(500, {"errorCode": "N2MT99", "errorMessage": "Internal server errors"}), False),
        (Answer(503, gateway_fault("500", "Endpoint Error")), False),
        (Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}), False),
        (Answer(504, gateway_fault("510", "Endpoint Timeout")), True),
        (Answer(200, result("x" * 100), cut=True), True),
        (Answer(200, b'{"message": {'), True),
        (Answer(200, b""), True),
        (Answer(200, b"[" * 99_999), True),
        (Answer(200, b"<html>Log in</html>", {"Content-Type": "text/html"}), True),
        (Answer(200, '{"message": "물"}'.encode("cp949")), True),
        (Answer(200, {}), True),
        (Answer(200, ["message"]), True),
        (Answer(200, {"message": None}), True),
        (Answer(200, result(5)), True),
        (Answer(200, result(None)), True),
    ],
)
def test_faults_that_may_pass_are_tried_again(
    service: Service, waits: list[float], fault: Answer, counted: bool
) -> None:
    service.script = [fault]
    engine = papago(service)
    assert engine.translate(TEXTS, "ko", "en") == [f"[en] {text}" for text in TEXTS]
    assert service.requests[0].body == service.requests[1].body
    assert engine.budget.spent() == (2 if counted else 1) * SPENT
    assert len(waits) == 1


def test_a_slow_answer_is_given_up_and_counted(service: Service) -> None:
    service.script = [Answer(body=result("late"), delay=5)]
    engine = papago(service, timeout=0.1)
    assert engine.translate(["물"], "ko", "en") == ["[en] 물"]
    assert engine.budget.spent() == 2


def test_no_connection_is_tried_again_and_not_counted(service: Service, waits: list[float]) -> None:
    with serve(translate) as gone:
        engine = papago(gone)
    with pytest.raises(EngineError, match=r"papago: no connection \(ConnectError\); given up"):
        engine.translate(["물"], "ko", "en")
    assert (len(waits), engine.budget.spent()) == (ATTEMPTS - 1, 0)


def test_retry_after(service: Service, waits: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)
    service.script = [Answer(429, headers={"Retry-After": value}) for value in ("70", date)]
    papago(service).translate(["물"], "ko", "en")
    assert waits[0] == 70
    assert 190 < waits[1] <= 200


def test_a_quota_that_is_spent_is_explained(service: Service) -> None:
    service.script = [Answer(429, gateway_fault("400", "Quota Exceeded"))] * ATTEMPTS
    with pytest.raises(EngineError, match="HTTP 429: 400, Quota Exceeded; given up.* selected APIs") as error:
        papago(service).translate(["물"], "ko", "en")
    assert not isinstance(error.value, RefusedError)
    assert len(service.requests) == ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Answer(400, gateway_fault("100", "Bad Request Exception", "Invalid")), "100, Bad Request Exception, Invalid"),
        (Answer(400, {"errorCode": "N2MT08", "errorMessage": "exceeds max length"}), "N2MT08, exceeds max length"),
        (Answer(413, gateway_fault("430", "Request Entity Too Large")), "430, Request Entity Too Large"),
        (Answer(400, b"\xff\xfe\xfd"), "no message"),
        (Answer(400, b"[" * 99_999), "no message"),
        (Answer(400, ["?"]), "no message"),
        (Answer(400, {"error": "?"}), "no message"),
    ],
)
def test_refusals(service: Service, waits: list[float], fault: Answer, message: str) -> None:
    service.script = [fault]
    engine = papago(service)
    with pytest.raises(RefusedError, match=f"papago: HTTP {fault.status}: {message}$"):
        engine.translate(TEXTS, "ko", "en")
    assert (waits, engine.budget.spent()) == ([], 0)


@pytest.mark.parametrize("code", ["N2MT02", "N2MT04", "N2MT05", "N2MT06"])
def test_languages_that_the_service_does_not_know_concern_all_texts(service: Service, code: str) -> None:
    service.script = [Answer(400, {"errorCode": code, "errorMessage": "Unsupported"})]
    with pytest.raises(ValueError, match=f"papago: HTTP 400: {code}, Unsupported"):
        papago(service).translate(TEXTS, "ko", "en")


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_not_shown(service: Service, status: int) -> None:
    echo = gateway_fault("200", "Authentication Failed", f"{'key ' * 60}{SECRET} {SECRET} of {IDENTITY}" + "." * 400)
    service.script = [Answer(status, echo)]
    engine = papago(service)
    with pytest.raises(EngineError, match="check PAPAGO_CLIENT_ID and PAPAGO_CLIENT_SECRET") as error:
        engine.translate(TEXTS, "ko", "en")
    shown = "".join(traceback.format_exception(error.value))
    assert "Authentication Failed" in shown
    assert not has_key(shown)
    assert SECRET[:8] not in shown
    assert not has_key(f"{engine!r} {engine.describe()} {vars(engine)}")
    assert len(service.requests) == 1


def test_keys_do_not_follow_a_redirection(service: Service) -> None:
    with serve(translate) as other:
        service.script = [Answer(307, headers={"Location": other.url})]
        with pytest.raises(EngineError, match="HTTP 307"):
            papago(service).translate(["물"], "ko", "en")
        assert other.requests == []


@pytest.mark.parametrize("secret", ["", "  ", "비밀", "two\nlines"])
def test_keys_are_looked_up_at_the_first_translation(
    service: Service, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("PAPAGO_CLIENT_SECRET", secret)
    engine = papago(service)
    with pytest.raises(EngineError, match="environment variable PAPAGO_CLIENT_SECRET to hold a key") as error:
        engine.translate(["물"], "ko", "en")
    assert not secret.strip() or secret not in "".join(traceback.format_exception(error.value))
    assert (service.requests, engine.budget.spent()) == ([], 0)


def test_the_budget_is_never_passed_also_by_a_second_run(service: Service, tmp_path: Path) -> None:
    spending = tmp_path / "spending.json"
    options: dict[str, Any] = {"max_cost": 0.5, "price": 20_000, "spending": spending, "texts_per_request": 1}
    papago(service, **options).translate(["가" * 20], "ko", "en")
    with pytest.raises(BudgetError, match=r"at most 25 characters in all \(0.50 KRW\), found 20 spent .* and 6 in"):
        papago(service, **options).translate(["나" * 6], "ko", "en")
    papago(service, **options).translate(["다" * 5], "ko", "en")
    assert json.loads(spending.read_text()) == {"papago": 25}
    assert sum(len(request.body["text"]) for request in service.requests) == 25


def test_languages() -> None:
    engine = PapagoEngine()
    assert (len(PAIRS), len(languages())) == (29, 13)
    engine.check_languages("it", "ko")
    with pytest.raises(ValueError, match="papago: expected languages from it to ko, found 'it' and 'en'"):
        engine.check_languages("it", "en")
    with pytest.raises(ValueError, match=r"expected languages from de, en, .*zh-TW, found 'zh' and 'ko'"):
        engine.check_languages("zh", "ko")
    with pytest.raises(ValueError, match="found 'ko' and 'ko'"):
        engine.check_languages("ko", "ko")


def test_what_decides_the_output_is_described() -> None:
    engine = PapagoEngine(honorific=True, max_cost=5, endpoint="https://proxy.example/")
    assert engine.describe() == {"kind": "papago", "honorific": True, "texts_per_request": 100}
    assert engine.price == Price(20_000, "KRW")


def test_opens_from_the_command_line(tmp_path: Path) -> None:
    engine, weight = open_engine(
        "papago,name=pg,honorific=true,max_cost=12,price=18000,timeout=5,weight=3", spending=tmp_path / "spending.json"
    )
    assert isinstance(engine, PapagoEngine)
    assert (engine.name, weight, engine.price) == ("pg", 3, Price(18_000, "KRW"))
    assert engine.budget.path == tmp_path / "spending.json"


@pytest.mark.parametrize(
    "options", [{"honorific": "yes"}, {"texts_per_request": 0}, {"texts_per_request": 2501}, {"endpoint": "http://a.b"}]
)
def test_options_without_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"papago: expected {next(iter(options))}"):
        PapagoEngine(**options)


class Echo(PapagoEngine):
    """Gives each request's text back."""

    def _translate_text(self, text: str, source: str, target: str) -> str:
        assert len(text) <= 5000
        return text


TEXT = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=30), st.integers(1, 9))
def test_lines_keep_texts_and_their_order(texts: Sequence[str], texts_per_request: int) -> None:
    assert Echo(texts_per_request=texts_per_request).translate(texts, "ko", "en") == texts
