from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.back_translation.engines import remote
from kgloss_hf.back_translation.engines.engine import EngineError, Price, RefusedError, open_engine
from kgloss_hf.back_translation.engines.google import GoogleEngine
from kgloss_hf.back_translation.engines.remote import ATTEMPTS, BudgetError

from ..servers import Answer, Service, serve

for library in ("google.cloud.translate_v3", "filelock", "tenacity", "pyrate_limiter"):
    pytest.importorskip(library)

TEXTS = ["집에 불이 났어요.", "도와주세요.", "물"]
SPENT = sum(map(len, TEXTS))


def result(*texts: str) -> dict[str, Any]:
    """An answer as documented."""
    return {"translations": [{"translatedText": text, "model": "projects/1/models/general/nmt"} for text in texts]}


def fault(code: int, message: str, status: str = "") -> Answer:
    return Answer(code, {"error": {"code": code, "message": message, "status": status}})


def translate(body: Any) -> dict[str, Any]:
    return result(*(f"[{body['targetLanguageCode']}] {text}" for text in body["contents"]))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(remote, "sleep", found.append)
    return found


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[Service]:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "gloss-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(translate) as service:
        yield service


def google(service: Service, **options: Any) -> GoogleEngine:
    return GoogleEngine(endpoint=service.url, **options)


def test_sends_what_is_documented(service: Service) -> None:
    engine = google(service)
    assert engine.translate(TEXTS, "ko", "en") == [f"[en] {text}" for text in TEXTS]
    (request,) = service.requests
    assert request.path.split("?")[0] == "/v3/projects/gloss-1/locations/global:translateText"
    assert "authorization" not in request.headers
    assert request.body == {
        "contents": TEXTS,
        "mimeType": "text/plain",
        "sourceLanguageCode": "ko",
        "targetLanguageCode": "en",
        "model": "projects/gloss-1/locations/global/models/general/nmt",
    }
    assert engine.budget.spent() == SPENT


def test_project_location_and_model(service: Service) -> None:
    engine = google(service, project="other", location="us-central1", model="TRL123", price=80)
    engine.translate(["물"], "ko", "en")
    whole = google(service, project="other", model="projects/x/locations/y/models/z", price=80)
    whole.translate(["물"], "ko", "en")
    assert service.requests[0].path.startswith("/v3/projects/other/locations/us-central1:translateText")
    assert [request.body["model"] for request in service.requests] == [
        "projects/other/locations/us-central1/models/TRL123",
        "projects/x/locations/y/models/z",
    ]
    assert engine.describe() == {"kind": "google", "model": "TRL123"}


def test_requests_stay_within_the_limits(service: Service) -> None:
    engine = google(service)
    texts = [f"{number}" for number in range(1_100)] + [
        "가" * 30_000,
        *(f"{number}" + "나" * 70 for number in range(90)),
    ]
    assert engine.translate(texts, "ko", "en") == [f"[en] {text}" for text in texts]
    sent = [request.body["contents"] for request in service.requests]
    assert max(map(len, sent)) == 1024
    assert sorted(sum(map(len, contents)) for contents in sent)[-2:][0] <= 5_000
    assert engine.budget.spent() == sum(map(len, texts))


def test_an_empty_translation_is_passed_on(service: Service) -> None:
    service.script = [Answer(body=result("a", "", "b"))]
    assert google(service).translate(TEXTS, "ko", "en") == ["a", "", "b"]


@pytest.mark.parametrize(
    ("answer", "found"),
    [(result("a", "b"), 2), (result(*"abcd"), 4), ({}, 0), ({"translations": []}, 0), (b'"translations"', 0)],
)
def test_other_than_as_many_translations(service: Service, answer: Any, found: int) -> None:
    service.script = [Answer(body=answer)]
    with pytest.raises(EngineError, match=f"google: expected 3 translations, found {found}") as error:
        google(service).translate(TEXTS, "ko", "en")
    assert not isinstance(error.value, RefusedError)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (fault(429, "Quota exceeded for quota metric", "RESOURCE_EXHAUSTED"), False),
        (fault(403, "User Rate Limit Exceeded"), False),
        (fault(500, "Internal error encountered.", "INTERNAL"), False),
        (fault(503, "The service is currently unavailable.", "UNAVAILABLE"), False),
        (Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}), False),
        (Answer(500, {"error": "text"}), True),
        (Answer(500, b'"text"'), True),
        (Answer(500, b"[" * 99_999), True),
        (Answer(200, b"[" * 99_999), True),
        (fault(504, "Deadline exceeded.", "DEADLINE_EXCEEDED"), True),
        (Answer(200, result(*"abc"), cut=True), True),
        (Answer(200, b'{"translations": ['), True),
        (Answer(200, b""), True),
        (Answer(200, b"<html>Log in</html>", {"Content-Type": "text/html"}), True),
        (Answer(200, '{"translations": [{"translatedText": "물"}]}'.encode("cp949")), True),
        (Answer(200, ["translations"]), True),
        (Answer(200, b"null"), True),
        (Answer(200, b"5"), True),
        (Answer(200, {"translations": [{"translatedText": 5}]}), True),
        (Answer(200, {"translations": {"translatedText": "a"}}), True),
    ],
)
def test_faults_that_may_pass_are_tried_again(
    service: Service, waits: list[float], answer: Answer, counted: bool
) -> None:
    service.script = [answer]
    engine = google(service)
    assert engine.translate(TEXTS, "ko", "en") == [f"[en] {text}" for text in TEXTS]
    assert service.requests[0].body == service.requests[1].body
    assert engine.budget.spent() == (2 if counted else 1) * SPENT
    assert len(waits) == 1


