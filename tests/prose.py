"""Check the project's prose against those rules of its style that a program can check.

    python tests/prose.py            # everything, as `make quality` does
    python tests/prose.py PATH ...   # some files or folders

Docstrings, comments and messages of Python files are checked, and the text of Markdown files; code in them is not. Each
problem is printed with its place and with what to write instead. The exit status is 1 if there is any.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
CHECKED = ("kgloss_hf", "dataset_scripts", "metric_scripts", "model_cards", "examples", "benchmarks", "tests", "docs")

_COUNTED = (
    "(?:answers|characters|cues|entries|epochs|files|folders|glosses|groups|lines|models|options|pages|pairs|parts"
    "|placeholders|requests|reviewers|rows|runs|seeds|sentences|signs|splits|steps|texts|tokens|words)"
)
_PER_UNIT = "(?:characters|epochs|glosses|pairs|requests|rows|sentences|texts|tokens|words)"  # nouns that are no verbs
_UNIT = "(?:batch|call|day|file|hour|line|machine|minute|month|process|request|second|sentence|step|text|word|worker)"

PHRASES = {
    r"the one of": "name the thing again",
    r"of which": "start a new sentence",
    r"(?:is|are|was|were) there(?=[.,;:)]|$| (?:already|and|but|for|if|in|or|too|when|where)\b)": "exists; there is",
    r"as it is": "unchanged or the same",
    r"so many": "up to N or N",
    r"(?:is|are|was|were|be) said": "is reported or is printed",
    r"beside": "besides, alongside or next to",
    r"(?:nothing|none|no one|any|everything) but": "only or except",
    r"whoever": "name the person",
    r"strangers?": "without this package or untrusted",
    r"be had": "be available",
    rf"(?:bytes|[GM]i?B|seconds|minutes|hours|{_PER_UNIT}) a {_UNIT}": "per, not a",
    rf"(?<![\d.,–]|-)1 {_COUNTED}": "1 takes a singular",
}
"""Phrases that may not come back, with what to write instead."""

_PHRASES = {  # a phrase may run over the end of a line, of a comment too
    re.compile(rf"(?<!\w){phrase}(?!\w)".replace(" ", r"[\s#]+"), re.IGNORECASE): advice
    for phrase, advice in PHRASES.items()
}
_HEADLESS = {"what", "whether", "which", "who", "where", "when", "how", "those", "these"}
_NO_VERB = _HEADLESS | {"the", "a", "an", "one", "each", "every", "all", "any", "no", "nothing"}
_PLURAL_AFTER_NUMBER = re.compile(rf" (?:[a-z-]+ )?{_COUNTED}\b")
_CODE = re.compile(r"``[^`]*``|`[^`]*`")


class Problem(NamedTuple):
    """A place to rewrite."""

    path: Path
    line: int
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.advice}"


def problems(path: Path) -> Iterator[Problem]:
    """Yield what is wrong with a Python or Markdown file.

    Args:
        path: The file; its name decides.
    """
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        places = {*_of_docstrings(text), *_of_comments(text)}
        if "tests" not in path.parts:  # whose strings are mostly data
            places |= {*_of_messages(text)}
    else:
        places = {*_of_markdown(text)}
    yield from (Problem(path, line, advice) for line, advice in sorted(places))


def _of_text(text: str, first_line: int) -> Iterator[tuple[int, str]]:
    text = _CODE.sub(lambda code: re.sub(r"[^\n]", "_", code[0]), text)
    for pattern, advice in _PHRASES.items():
        for match in pattern.finditer(text):
            phrase = " ".join(match[0].replace("#", " ").split())
            yield first_line + text.count("\n", 0, match.start()), f"{phrase!r}: {advice}"


def _of_docstrings(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        docstring = ast.get_docstring(node, clean=False)
        if docstring is None:
            continue
        line = node.body[0].lineno
        yield from _of_text(re.sub(r"(?m)^ *(?:>>>|\.\.\.) .*$", "", docstring), line)
        word = docstring.split(maxsplit=1)[0].lower() if docstring.strip() else ""
        is_function = not isinstance(node, (ast.Module, ast.ClassDef))
        if is_function and not _is_property(node) and word in _NO_VERB:
            yield line, f"a docstring of a function that begins with {word!r}: begin with a verb"
        elif word in _HEADLESS:
            yield line, f"a docstring that begins with {word!r}: begin with a noun or a verb"


def _is_property(node: ast.AST) -> bool:
    names = {ast.unparse(decorator).split(".")[-1] for decorator in getattr(node, "decorator_list", ())}
    return any(name == "property" or name.endswith("_property") for name in names)


def _of_messages(text: str) -> Iterator[tuple[int, str]]:
    """Yield problems of strings that are not docstrings."""
    tree = ast.parse(text)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield from _of_text(node.value, node.lineno)
        if isinstance(node, ast.JoinedStr):
            for value, after in pairwise(node.values):
                plural = isinstance(after, ast.Constant) and _PLURAL_AFTER_NUMBER.match(str(after.value))
                if plural and _is_length(value):
                    yield node.lineno, f"a number that may be 1 before{plural[0]}: use reporting.counted"


def _is_length(value: ast.expr) -> bool:
    return isinstance(value, ast.FormattedValue) and ast.unparse(value.value).startswith("len(")


def _of_comments(text: str) -> Iterator[tuple[int, str]]:
    block: list[str] = []
    first = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if not block or token.start[0] != first + len(block):
                yield from _of_text("\n".join(block), first)
                block, first = [], token.start[0]
            block.append(token.string)
    yield from _of_text("\n".join(block), first)


def _of_markdown(text: str) -> Iterator[tuple[int, str]]:
    # The head of a card is YAML; its lines stay, empty, so that those below keep their numbers.
    text = re.sub(r"\A---\n.*?\n---\n", lambda head: "\n" * head[0].count("\n"), text, flags=re.DOTALL)
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "inline" and token.map:
            yield from _of_text(token.content, token.map[0] + 1)


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the Python and Markdown files among paths and in the folders among them.

    Args:
        paths: Files and folders.
    """
    for path in paths:
        if path.is_file():
            yield path
        else:
            yield from (file for file in sorted(path.rglob("*")) if file.suffix in (".py", ".md") and file.is_file())


def main(arguments: list[str]) -> int:
    """Print the problems of files.

    Args:
        arguments: Files and folders (default: the project's).

    Returns:
        The exit status.
    """
    everything = [*map(ROOT.joinpath, CHECKED), *sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*.py"))]
    count = 0
    for path in files(map(Path, arguments) if arguments else everything):
        if path.resolve() == Path(__file__):
            continue
        for problem in problems(path):
            print(problem)
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
