"""Parse command lines by one convention: options anywhere, with - or _ in their names, and errors with suggestions."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from .files import check_model

_MODELS = ("init_from", "pretext")
"""Options that take a trained model."""

_LABEL = 34
"""Width of the column of names in the help of dataclasses."""


def suggestion(word: object, known: Iterable[object]) -> str:
    """Return a hint that proposes the known name most like a word, or an empty string.

    Args:
        word: Unknown name.
        known: Names that are accepted.

    Examples:
        >>> suggestion("evalute", ["evaluate", "translate"])
        '; did you mean evaluate?'
        >>> suggestion("집", ["evaluate"])
        ''
    """
    close = get_close_matches(str(word), map(str, known), 1)
    return f"; did you mean {close[0]}?" if close else ""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that accepts `--n-best` for `--n_best` and proposes a name for an unknown one.

    Examples:
        >>> parser = Parser()
        >>> _ = parser.add_argument("--n_best", type=int)
        >>> parser.parse_args(["--n-best", "3"]).n_best
        3
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse words, with - or _ in the names of options."""
        return super().parse_known_args(_underscored(sys.argv[1:] if args is None else args), namespace)

    def refuse(self, words: Sequence[str], among: Sequence[str]) -> NoReturn:
        """End the process with the usage and the words that were not recognised.

        Args:
            words: Words that are neither options nor positional arguments.
            among: All words; a word after an unknown option was meant as its value.
        """
        if len(words) == 1 and (value := [*among, "-"][list(_underscored(among)).index(words[0]) + 1])[:1] != "-":
            words = [*words, value]
        unknown = next((word for word in words if re.match(r"--?\w", word)), "").partition("=")[0]
        # argparse has no public list of the names.
        hint = suggestion(unknown, self._option_string_actions) if unknown else ""
        if unknown and not unknown.isascii():
            hint = "; put -- before a sentence that begins with -"
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")

    def error(self, message: str) -> NoReturn:
        """End the process with the usage and a message."""
        if choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)$", message):
            message += suggestion(choice[1], re.findall(r"[^\s',]+", choice[2]))
        super().error(message)


def _underscored(words: Sequence[str]) -> list[str]:
    end = words.index("--") if "--" in words else len(words)
    names = (re.sub(r"^--\w[\w-]*", lambda name: f"--{name[0][2:].replace('-', '_')}", word) for word in words[:end])
    return [*names, *words[end:]]


def parse_arguments(parser: Any, arguments: Sequence[str]) -> tuple[Any, ...]:
    """Read options from the command line and from a YAML file that it names. The command line takes precedence.

    `--help` prints the options of this project, one per line, and `--help-all` prints all options; both end the
    process. A word that is not an option is the YAML file, or the value of `--dataset` if the command has that option.

    Args:
        parser: HfArgumentParser of the dataclasses.
        arguments: Command-line words.

    Returns:
        One object per dataclass. An unknown option ends the process with the usage.

    Raises:
        FileNotFoundError: The YAML file does not exist.
        ValueError: It is not YAML, is not a mapping, or holds a key that is not an option or a value that is not one of
            the option's choices.

    Examples:
        >>> from transformers import HfArgumentParser
        >>> from kgloss_hf.training.table5 import Table5Arguments
        >>> (chosen,) = parse_arguments(HfArgumentParser(Table5Arguments), ["--pretext", "outputs/pretext/model"])
        >>> chosen.runs
        10
    """
    words = _underscored(arguments)
    if asked := wants_help(words):
        print(help_text(parser.prog, parser.description, parser.dataclass_types, everything=asked == "--help_all"))
        sys.exit(0)
    known, words = _prepared(parser.dataclass_types, parser.prog, words)
    *chosen, unrecognised = known.parse_args_into_dataclasses(words, return_remaining_strings=True)
    if unrecognised:
        known.refuse(unrecognised, words)
    return tuple(chosen)


def check_arguments(program: str, dataclasses: Sequence[type], arguments: Sequence[str]) -> tuple[Any, ...]:
    """Check the options of this project, before those of transformers are imported.

    Args:
        program: Name of the command.
        dataclasses: Dataclasses of some of its options; other options are not checked.
        arguments: Command-line words.

    Returns:
        One object per dataclass.

    Raises:
        FileNotFoundError: As for `parse_arguments`, and if the folder of a model does not exist.
        ValueError: As for `parse_arguments`, except for keys of the YAML file, and if a folder is not that of a model.

    Examples:
        >>> from kgloss_hf.data.arguments import CorpusArguments
        >>> check_arguments("kgloss train", [CorpusArguments], ["--split", "group", "--max_steps", "3"])[0].split
        'group'
    """
    known, words = _prepared(dataclasses, program, _underscored(arguments), partly=True)
    *chosen, _ = known.parse_args_into_dataclasses(words, return_remaining_strings=True)
    for group in chosen:
        for option in fields(group):
            if option.name in _MODELS and (name := getattr(group, option.name)):
                check_model(name, f"--{option.name}")
    return tuple(chosen)


