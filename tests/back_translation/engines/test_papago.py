from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgloss_hf.back_translation.engines.engine import EngineError, Price, RefusedError, open_engine
from kgloss_hf.back_translation.engines.papago import PAIRS, PapagoEngine
from kgloss_hf.back_translation.engines.remote import ATTEMPTS

from ..conftest import has_key
from ..servers import IDENTITY, KEYS, PAID, SECRET, TEXTS, Answer, Paid, Service

for library in ("requests", "tenacity"):
    pytest.importorskip(library)

SPENT = sum(map(len, TEXTS)) + 2


def result(text: str) -> dict[str, Any]:
    return PAID["papago"].answer([text])


def gateway_fault(code: str, message: str, details: str = "") -> dict[str, Any]:
    return {"error": {"errorCode": code, "message": message, "details": details}}


def papago_fault(code: str, message: str) -> dict[str, Any]:
    return {"errorCode": code, "errorMessage": message}


@pytest.fixture
def paid() -> Paid:
    return PAID["papago"]


def test_sends_what_is_documented(engine: PapagoEngine, service: Service) -> None:
    assert engine.translate(TEXTS, "ko", "en") == [f"[{text}]" for text in TEXTS]
    (request,) = service.requests
    assert request.path == "/nmt/v1/translation"
    assert request.headers["x-ncp-apigw-api-key-id"] == IDENTITY
    assert request.headers["x-ncp-apigw-api-key"] == SECRET
    assert request.headers["content-type"] == "application/json"
    assert request.body == {"source": "ko", "target": "en", "text": "\n".join(TEXTS)}
    assert engine.budget.spent() == SPENT


def test_honorific_is_asked_for_where_it_is_known(paid: Paid, service: Service) -> None:
    engine = paid.open(service, honorific=True)
    for source, target in (("ko", "en"), ("en", "ko"), ("ko", "ja"), ("vi", "ko")):
        engine.translate(["a"], source, target)
    assert [request.body.get("honorific") for request in service.requests] == [None, True, True, None]


def test_requests_stay_within_the_limits(engine: PapagoEngine, service: Service) -> None:
    texts = [f"{number:04}" + "가" * (number % 70) for number in range(400)] + ["나" * 5000, "다" * 4901]
    assert engine.translate(texts, "ko", "en") == [f"[{text}]" for text in texts]
    sent = [request.body["text"] for request in service.requests]
    assert max(map(len, sent)) == 5000
    assert max(text.count("\n") + 1 for text in sent) == 100
    assert engine.budget.spent() == sum(map(len, sent))


def test_line_ends_count_as_characters(engine: PapagoEngine, service: Service) -> None:
    engine.translate([f"{number:03}" + "가" * 47 for number in range(100)], "ko", "en")
    assert [len(request.body["text"]) for request in service.requests] == [98 * 51 - 1, 2 * 51 - 1]
    assert engine.budget.spent() == 100 * 51 - 2


def test_one_text_a_request(paid: Paid, service: Service) -> None:
    paid.open(service, texts_per_request=1).translate(TEXTS, "ko", "en")
    assert sorted(request.body["text"] for request in service.requests) == sorted(TEXTS)


@pytest.mark.parametrize("lines", ["one", "one\ntwo", "one\ntwo\nthree\nfour", ""])
def test_texts_are_sent_one_by_one_if_lines_do_not_match(
    engine: PapagoEngine, service: Service, caplog: pytest.LogCaptureFixture, lines: str
) -> None:
    service.script = [Answer(body=result(lines))]
    assert engine.translate(TEXTS, "ko", "en") == [f"[{text}]" for text in TEXTS]
    assert len(service.requests) == 4
    assert engine.budget.spent() == 2 * SPENT - 2
    number = len(lines.split("\n"))
    assert f"papago: expected 3 lines, found {number}; sending the texts again one by one" in caplog.text
    assert not any(text in record.message for text in TEXTS[:2] for record in caplog.records)


def test_a_text_that_becomes_two_is_refused_and_the_others_are_kept(engine: PapagoEngine, service: Service) -> None:
    service.script = [Answer(body=result("one")), Answer(body=result("first")), Answer(body=result("two\nlines"))]
    with pytest.raises(RefusedError, match="expected a translation of one line, found 2"):
        engine.translate(TEXTS, "ko", "en")
    assert engine.translate(TEXTS[:1], "ko", "en") == ["first"]
    assert len(service.requests) == 3


