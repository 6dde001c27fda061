from __future__ import annotations

import sys

import pytest

import kgloss_hf
from kgloss_hf.optional import require, versions


@pytest.mark.parametrize("module", ["no_such_library", "no_such.part", "json.no_such"])
def test_a_missing_library_is_named_with_its_remedy(module: str) -> None:
    with pytest.raises(
        ImportError, match=rf'papago: expected the module {module}, .* pip install "kgloss-hf\[papago\]"$'
    ):
        require("papago", "json", module, purpose="papago")


def test_nothing_is_imported() -> None:
    require("train", "this", "antigravity", purpose="jokes")
    assert "antigravity" not in sys.modules


def test_the_package_s_own_version_is_known_without_installing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"of {name}")
    assert versions("torch", "kgloss-hf") == {"torch": "of torch", "kgloss-hf": kgloss_hf.__version__}
