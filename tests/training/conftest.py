from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def precision_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the environment variable by which TrainingArguments of transformers 4 affect all later ones."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
