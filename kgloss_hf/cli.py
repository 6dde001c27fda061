"""The `kgloss` command line: a table of the commands and their options."""

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

_OBJECTS_PER_COLLECTION = 200_000  # Python's default: 700 or 2,000
_NOT_NEEDED: dict[str, Any] = {"scipy": None, "sklearn": None}  # None makes an import fail

_Options = Sequence[tuple[tuple[str, ...], dict[str, Any]]]


class _Command(NamedTuple):
    """A command: its function, its help, its options, and a message about what remains after Ctrl-C.

    `dataclasses` returns the dataclasses of a command whose `run` takes the command-line words and parses them itself,
    because options of transformers are among them. `interrupted` is empty if the run prints such a message itself.
    """

    run: Callable[..., int | None]
    help: str
    description: str | None = None
    options: _Options | Callable[[], _Options] = ()
    dataclasses: Callable[[], Sequence[type]] | None = None
    interrupted: str = "nothing was written; run it again"


def _option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return arguments for `add_argument`."""
    return names, settings


def _fields(arguments: type, *left_out: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the options of a dataclass, with the help and the choices in its fields' metadata."""
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

    return [_MODEL, _WITH, *_fields(ServeArguments)]


_MODEL = _option("model", help="Folder or Hub repository of a trained model.")
_WITH = _option(
    "--with",
    dest="others",
    metavar="MODEL",
    action="append",
    default=[],
    help="Folder or Hub repository of an additional model. Several models give the answer they agree on best.",
)
_DATASET = _option(
    "named",
    nargs="?",
    metavar="DATASET",
    help="Same as --dataset: mcksg, gksl, a Hub id, or files such as pairs.csv.",
)
_OUTPUT_DIR = _option("--output_dir", required=True, help="Folder to create.")
_DATA_DIR = _option("--data_dir", help="Folder with your copy of a data set that is not distributed with kgloss.")
_ANALYZER = _option(
    "--analyzer",
    default="okt",
    help="Morphological analyser: okt, kiwi, mecab or komoran; whitespace for other languages (default: okt).",
)
_CONFIG = _option("--config", help="Configuration of the data set (default: its own).")
_COMMANDS = {
    "train": _Command(
        calls.train,
        "Train a text-to-gloss model, score it alongside baselines, and save it",
        "Pairs come from --dataset or from a file named without that option; options come from the command line or a "
        "YAML file. The saved folder loads with the pipeline of transformers.",
        dataclasses=calls.train_dataclasses,
        interrupted="",
    ),
    "pretext": _Command(
        calls.pretext,
        "Train a model on pairs of Korean sentences, as a start for kgloss train --pretext",
        "The pairs are written by kgloss back-translate, or are human paraphrases.",
        dataclasses=calls.pretext_dataclasses,
        interrupted="",
    ),
    "table5": _Command(
        calls.table5,
        "Reproduce the paper's Table 5: four systems, each trained several times",
        "Options that are not listed are passed to kgloss train, for all runs.",
        dataclasses=calls.table5_dataclasses,
        interrupted="",
    ),
    "baseline": _Command(
        calls.baseline,
        "Score two baselines without a model: copied lemmas, and the nearest training sentence",
        "Prints the Jaccard score of both baselines on the same split that kgloss train uses.",
        [_DATASET, *_fields(CorpusArguments), _ANALYZER],
        interrupted="nothing was scored; run it again",
    ),
    "train-tokenizer": _Command(
        calls.train_tokenizer,
        "Learn a vocabulary from text, append glosses, and show how well it fits",
        dataclasses=calls.train_tokenizer_dataclasses,
    ),
    "back-translate": _Command(
        calls.back_translate,
        "Build the pretext corpus: translate Korean sentences to another language and back",
        dataclasses=calls.back_translate_dataclasses,
        interrupted="finished translations are kept; run the same command to continue",
    ),
    "evaluate": _Command(
        calls.evaluate,
        "Score predicted glosses in files, and test whether two systems differ",
        "Prints Jaccard, BLEU, chrF, ROUGE-L, gloss error rate and exact match. If a sentence has several rows, it is "
        "also scored against all its references. If predictions have alignment and references have spans, the "
        "agreement of the glosses' places is printed too. A file is a table with the columns prediction and reference, "
        "as written by a training run; a table with the column glosses, as in data sets and the output of kgloss "
        "translate; or text with one gloss sequence per line.",
        [
            _option("predictions", help="File of the system, or review sheets separated by commas."),
            _option("--references", help="File with the references, or a sign corpus (default: those in predictions)."),
            _option("--baseline", help="File of a second system, for a paired test between the two."),
            _option(
                "--types",
                help="Table (CSV, …) with columns gloss and type, for scores by type, or gloss and synonyms.",
            ),
            _option(
                "--gloss_separator",
                help="Separator between glosses, such as '|' (default: detected, else white space).",
            ),
            _option("--encoding", default="utf-8", help="Encoding of text files, such as cp949 (default: utf-8)."),
            _option("--trials", type=int, default=10_000, help="Number of trials of the test (default: 10000)."),
            _option("--output_dir", help="Folder for scores.json and sentences.csv."),
        ],
    ),
    "export-dataset": _Command(
        calls.export_dataset,
        "Write a data set as Parquet files with a card, ready for the Hub",
        "The folder loads without this package. It appears only once it is complete.",
        [_DATASET, _option("--dataset", help="mcksg, gksl or ko_backtranslation."), _OUTPUT_DIR, _DATA_DIR, _CONFIG],
    ),
    "dataset-stats": _Command(
        calls.dataset_stats,
        "Describe a data set in figures: rows, types of glosses, lengths, overlap, and leaks between splits",
        "Writes statistics.json, statistics.md with tables for a card, and lengths.png.",
        [
            _DATASET,
            _option("--dataset", help="mcksg, gksl, ko_backtranslation, a Hub id, or files separated by commas."),
            _OUTPUT_DIR,
            *_fields(PartArguments, "dataset", "train", "extra_train"),
            _ANALYZER,
        ],
    ),
    "translate": _Command(
        calls.translate,
        "Translate Korean sentences into glosses, one line each, and subtitles into glosses with times",
        "Several models give the one answer that agrees best with the candidates of all models, and its agreement. A "
        "line that is not UTF-8 yields an empty output line, a message on standard error, and exit status 1. Subtitles "
        "(.srt, .vtt) yield subtitles, an ELAN document or a timeline.",
        [
            _MODEL,
            _option(
                "sentences",
                nargs="*",
                default=[],
                metavar="MODEL or sentence",
                help="Folders of additional models, then the sentences to translate, or one .srt or .vtt file "
                "(default: the lines of standard input).",
            ),
            _WITH,
            _option(
                "--consensus", action="store_true", help="Give the answer that agrees best with one model's 10 best."
            ),
            _option(
                "--min_agreement", type=float, help="Leave out lines with a lower agreement (0 to 1), and count them."
            ),
            _option(
                "--input",
                help="UTF-8 text file with one sentence per line, - for standard input, or a .srt or .vtt file.",
            ),
            _option("--output", help="File to write once everything is translated (default: standard output)."),
            _option(
                "--format",
                choices=("text", "jsonl", "tsv", "srt", "vtt", "eaf", "timeline"),
                help="Output format; srt, vtt, eaf and timeline are for subtitles (default: by the ending of --output, "
                "else the format of the subtitles, else text).",
            ),
            _option("--encoding", help="Encoding of subtitles (default: UTF-8, or CP949 if they are not UTF-8)."),
            _option(
                "--durations",
                help="Sign corpus or table with times, from which the length of each gloss is learnt (eaf, timeline).",
            ),
            _option("--n_best", type=int, help="Print the N best gloss sequences per line, each with its score."),
            _option("--types", action="store_true", help="Add the type of each gloss (jsonl, tsv)."),
            _option("--alignment", action="store_true", help="Add each gloss's place in the sentence (jsonl)."),
            _option(
                "--fingerspell", action="store_true", help="Fingerspell names, numbers, and words that have no gloss."
            ),
            _option("--confidence", action="store_true", help="Add the probability of each gloss (jsonl)."),
            _option(
                "--lexicon",
                help="Lexicon of signs (CSV, JSON, …): jsonl adds what plays each gloss, tsv lists the glosses that "
                "nothing plays.",
            ),
            _option(
                "--playable",
                choices=("prefer", "only"),
                help="With a lexicon: prefer answers that it can play, or emit only glosses that it can play.",
            ),
            _option("--num_beams", type=int, help="Number of beams (default: the model's; 10 with several models)."),
            _option("--batch_size", type=int, help="Sentences per batch (default: 128)."),
            _option("--int8", action="store_true", help="Use eight-bit weights: faster, but a few outputs differ."),
            _option(
                "--workers",
                type=int,
                default=1,
                help="Processes that share the lines; each holds the model and Java in its memory (default: 1).",
            ),
            _option(
                "--threads",
                type=int,
                help="Threads per process (default: the cores, divided by workers; 1 for a single sentence).",
            ),
        ],
        interrupted="the lines on standard output are complete, and the file of --output is unchanged; the rest was "
        "not translated",
    ),
    "review": _Command(
        calls.review,
        "Write a review sheet in which reviewers correct the glosses of sentences, the least certain first",
        "A filled-in sheet can be read as training pairs (--dataset, --extra_train), and kgloss evaluate scores "
        "its glosses against the corrections.",
        [
            _MODEL,
            _option(
                "sentences",
                help="Text file with one sentence per line, table with a column of sentences, sign corpus or data set.",
            ),
            _WITH,
            _option("--output", required=True, help="Sheet to write: FILE.xlsx, FILE.eaf (ELAN) or FILE.csv."),
            _option(
                "--format",
                choices=("xlsx", "eaf", "csv"),
                help="Format of the sheet (default: by the ending of --output).",
            ),
            _option(
                "--n_best",
                type=int,
                default=3,
                help="Answers per sentence: the best and its alternatives (default: 3).",
            ),
            _option("--limit", type=int, help="Write the N least certain sentences (default: all)."),
            _option("--num_beams", type=int, help="Number of beams (default: the model's)."),
            _option("--batch_size", type=int, help="Sentences per batch (default: 128)."),
            _option("--text_column", help="Column with the sentences (default: by its name, such as text or 문장)."),
            _DATA_DIR,
            _option("--encoding", default="utf-8", help="Encoding of a text file, such as cp949 (default: utf-8)."),
        ],
        interrupted="no sheet was written; run it again",
    ),
    "coverage": _Command(
        calls.coverage,
        "Count how many glosses of a model or a corpus a lexicon of signs can play, and list the rest",
        "A lexicon is a table (CSV, …) with the columns gloss and video or id, or a saved response of the public "
        "dictionary's API. Glosses, and the gloss tokens of a corpus, are counted by what plays them: their own entry, "
        "a word for the same sign, the headword, or fingerspelling. Glosses that nothing plays are counted by reason.",
        [
            _option("lexicon", help="File, folder or files of the lexicon."),
            _option("named", nargs="?", metavar="MODEL or CORPUS", help="Trained model, or the same as --dataset."),
            _option("--dataset", help="mcksg, gksl, a Hub id, or files separated by commas."),
            _option("--output", help="CSV file for all glosses that nothing plays (default: print the first 20)."),
            *_fields(SourceArguments, "dataset"),
        ],
        interrupted="the count is incomplete; run it again",
    ),
    "serve": _Command(
        calls.serve,
        "Serve translations over HTTP: POST /translate, with an OpenAPI page",
        options=_serve_options,
        interrupted="earlier requests were answered",
    ),
    "check": _Command(
        calls.check,
        "Check a folder before it is published",
        "Loads a model without this package, compares its score with metrics.json, and looks for secrets, paths, "
        "pickles, foreign code, gaps in the card and licences that contradict the data. Exits with status 1 if it "
        "finds a problem.",
        [_option("folder", help="Folder of a training run, train-tokenizer, export-dataset or publish --dry_run.")],
        interrupted="the check is incomplete; run it again",
    ),
    "publish": _Command(
        calls.publish,
        "Publish models, tokenizers, data sets, the metric and the demo on the Hub, each with its card",
        "Each becomes a repository in one commit, after it has been checked. New repositories are private. The token "
        "comes from `hf auth login` or HF_TOKEN.",
        [
            *(
                _option(f"--{kind}", action="append", nargs=len(words), metavar=words, default=[], help=purpose)
                for kind, words, purpose in (
                    ("model", ("REPOSITORY", "FOLDER"), "Model and tokenizer of a training run."),
                    ("tokenizer", ("REPOSITORY", "FOLDER"), "Folder of kgloss train-tokenizer."),
                    ("dataset", ("REPOSITORY", "FOLDER"), "Folder of kgloss export-dataset."),
                    ("metric", ("REPOSITORY",), "The metric gloss_jaccard, as a Space."),
                    ("space", ("REPOSITORY", "MODEL"), "The demo of a model on the Hub, as a Space."),
                )
            ),
            _option("--public", action="store_true", help="Make the repositories public (default: private)."),
            _option("--revision", help="Branch to commit to (default: main)."),
            _option("--create_pr", action="store_true", help="Open a pull request instead."),
            _option("--tag", help="Tag for the commit; the card pins it."),
            _option("--handler", action="store_true", help="Add the files that Inference Endpoints need to a model."),
            _option(
                "--benchmark",
                metavar="DATASET[:TASK]",
                help="Benchmark of the Hub that the models' scores belong to; adds .eval_results.",
            ),
            _option(
                "--dry_run",
                metavar="DIR",
                help="Write the files to a new folder and list them, instead of uploading.",
            ),
        ],
        interrupted="repositories that were reported as done are complete; run the same command for the rest",
    ),
    "doctor": _Command(
        calls.doctor,
        "Check versions, Java, memory and GPUs, and show how to repair problems",
        "Exits with status 1 if something that the package needs is broken.",
        [_option("--timeout", type=float, default=120, help="Seconds for the trial analysis (default: 120).")],
        interrupted="the examination is incomplete; run it again",
    ),
    "completion": _Command(
        lambda shell: _print_completion(shell),
        "Print a script that completes the words of this command in a shell",
        "Save it where the shell looks, such as: kgloss completion bash > "
        "~/.local/share/bash-completion/completions/kgloss",
        [_option("shell", choices=("bash", "zsh"), help="Shell that the script is for.")],
    ),
    "help": _Command(
        lambda topic: main([topic, "--help"] if topic else ["--help"]),
        "Show this list, or the help of a command",
        options=[_option("topic", nargs="?", metavar="COMMAND", help="A command (default: list all).")],
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kgloss`; `kgloss --help` lists the commands.

    Args:
        arguments: Command-line words (default: those of the process, which should end after this call).

    Returns:
        The exit status: 0; 1 after an error on standard error or if a command found a problem; 130 after Ctrl-C.

    Examples:
        >>> main(["translate", getfixture("checkpoint"), " ", "--format", "jsonl"])
        {"text": " ", "generated_text": "", "glosses": [], "unresolved": [], "unknown_words": [], "log_prob": 0.0}
        0
    """
    if arguments is not None:
        return _run(arguments)
    if sys.argv[1:2] == ["translate"]:
        # Repeated garbage collection would take a quarter of the time of imports. A training keeps the default, because
        # it may need its memory back early.
        gc.set_threshold(_OBJECTS_PER_COLLECTION)
        # transformers imports these where they are installed, for losses and candidates that are not used here.
        sys.modules.update(_NOT_NEEDED)
    status = _run(sys.argv[1:])
    gc.freeze()  # else Python collects everything once more before it exits
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
        if not command.interrupted:  # the run has printed a message
            return 130
        message, status = f"interrupted; {command.interrupted}", 130
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError):  # Python's final flush would raise it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if name == "translate":  # a filter ends with its reader
                return 0
        message, status = str(error), 1
    except SafetensorError as error:
        message, status = f"the weights are cut short or damaged ({error}); download or copy the files again", 1
    print(visible(f"kgloss {name}: {' '.join(message.split())}"), file=sys.stderr)
    return status


def _parsed(name: str, words: Sequence[str]) -> dict[str, Any]:
    command = _COMMANDS[name]
    if command.dataclasses:
        if wants_help(words) in ("-h", "--help"):
            print(help_text(f"kgloss {name}", _description(command), command.dataclasses()))
            sys.exit(0)
        return {"words": words}
    parser = Parser(prog=f"kgloss {name}", description=_description(command))
    for names, settings in _options_of(command):
        parser.add_argument(*names, **settings)
    options, rest = parser.parse_known_intermixed_args(words)
    if rest:
        parser.refuse(rest, words)
    return vars(options)


def _description(command: _Command) -> str:
    return f"{command.help}. {command.description or ''}".strip()


def _options_of(command: _Command) -> _Options:
    if command.dataclasses:
        return [option for kind in command.dataclasses() for option in _fields(kind)]
    return command.options() if callable(command.options) else command.options


def _parser(file: Any = None) -> Parser:
    """Return the parser of `kgloss` itself, which lists the commands, and for completion their options too.

    Args:
        file: Marker by which shtab completes file names (default: leave out the options of commands).
    """
    parser = Parser(prog="kgloss", description="Translate Korean text into Korean Sign Language glosses.")
    parser.add_argument("--version", "-V", action="version", version=f"kgloss {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, command in _COMMANDS.items():
        listed = commands.add_parser(name, help=command.help, description=command.help)
        for names, settings in _options_of(command) if file else ():
            action = listed.add_argument(*names, **settings)
            if not action.choices and action.nargs != 0 and action.type in (None, str):
                action.complete = file  # type: ignore[attr-defined]
        if file and command.dataclasses:
            listed.add_argument("--help-all", action="store_true", help="Show all options.")
    return parser


def _print_completion(shell: str) -> None:
    require("completion", "shtab", purpose="completion")
    import shtab

    print(shtab.complete(_parser(shtab.FILE), shell=shell))


if __name__ == "__main__":
    sys.exit(main())
