"""Start the HTTP service of `kgloss serve`. `service` holds the service itself, and imports what is slow."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..optional import require
from ..reporting import one_line
from .serve_arguments import ServeArguments

_BACKLOG = 2048  # connections that the system keeps until they are accepted, as uvicorn has it


def serve(model: str, *, others: Sequence[str] = (), **options: Any) -> int:
    """Answer `POST /translate` over HTTP until SIGTERM or Ctrl-C, and then finish what has begun.

    Args:
        model: Folder or Hub repository.
        others: Folders or Hub repositories of further models: give the one answer that agrees best with the candidates
            of all of them.
        **options: Fields of `ServeArguments`.

    Returns:
        The exit status: 0 after a signal, 1 where a worker could not start, which says why on standard error.

    Raises:
        ImportError: FastAPI or uvicorn is missing.
        ValueError: An option has a value that cannot be, or the model cannot be loaded.
        OSError: The address is in use or is none of this machine's, or the model's files cannot be read.

    Example:
        >>> serve("outputs/demo/model", port=70000)
        Traceback (most recent call last):
        ValueError: port: expected a number from 0 to 65535, found 70000
    """
    arguments = ServeArguments(**options)
    require("serve", "fastapi", "uvicorn", purpose="kgloss serve")
    with _listening(arguments.host, arguments.port) as listener:
        from .service import run  # slow, and of no use where the address is taken

        with suppress(KeyboardInterrupt):
            return run([model, *others], arguments, listener, loaded_in_worker)
        return 0


def loaded_in_worker(models: Sequence[str], arguments: ServeArguments) -> Any:
    """Return the application in a process of its own, or end that with a status that stops its parent.

    Here because uvicorn asks a worker whether it lives, and imports this module before it can answer.

    Args:
        models: Folders or Hub repositories, the main one first.
        arguments: Of the service.
    """
    from uvicorn.config import STARTUP_FAILURE

    try:
        from .service import loaded

        return loaded(models, arguments)
    except Exception as error:  # would come again in each new worker
        print(f"kgloss serve: {one_line(error)}", file=sys.stderr)
        sys.exit(STARTUP_FAILURE)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens already: who connects while the model is loaded waits for it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OSError(f"host: expected an address or name of this machine, found {host!r} ({error})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(
            f"expected to listen on {host}, port {port}, found an error: {error.strerror}; end the program that uses "
            "it, or choose another --port or --host"
        ) from error
    return listener
