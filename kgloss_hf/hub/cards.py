"""Render the cards of models and tokenizers from the facts of a run, and check cards for gaps and contradictions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from ..artefacts import DATASETS, artefact
from ..data.tables import is_table
from ..evaluation.comparisons import comparison_words, decoding_words
from ..evaluation.results import established_scores
from ..files import read_json, write_json
from ..reporting import counted, escaped, one_line, pipe_table
from .licences import UNKNOWN, license_of, license_problems
from .remote_code import PACKAGES

_NOT_STATED = "not stated"
"""Placeholder in a card for each fact that the run did not record; `card_problems` reports it."""

_OF_ALL = ("language", "license", "library_name", "tags")
REQUIRED = {
    "text2gloss": (*_OF_ALL, "pipeline_tag", "metrics", "model-index"),
    "pretext": (*_OF_ALL, "pipeline_tag"),
    "tokenizer": _OF_ALL,
    "dataset": ("language", "license", "pretty_name", "size_categories", "task_categories"),
}
"""Metadata that each kind of card requires. The first three kinds have a template, `model_cards/KIND.md`."""

_TAGS = {
    "text2gloss": ["sign-language", "korean-sign-language", "gloss", "text2gloss", "kgloss-hf"],
    "pretext": ["korean", "paraphrase", "pretext", "kgloss-hf"],
    "tokenizer": ["sign-language", "gloss", "tokenizer", "kgloss-hf"],
}
EXAMPLES = ("이 토기는 4세기에 만들어졌습니다.", "박물관 2층에서 그림을 볼 수 있습니다.")
"""Example sentences on a model's page."""

_ARCHITECTURES = {
    "encoder-decoder": "an encoder-decoder of two BERTs",
    "kgloss-joined": "an encoder-decoder with joined states of its encoder",
    "kgloss-rnn": "GRUs with additive attention",
}
_ESTABLISHED = {
    "jaccard_multiset": ("Jaccard of multisets", None),
    "bleu_1": ("BLEU-1", None),
    "bleu_2": ("BLEU-2", None),
    "bleu_3": ("BLEU-3", None),
    "bleu_4": ("BLEU-4", "bleu"),
    "chrf": ("chrF", "chrf"),
    "rouge_l": ("ROUGE-L", "rouge"),
    "gloss_error_rate": ("gloss error rate (lower is better)", "wer"),
    "exact_match": ("exact match", "exact_match"),
    # Where a sentence has several references
    "jaccard_mean_by_sentence": ("JC, mean over the references of a sentence, by sentence", None),
    "jaccard_best_by_row": ("JC with the closest reference, by row", None),
    "jaccard_best_by_sentence": ("JC with the closest reference, by sentence", None),
    "bleu_4_of_references": ("BLEU-4 against all references", None),
    "chrf_of_references": ("chrF against all references", None),
}
"""Titles of the scores, each with the Hub's name of the metric if the score is also in the model-index."""

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
# An indented line is code, such as a command; BibTeX writes `title = {{...}}`.
_NOT_JINJA = re.compile(r"^(?: {4}.*|\s*\w+ *= *\{\{.*\}\},?)$", re.MULTILINE)


