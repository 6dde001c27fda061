"""The `kgloss` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from .reporting import visible


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgloss`; `kgloss --help` lists the commands.

    Args:
        arguments: Command-line words (default: the process's).

    Returns:
        The exit status: 0, or 1 after an error on standard error, or where `doctor` found something broken.
    """
    parser = argparse.ArgumentParser(prog="kgloss", description="Korean text to Korean Sign Language glosses.")
    commands = parser.add_subparsers(dest="command", required=True)
    baseline = commands.add_parser(
        "baseline",
        help="score what one would use without a model: copying lemmas, and the nearest training sentence",
        description="Prints the Jaccard score of both baselines on the same split as examples/run_text2gloss.py.",
    )
    baseline.add_argument("--dataset", default="mcksg", help="mcksg, gksl, a Hub id, or files (default: mcksg)")
    baseline.add_argument("--data_dir", help="folder with your copy of a data set that is not shipped")
    baseline.add_argument("--extra_train", help="more training pairs: a configuration of the data set, or files")
    baseline.add_argument("--text_column", default="text", help="column with the sentence (default: text)")
    baseline.add_argument("--gloss_column", default="glosses", help="column with the glosses (default: glosses)")
    baseline.add_argument("--split", default="group", choices=("group", "row"), help="as in run_text2gloss.py")
    baseline.add_argument("--split_seed", type=int, default=0, help="seed of the split (default: 0)")
    baseline.set_defaults(run=_baseline)
    # Their options are those of dataclasses that are slow to import, so they are parsed when the command is chosen.
    for name, run, purpose in (
        ("train-tokenizer", _train_tokenizer, "learn a vocabulary on text, append glosses, and show how well it fits"),
        ("back-translate", _back_translate, "build the pretext corpus: translate Korean sentences there and back"),
    ):
        commands.add_parser(name, add_help=False, help=purpose).set_defaults(run=run)
    evaluate = commands.add_parser(
        "evaluate",
        help="score predicted glosses in files, and test whether two systems differ",
        description="Prints Jaccard, BLEU, chrF, ROUGE-L, gloss error rate and exact match. A .jsonl file holds rows "
        "with prediction and reference, as a training run writes them; any other is text, a gloss sequence a line.",
    )
    evaluate.add_argument("predictions", help="the system's file")
    evaluate.add_argument("--references", help="file with the references (default: those in PREDICTIONS)")
    evaluate.add_argument("--baseline", help="file of a second system, for a paired test between the two")
    evaluate.add_argument("--types", help="table (CSV, …) with columns gloss and type, for scores by type")
    evaluate.add_argument("--trials", type=int, default=10_000, help="trials of the test (default: 10000)")
    evaluate.add_argument("--output_dir", help="folder for scores.json and sentences.csv")
    evaluate.set_defaults(run=_evaluate)
    export = commands.add_parser(
        "export-dataset",
        help="write a data set as Parquet files with a card, which the Hub takes",
        description="The folder loads without this package. It appears once it is complete.",
    )
    export.add_argument("name", help="mcksg, gksl or ko_backtranslation")
    statistics = commands.add_parser(
        "dataset-stats",
        help="count a data set: rows, types of glosses, lengths, overlap, and what leaks between splits",
        description="Writes statistics.json, statistics.md with tables for a card, and lengths.png.",
    )
    statistics.add_argument("dataset", help="mcksg, gksl, ko_backtranslation, a Hub id, or files separated by commas")
    for parser_of_data, run in ((export, _export_dataset), (statistics, _dataset_stats)):
        parser_of_data.add_argument("--output_dir", required=True, help="folder to make")
        parser_of_data.add_argument("--data_dir", help="folder with your copy of a data set that is not shipped")
        parser_of_data.add_argument("--config", help="configuration of the data set")
        parser_of_data.set_defaults(run=run)
    translate = commands.add_parser(
        "translate",
        help="turn Korean sentences into glosses, a line each",
        description="A line that is not UTF-8 gives an empty output and a message on standard error; the others go on, "
        "and the command ends with status 1.",
    )
    translate.add_argument("model", help="folder or Hub repository of a trained model")
    translate.add_argument("sentences", nargs="*", help="what to translate (default: the lines of standard input)")
    translate.add_argument("--input", help="text file, UTF-8, a sentence a line; - is standard input")
    translate.add_argument("--format", default="text", choices=("text", "jsonl", "tsv"), help="default: text")
    translate.add_argument("--n_best", type=int, help="give so many gloss sequences a line, with log-probabilities")
    translate.add_argument("--types", action="store_true", help="add the type of each gloss (jsonl, tsv)")
    translate.add_argument("--alignment", action="store_true", help="add each gloss's place in the sentence (jsonl)")
    translate.add_argument("--fingerspell", action="store_true", help="spell names, numbers, and what has no gloss")
    translate.add_argument("--num_beams", type=int, help="beams (default: the model's)")
    translate.add_argument("--batch_size", type=int, help="sentences a step (default: 128)")
    translate.add_argument("--threads", type=int, help="threads to compute with (default: all cores)")
    translate.set_defaults(run=_translate)
    export = commands.add_parser(
        "export",
        help="write a model with eight-bit weights: smaller, and faster on a CPU",
        description="The folder is a model like any other where kgloss-hf is installed. Some outputs differ.",
    )
    export.add_argument("model", help="folder or Hub repository of a trained model")
    export.add_argument("--output_dir", required=True, help="folder to make")
    export.set_defaults(run=_export)
    check = commands.add_parser(
        "check",
        help="look a folder over before it is published, and load it like a stranger",
        description="Loads a model without this package, compares its score with metrics.json, and looks for secrets, "
        "paths, pickles, foreign code, gaps in the card and licences that contradict the data. Ends with status 1 if "
        "it finds a problem.",
    )
    check.add_argument("folder", help="of training, train-tokenizer, export-dataset, or of a dry run of publish")
    check.set_defaults(run=_check)
    publish = commands.add_parser(
        "publish",
        help="put a model, a tokenizer, data sets, the metric and the demo on the Hub, each with its card",
        description="Each becomes a repository in one commit, after it was checked. New ones are private. The token is "
        "the one of `hf auth login` or HF_TOKEN.",
    )
    for kind, source, purpose in (
        ("model", "FOLDER", "model and tokenizer of a training run, or of kgloss export"),
        ("tokenizer", "FOLDER", "folder of kgloss train-tokenizer"),
        ("dataset", "FOLDER", "folder of kgloss export-dataset"),
        ("metric", "", "the metric gloss_jaccard, a Space"),
        ("space", "MODEL", "the demo, a Space, of a model on the Hub"),
    ):
        names = ("REPOSITORY", source) if source else ("REPOSITORY",)
        publish.add_argument(f"--{kind}", action="append", nargs=len(names), metavar=names, default=[], help=purpose)
    publish.add_argument("--public", action="store_true", help="make the repositories public (default: private)")
    publish.add_argument("--revision", help="branch to commit to (default: main)")
    publish.add_argument("--create_pr", "--create-pr", action="store_true", help="open a pull request instead")
    publish.add_argument("--tag", help="tag the commit; the card pins it")
    publish.add_argument(
        "--dry_run", "--dry-run", metavar="DIR", help="write what would be uploaded into a new folder, and list it"
    )
    publish.set_defaults(run=_publish)
    doctor = commands.add_parser(
        "doctor",
        help="check versions, Java, memory and GPUs, and say how to repair what is wrong",
        description="Ends with status 1 if something needed is broken.",
    )
    doctor.add_argument("--timeout", type=float, default=120, help="seconds for the trial analysis (default: 120)")
    doctor.set_defaults(run=_doctor)
    known, rest = parser.parse_known_args(arguments)
    options = vars(known)
    command, run = options.pop("command"), options.pop("run")
    if run in (_train_tokenizer, _back_translate):
        options["arguments"] = rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return run(**options)
    except SafetensorError as error:
        print(
            f"kgloss {command}: the weights are cut short or damaged ({error}); fetch or make them again",
            file=sys.stderr,
        )
        return 1
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        print(visible(f"kgloss {command}: {error}"), file=sys.stderr)
        return 1


