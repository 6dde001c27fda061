from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgloss_hf.metrics import bootstrap_interval, gloss_lists, jaccard, jaccard_scores

SCRIPT = Path(__file__).parents[1] / "metric_scripts" / "gloss_jaccard"

HAND_COMPUTED = [
    pytest.param(["집", "불"], ["집", "불"], 1, id="identical"),
    pytest.param(["집", "불"], ["불", "집"], 1, id="other order"),
    pytest.param(["집"], ["불"], 0, id="disjoint"),
    pytest.param(["집", "불"], ["집", "도둑"], 1 / 3, id="partial"),
    pytest.param(["집"], ["집", "도둑", "넘어오다", "밤"], 1 / 4, id="subset"),
    pytest.param(["집", "집", "불"], ["집", "불", "불"], 1, id="duplicates on both sides"),
    pytest.param(["집", "집", "집"], ["집", "불"], 1 / 2, id="duplicates on one side"),
    pytest.param([], ["집"], 0, id="empty prediction"),
    pytest.param(["집"], [], 0, id="empty reference"),
    pytest.param([], [], 1, id="both empty"),
    pytest.param("집 불", "집 도둑", 1 / 3, id="strings"),
    pytest.param(" 집  불\t", "불\n집", 1, id="strings with other white space"),
    pytest.param("집 불", ["집", "도둑"], 1 / 3, id="string and list"),
    pytest.param("", [], 1, id="empty string and empty list"),
    pytest.param("  ", "집", 0, id="blank string"),
    pytest.param(("집",), np.array(["집", "불"]), 1 / 2, id="tuple and array"),
    pytest.param(["V (불꽃무늬)"], ["V", "(불꽃무늬)"], 0, id="a space inside a gloss in a list"),
    pytest.param(["Number/4C"], ["4C"], 0, id="as it is written"),
]

BAD_INPUT = [
    pytest.param(
        "집 불", ["집 불"], TypeError, r"predictions: expected a list .* one string; write \['집 불'\]", id="string"
    ),
    pytest.param(["집"], "집", TypeError, "references: expected a list .* one string", id="string reference"),
    pytest.param(None, ["집"], TypeError, "predictions: .* found NoneType; pass a list", id="none"),
    pytest.param({"a": "집"}, ["집"], TypeError, "predictions: .* found dict", id="mapping"),
    pytest.param(
        ["집", None], ["집", "불"], TypeError, r"predictions\[1\]: .* found NoneType; check for missing", id="missing"
    ),
    pytest.param([float("nan")], ["집"], TypeError, r"predictions\[0\]: .* found float", id="not a number"),
    pytest.param([b"a"], ["a"], TypeError, r"predictions\[0\]: .* found bytes", id="bytes"),
    pytest.param([["집"]], [[7]], TypeError, r"references\[0\]: expected glosses as strings, found int", id="ids"),
    pytest.param(
        [["집"]], [[["집"]]], TypeError, r"references\[0\]: .* found list; .* one .* a pair", id="nested too deep"
    ),
    pytest.param(["집"], ["집", "불"], ValueError, "1 predictions and 2 references; .* repeat it", id="lengths"),
    pytest.param([], ["집"], ValueError, "0 predictions and 1 references", id="no predictions"),
    pytest.param([], [], ValueError, "expected at least one pair, found none; check", id="no pairs"),
]

gloss_sequences = st.lists(st.text("가나다라", min_size=1, max_size=2), max_size=6)
pairs = st.lists(st.tuples(gloss_sequences, gloss_sequences), min_size=1, max_size=8)


@pytest.mark.parametrize(("prediction", "reference", "expected"), HAND_COMPUTED)
def test_hand_computed_scores(prediction, reference, expected):
    assert jaccard_scores([prediction], [reference]).tolist() == [expected]
    assert jaccard([prediction], [reference]) == 100 * expected


def test_mean_over_pairs_not_over_glosses():
    predictions, references = [["a"], ["b", "c", "d"]], [["a"], ["e", "f", "g"]]
    assert jaccard(predictions, references) == 50
    assert jaccard_scores(predictions, references).tolist() == [1, 0]


def test_iterators_are_read_once():
    assert jaccard(iter(["a", "b"]), (text for text in ["a", "c"])) == 50


@pytest.mark.parametrize(("predictions", "references", "error", "message"), BAD_INPUT)
def test_errors_name_expected_found_and_way_out(predictions, references, error, message):
    with pytest.raises(error, match=message):
        jaccard(predictions, references)


@settings(deadline=None)
@given(pairs)
def test_agrees_with_plain_implementation(drawn):
    plain = [len(set(p) & set(r)) / len(set(p) | set(r)) if p or r else 1.0 for p, r in drawn]
    predictions, references = zip(*drawn, strict=True)
    assert jaccard_scores(predictions, references).tolist() == pytest.approx(plain, rel=1e-12, abs=1e-12)
    assert jaccard(predictions, references) == pytest.approx(100 * sum(plain) / len(plain), rel=1e-12, abs=1e-12)


