"""Sentences to a sheet for reviewers, the least certain first, for `kgloss review`."""

from __future__ import annotations

import heapq
import math
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import tee
from pathlib import Path
from typing import Any

from ..data.lines import is_text
from ..data.review_sheets import SHEET_FORMATS, Reviewed, write_sheet
from ..data.texts import read_text_rows
from ..files import save_file
from ..runtime.normalization import normalize_line


def review(
    model: str,
    sentences: str,
    *,
    output: str,
    others: Sequence[str] = (),
    format: str | None = None,
    n_best: int = 3,
    limit: int | None = None,
    num_beams: int | None = None,
    batch_size: int | None = None,
    text_column: str | None = None,
    encoding: str = "utf-8",
    data_dir: str | None = None,
) -> Counter[str]:
    """Translate sentences, and write them with their glosses into a sheet for reviewers, the least certain first.

    The certainty of an answer is the mean probability of its glosses: `exp(log_prob / (glosses + 1))`, its end counted
    as one; with several models it is their agreement. Blank lines are left out, and equal sentences stand once; both
    are counted.

    Args:
        model: Folder or Hub repository.
        sentences: A text file with a sentence per line, a table with a column of sentences, a sign corpus, or the name
            of a data set (`kgloss_hf.data.texts.read_texts`). Glosses that it holds are not shown.
        output: File to write; it must not be there, as it might hold corrections.
        others: Folders or Hub repositories of further models: the answer that agrees best with the candidates of all is
            shown; alternatives are those of `model`.
        format: `xlsx`, `eaf` (ELAN), or `csv` (default: by the ending of `output`).
        n_best: Answers per sentence: the best is shown, and the others are alternatives (default: 3).
        limit: Write this many sentences, the least certain (default: all).
        num_beams: Beams (default: the model's).
        batch_size: Sentences per batch (default: the pipeline's).
        text_column: Column with the sentences (default: by its name, such as `text` or 문장).
        encoding: Of a text file, such as `cp949`.
        data_dir: Folder with your copy of a data set that is not shipped.

    Returns:
        How many sentences were `written`, and how many were left out as `blank`, `repeated`, or `certain` (beyond
        `limit`).

    Raises:
        FileNotFoundError: There are no such sentences.
        FileExistsError: `output` is there.
        ValueError: The format is not known or contradicts the ending of `output`, an option has a value that cannot be,
            or there are no sentences.
        ImportError: The library of the format is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sentences.txt")
        ...     _ = file.write_text("집에 불이 났어요.\\n\\n", "utf-8")
        ...     counts = review(getfixture("checkpoint"), str(file), output=f"{folder}/sheet.csv")
        >>> counts["written"], counts["blank"]
        (1, 1)
    """
    path = Path(output)
    kind = _format_of(path, format)
    for option, value in (("n_best", n_best), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{option}: expected 1 or more, found {value}")
    if path.exists():
        raise FileExistsError(f"{output} is there already, and may hold corrections; choose another --output")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder; make it, or choose another --output")
    from tqdm import tqdm

    counts: Counter[str] = Counter()
    read = read_text_rows(sentences, column=text_column, encoding=encoding, data_dir=data_dir)
    asked: dict[str, Any] = {"num_beams": num_beams, "batch_size": batch_size}
    options = {name: value for name, value in asked.items() if value is not None}
    with tqdm(unit=" sentences", disable=None, leave=False, file=sys.stderr) as bar:
        rows = _answered(model, others, _chosen(read, sentences, counts), n_best, options)
        ranked = ((row.certainty, number, row) for number, row in enumerate(_shown(rows, bar)))
        ordered = sorted(ranked) if limit is None else heapq.nsmallest(limit, ranked)
    if not ordered:
        raise ValueError(f"{sentences}: expected sentences, found none")
    written = [row for *_, row in ordered]
    counts["certain"] = counts.pop("read") - len(written)
    counts["written"] = len(written)
    save_file(path, lambda partial: write_sheet(partial, written, kind, alternatives=n_best - 1))
    return +counts


def _format_of(path: Path, given: str | None) -> str:
    ending = path.suffix.lower().removeprefix(".")
    if ending not in SHEET_FORMATS or given not in (None, ending):
        expected = (
            f".{given}" if given in SHEET_FORMATS else f"one of {', '.join(f'.{kind}' for kind in SHEET_FORMATS)}"
        )
        raise ValueError(f"--output: expected a file that ends in {expected}, found {str(path)!r}; rename it")
    return ending


def _chosen(
    read: Iterator[tuple[str, str, dict[str, Any]]], source: str, counts: Counter[str]
) -> Iterator[tuple[str, str, tuple[float, float] | None]]:
    """Yield the id, the text and the times of each sentence, once."""
    seen = set()
    for name, text, row in read:
        sentence = normalize_line(text)
        if not is_text(name + sentence):
            raise ValueError(f"{source}, sentence {name!a:.60}: expected text, found half a character; correct it")
        if not sentence or sentence in seen:
            counts["repeated" if sentence else "blank"] += 1
            continue
        seen.add(sentence)
        counts["read"] += 1
        yield normalize_line(name), sentence, _times(row)


def _times(row: dict[str, Any]) -> tuple[float, float] | None:
    """Return when the signs of a sign corpus's sentence begin and end."""
    starts, ends = ([time for time in row.get(name) or () if time is not None] for name in ("starts", "ends"))
    return (min(starts), max(ends)) if starts and ends else None


def _shown(rows: Iterator[Reviewed], bar: Any) -> Iterator[Reviewed]:
    for row in rows:
        bar.update()
        yield row


def _answered(
    model: str,
    others: Sequence[str],
    sentences: Iterator[tuple[str, str, tuple[float, float] | None]],
    n_best: int,
    options: dict[str, Any],
) -> Iterator[Reviewed]:
    """Yield the sentences with their answers."""
    from ..models.loading import load

    text_to_gloss = load(model, others=others)
    waiting: deque[tuple[str, str, tuple[float, float] | None]] = deque()

    def texts() -> Iterator[str]:
        for sentence in sentences:
            waiting.append(sentence)
            yield sentence[1]

    first, second = tee(texts())
    best = text_to_gloss(first, num_return_sequences=n_best, consensus=False, **options)
    agreed = text_to_gloss(second, consensus=True, **options) if others else None
    for candidates in best:
        answer = candidates[0] if agreed is None else next(agreed)
        certainty = answer["agreement"] if others else _certainty(answer)
        name, text, times = waiting.popleft()
        alternatives = dict.fromkeys(tuple(one["glosses"]) for one in candidates)
        alternatives.pop(tuple(answer["glosses"]), None)
        yield Reviewed(
            name,
            text,
            answer["glosses"],
            list(filter(None, alternatives))[: n_best - 1],
            certainty,
            answer["unknown_words"],
            bool(answer["unknown_words"] or answer["unresolved"]),
            times,
        )


def _certainty(answer: Any) -> float:
    """Return the mean probability of an answer's glosses, the end counted as one."""
    if answer["log_prob"] is None:
        return 0.0
    return float(math.exp(answer["log_prob"] / (len(answer["glosses"]) + 1)))
