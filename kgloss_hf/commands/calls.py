"""Functions of the commands. Each imports what it needs, so that `kgloss --help` imports nothing slow."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..files import check_file, check_model, check_output
from ..options import check_arguments, parse_arguments, suggestion, wants_help
from ..reporting import Table, counted, print_tables, visible
from .translate import models_among


def train(*, words: Sequence[str]) -> None:
    """Train a text-to-gloss model."""
    _check_early("kgloss train", train_dataclasses(), words)
    from ..training.text2gloss import main

    main(words, program="kgloss train")


def train_dataclasses() -> tuple[type, ...]:
    """Return the options of `train`, except for those of transformers."""
    from ..training.arguments import DataArguments, DecodingArguments, ModelArguments, TrainingDefaults

    return DataArguments, ModelArguments, DecodingArguments, TrainingDefaults


def pretext(*, words: Sequence[str]) -> None:
    """Train a model on the pretext task."""
    _check_early("kgloss pretext", pretext_dataclasses(), words)
    from ..training.pretext_run import main

    main(words, program="kgloss pretext")


def pretext_dataclasses() -> tuple[type, ...]:
    """Return the options of `pretext`, except for those of transformers."""
    from ..training.arguments import PretextDataArguments, PretextModelArguments, TrainingDefaults

    return PretextDataArguments, PretextModelArguments, TrainingDefaults


def table5(*, words: Sequence[str]) -> None:
    """Reproduce the paper's Table 5."""
    if wants_help(words):
        _parsed("kgloss table5", words, *table5_dataclasses())
    _check_early("kgloss table5", table5_dataclasses(), words)
    from ..training.table5_run import main

    main(words, program="kgloss table5")


def table5_dataclasses() -> tuple[type, ...]:
    """Return the options of `table5`."""
    from ..training.arguments import Table5Arguments

    return (Table5Arguments,)


def baseline(*, analyzer: str, **options: Any) -> None:
    """Print the scores of both baselines."""
    from ..data.arguments import CorpusArguments

    chosen = CorpusArguments(**_with_dataset(options, "mcksg"))
    from ..data.parts import load_corpus
    from ..evaluation.baselines import baseline_predictions
    from ..evaluation.results import human_scores, score_table, scores_on

    corpus = load_corpus(chosen)
    _say(corpus.note)
    test = corpus.split.test
    scores = scores_on([pair.glosses for pair in test], baseline_predictions(corpus.split, analyzer))
    scores |= human_scores(test)
    print_tables([score_table(f"Scores on {counted(len(test), 'test pair')}", scores)])


def _with_dataset(options: dict[str, Any], default: str | None = None) -> dict[str, Any]:
    """Return options with the data set, which may be named with or without `--dataset`."""
    named, dataset = options.pop("named"), options.pop("dataset")
    if named and dataset not in (None, default):
        raise ValueError(f"expected {named} or --dataset {dataset}, found both; leave one out")
    if not (chosen := named or dataset):
        raise ValueError("expected the name of a data set, found none; add it, such as mcksg or pairs.csv")
    _check_data(chosen)
    return {**options, "dataset": chosen}


def _check_early(program: str, dataclasses: Sequence[type], words: Sequence[str]) -> None:
    """Check options and data before the libraries of training are imported."""
    if not wants_help(words):
        data, *_ = check_arguments(program, dataclasses, words)
        _check_data(data.dataset, data.train, data.validation, data.test)


def _check_data(*names: str | None) -> None:
    """Check that files exist and names of data sets are spelt correctly, before anything slow is imported."""
    from ..artefacts import DATASETS
    from ..data.lines import is_text_file
    from ..data.rows import is_files

    for name in filter(None, names):
        if is_files(name) or is_text_file(name):
            for file in name.split(","):
                for part in [file] if Path(file).exists() else file.split("+"):
                    check_file(part, folders=True)
        elif name not in DATASETS and not Path(name).exists() and (meant := suggestion(name, DATASETS)):
            raise ValueError(f"{name}: expected {', '.join(DATASETS)}, a Hub id, or files{meant}")


def train_tokenizer(*, words: Sequence[str]) -> None:
    """Parse command-line words, learn a vocabulary, and print how well it fits."""
    (chosen,) = _parsed("kgloss train-tokenizer", words, *train_tokenizer_dataclasses())
    _check_data(chosen.dataset, chosen.train, chosen.validation, chosen.test, *chosen.corpus)
    from ..training.tokenizer_run import train_and_save, vocabulary_tables

    print_tables(vocabulary_tables(train_and_save(chosen)))
    print(f"The tokenizer and statistics.json are in {chosen.output_dir}")