def test_a_slow_answer_is_given_up_and_counted(service: Service) -> None:
    service.script = [Answer(body=result("late"), delay=5)]
    engine = google(service, timeout=0.2)
    assert engine.translate(["물"], "ko", "en") == ["[en] 물"]
    assert engine.budget.spent() == 2


def test_no_connection_is_tried_again_and_not_counted(service: Service, waits: list[float]) -> None:
    with serve(translate) as gone:
        engine = google(gone)
    with pytest.raises(EngineError, match=r"google: no answer \(ConnectionError\); given up"):
        engine.translate(["물"], "ko", "en")
    assert (len(waits), engine.budget.spent()) == (ATTEMPTS - 1, 0)


def test_retry_after(service: Service, waits: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)
    service.script = [Answer(429, headers={"Retry-After": value}) for value in ("70", date)]
    google(service).translate(["물"], "ko", "en")
    assert waits[0] == 70
    assert 190 < waits[1] <= 200


def test_attempts_are_bounded_and_logged_without_texts(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.script = [fault(503, "The service is currently unavailable.")] * ATTEMPTS
    with caplog.at_level(logging.INFO), pytest.raises(EngineError, match="HTTP 503: The service is .*; given up"):
        google(service).translate(TEXTS, "ko", "en")
    assert len(service.requests) == ATTEMPTS
    assert caplog.text.count("google: HTTP 503") == ATTEMPTS - 1
    assert TEXTS[0] not in caplog.text
    assert "gloss-1" not in caplog.text


@pytest.mark.parametrize(
    ("message", "kind", "found"),
    [
        ("Text is too long.", RefusedError, "google: HTTP 400: Text is too long.$"),
        ("Target language is invalid.", ValueError, "google: HTTP 400: Target language is invalid.$"),
        ("Invalid 'parent'.; Invalid location", EngineError, "Invalid 'parent'.*; see the options project, location"),
    ],
)
def test_refusals(service: Service, waits: list[float], message: str, kind: type[Exception], found: str) -> None:
    service.script = [fault(400, message, "INVALID_ARGUMENT")]
    engine = google(service)
    with pytest.raises(kind, match=found) as error:
        engine.translate(TEXTS, "ko", "en")
    assert type(error.value) is kind
    assert (waits, engine.budget.spent()) == ([], 0)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (fault(401, "Request had invalid authentication credentials."), "google: no access "),
        (fault(403, "Daily Limit Exceeded"), "google: HTTP 403: Daily Limit Exceeded"),
        (fault(403, "Cloud Translation API has not been used"), "google: HTTP 403: Cloud Translation API"),
    ],
)
def test_no_access(service: Service, answer: Answer, found: str) -> None:
    service.script = [answer]
    engine = google(service)
    with pytest.raises(EngineError, match=f"{found}.*check GOOGLE_APPLICATION_CREDENTIALS") as error:
        engine.translate(TEXTS, "ko", "en")
    assert not isinstance(error.value, RefusedError)
    assert engine.budget.spent() == 0


def test_credentials_are_looked_up_at_the_first_translation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(**_: Any) -> Any:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", none)
    engine = GoogleEngine()
    with pytest.raises(EngineError, match="expected credentials, found none; check GOOGLE_APPLICATION_CREDENTIALS"):
        engine.translate(["물"], "ko", "en")


def test_a_missing_project(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    with pytest.raises(EngineError, match="expected a Google Cloud project, found none; give project=… or set GOOGLE"):
        google(service).translate(["물"], "ko", "en")
    assert service.requests == []


def test_credentials_and_their_project_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import translate_v3

    opened: dict[str, Any] = {}
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setattr(google.auth, "default", lambda scopes: (AnonymousCredentials(), "theirs"))
    monkeypatch.setattr(translate_v3, "TranslationServiceClient", lambda **options: opened.update(options))
    engine = GoogleEngine(endpoint="https://translate-eu.googleapis.com/", max_characters=1)
    with pytest.raises(BudgetError):
        engine.translate(["두 글"], "ko", "en")
    assert opened["client_options"] == {"api_endpoint": "https://translate-eu.googleapis.com"}
    assert opened["transport"] == "rest"
    assert engine._project == "theirs"


def test_the_budget_is_never_passed(service: Service, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_cost": 0.001, "spending": tmp_path / "spending.json"}
    google(service, **options).translate(["가" * 45], "ko", "en")
    with pytest.raises(BudgetError, match=r"at most 50 characters in all \(0.00 USD\), found 45 spent .* and 6 in"):
        google(service, **options).translate(["나" * 6], "ko", "en")
    assert len(service.requests) == 1


@pytest.mark.parametrize("languages", [("kor_Hang", "en"), ("", "en"), ("ko", "영어"), ("ko", "ko"), ("ko", "en/x")])
def test_languages(languages: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="google: expected "):
        GoogleEngine().translate(["물"], *languages)


def test_opens_from_the_command_line(tmp_path: Path) -> None:
    engine, weight = open_engine("google,max_cost=1.5,project=p,weight=2", spending=tmp_path / "spending.json")
    assert isinstance(engine, GoogleEngine)
    assert (weight, engine.price, engine.budget.limit) == (2, Price(20, "USD"), 75_000)
    assert engine.describe() == {"kind": "google", "model": "general/nmt"}
    with pytest.raises(ValueError, match="google: expected price=… for the model 'general/translation-llm'"):
        open_engine("google:general/translation-llm")
