"""Options of `kgloss serve`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_ORIGIN = re.compile(r"https?://[^/\s,*]+|null")
_PORTS = range(2**16)


def _help(text: str) -> dict[str, Any]:
    return {"help": text}


@dataclass(frozen=True)
class ServeArguments:
    """Address, limits and other settings of `kgloss serve`."""

    host: str = field(
        default="127.0.0.1",
        metadata=_help("Address to listen on; 0.0.0.0 for all, as in a container (default: 127.0.0.1)."),
    )
    port: int = field(default=8000, metadata=_help("Port to listen on; 0 for any free one (default: 8000)."))
    workers: int = field(
        default=1, metadata=_help("Processes; each holds the model and Java in its memory (default: 1).")
    )
    cors: str | None = field(
        default=None,
        metadata=_help("Origins whose pages may use the service, separated by commas, or * for all (default: none)."),
    )
    max_characters: int = field(default=500, metadata=_help("Maximum number of characters per text (default: 500)."))
    max_texts: int = field(default=128, metadata=_help("Maximum number of texts per request (default: 128)."))
    max_waiting: int = field(
        default=1024, metadata=_help("Maximum number of texts that wait in a process (default: 1024).")
    )
    threads: int | None = field(
        default=None, metadata=_help("Threads per process (default: the cores, divided by workers).")
    )
    lexicon: str | None = field(
        default=None,
        metadata=_help("Lexicon of signs (CSV, JSON, …); answers then hold signs, with what plays each gloss."),
    )
    int8: bool = field(default=False, metadata=_help("Use eight-bit weights: faster, but some outputs differ."))

    def __post_init__(self) -> None:
        for name in ("workers", "max_characters", "max_texts", "max_waiting", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected 1 or more, found {value}")
        if self.port not in _PORTS:
            raise ValueError(f"port: expected a number from 0 to 65535, found {self.port}")
        if self.max_texts > self.max_waiting:
            raise ValueError(
                f"max_waiting: expected at least max_texts, which is {self.max_texts}, found {self.max_waiting}; a "
                "request of that size would never be accepted"
            )
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"cors: expected origins such as https://museum.example or http://localhost:3000, without a path, "
                    f"found {origin!r}"
                )

    @property
    def origins(self) -> list[str]:
        """Origins of `cors`; none by default."""
        return [] if self.cors is None else [origin.strip() for origin in self.cors.split(",")]
