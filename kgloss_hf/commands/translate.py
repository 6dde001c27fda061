"""Lines of Korean to lines of glosses, for `kgloss translate`."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TextIO

from ..data.lines import is_subtitles
from ..reporting import one_line_warnings, use_utf8, visible

if TYPE_CHECKING:
    from ..runtime.lexicon import Lexicon

FORMATS = ("text", "jsonl", "tsv")

_WORD = "다릅니다"
"""What makes Okt load its dictionaries."""

_FEW = 100
"""Sentences that are analysed before compiling well would pay."""

_PATH = re.compile(r"(?=.*[a-z])[\w.~-]*(/[\w.-]+)+/?", re.ASCII | re.IGNORECASE)
"""What looks like the name of a folder or Hub repository, and like no Korean sentence."""


def models_among(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the words behind the first model into further models and sentences.

    Args:
        words: Folders of models first, which are known by their config.json; the rest are sentences.

    Returns:
        The models and the sentences.

    Raises:
        ValueError: A word among the sentences may be meant as a model: it looks like the name of a folder or Hub
            repository, or a model's folder stands behind a sentence.

    Example:
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
                f"expected sentences, found {word!r}, which may be meant as a model; name each further model by its "
                "folder with config.json, before the sentences, or with --with MODEL; a sentence that looks like this "
                "can stand in a file (--input)"
            )
    return list(words[:first]), list(words[first:])


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
    """Translate sentences, a file, or standard input, a line each, in bounded memory.

    Every line gives its output in the order of input, a blank one too. A line that is not UTF-8 gives an empty output
    and a message, and does not stop the others.

    Args:
        model: Folder or Hub repository.
        sentences: What to translate (default: the lines of `input`).
        others: Folders or Hub repositories of further models: give the one answer that agrees best with the candidates
            of all of them (`kgloss_hf.runtime.consensus`), and its agreement.
        consensus: Give the answer that agrees best with the candidates of `model` alone; goes without saying with
            `others`.
        min_agreement: Leave out lines whose answer has a lower agreement, or no glosses, and count them on standard
            error (default: leave out none).
        input: Text file, UTF-8, or `-` for standard input (default: standard input if there are no sentences).
        format: `text`: the glosses, with a space between them, and `?` behind a placeholder without a source, as in
            `print`. `jsonl`: an object a line, the answer of the pipeline with `text`; with `n_best` the answers are
            its `candidates`. `tsv`: a table with a header. With `others` or `consensus`, each holds the agreement, in
            `text` before the glosses and a tab. Where lines hold words that the model does not know, a message at the
            end counts them; `jsonl` and `tsv` list the words.
        n_best: Print this many sequences per line, the best score first (see `GlossSequence`).
        types: Add the types of glosses (`jsonl` and `tsv`).
        alignment: Add spans of the source (`jsonl`).
        fingerspell: Spell what has no gloss.
        confidence: Add the probability of each gloss (`jsonl`).
        lexicon: A lexicon, or a file of one (`kgloss_hf.load_lexicon`): add what plays each gloss to `jsonl`, and to
            `tsv` a column of the glosses that nothing plays. A message at the end counts the glosses that can be
            played.
        playable: With `lexicon`, `prefer` or `only`, as of the pipeline.
        num_beams: Beams (default: the model's), and candidates per model of a consensus (default: 10).
        batch_size: Sentences a step (default: the pipeline's).
        int8: Compute with eight-bit weights.
        workers: Processes that share the lines, at most one per window of 16 batches; each loads the models and starts
            Java. The output is that of one process with as many `threads` (default 1). A program that asks for more
            needs the usual `if __name__ == "__main__":`, as processes are spawned.
        threads: Threads per process to compute with (default: the cores, divided by `workers`; for one
            sentence one).
        output: Where to write (default: standard output).

    Returns:
        How many lines could not be read.

    Raises:
        FileNotFoundError: `input` is not there.
        ValueError: `format` is not known, both sentences and `input` are given, the format cannot hold an option, or
            the model cannot be loaded or has no eight-bit form, an option has a value that cannot be, or `workers` are
            to read a terminal.
        OSError: The model's files cannot be read.
        RuntimeError: A worker ended before its work was done. What came before is in the output.

    Example:
        >>> translate(getfixture("checkpoint"), [" "], format="jsonl")
        {"text": " ", "generated_text": "", "glosses": [], "unresolved": [], "unknown_words": [], "log_prob": 0.0}
        0
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    if sentences and input is not None:
        raise ValueError("expected sentences or --input, found both; leave one out")
    held = (
        ("types", types, ("jsonl", "tsv")),
        ("alignment", alignment, ("jsonl",)),
        ("confidence", confidence, ("jsonl",)),
    )
    for option, given, formats in held:
        if given and format not in formats:
            raise ValueError(f"{option}: expected a format that can hold it ({', '.join(formats)}), found {format}")
    consensus = consensus or bool(others)
    if consensus and n_best is not None:
        raise ValueError("expected n_best or one answer out of many, found both; leave out n_best, or ask one model")
    if min_agreement is not None and not consensus:
        raise ValueError("min_agreement: expected several models, or consensus, found neither; add one")
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
    if isinstance(lexicon, str):  # before a model is loaded, and once for all workers
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
            # Python cannot end while another thread, as that of workers, waits for input in sys.stdin.
            file = sys.stdin.buffer if workers == 1 else open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
        # Someone who types waits for each answer; else lines are read ahead, so that they can be sorted by length.
        typed = file is not None and file.isatty()
        if typed and workers > 1:
            raise ValueError(
                "workers: expected lines of a file or a pipe, found a terminal, where each is answered before the next "
                "is read; leave out workers"
            )
        window = WINDOW * max(1, batch_size or BATCH_SIZE)
        if total is not None:
            workers = min(workers, -(-total // window))
        style = _Style(format, n_best, types, min_agreement, lexicon is not None)
        asked: dict[str, Any] = {
            "others": list(others),
            "int8": int8,
            "threads": threads,
            "options": options,
            "style": style,
        }
        lines = _Lines(sentences or file or (), sys.stdin.encoding if typed else "utf-8")
        parts: Iterator[_Part]
        if workers > 1:
            # The windows of the pipeline itself, so that the same sentences are computed together.
            make = partial(_translator_of_windows, model, workers, **asked)
            parts = stack.enter_context(closing(in_order(make, _windows(lines, window), workers)))
        else:
            translated = _translator(model, sentences, **asked)
            parts = (part for line in lines for part in translated([line])) if typed else translated(lines)
        output = output or sys.stdout
        if format == "tsv":
            print("\t".join(_header(n_best, types, consensus, style.lexicon)), file=output)
        counts: Counter[str] = Counter()
        # None is for tqdm to see whether standard error is a terminal; answers on a terminal are progress enough.
        disable = output.isatty() or None
        bar = stack.enter_context(tqdm(total=total, unit=" lines", disable=disable, leave=False, file=sys.stderr))
        for rows, counted in parts:
            if rows:
                print("\n".join(rows), file=output, flush=True)  # so that what is finished is out, whatever comes
            counts.update(counted)
            bar.update(counted["read"])
    if min_agreement is not None:
        print(
            f"{counts['left_out']:,} of {counts['read']:,} lines left out: no glosses, or an agreement below "
            f"{min_agreement:g}",
            file=sys.stderr,
        )
    if lexicon is not None:
        some = "" if format != "text" or counts["playable"] == counts["signs"] else "; --format tsv lists the others"
        share = f" ({100 * counts['playable'] / counts['signs']:.1f}%)" if counts["signs"] else ""
        print(f"{counts['playable']:,} of {counts['signs']:,} glosses can be played{share}{some}", file=sys.stderr)
    if doubtful := counts["doubtful"]:
        count = "1 line holds" if doubtful == 1 else f"{doubtful:,} lines hold"
        listed = "; --format jsonl lists them" if format == "text" else ""
        print(f"{count} words that the model does not know{listed}", file=sys.stderr)
    return lines.unread


class _Style(NamedTuple):
    """How answers are printed."""

    format: str
    n_best: int | None
    types: bool
    min_agreement: float | None
    lexicon: bool = False


# Rows of some lines, and how many lines are read, left_out and doubtful, and glosses signs and playable.
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
    """Load models, and return what translates lines, a part each."""
    _warm_up(model, sentences[: _FEW + 1])
    before = None
    if threads is not None or len(sentences) == 1:
        import torch

        if threads is None:  # one sentence gains nothing by more, which would wait for each other and for Java
            before = torch.get_num_threads()
        torch.set_num_threads(1 if threads is None else threads)
    from transformers.utils import logging

    from ..models.loading import load

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # of loading weights, which takes a moment
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


def _translator_of_windows(model: str, workers: int, **asked: Any) -> Callable[[list[str]], _Part]:
    """Load models in a worker, and return what translates a window of lines."""
    use_utf8()
    one_line_warnings()
    if asked["threads"] is None:
        import torch

        asked["threads"] = max(1, torch.get_num_threads() // workers)
    translated = _translator(model, **asked)

    def window_translated(lines: list[str]) -> _Part:
        rows, counts = zip(*translated(lines), strict=True)
        return list(chain.from_iterable(rows)), sum(counts, Counter())

    return window_translated


def _part(text: str, answer: Any, style: _Style) -> _Part:
    minimum = style.min_agreement
    if minimum is not None and not (answer["glosses"] and answer["agreement"] >= minimum):
        return [], Counter(read=1, left_out=1)
    candidates = [answer] if style.n_best is None else answer
    doubtful = any(one["unknown_words"] for one in candidates)
    signs = candidates[0].get("signs", ()) if candidates else ()
    counts = Counter(read=1, doubtful=doubtful, signs=len(signs), playable=len(signs) - len(_missed(signs)))
    return list(_rows(text, answer, style)), counts


def _missed(signs: Iterable[dict[str, Any]]) -> list[str]:
    return [sign["gloss"] for sign in signs if "reason" in sign]


def _warm_up(model: str, sentences: Sequence[str]) -> None:
    """Analyse sentences, or let Okt load its dictionaries, while transformers is imported: each takes seconds.

    Sentences whose words are all known start no Java. Few sentences are analysed in a helper process.
    """
    try:
        settings = json.loads(Path(model, "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        settings = {}  # of a Hub repository; an error of reading is for the tokenizer to raise
    # Imported here, as two threads that import modules which import one another may see half of one.
    from ..runtime import java, okt
    from ..runtime.normalization import normalize

    if not isinstance(settings, dict) or settings.get("analyzer", "okt") != "okt":
        return
    if not sentences and okt.CACHE_FILE:
        return  # it may hold every word of the lines to come
    java.BRIEFLY = 0 < len(sentences) <= _FEW

    def load() -> None:
        with suppress(Exception):  # raised again, by the first batch
            okt.analyze(list(map(normalize, sentences))) if sentences else list(java.analyze_words([_WORD]))

    threading.Thread(target=load).start()


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