def train_tokenizer_dataclasses() -> tuple[type, ...]:
    """Return the options of `train_tokenizer`."""
    from ..training.arguments import TokenizerTrainingArguments

    return (TokenizerTrainingArguments,)


def back_translate(*, words: Sequence[str]) -> None:
    """Parse command-line words, build a pretext corpus or estimate its cost, and print the result."""
    chosen, thresholds = _parsed("kgloss back-translate", words, *back_translate_dataclasses())
    _check_data(*chosen.sources)
    from ..back_translation.corpus import build_corpus, estimate
    from ..back_translation.report import corpus_tables, estimate_table

    if chosen.dry_run:
        print_tables([estimate_table(estimate(chosen))])
    elif (manifest := build_corpus(chosen, thresholds))["result"]:
        print_tables(corpus_tables(manifest))
        print(f'load_dataset("ko_backtranslation", data_dir="{chosen.output_dir}") reads the pairs')


def back_translate_dataclasses() -> tuple[type, ...]:
    """Return the options of `back_translate`."""
    from ..back_translation.corpus import BackTranslationArguments
    from ..back_translation.filters import Thresholds

    return BackTranslationArguments, Thresholds


def _parsed(program: str, words: Sequence[str], *dataclasses: Any) -> tuple[Any, ...]:
    from transformers import HfArgumentParser

    return parse_arguments(HfArgumentParser(dataclasses, prog=program), words)


def evaluate(**options: Any) -> None:
    """Print the scores of predictions in files."""
    for name in ("predictions", "baseline", "types", "references"):
        if (path := options[name]) is not None:
            several = name == "predictions" and not Path(path).exists()  # review sheets
            for file in path.split(",") if several else [path]:
                check_file(file, folders=name == "references")
    from ..evaluation.results import evaluation_table, review_table
    from ..evaluation.scores import evaluate_files

    result = evaluate_files(**options)
    print_tables(
        [evaluation_table(result["scores"]), *([review_table(result["review"])] if "review" in result else [])]
    )


def export_dataset(**options: Any) -> None:
    """Export a data set and print the rows of each split."""
    options = _with_dataset(options)
    options["name"] = options.pop("dataset")
    from ..hub.dataset_export import export_dataset

    parts = export_dataset(**options).parts
    rows = [(config, split, f"{part.rows:,}") for config, splits in parts.items() for split, part in splits.items()]
    print_tables([Table(f"Exported to {options['output_dir']}", ("configuration", "split", "rows"), rows)])


def dataset_stats(*, output_dir: str, analyzer: str, **options: Any) -> None:
    """Print and write the statistics of a data set."""
    from ..data.arguments import PartArguments

    chosen = PartArguments(**_with_dataset(options))
    from ..hub.dataset_stats import statistics_tables, write_statistics

    print_tables(statistics_tables(write_statistics(chosen, output_dir, analyzer=analyzer)))
    print(f"statistics.json, statistics.md and lengths.png are in {output_dir}")


def translate(*, others: Sequence[str], sentences: Sequence[str], output: str | None, **options: Any) -> int:
    """Translate, and return 1 if lines or cues could not be read."""
    models, sentences = models_among(sentences)
    for model in (options["model"], *models, *others):
        check_model(model)
    from .subtitles import format_of_lines, subtitles_among, translate_subtitles, written

    film = subtitles_among(sentences, options["input"])
    if (options["input"] or "-") != "-":
        check_file(options["input"])
    _check_lexicon(options["lexicon"])
    options |= {"others": [*models, *others]}
    if film is not None:
        del options["input"]
        return int(written(partial(translate_subtitles, path=film, name=output, **options), output, film) > 0)
    options["format"] = format_of_lines(options["format"], output)
    for option in ("durations", "encoding"):
        if options.pop(option) is not None:
            raise ValueError(f"{option}: expected subtitles (.srt or .vtt), found sentences or lines; leave it out")
    from .translate import translate

    # Under a locale that is not UTF-8, Python keeps the bytes of a sentence as surrogates.
    options["sentences"] = [
        re.sub("[\udc80-\udcff]+", lambda half: os.fsencode(half[0]).decode("utf-8", "replace"), text)
        for text in sentences
    ]
    return int(written(partial(translate, **options), output, options["input"]) > 0)


