"""Reproduce the paper's Table 5 as a command that reads options, trains the runs and prints the tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from transformers import HfArgumentParser

from ..files import check_model
from ..reporting import print_tables, use_utf8
from .console import command_line, quoted, resumable
from .table5 import Table5Arguments, kept_runs, reproduce, tables
from .text2gloss import OPTIONS


def main(words: Sequence[str] | None = None, program: str = "kgloss table5") -> None:
    """Train the missing runs, and print the tables of all runs.

    Args:
        words: Options. Those that `Table5Arguments` lacks are passed to each training (default: the options that the
            script was started with).
        program: Name that precedes the words, for messages.

    Raises:
        ValueError: An option is invalid, or the folder holds runs with other options or data.
        RuntimeError: Runs failed, which are named, or another process is working in the folder.
        KeyboardInterrupt: After Ctrl-C; a line on standard error has told how to continue.
        SystemExit: An option is unknown, or the process was terminated.
    """
    use_utf8()
    command = command_line(words, program)
    parser = HfArgumentParser(Table5Arguments, prog=Path(sys.argv[0]).name if words is None else program)
    arguments, options = parser.parse_args_into_dataclasses(
        list(sys.argv[1:] if words is None else words), return_remaining_strings=True
    )
    check_model(arguments.pretext, "--pretext")
    if unknown := HfArgumentParser(OPTIONS).parse_known_args(options)[1]:  # these would end every run
        raise ValueError(
            f"unrecognized arguments: {' '.join(unknown)}; expected options of kgloss table5 or kgloss train"
        )

    def how() -> str:
        return f"Runs kept in {arguments.output_dir}: {kept_runs(arguments)}. Continue: {quoted(command)}"

    with resumable(how):
        result = reproduce(arguments, None, options)
    print_tables(tables(result))
    print(f"table5.md, table5.json, loss_curves.png and the runs are in {arguments.output_dir}")
