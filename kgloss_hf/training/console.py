"""Run a training as a command: parse its options, report errors in one line, and tell how to resume after Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError

from ..reporting import late_bars, one_line_warnings, use_utf8, visible


def speaks() -> bool:
    """Return whether this process may print, that is, whether it is the first that a launcher started on this machine.

    Examples:
        >>> speaks()
        True
    """
    return os.environ.get("LOCAL_RANK", "0") in ("0", "-1")


def as_script(main: Callable[[], None]) -> int:
    """Run the main function of a script and return its exit status.

    A usage error, such as a missing file, is reported in one line on standard error, by the first process of a machine
    only. Progress bars of libraries appear only after three seconds, and are removed at their end.

    Args:
        main: Function that reads the command line. Slow imports belong inside it, so that Ctrl-C during them ends the
            script quietly too.

    Returns:
        0; 1 after an error; 130 after Ctrl-C.

    Examples:
        >>> as_script(lambda: None)
        0
    """
    use_utf8()
    one_line_warnings()
    late_bars()
    try:
        main()
    except KeyboardInterrupt as error:
        if not error.args:
            _say("Stopped before the run began.")
        return 130
    except SafetensorError as error:
        _say(f"the weights are cut short or damaged ({error}); download or copy the files again")
        return 1
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        _say(str(error))
        return 1
    return 0


def _say(line: str) -> None:
    if speaks():
        print(visible(line), file=sys.stderr, flush=True)


def command_line(words: Sequence[str] | None, program: str) -> list[str]:
    """Return the complete command that started a run.

    Args:
        words: Words of the command line after the program's name; None takes those of this process, a script.
        program: Name that precedes the words, such as `kgloss train`. It is not used for a script.

    Examples:
        >>> command_line(["--preset", "tiny"], "kgloss train")
        ['kgloss', 'train', '--preset', 'tiny']
    """
    return [Path(sys.executable).name, *sys.argv] if words is None else [*program.split(), *words]


def parsed(words: Sequence[str] | None, program: str, *dataclasses: Any) -> tuple[Any, ...]:
    """Parse the options of a command line, and let only one process print the usage.

    Args:
        words: As for `command_line`.
        program: As for `command_line`.
        dataclasses: Dataclasses of options, as for `kgloss_hf.options.parse_arguments`, whose errors are raised here
            too.

    Returns:
        One object per dataclass.
    """
    from transformers import HfArgumentParser

    from ..options import parse_arguments

    name = Path(sys.argv[0]).name if words is None else program
    with open(os.devnull, "w") as nothing, nullcontext() if speaks() else redirect_stderr(nothing):
        return parse_arguments(HfArgumentParser(dataclasses, prog=name), sys.argv[1:] if words is None else words)


@contextmanager
def resumable(how: Callable[[], str]) -> Iterator[None]:
    """Tell the user how to continue if Ctrl-C or SIGTERM ends the body of the `with` statement.

    Args:
        how: Function that returns, in one line, what is kept and how to continue. It is called after the work has
            ended, and only in a process that may print.

    Raises:
        KeyboardInterrupt: After Ctrl-C, with the line, which has already been printed.
        SystemExit: After SIGTERM, with status 143.

    Examples:
        >>> with resumable(lambda: "Repeat the command to continue."):
        ...     pass
    """
    terminated = False

    def terminate(number: int, frame: Any) -> NoReturn:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()  # only the main thread may set signal handlers
    before = signal.signal(signal.SIGTERM, terminate) if in_main else None
    try:
        yield
    except KeyboardInterrupt:
        line = f"Stopped by {'SIGTERM' if terminated else 'Ctrl-C'}. {how() if speaks() else ''}"
        _say(f"\n{line}" if sys.stderr.isatty() else line)  # the terminal has printed ^C on this line
        if terminated:
            sys.exit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(line) from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def quoted(command: Sequence[str], *more: str) -> str:
    """Return a command quoted for a shell, with words added that it lacks.

    Args:
        command: Words from `command_line`.
        more: Words to add, such as `--resume`.

    Examples:
        >>> quoted(["kgloss", "train", "--resume", "my pairs.csv"], "--resume")
        "kgloss train --resume 'my pairs.csv'"
    """
    return shlex.join([*command, *(word for word in more if word not in command)])
