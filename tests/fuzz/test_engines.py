"""Paid translation services that answer anything, without sockets, and engine names on a command line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.back_translation.chunks import _Journal
from kgloss_hf.back_translation.engines import remote
from kgloss_hf.back_translation.engines.budget import Budget, BudgetError
from kgloss_hf.back_translation.engines.engine import EngineError, Price, open_engine
from kgloss_hf.back_translation.engines.remote import ATTEMPTS, RemoteEngine, check_endpoint, retry_after
from tests.back_translation.servers import KEYS, PAID, SECRET, Paid

from .strategies import DEEP, HALVES, HUGE, TEXT, damaged, json_text, json_values, share

requests: Any = pytest.importorskip("requests")
for library in ("google.auth", "tenacity"):
    pytest.importorskip(library)


@pytest.fixture(scope="module", autouse=True)
def keys() -> Iterator[None]:
    with patch.dict("os.environ", KEYS), patch.object(remote, "sleep", lambda _: None):
        logging.getLogger("kgloss_hf").setLevel(logging.ERROR)
        yield
        logging.getLogger("kgloss_hf").setLevel(logging.NOTSET)


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": st.one_of(
            st.integers(-5, 400).map(str),
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
            st.sampled_from(("Wed, 21 Oct 2099 07:28:00 GMT", "Wed, 21 Oct 99999999999 07:28:00 GMT", "9" * 400)),
            st.sampled_from(("1e9", "-1", "0, 0")),
        ),
        "Content-Type": st.sampled_from(("application/json", "text/html", "application/json; charset=x", "")),
        "Content-Encoding": st.sampled_from(("gzip", "br", "identity", "deflate", "nonsense")),
        "Location": st.sampled_from(("/", "http://127.0.0.1/else", "::", "ftp://a")),
        "Set-Cookie": st.sampled_from(("a=b", ";;=", "=")),
    },
)
STATUS = st.one_of(
    st.just(200),
    st.sampled_from((201, 204, 301, 304, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504)),
    st.integers(200, 599),
)


def bodies() -> st.SearchStrategy[bytes]:
    """Return a strategy for bodies that may arrive instead of an answer."""
    words = st.sampled_from(
        ("translations", "message", "result", "error", "errorCode", "details", "code", "status", "translatedText")
    )
    shaped = st.recursive(
        st.one_of(st.none(), st.text(max_size=5), st.integers(), HALVES, st.just(SECRET), st.booleans()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=8,
    ).map(json.dumps)
    text = st.one_of(shaped, shaped, json_text(), DEEP, HUGE, st.just("<html>Bad Gateway</html>"), st.just(""))
    return st.one_of(text.map(str.encode), st.binary(max_size=20), text.map(lambda body: body.encode("utf-16")))


RIGHT = "right"
ANSWERS = st.one_of(st.just(RIGHT), st.sampled_from(("connect", "cut", "late")), st.tuples(STATUS, HEADERS, bodies()))
LINES = st.lists(st.text("가나다 a.😀\u2028\x85", min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=4)


class Script:
    """Sequence of drawn answers, one per request, that counts characters as the service would."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.requests = self.certain = self.possible = 0

    def next(self, characters: int) -> Any:
        answer = self.answers[self.requests] if self.requests < len(self.answers) else RIGHT
        self.requests += 1
        if answer == "connect":
            return answer
        self.possible += characters
        if answer == RIGHT:
            self.certain += characters
        return answer


def assert_kept_its_promises(
    engine: RemoteEngine, script: Script, texts: list[str], limit: int | None, wanted: list[str]
) -> None:
    try:
        translations = engine.translate(texts, "ko", "en")
    except (EngineError, ValueError) as error:
        assert SECRET not in str(error)
        assert len(str(error)) < 1000
        assert isinstance(error, EngineError) or "HTTP 400" in str(error)
    else:
        assert len(translations) == len(texts)
        assert all(isinstance(text, str) for text in translations)
        if all(answer == RIGHT for answer in script.answers[: script.requests]):
            assert translations == wanted
    spent = engine.budget.spent()
    assert script.certain <= spent <= script.possible
    assert limit is None or spent <= limit
    assert script.requests <= ATTEMPTS * (1 + len(texts))


