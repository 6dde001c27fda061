from __future__ import annotations

from kgloss_hf.evaluation.sequences import gloss_lists


def test_gloss_lists_copies() -> None:
    glosses = ["집"]
    gloss_lists([glosses])[0].append("불")
    assert glosses == ["집"]
