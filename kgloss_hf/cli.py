"""The `kgloss` command: a table of its commands and their options."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from safetensors import SafetensorError

from .commands import calls
from .data.arguments import CorpusArguments, PartArguments, SourceArguments
from .optional import require
from .options import Parser, help_text, suggestion, wants_help
from .reporting import late_bars, one_line_warnings, use_utf8, visible
from .version import __version__

_OBJECTS_A_COLLECTION = 200_000  # Python's own: 700 or 2,000
_NOT_NEEDED: dict[str, Any] = {"scipy": None, "sklearn": None}  # None is for "not installed"

_Options = Sequence[tuple[tuple[str, ...], dict[str, Any]]]


class _Command(NamedTuple):
    """A command, and what it says of what is left when Ctrl-C ends it.

    `dataclasses` returns those of a command whose options are parsed where they are known, as transformers' are too;
    `run` takes its words. An empty `interrupted` is for a run that says it itself.
    """

    run: Callable[..., int | None]
    help: str
    description: str | None = None
    options: _Options | Callable[[], _Options] = ()
    dataclasses: Callable[[], Sequence[type]] | None = None
    interrupted: str = "nothing was written; run it again"


def _option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Arguments of `add_argument`."""
    return names, settings


def _fields(arguments: type, *left_out: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Options of a dataclass, with the help and the choices in its fields' metadata."""
    for option in fields(arguments):
        if option.name not in left_out:
            settings: dict[str, Any] = {"help": option.metadata["help"].replace("%", "%%")}
            kind = str(option.type)
            if kind.startswith("bool"):
                settings |= {"action": "store_true"}
            else:
                settings |= {"type": int if "int" in kind else float if "float" in kind else str}
                settings |= {"choices": option.metadata.get("choices"), "default": option.default}
                settings |= {"nargs": "*", "default": []} if kind.startswith("list") else {}
            if option.default is option.default_factory is MISSING:
                settings |= {"required": True, "default": None}
            yield _option(f"--{option.name}", **settings)


def _serve_options() -> _Options:
    from .commands.serve_arguments import ServeArguments

    return [_option("model", help="folder or Hub repository of a trained model"), _WITH, *_fields(ServeArguments)]


_WITH = _option(
    "--with",
    dest="others",
    metavar="MODEL",
    action="append",
    default=[],
    help="folder or Hub repository of a further model; several models give the answer that agrees best",
)
_DATASET = _option(
    "named",
    nargs="?",
    metavar="DATASET",
    help="the same as --dataset: mcksg, gksl, a Hub id, or files (pairs.csv)",
)
_OUTPUT_DIR = _option("--output_dir", required=True, help="folder to make")
_DATA_DIR = _option("--data_dir", help="folder with your copy of a data set that is not shipped")
_ANALYZER = _option(
    "--analyzer", default="okt", help="finds words: okt, kiwi, mecab, komoran; for other languages whitespace"
)
_CONFIG = _option("--config", help="configuration of the data set")
_COMMANDS = {
    "train": _Command(
        calls.train,
        "train a text-to-gloss model, score it beside baselines, and leave a folder that pipeline loads",
        "Pairs come from --dataset (or a file named without it), options from the command line or a YAML file.",
        dataclasses=calls.train_dataclasses,
        interrupted="",
    ),
    "pretext": _Command(
        calls.pretext,
        "train a model on pairs of Korean sentences, for kgloss train --pretext to go on from",
        "The pairs come from kgloss back-translate, or are human paraphrases.",
        dataclasses=calls.pretext_dataclasses,
        interrupted="",
    ),
    "table5": _Command(
        calls.table5,
        "reproduce the paper's Table 5: four systems, trained several times each",
        "Options that are not listed go to kgloss train, for all runs.",
        dataclasses=calls.table5_dataclasses,
        interrupted="",
    ),
    "baseline": _Command(
        calls.baseline,
        "score what one would use without a model: copying lemmas, and the nearest training sentence",
        "Prints the Jaccard score of both baselines on the same split as kgloss train.",
        [_DATASET, *_fields(CorpusArguments), _ANALYZER],
        interrupted="nothing was scored; run it again",
    ),
    "train-tokenizer": _Command(
        calls.train_tokenizer,
        "learn a vocabulary on text, append glosses, and show how well it fits",
        dataclasses=calls.train_tokenizer_dataclasses,
    ),
    "back-translate": _Command(
        calls.back_translate,
        "build the pretext corpus: translate Korean sentences there and back",
        dataclasses=calls.back_translate_dataclasses,
        interrupted="what was translated is kept; the same command goes on",
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
            _option("predictions", help="the system's file, or review sheets with commas between them"),
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
        [_DATASET, _option("--dataset", help="mcksg, gksl or ko_backtranslation"), _OUTPUT_DIR, _DATA_DIR, _CONFIG],
    ),
    "dataset-stats": _Command(
        calls.dataset_stats,
        "count a data set: rows, types of glosses, lengths, overlap, and what leaks between splits",
        "Writes statistics.json, statistics.md with tables for a card, and lengths.png.",
        [
            _DATASET,
            _option("--dataset", help="mcksg, gksl, ko_backtranslation, a Hub id, or files separated by commas"),
            _OUTPUT_DIR,
            *_fields(PartArguments, "dataset", "train", "extra_train"),
            _ANALYZER,
        ],
    ),
    "translate": _Command(
        calls.translate,
        "turn Korean sentences into glosses, a line each, and subtitles into glosses with times",
        "Several models give the one answer that agrees best with the candidates of all, and how far they agree. A "
        "line that is not UTF-8 gives an empty output and a message on standard error; the others go on, and the "
        "command ends with status 1. Subtitles (.srt, .vtt) give subtitles, an ELAN document or a timeline.",
        [
            _option("model", help="folder or Hub repository of a trained model"),
            _option(
                "sentences",
                nargs="*",
                default=[],
                metavar="MODEL or sentence",
                help="folders of further models, then what to translate: sentences, or one .srt or .vtt file (default: "
                "the lines of standard input)",
            ),
            _WITH,
            _option("--consensus", action="store_true", help="the answer that agrees best with one model's 10 best"),
            _option(
                "--min_agreement", type=float, help="leave out lines whose agreement (0 to 1) is lower, and count them"
            ),
            _option("--input", help="text file, UTF-8, a sentence a line; - is standard input; or a .srt or .vtt file"),
            _option("--output", help="file to write, once all is translated (default: standard output)"),
            _option(
                "--format",
                choices=("text", "jsonl", "tsv", "srt", "vtt", "eaf", "timeline"),
                help="srt, vtt, eaf and timeline are for subtitles (default: by the ending of --output, else that of "
                "the subtitles, else text)",
            ),
            _option("--encoding", help="encoding of subtitles (default: UTF-8, and where it is not, CP949)"),
            _option(
                "--durations",
                help="sign corpus or table with times, which say how long each gloss takes (eaf, timeline)",
            ),
            _option("--n_best", type=int, help="print the N best gloss sequences per line, each with its score"),
            _option("--types", action="store_true", help="add the type of each gloss (jsonl, tsv)"),
            _option("--alignment", action="store_true", help="add each gloss's place in the sentence (jsonl)"),
            _option("--fingerspell", action="store_true", help="spell names, numbers, and what has no gloss"),
            _option("--confidence", action="store_true", help="add the probability of each gloss (jsonl)"),
            _option(
                "--lexicon",
                help="lexicon (CSV, JSON, …) that says what plays each gloss: jsonl holds it, tsv the misses",
            ),
            _option(
                "--playable",
                choices=("prefer", "only"),
                help="with a lexicon: prefer answers that it can play, or let only glosses come out that it can",
            ),
            _option("--num_beams", type=int, help="beams (default: the model's, with several models 10)"),
            _option("--batch_size", type=int, help="sentences per batch (default: 128)"),
            _option("--int8", action="store_true", help="eight-bit weights: faster, with a few other outputs"),
            _option(
                "--workers",
                type=int,
                default=1,
                help="processes that share the lines, each with the model and Java in its memory (default: 1)",
            ),
            _option(
                "--threads",
                type=int,
                help="threads per process (default: the cores, divided by workers; for one sentence one)",
            ),
        ],
        interrupted="the lines on standard output are complete, and a file of --output is as before; the rest was not "
        "translated",
    ),
    "review": _Command(
        calls.review,
        "write a sheet in which reviewers correct the glosses of sentences, the least certain first",
        "Once filled in, the sheet is read as training pairs (--dataset, --extra_train), and kgloss evaluate scores "
        "its glosses against the corrections.",
        [
            _option("model", help="folder or Hub repository of a trained model"),
            _option(
                "sentences",
                help="text file with a sentence per line, table with a column of sentences, sign corpus, or data set",
            ),
            _WITH,
            _option("--output", required=True, help="sheet to write: FILE.xlsx, FILE.eaf (ELAN) or FILE.csv"),
            _option("--format", choices=("xlsx", "eaf", "csv"), help="default: by the ending of --output"),
            _option(
                "--n_best", type=int, default=3, help="answers per sentence, the best and alternatives (default: 3)"
            ),
            _option("--limit", type=int, help="write the N least certain sentences (default: all)"),
            _option("--num_beams", type=int, help="beams (default: the model's)"),
            _option("--batch_size", type=int, help="sentences per batch (default: 128)"),
            _option("--text_column", help="column with the sentences (default: by its name, such as text or 문장)"),
            _DATA_DIR,
            _option("--encoding", default="utf-8", help="encoding of a text file, such as cp949 (default: utf-8)"),
        ],
        interrupted="no sheet was written; run it again",
    ),
    "coverage": _Command(
        calls.coverage,
        "count what a lexicon can play of a model's vocabulary or of a corpus, and list the rest",
        "A lexicon is a table (CSV, …) with gloss and video or id, or a saved response of the public dictionary's API. "
        "Counts glosses, and of a corpus gloss tokens, by what plays them: an own entry, a word for the same sign, the "
        "headword, fingerspelling; and those that nothing plays by reason.",
        [
            _option("lexicon", help="file, folder or files of the lexicon"),
            _option("named", nargs="?", metavar="MODEL or CORPUS", help="a trained model, or the same as --dataset"),
            _option("--dataset", help="mcksg, gksl, a Hub id, or files separated by commas"),
            _option("--output", help="CSV file for all glosses that nothing plays (default: the first 20 are printed)"),
            *_fields(SourceArguments, "dataset"),
        ],
        interrupted="not all was counted; run it again",
    ),
    "serve": _Command(
        calls.serve,
        "answer over HTTP: POST /translate, with an OpenAPI page",
        options=_serve_options,
        interrupted="what was asked before is answered",
    ),
    "check": _Command(
        calls.check,
        "check a folder before it is published, and load it without this package",
        "Loads a model without this package, compares its score with metrics.json, and looks for secrets, paths, "
        "pickles, foreign code, gaps in the card and licences that contradict the data. Ends with status 1 if it finds "
        "a problem.",
        [_option("folder", help="of training, train-tokenizer, export-dataset, or of a dry run of publish")],
        interrupted="the check is not complete; run it again",
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
            _option("--create_pr", action="store_true", help="open a pull request instead"),
            _option("--tag", help="tag the commit; the card pins it"),
            _option("--handler", action="store_true", help="add what Inference Endpoints need to a model"),
            _option(
                "--benchmark",
                metavar="DATASET[:TASK]",
                help="benchmark of the Hub that the models' scores belong to: adds .eval_results",
            ),
            _option(
                "--dry_run",
                metavar="DIR",
                help="write what would be uploaded into a new folder, and list it",
            ),
        ],
        interrupted="repositories that were named as done are complete; the same command does the rest",
    ),
    "doctor": _Command(
        calls.doctor,
        "check versions, Java, memory and GPUs, and say how to repair what is wrong",
        "Ends with status 1 if something needed is broken.",
        [_option("--timeout", type=float, default=120, help="seconds for the trial analysis (default: 120)")],
        interrupted="not all was examined; run it again",
    ),
    "completion": _Command(
        lambda shell: _print_completion(shell),
        "print the completion of this command for a shell",
        "Write it where the shell looks: kgloss completion bash > ~/.local/share/bash-completion/completions/kgloss",
        [_option("shell", choices=("bash", "zsh"), help="bash or zsh")],
    ),
    "help": _Command(
        lambda topic: main([topic, "--help"] if topic else ["--help"]),
        "show this, or the help of a command",
        options=[_option("topic", nargs="?", metavar="COMMAND", help="one of kgloss --help (default: all)")],
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgloss`; `kgloss --help` lists the commands.

    Args:
        arguments: Command-line words (default: the process's, which is expected to end with this call).

    Returns:
        The exit status: 0; 1 after an error on standard error, or where a command found a problem; 130 after Ctrl-C.

    Example:
        >>> main(["translate", getfixture("checkpoint"), " ", "--format", "jsonl"])
        {"text": " ", "generated_text": "", "glosses": [], "unresolved": [], "unknown_words": [], "log_prob": 0.0}
        0
    """
    if arguments is not None:
        return _run(arguments)
    if sys.argv[1:2] == ["translate"]:
        # Going over modules again and again would be a quarter of the time of importing them. A training is not spared
        # it, which may need its memory back early.
        gc.set_threshold(_OBJECTS_A_COLLECTION)
        # transformers would import them where they are, for losses and candidates that are not used here.
        sys.modules.update(_NOT_NEEDED)
    status = _run(sys.argv[1:])
    gc.freeze()  # else Python goes over all of them once more, to free what ends with the process
    return status


def _run(arguments: Sequence[str]) -> int:
    use_utf8()
    one_line_warnings()
    late_bars()
    name, *words = arguments or [""]
    if name not in _COMMANDS:
        parser = _parser()
        parser.parse_args([name] if name.startswith("-") else [])
        parser.error(f"no such command: {name}{suggestion(name, _COMMANDS)}" if name else "expected a command")
    command = _COMMANDS[name]
    try:
        status = command.run(**_parsed(name, words)) or 0
        print(end="", flush=True)
        return status
    except KeyboardInterrupt:
        if not command.interrupted:  # the run has said it
            return 130
        message, status = f"interrupted; {command.interrupted}", 130
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError):  # Python's final flush would raise it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if name == "translate":  # a filter is done when its reader is
                return 0
        message, status = str(error), 1
    except SafetensorError as error:
        message, status = f"the weights are cut short or damaged ({error}); fetch or make them again", 1
    print(visible(f"kgloss {name}: {' '.join(message.split())}"), file=sys.stderr)
    return status


def _parsed(name: str, words: Sequence[str]) -> dict[str, Any]:
    command = _COMMANDS[name]
    if command.dataclasses:
        if wants_help(words) in ("-h", "--help"):
            print(help_text(f"kgloss {name}", command.description or command.help, command.dataclasses()))
            sys.exit(0)
        return {"words": words}
    parser = Parser(prog=f"kgloss {name}", description=command.description or command.help)
    for names, settings in _options_of(command):
        parser.add_argument(*names, **settings)
    options, rest = parser.parse_known_intermixed_args(words)
    if rest:
        parser.refuse(rest, words)
    return vars(options)


def _options_of(command: _Command) -> _Options:
    if command.dataclasses:
        return [option for kind in command.dataclasses() for option in _fields(kind)]
    return command.options() if callable(command.options) else command.options


def _parser(file: Any = None) -> Parser:
    """Return the parser of `kgloss` itself, which lists the commands, for completion with their options.

    Args:
        file: What shtab takes for an argument that may be a file's name (default: the options are left out).
    """
    parser = Parser(prog="kgloss", description="Korean text to Korean Sign Language glosses.")
    parser.add_argument("--version", "-V", action="version", version=f"kgloss {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, command in _COMMANDS.items():
        listed = commands.add_parser(name, help=command.help, description=command.help)
        for names, settings in _options_of(command) if file else ():
            action = listed.add_argument(*names, **settings)
            if not action.choices and action.nargs != 0 and action.type in (None, str):
                action.complete = file  # type: ignore[attr-defined]
        if file and command.dataclasses:
            listed.add_argument("--help-all", action="store_true", help="show all options")
    return parser


def _print_completion(shell: str) -> None:
    require("completion", "shtab", purpose="completion")
    import shtab

    print(shtab.complete(_parser(shtab.FILE), shell=shell))


if __name__ == "__main__":
    sys.exit(main())
