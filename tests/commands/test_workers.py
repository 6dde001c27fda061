from __future__ import annotations

import multiprocessing
import operator
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import count

import pytest

from kgloss_hf.commands.workers import in_order

# A spawned process imports nothing from this file, so the functions called are those of the library.
_SLEEPER = partial(partial, time.sleep)


def test_answers_come_in_the_order_of_items_which_are_read_a_little_ahead() -> None:
    read = []
    items = (read.append(number) or number for number in count())
    answers = in_order(partial(partial, operator.mul, 2), items, 2)
    assert [next(answers) for _ in range(10)] == [2 * number for number in range(10)]
    answers.close()
    assert len(read) <= 10 + 2 * 2 + 1
    assert not multiprocessing.active_children()


def test_an_error_comes_in_its_place_with_its_type_and_text() -> None:
    answers = in_order(partial(partial, int), ["1", "x", "2"], 2)
    assert next(answers) == 1
    with pytest.raises(ValueError, match="invalid literal for int.*'x'"):
        next(answers)
    with pytest.raises(RuntimeError, match="KeyError: 'x'|'x'"):
        list(in_order(partial(partial, operator.getitem, {}), ["x"], 2))
    with pytest.raises(TypeError, match="not callable"):
        list(in_order(partial(int, 3), ["x"], 2))


def test_an_error_of_reading_comes_after_the_answers_before_it() -> None:
    answers = in_order(partial(partial, int), (str(1 // number) for number in (1, 0)), 2)
    assert next(answers) == 1
    with pytest.raises(ZeroDivisionError):
        next(answers)


def test_a_process_that_is_killed_ends_all() -> None:
    answers = in_order(partial(partial, signal.raise_signal), [0, signal.SIGKILL, 0], 2)
    with pytest.raises(RuntimeError, match="found one that was killed or could not start.*fewer workers"):
        list(answers)
    assert not multiprocessing.active_children()


def test_closing_does_not_wait_for_what_is_being_computed() -> None:
    answers = in_order(_SLEEPER, [0, 1000, 1000], 2)
    next(answers)
    answers.close()
    assert not multiprocessing.active_children()


ORPHANS = """
import multiprocessing, time
from contextlib import closing
from functools import partial
from kgloss_hf.commands.workers import in_order

with closing(in_order(partial(partial, time.sleep), [0, 0, 1000, 1000], 2)) as answers:
    next(answers), next(answers)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    next(answers)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHANS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    workers = process.stdout.readline().split()
    assert workers
    process.send_signal(number)
    _, error = process.communicate(timeout=60)  # workers hold standard error, so it ends when all have ended
    assert error.count("Traceback") == (number == signal.SIGINT)  # the parent's own
