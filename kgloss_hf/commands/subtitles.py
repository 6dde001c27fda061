"""Subtitles of Korean to glosses with times, for `kgloss translate`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..data.lines import check_no_other_subtitles, is_subtitles
from ..files import check_file, save_file
from ..reporting import visible

TIMED_FORMATS = ("srt", "vtt", "eaf", "timeline")
"""Formats that hold times, for subtitles alone."""

_LINE_FORMATS = ("text", "jsonl", "tsv")
_ENDINGS = {".srt": "srt", ".vtt": "vtt", ".eaf": "eaf", ".json": "timeline"}
_LINE_ENDINGS = {".jsonl": "jsonl", ".tsv": "tsv", ".txt": "text"}
_HOLDING = {  # which formats can hold what an option asks for
    "n_best": _LINE_FORMATS,
    "min_agreement": ("text", "tsv"),
    "types": ("jsonl", "tsv", "eaf", "timeline"),
    "alignment": ("jsonl",),
    "confidence": ("jsonl", "eaf", "timeline"),
    "durations": ("eaf", "timeline"),
}


def subtitles_among(sentences: Sequence[str], input: str | None) -> str | None:
    """Return the subtitle file that is to be translated, if there is one.

    Args:
        sentences: Words of the command line; one that ends in `.srt` or `.vtt` names a file.
        input: The file of `--input`.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: There is something else to translate too, or subtitles of another format.

    Example:
        >>> subtitles_among(["집에 불이 났어요."], None) is None
        True
    """
    given = [*sentences, *([input] if input else [])]
    for name in given:
        check_no_other_subtitles(name)
    films = list(filter(is_subtitles, given))
    if not films:
        return None
    if len(given) > 1:
        raise ValueError(f"expected {films[0]} alone, found {len(given)} things to translate; take one after the other")
    check_file(films[0])
    return films[0]


def format_of_lines(format: str | None, output: str | None) -> str:
    """Return the format in which sentences and lines are written.

    Args:
        format: What was asked for; None for what the name of `output` tells, or else text.
        output: File to write.

    Raises:
        ValueError: It is one for subtitles.

    Example:
        >>> format_of_lines(None, "glosses.jsonl")
        'jsonl'
    """
    chosen = format or _format_of(output) or "text"
    if chosen in TIMED_FORMATS:
        raise ValueError(
            f"format: expected one of {', '.join(_LINE_FORMATS)} for sentences and lines, found {chosen}, which needs "
            "times; name a .srt or .vtt file, or another --format"
        )
    return chosen


def _format_of(output: str | None) -> str | None:
    return (_ENDINGS | _LINE_ENDINGS).get(Path(output).suffix.lower()) if output else None


def written(write: Callable[..., int], output: str | None, input: str | None) -> int:
    """Call what writes with a file that gets its name only once complete, or with standard output.

    Args:
        write: Takes `output`, where to write, and returns a number.
        output: The file (default: standard output).
        input: What is read, which must be another.

    Returns:
        That number.

    Raises:
        ValueError: `output` is `input`, or a folder.

    Example:
        >>> path = getfixture("tmp_path") / "glosses.txt"
        >>> written(lambda output: output.write("집"), str(path), None), path.read_text("utf-8")
        (1, '집')
    """
    if output is None:
        return write(output=None)
    path, counts = Path(output), []
    if path.is_dir():
        raise ValueError(f"{output}: expected a file to write, found a folder; name a file in it")
    if input and path.exists() and Path(input).exists() and path.samefile(input):
        raise ValueError(f"{output}: expected another file than the one that is read, found the same; name another")

    def save(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            counts.append(write(output=file))

    save_file(path, save)
    return int(counts[0])


def translate_subtitles(
    model: str,
    path: str,
    *,
    format: str | None = None,
    encoding: str | None = None,
    durations: str | None = None,
    name: str | None = None,
    output: TextIO | None = None,
    **options: Any,
) -> int:
    """Translate the sentences in the cues of a subtitle file.

    All sentences go through the model together. What is written appears at the end. A message on standard error counts
    what was left out or changed.

    Args:
        model: Folder or Hub repository.
        path: SubRip or WebVTT file (`kgloss_hf.data.subtitles`).
        format: `srt` or `vtt`: the cues with their times and the glosses of each, `?` behind a placeholder without a
            source; a cue without speech has no text. `eaf`: an ELAN document (`kgloss_hf.data.elan_writing`).
            `timeline`: JSON (`kgloss_hf.data.timelines`). `text`, `jsonl`, `tsv`: a line per sentence, as of
            `translate`; `jsonl` with `start` and `end` in milliseconds and the numbers of the `cues`. Default: what
            `name` ends in, or else the format that is read.
        encoding: Of the file (default: as for `read_subtitles`).
        durations: Corpus that tells how long each gloss takes (`eaf` and `timeline`; default: rules).
        name: File that is written.
        output: Where to write (default: standard output).
        **options: As for `translate`, but for `sentences` and `input`.

    Returns:
        How many cues could not be read.

    Raises:
        FileNotFoundError: A file is not there.
        ImportError: `eaf` needs pympi-ling.
        ValueError: A file cannot be read, or the format cannot hold an option.

    Example:
        >>> film = getfixture("tmp_path") / "film.srt"
        >>> _ = film.write_text("1\\n00:00:01,000 --> 00:00:02,000\\n(음악)\\n", "utf-8")
        >>> translate_subtitles(getfixture("checkpoint"), str(film), format="vtt")
        WEBVTT
        <BLANKLINE>
        00:00:01.000 --> 00:00:02.000
        0
    """
    from ..data.speech import sentences_of
    from ..data.subtitles import read_subtitles
    from ..data.timelines import by_rule, learnt_durations, spread, timeline
    from ..optional import require
    from .translate import translate

    if format is None:
        format = _format_of(name)
    if format is not None:
        _check_options(format, options | {"durations": durations})
    film = read_subtitles(Path(path), encoding=encoding)
    if format is None:
        _check_options(film.kind, options | {"durations": durations})
    format = format or film.kind
    if format == "eaf":
        require("subtitles", "pympi", purpose="ELAN documents")
    weigh = learnt_durations(durations) if durations is not None else by_rule
    sentences = sentences_of(film.cues, film.notes)
    texts = [sentence.text for sentence in sentences]
    output = output or sys.stdout
    if format in ("text", "tsv"):
        if texts:
            translate(model, texts, format=format, output=output, **options)
    else:
        answers: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"format": "jsonl"}
        if format != "jsonl":
            asked |= {"types": True, "alignment": True}
            # The one answer of several has an agreement instead.
            asked["confidence"] = not (options.get("consensus") or options.get("others"))
        if texts:
            rows = io.StringIO()
            translate(model, texts, output=rows, **{**options, **asked})
            answers = [json.loads(row) for row in rows.getvalue().splitlines()]
        if format == "jsonl":
            spans = spread(film.cues, sentences, [{"glosses": []} for _ in sentences])
            for sentence, answer, span in zip(sentences, answers, spans, strict=True):
                times = {"start": span.start, "end": span.end}
                numbers = {"cues": [film.cues[part.cue].number for part in sentence.parts]}
                row = {"text": sentence.text, **times, **numbers, **answer}
                print(visible(json.dumps(row, ensure_ascii=False)), file=output)
        else:
            spans = spread(film.cues, sentences, answers, weigh)
            document = timeline(film.cues, sentences, answers, spans)
            if format == "timeline":
                print(visible(json.dumps(document, ensure_ascii=False, indent=2)), file=output)
            elif format == "eaf":
                from ..data.elan_writing import Signed, eaf_document

                kept = ("text", "start", "end", "glosses")
                signed = (Signed(**{key: one[key] for key in kept}) for one in document["sentences"])
                output.write(eaf_document(signed, film.notes))
            else:
                output.write(_glossed_cues(format, film.cues, document, spans))
    if film.notes:
        print(visible(f"{path}: {film.notes}"), file=sys.stderr)
    return film.unread


def _check_options(format: str, options: Mapping[str, Any]) -> None:
    for option, formats in _HOLDING.items():
        if options.get(option) not in (None, False) and format not in formats:
            raise ValueError(f"{option}: expected a format that can hold it ({', '.join(formats)}), found {format}")


def _glossed_cues(format: str, cues: Sequence[Any], document: Mapping[str, Any], spans: Sequence[Any]) -> str:
    from ..data.subtitles import write_subtitles

    glosses: list[list[str]] = [[] for _ in cues]
    for sentence, span in zip(document["sentences"], spans, strict=True):
        for item, timed in zip(sentence["glosses"], span.glosses, strict=True):
            glosses[timed.cue].append(item["gloss"] + ("?" if item.get("unresolved") else ""))
    return write_subtitles(
        format, ((cue.start, cue.end, " ".join(of_cue)) for cue, of_cue in zip(cues, glosses, strict=True))
    )
