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
    """Where `kgloss serve` listens, and what it accepts."""

    host: str = field(
        default="127.0.0.1", metadata=_help("address to listen on; 0.0.0.0: all, in a container (default: 127.0.0.1)")
    )
    port: int = field(default=8000, metadata=_help("port to listen on; 0: any free one (default: 8000)"))
    workers: int = field(
        default=1, metadata=_help("processes, each with the model and Java in its memory (default: 1)")
    )
    cors: str | None = field(
        default=None,
        metadata=_help("origins whose pages may use the service, separated by commas, or * for all (default: none)"),
    )
    max_characters: int = field(default=500, metadata=_help("longest text (default: 500 characters)"))
    max_texts: int = field(default=128, metadata=_help("most texts per request (default: 128)"))
    max_waiting: int = field(
        default=1024, metadata=_help("texts that wait in a process before it refuses more (default: 1024)")
    )
    threads: int | None = field(
        default=None, metadata=_help("threads per process to compute with (default: the cores, divided by workers)")
    )
    lexicon: str | None = field(
        default=None,
        metadata=_help("lexicon (CSV, JSON, …) that says what plays each gloss; answers then hold signs"),
    )
    int8: bool = field(default=False, metadata=_help("eight-bit weights: faster, with some other outputs"))

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
        """The origins of `cors`, none by default."""
        return [] if self.cors is None else [origin.strip() for origin in self.cors.split(",")]
