"""Start the HTTP service of `kgloss serve`. The module `service` holds the service, and is slow to import."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..optional import require
from ..reporting import one_line
from .serve_arguments import ServeArguments

_BACKLOG = 2048  # connections that wait to be accepted, as in uvicorn


def serve(model: str, *, others: Sequence[str] = (), **options: Any) -> int:
    """Answer `POST /translate` over HTTP until SIGTERM or Ctrl-C, then finish the requests that have begun.

    Args:
        model: Folder or Hub repository.
        others: Folders or Hub repositories of additional models; the answer is then the one that agrees best with the
            candidates of all models (default: none).
        **options: Fields of `ServeArguments`.

    Returns:
        The exit status: 0 after a signal; 1 if a worker could not start, with the reason on standard error.

    Raises:
        ImportError: FastAPI or uvicorn is missing.
        ValueError: An option has an invalid value, or the model cannot be loaded.
        OSError: The address is in use or does not belong to this machine, or the model's files cannot be read.

    Examples:
        >>> serve("outputs/demo/model", port=70000)
        Traceback (most recent call last):
        ValueError: port: expected a number from 0 to 65535, found 70000
    """
    arguments = ServeArguments(**options)
    require("serve", "fastapi", "uvicorn", purpose="kgloss serve")
    with _listening(arguments.host, arguments.port) as listener:
        from .service import run  # slow, and needless if the address is in use

        with suppress(KeyboardInterrupt):
            return run([model, *others], arguments, listener, loaded_in_worker)
        return 0


def loaded_in_worker(models: Sequence[str], arguments: ServeArguments) -> Any:
    """Return the application in a worker process, or end the process with a status that stops its parent.

    This function is in a module that is quick to import, because uvicorn imports it before the worker can answer the
    check that it is alive.

    Args:
        models: Folders or Hub repositories, the main one first.
        arguments: Settings of the service.
    """
    from uvicorn.config import STARTUP_FAILURE

    try:
        from .service import loaded

        return loaded(models, arguments)
    except Exception as error:  # each new worker would fail in the same way
        print(f"kgloss serve: {one_line(error)}", file=sys.stderr)
        sys.exit(STARTUP_FAILURE)


def _listening(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that clients that connect while the model loads wait for it."""
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
