from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from transformers import pipeline

import kgloss_hf  # noqa: F401 - registers the pipeline
from kgloss_hf.commands.translate import translate
from kgloss_hf.runtime.glosses import GLOSS_TYPES, UNKNOWN_TYPE

SPACE = Path(__file__).parent.parent / "examples" / "space"
SENTENCE = "이 토기는 4세기에 만들어졌습니다."
HOSTILE = '<script>window.hacked=1</script><img src=x onerror="window.hacked=1">${window.hacked=1}{{this}}\'&amp;'
TYPES = (*GLOSS_TYPES, UNKNOWN_TYPE)
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1100,1500"),
)

LOW_CONTRAST = """
const numbers = (colour) => { const n = colour.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
const luminance = (colour) => {
  const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = numbers(getComputedStyle(element).backgroundColor);
    if (colour[3] > 0.99) return colour;
  }
  return [255, 255, 255, 1];
};
const low = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
  if (!text || !element.checkVisibility() || ["STYLE", "SCRIPT"].includes(element.tagName)) continue;
  const pair = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))];
  if ((Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5) low.push(text);
}
return [document.body.classList.contains("dark"), low];
"""


@pytest.fixture(scope="module")
def space() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kgloss_space", SPACE / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def sequence(glosses: list[str], **keys: Any) -> dict[str, Any]:
    count = len(glosses)
    empty = {"types": [UNKNOWN_TYPE] * count, "alignment": [None] * count, "unresolved": [], "fallback": []}
    return {"generated_text": " ".join(glosses), "glosses": glosses, "score": -1.25, **empty, **keys}


