"""A local web service that gives scripted answers, including faulty ones, and the answers of the paid services."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from kgloss_hf.back_translation.engines.google import GoogleEngine
from kgloss_hf.back_translation.engines.papago import PapagoEngine

TEXTS = ["집에 불이 났어요.", "도와주세요.", "물"]
IDENTITY, SECRET = "identity-4711", "secret-0815"
KEYS = {"PAPAGO_CLIENT_ID": f"{IDENTITY}\n", "PAPAGO_CLIENT_SECRET": SECRET, "GOOGLE_CLOUD_PROJECT": "gloss-1"}


class Paid(NamedTuple):
    """A paid service: its engine, and the place of the texts in its requests and answers, as documented."""

    engine: type[GoogleEngine] | type[PapagoEngine]
    endpoint: str
    asked: Callable[[Any], list[str]]
    answer: Callable[[list[str]], dict[str, Any]]

    def translate(self, body: Any) -> dict[str, Any]:
        return self.answer([f"[{text}]" for text in self.asked(body)])

    def open(self, service: Service, **options: Any) -> Any:
        return self.engine(endpoint=service.url + self.endpoint, **options)


PAID = {
    "google": Paid(
        GoogleEngine,
        "",
        lambda body: body["contents"],
        lambda texts: {"translations": [{"translatedText": text, "model": "models/general/nmt"} for text in texts]},
    ),
    "papago": Paid(
        PapagoEngine,
        "/nmt/v1/translation",
        lambda body: body["text"].split("\n"),
        lambda texts: {"message": {"result": {"srcLangType": "ko", "translatedText": "\n".join(texts)}}},
    ),
}


@dataclass
class Answer:
    """An answer of a service, optionally cut off in the middle or delayed."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    delay: float = 0.0

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Request:
    """A request to a service."""

    path: str
    headers: dict[str, str]
    body: Any


class Service:
    """A service that gives the answers of `script` in turn, then those of `translate`, and records its requests."""

    def __init__(self, url: str, translate: Callable[[Any], Any]) -> None:
        self.url = url
        self.translate = translate
        self.script: list[Answer] = []
        self.requests: list[Request] = []
        self.closing = threading.Event()

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.script.pop(0) if self.script else Answer(body=self.translate(request.body))


@contextmanager
def serve(translate: Callable[[Any], Any]) -> Iterator[Service]:
    """Run a service for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = service.answer(Request(self.path, headers, json.loads(body)))
            service.closing.wait(answer.delay)
            content = answer.content()
            self.send_response(answer.status)
            for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if answer.cut else content)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = Service(f"http://127.0.0.1:{server.server_address[1]}", translate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