def review(*, others: Sequence[str], sentences: str, output: str, **options: Any) -> None:
    """Write a review sheet and print its counts."""
    for model in (options["model"], *others):
        check_model(model)
    from ..data.rows import is_files

    _check_data(sentences)
    if not is_files(sentences) and not Path(sentences).exists() and not re.fullmatch(r"\w[\w./:-]*", sentences, re.A):
        raise ValueError(f"expected a file or a data set with sentences, found {sentences!r}; write it to a file")
    from .review import review

    counts = review(sentences=sentences, output=output, others=others, **options)
    names = {"blank": "blank", "repeated": "repeated", "certain": "more certain (beyond --limit)"}
    left_out = ", ".join(f"{counts[name]:,} {words}" for name, words in names.items() if counts[name])
    written = counted(counts["written"], "sentence")
    _say(f"{output}: {written}, the least certain first{f'; left out: {left_out}' if left_out else ''}")


def _check_lexicon(name: str | None) -> None:
    """Check that the files of a lexicon exist, before anything slow is imported."""
    for file in [] if name is None else [name] if Path(name).exists() else name.split(","):
        check_file(file, folders=True)


def coverage(*, lexicon: str, output: str | None, **options: Any) -> None:
    """Print how many glosses of a model's vocabulary or of a corpus a lexicon can play."""
    from ..data.arguments import SourceArguments
    from .coverage import coverage_tables, is_model, measure, write_missing

    named, dataset = options.pop("named"), options.pop("dataset")
    if named and dataset:
        raise ValueError(f"expected {named} or --dataset {dataset}, found both; leave one out")
    if not (name := named or dataset):
        raise ValueError("expected a model or corpus, found none; name it after the lexicon")
    _check_lexicon(lexicon)
    if output:
        check_output(output, [*lexicon.split(","), lexicon, *name.split(","), name], suffix=".csv")
    if dataset or not is_model(name) or not Path(name).exists():
        _check_data(name)
    from ..data.lexicon import load_lexicon

    entries = load_lexicon(lexicon, on_bad_rows=options["on_bad_rows"])
    measured = measure(entries, SourceArguments(**options, dataset=name), corpus=bool(dataset))
    print_tables(coverage_tables(measured))
    if output:
        write_missing(measured, Path(output))
        _say(f"{output}: {counted(len(measured.missing), 'gloss', 'glosses')} that nothing plays")


def check(*, folder: str) -> int:
    """Print notes and problems of a folder, and return 1 if it has problems."""
    from ..hub.checking import check_folder

    report = check_folder(Path(folder))
    for line in (*report.notes, *report.problems):
        _say(f"{'problem' if line in report.problems else 'ok     '} {line}")
    return int(bool(report.problems))


def publish(*, dry_run: str | None, tag: str | None, handler: bool, benchmark: str | None, **options: Any) -> None:
    """Publish folders and print their addresses, or write and list the files of a dry run."""
    for kind, mark in (("model", "config.json"), ("tokenizer", "tokenizer_config.json")):
        for _, folder in options[kind]:
            if Path(folder).is_dir():
                check_model(folder, mark=mark)
    from ..hub import publishing

    publications = [publishing.Publication(kind, *words) for kind in publishing.KINDS for words in options.pop(kind)]
    if not publications:
        raise ValueError(f"expected one of {', '.join(f'--{kind}' for kind in publishing.KINDS)}, found none; add one")
    added: dict[str, Any] = {"tag": tag, "handler": handler, "benchmark": benchmark}
    if dry_run:
        for name, files in publishing.dry_run(publications, dry_run, say=_say, **added).items():
            _say("\n  ".join([f"{name}:", *files]))
    else:
        for published in publishing.publish(publications, say=_say, **added, **options):
            print(published.url)


def serve(*, model: str, others: Sequence[str], **options: Any) -> int:
    """Serve over HTTP until the process is told to end, and return 1 if a worker could not start."""
    for name in (model, *others):
        check_model(name)
    _check_lexicon(options["lexicon"])
    from .serving import serve

    return serve(model, others=others, **options)


def _say(line: str) -> None:
    print(visible(line))


def doctor(*, timeout: float) -> int:
    """Print each finding at once, and return 1 if something that is needed is broken."""
    from .doctor import examine

    statuses = []
    for finding in examine(timeout):
        print(finding, flush=True)
        statuses.append(finding.status)
    return int("error" in statuses)