def _baseline(*, split: str, split_seed: int, extra_train: str | None, **source: str) -> int:
    from .data.pairs import load_pairs, split_pairs
    from .evaluation.baselines import baseline_predictions
    from .evaluation.results import score_table, scores_on
    from .reporting import print_tables

    extra = load_pairs(extra=extra_train, **source) if extra_train else []
    parts = split_pairs(load_pairs(**source), extra, by=split, seed=split_seed)
    scores = scores_on([pair.glosses for pair in parts.test], baseline_predictions(parts))
    print_tables([score_table(f"Jaccard score on {len(parts.test)} test pairs", scores)])
    return 0


def _train_tokenizer(*, arguments: Sequence[str]) -> int:
    from transformers import HfArgumentParser

    from .reporting import print_tables
    from .training.tokenizer_run import TokenizerTrainingArguments, train_and_save, vocabulary_tables

    parser = HfArgumentParser(TokenizerTrainingArguments, prog="kgloss train-tokenizer")
    chosen, unknown = parser.parse_args_into_dataclasses(list(arguments), return_remaining_strings=True)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    print_tables(vocabulary_tables(train_and_save(chosen)))
    print(f"The tokenizer and statistics.json are in {chosen.output_dir}")
    return 0


def _back_translate(*, arguments: Sequence[str]) -> int:
    from transformers import HfArgumentParser

    from .back_translation.corpus import BackTranslationArguments, build_corpus, estimate
    from .back_translation.filters import Thresholds
    from .back_translation.report import corpus_tables, estimate_table
    from .options import parse_arguments
    from .reporting import print_tables

    parser = HfArgumentParser((BackTranslationArguments, Thresholds), prog="kgloss back-translate")
    chosen, thresholds = parse_arguments(parser, arguments)
    if chosen.dry_run:
        print_tables([estimate_table(estimate(chosen))])
        return 0
    manifest = build_corpus(chosen, thresholds)
    if manifest["result"]:
        print_tables(corpus_tables(manifest))
        print(f'load_dataset("ko_backtranslation", data_dir="{chosen.output_dir}") reads the pairs')
    return 0


