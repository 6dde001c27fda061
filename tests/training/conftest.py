from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def precision_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what TrainingArguments of transformers 4 say to all later ones by the environment."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
