"""Translation with Google Cloud Translation - Advanced (v3)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...reporting import counted
from .engine import EngineError, Limits, Price
from .remote import RemoteEngine, RequestError, is_local

if TYPE_CHECKING:
    import requests
    from google.auth.credentials import Credentials

_MODEL = "general/nmt"  # the service's default
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
_PROJECT = "GOOGLE_CLOUD_PROJECT"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(kw_only=True, eq=False, repr=False)
class GoogleEngine(RemoteEngine):
    """An engine that translates with Google Cloud Translation.

    A request holds up to 1,024 texts (https://cloud.google.com/translate/docs/reference/rest/v3/projects/translateText)
    and 5,000 code points, as recommended; the maximum is 30,000 (https://cloud.google.com/translate/quotas).
    Spaces count as characters. Check Google Cloud's Service Specific Terms (https://cloud.google.com/terms/service-terms)
    before you train models on translations or pass them on.

    The options are those of `RemoteEngine` and the following. `max_cost` and `price` are in US dollars. A project's
    quota is 6,000,000 `characters_per_minute`.

    Args:
        project: Google Cloud project (default: the one in `GOOGLE_CLOUD_PROJECT`, or that of the credentials).
        location: Region of the model (default `global`). `global` has no custom models, and a regional endpoint needs
            its own region.
        model: `general/nmt` (default), or another model's full name or the part of it after `models/`. Another model
            needs `price`; if its output is billed too, as for `general/translation-llm`, give the sum, with some
            margin.
        endpoint: URL such as `https://translate-eu.googleapis.com` (default: `https://translate.googleapis.com`).
            `http://localhost…` is called without credentials.

    Examples:
        >>> engine = GoogleEngine(max_cost=10)
        >>> engine.describe()
        {'kind': 'google', 'model': 'general/nmt'}
        >>> engine.translate(["불이 났어요."], "ko", "en")  # doctest: +SKIP
        ['There is a fire.']
    """

    name: str = "google"
    project: str | None = None
    location: str = "global"
    model: str = _MODEL
    endpoint: str = "https://translate.googleapis.com"

    extra = "google"
    libraries = ("google.auth", "requests")
    credentials = (
        f"{_CREDENTIALS} (or gcloud auth application-default login), the project ({_PROJECT}), and that the Cloud "
        "Translation API is enabled and has quota there"
    )
    # Price of _MODEL; the first 500,000 characters per month are free, which is not taken into account
    # (https://cloud.google.com/translate/pricing, a stored copy read in November 2026).
    list_price = Price(20.0, "USD")
    result = "translations"
    explanations = (
        (r"^HTTP 400: .*\blanguage\b", ValueError, ""),
        (
            r"^HTTP 400: .*\b(parent|project|location|model)\b",
            EngineError,
            "; see the options project, location and model",
        ),
    )
    limits = Limits(texts=1024, characters=5000, text=30_000)

    def __post_init__(self) -> None:
        if self.price is None and self.model != _MODEL:
            raise ValueError(
                f"{self.name}: expected price=… for the model {self.model!r}, whose price may differ from {_MODEL}'s, "
                "found none; see https://cloud.google.com/translate/pricing"
            )
        super().__post_init__()

    def describe(self) -> dict[str, Any]:
        """Return the settings that determine the translations."""
        return {"kind": "google", "model": self.model}

    def check_languages(self, source: str, target: str) -> None:
        """Raise ValueError if a language is not a BCP 47 tag, or both are the same."""
        for language in (source, target):
            if not _LANGUAGE.fullmatch(language):
                raise ValueError(f"{self.name}: expected a language such as ko or zh-TW, found {language!r}")
        if source == target:
            raise ValueError(f"{self.name}: expected two languages, found {source!r} twice")

    def translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate texts in one request."""
        parent = f"projects/{self._access[1]}/locations/{self.location}"
        body = {
            "contents": list(texts),
            "mimeType": "text/plain",
            "sourceLanguageCode": source,
            "targetLanguageCode": target,
            "model": self.model if self.model.startswith("projects/") else f"{parent}/models/{self.model}",
        }
        url = f"{self.endpoint.rstrip('/')}/v3/{parent}:translateText"
        translations = self.ask(url, body, sum(map(len, texts)))
        if len(translations) != len(texts):
            raise EngineError(f"{self.name}: expected {counted(len(texts), 'translation')}, found {len(translations)}")
        return translations

    @cached_property
    def _session(self) -> requests.Session:
        """HTTP session that renews its access token."""
        from google.auth.transport.requests import AuthorizedSession

        session: requests.Session = AuthorizedSession(self._access[0])
        return session

    def post(self, session: requests.Session, url: str, body: dict[str, Any]) -> list[str]:
        """Send one request, and return its translations; failures to authenticate become a RequestError too."""
        from google.auth.exceptions import GoogleAuthError, TransportError

        try:
            return super().post(session, url, body)
        except TransportError as error:
            raise RequestError(f"no access token ({type(error).__name__})", sent=False) from error
        except GoogleAuthError as error:
            raise RequestError(f"no access ({type(error).__name__})", status=401) from error

    def read(self, answer: Any) -> list[str]:
        """Return the translations in an answer."""
        # The service leaves out empty values.
        return [translation.get("translatedText", "") for translation in answer.get("translations", [])]

    @cached_property
    def _access(self) -> tuple[Credentials, str]:
        """Credentials and project."""
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import DefaultCredentialsError

        credentials: Credentials = AnonymousCredentials()
        project = None
        if not is_local(self.endpoint):
            try:
                credentials, project = google.auth.default(scopes=_SCOPES)
            except DefaultCredentialsError as error:
                raise EngineError(f"{self.name}: expected credentials, found none; check {self.credentials}") from error
        project = self.project or os.environ.get(_PROJECT) or project
        if not project:
            raise EngineError(
                f"{self.name}: expected a Google Cloud project, found none; give project=… or set {_PROJECT}"
            )
        return credentials, project
