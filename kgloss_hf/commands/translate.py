"""Translate lines of Korean into lines of glosses, for `kgloss translate`."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TextIO

from ..data.lines import is_subtitles
from ..reporting import counted, one_line_warnings, use_utf8, visible

if TYPE_CHECKING:
    from ..runtime.lexicon import Lexicon

FORMATS = ("text", "jsonl", "tsv")
"""Output formats for lines."""

_HOLDING = {
    "n_best": FORMATS,
    "min_agreement": ("text", "tsv"),  # with subtitles; jsonl holds it for lines
    "types": ("jsonl", "tsv", "eaf", "timeline"),
    "alignment": ("jsonl",),
    "confidence": ("jsonl", "eaf", "timeline"),
    "durations": ("eaf", "timeline"),
}
"""Formats that can hold the result of an option, those for subtitles included."""

_WORD = "다릅니다"
"""Word that makes Okt load its dictionaries."""

_FEW = 100
"""Number of sentences up to which Java's optimising compiler would not pay off."""

_PATH = re.compile(r"(?=.*[a-z])[\w.~-]*(/[\w.-]+)+/?", re.ASCII | re.IGNORECASE)
"""Names that look like a folder or Hub repository, and not like a Korean sentence."""


def models_among(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the words after the first model into additional models and sentences.

    Args:
        words: Folders of models first, recognised by their config.json; the rest are sentences.

    Returns:
        The models and the sentences.

    Raises:
        ValueError: A word among the sentences may be meant as a model: it looks like the name of a folder or Hub
            repository, or it is the folder of a model after a sentence.

    Examples:
        >>> models_among([getfixture("checkpoint"), "집에 불이 났어요."])[1]
        ['집에 불이 났어요.']
        >>> models_among(["kgloss/demo", "집에 불이 났어요."])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: expected sentences, found 'kgloss/demo', which may be meant as a model; ...
    """

    def holds_model(word: str, *folder: str) -> bool:
        return bool(word) and os.path.isfile(os.path.join(word, *folder, "config.json"))

    first = next((number for number, word in enumerate(words) if not holds_model(word)), len(words))
    for word in words[first:]:
        if (_PATH.fullmatch(word) and not is_subtitles(word)) or holds_model(word) or holds_model(word, "model"):
            raise ValueError(
                f"expected sentences, found {word!r}, which may be meant as a model; name each additional model by its "
                "folder with config.json, before the sentences, or with --with MODEL; put a sentence that looks "
                "like this into a file (--input)"
            )
    return list(words[:first]), list(words[first:])


def check_format(format: str, options: Mapping[str, Any], formats: Sequence[str] = FORMATS) -> None:
    """Check that an output format can hold the results of options.

    Args:
        format: The output format.
        options: Values of options; None and False ask for nothing.
        formats: Formats among which the user can choose, for the message.

    Raises:
        ValueError: The format cannot hold the result of an option.

    Examples:
        >>> check_format("text", {"types": True})
        Traceback (most recent call last):
        ValueError: types: expected a format that can hold it (jsonl, tsv), found text; choose another --format
    """
    for option, holding in _HOLDING.items():
        if options.get(option) not in (None, False) and format not in holding:
            names = ", ".join(name for name in holding if name in formats)
            raise ValueError(
                f"{option}: expected a format that can hold it ({names}), found {format}; choose another --format"
            )


def translate(
    model: str,
    sentences: Sequence[str] = (),
    *,
    others: Sequence[str] = (),
    consensus: bool = False,
    min_agreement: float | None = None,
    input: str | None = None,
    format: str = "text",
    n_best: int | None = None,
    types: bool = False,
    alignment: bool = False,
    fingerspell: bool = False,
    confidence: bool = False,
    lexicon: str | Lexicon | None = None,
    playable: str | None = None,
    num_beams: int | None = None,
    batch_size: int | None = None,
    int8: bool = False,
    workers: int = 1,
    threads: int | None = None,
    output: TextIO | None = None,
) -> int:
    """Translate sentences, a file, or standard input line by line, in bounded memory.

    Every line, including a blank one, yields its output in the order of input. A line that is not UTF-8 yields an empty
    output and a message, and translation continues.

    Args:
        model: Folder or Hub repository.
        sentences: Sentences to translate (default: the lines of `input`).
        others: Folders or Hub repositories of additional models: give the one answer that agrees best with the
            candidates of all models (`kgloss_hf.runtime.consensus`), and its agreement (default: none).
        consensus: Give the answer that agrees best with the candidates of `model` alone; implied by `others` (default
            False).
        min_agreement: Leave out lines whose answer has a lower agreement, or no glosses, and count them on standard
            error (default: leave out none).
        input: UTF-8 text file, or `-` for standard input (default: standard input if there are no sentences).
        format: `text`: the glosses, separated by spaces, with `?` after a placeholder without a source, as in `print`.
            `jsonl`: one object per line, the answer of the pipeline with `text`; with `n_best` the answers are its
            `candidates`. `tsv`: a table with a header. With `others` or `consensus`, all formats include the agreement;
            in `text` it stands before the glosses, followed by a tab. If lines hold words that the model does not know,
            a message at the end counts the lines; `jsonl` and `tsv` list the words.
        n_best: Number of sequences to print per line, the best score first (see `GlossSequence`; default: one, without
            a score).
        types: Add the types of glosses (`jsonl` and `tsv`).
        alignment: Add spans of the source (`jsonl`).
        fingerspell: Fingerspell words that have no gloss.
        confidence: Add the probability of each gloss (`jsonl`).
        lexicon: Lexicon, or a file that holds one (`kgloss_hf.load_lexicon`). `jsonl` then adds what plays each gloss,
            and `tsv` adds a column of the glosses that nothing plays. A message at the end counts the glosses that can
            be played.
        playable: With `lexicon`: `prefer` or `only`, as for the pipeline.
        num_beams: Number of beams (default: the model's), and of candidates per model for a consensus (default: 10).
        batch_size: Sentences per batch (default: the pipeline's).
        int8: Compute with eight-bit weights.
        workers: Number of processes that share the lines, at most one per window of 16 batches (default 1). Each loads
            the models and starts Java. The output is the same as that of one process with the same number of `threads`.
            A program that uses more than one needs the usual `if __name__ == "__main__":`, since processes are spawned.
        threads: Threads per process (default: the cores, divided by `workers`; 1 for a single sentence).
        output: File to write to (default: standard output).

    Returns:
        Number of lines that could not be read.

    Raises:
        FileNotFoundError: `input` does not exist.
        ValueError: `format` is unknown, both sentences and `input` are given, the format cannot hold the result of an
            option, the model cannot be loaded or has no eight-bit form, an option has an invalid value, or several
            `workers` would read from a terminal.
        OSError: The model's files cannot be read.
        RuntimeError: A worker ended before its work was done. Earlier results are in the output.

    Examples:
        >>> translate(getfixture("checkpoint"), [" "], format="jsonl")
        {"text": " ", "generated_text": "", "glosses": [], "unresolved": [], "unknown_words": [], "log_prob": 0.0}
        0
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    if sentences and input is not None:
        raise ValueError("expected sentences or --input, found both; leave one out")
    check_format(format, {"types": types, "alignment": alignment, "confidence": confidence})
    consensus = consensus or bool(others)
    if consensus and n_best is not None:
        raise ValueError("expected n_best or a consensus, found both; leave out n_best, or use a single model")
    if min_agreement is not None and not consensus:
        raise ValueError("min_agreement: expected several models or --consensus, found neither; add one of them")
    if min_agreement is not None and not 0 <= min_agreement <= 1:
        raise ValueError(f"min_agreement: expected a number from 0 to 1, found {min_agreement}")
    if workers < 1:
        raise ValueError(f"workers: expected 1 or more, found {workers}")
    from tqdm import tqdm

    from ..runtime.answers import BATCH_SIZE, WINDOW
    from .workers import in_order

    if playable and lexicon is None:
        raise ValueError(f"playable: expected a lexicon for {playable!r}, found none; name one with --lexicon")
    options: dict[str, Any] = {"return_types": types, "return_alignment": alignment, "fingerspell": fingerspell}
    options["return_confidence"] = confidence
    chosen: dict[str, Any] = {"num_return_sequences": n_best, "num_beams": num_beams, "batch_size": batch_size}
    if isinstance(lexicon, str):  # before the model, and once for all workers
        from ..data.lexicon import load_lexicon

        lexicon = load_lexicon(lexicon)
    chosen |= {"lexicon": lexicon, "playable": playable}
    options |= {name: value for name, value in chosen.items() if value is not None} | {"consensus": consensus}
    with ExitStack() as stack:
        file: BinaryIO | None = None
        total: int | None = len(sentences) or None
        if not sentences and input not in (None, "-"):
            file = stack.enter_context(Path(str(input)).open("rb"))
            if file.seekable():
                total = sum(1 for _ in file)
                file.seek(0)
        elif not sentences:
            # Python cannot exit while another thread, such as that of the workers, waits for input in sys.stdin.
            file = sys.stdin.buffer if workers == 1 else open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
        # At a terminal, each line is answered at once; otherwise lines are read ahead, to be sorted by length.
        typed = file is not None and file.isatty()
        if typed and workers > 1:
            raise ValueError(
                "workers: expected lines from a file or a pipe, found a terminal, where each line is answered before "
                "the next is read; leave out --workers"
            )
        window = WINDOW * max(1, batch_size or BATCH_SIZE)
        if total is not None:
            workers = min(workers, -(-total // window))
        style = _Style(format, n_best, types, min_agreement, lexicon is not None)
        settings: dict[str, Any] = {
            "others": list(others),
            "int8": int8,
            "threads": threads,
            "options": options,
            "style": style,
        }
        lines = _Lines(sentences or file or (), sys.stdin.encoding if typed else "utf-8")
        parts: Iterator[_Part]
        if workers > 1:
            # The same windows as in the pipeline, so that the same sentences are computed together.
            make = partial(_translator_of_windows, model, workers, **settings)
            parts = stack.enter_context(closing(in_order(make, _windows(lines, window), workers)))
        else:
            translated = _translator(model, sentences, **settings)
            parts = (part for line in lines for part in translated([line])) if typed else translated(lines)
        output = output or sys.stdout
        if format == "tsv":
            print("\t".join(_header(n_best, types, consensus, style.lexicon)), file=output)
        counts: Counter[str] = Counter()
        # With None, tqdm shows a bar if standard error is a terminal. Answers on a terminal show the progress already.
        disable = output.isatty() or None
        bar = stack.enter_context(tqdm(total=total, unit=" lines", disable=disable, leave=False, file=sys.stderr))
        for rows, counts_of_part in parts:
            if rows:
                print("\n".join(rows), file=output, flush=True)  # finished lines are kept whatever happens
            counts.update(counts_of_part)
            bar.update(counts_of_part["read"])
    if min_agreement is not None:
        print(
            f"{counts['left_out']:,} of {counted(counts['read'], 'line')} left out: no glosses, or an agreement below "
            f"{min_agreement:g}",
            file=sys.stderr,
        )
    if lexicon is not None:
        hint = (
            "" if format != "text" or counts["playable"] == counts["signs"] else "; use --format tsv to list the others"
        )
        share = f" ({100 * counts['playable'] / counts['signs']:.1f}%)" if counts["signs"] else ""
        total_glosses = counted(counts["signs"], "gloss", "glosses")
        print(f"{counts['playable']:,} of {total_glosses} can be played{share}{hint}", file=sys.stderr)
    if doubtful := counts["doubtful"]:
        lines_with = counted(doubtful, "line contains", "lines contain")
        hint = "; use --format jsonl to list them" if format == "text" else ""
        print(f"{lines_with} words that the model does not know{hint}", file=sys.stderr)
    return lines.unread


class _Style(NamedTuple):
    """Settings for printing answers."""

    format: str
    n_best: int | None
    types: bool
    min_agreement: float | None
    lexicon: bool = False


# Rows for some lines; counts of lines (read, left_out, doubtful) and of glosses (signs, playable).
_Part = tuple[Sequence[str], Counter[str]]


def _translator(
    model: str,
    sentences: Sequence[str] = (),
    *,
    others: list[str],
    int8: bool,
    threads: int | None,
    options: dict[str, Any],
    style: _Style,
) -> Callable[[Iterable[str]], Iterator[_Part]]:
    """Load models, and return a function that translates lines, one part per line."""
    _warm_up(model, sentences[: _FEW + 1])
    before = None
    if threads is not None or len(sentences) == 1:
        import torch

        if threads is None:  # more threads would only wait for each other and for Java
            before = torch.get_num_threads()
        torch.set_num_threads(1 if threads is None else threads)
    from transformers.utils import logging

    from ..models.loading import load

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # the bar for loading weights, which is quick
    try:
        text_to_gloss = load(model, others=others, int8=int8)
    finally:
        if bars:
            logging.enable_progress_bar()

    def translated(lines: Iterable[str]) -> Iterator[_Part]:
        waiting: deque[str] = deque()
        try:
            for answer in text_to_gloss(_noted(lines, waiting), **options):
                yield _part(waiting.popleft(), answer, style)
        finally:
            if before is not None:
                torch.set_num_threads(before)

    return translated


def _translator_of_windows(model: str, workers: int, **settings: Any) -> Callable[[list[str]], _Part]:
    """Load models in a worker, and return a function that translates a window of lines."""
    use_utf8()
    one_line_warnings()
    if settings["threads"] is None:
        import torch

        settings["threads"] = max(1, torch.get_num_threads() // workers)
    translated = _translator(model, **settings)

    def window_translated(lines: list[str]) -> _Part:
        rows, counts = zip(*translated(lines), strict=True)
        return list(chain.from_iterable(rows)), sum(counts, Counter())

    return window_translated


def _part(text: str, answer: Any, style: _Style) -> _Part:
    minimum = style.min_agreement
    if minimum is not None and not (answer["glosses"] and answer["agreement"] >= minimum):
        return [], Counter(read=1, left_out=1)
    candidates = [answer] if style.n_best is None else answer
    doubtful = any(candidate["unknown_words"] for candidate in candidates)
    signs = candidates[0].get("signs", ()) if candidates else ()
    counts = Counter(read=1, doubtful=doubtful, signs=len(signs), playable=len(signs) - len(_missed(signs)))
    return list(_rows(text, answer, style)), counts


def _missed(signs: Iterable[dict[str, Any]]) -> list[str]:
    return [sign["gloss"] for sign in signs if "reason" in sign]


def _warm_up(model: str, sentences: Sequence[str]) -> None:
    """Analyse sentences, or make Okt load its dictionaries, while transformers is imported: each takes seconds.

    Java is not started if all words of the sentences are known. Few sentences are analysed in a helper process.
    """
    try:
        settings = json.loads(Path(model, "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        settings = {}  # a Hub repository; errors of reading are raised by the tokenizer
    # Imported here, because two threads that import related modules may see one half imported.
    from ..runtime import java, okt
    from ..runtime.normalization import normalize

    if not isinstance(settings, dict) or settings.get("analyzer", "okt") != "okt":
        return
    if not sentences and okt.CACHE_FILE:
        return  # it may hold all words of the lines to come
    java.BRIEFLY = 0 < len(sentences) <= _FEW

    def load() -> None:
        with suppress(Exception):  # the first batch raises it again
            okt.analyze(list(map(normalize, sentences))) if sentences else list(java.analyze_words([_WORD]))

    threading.Thread(target=load).start()


class _Lines:
    """Lines as text, without line ends; those in another encoding become empty and are counted as `unread`."""

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
                print(f"line {number}: expected {self.encoding.upper()}, found {wrong!r}; left empty", file=sys.stderr)
            yield text.removeprefix("\ufeff").rstrip("\r\n").replace("\n", " ")


def _noted(lines: Iterable[str], waiting: deque[str]) -> Iterator[str]:
    for line in lines:
        waiting.append(line)
        yield line


def _windows(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(lines)
    while window := list(islice(left, size)):
        yield window


def _header(n_best: int | None, types: bool, consensus: bool = False, lexicon: bool = False) -> list[str]:
    return [
        "text",
        *(["agreement"] if consensus else []),
        *(["rank", "score", "log_prob"] if n_best is not None else []),
        "glosses",
        *(["types"] if types else []),
        *(["not_playable"] if lexicon else []),
        *(["log_prob"] if n_best is None and not consensus else []),
        "unknown_words",
    ]


def _rows(text: str, answer: Any, style: _Style) -> Iterator[str]:
    format, n_best, types, _, lexicon = style
    if format == "jsonl":
        row = {"text": text, **(answer if n_best is None else {"candidates": answer})}
        yield visible(json.dumps(row, ensure_ascii=False))
        return
    candidates = [answer] if n_best is None else answer
    for rank, candidate in enumerate(candidates, 1):
        named = ("agreement",) if "agreement" in candidate else () if n_best is None else ("score", "log_prob")
        scores = [_number(candidate[name]) for name in named]
        if format == "tsv":
            ranked = scores if n_best is None else [str(rank), *scores]
            cells = [text, *ranked, candidate["generated_text"], *([" ".join(candidate["types"])] if types else [])]
            cells += [" ".join(_missed(candidate["signs"]))] if lexicon else []
            alone = [_number(candidate["log_prob"])] if not named else []
            cells += [*alone, " ".join(candidate["unknown_words"])]
        else:
            marked = dict.fromkeys(candidate.get("unresolved", ()), "?")  # as print does
            glosses = " ".join(gloss + marked.get(place, "") for place, gloss in enumerate(candidate["glosses"]))
            cells = [*scores[:1], glosses]
        yield "\t".join(visible(re.sub(r"[\t\n]", " ", cell)) for cell in cells)
    if format == "text" and n_best is not None:
        yield ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
