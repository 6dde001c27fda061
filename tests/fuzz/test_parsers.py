"""Scores, prediction files, cards with their metadata, and folders to be published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub.repocard import metadata_load
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sacrebleu")
pytest.importorskip("rouge_score")
pytest.importorskip("jiwer")
pytest.importorskip("detect_secrets")

from kgloss_hf.evaluation.metrics import jaccard_result, jaccard_scores, paired_p_value
from kgloss_hf.evaluation.prediction_files import _read, read_lexicon
from kgloss_hf.evaluation.scores import evaluate_files
from kgloss_hf.evaluation.sequences import gloss_pairs
from kgloss_hf.files import public_path
from kgloss_hf.hub.cards import card_problems, model_card
from kgloss_hf.hub.checking import _card_problems, _Report, _text_problems
from kgloss_hf.hub.licences import UNKNOWN, license_of, license_problems

from .strategies import GLOSS, HALVES, HUGE, TEXT, damaged, json_text, json_values, share

SEQUENCE = st.lists(st.sampled_from(("집", "불", "V (불꽃무늬)", "", " ", "4C")) | GLOSS, max_size=6)
PAIRS = st.lists(st.tuples(SEQUENCE, SEQUENCE), min_size=1, max_size=5)


def written(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


@share(0.06)
@given(
    PAIRS,
    st.dictionaries(st.sampled_from(("집", "불", "4C")), st.sampled_from(("sign_word", "non_manual"))),
    st.booleans(),
    st.integers(0, 3),
)
def test_jaccard_has_its_bounds(pairs: list[Any], types: dict[str, str], multiset: bool, resamples: int) -> None:
    predictions, references = map(list, zip(*pairs, strict=True))
    result = jaccard_result(predictions, references, multiset=multiset, types=types, resamples=resamples)
    assert 0 <= result["jaccard"] <= 100
    assert all(0 <= kind["jaccard"] <= 100 and 1 <= kind["pairs"] <= len(pairs) for kind in result["by_type"].values())
    if resamples:
        assert 0 <= result["low"] <= result["high"] <= 100
    swapped = jaccard_result(references, predictions, multiset=multiset, types=types, resamples=resamples)
    assert swapped == result
    assert jaccard_result(references, references, multiset=multiset)["jaccard"] == 100
    if "non_manual" in types.values():
        manual = jaccard_result(predictions, references, types=types, ignore_non_manual=True)
        assert "non_manual" not in manual["by_type"]


@share(0.15)
@given(PAIRS, st.integers(1, 20))
def test_a_p_value_is_a_probability(pairs: list[Any], trials: int) -> None:
    predictions, references = zip(*pairs, strict=True)
    one, other = jaccard_scores(predictions, references), jaccard_scores(references, references)
    p = paired_p_value(one, other, trials=trials)
    assert 1 / (trials + 1) <= p <= 1
    assert p == paired_p_value(other, one, trials=trials)
    assert paired_p_value(one, one, trials=trials) == 1


@share(0.3)
@given(json_values(), json_values())
def test_what_are_no_glosses_is_refused(predictions: Any, references: Any) -> None:
    try:
        sequences = gloss_pairs(predictions, references)
    except (TypeError, ValueError) as error:
        assert len(str(error)) < 500
    else:
        assert all(isinstance(gloss, str) for side in sequences[:2] for glosses in side for gloss in glosses)


ROW = st.fixed_dictionaries(
    {},
    optional={
        "prediction": SEQUENCE | TEXT | json_values(),
        "reference": SEQUENCE | TEXT | json_values(),
        "text": json_values(),
    },
)
LINE = st.one_of(ROW.map(json.dumps), ROW.map(lambda row: json.dumps(row, ensure_ascii=False)), json_text())


@share(0.2)
@given(
    st.lists(LINE, max_size=4).map(lambda lines: "\n".join(lines).encode(errors="replace"))
    | damaged(st.just(b'{"prediction": ["a"], "reference": "b"}\n' * 2))
)
def test_predictions_are_read_or_refused(folder: Path, content: bytes) -> None:
    path = written(folder, "predictions.jsonl", content)
    try:
        columns = _read(path, None, "utf-8")
    except (ValueError, TypeError) as error:
        assert path in str(error)
        assert len(str(error)) < 1000
    else:
        rows = sum(bool(line.strip()) for line in content.decode("utf-8-sig").split("\n"))
        assert all(len(column) == rows for column in columns.values())


@share(0.15)
@given(
    st.binary(max_size=60)
    | damaged(
        st.just("gloss,type\n집,sign_word\n불,iconic\n".encode())
        | st.integers(1, 200_000).map(lambda size: b"gloss,type\n" + b"a" * size + b",x")
    )
    | TEXT.map(lambda text: f"gloss,type\n{text},x\n".encode())
)
def test_a_lexicon_is_read_or_refused(folder: Path, content: bytes) -> None:
    path = written(folder, "lexicon.csv", content)
    try:
        types, synonyms = read_lexicon(path)
    except ValueError as error:
        assert path in str(error)
    else:
        assert all(gloss and kind for gloss, kind in types.items())
        assert not synonyms


@share(0.01)
@given(st.lists(st.tuples(*[SEQUENCE | st.lists(HALVES, max_size=2)] * 2), min_size=1, max_size=3))
def test_scores_have_their_bounds(folder: Path, pairs: list[Any]) -> None:
    lines = (json.dumps({"prediction": prediction, "reference": reference}) for prediction, reference in pairs)
    path = written(folder, "predictions.jsonl", "\n".join(lines).encode())
    try:
        report = evaluate_files(path, output_dir=str(folder / "scores"))
    except ValueError as error:
        assert path in str(error) or "found only empty sequences" in str(error)
        return
    for name, score in report["scores"].items():
        assert score["system"]["score"] >= 0
        assert name == "gloss_error_rate" or score["system"]["score"] <= 100 + 1e-9
    exact = 100 * sum(prediction == reference for prediction, reference in pairs) / len(pairs)
    assert report["scores"]["exact_match"]["system"]["score"] == pytest.approx(exact)
    json.loads((folder / "scores" / "scores.json").read_text("utf-8"))


LICENCE = st.one_of(
    st.sampled_from(("mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "gpl-3.0")),
    st.sampled_from(("other", "unknown", "none", "", "cc-by-nc-nd-4.0", "CC BY 4.0", "MIT")) | st.none(),
    st.text(max_size=5),
)
DATA = st.lists(
    st.fixed_dictionaries(
        {"license": LICENCE}, optional={"name": st.text(max_size=5) | st.sampled_from(("mcksg", "gksl", "a/b"))}
    ),
    max_size=4,
)


@share(1.5)
@given(DATA)
def test_the_licence_fits_the_data(data: list[Mapping[str, Any]]) -> None:
    licence = license_of(data)
    if licence != UNKNOWN:
        named = {"name": "mine", "link": "LICENSE"} if licence == "other" else {}
        assert license_problems([licence], data, "", **named) == []
        assert license_of([*data, {"license": "mit"}]) == licence


_FIELDS = """
    language license library_name tags pipeline_tag metrics model-index pretty_name size_categories datasets
    task_categories co2_eq_emissions base_model eval_results