def _evaluate(**options: Any) -> int:
    from .evaluation.results import evaluation_table
    from .evaluation.scores import evaluate_files
    from .reporting import print_tables

    print_tables([evaluation_table(evaluate_files(**options)["scores"])])
    return 0


def _export_dataset(**options: Any) -> int:
    from .hub.dataset_export import export_dataset
    from .reporting import Table, print_tables

    parts = export_dataset(**options).parts
    rows = [(config, split, f"{part.rows:,}") for config, found in parts.items() for split, part in found.items()]
    print_tables([Table(f"Exported to {options['output_dir']}", ("configuration", "split", "rows"), rows)])
    return 0


def _dataset_stats(**options: Any) -> int:
    from .hub.dataset_stats import statistics_tables, write_statistics
    from .reporting import print_tables

    print_tables(statistics_tables(write_statistics(**options)))
    print(f"statistics.json, statistics.md and lengths.png are in {options['output_dir']}")
    return 0


def _translate(**options: Any) -> int:
    from .commands.translate import end_of_pipe, translate

    try:
        unread = translate(**options)
        sys.stdout.flush()
        return int(unread > 0)
    except BrokenPipeError:
        end_of_pipe()
        return 0
    except KeyboardInterrupt:  # finished lines are out already
        return 130


def _export(*, model: str, output_dir: str) -> int:
    from .hub.model_export import export_int8

    before, after = export_int8(model, output_dir)
    print(f"{output_dir}: weights of {after / 2**20:.0f} MiB, which were {before / 2**20:.0f} MiB")
    return 0


def _check(*, folder: str) -> int:
    from .hub.checking import check_folder

    report = check_folder(Path(folder))
    for line in (*report.notes, *report.problems):
        print(visible(f"{'problem' if line in report.problems else 'ok     '} {line}"))
    return int(bool(report.problems))


def _publish(*, dry_run: str | None, tag: str | None, **options: Any) -> int:
    from .hub import publishing

    publications = [publishing.Publication(kind, *words) for kind in publishing.KINDS for words in options.pop(kind)]
    if not publications:
        raise ValueError(f"expected something to publish: {', '.join(f'--{kind}' for kind in publishing.KINDS)}")
    if dry_run:
        for name, files in publishing.dry_run(publications, dry_run, tag=tag, say=_say).items():
            _say("\n  ".join([f"{name}:", *files]))
        return 0
    for published in publishing.publish(publications, tag=tag, say=_say, **options):
        print(published.url)
    return 0


def _say(line: str) -> None:
    print(visible(line))


def _doctor(*, timeout: float) -> int:
    from .commands.doctor import examine

    findings = []
    for finding in examine(timeout):
        print(finding, flush=True)
        findings.append(finding)
    return int(any(finding.status == "error" for finding in findings))
