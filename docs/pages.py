"""Assemble the pages of the documentation's site from the Markdown files of the repository and from its docstrings.

    python docs/pages.py FOLDER   # what `make docs` runs before Zensical builds the site

Pages keep their text. Links between them are rewritten for their place in the site, and links to other files of the
repository lead to its address, which setup.cfg states.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent

_AT_TOP = {
    "README.md": "index.md",
    "README.ko.md": "ko/index.md",
    "RESULTS.md": "results/index.md",
    **{f"{name}.md": f"{name.lower()}.md" for name in ("CHANGELOG", "CONTRIBUTING", "RELEASE", "SECURITY")},
}
_FENCE = re.compile(r"^( *```\w*)(?: (\S+))?$")
_LINK = re.compile(r"""(?:(?<=\]\()|(?<=src="))(?![a-z]+:|#)([^()\s#"]+)""")


def pages() -> dict[str, str]:
    """Return the place in the site of each Markdown file and picture, both as paths from their roots.

    Examples:
        >>> pages()["docs/tutorial.md"], pages()["RESULTS.md"]
        ('tutorial.md', 'results/index.md')
    """
    paths = sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".png"))
    files = [path.relative_to(ROOT / "docs").as_posix() for path in paths]
    return _AT_TOP | {f"docs/{file}": file for file in files}


def _in_site(text: str, name: str, places: dict[str, str], address: str) -> str:
    """Return a page with its links as they are in the site."""

    def target(link: re.Match[str]) -> str:
        path = os.path.normpath(PurePosixPath(name).parent / link[1])
        if path in places:
            return os.path.relpath(places[path], PurePosixPath(places[name]).parent)
        return f"{address}/blob/main/{path}"

    fenced = False
    lines = []
    for line in text.splitlines(keepends=True):
        if fence := _FENCE.match(line):
            fenced = not fenced
            # A block that is a file has its name in the fence, which is how the site has titles.
            line = f'{fence[1]} title="{fence[2]}"\n' if fence[2] else line
        lines.append(line if fenced else _LINK.sub(target, line))
    return "".join(lines)


def _reference() -> Iterator[tuple[str, str]]:
    """Yield the pages of the API reference: one for the package's own names, and one for each of its folders."""
    package = ROOT / "kgloss_hf"
    yield "index.md", "# kgloss_hf\n\n::: kgloss_hf\n    options: {show_root_heading: false}\n"
    for folder in sorted({path.parent for path in package.rglob("*.py")}):
        modules = [
            ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for path in sorted(folder.glob("*.py"))
            if not path.name.startswith("__")
        ]
        name = ".".join(folder.relative_to(ROOT).parts)
        title = "Modules of kgloss_hf" if folder == package else name
        text = "".join(f"::: {module}\n\n" for module in modules)
        yield f"{'modules' if folder == package else name}.md", f"# {title}\n\n{text}"


def main(folder: str) -> None:
    """Write the pages.

    Args:
        folder: Folder of the pages, which is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", "utf-8")
    places = pages()
    texts = {f"api/{name}": text for name, text in _reference()}
    for name, place in places.items():
        page = Path(folder, place)
        page.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            texts[place] = _in_site((ROOT / name).read_text("utf-8"), name, places, settings["metadata"]["url"])
        else:
            shutil.copy(ROOT / name, page)
    Path(folder, "api").mkdir()
    for place, text in texts.items():
        Path(folder, place).write_text(text, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