"""
FIELD = st.sampled_from(_FIELDS.split())
FRONT = st.one_of(
    st.dictionaries(FIELD, json_values(), max_size=5).map(lambda fields: yaml.safe_dump(fields, allow_unicode=True)),
    st.dictionaries(FIELD, st.text("가a-[]{}:&*!|>'\"%@`#,? ", max_size=10), max_size=4).map(
        lambda fields: "\n".join(f"{name}: {value}" for name, value in fields.items())
    ),
    st.sampled_from(
        (
            *("- a", "a", "", "&a [*a]", "a: &a [*a]", "tags: &t {a: *t}", "? [a]\n: b", "license: !!int ''"),
            *("tags: !!bool x", "tags: [!!timestamp x]", "license: 2001-99-99", "license: 0x", "tags: !!set {a}"),
            *(
                "tags: !!binary /",
                "a: 1:99",
                "<<: 1",
                "tags: 5",
                "tags: {a: b}",
                "license: {a: b}",
                "language: =",
                "\0",
            ),
            *("model-index: 5", "model-index: [{}]"),
            *("model-index: [{name: a, results: []}]", "model-index: [{name: a, results: [{}]}]", "model-index: {}"),
        )
    ),
    TEXT,
    st.integers(1, 800).map(lambda depth: "a: " + "[" * depth),  # the parser is slow on more
    HUGE.map("license: {}".format),
)
CARD = st.builds(lambda front, text: f"---\n{front}\n---\n{text}", FRONT, TEXT) | TEXT


@share(0.1)
@given(CARD, DATA)
def test_any_card_has_problems_that_are_reported(folder: Path, card: str, data: list[Mapping[str, Any]]) -> None:
    problems = card_problems(card, data)
    assert problems
    assert all(isinstance(problem, str) for problem in problems)
    written(folder, "README.md", card.encode(errors="replace"))
    for kind in ("metric", "space"):
        assert all(isinstance(problem, str) for problem in _card_problems(folder / "README.md", kind, {}))


FACTS = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.one_of(st.none(), TEXT, HALVES, st.integers(), st.floats())
            for name in ("preset", "epochs", "seed", "hardware", "steps", "train_seconds", "command", "parameters")
        },
        "pairs": st.dictionaries(st.sampled_from(("train", "validation", "test")), st.none() | st.integers(0, 10**9)),
        "data": DATA,
        "split": st.fixed_dictionaries(
            {}, optional={"by": st.sampled_from(("group", "row")), "seed": st.integers() | TEXT}
        ),
        "versions": st.dictionaries(TEXT, TEXT, max_size=2),
        "hyperparameters": st.dictionaries(TEXT, st.none() | TEXT | st.floats(), max_size=3),
        "scores": st.dictionaries(
            st.sampled_from(("tiny", "nearest")) | TEXT,
            st.fixed_dictionaries(
                {"jaccard": st.floats(0, 100)},
                optional={"low": st.floats(0, 1), "high": st.floats(0, 1), "signature": TEXT},
            ),
            min_size=1,
            max_size=2,
        ),
        "established": TEXT
        | st.dictionaries(
            st.sampled_from(("bleu_4", "chrf", "rouge_l")) | TEXT,
            st.fixed_dictionaries(
                {},
                optional={
                    "signature": TEXT,
                    "system": st.dictionaries(st.sampled_from(("score", "low")), st.floats(0, 9)),
                },
            ),
            max_size=2,
        ),
        "emissions": st.fixed_dictionaries(
            {"kg_co2_eq": st.none() | st.floats(0, 10**6)}, optional={"source": TEXT, "country": TEXT}
        ),
    },
)


@share(0.02)
@given(FACTS)
def test_any_facts_make_a_card_that_can_be_read(folder: Path, facts: dict[str, Any]) -> None:
    written(folder, "metrics.json", json.dumps(facts).encode())
    written(folder, "config.json", b'{"model_type": "kgloss-rnn"}')
    card = model_card(folder)
    (folder / "README.md").write_text(card, "utf-8")
    fields: Any = metadata_load(folder / "README.md")
    assert fields["license"] == license_of(facts.get("data") or [])
    assert all(isinstance(problem, str) for problem in card_problems(card, facts.get("data") or []))


@share(0.06)
@given(
    st.binary(max_size=60) | TEXT.map(str.encode), st.sampled_from(("notes.txt", "a.md", "a.py", "a.json", "a.yaml"))
)
def test_any_file_is_looked_over(folder: Path, content: bytes, name: str) -> None:
    path = Path(written(folder, name, content))
    report = _Report(list(_text_problems(name, path)))
    assert all(problem.startswith(name) for problem in report.problems)


@share(2)
@given(st.text("/a.~=:\\C, -_가\0", max_size=20) | TEXT)
def test_a_public_path_has_no_folder_of_this_machine(word: str) -> None:
    public = public_path(word)
    assert public_path(public) == public
    assert "/home/" not in public_path(f"/home/me/{word.split(',')[0]}")
