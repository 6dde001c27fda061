"""What the corpus builder asks of a translation engine, and how an engine is named on the command line."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

ENGINES = {
    "transformers": "TransformersEngine",
    "ctranslate2": "CTranslate2Engine",
    "google": "GoogleEngine",
    "papago": "PapagoEngine",
}
"""The class of each kind of engine, in the module of that name."""


class EngineError(RuntimeError):
    """An engine gave no usable answer. What it translated before is kept by the builder."""


class RefusedError(EngineError):
    """An engine will not take these texts, while it might take others: trying again cannot help."""


class Limits(NamedTuple):
    """What an engine takes at a time.

    Args:
        texts: Texts in one batch or request at most.
        characters: Characters of a batch at most, each text counted as long as the longest.
        text: Characters of one text at most. The builder leaves longer ones out and counts them.
    """

    texts: int
    characters: int
    text: int


class Price(NamedTuple):
    """What an engine costs: per million characters of what is sent to it, in a currency (ISO 4217)."""

    per_million: float
    currency: str


class Engine(Protocol):
    """Something that translates. Any object with these members can build a corpus.

    `name` stands in the corpus's column `engine`; it names no folder of this machine and holds no key. `price` is None
    where nothing is paid for. `describe()` gives all that decides what comes out, as values that JSON takes, and is
    quick: a corpus that was begun with another description is not continued; only other `versions`, a dict in it, are
    said in a warning. A constructor is quick too: models are
    loaded when they are first needed.
    """

    @property
    def name(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def price(self) -> Price | None: ...

    def describe(self) -> dict[str, Any]: ...

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of any number of texts, in their order.

        Args:
            texts: Not blank, without line ends, none longer than `limits.text`.
            source: Language of the texts, as ISO 639-1 (`ko`) or as the engine itself writes it (`kor_Hang`).
            target: Language to translate to.

        Returns:
            As many texts as were given.

        Raises:
            ValueError: A language is not known.
            RefusedError: The engine will not take one of the texts.
            EngineError: There is no usable answer.
        """
        ...


def batches(texts: Sequence[str], limits: Limits) -> list[list[int]]:
    """Divide texts into batches that an engine takes, of similar length, the longest first.

    Args:
        texts: None longer than `limits.text`.
        limits: Of the engine. A text longer than `limits.characters` is a batch of its own.

    Returns:
        Indices of the texts.

    Example:
        >>> batches(["물", "도와 주세요.", "불"], Limits(texts=2, characters=100, text=100))
        [[1, 0], [2]]
    """
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    divided: list[list[int]] = []
    longest = 0
    for index in order:
        size = len(divided[-1]) if divided else limits.texts
        if size < limits.texts and longest * (size + 1) <= limits.characters:
            divided[-1].append(index)
        else:
            divided.append([index])
            longest = len(texts[index])
    return divided


def is_number(value: object) -> bool:
    """Return whether an option's value is a number that a float can hold: neither a bool, nor nan, nor beyond 1.8e308.

    Example:
        >>> is_number(2), is_number(True), is_number(float("inf")), is_number(10**400)
        (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def open_engine(spec: str, *, spending: Path | None = None) -> tuple[Engine, float]:
    """An engine and its weight, by name and options.

    Args:
        spec: `KIND[:MODEL][,OPTION=VALUE…]`: a key of `ENGINES`, a checkpoint where the kind has one, and arguments of
            the kind's class. `weight` (1) is its share of the sentences, against the other engines' weights.
        spending: File in which engines that are paid for count what they have sent, so that a limit outlasts the
            process.

    Raises:
        ValueError: The kind, an option or a value is not known; says which there are.
        ImportError: A library that the engine needs is not installed; says how to get it.

    Example:
        >>> open_engine("bing")
        Traceback (most recent call last):
        ValueError: bing: expected an engine of the kind transformers, ctranslate2, google, papago, found 'bing'
    """
    head, *pairs = spec.split(",")
    kind, _, model = head.partition(":")
    if kind not in ENGINES:
        raise ValueError(f"{spec}: expected an engine of the kind {', '.join(ENGINES)}, found {kind!r}")
    engine_class = getattr(importlib.import_module(f".{kind}", __package__), ENGINES[kind])
    known = inspect.signature(engine_class).parameters
    options: dict[str, Any] = {"model": model} if model else {}
    for pair in pairs:
        option, equals, value = pair.partition("=")
        if not equals or option in options:
            raise ValueError(f"{spec}: expected OPTION=VALUE once for each option after the comma, found {pair!r}")
        options[option] = _value(spec, option, value, known[option].annotation if option in known else "")
    weight = options.pop("weight", 1)
    if not is_number(weight) or weight <= 0:
        raise ValueError(f"{spec}: expected weight to be a number above 0, found {weight!r}")
    if "spending" in known:
        options["spending"] = spending
    try:
        inspect.signature(engine_class).bind(**options)
    except TypeError as error:
        names = ", ".join(name for name in known if name != "spending")
        raise ValueError(f"{spec}: {error}; options of {kind} are {names}, weight") from error
    return engine_class(**options), float(weight)


def _value(spec: str, option: str, value: str, annotation: str) -> Any:
    """The value of an option as the kind's class annotates it."""
    try:
        read = yaml.safe_load(value)
    except Exception as error:  # PyYAML has its own, and trips over tags such as !!bool
        raise ValueError(f"{spec}: expected a number, true, false or a word for {option}, found {value!r}") from error
    if annotation.startswith("bool") and not isinstance(read, bool):
        raise ValueError(f"{spec}: expected {option} to be true or false, found {value!r}")
    if annotation.startswith("float") and (isinstance(read, bool) or not isinstance(read, int | float)):
        raise ValueError(f"{spec}: expected {option} to be a number, found {value!r}")
    return value if annotation.startswith("str") or not isinstance(read, int | float | bool) else read