def model_card(folder: Path) -> str:
    """Return the card of a trained model: a text-to-gloss model if metrics.json has scores, otherwise a pretext model.

    Facts that the run did not record appear as `not stated`; nothing is made up. No value can act as markup in the
    card.

    Args:
        folder: Folder with metrics.json and config.json, and optionally tokenizer_config.json and training.png.

    Returns:
        Markdown with YAML metadata, in which `NAMESPACE/NAME` and `"COMMIT"` stand for the repository and its revision.

    Raises:
        FileNotFoundError: metrics.json or config.json does not exist.

    Examples:
        >>> import shutil, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = shutil.copy(Path(getfixture("checkpoint"), "config.json"), folder)
        >>> _ = (folder / "metrics.json").write_text('{"pairs": {"train": 249}}', "utf-8")
        >>> "Pairs: 249 for training, not stated for validation." in model_card(folder)
        True
    """
    metrics, config = (read_json(folder / name) for name in ("metrics.json", "config.json"))
    tokenizer = folder / "tokenizer_config.json"
    analyzer: Any = read_json(tokenizer).get("analyzer") if tokenizer.is_file() else "okt"
    kind = "text2gloss" if "scores" in metrics else "pretext"
    data, scores = metrics.get("data") or [], metrics.get("scores") or {}
    init_from = metrics.get("init_from") or {}
    pretrained = (metrics.get("base_model") or {}).get("name")
    base = pretrained or init_from.get("base_model") or (metrics.get("pretext") or {}).get("base_model")
    pairs, split = metrics.get("pairs") or {}, metrics.get("split") or {}
    system = metrics.get("preset") if metrics.get("preset") in scores else next(reversed(scores), None)
    established = metrics.get("established") or "metrics.json holds none"
    reason, established = (established, {}) if isinstance(established, str) else ("", established)
    rows = [
        (title, metric, score.get("system") or {}, score.get("signature"))
        for name, (title, metric) in _ESTABLISHED.items()
        if (score := established.get(name))
    ]
    results = _results(metrics, scores[system], rows) if scores else []
    co2, emissions = _emissions(metrics)
    card_data = ModelCardData(
        language=["ko"] if analyzer in PACKAGES else None,
        pipeline_tag="translation",
        datasets=[
            entry["name"] for entry in data if entry.get("use") != "base model" and _is_on_the_hub(entry.get("name"))
        ]
        or None,
        base_model=base if _is_on_the_hub(base) else None,
        base_model_relation="finetune" if _is_on_the_hub(base) else None,
        widget=[{"text": text} for text in EXAMPLES] if kind == "text2gloss" else None,
        metrics=[result.metric_type for result in results] or None,
        model_name="NAMESPACE/NAME" if results else None,
        eval_results=results or None,
        co2_eq_emissions=co2,
    )
    glosses = [entry for entry in data if entry.get("use") in ("glosses", "earlier glosses")]
    best = (metrics.get("best_validation") or {}).items()
    versions = (metrics.get("versions") or {}).items()
    values = {
        "architecture": _architecture(config, pretrained=pretrained is not None),
        "packages": PACKAGES.get(analyzer, ""),
        "domains": _text("; ".join(str(entry["domain"]) for entry in glosses or data if entry.get("domain"))),
        "dropped": metrics.get("extra_pairs_dropped") and _number(metrics["extra_pairs_dropped"]),
        **{part: _number(pairs.get(part)) for part in ("train", "validation", "test")},
        "split_by": split.get("by"),
        "split_seed": _text(split.get("seed")),
        **{name: _text(metrics.get(name)) for name in ("preset", "epochs", "seed", "hardware")},
        **{name: _number(metrics.get(name)) for name in ("parameters", "steps")},
        "seconds": _number(metrics.get("train_seconds"), ",.0f"),
        "best": _text(", ".join(f"{name} {_number(value, '.4g')}" for name, value in best)),
        "versions": _text(", ".join(f"{name} {version}" for name, version in versions)),
        "emissions": emissions,
        "hyperparameters": _settings(metrics.get("hyperparameters") or {}),
        "command": one_line(metrics.get("command") or _NOT_STATED),
        "base_model": pretrained and _text(pretrained),
        "base_licence": _text((metrics.get("base_model") or {}).get("license")),
        "refit_epochs": (metrics.get("refit") or {}).get("epochs") and _number(metrics["refit"]["epochs"], "g"),
        "pretext_command": one_line((metrics.get("pretext") or {}).get("command") or ""),
        "init_from": init_from and _text(init_from.get("base_model") or "a trained model"),
        "init_command": one_line(init_from.get("command") or _NOT_STATED),
        "added_glosses": _number(init_from.get("added_glosses")),
        "curve": (folder / "training.png").is_file(),
        "system": _text(system),
        "scores": _table(
            ("system", "JC", "95% interval", "signature"),
            ((name, *_interval(score, "jaccard"), score.get("signature")) for name, score in scores.items()),
        ),
        "comparisons": _text(" ".join(comparison_words(str(system), metrics.get("comparisons") or {}, advice=False)))
        if metrics.get("comparisons")
        else "",
        "decoding": _text(decoding_words(metrics["decoding"])) if metrics.get("decoding") else "",
        "established": rows
        and _table(
            ("score", "value", "95% interval", "signature"),
            ((title, *_interval(score, "score"), signature) for title, _, score, signature in rows),
        ),
        "reason": _text(reason),
    }
    return _render(kind, card_data, data, values)


