"""Campaign, `pytest tests/fuzz --hypothesis-profile=campaign`, and the number of inputs that it ran."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

CAMPAIGN = "campaign"
HERE = Path(__file__).parent

# `share` in each test sets the fraction of this that it runs.
settings.register_profile(CAMPAIGN, settings.get_profile("kgloss"), max_examples=34_000, print_blob=True)

_inputs: Counter[str] = Counter()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the examples of a module's tests write to, one after another."""
    return tmp_path_factory.mktemp("fuzz")


def _counted(target: str, test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        test(*args, **kwargs)
        _inputs[target] += 1  # neither rejected nor failed

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and (handle := getattr(getattr(item, "obj", None), "hypothesis", None)):
            handle.inner_test = _counted(f"{item.path.stem}::{item.name}", handle.inner_test)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile") == CAMPAIGN:
        terminalreporter.section("inputs")
        for target, count in sorted(_inputs.items()):
            terminalreporter.write_line(f"{count:>11,}  {target}")
        terminalreporter.write_line(f"{_inputs.total():>11,}  in all")