class _Adapter(requests.adapters.BaseAdapter):
    def __init__(self, paid: Paid, script: Script) -> None:
        super().__init__()
        self.paid, self.script = paid, script

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        body = json.loads(request.body)
        answer = self.script.next(len(body["text"]) if "text" in body else sum(map(len, body["contents"])))
        if answer == "connect":
            reason = urllib3.exceptions.NewConnectionError(None, "no route")
            raise requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "", reason))
        if answer == "late":
            raise requests.ReadTimeout
        if answer == "cut":
            raise requests.exceptions.ChunkedEncodingError
        if answer == RIGHT:
            answer = (200, {}, json.dumps(self.paid.answer([text.upper() for text in self.paid.asked(body)])).encode())
        status, headers, content = answer
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.headers.update(headers)
        # Not read in advance, so that the client decodes the content.
        response.raw = urllib3.HTTPResponse(io.BytesIO(content), headers, status, preload_content=False)
        return response

    def close(self) -> None:
        """Close nothing, since nothing is open."""


@pytest.mark.parametrize("name", PAID)
@share(0.15)
@given(st.lists(ANSWERS, max_size=8), LINES, st.none() | st.integers(1, 60))
def test_a_paid_service(name: str, answers: list[Any], texts: list[str], limit: int | None) -> None:
    script, paid = Script(answers), PAID[name]
    engine = paid.engine(endpoint="http://localhost", max_characters=limit)
    engine._session.mount("http://localhost", _Adapter(paid, script))
    if name == "google":  # whose access token comes from elsewhere
        engine._session.headers["Authorization"] = f"Bearer {SECRET}"
    assert_kept_its_promises(engine, script, texts, limit, [text.upper() for text in texts])


_DAY = st.sampled_from(("Wed", "Wed,", "", "Wednesday,"))
_NUMBER = st.integers(-1, 10**20).map(str) | st.sampled_from(
    ("21", "2015", "07:28:00", "07:28", "99:99:99", "1e3", "+0000", "-9999", "GMT", "+99999999", "Oct")
)
DATES = st.builds(lambda day, parts: " ".join((day, *parts)), _DAY, st.lists(_NUMBER, max_size=6))


@share(3)
@given(st.none() | DATES | TEXT | st.integers(0, 10**30).map(str) | st.text("0123456789:+-, GMTOctWed", max_size=30))
def test_any_retry_after_is_a_time_to_wait(value: str | None) -> None:
    assert retry_after(value) >= 0


@share(1.5)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=20),
    st.none() | st.integers(1, 100),
    st.none() | st.floats(0.01, 10),
)
def test_a_budget_is_never_gone_over(steps: list[tuple[bool, int]], characters: int | None, cost: float | None) -> None:
    budget = Budget("any", Price(20_000, "KRW"), max_characters=characters, max_cost=cost)
    spent = 0
    for reserve, size in steps:
        if not reserve:
            budget.give_back(min(size, spent))
            spent -= min(size, spent)
            continue
        try:
            budget.reserve(size)
        except BudgetError:
            assert budget.limit is not None
            assert spent + size > budget.limit
        else:
            spent += size
        assert budget.spent() == spent
        assert characters is None or spent <= characters
        assert cost is None or spent * 20_000 / 1_000_000 <= cost + 1e-9


SPENDING = st.one_of(
    json_text().map(lambda text: text.encode(errors="replace")),
    damaged(st.just(b'{"any": 12, "papago": 3}')),
    DEEP.map(str.encode),
    st.binary(max_size=12),
)


@share(0.2)
@given(SPENDING)
def test_a_file_of_spending_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "spending.json"
    path.write_bytes(content)
    budget = Budget("any", Price(20, "USD"), max_characters=100, path=path)
    try:
        assert budget.spent() >= 0
    except BudgetError as error:
        assert str(path) in str(error)
    else:
        assert json.loads(content).get("any", 0) == budget.spent()


