"""Write translated sentences into a review sheet, the least certain first, for `kgloss review`."""

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
    """Translate sentences, and write them with their glosses into a review sheet, the least certain first.

    The certainty of an answer is the mean probability of its glosses, `exp(log_prob / (glosses + 1))`, where its end
    counts as one gloss; with several models it is their agreement. Blank lines are left out, and equal sentences are
    written once; both are counted.

    Args:
        model: Folder or Hub repository.
        sentences: Text file with one sentence per line, table with a column of sentences, sign corpus, or name of a
            data set (`kgloss_hf.data.texts.read_texts`). Glosses in it are not shown.
        output: File to write; it must not exist, because it might hold corrections.
        others: Folders or Hub repositories of additional models (default: none). The answer that agrees best with the
            candidates of all models is shown; alternatives come from `model`.
        format: `xlsx`, `eaf` (ELAN), or `csv` (default: by the ending of `output`).
        n_best: Number of answers per sentence: the best is shown, and the others are alternatives (default: 3).
        limit: Number of sentences to write, the least certain ones (default: all).
        num_beams: Number of beams (default: the model's).
        batch_size: Sentences per batch (default: the pipeline's).
        text_column: Column with the sentences (default: by its name, such as `text` or 문장).
        encoding: Encoding of a text file, such as `cp949` (default: `utf-8`).
        data_dir: Folder with your copy of a data set that is not distributed with kgloss.

    Returns:
        Numbers of sentences that were `written`, and that were left out as `blank`, `repeated`, or `certain` (beyond
        `limit`).

    Raises:
        FileNotFoundError: The file of sentences, or the folder of `output`, does not exist.
        FileExistsError: `output` exists.
        ValueError: The format is unknown or contradicts the ending of `output`, an option has an invalid value, or
            there are no sentences.
        ImportError: The library of the format is not installed.

    Examples:
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
        raise FileExistsError(f"{output} already exists, and may hold corrections; choose another --output")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder; create it, or choose another --output")
    from tqdm import tqdm

    counts: Counter[str] = Counter()
    text_rows = read_text_rows(sentences, column=text_column, encoding=encoding, data_dir=data_dir)
    settings: dict[str, Any] = {"num_beams": num_beams, "batch_size": batch_size}
    options = {name: value for name, value in settings.items() if value is not None}
    with tqdm(unit=" sentences", disable=None, leave=False, file=sys.stderr) as bar:
        rows = _answered(model, others, _chosen(text_rows, sentences, counts), n_best, options)
        ranked = ((row.certainty, number, row) for number, row in enumerate(_shown(rows, bar)))
        ordered = sorted(ranked) if limit is None else heapq.nsmallest(limit, ranked)
    if not ordered:
        raise ValueError(f"{sentences}: expected sentences, found none; add some")
    written = [row for *_, row in ordered]
    counts["certain"] = counts.pop("read") - len(written)
    counts["written"] = len(written)
    save_file(path, lambda partial: write_sheet(partial, written, kind, alternatives=n_best - 1))
    return +counts


def _format_of(path: Path, format: str | None) -> str:
    ending = path.suffix.lower().removeprefix(".")
    if ending not in SHEET_FORMATS or format not in (None, ending):
        expected = (
            f".{format}" if format in SHEET_FORMATS else f"one of {', '.join(f'.{kind}' for kind in SHEET_FORMATS)}"
        )
        raise ValueError(f"--output: expected a file that ends in {expected}, found {str(path)!r}; rename it")
    return ending


def _chosen(
    text_rows: Iterator[tuple[str, str, dict[str, Any]]], source: str, counts: Counter[str]
) -> Iterator[tuple[str, str, tuple[float, float] | None]]:
    """Yield the id, the text and the times of each distinct sentence."""
    seen = set()
    for name, text, row in text_rows:
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
    """Return the times at which the signs of a sentence in a sign corpus begin and end."""
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
        alternatives = dict.fromkeys(tuple(candidate["glosses"]) for candidate in candidates)
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
    """Return the mean probability of an answer's glosses, where its end counts as one gloss."""
    if answer["log_prob"] is None:
        return 0.0
    return float(math.exp(answer["log_prob"] / (len(answer["glosses"]) + 1)))
