"""The `kgloss` command: a table of its commands and their options."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from safetensors import SafetensorError

from .commands import calls
from .data.arguments import CorpusArguments, PartArguments
from .reporting import use_utf8, visible


class _Command(NamedTuple):
    """A command; its options are None where they come from dataclasses, slow to import: `run` parses its words.

    `words` names the positional list that also takes words behind an option, which argparse leaves.
    """

    run: Callable[..., int | None]
    help: str
    description: str | None = None
    options: Sequence[tuple[tuple[str, ...], dict[str, Any]]] | None = None
    words: str | None = None


def _option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Arguments of `add_argument`."""
    return names, settings


def _fields(arguments: type, *left_out: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Options of a dataclass, with the help and the choices in its fields' metadata."""
    for option in fields(arguments):
        if option.name not in left_out:
            kind = int if option.type == "int" else str
            help = option.metadata["help"].replace("%", "%%")
            choices = option.metadata.get("choices")
            yield _option(f"--{option.name}", default=option.default, type=kind, help=help, choices=choices)


_OUTPUT_DIR = _option("--output_dir", required=True, help="folder to make")
_DATA_DIR = _option("--data_dir", help="folder with your copy of a data set that is not shipped")
_ANALYZER = _option(
    "--analyzer", default="okt", help="finds words: okt, kiwi, mecab, komoran; for other languages whitespace"
)
_CONFIG = _option("--config", help="configuration of the data set")
_COMMANDS = {
    "baseline": _Command(
        calls.baseline,
        "score what one would use without a model: copying lemmas, and the nearest training sentence",
        "Prints the Jaccard score of both baselines on the same split as examples/run_text2gloss.py.",
        [
            *_fields(CorpusArguments),
            _ANALYZER,
        ],
    ),
    "train-tokenizer": _Command(
        calls.train_tokenizer, "learn a vocabulary on text, append glosses, and show how well it fits"
    ),
    "back-translate": _Command(
        calls.back_translate, "build the pretext corpus: translate Korean sentences there and back"
    ),
    "evaluate": _Command(
        calls.evaluate,
        "score predicted glosses in files, and test whether two systems differ",
        "Prints Jaccard, BLEU, chrF, ROUGE-L, gloss error rate and exact match; where a sentence has several rows, the "
        "scores against all its references; and where predictions have alignment and references spans, how well the "
        "places of glosses agree. Files are tables with prediction and reference, as a training run writes them, or "
        "with glosses, as kgloss translate writes them and data sets have them; or text with one gloss sequence per "
        "line.",
        [
            _option("predictions", help="the system's file"),
            _option("--references", help="file with the references, or a sign corpus (default: those in PREDICTIONS)"),
            _option("--baseline", help="file of a second system, for a paired test between the two"),
            _option(
                "--types", help="table (CSV, …) with columns gloss and type, for scores by type, or gloss and synonyms"
            ),
            _option(
                "--gloss_separator", help="sign between glosses, such as '|' (default: recognised, else white space)"
            ),
            _option("--encoding", default="utf-8", help="encoding of text files, such as cp949 (default: utf-8)"),
            _option("--trials", type=int, default=10_000, help="trials of the test (default: 10000)"),
            _option("--output_dir", help="folder for scores.json and sentences.csv"),
        ],
    ),
    "export-dataset": _Command(
        calls.export_dataset,
        "write a data set as Parquet files with a card, which the Hub takes",
        "The folder loads without this package. It appears once it is complete.",
        [_option("name", help="mcksg, gksl or ko_backtranslation"), _OUTPUT_DIR, _DATA_DIR, _CONFIG],
    ),
    "dataset-stats": _Command(
        calls.dataset_stats,
        "count a data set: rows, types of glosses, lengths, overlap, and what leaks between splits",
        "Writes statistics.json, statistics.md with tables for a card, and lengths.png.",
        [
            _option("dataset", help="mcksg, gksl, ko_backtranslation, a Hub id, or files separated by commas"),
            _OUTPUT_DIR,
            *_fields(PartArguments, "dataset", "train", "extra_train"),
            _ANALYZER,
        ],
    ),
    "translate": _Command(
        calls.translate,
        "turn Korean sentences into glosses, a line each",
        "Several models give the one answer that agrees best with the candidates of all, and how far they agree. A "
        "line that is not UTF-8 gives an empty output and a message on standard error; the others go on, and the "
        "command ends with status 1.",
        [
            _option("model", help="folder or Hub repository of a trained model"),
            _option(
                "sentences",
                nargs="*",
                metavar="MODEL or sentence",
                help="folders of further models, then what to translate (default: the lines of standard input)",
            ),
            _option(
                "--with",
                dest="others",
                metavar="MODEL",
                action="append",
                default=[],
                help="folder or Hub repository of a further model; several models give the answer that agrees best",
            ),
            _option("--consensus", action="store_true", help="the answer that agrees best with one model's 10 best"),
            _option(
                "--min_agreement", type=float, help="leave out lines whose agreement (0 to 1) is lower, and count them"
            ),
            _option("--input", help="text file, UTF-8, a sentence a line; - is standard input"),
            _option("--format", default="text", choices=("text", "jsonl", "tsv"), help="default: text"),
            _option("--n_best", type=int, help="print the N best gloss sequences per line, each with its score"),
            _option("--types", action="store_true", help="add the type of each gloss (jsonl, tsv)"),
            _option("--alignment", action="store_true", help="add each gloss's place in the sentence (jsonl)"),
            _option("--fingerspell", action="store_true", help="spell names, numbers, and what has no gloss"),
            _option("--num_beams", type=int, help="beams (default: the model's, with several models 10)"),
            _option("--batch_size", type=int, help="sentences a step (default: 128)"),
            _option("--int8", action="store_true", help="eight-bit weights: faster, with some other outputs"),
            _option("--threads", type=int, help="threads to compute with (default: all cores)"),
        ],
        words="sentences",
    ),
    "check": _Command(
        calls.check,
        "look a folder over before it is published, and load it like a stranger",
        "Loads a model without this package, compares its score with metrics.json, and looks for secrets, paths, "
        "pickles, foreign code, gaps in the card and licences that contradict the data. Ends with status 1 if it finds "
        "a problem.",
        [_option("folder", help="of training, train-tokenizer, export-dataset, or of a dry run of publish")],
    ),
    "publish": _Command(
        calls.publish,
        "put a model, a tokenizer, data sets, the metric and the demo on the Hub, each with its card",
        "Each becomes a repository in one commit, after it was checked. New ones are private. The token is the one of "
        "`hf auth login` or HF_TOKEN.",
        [
            *(
                _option(f"--{kind}", action="append", nargs=len(words), metavar=words, default=[], help=purpose)
                for kind, words, purpose in (
                    ("model", ("REPOSITORY", "FOLDER"), "model and tokenizer of a training run"),
                    ("tokenizer", ("REPOSITORY", "FOLDER"), "folder of kgloss train-tokenizer"),
                    ("dataset", ("REPOSITORY", "FOLDER"), "folder of kgloss export-dataset"),
                    ("metric", ("REPOSITORY",), "the metric gloss_jaccard, a Space"),
                    ("space", ("REPOSITORY", "MODEL"), "the demo, a Space, of a model on the Hub"),
                )
            ),
            _option("--public", action="store_true", help="make the repositories public (default: private)"),
            _option("--revision", help="branch to commit to (default: main)"),
            _option("--create_pr", "--create-pr", action="store_true", help="open a pull request instead"),
            _option("--tag", help="tag the commit; the card pins it"),
            _option(
                "--dry_run",
                "--dry-run",
                metavar="DIR",
                help="write what would be uploaded into a new folder, and list it",
            ),
        ],
    ),
    "doctor": _Command(
        calls.doctor,
        "check versions, Java, memory and GPUs, and say how to repair what is wrong",
        "Ends with status 1 if something needed is broken.",
        [_option("--timeout", type=float, default=120, help="seconds for the trial analysis (default: 120)")],
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgloss`; `kgloss --help` lists the commands.

    Args:
        arguments: Command-line words (default: the process's).

    Returns:
        The exit status: 0; 1 after an error on standard error, or where a command found a problem; 130 after Ctrl-C.

    Example:
        >>> main(["translate", getfixture("checkpoint"), " ", "--format", "jsonl"])
        {"text": " ", "generated_text": "", "glosses": [], "unresolved": [], "unknown_words": [], "log_prob": 0.0}
        0
    """
    use_utf8()
    parser = argparse.ArgumentParser(prog="kgloss", description="Korean text to Korean Sign Language glosses.")
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {}
    for name, (_, purpose, description, declared, _) in _COMMANDS.items():
        parsers[name] = commands.add_parser(name, help=purpose, description=description, add_help=declared is not None)
        for names, settings in declared or ():
            parsers[name].add_argument(*names, **settings)
    known, rest = parser.parse_known_args(arguments)
    options = vars(known)
    name = options.pop("command")
    command = _COMMANDS[name]
    if command.options is None:
        options["words"] = rest
    elif command.words and not any(word.startswith("-") for word in rest):
        options[command.words] += rest
    elif rest:
        parsers[name].error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        status = command.run(**options) or 0
        print(end="", flush=True)
        return status
    except KeyboardInterrupt:
        return 130
    except SafetensorError as error:
        message = f"the weights are cut short or damaged ({error}); fetch or make them again"
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError):  # Python's final flush would raise it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if name == "translate":  # a filter is done when its reader is
                return 0
        message = str(error)
    print(visible(f"kgloss {name}: {message}"), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
