from __future__ import annotations

from kgloss_hf.evaluation.comparisons import compare, comparison_words

REFERENCES = [["집", "불"]] * 20


def test_a_model_below_copying_is_said_with_what_can_help() -> None:
    compared = compare(REFERENCES, [["집"]] * 20, {"copy": REFERENCES, "nearest neighbour": [["물"]] * 20})
    below, above, advice = comparison_words("tiny", compared)
    assert below.startswith("tiny does not beat copy: it is 50.00 JC below (p = 0.000")
    assert above.startswith("tiny beats nearest neighbour by 50.00 JC (p = 0.000")
    assert "--encoder_model_name_or_path" in advice


def test_a_model_above_all_gets_no_advice() -> None:
    [line] = comparison_words("tiny", compare(REFERENCES, REFERENCES, {"copy": [["집"]] * 20}))
    assert line.startswith("tiny beats copy by 50.00 JC")


def test_what_may_be_chance_is_no_win() -> None:
    compared = compare(REFERENCES[:2], [["집", "불"], ["집"]], {"copy": [["집"], ["집"]]})
    line, advice = comparison_words("tiny", compared)
    assert line == "tiny is 25.00 JC above copy, which may be chance (p = 1.0000)."
    assert advice.startswith("What can help")
    assert comparison_words("tiny", compare(REFERENCES, REFERENCES, {"copy": REFERENCES}), advice=False) == [
        "tiny does not beat copy: both score the same."
    ]
