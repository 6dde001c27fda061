from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from transformers import pipeline

import kgloss_hf  # noqa: F401 - registers the pipeline
from conftest import SENTENCES
from kgloss_hf.commands.serve_arguments import ServeArguments
from kgloss_hf.commands.service import application, load
from kgloss_hf.commands.serving import loaded_in_worker, serve
from kgloss_hf.commands.translate import translate

SMALL = ServeArguments(max_characters=60, max_texts=3, max_waiting=6, cors="https://museum.example, null")
PROCESS = "import sys; from kgloss_hf.commands.serving import serve; sys.exit(serve(sys.argv[1], port=0))"


class FakePipeline:
    """Pipeline that answers a text with itself, records its calls, and can be held up."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.options: list[dict[str, Any]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.called = threading.Event()

    def __call__(self, texts: list[str], **options: Any) -> list[dict[str, Any]]:
        self.calls.append(texts)
        self.options.append(options)
        self.called.set()
        assert self.go_on.wait(30)
        if "bad" in texts:
            raise ValueError("text 0: expected another")
        if "broken" in texts:
            raise RuntimeError(f"Okt failed on {texts}")
        return [{"generated_text": text, "glosses": [text]} for text in texts]


@pytest.fixture
def fake() -> FakePipeline:
    return FakePipeline()


@pytest.fixture
def client(fake: FakePipeline) -> Iterator[TestClient]:
    with TestClient(application(fake, ["MODEL"], SMALL), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as threads:
        yield threads


def ask(client: Any, text: Any, **options: Any) -> Any:
    return client.post("/translate", json={"text": text, **options})


def until(condition: Any) -> None:
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("waited for 30 seconds")


def waiting(client: TestClient) -> int:
    return len(client.app.state.queue._jobs)  # type: ignore[attr-defined]


def hold(client: TestClient, fake: FakePipeline, threads: ThreadPoolExecutor) -> Any:
    """Make the pipeline begin with a text, and not finish it."""
    fake.go_on.clear()
    held = threads.submit(ask, client, "held")
    assert fake.called.wait(30)
    return held


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_best": 2, "types": True},
        {"types": True, "alignment": True, "fingerspell": True, "num_beams": 2},
        {"consensus": True, "num_beams": 3},
    ],
)
def test_records_are_those_of_the_command(checkpoint: str, options: dict[str, Any]) -> None:
    texts = [*SENTENCES[:2], " "]
    output = StringIO()
    translate(checkpoint, texts, format="jsonl", output=output, **options)
    expected = list(map(json.loads, output.getvalue().splitlines()))
    app = application(pipeline("text-to-gloss", model=checkpoint), [checkpoint], ServeArguments())
    with TestClient(app) as client:
        answers = [ask(client, texts, **options).json(), [ask(client, text, **options).json() for text in texts]]
    for records in answers:
        for record, one in zip(records, expected, strict=True):
            assert list(record) == list(one)
            assert json.loads(json.dumps(record), parse_float=lambda _: 0) == json.loads(
                json.dumps(one), parse_float=lambda _: 0
            )


def test_a_service_with_a_lexicon_says_what_plays_each_gloss(checkpoint: str, tmp_path: Path) -> None:
    file = tmp_path / "lexicon.csv"
    file.write_text("gloss,id\n몸,1\n모습,2\n잎,3\n", "utf-8")
    arguments = ServeArguments(lexicon=str(file))
    with TestClient(application(load([checkpoint], arguments), [checkpoint], arguments)) as client:
        for options in ({}, {"playable": "only"}, {"playable": "prefer", "num_beams": 2}):
            answer = ask(client, SENTENCES[0], confidence=True, **options).json()
            assert len(answer["signs"]) == len(answer["confidence"]) == len(answer["glosses"])
        assert {*ask(client, SENTENCES[0], playable="only").json()["glosses"]} <= {"몸", "모습", "잎"}
        assert ask(client, SENTENCES[0], playable="always").status_code == 422
        refused = ask(client, SENTENCES[0], consensus=True, confidence=True)
        assert (refused.status_code, "leave one out" in refused.json()["detail"]) == (422, True)
        assert "signs" in client.get("/openapi.json").json()["components"]["schemas"]["Record"]["properties"]


def test_playable_needs_a_lexicon(client: TestClient, fake: FakePipeline) -> None:
    refused = ask(client, "집", playable="only")
    assert (refused.status_code, "start it with --lexicon" in refused.json()["detail"]) == (422, True)
    assert not fake.calls


def test_several_models_agree_without_being_asked(fake: FakePipeline) -> None:
    with TestClient(application(fake, ["ONE", "TWO"], SMALL)) as client:
        assert ask(client, "집").status_code == 200
        assert fake.options[0]["consensus"]
        refused = ask(client, "집", n_best=2)
        assert (refused.status_code, "leave out n_best" in refused.json()["detail"]) == (422, True)


def test_who_waits_together_is_answered_together(
    client: TestClient, fake: FakePipeline, threads: ThreadPoolExecutor
) -> None:
    held = hold(client, fake, threads)
    asked = {text: threads.submit(ask, client, text) for text in ("a", "b", "c")}
    asked |= {text: threads.submit(ask, client, text, types=True) for text in ("d", "e")}
    until(lambda: waiting(client) == 5)
    fake.go_on.set()
    assert {text: answer.result().json()["text"] for text, answer in asked.items()} == {text: text for text in asked}
    assert held.result().status_code == 200
    assert sorted(map(sorted, fake.calls)) == [["a", "b", "c"], ["d", "e"], ["held"]]


def test_everyone_gets_the_own_answer(fake: FakePipeline, threads: ThreadPoolExecutor) -> None:
    with TestClient(application(fake, ["MODEL"], ServeArguments())) as client:

        def own(number: int) -> bool:
            texts = [f"{number} {place}" for place in range(number % 5)]
            answer = ask(client, texts, types=bool(number % 2)).json()
            return [one["glosses"] for one in answer] == [[text] for text in texts]

        assert all(threads.map(own, range(400)))


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 422, "Invalid JSON"),
        (b"null", 422, "object"),
        (b"{}", 422, "text: Field required"),
        (b'{"text": 3}', 422, "text: expected a string or a list of strings, found int"),
        (b'{"text": ["a", ["b"]]}', 422, "text: expected a string or a list of strings, found list"),
        (b'{"text": "a", "fingerspel": true}', 422, "fingerspel: expected one of text, n_best"),
        (b'{"text": "a", "types": 1}', 422, "types: "),
        (b'{"text": "a", "n_best": 0}', 422, "n_best: "),
        (b'{"text": "a", "n_best": 21}', 422, "n_best: "),
        (b'{"text": "a", "n_best": 1e999}', 422, "n_best: "),
        (b'{"text": "a", "n_best": ' + b"9" * 900 + b"}", 422, "n_best: "),
        (b'{"text": "a", "n_best": 3, "num_beams": 2}', 422, "num_beams: expected at least n_best, which is 3"),
        (b'{"text": "a", "n_best": 2, "consensus": true}', 422, "leave out n_best"),
        (b'{"text": "\\ud800"}', 422, "Invalid JSON"),
        (b'{"text": "\xff"}', 422, "Invalid JSON"),
        (b'{"text": ' + b"[" * 800, 422, "recursion limit"),
        (
            b'{"text": "a\\u0000"}',
            422,
            "text 0: expected no control characters except tabs and line ends, found '\\x00'",
        ),
        (b'{"text": ["a", "' + b"a" * 61 + b'"]}', 413, "text 1: expected at most 60 characters, found 61"),
        (b'{"text": ["a", "b", "c", "d"]}', 413, "expected at most 3 texts, found 4"),
        (b'{"text": "' + b"a" * 10_000 + b'"}', 413, "expected at most 6256 bytes, found more"),
    ],
)
def test_requests_that_are_refused(
    client: TestClient, fake: FakePipeline, body: bytes, status: int, reason: str
) -> None:
    answer = client.post("/translate", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, [*answer.json()]) == (status, ["detail"])
    assert reason in answer.json()["detail"]
    assert fake.calls == []


def test_only_json_is_read(client: TestClient) -> None:
    answer = client.post("/translate", content=b'{"text": "a"}', headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()) == (
        415,
        {"detail": "Content-Type: expected application/json, found text/plain"},
    )


@pytest.mark.parametrize("text", ["", " ", "탭\t속", "줄\r\n끝", "a" * 60, "\u202e\U0001f600", []])
def test_text_that_is_unusual(client: TestClient, text: Any) -> None:
    answer = ask(client, text)
    assert answer.status_code == 200
    assert answer.json() == ([] if text == [] else {"text": text, "generated_text": text, "glosses": [text]})


def test_longest_request_in_escapes_is_read(client: TestClient) -> None:
    assert len(ask(client, ["\U0001f600" * 60] * 3).json()) == 3


def test_full_queue(client: TestClient, fake: FakePipeline, threads: ThreadPoolExecutor) -> None:
    held = hold(client, fake, threads)
    asked = [threads.submit(ask, client, ["a", "b", "c"]) for _ in range(2)]
    until(lambda: waiting(client) == 2)
    refused = ask(client, "d")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert "expected at most 6 waiting texts, found 6 already" in refused.json()["detail"]
    fake.go_on.set()
    assert [one.result().status_code for one in (held, *asked)] == [200, 200, 200]
    assert ask(client, "d").status_code == 200


def test_closing_ends_what_it_began(client: TestClient, fake: FakePipeline, threads: ThreadPoolExecutor) -> None:
    assert client.get("/health").json()["ready"]
    held = hold(client, fake, threads)
    client.app.state.queue.closing = True  # type: ignore[attr-defined]
    assert (ask(client, "a").status_code, client.get("/health").status_code) == (503, 503)
    assert not client.get("/health").json()["ready"]
    fake.go_on.set()
    assert held.result().json()["glosses"] == ["held"]


@pytest.mark.parametrize(("text", "status"), [("bad", 422), ("broken", 500)])
def test_one_requests_error_is_no_others(
    client: TestClient,
    fake: FakePipeline,
    threads: ThreadPoolExecutor,
    text: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hold(client, fake, threads)
    asked = [threads.submit(ask, client, one) for one in ("a", text, "b")]
    until(lambda: waiting(client) == 3)
    fake.go_on.set()
    assert [one.result().status_code for one in asked] == [200, status, 200]
    assert "broken" not in caplog.text


def test_client_that_has_gone_costs_nothing(
    client: TestClient, fake: FakePipeline, threads: ThreadPoolExecutor
) -> None:
    messages = [{"type": "http.request", "body": b'{"text": "gone"}'}, {"type": "http.disconnect"}]
    scope = {"type": "http", "method": "POST", "path": "/translate", "query_string": b"", "http_version": "1.1"}
    scope |= {"headers": [(b"content-type", b"application/json")], "scheme": "http", "root_path": ""}

    async def receive() -> Any:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(_: Any) -> None:
        pass

    hold(client, fake, threads)
    assert client.portal is not None
    gone = client.portal.start_task_soon(client.app, scope, receive, send)  # type: ignore[arg-type]
    asked = threads.submit(ask, client, "a")
    until(lambda: waiting(client) == 2)
    fake.go_on.set()
    assert asked.result().status_code == 200
    gone.result(30)
    assert fake.calls == [["held"], ["a"]]


@pytest.mark.parametrize("origin", ["https://museum.example", "https://other.example"])
def test_pages_of_named_origins_may_ask(client: TestClient, origin: str) -> None:
    ahead = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    allowed = origin == "https://museum.example"
    assert (client.options("/translate", headers={"Origin": origin, **ahead}).status_code == 200) == allowed
    for text in ("a", "a" * 61):
        answer = client.post("/translate", json={"text": text}, headers={"Origin": origin})
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_no_page_may_ask_by_default(fake: FakePipeline) -> None:
    with TestClient(application(fake, ["MODEL"], ServeArguments())) as client:
        answer = client.post("/translate", json={"text": "a"}, headers={"Origin": "https://museum.example"})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_description_shows_requests_and_reasons(client: TestClient) -> None:
    assert client.get("/").url.path == "/docs"
    described = client.get("/openapi.json").json()["paths"]["/translate"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    for example in schema["examples"]:
        assert client.post("/translate", json=example).status_code in (200, 413)
    assert set(described["responses"]) >= {"200", "413", "422", "429", "503"}


def test_health(client: TestClient) -> None:
    health = client.get("/health").json()
    assert (health["ready"], health["models"]) == (True, ["MODEL"])
    assert {"kgloss-hf", "transformers", "torch"} <= set(health["versions"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": -1}, "port: expected a number from 0 to 65535, found -1"),
        ({"workers": 0}, "workers: expected 1 or more, found 0"),
        ({"threads": 0}, "threads: expected 1 or more"),
        ({"max_texts": 9, "max_waiting": 8}, "max_waiting: expected at least max_texts, which is 9"),
        ({"cors": "museum.example"}, "cors: expected origins such as"),
        ({"cors": "https://museum.example/"}, "without a path, found 'https://museum.example/'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        serve("MODEL", **options)


def test_address_that_is_taken_is_said_before_the_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"expected to listen on 127.0.0.1, port {port}, found an error"):
            serve("no/model", port=port)
    with pytest.raises(OSError, match="expected an address or name of this machine"):
        serve("no/model", host="no host")


def test_worker_that_cannot_start_says_why(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        loaded_in_worker([str(tmp_path)], ServeArguments(workers=2))
    assert end.value.code == 3  # uvicorn then starts no other worker
    assert re.fullmatch(r"kgloss serve: .+\n", capsys.readouterr().err)


def test_help_imports_nothing_slow() -> None:
    code = "import sys, kgloss_hf.commands.serving; print({'torch', 'fastapi', 'transformers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.slow
def test_process_ends_what_it_began(checkpoint: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PROCESS, checkpoint], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = re.findall(r"http://[\d.:]+", process.stderr.readline())[0]

        async def all_of_them() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
                assert (await client.get("/health")).json()["ready"]
                texts = [f"{number}층에 비밀이 있습니다." for number in range(100)]
                asked = [asyncio.create_task(ask(client, texts, n_best=5)) for _ in range(5)]
                await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*asked)

        answers = asyncio.run(all_of_them())
        log = process.stderr.read()
        assert process.wait(60) == 0
    assert [answer.status_code for answer in answers] == [200] * 5
    assert all(len(answer.json()) == 100 for answer in answers)
    assert "Finished server process" in log
    assert "Traceback" not in log
    assert "비밀" not in log