@pytest.mark.parametrize(
    ("answer", "translations"), [("", [""]), ("a\n\nb", ["a", "", "b"]), ("a\r\nb\r\nc", ["a", "b", "c"])]
)
def test_a_line_may_be_empty_or_end_with_a_carriage_return(
    engine: PapagoEngine, service: Service, answer: str, translations: list[str]
) -> None:
    service.script = [Answer(body=result(answer))]
    assert engine.translate(TEXTS[: len(translations)], "ko", "en") == translations


@pytest.mark.parametrize("text", ["one\ntwo", "one\r"])
def test_texts_with_line_ends_are_not_sent(engine: PapagoEngine, service: Service, text: str) -> None:
    with pytest.raises(ValueError, match="without line ends, found 'one"):
        engine.translate([text], "ko", "en")
    assert service.requests == []


def test_a_quota_that_is_spent_is_explained(engine: PapagoEngine, service: Service) -> None:
    service.script = [Answer(429, gateway_fault("400", "Quota Exceeded"))] * ATTEMPTS
    with pytest.raises(EngineError, match="HTTP 429: 400, Quota Exceeded; given up.* selected APIs") as error:
        engine.translate(["물"], "ko", "en")
    assert not isinstance(error.value, RefusedError)
    assert len(service.requests) == ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Answer(400, gateway_fault("100", "Bad", "Invalid")), RefusedError, "100, Bad, Invalid"),
        (Answer(400, papago_fault("N2MT08", "exceeds max")), RefusedError, "N2MT08, exceeds max"),
        (Answer(413, gateway_fault("430", "Too Large")), RefusedError, "430, Too Large"),
        # A language that the service does not know affects all texts.
        *[
            (Answer(400, papago_fault(code, "Unsupported")), ValueError, f"{code}, Unsupported")
            for code in ("N2MT02", "N2MT04", "N2MT05", "N2MT06")
        ],
    ],
)
def test_refusals(
    engine: PapagoEngine, service: Service, waits: list[float], fault: Answer, kind: type[Exception], message: str
) -> None:
    service.script = [fault]
    with pytest.raises(kind, match=f"papago: HTTP {fault.status}: {message}$"):
        engine.translate(TEXTS, "ko", "en")
    assert (waits, engine.budget.spent()) == ([], 0)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_not_shown(engine: PapagoEngine, service: Service, status: int) -> None:
    echo = gateway_fault("200", "Authentication Failed", f"{'key ' * 60}{SECRET} {SECRET} of {IDENTITY}" + "." * 400)
    service.script = [Answer(status, echo)]
    with pytest.raises(EngineError, match="check PAPAGO_CLIENT_ID and PAPAGO_CLIENT_SECRET") as error:
        engine.translate(TEXTS, "ko", "en")
    shown = "".join(traceback.format_exception(error.value))
    assert "Authentication Failed" in shown
    assert not has_key(shown)
    assert SECRET[:8] not in shown
    assert not has_key(f"{engine!r} {engine.describe()} {vars(engine)}")
    assert len(service.requests) == 1


@pytest.mark.parametrize("secret", ["", "  ", "비밀", "two\nlines"])
def test_keys_are_looked_up_at_the_first_translation(
    engine: PapagoEngine, service: Service, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("PAPAGO_CLIENT_SECRET", secret)
    with pytest.raises(EngineError, match="environment variable PAPAGO_CLIENT_SECRET to hold a key") as error:
        engine.translate(["물"], "ko", "en")
    assert not secret.strip() or secret not in "".join(traceback.format_exception(error.value))
    assert (service.requests, engine.budget.spent()) == ([], 0)


def test_languages() -> None:
    engine = PapagoEngine()
    assert (len(PAIRS), len(frozenset().union(*PAIRS))) == (29, 13)
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


@pytest.mark.parametrize("options", [{"honorific": "yes"}, {"texts_per_request": 0}, {"texts_per_request": 2501}])
def test_options_without_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"papago: expected {next(iter(options))}"):
        PapagoEngine(**options)


TEXT = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=30), st.integers(1, 9))
def test_lines_keep_texts_and_their_order(texts: Sequence[str], texts_per_request: int) -> None:
    engine = PapagoEngine(texts_per_request=texts_per_request)
    with patch.dict("os.environ", KEYS), patch.object(engine, "post", lambda session, url, body: [body["text"]]):
        assert engine.translate(texts, "ko", "en") == texts