def _prepared(types: Sequence[type], program: str, words: list[str], *, partly: bool = False) -> tuple[Any, list[str]]:
    """Return a parser with a YAML file's defaults, and the words without the file; a bare word becomes `--dataset`."""
    from transformers import HfArgumentParser

    class DataclassParser(Parser, HfArgumentParser):
        """Our parser with the dataclasses of transformers'."""

    usage = f"{program} [OPTIONS.yaml] [options]; --help lists the options"
    parser: Any = DataclassParser(types, prog=program, usage=usage, add_help=False)  # type: ignore[misc, arg-type]
    names = {option.name: option for kind in parser.dataclass_types for option in fields(kind) if option.init}
    # A YAML file after an option is that option's value.
    file = next((at for at, word in enumerate(words) if _is_yaml(word) and not (at and words[at - 1][:1] == "-")), None)
    if file is not None:
        words = _set_defaults(parser, names, Path(words[file]), partly) + words[:file] + words[file + 1 :]
    bare = parser.parse_known_args(words)[1]
    if "dataset" in names and len(bare) == 1 and not bare[0].startswith("-"):
        if any(re.match("--dataset(=|$)", word) for word in words):
            parser.error(f"expected {bare[0]} or --dataset, found both; leave one out")
        # The same word after an option is that option's value.
        places = [at for at, word in enumerate(words) if word == bare[0]]
        at = next((at for at in places if not (at and _wants(words[at - 1]))), places[-1])
        words = [*words[:at], *words[at + 1 :], "--dataset", bare[0]]
    return parser, words


def _wants(word: str) -> bool:
    """Return whether a word is an option whose value may be the next word."""
    return word.startswith("--") and "=" not in word


def _is_yaml(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) and not word.startswith("-")


def _set_defaults(parser: Any, known: dict[str, Field[Any]], path: Path, partly: bool) -> list[str]:
    """Set a file's options as defaults; return required ones, which cannot have defaults, as command-line words."""
    import yaml

    if not path.is_file():
        problem = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: {problem}; expected a YAML file of options")
    try:
        options = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected YAML, found an error: {error}; correct it") from error
    if not isinstance(options, dict):
        raise ValueError(f"{path}: expected one option per line (name: value), found {type(options).__name__}")
    unknown = sorted(map(str, options.keys() - known.keys()))
    if partly:
        options = {name: value for name, value in options.items() if name in known}
    elif unknown:
        hint = suggestion(unknown[0], known) or "; --help-all lists them"
        raise ValueError(f"{path}: no such option: {', '.join(unknown)}{hint}")
    for name, value in options.items():  # argparse checks those of the command line
        choices = known[name].metadata.get("choices")
        if choices and not set(value if isinstance(value, list) else [value]) <= {*choices, None}:
            hint = suggestion(value, choices)
            raise ValueError(f"{path}: {name}: expected one of {', '.join(map(str, choices))}, found {value!r}{hint}")
    parser.set_defaults(**options)
    required = [name for name in options if known[name].default is known[name].default_factory is MISSING]
    return [f"--{name}={options[name]}" for name in required]


def wants_help(words: Sequence[str]) -> str:
    """Return the first word that asks for help (`-h`, `--help` or `--help_all`), or an empty string.

    Args:
        words: Command-line words.

    Examples:
        >>> wants_help(["--n_best", "3", "--help-all"])
        '--help_all'
    """
    return next((word for word in _underscored(words) if word in ("-h", "--help", "--help_all")), "")


def help_text(program: str, description: str | None, dataclasses: Iterable[type], *, everything: bool = False) -> str:
    """Return the help of a command whose options are dataclasses, with one group per dataclass.

    Args:
        program: Name of the command.
        description: Text about what it does, or None.
        dataclasses: Dataclasses whose fields have `help` and `choices` in their metadata. A class variable `USUAL`
            names the options of a class that the short help shows (default: all).
        everything: Show every option, including those of transformers, with its full help (default False: show one
            line per option).

    Examples:
        >>> from kgloss_hf.data.arguments import ReadingArguments
        >>> "  --encoding VALUE" in help_text("kgloss", None, [ReadingArguments])
        True
    """
    width = min(shutil.get_terminal_size().columns, 120)
    lines = [f"usage: {program} [OPTIONS.yaml] [options]"]
    lines += ["", *textwrap.wrap(description, max(30, width))] if description else []
    foreign: list[str] = []
    left_out = 0
    for kind in dataclasses:
        group: list[str] = []
        for option in (option for option in fields(kind) if option.init):
            owner = next(base for base in kind.__mro__ if option.name in vars(base).get("__annotations__", ()))
            ours = not owner.__module__.startswith("transformers.")
            if everything or (ours and option.name in vars(owner).get("USUAL", [option.name])):
                (group if ours else foreign).extend(_help_of(option, everything))
            else:
                left_out += 1
        title = re.sub("(?<=[a-z])(?=[A-Z0-9])", " ", re.sub("(Arguments|Defaults)$", "", kind.__name__)).lower()
        lines += ["", f"{title}:", *group] if group else []
    lines += ["", "options of transformers:", *foreign] if foreign else []
    if not everything:
        lines += [
            "",
            f"--help-all prints full explanations{f' and {left_out} more options' if left_out else ''}.",
        ]
    return "\n".join(lines)


def _help_of(option: Field[Any], everything: bool) -> Iterator[str]:
    kind = str(option.type)
    choices = "{" + ",".join(map(str, option.metadata.get("choices") or ())) + "}"
    value = choices if choices != "{}" else "N" if "int" in kind or "float" in kind else "VALUE"
    if not everything and len(option.name) + len(value) > _LABEL - 7:
        value = "…"
    label = f"  --{option.name}" + ("" if "bool" in kind else f" {value}" + " ..." * ("list" in kind))
    text = " ".join(str(option.metadata.get("help") or "").split())
    width = min(shutil.get_terminal_size().columns, 120)
    if not everything:
        text = re.split(r"\.? \(|[.;] |\.$", text)[0]
        yield f"{label:{_LABEL}}{textwrap.shorten(text, max(20, width - _LABEL), placeholder=' …')}"
        return
    if option.default not in (MISSING, None, False, "") and "default" not in text.lower():
        text += f" (default: {option.default})"
    yield label
    yield from textwrap.wrap(text, max(30, width), initial_indent=" " * 10, subsequent_indent=" " * 10)
