"""Translate one file of sentences there and back, saving each batch, so that no answer is requested twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa
from pyarrow import parquet

from ..files import save_file, sole_writer
from ..reporting import counted
from ..runtime.normalization import normalize_line
from .engines.engine import Engine, EngineError, RefusedError, batches

logger = logging.getLogger(__name__)

# `pivot` or `target` is null where the engine did not accept the text.
_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("pivot", pa.string()),
        ("target", pa.string()),
        ("origin", pa.string()),
        ("engine", pa.int16()),
        ("similarity", pa.float32()),
    ]
)


@runtime_checkable
class _SamplingEngine(Engine, Protocol):
    """An engine that draws translations at random, from a seed."""

    def seed(self, value: int) -> None:
        """Seed the next call of `translate`."""
        ...


def translate_chunk(
    sentences: Path,
    translations: Path,
    engines: Sequence[Engine],
    *,
    pivot: str,
    seed: int,
    on_bad_rows: str = "raise",
    score: Callable[[Sequence[str], Sequence[str]], Sequence[float]] | None = None,
    progress: Callable[[int], Any] = lambda texts: None,
) -> None:
    """Translate a file of sentences to a pivot language and back, unless the translations exist already.

    Each batch is written to a journal next to the file before the next batch begins; a later call continues from the
    journal. The same sentences, engines and seeds give the same file, interrupted or not, if the engines themselves are
    deterministic.

    Args:
        sentences: A file written by `write_sentences`.
        translations: File to write.
        engines: The engines, in the order of their numbers in the file.
        pivot: Language to translate to, and then back to Korean from.
        seed: Seed of engines that draw their translations at random.
        on_bad_rows: What to do with a text that its engine refuses: `raise`, or `skip`, which leaves it null.
        score: Function that returns the similarity of each pair (default: similarities are null).
        progress: Called with the number of texts in each batch, whether translated now or earlier (default: nothing is
            called).

    Raises:
        EngineError: An engine gave no usable answer.
        RuntimeError: Another process is working on the file.
        ValueError: An engine does not support a language.
        OSError: The file cannot be written, for example because the disk is full.
    """
    journal_file = translations.with_suffix(".jsonl")
    with sole_writer(journal_file):
        if not translations.exists():
            rows = parquet.read_table(sentences)
            with _Journal(journal_file) as journal:
                work = _Work(journal, sentences.name, seed, on_bad_rows, progress)
                pivots, targets = _there_and_back(rows, engines, pivot, work)
            similarities = _similarities(rows["source"].to_pylist(), targets, score)
            table = pa.table(
                [rows["source"], pivots, targets, rows["origin"], rows["engine"], similarities], schema=_SCHEMA
            )
            save_file(translations, lambda path: parquet.write_table(table, path))
        journal_file.unlink(missing_ok=True)


class _Work(NamedTuple):
    """Settings of a translation besides the engine and the texts."""

    journal: _Journal
    chunk: str
    seed: int
    on_bad_rows: str
    progress: Callable[[int], Any]


def _there_and_back(
    rows: pa.Table, engines: Sequence[Engine], pivot: str, work: _Work
) -> tuple[list[str | None], list[str | None]]:
    """Return the pivot translation of each row's sentence by its engine, and the translation back."""
    sources = rows["source"].to_pylist()
    chosen = rows["engine"].to_pylist()
    pivots: list[str | None] = [None] * len(rows)
    targets: list[str | None] = [None] * len(rows)
    for number, engine in enumerate(engines):
        own = [index for index, choice in enumerate(chosen) if choice == number]
        there = _one_way(engine, [sources[index] for index in own], "ko", pivot, [number, "there"], work)
        back = _one_way(engine, there, pivot, "ko", [number, "back"], work)
        for index, pivot_text, returned in zip(own, there, back, strict=True):
            pivots[index], targets[index] = pivot_text, returned
    return pivots, targets


def _one_way(
    engine: Engine, texts: Sequence[str | None], source: str, target: str, key: list[Any], work: _Work
) -> list[str | None]:
    """Return the texts' translations: None for a text that is too long or refused, and "" for an empty text."""
    translations: list[str | None] = [text if text == "" else None for text in texts]
    taken = [(index, text) for index, text in enumerate(texts) if text and len(text) <= engine.limits.text]
    work.progress(len(texts) - len(taken))
    for place, batch in enumerate(batches([text for _, text in taken], engine.limits)):
        chosen = [taken[number] for number in batch]
        answer = work.journal.answer([*key, place], len(chosen))
        if answer is None:
            if isinstance(engine, _SamplingEngine):
                name = json.dumps([work.seed, work.chunk, *key, place]).encode()
                engine.seed(int.from_bytes(hashlib.blake2b(name, digest_size=4).digest()))
            answer = _translate(engine, [text for _, text in chosen], source, target, work.on_bad_rows)
            work.journal.add([*key, place], answer)
        for (index, _), translation in zip(chosen, answer, strict=True):
            translations[index] = translation
        work.progress(len(chosen))
    return translations


def _similarities(
    sources: list[str],
    targets: list[str | None],
    score: Callable[[Sequence[str], Sequence[str]], Sequence[float]] | None,
) -> list[float | None]:
    if score is None:
        return [None] * len(sources)
    paired = [(source, target) for source, target in zip(sources, targets, strict=True) if target]
    scores = iter(score([source for source, _ in paired], [target for _, target in paired]))
    return [next(scores) if target else None for target in targets]


def _translate(engine: Engine, texts: list[str], source: str, target: str, on_bad_rows: str) -> list[str | None]:
    """Return the translations of a batch; with `on_bad_rows="skip"`, None for a text that the engine refuses."""
    try:
        answer = engine.translate(texts, source, target)
    except RefusedError as error:
        if on_bad_rows != "skip":
            raise
        if len(texts) == 1:
            logger.warning("%s: skipped %.40r: %s", engine.name, texts[0], error)
            return [None]
        return [only for text in texts for only in _translate(engine, [text], source, target, on_bad_rows)]
    if len(answer) != len(texts):
        raise EngineError(f"{engine.name}: expected {counted(len(texts), 'translation')}, found {len(answer)}")
    # A lone surrogate, which UTF-8 cannot encode, becomes a question mark.
    return [normalize_line(text.encode("utf-8", "replace").decode()) for text in answer]


class _Journal:
    """Answers by batch, in a file with one JSON array per line; each is on disk when `add` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers: dict[str, list[str | None]] = {}

    def __enter__(self) -> _Journal:
        self._file: IO[bytes] = open(self._path, "ab+")
        self._file.seek(0)
        end = 0
        for line in self._file:
            if (entry := _entry(line)) is None:
                logger.warning("%s: translating a damaged line and everything after it again", self._path)
                break
            self._answers[json.dumps(entry[0])] = entry[1]
            end += len(line)
        self._file.truncate(end)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def answer(self, key: list[Any], length: int) -> list[str | None] | None:
        """Return a batch's answer, or None if the journal holds none of that length."""
        answer = self._answers.get(json.dumps(key))
        return answer if answer is not None and len(answer) == length else None

    def add(self, key: list[Any], answer: list[str | None]) -> None:
        line = json.dumps([key, answer], ensure_ascii=False).encode() + b"\n"
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())


def _entry(line: bytes) -> tuple[list[Any], list[str | None]] | None:
    """Return the key and the answer in a line of the journal, or None if the line was cut off."""
    if not line.endswith(b"\n"):
        return None
    try:
        key, answer = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    whole = isinstance(answer, list) and all(text is None or isinstance(text, str) for text in answer)
    return (key, answer) if whole else None
