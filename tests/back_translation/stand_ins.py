"""Engines for tests that answer at once and always the same, without a model."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from accelerate import PartialState

from kgloss_hf.back_translation.engines.engine import Limits, Price

_LIMITS = Limits(texts=4, characters=400, text=100)


@dataclass
class WordSwapper:
    """An engine that reverses texts on the way there; on the way back, it also moves a word and adds an ending.

    By a digest, every seventh sentence comes back unchanged, every eleventh blank, every thirteenth in Latin letters.
    """

    name: str = "swapper"
    limits: Limits = _LIMITS
    price: Price | None = None
    seconds: float = 0.0
    calls: list[tuple[str, str, list[str]]] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        PartialState()  # as in an engine that asks for its device
        return {"kind": "test", "versions": {"test": "1"}}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        time.sleep(self.seconds)
        self.calls.append((source, target, list(texts)))
        if source == "ko":
            return [text[::-1] for text in texts]
        return [self._back(text[::-1]) for text in texts]

    def _back(self, text: str) -> str:
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
        if number % 7 == 0:
            return text
        if number % 11 == 0:
            return ""
        if number % 13 == 0:
            return "Latin letters"
        words = text.split()
        return " ".join([*words[1:], words[0]]) + "라고 해요"


@dataclass
class Drawer(WordSwapper):
    """An engine that also adds a number drawn from the seed."""

    name: str = "drawer"
    drawn: int = 0

    def seed(self, value: int) -> None:
        self.drawn = value

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        return [
            f"{text} {self.drawn % 1000 + place}" for place, text in enumerate(super().translate(texts, source, target))
        ]
