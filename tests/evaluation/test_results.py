from __future__ import annotations

import logging
import sys

import pytest

from kgloss_hf.data.pairs import Pair
from kgloss_hf.evaluation import results
from kgloss_hf.evaluation.metrics import jaccard_result
from kgloss_hf.evaluation.results import human_scores, score_table, scores_on

GOLD = [["집", "불"], ["물"]]
SYSTEMS = {"ours": [["집"], ["물"]], "none": [[], []]}
PAIRS = [Pair("가", ("집", "불")), Pair("가", ("불",)), Pair("나", ("물",))]


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    results._say_once.cache_clear()


def test_other_scores_stand_beside_jaccard() -> None:
    pytest.importorskip("sacrebleu")
    scores = scores_on(GOLD, SYSTEMS)
    own = scores["ours"]
    assert {name: own[name] for name in ("jaccard", "low", "high", "signature")} == jaccard_result(
        SYSTEMS["ours"], GOLD, resamples=10_000
    )
    assert own["gloss_error_rate"] == pytest.approx(100 / 3)
    assert own["rouge_l"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert set(own["signatures"]) == {f"bleu_{n}" for n in range(1, 5)} | {"chrf", "rouge_l", "gloss_error_rate"}
    table = score_table("Test", scores | human_scores(PAIRS))
    assert table.header == ("system", "JC", "95% interval", "BLEU-4", "chrF", "ROUGE-L", "GER")
    assert table.rows[1] == ("none", "0.00", "0.00 – 0.00", "0.00", "0.00", "0.00", "100.0")
    assert table.rows[2] == ("human versions (leave one out), 2 pairs", "50.00", "50.00 – 50.00", "", "", "", "")


def test_without_the_extra_jaccard_is_the_only_score_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "kgloss_hf.evaluation.scores", raising=False)
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with caplog.at_level(logging.WARNING):
        scores = scores_on(GOLD, SYSTEMS)
    assert [*scores["ours"]] == ["jaccard", "low", "high", "signature"]
    assert score_table("Test", scores).header == ("system", "JC", "95% interval")
    (message,) = caplog.messages
    assert "sacrebleu.metrics" in message
    assert 'pip install "kgloss-hf[evaluate]"' in message


def test_references_without_glosses_keep_the_jaccard_score() -> None:
    assert scores_on([[]], {"ours": [[]]})["ours"]["jaccard"] == 100


def test_human_scores_say_what_they_are_of() -> None:
    scores = human_scores(PAIRS)
    assert {name: (score["jaccard"], score["pairs"]) for name, score in scores.items()} == {
        "human versions (leave one out)": (50, 2),
        "best single human answer": (75, 2),
    }
    signatures = [score["signature"] for score in scores.values()]
    assert all("|refs:mean|human:" in signature for signature in signatures)
    assert len(set(signatures)) == 2
    assert human_scores([PAIRS[0], PAIRS[2]]) == {}
