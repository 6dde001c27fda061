import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgloss_hf import __version__
from kgloss_hf.evaluation.metrics import (
    bootstrap_interval,
    jaccard,
    jaccard_result,
    jaccard_scores,
    paired_p_value,
)

SCRIPT = Path(__file__).parents[2] / "metric_scripts" / "gloss_jaccard"

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
    pytest.param(["Number/4C"], ["4C"], 1, id="as it is signed"),
    pytest.param(["Alpha/QR", "Number"], ["QR", "Number"], 1, id="placeholders without content"),
    pytest.param("V (불꽃무늬) 집", ["집", "V (불꽃무늬)"], 1, id="a space inside a gloss in a string"),
    pytest.param("(큰 돌을)들다", ["(큰 돌을)들다"], 1, id="a space inside parentheses"),
    pytest.param('["집", "V (불꽃무늬)"]', ["집", "V (불꽃무늬)"], 1, id="a JSON list in a string"),
    pytest.param("['집', '불']", ["집", "불"], 1, id="repr of a list"),
    pytest.param('["큰 집"]', '["큰 집", "불"]', 1 / 2, id="a gloss with spaces in a JSON list"),
    pytest.param(["큰 집", "불"], ["큰 집", "불"], 1, id="a gloss with spaces among others"),
    pytest.param(["\u1109\u1165\u11ab"], ["선"], 1, id="decomposed and composed"),
    pytest.param("\u1109\u1165\u11ab 집\u200b", "선 집", 1, id="decomposed, with something invisible"),
    pytest.param(["ＱＲ", "２"], ["QR", "2"], 1, id="full width"),
    pytest.param(["보다1"], ["보다"], 0, id="numbered"),
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
        [[["집"]]], [["집"]], TypeError, r"predictions\[0\]: .* found list; .* one .* per pair", id="nested too deep"
    ),
    pytest.param(
        [["집"]], [[[["집"]]]], TypeError, r"references\[0\]\[0\]: .* found list", id="references nested too deep"
    ),
    pytest.param(
        ["집 불"], [["집 불"]], ValueError, r"references\[0\]: .* as the string itself, choose", id="string in a list"
    ),
    pytest.param([("집 불",)], [["집 불"]], ValueError, r"predictions\[0\]: .*several glosses", id="strings in lists"),
    pytest.param(
        ["집 불"], [["집 불", "불 집"]], ValueError, r"references\[0\]: .* choose one of several ref", id="references"
    ),
    pytest.param(["집"], [['["집"]']], ValueError, r"references\[0\]: .* in a list", id="JSON in a list"),
    pytest.param(
        ["집 불"], [["집 불", "불 집"]], ValueError, r"references\[0\]: .* pass a list of lists", id="the other form"
    ),
    pytest.param(
        [["집"]], [[["집"], "불 집"]], TypeError, r"references\[0\]\[1\]: .* found a string", id="list and string"
    ),
    pytest.param([["집"]], [["집", ["불"]]], TypeError, r"references\[0\]: .* found list", id="string and list"),
    pytest.param([["집"]], [[["집"], None]], TypeError, r"references\[0\]\[1\]: .* NoneType", id="none of several"),
    pytest.param(["집"], [[["집 불"]]], ValueError, r"references\[0\]\[0\]: .* several glosses", id="strings deeper"),
    pytest.param(
        ["집", "집"],
        [[["집"], ["불"]]],
        ValueError,
        "2 predictions and 1 reference; .* list of lists",
        id="lengths with several references",
    ),
    pytest.param(["['집', '불'"], ["집"], ValueError, r"predictions\[0\]: expected a JSON list", id="damaged list"),
    pytest.param([{"glosses": ["집"]}], ["집"], TypeError, "found dict; take its 'glosses'", id="answer of a pipeline"),
    pytest.param([["집", float("nan")]], ["집"], TypeError, "expected glosses as strings, found float", id="NaN"),
    pytest.param([["집", None]], ["집"], TypeError, "expected glosses as strings, found NoneType", id="none inside"),
    pytest.param(["집"], ["집", "불"], ValueError, "1 prediction and 2 references; .* repeat it", id="lengths"),
    pytest.param([], ["집"], ValueError, "0 predictions and 1 reference;", id="no predictions"),
    pytest.param([], [], ValueError, "expected at least one pair, found none; check", id="no pairs"),
]