@settings(deadline=None)
@given(pairs)
def test_symmetric_and_the_same_for_strings(drawn):
    predictions, references = zip(*drawn, strict=True)
    scores = jaccard_scores(predictions, references).tolist()
    assert jaccard_scores(references, predictions).tolist() == scores
    assert jaccard_scores([" ".join(p) for p in predictions], [" ".join(r) for r in references]).tolist() == scores


def test_gloss_lists_copies():
    glosses = ["집"]
    gloss_lists([glosses])[0].append("불")
    assert glosses == ["집"]


def test_bootstrap_is_fixed_by_its_seed():
    scores = np.random.default_rng(7).random(50)
    first = bootstrap_interval(scores, resamples=500, seed=1)
    assert first == bootstrap_interval(scores.tolist(), resamples=500, seed=1)
    assert first != bootstrap_interval(scores, resamples=500, seed=2)


def test_bootstrap_in_chunks_gives_the_same(monkeypatch):
    scores = np.random.default_rng(7).random(50)
    whole = bootstrap_interval(scores, resamples=500)
    monkeypatch.setattr("kgloss_hf.metrics._RESAMPLED_AT_ONCE", 350)
    assert bootstrap_interval(scores, resamples=500) == whole
    monkeypatch.setattr("kgloss_hf.metrics._RESAMPLED_AT_ONCE", 1)
    assert bootstrap_interval(scores, resamples=500) == whole


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=20, max_size=60))
def test_bootstrap_lies_in_range_and_contains_the_mean(scores):
    low, high = bootstrap_interval(scores, resamples=200)
    margin = 1e-12
    assert min(scores) - margin <= low <= high <= max(scores) + margin
    narrow = bootstrap_interval(scores, resamples=200, level=0.5)
    assert low <= narrow[0] <= narrow[1] <= high


def test_bootstrap_contains_the_mean():
    scores = np.random.default_rng(7).random(50)
    low, high = bootstrap_interval(scores, resamples=1000)
    assert low < scores.mean() < high


def test_bootstrap_of_known_cases():
    assert bootstrap_interval([0.25] * 30, resamples=100) == (0.25, 0.25)
    assert bootstrap_interval([0.7], resamples=100) == (0.7, 0.7)
    # 400 fair coins: the normal approximation of the mean's interval is 0.5 ± 1.96 · 0.5 / 20
    low, high = bootstrap_interval([0, 1] * 200)
    assert (low, high) == pytest.approx((0.451, 0.549), abs=0.005)
    low_90, high_90 = bootstrap_interval([0, 1] * 200, level=0.9)
    assert (low_90, high_90) == pytest.approx((0.459, 0.541), abs=0.005)


@pytest.mark.parametrize(
    ("scores", "options", "error", "message"),
    [
        ([], {}, ValueError, "scores: expected .* found shape"),
        ([[0.5]], {}, ValueError, r"found shape \(1, 1\)"),
        (0.5, {}, ValueError, r"found shape \(\)"),
        ([0.5, float("nan")], {}, ValueError, "expected finite numbers, found nan"),
        (["0.5"], {}, TypeError, "scores: expected numbers"),
        ([None], {}, TypeError, "scores: expected numbers"),
        ([0.5], {"level": 95}, ValueError, "level: .* found 95; write 0.95"),
        ([0.5], {"level": 0}, ValueError, "level"),
        ([0.5], {"resamples": 0}, ValueError, "resamples: expected at least 1, found 0"),
    ],
)
def test_bootstrap_errors(scores, options, error, message):
    with pytest.raises(error, match=message):
        bootstrap_interval(scores, **options)


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    evaluate = pytest.importorskip("evaluate")
    return evaluate.load(str(SCRIPT), cache_dir=str(tmp_path_factory.mktemp("evaluate")))


@pytest.mark.parametrize(("prediction", "reference", "expected"), HAND_COMPUTED)
def test_evaluate_gives_the_hand_computed_scores(metric, prediction, reference, expected):
    assert metric.compute(predictions=[prediction], references=[reference]) == {"jaccard": 100 * expected}


def test_evaluate_agrees_with_the_function(metric):
    predictions = [["집", "불"], [], "집 도둑", ["V (불꽃무늬)"]]
    references = ["집 불 나다", "집", ["도둑"], ["V (불꽃무늬)"]]
    result = metric.compute(predictions=predictions, references=references)
    assert result == {"jaccard": jaccard(predictions, references)}


def test_evaluate_adds_pair_by_pair_and_batch_by_batch(metric):
    metric.add(prediction="집 불", reference=["집"])
    metric.add_batch(predictions=[["집"], "불"], references=["집", ["도둑"]])
    assert metric.compute() == {"jaccard": 50}


@pytest.mark.parametrize(("predictions", "references", "error", "message"), BAD_INPUT)
def test_evaluate_gives_our_errors_and_goes_on(metric, predictions, references, error, message):
    with pytest.raises(error, match=message):
        metric.compute(predictions=predictions, references=references)
    assert metric.compute(predictions=["집"], references=["집"]) == {"jaccard": 100}
