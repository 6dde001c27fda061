"""Begin and end a run as a command: its words, one line for an error, and how to go on after Ctrl-C."""

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
    """Return whether this process may print: the first of those that a launcher has started on this machine.

    Example:
        >>> speaks()
        True
    """
    return os.environ.get("LOCAL_RANK", "0") in ("0", "-1")


def as_script(main: Callable[[], None]) -> int:
    """Run the function of a script, and return its exit status.

    An error of use, such as a file that is not there, is one line on standard error, in the first process of a machine
    alone. Progress bars of libraries appear only where something takes more than three seconds, and vanish.

    Args:
        main: Reads the command line. It imports what is slow to import, so that Ctrl-C meanwhile ends quietly too.

    Returns:
        0; 1 after an error; 130 after Ctrl-C.

    Example:
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
        _say(f"the weights are cut short or damaged ({error}); fetch or make them again")
        return 1
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        _say(str(error))
        return 1
    return 0


def _say(line: str) -> None:
    if speaks():
        print(visible(line), file=sys.stderr, flush=True)


def command_line(words: Sequence[str] | None, program: str) -> list[str]:
    """Return the whole command by which a run was started.

    Args:
        words: Its words; None for those of this process, which a script was started with.
        program: What stands before the words, such as `kgloss train`; a script knows itself.

    Example:
        >>> command_line(["--preset", "tiny"], "kgloss train")
        ['kgloss', 'train', '--preset', 'tiny']
    """
    return [Path(sys.executable).name, *sys.argv] if words is None else [*program.split(), *words]


def parsed(words: Sequence[str] | None, program: str, *dataclasses: Any) -> tuple[Any, ...]:
    """Return the options in words, an object per dataclass, and let only one process print the usage.

    Args:
        words: As for `command_line`.
        program: As for `command_line`.
        dataclasses: Options, for `kgloss_hf.options.parse_arguments`, which says what it raises.
    """
    from transformers import HfArgumentParser

    from ..options import parse_arguments

    name = Path(sys.argv[0]).name if words is None else program
    with open(os.devnull, "w") as nothing, nullcontext() if speaks() else redirect_stderr(nothing):
        return parse_arguments(HfArgumentParser(dataclasses, prog=name), sys.argv[1:] if words is None else words)


@contextmanager
def resumable(how: Callable[[], str]) -> Iterator[None]:
    """Say how to go on where Ctrl-C or SIGTERM ends what is done within.

    Args:
        how: Returns what is kept and how to go on, in a line; called when the work has ended, and only in a process
            that may print.

    Raises:
        KeyboardInterrupt: After Ctrl-C, with the line, which is printed already.
        SystemExit: After SIGTERM, with the status 143.

    Example:
        >>> with resumable(lambda: "The same command goes on."):
        ...     pass
    """
    terminated = False

    def terminate(number: int, frame: Any) -> NoReturn:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()  # which alone may say what a signal does
    before = signal.signal(signal.SIGTERM, terminate) if in_main else None
    try:
        yield
    except KeyboardInterrupt:
        line = f"Stopped by {'SIGTERM' if terminated else 'Ctrl-C'}. {how() if speaks() else ''}"
        _say(f"\n{line}" if sys.stderr.isatty() else line)  # the terminal shows ^C at the beginning of the line
        if terminated:
            sys.exit(128 + signal.SIGTERM)
        raise KeyboardInterrupt(line) from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def quoted(command: Sequence[str], *more: str) -> str:
    """Return a command for a shell, with words added that it does not have yet.

    Args:
        command: From `command_line`.
        more: Such as `--resume`.

    Example:
        >>> quoted(["kgloss", "train", "--resume", "my pairs.csv"], "--resume")
        "kgloss train --resume 'my pairs.csv'"
    """
    return shlex.join([*command, *(word for word in more if word not in command)])