def write_facts(folder: Path, facts: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Write metrics.json, predictions.jsonl and the card, README.md, next to a run's weights.

    Args:
        folder: Folder with the model, and with training.png if the card should show it.
        facts: Content of metrics.json, to which `established` is added: the established scores of the predictions, or
            the reason why there are none.
        predictions: Rows of predictions.jsonl (default: the file is not written).

    Examples:
        >>> import shutil, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = shutil.copy(Path(getfixture("checkpoint"), "config.json"), folder)
        >>> write_facts(folder, {"pairs": {"train": 249}})
        >>> sorted(path.name for path in folder.iterdir())
        ['README.md', 'config.json', 'metrics.json']
    """
    if predictions is not None:
        file = folder / "predictions.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in predictions), "utf-8")
        facts = {**facts, "established": established_scores(file)}
    write_json(folder / "metrics.json", facts)
    (folder / "README.md").write_text(model_card(folder), "utf-8")


def tokenizer_card(folder: Path) -> str:
    """Return the card of a tokenizer that `kgloss train-tokenizer` made, in the form of `model_card`.

    Args:
        folder: Folder with statistics.json.

    Raises:
        FileNotFoundError: statistics.json does not exist.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "statistics.json").write_text('{"vocabulary": {"size": 1300}}', "utf-8")
        >>> "1,300 entries, made with kgloss-hf" in tokenizer_card(folder)
        True
    """
    statistics = read_json(folder / "statistics.json")
    arguments = statistics.get("arguments") or {}
    stated_elsewhere = ("corpus", "dataset", "data_dir", "data_license", "data_domain", "output_dir")
    options = {name: value for name, value in arguments.items() if name not in stated_elsewhere}
    corpus, pairs = (statistics.get(name) or {} for name in ("corpus", "pairs"))
    shared = statistics.get("target_in_source") or {}
    vocabulary = statistics.get("vocabulary") or {}
    values = {
        "analyzer": _text(options.get("analyzer")),
        "packages": PACKAGES.get(str(options.get("analyzer")), ""),
        "latin_words": options.get("analyzer") in PACKAGES,
        "model": "whole words" if options.get("model") == "wordlevel" else "word pieces",
        "size": _number(vocabulary.get("size")),
        "vocabulary": _table(("entries", "number"), ((name, _number(count)) for name, count in vocabulary.items())),
        "fit": _table(
            ("measure", "corpus", "pairs"),
            ((name, *(_measure(name, part.get(name)) for part in (corpus, pairs))) for name in corpus),
        ),
        **{name: _number(shared.get(name), ".1%") for name in ("of_tokens", "mean_of_pairs")},
        "options": _settings(options | (statistics.get("versions") or {})),
    }
    language = ["ko"] if options.get("analyzer") in PACKAGES else None
    return _render("tokenizer", ModelCardData(language=language), statistics.get("data") or [], values)


def card_problems(text: str, data: Sequence[Mapping[str, Any]]) -> list[str]:
    """List a card's gaps and contradictions, one sentence each: what was expected, what was found, what to do.

    Args:
        text: Text of the card. If its metadata have `pretty_name`, `size_categories` or `task_categories`, it is the
            card of a data set; otherwise its kind is the one among its tags, or else a text-to-gloss model.
        data: The training data, as `data` in metrics.json; empty if there are none.

    Examples:
        >>> card_problems("---\\nlanguage: ko\\nlicense: mit\\ntags: [tokenizer]\\n---\\n", [])[0]
        'metadata: expected library_name, found none; add it between the two lines ---'
    """
    block = REGEX_YAML_BLOCK.search(text)
    try:
        if block and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(block[2])):
            # A few lines of references can expand to more than memory holds.
            return ["metadata: expected values, found a reference (*) to one; write the value in its place"]
        parsed = ModelCard(text).data
        fields = parsed.to_dict()
    except Exception as error:  # PyYAML and huggingface_hub raise errors of many kinds on unexpected input
        return [f"metadata: expected YAML that huggingface_hub reads, found an error: {error}; correct it"]
    tags = fields.get("tags") or []
    kind = next((name for name in _TAGS if name in tags), "text2gloss")
    if not fields.keys().isdisjoint(("pretty_name", "size_categories", "task_categories")):
        kind = "dataset"
    read = fields | {"model-index": parsed.get("eval_results")}
    missing = [name for name in REQUIRED[kind] if not read.get(name)]
    problems = [f"metadata: expected {name}, found none; add it between the two lines ---" for name in missing]
    index = (yaml.safe_load(block[2]) or {}).get("model-index") if block else None
    if index != fields.get("model-index"):
        problems.append(
            f"metadata: expected a model-index that huggingface_hub reads and writes back unchanged, found "
            f"{index!r:.90}; write it with huggingface_hub.EvalResult"
        )
    licences = fields.get("license") or []
    licences = [str(licence) for licence in (licences if isinstance(licences, list) else [licences])]
    named = {"name": fields.get("license_name"), "link": fields.get("license_link")}
    body = text[block.end() :] if block else text
    problems += license_problems(licences, data, body, of_data=kind == "dataset", **named)
    headings = re.findall(r"^## .+$", _template(kind), re.MULTILINE) if kind in _TAGS else []
    lines = [line.strip() for line in text.splitlines()]
    problems += [f"expected the section {name!r}, found none; add it" for name in headings if name not in lines]
    problems += [
        f"line {number}: expected a fact, found {line!r:.90}; write the fact in place of {_NOT_STATED!r}"
        for number, line in enumerate(lines, 1)
        if _NOT_STATED in line.lower()
    ]
    problems += [
        f"expected a value, found the template expression {expression!r:.60}; write the value in its place"
        for expression in _JINJA.findall(_NOT_JINJA.sub("", text))
    ]
    return problems


def _template(kind: str) -> str:
    return artefact(f"model_cards/{kind}.md").read_text("utf-8")


def _render(kind: str, card_data: ModelCardData, data: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> str:
    card_data["license"] = licence = license_of(data)
    # The Hub prints no code for a library that it does not know; its code for transformers would not run here.
    card_data["library_name"], card_data["tags"] = "kgloss-hf", _TAGS[kind]
    own = dict.fromkeys(entry.get("name") for entry in data if entry.get("name") in DATASETS)
    cards = (artefact(f"dataset_scripts/{name}/README.md").read_text("utf-8") for name in own)
    papers = (re.search(r"^## Citation\n(.+?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL) for card in cards)
    values = {
        **values,
        "data": _table(
            ("corpus", "use", "licence", "domain", "source"),
            (
                [entry.get(name) for name in ("name", "use", "license")]
                + [entry.get(name) or "–" for name in ("domain", "url")]
                for entry in data
            ),
        ),
        "licence": _NOT_STATED if licence == UNKNOWN else licence,
        "citations": [paper[1].strip() for paper in papers if paper],
    }
    # Not by template_path, since the script era's huggingface_hub reads files in the locale's encoding.
    card = ModelCard.from_template(card_data, template_str=_template(kind), **values)
    return f"{str(card).rstrip()}\n"


def _results(metrics: Mapping[str, Any], own: Mapping[str, Any], established: Iterable[Any]) -> list[EvalResult]:
    """Return the model-index: the Jaccard score, and each established score for which the Hub has a metric."""
    names = [entry.get("name") for entry in metrics.get("data") or [] if entry.get("use") == "glosses"]
    dataset = " + ".join(one_line(name) for name in names if name) or _NOT_STATED
    split = {
        f"split_{name}": value if isinstance(value, int) else one_line(value)
        for name, value in (metrics.get("split") or {}).items()
        if name in ("by", "seed")
    }
    rows = [("gloss_jaccard", "JC, mean set Jaccard × 100", own.get("jaccard"), own.get("signature"))]
    rows += [(metric, title, score.get("score"), mark) for title, metric, score, mark in established if metric]
    return [
        EvalResult(
            task_type="translation",
            dataset_type=dataset,
            dataset_name=dataset,
            dataset_split="test",
            dataset_args=split or None,
            metric_type=metric,
            metric_name=title,
            metric_value=round(value, 2),
            metric_args={"signature": one_line(signature)} if signature else None,
        )
        for metric, title, value, signature in rows
        if isinstance(value, int | float)
    ]


def _emissions(metrics: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return the measured emissions, in grams, as the Hub's metadata and in words."""
    measured = metrics.get("emissions")
    if not measured:
        return None, "not measured"
    kilograms = measured.get("kg_co2_eq")
    grams = float(f"{1000 * kilograms:.4g}") if isinstance(kilograms, int | float) else None
    facts = {
        "source": measured.get("source"),
        "training_type": "fine-tuning" if metrics.get("pretext") or metrics.get("init_from") else "pre-training",
        "geographical_location": measured.get("country"),
        "hardware_used": metrics.get("hardware"),
    }
    place = f", {_text(measured['country'])}" if measured.get("country") else ""
    words = f"{_number(grams)} g of CO₂ equivalent, measured by {_text(measured.get('source'))}{place}"
    return {"emissions": grams} | {name: one_line(value) for name, value in facts.items() if value}, words