ENTRY = st.tuples(
    st.lists(st.integers(0, 9) | st.sampled_from(("there", "back")), max_size=3),
    st.lists(st.none() | st.text(max_size=5), max_size=4),
)


@share(0.1)
@given(
    st.lists(ENTRY, max_size=4),
    st.none()
    | json_values().map(lambda value: json.dumps(value).encode() + b"\n")
    | json_text().map(lambda text: text.encode(errors="replace") + b"\n")
    | st.binary(max_size=20),
)
def test_a_journal_gives_what_was_added_up_to_the_first_broken_line(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any], broken: bytes | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "journal.jsonl"
    path.unlink(missing_ok=True)
    with _Journal(path) as journal:
        for key, answer in entries:
            journal.add(key, answer)
    if broken is not None:
        with path.open("ab") as file:
            file.write(broken)
    known = {json.dumps(key): answer for key, answer in entries}
    with _Journal(path) as journal:
        for key, answer in entries:
            assert broken is not None or journal.answer(key, len(known[json.dumps(key)])) == known[json.dumps(key)]
            texts = journal.answer(key, len(answer))
            assert texts is None or all(text is None or isinstance(text, str) for text in texts)
        journal.add(["last"], ["물"])
    with _Journal(path) as journal:
        assert journal.answer(["last"], 1) == ["물"]


@share(3)
@given(
    TEXT
    | st.builds(
        "{}://{}{}".format,
        st.sampled_from(("http", "https", "ftp", "")),
        st.sampled_from(("localhost", "[::1]", "[", "a.kr", "u:p@a.kr", "127.0.0.1:x", "")),
        TEXT,
    )
)
def test_an_endpoint_is_encrypted_or_local(endpoint: str) -> None:
    try:
        check_endpoint("any", endpoint)
    except ValueError as error:
        assert "expected endpoint" in str(error)
    else:
        local = ("http://localhost", "http://127.0.0.1", "http://[::1]")
        assert endpoint.lower().lstrip().startswith(("https://", *local))


_OPTIONS = """
    weight model back_model name batch_size num_beams max_new_tokens temperature top_p do_sample dtype price max_cost
    max_characters honorific texts_per_request requests_per_second timeout endpoint project location revision
    characters_per_minute spending self tokenizer threads
"""
OPTION = st.sampled_from(_OPTIONS.split()) | st.just("")
VALUE = st.one_of(
    st.sampled_from(
        (
            *("2", "0", "-1", "1e400", ".inf", ".nan", "0x", "0b", "1_0", "true", "null", "~", "2001-99-99", "1:99"),
            *("[", "[1]", "{a: b}", "&a", "*a", "!!int x", "!!python/object:os.system", "=", "<<", "? a", "", "1e3"),
            *("190:20:30", "!!timestamp x", "!!binary x", "!!float x", "!!bool x"),
        )
    ),
    st.integers(-3, 10**6).map(str),
    st.floats().map(str),
    TEXT.filter(lambda text: "," not in text),
    st.integers(1, 800).map("[".__mul__),  # the parser is slow on more
    HUGE,
)
SPEC = st.one_of(
    TEXT,
    st.builds(
        lambda kind, model, options: ",".join((kind + model, *(f"{name}={value}" for name, value in options))),
        st.sampled_from(("transformers", "papago", "google", "ctranslate2", "bing", "")),
        st.sampled_from((":a/b", ":", "", ":a b")),
        st.lists(st.tuples(OPTION, VALUE), max_size=3),
    ),
)


@share(0.15)
@given(SPEC)
def test_an_engine_is_opened_or_its_specification_refused(spec: str) -> None:
    try:
        engine, weight = open_engine(spec)
    except (ValueError, FileNotFoundError) as error:
        assert str(error)
    else:
        assert 0 < weight < float("inf")
        assert isinstance(engine.name, str)
        assert engine.limits.texts >= 1
        json.dumps(engine.describe())
