"""Google Cloud Translation - Advanced (v3)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .engine import EngineError, Limits, Price
from .remote import RemoteEngine, RequestError, check_endpoint, is_local, retry_after

MODEL = "general/nmt"
"""The service's default model."""
LIST_PRICE = 20.0
"""US dollars for a million characters sent to `MODEL`; the first 500,000 of a month are free, which is left out of
account (https://cloud.google.com/translate/pricing, a stored copy read in November 2026)."""

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
_PROJECT = "GOOGLE_CLOUD_PROJECT"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class GoogleEngine(RemoteEngine):
    """Translates by Google Cloud Translation.

    A request has up to 1,024 texts (https://cloud.google.com/translate/docs/reference/rest/v3/projects/translateText)
    and 5,000 code points, which is recommended; at most it may have 30,000 (https://cloud.google.com/translate/quotas).
    Spaces count as characters. Check Google Cloud's Service Specific Terms (https://cloud.google.com/terms/service-terms)
    before you train models on translations, or give them to others.

    Args:
        name: Stands in the corpus's column `engine`, and in the file of what is spent.
        project: Google Cloud project; by default that of `GOOGLE_CLOUD_PROJECT` or of the credentials.
        location: Region of the model; `global` has no custom models, and regional endpoints want theirs.
        model: `general/nmt`, or the part after `models/` or the whole of another one's name. Needs `price`.
        max_characters: Characters to send in all at most.
        max_cost: US dollars to spend in all at most, by `price`.
        price: US dollars for a million characters that are sent. Of models that are paid for by output too, such as
            `general/translation-llm`, give the sum, and leave some room.
        requests_per_second: At most, of all processes together.
        characters_per_minute: At most, of all processes together. A project has 6,000,000.
        timeout: Seconds to wait for a connection, and for each part of an answer.
        endpoint: Such as `https://translate-eu.googleapis.com`. `http://localhost…` is asked without credentials.
        spending: File in which characters are counted; None counts in memory.

    Raises:
        ValueError: An option has no sense.
        ImportError: A library is missing.

    Example:
        >>> engine = GoogleEngine(max_cost=10)
        >>> engine.describe()
        {'kind': 'google', 'model': 'general/nmt'}
        >>> engine.translate(["불이 났어요."], "ko", "en")  # doctest: +SKIP
        ['There is a fire.']
    """

    extra = "google"
    libraries = ("google.cloud.translate_v3", "google.auth", "requests")
    credentials = (
        f"{_CREDENTIALS} (or gcloud auth application-default login), the project ({_PROJECT}), and that the Cloud "
        "Translation API is enabled and has quota there"
    )
    limits = Limits(texts=1024, characters=5000, text=30_000)

    def __init__(
        self,
        name: str = "google",
        *,
        project: str | None = None,
        location: str = "global",
        model: str = MODEL,
        max_characters: int | None = None,
        max_cost: float | None = None,
        price: float | None = None,
        requests_per_second: float | None = None,
        characters_per_minute: float | None = None,
        timeout: float = 30.0,
        endpoint: str = "https://translate.googleapis.com",
        spending: Path | None = None,
    ) -> None:
        if price is None and model != MODEL:
            raise ValueError(
                f"{name}: expected price=… for the model {model!r}, which may cost other than {MODEL}; see "
                "https://cloud.google.com/translate/pricing"
            )
        super().__init__(
            name,
            Price(LIST_PRICE if price is None else price, "USD"),
            max_characters=max_characters,
            max_cost=max_cost,
            requests_per_second=requests_per_second,
            characters_per_minute=characters_per_minute,
            timeout=timeout,
            spending=spending,
        )
        check_endpoint(name, endpoint)
        self._project = project
        self._location = location
        self._model = model
        self._endpoint = endpoint.rstrip("/")
        self._client: Any = None

    def describe(self) -> dict[str, Any]:
        """What decides the translations."""
        return {"kind": "google", "model": self._model}

    def check_languages(self, source: str, target: str) -> None:
        """Raise ValueError if a language is not written as BCP-47, or both are one."""
        for language in (source, target):
            if not _LANGUAGE.fullmatch(language):
                raise ValueError(f"{self.name}: expected a language such as ko or zh-TW, found {language!r}")
        if source == target:
            raise ValueError(f"{self.name}: expected two languages, found {source!r} twice")

    def translate_batch(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of texts that fit into one request."""
        client = self._open()
        parent = f"projects/{self._project}/locations/{self._location}"
        model = self._model if self._model.startswith("projects/") else f"{parent}/models/{self._model}"
        request = {
            "parent": parent,
            "model": model,
            "contents": list(texts),
            "mime_type": "text/plain",
            "source_language_code": source,
            "target_language_code": target,
        }
        found = self.ask(lambda: self._send(client, request), sum(map(len, texts)))
        if len(found) != len(texts):
            raise EngineError(f"{self.name}: expected {len(texts)} translations, found {len(found)}")
        return found

    def explain(self, error: RequestError) -> Exception:
        """What to raise for a request that is given up."""
        if error.status == 400 and re.search(r"\blanguage\b", str(error), re.IGNORECASE):
            return ValueError(f"{self.name}: {error}")
        if error.status == 400 and re.search(r"\b(parent|project|location|model)\b", str(error), re.IGNORECASE):
            return EngineError(f"{self.name}: {error}; see the options project, location and model")
        return super().explain(error)

    def _send(self, client: Any, request: dict[str, Any]) -> list[str]:
        import requests
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.protobuf.json_format import ParseError

        try:
            # Google's own retrying would not be counted, nor know Retry-After.
            response = client.translate_text(request=request, retry=None, timeout=self._timeout)
        except GoogleAPICallError as error:
            raise _request_error(error) from error
        except TransportError as error:
            raise RequestError(f"no access token ({type(error).__name__})", sent=False) from error
        except GoogleAuthError as error:
            raise RequestError(f"no access ({type(error).__name__})", status=401) from error
        except requests.RequestException as error:
            raise RequestError(f"no answer ({type(error).__name__})", sent=_was_sent(error)) from error
        # Google's client trips over answers and errors whose JSON has another form than it knows.
        except (ParseError, UnicodeDecodeError, AttributeError, TypeError, RecursionError) as error:
            raise RequestError(f"expected JSON with translations, found other ({type(error).__name__})") from error
        return [translation.translated_text for translation in response.translations]

    def _open(self) -> Any:
        if self._client is None:
            import google.auth
            from google.auth.credentials import AnonymousCredentials, Credentials
            from google.auth.exceptions import DefaultCredentialsError
            from google.cloud import translate_v3

            project = self._project or os.environ.get(_PROJECT)
            credentials: Credentials = AnonymousCredentials()
            if not is_local(self._endpoint):
                try:
                    credentials, default = google.auth.default(scopes=_SCOPES)
                except DefaultCredentialsError as error:
                    raise EngineError(
                        f"{self.name}: expected credentials, found none; check {self.credentials}"
                    ) from error
                project = project or default
            if not project:
                raise EngineError(
                    f"{self.name}: expected a Google Cloud project, found none; give project=… or set {_PROJECT}"
                )
            self._project = project
            self._client = translate_v3.TranslationServiceClient(
                credentials=credentials, transport="rest", client_options={"api_endpoint": self._endpoint}
            )
        return self._client


def _request_error(error: Any) -> RequestError:
    """Google's exception for an answer, without the URL that it begins with, which has the project."""
    message = re.sub(r"^[A-Z]+ \S+: ", "", error.message)[:300] or "no message"
    headers = {} if error.response is None else error.response.headers
    # A quota by the minute may come as 403, as that by the day does.
    status = 429 if error.code == 403 and "rate limit exceeded" in message.lower() else int(error.code)
    return RequestError(
        f"HTTP {int(error.code)}: {message}", status=status, wait=retry_after(headers.get("retry-after"))
    )


def _was_sent(error: Exception) -> bool:
    """Whether a request may have reached the service, by requests' exception."""
    import urllib3

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
