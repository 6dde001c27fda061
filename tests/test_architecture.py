"""Tests of the rule of imports, and that tests and documentation cover every folder."""

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
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
FOLDERS = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if any(path.glob("*.py"))}
GROUND = {"version", "artefacts", "files", "optional", "options", "reporting"}
LAYERS = (
    {"runtime", *GROUND},
    {"data", "plugin"},
    {"models", "evaluation"},
    {"back_translation"},
    {"hub"},
    {"training", "integrations"},
    {"commands"},
    {"cli"},
    {"", "__main__", "dataset_scripts"},
)
"""Folders, and modules next to them, from the bottom; "" is the package itself, which imports its public names late."""
EXTENDED = {"transformers", "datasets", "evaluate"}
CHANGING = {"register", "register_pipeline", "pop", "update", "setdefault", "clear", "append", "insert"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _absolute(importer: str, name: str) -> str:
    """Return a name with leading dots as the import system resolves it in a module of the package."""
    level = len(name) - len(name.lstrip("."))
    package = importer if MODULES[importer].name == "__init__.py" else importer.rpartition(".")[0]
    parents = package.split(".")[: 1 - level or None] if level else []
    return ".".join([*parents, *filter(None, name.lstrip(".").split("."))])


def _names(importer: str) -> Iterator[tuple[str, str]]:
    """Yield the names of modules in imports, and in strings that could be passed to `import_module`."""
    tree = _tree(MODULES[importer])
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = _absolute(importer, "." * node.level + (node.module or ""))
            yield from ((base, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            name = re.match(r"kgloss_hf\.[\w.]*|\.+[a-z]\w*(\.\w+)*$", node.value)
            yield from [(_absolute(importer, name[0]), "")] if name else []


def _imported(importer: str) -> Iterator[tuple[str, str]]:
    """Yield the modules of the package that a module imports, each with the name taken from it."""
    for base, name in _names(importer):
        whole = f"{base}.{name}".rstrip(".")
        if whole.startswith("kgloss_hf.dataset_scripts"):
            yield "kgloss_hf.dataset_scripts", ""
        elif whole in MODULES:
            yield whole, ""
        elif base in MODULES:
            yield base, name


def _room(module: str) -> str:
    return module.removeprefix("kgloss_hf").lstrip(".").partition(".")[0]


def _layer(module: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if _room(module) in rooms)


IMPORTS = {module: [taken for taken in _imported(module) if taken[0] != module] for module in MODULES}


def test_a_folder_imports_only_folders_below_it() -> None:
    assert sum(map(len, IMPORTS.values())) > 200
    upward = [
        (importer, imported)
        for importer, taken in IMPORTS.items()
        for imported, _ in taken
        if _room(imported) != _room(importer)
        and _layer(imported) >= _layer(importer)
        and not {_room(imported), _room(importer)} <= GROUND
    ]
    assert upward == [("kgloss_hf.plugin", "kgloss_hf.dataset_scripts")]  # the plug-in makes them importable


def test_what_travels_imports_its_neighbours_alone() -> None:
    travelling = [path for path in MODULES.values() if path.parent.name == "runtime"]
    imports = [node for path in travelling for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom)]
    assert {node.level for node in imports} == {0, 1}  # transformers copies relative files flat
    assert {_room(name) for module in MODULES if _room(module) == "runtime" for name, _ in IMPORTS[module]} == {
        "runtime"
    }


def test_no_module_takes_a_private_name() -> None:
    taken = {name for names in IMPORTS.values() for _, name in names}
    assert {name for name in taken if name.startswith("_")} == {"__version__"}


def test_no_cycle() -> None:
    TopologicalSorter({module: {imported for imported, _ in taken} for module, taken in IMPORTS.items()}).prepare()


def test_imports_by_string_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "strings.py"
    file.write_text(
        '"""kgloss_hf.cli"""\nimport importlib\n_NAME = "kgloss_hf.hub.cards"\n'
        "def late():\n    importlib.import_module(f'kgloss_hf.training.{1}')\n    __import__('kgloss_hf.data.tables')\n"
        "    importlib.import_module('..models.modeling', __package__)\n    from ..runtime import okt\n"
    )
    monkeypatch.setitem(MODULES, "kgloss_hf.evaluation.strings", file)
    assert sorted(name for name, _ in _imported("kgloss_hf.evaluation.strings")) == [
        *("kgloss_hf.data.tables", "kgloss_hf.hub.cards", "kgloss_hf.models.modeling", "kgloss_hf.runtime.okt"),
        "kgloss_hf.training",
    ]


def test_tests_mirror_the_folders() -> None:
    tests = [
        path.relative_to(ROOT / "tests") for folder in FOLDERS for path in (ROOT / "tests" / folder).glob("test_*")
    ]
    assert {path.parent.as_posix() for path in tests} == FOLDERS
    modules = [PACKAGE / path.parent / path.name.removeprefix("test_") for path in tests]
    assert [path for path in modules if not path.is_file()] == []


def test_the_map_names_every_folder_and_the_tests_that_it_cites_exist() -> None:
    assert set(re.findall(r"^\| `([\w/]+)/` \|", MAP, re.MULTILINE)) >= FOLDERS
    cited = re.findall(r"`([\w/]+\.py)::(test_\w+)`", MAP)
    assert len(cited) > 10
    assert [pair for pair in cited if f"def {pair[1]}(" not in (ROOT / "tests" / pair[0]).read_text("utf-8")] == []


def _changes_other_libraries(path: Path) -> bool:
    """Return whether a file assigns to something imported from a library with registries, or calls a method on it."""
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
    changing = {path.name for path in (*MODULES.values(), *artefacts) if _changes_other_libraries(path)}
    assert changing == {"plugin.py"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.stem)
def test_examples_are_thin(path: Path) -> None:
    defined = [node for node in _tree(path).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert [node.name for node in defined if not node.name.endswith("Arguments")] == ["main"]
