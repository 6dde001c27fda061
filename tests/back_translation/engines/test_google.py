from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.back_translation.engines.engine import EngineError, Price, RefusedError, open_engine
from kgloss_hf.back_translation.engines.google import GoogleEngine

from ..servers import PAID, TEXTS, Answer, Paid, Service

for library in ("google.auth", "requests", "tenacity"):
    pytest.importorskip(library)

SPENT = sum(map(len, TEXTS))
result = PAID["google"].answer


def fault(code: int, message: str, status: str = "") -> Answer:
    return Answer(code, {"error": {"code": code, "message": message, "status": status}})


@pytest.fixture
def paid() -> Paid:
    return PAID["google"]


def test_sends_what_is_documented(engine: GoogleEngine, service: Service) -> None:
    assert engine.translate(TEXTS, "ko", "en") == [f"[{text}]" for text in TEXTS]
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


def test_project_location_and_model(paid: Paid, service: Service) -> None:
    engine = paid.open(service, project="other", location="us-central1", model="TRL123", price=80)
    engine.translate(["물"], "ko", "en")
    whole = paid.open(service, project="other", model="projects/x/locations/y/models/z", price=80)
    whole.translate(["물"], "ko", "en")
    assert service.requests[0].path.startswith("/v3/projects/other/locations/us-central1:translateText")
    assert [request.body["model"] for request in service.requests] == [
        "projects/other/locations/us-central1/models/TRL123",
        "projects/x/locations/y/models/z",
    ]
    assert engine.describe() == {"kind": "google", "model": "TRL123"}


def test_requests_stay_within_the_limits(engine: GoogleEngine, service: Service) -> None:
    texts = [f"{number}" for number in range(1_100)] + [
        "가" * 30_000,
        *(f"{number}" + "나" * 70 for number in range(90)),
    ]
    assert engine.translate(texts, "ko", "en") == [f"[{text}]" for text in texts]
    sent = [request.body["contents"] for request in service.requests]
    assert max(map(len, sent)) == 1024
    assert sorted(sum(map(len, contents)) for contents in sent)[-2] <= 5_000
    assert engine.budget.spent() == sum(map(len, texts))


def test_an_empty_translation_is_passed_on(engine: GoogleEngine, service: Service) -> None:
    without = {"translations": [{"translatedText": "a"}, {}, {"translatedText": "b"}]}
    service.script = [Answer(body=result(["a", "", "b"])), Answer(body=without)]
    for _ in range(2):
        assert engine.translate(TEXTS, "ko", "en") == ["a", "", "b"]


@pytest.mark.parametrize(
    ("answer", "found"),
    [(result([*"ab"]), 2), (result([*"abcd"]), 4), ({}, 0), ({"translations": []}, 0)],
)
def test_other_than_as_many_translations(engine: GoogleEngine, service: Service, answer: Any, found: int) -> None:
    service.script = [Answer(body=answer)]
    with pytest.raises(EngineError, match=f"google: expected 3 translations, found {found}") as error:
        engine.translate(TEXTS, "ko", "en")
    assert not isinstance(error.value, RefusedError)
    assert len(service.requests) == 1


CHECK = ".*check GOOGLE_APPLICATION_CREDENTIALS"


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (fault(400, "Text is too long.", "INVALID_ARGUMENT"), RefusedError, "HTTP 400: Text is too long.$"),
        (fault(400, "Target language is invalid."), ValueError, "HTTP 400: Target language is invalid.$"),
        (
            fault(400, "Invalid 'parent'.; Invalid location"),
            EngineError,
            "HTTP 400: Invalid 'parent'.*; see the options project, location",
        ),
        (fault(401, "Request had invalid authentication credentials."), EngineError, f"no access {CHECK}"),
        (fault(403, "Daily Limit Exceeded"), EngineError, f"HTTP 403: Daily Limit Exceeded{CHECK}"),
        (fault(403, "Translation API has not been used"), EngineError, f"HTTP 403: Translation API{CHECK}"),
    ],
)
def test_refusals(
    engine: GoogleEngine, service: Service, waits: list[float], answer: Answer, kind: type[Exception], message: str
) -> None:
    service.script = [answer]
    with pytest.raises(kind, match=f"google: {message}") as error:
        engine.translate(TEXTS, "ko", "en")
    assert type(error.value) is kind
    assert (waits, engine.budget.spent()) == ([], 0)


def test_credentials_are_looked_up_at_the_first_translation(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(**_: Any) -> Any:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", none)
    engine = GoogleEngine()
    with pytest.raises(EngineError, match="expected credentials, found none; check GOOGLE_APPLICATION_CREDENTIALS"):
        engine.translate(["물"], "ko", "en")


def test_a_missing_project(engine: GoogleEngine, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    with pytest.raises(EngineError, match="expected a Google Cloud project, found none; give project=… or set GOOGLE"):
        engine.translate(["물"], "ko", "en")
    assert service.requests == []


def test_credentials_and_their_project_are_used(
    engine: GoogleEngine, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    class Token(AnonymousCredentials):
        def before_request(self, request: Any, method: str, url: str, headers: dict[str, str]) -> None:
            headers["authorization"] = "Bearer theirs"

    asked: list[Any] = []
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    monkeypatch.setattr(google.auth, "default", lambda scopes: asked.append(scopes) or (Token(), "theirs"))
    monkeypatch.setattr("kgloss_hf.back_translation.engines.google.is_local", lambda _: False)
    engine.translate(["물"], "ko", "en")
    assert asked == [("https://www.googleapis.com/auth/cloud-platform",)]
    assert service.requests[0].path == "/v3/projects/theirs/locations/global:translateText"
    assert service.requests[0].headers["authorization"] == "Bearer theirs"


@pytest.mark.parametrize("error", ["TransportError", "RefreshError"])
def test_no_access_token(
    engine: GoogleEngine, service: Service, waits: list[float], monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    from google.auth import exceptions
    from google.auth.credentials import AnonymousCredentials

    def fail(*_: Any) -> None:
        raise getattr(exceptions, error)

    monkeypatch.setattr(AnonymousCredentials, "before_request", fail)
    with pytest.raises(EngineError, match=rf"google: no access (token )?\({error}\); (given up|check GOOGLE_APPLICA)"):
        engine.translate(["물"], "ko", "en")
    assert (service.requests, engine.budget.spent()) == ([], 0)
    assert bool(waits) == (error == "TransportError")


@pytest.mark.parametrize("languages", [("kor_Hang", "en"), ("", "en"), ("ko", "영어"), ("ko", "ko"), ("ko", "en/x")])
def test_languages(engine: GoogleEngine, languages: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="google: expected "):
        engine.translate(["물"], *languages)


def test_opens_from_the_command_line(service: Service, tmp_path: Path) -> None:
    engine, weight = open_engine("google,max_cost=1.5,project=p,weight=2", spending=tmp_path / "spending.json")
    assert isinstance(engine, GoogleEngine)
    assert (weight, engine.price, engine.budget.limit) == (2, Price(20, "USD"), 75_000)
    assert engine.describe() == {"kind": "google", "model": "general/nmt"}
    with pytest.raises(ValueError, match="google: expected price=… for the model 'general/translation-llm'"):
        open_engine("google:general/translation-llm")