# In the style of PHOENIX-2014T, German Sign Language glosses in capitals: another language's notation, same formula
GERMAN = [
    ("MORGEN REGEN NORD", "MORGEN NORD REGEN"),
    ("HEUTE WIND WIND STARK", "HEUTE WIND SCHWACH"),
    ("JETZT WETTER MORGEN MITTWOCH", "JETZT WIE-AUSSEHEN WETTER MORGEN"),
    ("SONNE loc-NORD neg-REGEN", "SONNE loc-SUED"),
    ("", "TAG ZWANZIG GRAD"),
    ("SCHNEE", "SCHNEE"),
    ("", ""),
]

MULTISETS = [
    pytest.param(["집", "집", "불"], ["집", "불"], 2 / 3, id="one too many"),
    pytest.param(["집", "집"], ["집", "집"], 1, id="the same"),
    pytest.param(["집"] * 4, ["집"], 1 / 4, id="repeated"),
    pytest.param(["집", "집", "불"], ["집", "불", "불"], 1 / 2, id="other repetitions"),
    pytest.param(["집"], ["불"], 0, id="all different"),
    pytest.param([], [], 1, id="both empty"),
    pytest.param([], ["집"], 0, id="one empty"),
    pytest.param(["집"], ["집"], 1, id="one token"),
]

TYPES = {"집": "sign_word", "불": "sign_word", "고개": "non_manual", "ㄱ": "fingerspelling"}

gloss_sequences = st.lists(st.text("가나다라", min_size=1, max_size=2), max_size=6)
pairs = st.lists(st.tuples(gloss_sequences, gloss_sequences), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    evaluate = pytest.importorskip("evaluate")
    # In memory, because it waits a second for the lock of a file that an error left behind.
    return evaluate.load(str(SCRIPT), cache_dir=str(tmp_path_factory.mktemp("evaluate")), keep_in_memory=True)


@pytest.mark.parametrize(("prediction", "reference", "expected"), HAND_COMPUTED)
def test_hand_computed_scores(metric, prediction, reference, expected):
    assert jaccard_scores([prediction], [reference]).tolist() == [expected]
    assert jaccard([prediction], [reference]) == 100 * expected
    assert metric.compute(predictions=[prediction], references=[reference])["jaccard"] == 100 * expected


def test_mean_over_pairs_not_over_glosses():
    predictions, references = [["a"], ["b", "c", "d"]], [["a"], ["e", "f", "g"]]
    assert jaccard(predictions, references) == 50
    assert jaccard_scores(predictions, references).tolist() == [1, 0]


def test_iterators_are_read_once():
    assert jaccard(iter(["a", "b"]), (text for text in ["a", "c"])) == 50


@pytest.mark.parametrize(("predictions", "references", "error", "message"), BAD_INPUT)
def test_errors_name_expected_found_and_way_out(metric, predictions, references, error, message):
    for compute in (jaccard, lambda *sides: metric.compute(predictions=sides[0], references=sides[1])):
        with pytest.raises(error, match=message):
            compute(predictions, references)
    assert metric.compute(predictions=["집"], references=["집"])["jaccard"] == 100  # it still works


@settings(deadline=None)
@example([(prediction.split(), reference.split()) for prediction, reference in GERMAN])
@given(pairs)
def test_agrees_with_plain_implementation(metric, drawn):
    plain = [len(set(p) & set(r)) / len(set(p) | set(r)) if p or r else 1.0 for p, r in drawn]
    mean = pytest.approx(100 * sum(plain) / len(plain), rel=1e-12, abs=1e-12)
    predictions, references = map(list, zip(*drawn, strict=True))
    assert jaccard_scores(predictions, references).tolist() == pytest.approx(plain, rel=1e-12, abs=1e-12)
    assert jaccard(predictions, references) == mean
    assert metric.compute(predictions=predictions, references=references)["jaccard"] == mean


@settings(deadline=None)
@given(pairs)
def test_symmetric_and_the_same_for_strings(drawn):
    predictions, references = zip(*drawn, strict=True)
    scores = jaccard_scores(predictions, references).tolist()
    assert jaccard_scores(references, predictions).tolist() == scores
    assert jaccard_scores([" ".join(p) for p in predictions], [" ".join(r) for r in references]).tolist() == scores


@pytest.mark.parametrize(("prediction", "reference", "expected"), MULTISETS)
def test_multisets(prediction, reference, expected):
    assert jaccard_scores([prediction], [reference], multiset=True).tolist() == [expected]
    result = jaccard_result([prediction], [reference], multiset=True)
    assert result == {"jaccard": 100 * expected, "signature": f"jaccard|multiset|nonmanual:kept|v:{__version__}"}


@given(pairs)
def test_multisets_agree_with_plain_implementation_and_with_sets(drawn):
    predictions, references = zip(*drawn, strict=True)
    scores = jaccard_scores(predictions, references, multiset=True)
    for (p, r), score in zip(drawn, scores, strict=True):
        least = sum(min(p.count(g), r.count(g)) for g in {*p, *r})
        most = sum(max(p.count(g), r.count(g)) for g in {*p, *r})
        assert score == pytest.approx(least / most if most else 1, rel=1e-12)
    once = [[*dict.fromkeys(p)] for p in predictions], [[*dict.fromkeys(r)] for r in references]
    assert jaccard_scores(*once, multiset=True).tolist() == jaccard_scores(predictions, references).tolist()


def test_result_by_type():
    result = jaccard_result([["집", "고개"], ["불", "새"]], [["집", "ㄱ"], ["불"]], types=TYPES)
    assert result["by_type"] == {
        "fingerspelling": {"jaccard": 0, "pairs": 1},
        "non_manual": {"jaccard": 0, "pairs": 1},
        "sign_word": {"jaccard": 100, "pairs": 2},
        "unknown": {"jaccard": 0, "pairs": 1},
    }
    assert result["jaccard"] == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)


