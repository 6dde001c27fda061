"""The functions of the commands. Each imports what it needs, so that `kgloss --help` imports nothing slow."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..reporting import Table, print_tables, visible


def baseline(*, analyzer: str, **options: Any) -> None:
    """Print the score of both baselines."""
    from ..data.arguments import CorpusArguments
    from ..data.parts import load_corpus
    from ..evaluation.baselines import baseline_predictions
    from ..evaluation.results import human_scores, score_table, scores_on

    corpus = load_corpus(CorpusArguments(**options))
    _say(corpus.note)
    test = corpus.split.test
    scores = scores_on([pair.glosses for pair in test], baseline_predictions(corpus.split, analyzer))
    scores |= human_scores(test)
    print_tables([score_table(f"Scores on {len(test)} test pairs", scores)])


def train_tokenizer(*, words: Sequence[str]) -> None:
    """Parse command-line words, learn a tokenizer, and print how well it fits."""
    from ..training.tokenizer_run import TokenizerTrainingArguments, train_and_save, vocabulary_tables

    (chosen,) = _parsed("kgloss train-tokenizer", words, TokenizerTrainingArguments)
    print_tables(vocabulary_tables(train_and_save(chosen)))
    print(f"The tokenizer and statistics.json are in {chosen.output_dir}")


def back_translate(*, words: Sequence[str]) -> None:
    """Parse command-line words, build a pretext corpus or estimate its cost, and print what came of it."""
    from ..back_translation.corpus import BackTranslationArguments, build_corpus, estimate
    from ..back_translation.filters import Thresholds
    from ..back_translation.report import corpus_tables, estimate_table

    chosen, thresholds = _parsed("kgloss back-translate", words, BackTranslationArguments, Thresholds)
    if chosen.dry_run:
        print_tables([estimate_table(estimate(chosen))])
    elif (manifest := build_corpus(chosen, thresholds))["result"]:
        print_tables(corpus_tables(manifest))
        print(f'load_dataset("ko_backtranslation", data_dir="{chosen.output_dir}") reads the pairs')


def _parsed(program: str, words: Sequence[str], *dataclasses: Any) -> tuple[Any, ...]:
    from transformers import HfArgumentParser

    from ..options import parse_arguments

    return parse_arguments(HfArgumentParser(dataclasses, prog=program), words)


def evaluate(**options: Any) -> None:
    """Print the scores of predictions in files."""
    from ..evaluation.results import evaluation_table
    from ..evaluation.scores import evaluate_files

    print_tables([evaluation_table(evaluate_files(**options)["scores"])])


def export_dataset(**options: Any) -> None:
    """Export a data set and print the rows of each split."""
    from ..hub.dataset_export import export_dataset

    parts = export_dataset(**options).parts
    rows = [(config, split, f"{part.rows:,}") for config, splits in parts.items() for split, part in splits.items()]
    print_tables([Table(f"Exported to {options['output_dir']}", ("configuration", "split", "rows"), rows)])


def dataset_stats(*, output_dir: str, analyzer: str, **options: Any) -> None:
    """Print and write the statistics of a data set."""
    from ..data.arguments import PartArguments
    from ..hub.dataset_stats import statistics_tables, write_statistics

    print_tables(statistics_tables(write_statistics(PartArguments(**options), output_dir, analyzer=analyzer)))
    print(f"statistics.json, statistics.md and lengths.png are in {output_dir}")


def translate(*, others: Sequence[str], sentences: Sequence[str], **options: Any) -> int:
    """Translate, and return 1 where lines could not be read."""
    from .translate import models_among, translate

    models, sentences = models_among(sentences)

    # Under a locale that is not UTF-8, Python keeps a sentence's bytes as halves of characters.
    options["sentences"] = [
        re.sub("[\udc80-\udcff]+", lambda half: os.fsencode(half[0]).decode("utf-8", "replace"), text)
        for text in sentences
    ]
    return int(translate(others=[*models, *others], **options) > 0)


def check(*, folder: str) -> int:
    """Print what is good and bad about a folder, and return 1 where it has problems."""
    from ..hub.checking import check_folder

    report = check_folder(Path(folder))
    for line in (*report.notes, *report.problems):
        _say(f"{'problem' if line in report.problems else 'ok     '} {line}")
    return int(bool(report.problems))


def publish(*, dry_run: str | None, tag: str | None, **options: Any) -> None:
    """Publish folders and print their addresses, or write what would be published and list it."""
    from ..hub import publishing

    publications = [publishing.Publication(kind, *words) for kind in publishing.KINDS for words in options.pop(kind)]
    if not publications:
        raise ValueError(f"expected something to publish: {', '.join(f'--{kind}' for kind in publishing.KINDS)}")
    if dry_run:
        for name, files in publishing.dry_run(publications, dry_run, tag=tag, say=_say).items():
            _say("\n  ".join([f"{name}:", *files]))
    else:
        for published in publishing.publish(publications, tag=tag, say=_say, **options):
            print(published.url)


def _say(line: str) -> None:
    print(visible(line))


def doctor(*, timeout: float) -> int:
    """Print each finding at once, and return 1 where something needed is broken."""
    from .doctor import examine

    statuses = []
    for finding in examine(timeout):
        print(finding, flush=True)
        statuses.append(finding.status)
    return int("error" in statuses)
