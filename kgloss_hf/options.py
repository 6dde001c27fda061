"""Read options from a YAML file and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser


def parse_arguments(parser: HfArgumentParser, arguments: Sequence[str]) -> tuple[Any, ...]:
    """Read options from a YAML file, where the first argument names one, and from the command line, which wins.

    Args:
        parser: Of the dataclasses.
        arguments: Command-line words.

    Returns:
        One object per dataclass. An unknown option ends the process with the usage.

    Raises:
        FileNotFoundError: The YAML file does not exist.
        ValueError: It is not YAML, not a mapping, or holds a key that is no option or a value that is no choice.

    Example:
        >>> from kgloss_hf.training.table5 import Table5Arguments
        >>> (chosen,) = parse_arguments(HfArgumentParser(Table5Arguments), ["--pretext", "outputs/pretext/model"])
        >>> chosen.runs
        10
    """
    arguments = list(arguments)
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        arguments = _set_defaults(parser, Path(arguments[0])) + arguments[1:]
    *chosen, others = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    return tuple(chosen)


def _set_defaults(parser: HfArgumentParser, path: Path) -> list[str]:
    """Take a file's options as defaults, and return the required ones, which have none, as command-line words."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; the first argument is a YAML file of options")
    try:
        options = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected YAML, found an error: {error}; correct it") from error
    if not isinstance(options, dict):
        raise ValueError(f"{path}: expected one option a line (name: value), found {type(options).__name__}")
    known = {option.name: option for kind in parser.dataclass_types for option in fields(kind) if option.init}
    if unknown := sorted(map(str, options.keys() - known.keys())):
        raise ValueError(f"{path}: no such option: {', '.join(unknown)}; --help lists them")
    for name, value in options.items():  # those of the command line argparse compares itself
        choices = known[name].metadata.get("choices")
        if choices and not set(value if isinstance(value, list) else [value]) <= {*choices, None}:
            raise ValueError(f"{path}: {name}: expected one of {', '.join(map(str, choices))}, found {value!r}")
    parser.set_defaults(**options)
    required = [name for name in options if known[name].default is known[name].default_factory is MISSING]
    return [f"--{name}={options[name]}" for name in required]