def test_contents_have_the_type_of_their_placeholder():
    result = jaccard_result([["4C", "QR"]], [["Number/4C", "집"]], types={"Number": "fingerspelled_number"})
    assert result["by_type"] == {
        "fingerspelled_number": {"jaccard": 100, "pairs": 1},
        "unknown": {"jaccard": 0, "pairs": 1},
    }


REFERENCES = [
    pytest.param([["집", "불"], ["집"]], 3 / 4, 1, id="two"),
    pytest.param([["집", "불"]], 1, 1, id="one in a list"),
    pytest.param([["물"], ["집", "물"], ["집", "불", "물", "산"]], (0 + 1 / 3 + 1 / 2) / 3, 1 / 2, id="three"),
    pytest.param([["물"], []], 0, 0, id="an empty one"),
    pytest.param((("집", "불"), np.array(["집"])), 3 / 4, 1, id="tuples and arrays"),
    pytest.param([["Number/4C"], ["집", "\u1107\u116e\u11af"]], 1 / 2, 1, id="as they are signed"),
]


@pytest.mark.parametrize(("references", "mean", "best"), REFERENCES)
def test_several_references(metric, references, mean, best):
    assert jaccard_scores(["집 불"], [references]).tolist() == [pytest.approx(mean)]
    assert jaccard_scores(["집 불"], [references], best=True).tolist() == [best]
    assert jaccard(["집 불", "새"], [references, "새"]) == pytest.approx(50 * (mean + 1))
    result = metric.compute(predictions=["집 불", "새"], references=[references, "새"])
    assert result == jaccard_result(["집 불", "새"], [references, "새"])
    if len(references) > 1:
        assert result["jaccard_best"] == 50 * (best + 1)
        assert result["signature"] == f"jaccard|set|nonmanual:kept|refs:mean|v:{__version__}"
        assert result["signature_best"] == f"jaccard|set|nonmanual:kept|refs:best|v:{__version__}"


def test_each_prediction_weighs_the_same_however_many_references_it_has():
    result = jaccard_result(["집", "불"], [[["집"]] * 9 + [["물"]], [["물"]]], resamples=200)
    assert result["jaccard"] == pytest.approx(45)
    assert (result["jaccard_best"], result["low_best"], result["high_best"]) == (50, 0, 100)
    assert result["low"] == 0
    assert result["high"] == pytest.approx(90)


