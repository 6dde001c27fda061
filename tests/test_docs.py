"""The documentation: its commands and snippets run, and what it names exists.

A page is carried out from top to bottom in a folder of its own. Blocks of `sh` are given to bash, with stand-ins for
the programs that `command_server.py` lists; those of `python` are scripts, those of `pycon` doctests; a block whose
fence names a file is written to it, for the commands below. Anything else but `text` is an error.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from kgloss_hf.models.presets import PRESETS, Preset
from kgloss_hf.training.table5 import _OPTIMISERS
from tests.back_translation.conftest import save_m2m100, sentencepiece_model
from tests.back_translation.servers import serve
from tests.back_translation.stand_ins import WordSwapper
from tests.command_server import STAND_INS, Forks
from tests.dataset_scripts.test_gksl import AUGMENTED, MANY, NAMES
from tests.local_hub import LocalHub
from tests.pretrained import save_pretrained_model

ROOT = Path(__file__).parent.parent
RECIPE = (ROOT / "docs" / "recipe.md").read_text("utf-8")
PAGES = [
    *("README.md", "CONTRIBUTING.md", "RELEASE.md"),
    *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/*.md"))),
    *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("*_scripts/*/README.md"))),
]

# Pages in Korean with their English originals, whose blocks are the same and are run.
TRANSLATIONS = {
    "README.ko.md": "README.md",
    **{f"docs/ko/{name}.md": f"docs/{name}.md" for name in ("tutorial", "deployment", "data", "troubleshooting")},
}
FIGURES = ["RESULTS.md", *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/results/*.md")))]

# What FOLDER is on pages that have but one.
FOLDERS = {
    "dataset_scripts/gksl/README.md": "GKSL",
    "dataset_scripts/ko_backtranslation/README.md": "CORPORA",
    "dataset_scripts/mcksg/README.md": "MY_CORPUS",
}

# Blocks that are not run, by how they begin, and where what they say is tested.
NOT_RUN = {
    ("docs/deployment.md", "kgloss serve"): "runs until it is told to end: tests/commands/test_serving.py",
    ("docs/deployment.md", "curl "): "asks the service: tests/commands/test_serving.py",
    ("RELEASE.md", "python3 -m venv stranger"): "makes environments: tests/hub/test_publishing.py, make test-all",
}


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    file: str
    content: str


def _tokens(page: str) -> list[Token]:
    text = (ROOT / page).read_text("utf-8")
    if text.startswith("---\n"):  # the head of a card
        end = text.index("\n---\n", 4) + 5
        text = "\n" * text.count("\n", 0, end) + text[end:]
    return MarkdownIt().enable("table").parse(text)


def _blocks(page: str) -> list[Block]:
    blocks = []
    for token in _tokens(page):
        if token.type == "fence":
            assert token.map is not None
            language, _, file = token.info.partition(" ")
            blocks.append(Block(page, token.map[0] + 1, language, file, token.content))
        assert token.type != "code_block", f"{page}: expected a fence that says the language: {token.content}"
    return blocks


def _children(page: str, kind: str) -> Iterator[Token]:
    for token in _tokens(page):
        yield from (child for child in token.children or () if child.type == kind)


class Shell(NamedTuple):
    """Runs programs with the stand-ins, in an environment with a Hub of its own."""

    environment: dict[str, str]
    hub: LocalHub
    demo: Path
    translator: Path
    encoder: Path

    def run(self, *command: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def shell(shared_hub: LocalHub, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    save_m2m100(folder / "m2m100", sentencepiece_model())
    engine = WordSwapper()

    def translate(body: Any) -> dict[str, Any]:
        texts = engine.translate(body["contents"], body["sourceLanguageCode"], body["targetLanguageCode"])
        return {"translations": [{"translatedText": text} for text in texts]}

    with serve(translate) as google:
        environment = {
            **shared_hub.environment(folder / "home", shared_hub.other_token),
            "HOME": str(folder / "home"),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "KGLOSS_TEST_GOOGLE": google.url,
            "PATH": f"{forks.programs}{os.pathsep}/usr/bin{os.pathsep}/bin",
        }
        (folder / "home").mkdir()
        save_pretrained_model("bert", folder / "encoder", num_hidden_layers=12)
        shell = Shell(environment, shared_hub, folder / "outputs" / "demo", folder / "m2m100", folder / "encoder")
        (folder / "examples").symlink_to(ROOT / "examples")
        done = shell.run("python", "examples/run_text2gloss.py", "examples/demo.yaml", folder=folder)
        assert done.returncode == 0, done.stdout[-3000:]
        yield shell


@pytest.fixture
def folder(tmp_path: Path, shell: Shell) -> Path:
    """Make a folder with what a reader has: the repository's folders, the demo's model and corpora, with an account."""
    for name in ("examples", "dataset_scripts", "metric_scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(shell.demo, tmp_path / "outputs" / "demo")
    (tmp_path / "OUTPUT_DIR").symlink_to(tmp_path / "outputs" / "demo")
    for name in ("outputs/seed0", "outputs/seed1", "NAMESPACE/ONE", "NAMESPACE/TWO"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        demo = tmp_path / "outputs" / "demo"
        (tmp_path / name).symlink_to(demo / "model" if name.startswith("NAMESPACE") else demo)
    corpora = {
        "GKSL/" + NAMES["original"]: "\ufeff" + MANY,
        "GKSL/" + NAMES["augmented"]: "\ufeff" + AUGMENTED,
        "MY_CORPUS/pairs.csv": "문장,글로스\n" + "".join(f"{n}층에 있습니다.,Number/{n} 층 있다\n" for n in range(20)),
        "CORPORA/parakqc/paraKQC_v1.txt": "\r\n".join(
            f"0\t1\t{place}에 가려면 {way} 버스를 타야 합니까"
            for place in "집산강들섬숲"
            for way in "가나다라마바사아자차"
        ),
        "CORPORA/shards/0.jsonl": "".join(
            f'{{"source": "{n}층입니다.", "target": "{n}층이에요.", "origin": "kornli", "engine": "test"}}\n'
            for n in range(20)
        ),
    }
    for name, content in corpora.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content.encode())
    shell.hub.clear()
    shell.hub.create("model", "facebook/m2m100_418M")
    files = {path.name: path.read_bytes() for path in shell.translator.iterdir()}
    shell.hub.commit("model", "facebook/m2m100_418M", files)
    shell.hub.create("model", "intfloat/multilingual-e5-small")
    files = {path.name: path.read_bytes() for path in shell.encoder.iterdir()}
    shell.hub.commit("model", "intfloat/multilingual-e5-small", files)
    return tmp_path


def _run(block: Block, shell: Shell, folder: Path) -> None:
    snippet = folder / f"line_{block.line}.txt"
    if block.file:
        assert Path(block.file).suffix[1:] in (block.language, "txt"), block
        (folder / block.file).write_text(block.content, "utf-8")
        return
    if block.language == "text":
        first_words = {line.split()[0].strip("$>") for line in block.content.splitlines() if line.strip()}
        assert first_words.isdisjoint({*STAND_INS, "git", "import", "from"}), f"{block}: expected to be run"
        return
    snippet.write_text(block.content, "utf-8")
    commands = {
        "sh": ("bash", "-euo", "pipefail", str(snippet)),
        "python": ("python", str(snippet)),
        "pycon": ("python", "-m", "doctest", str(snippet)),
    }
    assert block.language in commands, f"{block}: expected sh, python, pycon, text, or a file's name"
    done = shell.run(*commands[block.language], folder=folder)
    assert done.returncode == 0, f"{block.page}:{block.line}\n{block.content}\n{done.stdout[-4000:]}"


# Pages that take more than a few seconds to carry out.
SLOW = {
    "RELEASE.md",
    *(f"docs/{name}.md" for name in ("data", "deployment", "okt", "pretext", "publishing", "scaling", "tutorial")),
}


@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.slow] * (page in SLOW)) for page in PAGES])
def test_commands_and_snippets(page: str, shell: Shell, folder: Path) -> None:
    if page in FOLDERS:
        (folder / "FOLDER").symlink_to(folder / FOLDERS[page])
    for block in _blocks(page):
        if not any(block.content.startswith(begin) for name, begin in NOT_RUN if name == page):
            _run(block, shell, folder)


def test_what_is_not_run_is_there() -> None:
    for page, begin in NOT_RUN:
        assert any(block.content.startswith(begin) for block in _blocks(page))


@pytest.fixture(scope="module")
def options_of(shell: Shell) -> dict[str, set[str]]:
    """Return the options of each command, as its help names them."""
    commands = [f"python examples/{path.name}" for path in (ROOT / "examples").glob("*.py")]
    names = re.findall(r"^    ([a-z][\w-]+)(?: |$)", shell.run("kgloss", "--help", folder=ROOT).stdout, re.MULTILINE)
    assert len(names) > 10
    commands += [f"kgloss {name}" for name in names]
    options = {}
    for command in [*commands, "accelerate launch", "torchrun"]:
        done = shell.run(*command.split(), "--help", folder=ROOT)
        assert done.returncode == 0, done.stdout
        if "--help-all" in done.stdout:
            done = shell.run(*command.split(), "--help-all", folder=ROOT)
        options[command] = set(map(_underscored, re.findall(r"--[a-zA-Z][\w-]*", done.stdout)))
    return options


def _underscored(option: str) -> str:
    """Return an option in that of its two spellings that is compared."""
    return "--" + option[2:].replace("-", "_")


# Programs whose options are not looked at.
OTHERS = {"docker", "pip", "pip-audit", "git", ".venv/bin/pytest", "python3"}


@pytest.mark.parametrize("page", [*PAGES, *TRANSLATIONS])
def test_what_the_prose_names(page: str, options_of: dict[str, set[str]]) -> None:
    known = {"--help_all"}.union(*options_of.values())
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "kgloss_hf").rglob("*.py"))
    sources += (ROOT / "conftest.py").read_text("utf-8") + (ROOT / "tests/faults/test_commands.py").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for span in _children(page, "code_inline"):
        words = span.content.split()
        command = max((name for name in options_of if f"{span.content} ".startswith(f"{name} ")), key=len, default=None)
        named = {_underscored(word.partition("=")[0]) for word in words if re.match("--[a-z]", word)}
        if words[0] not in OTHERS and not words[0].startswith("KGLOSS_"):
            assert named <= (options_of[command] if command else known), f"{page}: {span.content}"
        if words[0] == "kgloss":
            assert command or len(words) == 1 or words[1] in ("…", "--help"), f"{page}: {span.content}"
        if words[0] == "make":
            assert set(words[1:]) <= targets, f"{page}: {span.content}"
        for variable in re.findall(r"\bKGLOSS_[A-Z_]+", span.content):
            assert variable in sources, f"{page}: {variable}"
        if re.fullmatch(r"kgloss_hf(\.\w+)+(\(.*\))?", span.content):
            assert _importable(span.content.partition("(")[0]), f"{page}: {span.content}"


# Messages of other libraries in the troubleshooting's tables.
FOREIGN = (
    "Dataset 'mcksg' doesn't exist on the Hub",
    "Unknown task text-to-gloss",
    "OutOfMemoryError",
    "restricted method",
)


@pytest.mark.parametrize("page", ["docs/troubleshooting.md", "docs/ko/troubleshooting.md"])
def test_messages_of_the_troubleshooting_are_ours(page: str) -> None:
    lines = (path.read_text("utf-8") for path in (ROOT / "kgloss_hf").rglob("*.py"))
    # What stands in several literals, one after another, is one message.
    sources = re.sub(r'"\s*\n\s*f?"', "", "".join(lines))
    rows = re.findall(r"^\| (.+?) \|", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    spans = [span for row in rows for span in re.findall("`([^`]{9,})`", row)]
    assert len(spans) > 12
    for span in spans:
        for part in span.split("…"):
            part = part.strip(" ()")
            assert not part or part in sources or span in FOREIGN or span.isupper(), span


def _importable(name: str) -> bool:
    """Return whether a dotted name can be imported."""
    module, _, attribute = name.rpartition(".")
    if importlib.util.find_spec(module) and hasattr(importlib.import_module(module), attribute):
        return True
    return importlib.util.find_spec(name) is not None


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    tokens = MarkdownIt().parse(page.read_text("utf-8"))
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *TRANSLATIONS, *FIGURES, "CHANGELOG.md", "SECURITY.md"])
def test_links(page: str) -> None:
    for link in _children(page, "link_open"):
        target = str(link.attrs["href"])
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        assert not anchor or anchor in _anchors(file), f"{page}: {target}, expected one of {_anchors(file)}"


def test_options_of_the_recipe_are_there(options_of: dict[str, set[str]]) -> None:
    named = set(re.findall(r"--[a-z_0-9]+", RECIPE))
    assert len(named) > 10
    assert named <= set().union(*(options for command, options in options_of.items() if "examples/" in command))


def test_the_papers_optimiser_is_what_table_5_takes() -> None:
    given = re.search("`(--optim [^`]+)`", RECIPE)
    assert given is not None
    words = given[1].split()
    stated = dict(zip(words[::2], words[1::2], strict=True))
    expected = {f"--{name}": value for name, value in _OPTIMISERS["paper"].items() if f"--{name}" in stated}
    assert stated.keys() == expected.keys()
    assert all(str(value) == stated[name] or float(value) == float(stated[name]) for name, value in expected.items())


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if isinstance(preset, Preset)])
def test_shapes_of_the_recipe(name: str) -> None:
    preset = PRESETS[name]
    assert isinstance(preset, Preset)
    shape = [preset.num_hidden_layers, preset.hidden_size, preset.num_attention_heads, preset.intermediate_size]
    row = " | ".join(f"{number:,}" for number in (*shape, preset.num_beams))
    assert f"| `{name}` | {row} |" in RECIPE


def _shape(page: str) -> list[str]:
    """Return what two languages have in common: levels of headings, tables by their cells, lists and blocks."""
    kinds = {"heading_open", "th_open", "tr_open", "td_open", "bullet_list_open", "ordered_list_open", "fence"}
    return [token.type + token.tag for token in _tokens(page) if token.type in kinds]


def _code(page: str) -> list[tuple[str, str, str]]:
    """Return the blocks of a page that are run or written to files, without comments, which are translated."""
    return [
        (block.language, block.file, re.sub(r"(?m)(?:^|\s+)#.*$", "", block.content))
        for block in _blocks(page)
        if block.language != "text"
    ]


@pytest.mark.parametrize(("page", "original"), TRANSLATIONS.items())
def test_neither_language_lacks_a_section(page: str, original: str) -> None:
    assert _shape(page) == _shape(original)
    assert len(_shape(page)) > 10
    assert _code(page) == _code(original)


def test_every_page_in_korean_is_a_translation() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.ko.md"), *ROOT.glob("docs/ko/**/*.md")]}
    assert pages == TRANSLATIONS.keys()
