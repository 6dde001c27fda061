"""What docs/architecture.md says of the package's modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kgloss_hf"
MAP = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
ROOMS = {
    name: number
    for number, room in enumerate(re.split(r"^### \d+\. ", MAP, flags=re.MULTILINE)[1:])
    for name in re.findall(r"^\| `([\w/]+\.py)` \|", room, re.MULTILINE)
}
EXTENDED = {"transformers", "datasets", "evaluate"}
CHANGING = {"register", "register_pipeline", "pop", "update", "setdefault", "clear", "append", "insert"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _imported(name: str) -> Iterator[tuple[str, str]]:
    """The modules of the package that a module imports, anywhere in it, each with the name it takes."""
    folder = MODULES[name].parent
    for node in ast.walk(_tree(MODULES[name])):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("kgloss_hf")):
            base = (ROOT, folder, folder.parent)[node.level].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                files = (base / f"{alias.name}.py", base.with_suffix(".py"), base / "__init__.py")
                file = next((file for file in files if file in MODULES.values()), None)
                if file is not None:  # else one of the artefact folders, which the installed package holds
                    yield file.relative_to(PACKAGE).as_posix(), alias.name


def test_the_map_names_every_module_once_and_no_other() -> None:
    rows = re.findall(r"^\| `([\w/]+\.py)` \|", MAP, re.MULTILINE)
    assert sorted(rows) == sorted(MODULES)


def test_the_tests_that_it_cites_are_there() -> None:
    cited = re.findall(r"`([\w/]+\.py)::(test_\w+)`", MAP)
    assert len(cited) > 10
    assert [pair for pair in cited if f"def {pair[1]}(" not in (ROOT / "tests" / pair[0]).read_text("utf-8")] == []


def test_modules_import_public_names_from_their_own_room_and_those_above() -> None:
    taken = [(name, other, what) for name in MODULES for other, what in _imported(name)]
    assert [found for found in taken if ROOMS[found[1]] > ROOMS[found[0]]] == []
    assert [found for found in taken if found[2].startswith("_") and not found[2].startswith("__")] == []


def test_no_cycle() -> None:
    TopologicalSorter({name: {other for other, _ in _imported(name)} for name in MODULES}).prepare()


def _changes_other_libraries(path: Path) -> bool:
    """Whether it assigns to, or calls what changes, something imported from a library that has registries."""
    tree = _tree(path)
    theirs: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in EXTENDED and not node.level:
            theirs |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            theirs |= {alias.asname or alias.name.partition(".")[0] for alias in node.names} & EXTENDED
    for node in ast.walk(tree):
        changed: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete | ast.AugAssign):
            targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
            changed = [target for target in targets if not isinstance(target, ast.Name)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            changed = [node.func.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
            changed = node.args[:1]
        for target in changed:
            while isinstance(target, ast.Attribute | ast.Subscript):
                target = target.value
            if isinstance(target, ast.Name) and target.id in theirs:
                return True
    return False


def test_the_plug_in_alone_changes_other_libraries() -> None:
    artefacts = [*ROOT.glob("dataset_scripts/*/*.py"), *ROOT.glob("metric_scripts/*/*.py")]
    found = {path.name for path in (*MODULES.values(), *artefacts) if _changes_other_libraries(path)}
    assert found == {"plugin.py"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.stem)
def test_examples_are_thin(path: Path) -> None:
    defined = [node for node in _tree(path).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert [node.name for node in defined if not node.name.endswith("Arguments")] == ["main"]
