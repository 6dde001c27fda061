"""Call a function in several processes at once, and return the answers in order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

_KINDS = (ValueError, TypeError, OSError, ImportError)  # errors that keep their type on the way from a worker

_function: Callable[[], Callable[[Any], Any]]  # of this worker


def in_order(
    make: Callable[[], Callable[[_Item], _Answer]], items: Iterable[_Item], workers: int
) -> Generator[_Answer, None, None]:
    """Yield a function's answers to items, in the order of the items, computed by several processes.

    Processes are spawned, since Java and torch's threads do not survive a fork. A process starts when an item finds no
    idle one. A thread reads ahead, up to two items per process. Close the iterator (`contextlib.closing`) to end the
    processes at once; they also end with the parent process, however it ends. They ignore Ctrl-C, which the parent
    handles.

    Args:
        make: Called once per process; returns the function. It must be picklable, like the items and answers.
        items: Items, which may wait for input.
        workers: Maximum number of processes.

    Raises:
        ValueError, TypeError, OSError, ImportError: Raised by the function, by `make` or by reading `items`.
        RuntimeError: They raised another error, or a process ended unexpectedly, such as when the system kills it for
            lack of memory.

    Examples:
        >>> from functools import partial
        >>> list(in_order(partial(partial, int), ["3", "1", "2"], 2))
        [3, 1, 2]
    """
    context = get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)  # nothing is sent; workers wait for its end
    pool = ProcessPoolExecutor(workers, context, _start, (make, theirs))
    handed_out: SimpleQueue[Future[_Answer] | None] = SimpleQueue()
    places = threading.Semaphore(2 * workers)

    def hand_out() -> None:
        if hasattr(signal, "pthread_sigmask"):  # inherited by the processes that this thread starts
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for item in items:
                places.acquire()
                handed_out.put(pool.submit(_call, item))
        except BaseException as error:  # for the reader to raise
            failed: Future[_Answer] = Future()
            failed.set_exception(error)
            handed_out.put(failed)
        handed_out.put(None)

    try:
        threading.Thread(target=hand_out, daemon=True).start()
        while (future := handed_out.get()) is not None:
            yield future.result()
            places.release()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "expected each worker to run to the end, found one that was killed or could not start; if "
            "memory is short, use fewer workers or a lower KGLOSS_MAX_HEAP_MB"
        ) from error
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()
        places.release()  # so that the thread finds the pool closed


def _start(make: Callable[[], Callable[[Any], Any]], parent: Connection) -> None:
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _function = cache(make)


def _end_with(parent: Connection) -> None:
    with suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(1)


def _call(item: Any) -> Any:
    try:
        return _function()(item)
    except Exception as error:  # an error that cannot be pickled would look like the end of the process
        kind = next((kind for kind in _KINDS if isinstance(error, kind)), RuntimeError)
        raise kind(str(error) or type(error).__name__) from None
