"""The HTTP service of `kgloss serve`: its requests and answers, its queue, and its processes."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.requests import ClientDisconnect
from transformers.utils.logging import disable_progress_bar
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from ..models.loading import load as load_model
from ..optional import versions
from ..reporting import counted, one_line
from ..version import __version__
from .serve_arguments import ServeArguments

_SENTENCE = "2층 전시실에서 청자를 볼 수 있습니다."
_STEP = 128  # sequences per batch: the pipeline's default number of texts
_CANDIDATES = 10  # per text, for a consensus
_MOST_SEQUENCES = 20
_SECONDS_FOR_BODY = 10
_SECONDS_FOR_THE_END = 30
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_log = logging.getLogger("uvicorn.error")  # uvicorn shows it; texts are never logged


class TranslateRequest(BaseModel):
    """One text or several, and the options of `kgloss translate`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"text": _SENTENCE}, {"text": [_SENTENCE], "n_best": 3, "types": True}]},
    )

    text: str | list[str] = Field(description="one Korean sentence, or a list")
    n_best: int | None = Field(None, ge=1, le=_MOST_SEQUENCES, description="return the N best sequences, with scores")
    num_beams: int | None = Field(None, ge=1, le=_MOST_SEQUENCES, description="number of beams (default: the model's)")
    types: bool = Field(False, description="add the type of each gloss")
    alignment: bool = Field(False, description="add each gloss's place in the text")
    fingerspell: bool = Field(False, description="fingerspell names, numbers, and words without a gloss")
    confidence: bool = Field(False, description="add the probability of each gloss")
    playable: Literal["prefer", "only"] | None = Field(
        None, description="prefer or return only glosses that the service's lexicon can play"
    )
    consensus: bool = Field(False, description="return the answer that agrees best with the candidates of the models")

    @field_validator("text", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise ValueError(f"expected a string or a list of strings, found {type(text).__name__}")
        return value


class Record(BaseModel):
    """An answer as written by `kgloss translate --format jsonl`; fields that were not requested are left out."""

    text: str
    generated_text: str
    glosses: list[str]
    unresolved: list[int]
    unknown_words: list[str]
    log_prob: float | None = None
    score: float | None = None
    agreement: float | None = None
    types: list[str] | None = None
    alignment: list[list[int] | None] | None = None
    fallback: list[int] | None = None
    confidence: list[float | None] | None = None
    signs: list[dict[str, Any]] | None = Field(
        None, description="with a lexicon: for each gloss its entry, letters, or the reason why nothing plays it"
    )
    candidates: list[dict[str, Any]] | None = Field(
        None, description="with n_best: the answers, instead of all other fields except text"
    )


class Problem(BaseModel):
    """Reason why a request has no answer."""

    detail: str


class Health(BaseModel):
    """State of the service, its models and its versions."""

    ready: bool
    models: list[str]
    versions: dict[str, str]


@dataclass(eq=False)
class _Job:
    texts: list[str]
    options: dict[str, Any]
    is_gone: Callable[[], Awaitable[bool]]
    answers: asyncio.Future[list[Any]]


class Queue:
    """Texts that wait for the pipeline, which answers texts with equal options together, one call at a time.

    Args:
        text_to_gloss: The pipeline.
        thread: Executor with the one thread that calls the pipeline.
        most: Maximum number of texts that may wait.
    """

    def __init__(self, text_to_gloss: Callable[..., Any], thread: ThreadPoolExecutor, most: int) -> None:
        self.closing = False
        """Whether new texts are refused."""
        self._text_to_gloss = text_to_gloss
        self._thread = thread
        self._most = most
        self._jobs: deque[_Job] = deque()
        self._some_wait = asyncio.Event()

    async def answers(
        self, texts: list[str], options: dict[str, Any], is_gone: Callable[[], Awaitable[bool]]
    ) -> list[Any]:
        """Return the pipeline's answers, or an empty list if the client has disconnected before its turn.

        Args:
            texts: Texts of one request.
            options: Arguments for the pipeline.
            is_gone: Returns whether the client has disconnected.

        Raises:
            HTTPException: The queue is full (429) or closing (503), or the pipeline refuses the request (422) or
                fails (500).
        """
        if self.closing:
            raise _busy(503, "the service is shutting down; try again in a moment")
        waiting = sum(len(job.texts) for job in self._jobs)
        if waiting + len(texts) > self._most:
            raise _busy(
                429, f"expected at most {counted(self._most, 'waiting text')}, found {waiting} already; try again later"
            )
        job = _Job(texts, options, is_gone, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._some_wait.set()
        return await job.answers

    async def run(self) -> None:
        """Answer waiting texts until cancelled."""
        while await self._some_wait.wait():
            batch = await self._next_batch()
            if not self._jobs:
                self._some_wait.clear()
            call = partial(self._call, batch)
            outcomes = await asyncio.get_running_loop().run_in_executor(self._thread, call) if batch else []
            for job, outcome in zip(batch, outcomes, strict=True):
                if job.answers.done():  # cancelled
                    continue
                if isinstance(outcome, Exception):
                    job.answers.set_exception(_refusal(outcome))
                else:
                    job.answers.set_result(outcome)

    async def _next_batch(self) -> list[_Job]:
        """Take the first request and later ones with the same options; drop those whose clients have disconnected."""
        batch: list[_Job] = []
        left: deque[_Job] = deque()
        room = 0
        while self._jobs:
            job = self._jobs.popleft()
            if batch and (job.options != batch[0].options or len(job.texts) > room):
                left.append(job)
            elif job.answers.done():
                continue
            elif await job.is_gone():
                job.answers.set_result([])
            else:
                room = (room if batch else _STEP // _sequences(job.options)) - len(job.texts)
                batch.append(job)
        self._jobs = left
        return batch

    def _call(self, batch: Sequence[_Job]) -> list[list[Any] | Exception]:
        """Return the answers to each request, or its error. An error of one request does not affect the others."""
        options = batch[0].options
        try:
            texts = [text for job in batch for text in job.texts]
            size = max(1, _STEP // _sequences(options))
            answers = iter(self._text_to_gloss(texts, batch_size=size, **options))
            return [list(islice(answers, len(job.texts))) for job in batch]
        except Exception as error:  # of any kind: the service goes on
            return [error] if len(batch) == 1 else [outcome for job in batch for outcome in self._call([job])]


def _sequences(options: dict[str, Any]) -> int:
    default = _CANDIDATES if options["consensus"] or options.get("playable") == "prefer" else 1
    return max(options.get("num_beams", default), options.get("num_return_sequences", 1))


def _busy(status: int, reason: str) -> HTTPException:
    return HTTPException(status, reason, {"Retry-After": "1"})


def _refusal(error: Exception) -> HTTPException:
    if isinstance(error, (TypeError, ValueError)):
        return HTTPException(422, str(error).replace("num_return_sequences", "n_best"))
    _log.error("The model failed on a request: %s", type(error).__name__)  # the error's message may hold the text
    return HTTPException(500, f"the model failed on this request: {one_line(error)}")


def application(text_to_gloss: Any, models: Sequence[str], arguments: ServeArguments, thread: Any = None) -> FastAPI:
    """Return the ASGI application that serves a pipeline.

    Args:
        text_to_gloss: Loaded pipeline.
        models: Folders or Hub repositories that it was loaded from.
        arguments: Limits and origins.
        thread: ThreadPoolExecutor with the one thread that calls the pipeline (default: a new one).
    """
    thread = thread or ThreadPoolExecutor(1, "translate")
    queue = Queue(text_to_gloss, thread, arguments.max_waiting)
    # A character takes at most twelve bytes in JSON: two escapes.
    most_bytes = 12 * arguments.max_characters * arguments.max_texts + 4096

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(queue.run())
        with _at_a_signal(partial(setattr, queue, "closing", True)):
            yield
        task.cancel()
        thread.shutdown()

    app = FastAPI(
        title="Korean text to Korean Sign Language glosses",
        description="Glosses are not a signed language: ask signers before use.",
        version=__version__,
        lifespan=lifespan,
    )
    app.state.queue = queue
    app.add_middleware(
        CORSMiddleware, allow_origins=arguments.origins, allow_methods=["GET", "POST"], allow_headers=["Content-Type"]
    )

    @app.get("/", include_in_schema=False)
    async def start() -> Response:
        return RedirectResponse("docs")

    @app.get("/health", responses={503: {"model": Health}})
    async def health() -> Health:
        """Return whether the service accepts requests (503 once it is shutting down), its models and versions."""
        installed = versions("kgloss-hf", "transformers", "tokenizers", "torch")
        state = Health(ready=not queue.closing, models=list(models), versions=installed)
        return state if state.ready else JSONResponse(state.model_dump(), 503)  # type: ignore[return-value]

    @app.post(
        "/translate",
        response_model=Record | list[Record],
        responses={status: {"model": Problem, "description": text} for status, text in _PROBLEMS.items()},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": TranslateRequest.model_json_schema()}},
            }
        },
    )
    async def translate(request: Request) -> Response:
        """Translate one text into one record, or a list of texts into a list of records."""
        wanted = _parsed(await _body(request, most_bytes))
        several = isinstance(wanted.text, list)
        texts = wanted.text if isinstance(wanted.text, list) else [wanted.text]
        _check_texts(texts, arguments)
        if wanted.playable and arguments.lexicon is None:
            raise HTTPException(422, "playable: expected a service with a lexicon, found none; start it with --lexicon")
        options = _options(wanted, several_models=len(models) > 1)
        answers = await queue.answers(texts, options, request.is_disconnected) if texts else []
        if len(answers) < len(texts):
            return Response(status_code=499)  # the client has disconnected
        records = [
            {"text": text, **(answer if wanted.n_best is None else {"candidates": answer})}
            for text, answer in zip(texts, answers, strict=True)
        ]
        return JSONResponse(records if several else records[0])

    return app


_PROBLEMS = {
    408: "the request took too long to arrive",
    413: "a text is too long, or there are too many texts",
    415: "the request is not JSON",
    422: "the request is not valid",
    429: "too many texts are waiting",
    500: "the model failed",
    503: "the service is shutting down",
}


async def _body(request: Request, most: int) -> bytes:
    """Return the body of a request. No more than the longest valid request is read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"Content-Type: expected application/json, found {kind or 'none'}")
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS_FOR_BODY):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise HTTPException(413, f"expected at most {most} bytes, found more; send fewer texts per request")
    except ClientDisconnect:
        raise HTTPException(499) from None  # nobody reads the status
    except TimeoutError:
        raise HTTPException(408, f"expected the request within {_SECONDS_FOR_BODY} seconds, found part of it") from None
    return bytes(body)


def _parsed(body: bytes) -> TranslateRequest:
    try:
        return TranslateRequest.model_validate_json(body)
    except ValidationError as error:
        reasons = []
        for wrong in error.errors(include_url=False, include_input=False):
            where = ".".join(map(str, wrong["loc"]))
            if wrong["type"] == "extra_forbidden":
                wrong["msg"] = f"expected one of {', '.join(TranslateRequest.model_fields)}, found another name"
            if wrong["type"] == "value_error":
                wrong["msg"] = str(wrong["ctx"]["error"])
            reasons.append(f"{where[:60]}: {wrong['msg']}" if where else wrong["msg"])
        raise HTTPException(422, "; ".join(reasons[:5])) from None


def _check_texts(texts: Sequence[str], arguments: ServeArguments) -> None:
    if len(texts) > arguments.max_texts:
        raise HTTPException(
            413,
            f"expected at most {counted(arguments.max_texts, 'text')}, found {len(texts):,}; send fewer per request",
        )
    for number, text in enumerate(texts):
        if len(text) > arguments.max_characters:
            most = counted(arguments.max_characters, "character")
            raise HTTPException(413, f"text {number}: expected at most {most}, found {len(text):,}; divide the text")
        if control := _CONTROLS.search(text):
            raise HTTPException(
                422,
                f"text {number}: expected no control characters except tabs and line ends, found {control[0]!a}; "
                "remove it",
            )


def _options(wanted: TranslateRequest, *, several_models: bool) -> dict[str, Any]:
    """Return arguments for the pipeline. It refuses texts beyond the model's length, since a cut would go unnoticed."""
    consensus = wanted.consensus or several_models
    if consensus and wanted.n_best is not None:
        raise HTTPException(422, "expected n_best or a consensus, found both; leave out n_best")
    if wanted.n_best and wanted.num_beams and wanted.num_beams < wanted.n_best:
        raise HTTPException(
            422, f"num_beams: expected at least n_best, which is {wanted.n_best}, found {wanted.num_beams}; raise it"
        )
    options: dict[str, Any] = {
        "return_types": wanted.types,
        "return_alignment": wanted.alignment,
        "return_confidence": wanted.confidence,
        "fingerspell": wanted.fingerspell,
        "consensus": consensus,
        "truncation": False,
    }
    chosen = {"num_return_sequences": wanted.n_best, "num_beams": wanted.num_beams, "playable": wanted.playable}
    return options | {name: value for name, value in chosen.items() if value is not None}


@contextmanager
def _at_a_signal(then: Callable[[], None]) -> Iterator[None]:
    """Call a function at SIGTERM and SIGINT, before the existing handlers, such as uvicorn's."""
    if threading.current_thread() is not threading.main_thread():  # the only one that may set handlers
        yield
        return
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}

    def handle(number: int, frame: Any) -> None:
        then()
        before[number](number, frame)

    for number in before:
        signal.signal(number, handle)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def load(models: Sequence[str], arguments: ServeArguments) -> Any:
    """Return the pipeline, after it has answered a first sentence.

    Args:
        models: Folders or Hub repositories, the main one first.
        arguments: Number of workers and threads, kind of weights, and lexicon.

    Raises:
        ValueError: A model cannot be loaded.
        OSError: Its files cannot be read.
    """
    threads = arguments.threads
    if threads is None and arguments.workers > 1:
        threads = max(1, torch.get_num_threads() // arguments.workers)
    if threads is not None:
        torch.set_num_threads(threads)
    text_to_gloss = load_model(models[0], others=list(models[1:]), int8=arguments.int8, lexicon=arguments.lexicon)
    text_to_gloss([_SENTENCE])  # starts Java
    return text_to_gloss


def loaded(models: Sequence[str], arguments: ServeArguments) -> FastAPI:
    """Load models, and return their application.

    Args:
        models: Folders or Hub repositories, the main one first.
        arguments: Settings of the service.

    Raises:
        ValueError: A model cannot be loaded.
        OSError: Its files cannot be read.
    """
    disable_progress_bar()  # bars would clutter the log
    # The same thread loads and computes, because torch keeps its number of threads per thread.
    thread = ThreadPoolExecutor(1, "translate")
    app = application(thread.submit(load, models, arguments).result(), models, arguments, thread)
    _log.info("Ready to translate")
    return app


class _Workers(Multiprocess):
    def terminate_all(self) -> None:
        for listener in self.sockets:  # else new clients wait for a worker that accepts nobody
            listener.close()
        super().terminate_all()


def run(
    models: Sequence[str],
    arguments: ServeArguments,
    listener: socket.socket,
    loaded_in_worker: Callable[[Sequence[str], ServeArguments], FastAPI],
) -> int:
    """Serve until a signal, in this process or in workers.

    Args:
        models: Folders or Hub repositories, the main one first.
        arguments: Settings of the service.
        listener: Socket that is listening.
        loaded_in_worker: Function that each worker calls instead of `loaded`, from a module that is quick to import.

    Returns:
        0, or 1 if a worker could not start.

    Raises:
        ValueError: The model cannot be loaded in this process.
        OSError: Its files cannot be read.
    """
    # uvicorn raises the signal again after it has ended; process 1 of a container has no default handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    in_workers = arguments.workers > 1
    config = uvicorn.Config(
        partial(loaded_in_worker if in_workers else loaded, models, arguments),
        factory=True,
        workers=arguments.workers,
        access_log=False,  # it would hold texts that someone sends by GET
        timeout_graceful_shutdown=_SECONDS_FOR_THE_END,
        timeout_worker_healthcheck=20,  # on a busy machine
    )
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    print(f"kgloss serve: loading {models[0]} for http://{host}:{port}", file=sys.stderr)
    if in_workers:
        workers = _Workers(config, [listener])
        workers.run()
        return int(any(worker.exitcode == STARTUP_FAILURE for worker in workers.processes))
    try:
        uvicorn.Server(config).run([listener])
    except SystemExit as end:
        return int(bool(end.code))
    return 0