def test_several_references_by_type():
    references = [[["집", "고개"], ["고개"]], [["불"]]]
    result = jaccard_result(["집", "불"], references, types=TYPES, ignore_non_manual=True)
    assert result["by_type"] == {"sign_word": {"jaccard": 75, "pairs": 2}}
    assert (result["jaccard"], result["jaccard_best"]) == (75, 100)


several_references = st.lists(
    st.tuples(gloss_sequences, st.lists(gloss_sequences, min_size=1, max_size=4)), min_size=1, max_size=6
)


@given(several_references, st.booleans(), st.randoms(use_true_random=False))
def test_references_in_another_order_change_nothing(drawn, multiset, chance):
    predictions, references = map(list, zip(*drawn, strict=True))
    shuffled = [chance.sample(row, len(row)) for row in references]
    options = {"multiset": multiset, "types": TYPES, "synonyms": {"가": ["나"]}}
    result = jaccard_result(predictions, references, **options)
    assert jaccard_result(predictions, shuffled, **options) == result
    mean, best = (jaccard_scores(predictions, references, multiset=multiset, best=best) for best in (False, True))
    plain = [[jaccard_scores([p], [r], multiset=multiset)[0] for r in row] for p, row in drawn]
    assert (mean <= best).all()
    assert best.tolist() == [max(row) for row in plain]
    assert mean.tolist() == pytest.approx([sum(row) / len(row) for row in plain])
    assert all(min(row) <= score for row, score in zip(plain, mean, strict=True))


@given(pairs, st.integers(1, 3))
def test_one_reference_or_the_same_several_times_is_todays_score(drawn, times):
    predictions, references = map(list, zip(*drawn, strict=True))
    options = {"types": TYPES, "resamples": 5}
    today = jaccard_result(predictions, references, **options)
    assert jaccard_result(predictions, [[reference] for reference in references], **options) == today
    repeated = [[reference] * times for reference in references]
    assert jaccard_scores(predictions, repeated).tolist() == jaccard_scores(predictions, references).tolist()


def test_synonyms_count_as_equal(metric):
    synonyms = {"집": ["가옥"], "주택": ["가옥", "집"], "4": ["Number/4C"]}
    predictions, references = ["주택 불", "4C", "새"], [["집", "불"], ["4"], ["집"]]
    result = jaccard_result(predictions, references, synonyms=synonyms)
    assert result["jaccard"] == pytest.approx(100 * 2 / 3)
    assert result["signature"].startswith("jaccard|set|nonmanual:kept|synonyms:")
    assert metric.compute(predictions=predictions, references=references, synonyms=synonyms) == result
    other = {"가옥": ["주택", "집"], "4C": ("4", "4C"), "새": []}
    assert jaccard_result(predictions, references, synonyms=other) == result
    assert jaccard_result(["주택 집"], ["가옥"], synonyms=synonyms)["jaccard"] == 100
    assert jaccard_result(["주택 집"], ["가옥"], synonyms=synonyms, multiset=True)["jaccard"] == 50
    assert jaccard_result(predictions, references, synonyms={})["jaccard"] == jaccard(predictions, references)


def test_frames_of_pandas(metric):
    frame = pd.DataFrame({"glosses": [["집"], ["불", "물"]], "text": ["집", "물 불"]})
    assert jaccard(frame["text"], frame["glosses"]) == 100
    assert metric.compute(predictions=frame["text"], references=frame["glosses"])["jaccard"] == 100
    frame.loc[0, "text"] = None
    with pytest.raises(TypeError, match=r"predictions\[0\]: .* check for missing values"):
        jaccard(frame["text"], frame["glosses"])


def test_non_manual_signals_can_be_ignored():
    predictions, references = [["집", "고개"], ["고개"]], [["집"], []]
    assert jaccard(predictions, references) == 25
    result = jaccard_result(predictions, references, types=TYPES, ignore_non_manual=True)
    assert result["jaccard"] == 100
    assert result["by_type"] == {"sign_word": {"jaccard": 100, "pairs": 1}}
    assert result["signature"].startswith("jaccard|set|nonmanual:ignored|types:")


