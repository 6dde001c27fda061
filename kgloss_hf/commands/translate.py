"""Lines of Korean to lines of glosses, for `kgloss translate`."""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import torch
from tqdm import tqdm

from ..reporting import visible

FORMATS = ("text", "jsonl", "tsv")


def translate(
    model: str,
    sentences: Sequence[str] = (),
    *,
    input: str | None = None,
    format: str = "text",
    n_best: int | None = None,
    types: bool = False,
    alignment: bool = False,
    fingerspell: bool = False,
    num_beams: int | None = None,
    batch_size: int | None = None,
    int8: bool = False,
    threads: int | None = None,
    output: TextIO | None = None,
) -> int:
    """Translate sentences, a file, or standard input, a line each, in bounded memory.

    Every line gives its output in the order of input, a blank one too. A line that is not UTF-8 gives an empty output
    and a message, and does not stop the others.

    Args:
        model: Folder or Hub repository.
        sentences: What to translate (default: the lines of `input`).
        input: Text file, UTF-8, or `-` for standard input (default: standard input if there are no sentences).
        format: `text`: the glosses, with a space between them. `jsonl`: an object a line, the answer of the pipeline
            with `text`; with `n_best` the answers are its `candidates`. `tsv`: a table with a header.
        n_best: Print this many sequences per line, the best score first (see `GlossSequence`).
        types: Add the types of glosses (`jsonl` and `tsv`).
        alignment: Add spans of the source (`jsonl`).
        fingerspell: Spell what has no gloss.
        num_beams: Beams (default: the model's).
        batch_size: Sentences a step (default: the pipeline's).
        int8: Compute with eight-bit weights.
        threads: Threads of the processor to compute with (default: all cores).
        output: Where to write (default: standard output).

    Returns:
        How many lines could not be read.

    Raises:
        FileNotFoundError: `input` is not there.
        ValueError: `format` is not known, both sentences and `input` are given, the format cannot hold an option, or
            the model cannot be loaded or has no eight-bit form, or an option has a value that cannot be.
        OSError: The model's files cannot be read.

    Example:
        >>> translate(getfixture("checkpoint"), [" "], format="jsonl")
        {"text": " ", "generated_text": "", "glosses": [], "unresolved": []}
        0
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    if sentences and input is not None:
        raise ValueError("expected sentences or --input, found both; leave one out")
    for option, given, formats in (("types", types, ("jsonl", "tsv")), ("alignment", alignment, ("jsonl",))):
        if given and format not in formats:
            raise ValueError(f"{option}: expected a format that can hold it ({', '.join(formats)}), found {format}")
    if threads is not None:
        torch.set_num_threads(threads)
    with ExitStack() as stack:
        file: BinaryIO | None = None
        if not sentences:
            from_file = input not in (None, "-")
            file = stack.enter_context(Path(str(input)).open("rb")) if from_file else sys.stdin.buffer
        from transformers import pipeline

        # Weights that can hold code are not read; and transformers must not ask whether to run a model's code, for it
        # would take a line of standard input for the answer.
        safe: dict[str, Any] = {"trust_remote_code": False, "model_kwargs": {"use_safetensors": True}}
        try:
            text_to_gloss = pipeline("text-to-gloss", model=model, int8=int8, **safe)
        except ValueError as error:  # of transformers may hold the tracebacks of all that it tried
            _, tracebacks, errors = str(error).partition("Traceback (most recent call last):")
            if not tracebacks:
                raise
            raise ValueError(f"{model}: expected a model, found an error: {errors.strip().splitlines()[-1]}") from error
        options: dict[str, Any] = {"return_types": types, "return_alignment": alignment, "fingerspell": fingerspell}
        chosen = {"num_return_sequences": n_best, "num_beams": num_beams, "batch_size": batch_size}
        options |= {name: value for name, value in chosen.items() if value is not None}
        waiting: deque[str] = deque()
        # Someone who types waits for each answer; else lines are read ahead, so that they can be sorted by length.
        typed = file is not None and file.isatty()
        lines = _Lines(sentences or file or (), sys.stdin.encoding if typed else "utf-8")
        total: int | None = len(sentences) or None
        if file is not None and file is not sys.stdin.buffer and file.seekable():
            total = sum(1 for _ in file)
            file.seek(0)
        if typed:
            answers = (text_to_gloss(text, **options) for text in _noted(lines, waiting))
        else:
            answers = text_to_gloss(_noted(lines, waiting), **options)
        output = output or sys.stdout
        if format == "tsv":
            print("\t".join(_header(n_best, types)), file=output)
        for answer in tqdm(answers, total=total, unit=" lines", disable=None, file=sys.stderr):
            for row in _rows(waiting.popleft(), answer, format, n_best, types):
                print(row, file=output, flush=True)  # so that what is finished is out, whatever comes
    return lines.unread


class _Lines:
    """Lines as text, without their ends; counts those of another encoding, which are empty."""

    def __init__(self, source: Iterable[str | bytes], encoding: str) -> None:
        self.source = source
        self.encoding = encoding
        self.unread = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self.source, 1):
            try:
                text = line.decode(self.encoding) if isinstance(line, bytes) else line
            except UnicodeDecodeError as error:
                self.unread += 1
                text = ""
                wrong = error.object[error.start : error.end]
                print(f"line {number}: expected {self.encoding.upper()}, found {wrong!r}", file=sys.stderr)
            yield text.removeprefix("\ufeff").rstrip("\r\n").replace("\n", " ")


def _noted(lines: Iterable[str], waiting: deque[str]) -> Iterator[str]:
    for line in lines:
        waiting.append(line)
        yield line


def _header(n_best: int | None, types: bool) -> list[str]:
    return [
        "text",
        *(["rank", "score", "log_prob"] if n_best is not None else []),
        "glosses",
        *(["types"] if types else []),
    ]


def _rows(text: str, answer: Any, format: str, n_best: int | None, types: bool) -> Iterator[str]:
    if format == "jsonl":
        row = {"text": text, **(answer if n_best is None else {"candidates": answer})}
        yield visible(json.dumps(row, ensure_ascii=False))
        return
    candidates = [answer] if n_best is None else answer
    for rank, candidate in enumerate(candidates, 1):
        scores = [] if n_best is None else [f"{candidate[name]:.4f}" for name in ("score", "log_prob")]
        if format == "tsv":
            ranked = [str(rank), *scores] if scores else []
            cells = [text, *ranked, candidate["generated_text"], *([" ".join(candidate["types"])] if types else [])]
        else:
            cells = [*scores[:1], candidate["generated_text"]]
        yield "\t".join(visible(re.sub(r"[\t\n]", " ", cell)) for cell in cells)
    if format == "text" and n_best is not None:
        yield ""