def _architecture(config: Mapping[str, Any], *, pretrained: bool) -> str:
    name = _ARCHITECTURES.get(str(config.get("model_type"))) or _text(config.get("model_type"))
    half, other = (config.get(part) or {} for part in ("encoder", "decoder"))
    if half and other and pretrained:
        kind, (first, second) = _text(half["model_type"]), (_size_of(part) for part in (half, other))
        encoder = f"an encoder-decoder of a pre-trained encoder ({kind}, {first})"
        if layers := config.get("joined_layers"):
            *others, last = map(_text, layers)
            fresh = config.get("fresh_layers", 1)
            encoder += f", whose states {', '.join(others)} and {last} are" if others else f", whose state {last} is"
            encoder += f" joined and read by {_counted(fresh, 'new layer')},"
        return f"{encoder} and a decoder of {second}"
    layers, width = half.get("num_hidden_layers"), half.get("hidden_size")
    return f"{name}, each of {_counted(layers, 'layer')} of width {_number(width)}" if layers and width else name


def _size_of(part: Mapping[str, Any]) -> str:
    layers = part.get("num_hidden_layers", part.get("n_layers"))
    return f"{_counted(layers, 'layer')} of width {_number(part.get('hidden_size', part.get('dim')))}"


def _is_on_the_hub(name: Any) -> bool:
    if not isinstance(name, str) or is_table(name) or os.path.exists(name):  # Path raises for a long name
        return False
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name, re.ASCII))


def _interval(score: Mapping[str, Any], key: str) -> tuple[str, str]:
    low, high = (_number(score.get(name), ".2f") for name in ("low", "high"))
    return _number(score.get(key), ".2f"), f"{low} – {high}" if "low" in score else "–"


def _measure(name: str, value: Any) -> str:
    share = name == "coverage" or name.endswith("_rate")
    form = ".2%" if share else ",.2f" if isinstance(value, float) else ","
    return _number(value, form)


def _number(value: Any, form: str = ",") -> str:
    return format(value, form) if isinstance(value, int | float) else _NOT_STATED


def _counted(value: Any, singular: str) -> str:
    return counted(value, singular) if isinstance(value, int) else f"{_number(value)} {singular}s"


def _settings(values: Mapping[str, Any]) -> str:
    return _table(("name", "value"), ((name, "none" if value is None else value) for name, value in values.items()))


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    return pipe_table(header, [map(_text, row) for row in rows] or [[_NOT_STATED] * len(header)])


def _text(value: Any) -> str:
    return escaped("" if value is None else value) or _NOT_STATED