def test_signature_follows_what_the_score_depends_on():
    def signature(**options):
        return jaccard_result(["집"], ["집"], **options)["signature"]

    assert signature() == f"jaccard|set|nonmanual:kept|v:{__version__}"
    assert signature(resamples=10, seed=3) == f"jaccard|set|nonmanual:kept|bs:10|seed:3|v:{__version__}"
    assert signature(types=TYPES) == signature(types=dict(reversed(TYPES.items())))
    assert signature(types=TYPES) != signature(types=TYPES | {"새": "iconic"})


def test_result_with_interval():
    predictions, references = ["집", "불", "집 불", "새"], ["집", "물", "집", "새"]
    result = jaccard_result(predictions, references, resamples=500, seed=1)
    scores = 100 * jaccard_scores(predictions, references)
    assert (result["low"], result["high"]) == bootstrap_interval(scores, resamples=500, seed=1)
    assert result["jaccard"] == jaccard(predictions, references)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"types": ["집"]}, TypeError, "types: expected a mapping .* found list"),
        ({"types": {"집": 3}}, TypeError, "types: expected strings, found .* int2str"),
        ({"ignore_non_manual": True}, ValueError, "expected glosses of type 'non_manual' in types, found none"),
        ({"ignore_non_manual": True, "types": {"집": "iconic"}}, ValueError, "expected glosses of type 'non_manual'"),
        ({"synonyms": ["집"]}, TypeError, "synonyms: expected a mapping .* found list"),
        ({"synonyms": {"집": "가옥"}}, TypeError, "synonyms: expected lists of glosses, found '가옥' for '집'"),
        ({"synonyms": {"집": [3]}}, TypeError, "synonyms: expected lists of glosses"),
        ({"resamples": -1}, ValueError, "resamples: expected at least 1, found -1"),
    ],
)
def test_bad_options(metric, options, error, message):
    with pytest.raises(error, match=message):
        jaccard_result(["집"], ["집"], **options)
    with pytest.raises(error, match=message):
        metric.compute(predictions=["집"], references=["집"], **options)
    assert metric.compute(predictions=["집"], references=["집"])["jaccard"] == 100  # it still works


def test_bootstrap_depends_on_its_seed_and_not_on_chunks(monkeypatch):
    scores = np.random.default_rng(7).random(50)
    whole = bootstrap_interval(scores, resamples=500, seed=1)
    assert whole[0] < scores.mean() < whole[1]
    assert whole == bootstrap_interval(scores.tolist(), resamples=500, seed=1)
    assert whole != bootstrap_interval(scores, resamples=500, seed=2)
    for at_once in (350, 1):
        monkeypatch.setattr("kgloss_hf.evaluation.metrics._RESAMPLED_AT_ONCE", at_once)
        assert bootstrap_interval(scores, resamples=500, seed=1) == whole


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=20, max_size=60))
def test_bootstrap_lies_in_range_and_narrows_with_the_level(scores):
    low, high = bootstrap_interval(scores, resamples=200)
    margin = 1e-12
    assert min(scores) - margin <= low <= high <= max(scores) + margin
    narrow = bootstrap_interval(scores, resamples=200, level=0.5)
    assert low <= narrow[0] <= narrow[1] <= high


def test_bootstrap_of_known_cases():
    assert bootstrap_interval([0.25] * 30, resamples=100) == (0.25, 0.25)
    assert bootstrap_interval([0.7], resamples=100) == (0.7, 0.7)
    # 400 fair coins: the normal approximation of the mean's interval is 0.5 ± 1.96 · 0.5 / 20
    assert bootstrap_interval([0, 1] * 200) == pytest.approx((0.451, 0.549), abs=0.005)
    assert bootstrap_interval([0, 1] * 200, level=0.9) == pytest.approx((0.459, 0.541), abs=0.005)


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


