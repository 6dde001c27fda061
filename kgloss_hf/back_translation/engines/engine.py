"""The interface of a translation engine, and the engines by their names on the command line."""

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
"""Class of each kind of engine, in the module of the kind's name."""


class EngineError(RuntimeError):
    """An engine gave no usable answer. The builder keeps its earlier translations."""


class RefusedError(EngineError):
    """An engine refuses these texts, though it may accept others. Trying again cannot help."""


class Limits(NamedTuple):
    """The limits of an engine's batches.

    Args:
        texts: Maximum number of texts per batch or request.
        characters: Maximum number of characters per batch, with each text counted as long as the longest.
        text: Maximum number of characters per text. The builder leaves longer texts out and counts them.
    """

    texts: int
    characters: int
    text: int


class Price(NamedTuple):
    """The price of an engine per million characters sent to it, in a currency (ISO 4217)."""

    per_million: float
    currency: str


class Engine(Protocol):
    """The interface of a translation engine. Any object with these members can build a corpus.

    `name` is the value of the corpus's column `engine`; it contains neither a path of this machine nor a key. `price`
    is None for an engine that is free of charge. `describe()` returns everything that determines the translations, as
    JSON values, and is quick. A corpus that was begun with another description is not continued, except that different
    `versions`, a dict in it, only cause a warning. The constructor must be quick too: models are loaded when they are
    first needed.
    """

    @property
    def name(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def price(self) -> Price | None: ...

    def describe(self) -> dict[str, Any]: ...

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate any number of texts, in their order.

        Args:
            texts: Texts that are not blank, hold no line ends, and are no longer than `limits.text`.
            source: Language of the texts, as ISO 639-1 (`ko`) or as the engine itself writes it (`kor_Hang`).
            target: Language to translate to.

        Returns:
            One translation per text.

        Raises:
            ValueError: The engine does not know a language.
            RefusedError: The engine refuses one of the texts.
            EngineError: The engine gave no usable answer.
        """
        ...


def batches(texts: Sequence[str], limits: Limits) -> list[list[int]]:
    """Divide texts into batches of similar length that an engine accepts, the longest texts first.

    Args:
        texts: Texts, none longer than `limits.text`.
        limits: Limits of the engine. A text longer than `limits.characters` forms a batch of its own.

    Returns:
        Indices of the texts in each batch.

    Examples:
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
    """Return whether an option's value is a finite number that a float can hold; a bool is not a number.

    Args:
        value: Value of the option.

    Examples:
        >>> is_number(2), is_number(True), is_number(float("inf")), is_number(10**400)
        (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def open_engine(spec: str, *, spending: Path | None = None) -> tuple[Engine, float]:
    """Create an engine from its specification, and return it with its weight.

    Args:
        spec: `KIND[:MODEL][,OPTION=VALUE…]`: a key of `ENGINES`, a checkpoint if the kind uses one, and arguments of
            the kind's class. `weight` (default: 1) sets the engine's share of the sentences, relative to the weights of
            the other engines.
        spending: File in which paid engines count the characters that they have sent, so that a limit outlasts the
            process.

    Raises:
        ValueError: The kind, an option or a value is not known; the message lists those that exist.
        ImportError: A library that the engine needs is not installed; the message gives the install command.

    Examples:
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
        raise ValueError(f"{spec}: {error}; the options of {kind} are {names}, weight") from error
    return engine_class(**options), float(weight)


def _value(spec: str, option: str, value: str, annotation: str) -> Any:
    """Parse the value of an option by its annotation in the kind's class."""
    try:
        parsed = yaml.safe_load(value)
    except Exception as error:  # PyYAML raises errors of its own, and others on tags such as !!bool
        raise ValueError(f"{spec}: expected a number, true, false or a word for {option}, found {value!r}") from error
    if annotation.startswith("bool") and not isinstance(parsed, bool):
        raise ValueError(f"{spec}: expected {option} to be true or false, found {value!r}")
    if annotation.startswith("float") and (isinstance(parsed, bool) or not isinstance(parsed, int | float)):
        raise ValueError(f"{spec}: expected {option} to be a number, found {value!r}")
    return value if annotation.startswith("str") or not isinstance(parsed, int | float | bool) else parsed