class FakePipeline:
    """Stand-in for the pipeline `text-to-gloss` that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.running = self.most = 0

    def __call__(self, text: str, **options: Any) -> list[dict[str, Any]]:
        self.running += 1
        self.most = max(self.most, self.running)
        time.sleep(0.002)  # lets another thread in
        self.running -= 1
        self.calls.append((text, options))
        if "<" in text:
            return [sequence([HOSTILE], alignment=[[0, len(text)]])] * 5
        if text.startswith("!"):
            raise ValueError(f"expected words, found {text!r}")
        if text == "…":
            return []
        best = sequence(
            ["흙", "그릇", "4C", "ㅌ", "Number"],
            types=["sign_word", "sign_word", "fingerspelled_number", "fingerspelling", "fingerspelled_number"],
            alignment=[[2, 4], [2, 5], [6, 10], [2, 4], None],
            fallback=[3],
            unresolved=[4],
        )
        return [best, *(sequence(["흙"], score=-float(rank)) for rank in range(2, 6))]


def shown(space: ModuleType, best: dict[str, Any], text: str = SENTENCE, language: str = "en") -> str:
    return space.render(space.Answer(text, [best]), language)


def test_pipeline_is_asked_for_all_that_is_shown(space: ModuleType) -> None:
    fake = FakePipeline()
    answer = space.translate(fake, f" {SENTENCE}\n", True)
    options = {"num_return_sequences": 5, "num_beams": 5, "return_types": True, "return_alignment": True}
    assert fake.calls == [(SENTENCE, {**options, "fingerspell": True})]
    page = space.render(answer, "en")
    assert 'aria-label="4C, fingerspelled number, from 4세기에"' in page
    assert re.findall(r"<td>(.*?)</td>", page) == ["-1.25", "-2.00", "-3.00", "-4.00", "-5.00"]
    assert "흙 | 그릇 | 4C | ㅌ* | Number?" in page


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_a_name_besides_its_colour(space: ModuleType, kind: str, language: str) -> None:
    name = space.TYPE_NAMES[language][kind]
    page = shown(space, sequence(["집"], types=[kind]), language=language)
    assert f'aria-label="집, {name}"' in page
    assert f"<small>{name}</small>" in page
    assert f'kg-type-{kind}">{name}<' in space.legend(language)


def test_languages_have_the_same_words(space: ModuleType) -> None:
    assert set(space.WORDS) == set(space.TYPE_NAMES) == set(space.LANGUAGES)
    assert space.WORDS["en"].keys() == space.WORDS["ko"].keys()
    assert all(set(names) == set(TYPES) == set(space.COLOURS) for names in space.TYPE_NAMES.values())


def test_type_that_nobody_knows(space: ModuleType) -> None:
    assert "type unknown" in shown(space, sequence(["집"], types=['"><b>']))


def test_unresolved_and_fallback_say_so(space: ModuleType) -> None:
    page = shown(space, sequence(["Number", "ㅌ"], unresolved=[0], fallback=[1], alignment=[None, [2, 4]]))
    assert 'aria-label="Number, type unknown, no source"' in page
    assert 'aria-label="ㅌ, type unknown, fallback, from 토기"' in page
    assert "kg-unresolved" in page
    assert "<small>? no source</small>" in page
    assert "<small>* fallback</small>" in page


@pytest.mark.parametrize("glosses", [["토기"], []])
def test_words_that_the_model_does_not_know_are_shown(space: ModuleType, glosses: list[str]) -> None:
    best = sequence(glosses, unknown_words=["안녕", "<b>"])
    page = space.render(space.Answer("안녕 <b>", [best], "" if glosses else "none"), "en")
    assert "The model does not know these words, so the glosses may be wrong: 안녕, &lt;b&gt;" in page


def test_sources_that_overlap(space: ModuleType) -> None:
    page = shown(space, sequence(["가", "나", "다"], alignment=[[0, 4], [2, 5], None]), text="이 토기는")
    assert (
        '<span class="kg-source-0">이 </span><span class="kg-source-0 kg-source-1">토기</span>'
        '<span class="kg-source-1">는</span>'
    ) in page


@pytest.mark.parametrize("span", [None, [], [3, 3], [4, 2], [-1, 2], [0, 99]])
def test_source_outside_the_text_is_none(space: ModuleType, span: list[int] | None) -> None:
    page = shown(space, sequence(["집"], alignment=[span]))
    assert "kg-source" not in page
    assert ", from" not in page


@pytest.mark.parametrize("missing", ["types", "alignment", "score", "unresolved", "fallback"])
def test_result_without_an_optional_key(space: ModuleType, missing: str) -> None:
    best = sequence(["집"])
    del best[missing]
    assert 'aria-label="집, type unknown"' in shown(space, best)


def test_all_text_is_escaped(space: ModuleType) -> None:
    for language in space.LANGUAGES:
        page = shown(space, sequence([HOSTILE], alignment=[[0, len(HOSTILE)]]), HOSTILE, language)
        page += space.render(space.Answer("x", problem="failed", reason=HOSTILE), language)
        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page
        assert 'onerror="' not in page
        assert "&#x27;&amp;amp;" in page


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("unseen", ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\x85", "\u2028"])
def test_character_that_would_spoil_the_page_is_shown_as_its_code(
    space: ModuleType, unseen: str, language: str
) -> None:
    text = f"이{unseen}토기"
    page = shown(space, sequence([text], alignment=[[0, 4]]), text, language)
    page += space.render(space.Answer("x", problem="failed", reason=text), language)
    assert unseen not in page
    # sentence, gloss, its label, its source in the label, table, message
    assert page.count(f"이[U+{ord(unseen):04X}]토기") == 6


def test_text_written_to_the_left_keeps_its_surroundings_in_order(space: ModuleType) -> None:
    page = shown(space, sequence(["שלום", "집"], unresolved=[0]))
    assert "<bdi>שלום</bdi>? | 집" in page
    assert '<b lang="ko"><bdi>שלום</bdi></b>' in page


def test_lone_surrogate_does_not_stop_the_answer(space: ModuleType) -> None:
    answer = space.translate(FakePipeline(), "가\ud800나", False)
    assert answer.text == "가\ufffd나"
    space.render(answer, "en").encode()


def test_analyser_that_fails_is_reported(space: ModuleType) -> None:
    def fail(text: str, **options: Any) -> Any:
        raise RuntimeError("Okt failed on a batch (words: 1)")

    assert "cannot translate this text: Okt failed" in space.render(space.translate(fail, SENTENCE, False), "en")


@pytest.mark.parametrize(
    ("text", "problem", "message"),
    [
        ("", "empty", "Enter a Korean sentence first."),
        (" \n", "empty", "Enter a Korean sentence first."),
        ("가" * 501, "too_long", "The text has 501 characters; at most 500 can be translated."),
        ("!", "failed", "The model cannot translate this text: expected words, found"),
        ("…", "none", "No glosses"),
    ],
)
def test_messages(space: ModuleType, text: str, problem: str, message: str) -> None:
    fake = FakePipeline()
    answer = space.translate(fake, text, False)
    assert answer.problem == problem
    assert message in space.render(answer, "en")
    assert space.render(answer, "ko") != space.render(answer, "en")
    assert len(fake.calls) == (problem in ("failed", "none"))
    assert len(answer.text) <= space.LIMIT  # the text is kept for each visitor


def test_no_glosses_are_no_answer(space: ModuleType) -> None:
    assert space.translate(lambda text, **options: [sequence([])] * 5, "음", False).problem == "none"
    assert space.render(None, "en") == ""


def test_longest_text(space: ModuleType) -> None:
    assert space.translate(FakePipeline(), "가" * 500, False).problem == ""


@pytest.mark.parametrize("fingerspell", [False, True])
def test_pipeline_answers_what_is_shown(space: ModuleType, checkpoint: str, fingerspell: bool) -> None:
    answer = space.translate(pipeline("text-to-gloss", model=checkpoint), SENTENCE, fingerspell)
    assert answer.problem == ""
    assert len(answer.sequences) == space.SEQUENCES
    best = answer.sequences[0]
    assert set(best) >= {"glosses", "types", "alignment", "score", "unresolved"}
    shown = space.render(answer, "en")
    assert shown.count('class="kg-chip ') == len(best["glosses"])
    assert shown.count("kg-source-") >= sum(span is not None for span in best["alignment"])


def test_model_is_loaded(space: ModuleType, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(sys, "argv", ["app.py", checkpoint])
    monkeypatch.setattr(space, "build", lambda text_to_gloss: text_to_gloss)
    monkeypatch.setattr(space, "launch", served.append)
    space.main()
    assert served[0](SENTENCE) == pipeline("text-to-gloss", model=checkpoint)(SENTENCE)


def test_address_is_taken_from_the_command_line(
    space: ModuleType, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    monkeypatch.setattr(sys, "argv", ["app.py", checkpoint, "--host", "127.0.0.2", "--port", "8080"])
    monkeypatch.setattr(space, "build", lambda text_to_gloss: text_to_gloss)
    monkeypatch.setattr(space, "launch", lambda app, **options: served.append(options))
    space.main()
    assert served == [{"server_name": "127.0.0.2", "server_port": 8080}]


@pytest.mark.parametrize("words", [["no/such/folder"], ["MODEL", "--port", "x"], ["--help"]])
def test_ends_without_a_traceback(space: ModuleType, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", *words])
    with pytest.raises(SystemExit):
        space.main()


def test_records_are_those_of_the_command(space: ModuleType, checkpoint: str) -> None:
    text_to_gloss = pipeline("text-to-gloss", model=checkpoint)
    output = StringIO()
    translate(checkpoint, [SENTENCE], format="jsonl", types=True, n_best=2, output=output)
    assert space.record(text_to_gloss, SENTENCE, 2, return_types=True) == json.loads(output.getvalue())
    assert space.record(text_to_gloss, " ") == {"text": " ", **text_to_gloss(" ")}


@pytest.mark.parametrize(("text", "n_best", "message"), [("가" * 501, None, "501 characters"), ("가", 21, "1 to 20")])
def test_record_that_is_refused(space: ModuleType, text: str, n_best: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space.record(FakePipeline(), text, n_best)


def test_model_is_needed(space: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.delenv("KGLOSS_MODEL", raising=False)
    with pytest.raises(SystemExit, match="expected a model, found none"):
        space.main()


def test_card() -> None:
    card = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert card["sdk"] == "gradio"
    assert (SPACE / card["app_file"]).is_file()
    assert len(card["short_description"]) <= 60


@pytest.fixture
def fake() -> FakePipeline:
    return FakePipeline()


@pytest.fixture
def url(space: ModuleType, fake: FakePipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_RUN_HISTORY", "False")
    # Gradio calls its own server and selenium its driver; neither may go through a proxy.
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "localhost,127.0.0.1")
    pytest.importorskip("gradio", minversion="6.17", reason="the demo needs Gradio 6.17 or later")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = space.build(fake)
    try:
        space.launch(app, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        app.close(verbose=False)


def test_it_is_a_tool_for_assistants(url: str, fake: FakePipeline) -> None:
    """Call the demo through the client of the Model Context Protocol."""
    mcp = pytest.importorskip("mcp", reason="gradio[mcp] is not installed")
    from mcp.client.streamable_http import streamable_http_client

    async def asked() -> tuple[Any, Any]:
        async with (
            streamable_http_client(f"{url}gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            (tool,) = (await session.list_tools()).tools
            return tool, await session.call_tool(tool.name, {"text": SENTENCE, "types": True})

    tool, called = asyncio.run(asked())
    assert tool.name == "korean_to_glosses"
    assert "not signed language" in tool.description
    assert {*tool.inputSchema["properties"]} == {"text", "n_best", "types", "alignment", "fingerspell"}
    assert "at most 500 characters" in tool.inputSchema["properties"]["text"]["description"]
    assert not called.isError
    record = ast.literal_eval(called.content[0].text)  # as Gradio writes it
    assert record["text"] == SENTENCE
    assert record["candidates"][0]["glosses"] == fake(SENTENCE)[0]["glosses"]


def test_limits_hold_at_the_server(url: str) -> None:
    """Check that requests made without the page cannot exceed its limits."""
    import httpx

    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        events = client.get("config").json()["dependencies"]
        number = next(event["id"] for event in events if len(event["inputs"]) == 3)

        def ask(*data: Any) -> str:
            asked = {"data": data, "fn_index": number, "session_hash": "test"}
            client.post("gradio_api/queue/join", json=asked).raise_for_status()
            return client.get("gradio_api/queue/data", params={"session_hash": "test"}).text

        assert "Number of glosses: 5" in ask(SENTENCE, False, "en")
        assert "The text has 501 characters; at most 500 can be translated." in ask("가" * 501, False, "en")
        assert "is not in the list of choices" in ask(SENTENCE, False, '"><script>')
        assert client.post("gradio_api/upload", files={"files": ("a.txt", b"x")}).status_code == 413
        for path in ("app.py", "/etc/passwd", "..%2F..%2Fetc%2Fpasswd", str(SPACE / "app.py")):
            assert client.get(f"gradio_api/file={path}").status_code == 403


def test_programs_ask_by_name(url: str, fake: FakePipeline) -> None:
    import httpx

    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:

        def ask(*data: Any) -> str:
            event = client.post("gradio_api/call/translate", json={"data": data}).raise_for_status().json()["event_id"]
            return client.get(f"gradio_api/call/translate/{event}").text

        endpoint = client.get("gradio_api/info").json()["named_endpoints"]
        assert [*endpoint] == ["/translate"]
        names = [one["parameter_name"] for one in endpoint["/translate"]["parameters"]]
        assert names == ["text", "n_best", "types", "alignment", "fingerspell"]
        answer = ask(SENTENCE, 5, True, False, False)
        [record] = json.loads(answer.partition("data: ")[2])
        assert (record["text"], record["candidates"][0]["glosses"][0]) == (SENTENCE, "흙")
        assert fake.calls[-1][1]["num_return_sequences"] == 5
        assert "The text has 501 characters" in ask("가" * 501, None, False, False, False)


def test_each_of_many_visitors_gets_its_own_answer(url: str, fake: FakePipeline) -> None:
    import httpx

    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        events = [event for event in client.get("config").json()["dependencies"] if len(event["inputs"]) == 3]

        def ask(number: int) -> str:
            event = events[number % len(events)]  # of the field, or of an example
            asked = {
                "data": [f"제 {number}번 토기입니다", False, "en"],
                "fn_index": event["id"],
                "session_hash": f"visitor{number}",
            }
            client.post("gradio_api/queue/join", json=asked).raise_for_status()
            return client.get("gradio_api/queue/data", params={"session_hash": f"visitor{number}"}).text

        with ThreadPoolExecutor(24) as visitors:
            answers = dict(zip(range(10, 100), visitors.map(ask, range(10, 100)), strict=True))
    assert len(events) == 1 + 3
    for number, answer in answers.items():
        assert answer.count(rf"from {number}\"") == 2, answer  # two glosses have that source
    assert fake.most == 1


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def test_in_a_browser(browser: Any, url: str, tmp_path: Path) -> None:
    from PIL import Image
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    def find(css: str) -> Any:
        return browser.find_element(By.CSS_SELECTOR, css)

    def wait(condition: Any) -> Any:
        return WebDriverWait(browser, 20, ignored_exceptions=()).until(lambda _: condition())

    def texts(css: str) -> list[str]:
        read = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)"
        return browser.execute_script(read, css)

    def submit(text: str) -> None:
        field = find("#text textarea")
        field.click()
        ActionChains(browser).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).perform()
        field.send_keys(text + Keys.ENTER)

    yellow = "rgba(253, 224, 71, 1)"

    browser.get(url + "?__theme=light")
    wait(lambda: texts("#text textarea"))
    submit(SENTENCE)
    wait(lambda: texts(".kg-chips li b") == ["흙", "그릇", "4C", "ㅌ", "Number"])
    assert texts(".kg-chips li")[2:] == [
        "4C\nfingerspelled number",
        "ㅌ\nfingerspelling\n* fallback",
        "Number\nfingerspelled number\n? no source",
    ]
    assert find(".kg-chip-2").get_attribute("aria-label") == "4C, fingerspelled number, from 4세기에"

    # From the sentence to the third chip, using only the Tab key.
    source = find(".kg-source-2")
    assert source.text == "4세기에"
    assert source.value_of_css_property("background-color") != yellow
    for _ in range(20):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if "kg-chip-2" in (browser.switch_to.active_element.get_attribute("class") or ""):
            break
    assert browser.switch_to.active_element == find(".kg-chip-2")
    wait(lambda: source.value_of_css_property("background-color") == yellow)
    assert find(".kg-source-0").value_of_css_property("background-color") != yellow
    ActionChains(browser).move_to_element(find(".kg-chip-0")).perform()
    wait(lambda: find(".kg-source-0").value_of_css_property("background-color") == yellow)

    picture = browser.get_screenshot_as_png()
    (tmp_path / "space.png").write_bytes(picture)
    with Image.open(BytesIO(picture)) as image:
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 10
    assert browser.execute_script(LOW_CONTRAST) == [False, []]

    # Each radio button of Gradio is a Tab stop.
    find("#language input:checked").send_keys(Keys.TAB)
    ActionChains(browser).send_keys(Keys.SPACE).perform()
    wait(lambda: texts("#translate") == ["번역하기"])
    wait(lambda: find(".kg-chip-2").get_attribute("aria-label") == "4C, 지숫자, 원문: 4세기에")
    assert texts(".kg h1") == ["한국어–한국수어 글로스 번역"]
    assert "500자" in find("#text").text
    assert browser.execute_script("return document.documentElement.lang") == "ko"

    browser.get(url + "?__theme=dark")
    wait(lambda: texts("#text textarea"))
    find(".kg-example").send_keys(Keys.ENTER)
    wait(lambda: texts(".kg-sentence"))
    assert browser.execute_script(LOW_CONTRAST) == [True, []]

    submit("!" + HOSTILE.replace("<", ""))
    wait(lambda: texts("#answer [role=alert]"))
    assert "The model cannot translate this text: expected words" in find("#answer").text
    submit(HOSTILE)
    wait(lambda: texts(".kg-chips li b") == [HOSTILE])
    assert texts(".kg-sentence") == [HOSTILE]
    assert browser.execute_script("return typeof window.hacked") == "undefined"
    assert browser.execute_script("return document.querySelectorAll('#answer img, #answer script').length") == 0

    # On a phone, the answer is visible without scrolling.
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(url + "?__theme=light")
    wait(lambda: texts("#text textarea"))
    submit(SENTENCE)
    wait(lambda: texts(".kg-chips li b") == ["흙", "그릇", "4C", "ㅌ", "Number"])
    where = "return [scrollY, document.querySelector('.kg-chips').getBoundingClientRect().bottom]"
    top, bottom = browser.execute_script(where)
    assert (top, bottom < 844) == (0, True), bottom
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390

    # The clipboard holds the glosses.
    browser.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    find("#copy").click()
    wait(lambda: find("#copy").get_attribute("data-copied") is not None)
    assert browser.execute_script("return navigator.clipboard.readText()") == "흙 그릇 4C ㅌ Number"
    find("#json button").click()
    wait(lambda: "candidates" in find("#json").text)
    assert browser.execute_script(LOW_CONTRAST) == [False, []]

    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    assert [link for link in asked if link.startswith(("http:", "ws")) and not link.startswith(url)] == []
    assert [link for link in asked if link.startswith(("https:", "wss:"))] == []