def test_p_value_of_known_cases():
    # Exchanging all, none or one of two pairs with equal differences: two of four trials are as large.
    assert paired_p_value([1, 1], [0, 0], trials=20_000) == pytest.approx(0.5, abs=0.02)
    assert paired_p_value([1] * 10, [0] * 10, trials=50_000) == pytest.approx(2 / 2**10, abs=0.001)
    assert paired_p_value([0.1, 0.2, 0.3], [0.3, 0.1, 0.2]) == 1
    assert paired_p_value([1], [0], trials=99) == 1
    assert paired_p_value([1] * 40, [0] * 40, trials=99) == 0.01


def test_p_value_is_fixed_by_its_seed_and_symmetric(monkeypatch):
    first, second = np.random.default_rng(7).random((2, 30))
    whole = paired_p_value(first, second, trials=500, seed=1)
    assert whole == paired_p_value(second.tolist(), first.tolist(), trials=500, seed=1)
    assert whole != paired_p_value(first, second, trials=500, seed=2)
    monkeypatch.setattr("kgloss_hf.evaluation.metrics._RESAMPLED_AT_ONCE", 100)
    assert paired_p_value(first, second, trials=500, seed=1) == whole


@pytest.mark.parametrize(
    ("first", "second", "trials", "error", "message"),
    [
        ([1, 2], [1], 10, ValueError, "equally many scores for both systems, found 2 and 1"),
        ([], [], 10, ValueError, "scores: expected"),
        (["a"], [1], 10, TypeError, "scores: expected numbers"),
        ([1], [1], 0, ValueError, "trials: expected at least 1, found 0"),
    ],
)
def test_p_value_errors(first, second, trials, error, message):
    with pytest.raises(error, match=message):
        paired_p_value(first, second, trials=trials)


def test_evaluate_agrees_with_the_function(metric):
    predictions = [["집", "불"], [], "집 도둑", ["V (불꽃무늬)"]]
    references = ["집 불 나다", "집", ["도둑"], ["V (불꽃무늬)"]]
    options = {"multiset": True, "types": TYPES, "resamples": 50, "seed": 3}
    for chosen in ({}, options):
        result = metric.compute(predictions=predictions, references=references, **chosen)
        assert result == jaccard_result(predictions, references, **chosen)


def test_evaluate_adds_pair_by_pair_and_batch_by_batch(metric):
    metric.add(prediction="집 불", reference=["집"])
    metric.add_batch(predictions=[["집"], "불"], references=["집", ["도둑"]])
    assert metric.compute()["jaccard"] == 50
    metric.add(prediction="집 불", reference=[["집"], ["집", "불"]])
    metric.add_batch(predictions=["물"], references=["물"])
    result = metric.compute()
    assert (result["jaccard"], result["jaccard_best"]) == (87.5, 100)


@pytest.fixture(scope="module")
def app():
    spec = importlib.util.spec_from_file_location("gloss_jaccard_app", SCRIPT / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_app_computes_without_gradio(app):
    mean, interval, signature, rows = app.score("집 불\n\n<b>", "불\n집\n<b>\n")
    assert (mean, signature) == (50, f"jaccard|set|nonmanual:kept|bs:1000|seed:0|v:{__version__}")
    assert interval == "0.00 – 100.00"
    assert rows == [["집 불", "불", 50], ["", "집", 0], ["<b>", "<b>", 100]]
    assert app.score("집 집", "집", multiset=True)[0] == 50
    with pytest.raises(ValueError, match="1 prediction and 2 references"):
        app.score("집", "집\n불")
    with pytest.raises(ValueError, match="expected at most 500,000 characters, found 500,001"):
        app.score("집", "집" * 500_001)


def test_app_answers_requests(app, monkeypatch):
    pytest.importorskip("gradio", reason="the Space's demo needs gradio")
    client = pytest.importorskip("gradio_client")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    demo = app.build()
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    try:
        caller = client.Client(url, verbose=False)
        mean, _, signature, table = caller.predict("집 불\n집", "불\n집", False, api_name="/score")
        assert mean == 75
        assert signature.startswith("jaccard|set|")
        assert table["data"] == [["집 불", "불", 50], ["집", "집", 100]]
        with pytest.raises(Exception, match="1 prediction and 2 references"):
            caller.predict("집", "집\n불", False, api_name="/score")
    finally:
        demo.close()
