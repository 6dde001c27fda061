"""Translate Korean subtitles into glosses with times, for `kgloss translate`."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..data.lines import check_no_other_subtitles, is_subtitles
from ..files import check_file, check_output, save_file
from ..reporting import visible
from .translate import FORMATS, check_format, translate

TIMED_FORMATS = ("srt", "vtt", "eaf", "timeline")
"""Output formats that hold times, for subtitles only."""

_ENDINGS = {
    **{".txt": "text", ".jsonl": "jsonl", ".tsv": "tsv"},
    **{".srt": "srt", ".vtt": "vtt", ".eaf": "eaf", ".json": "timeline"},
}
_FILE = re.compile(r"^\S+\.(?:txt|csv|tsv|jsonl?|xlsx|parquet|eaf|gz|zip)$", re.IGNORECASE)


def subtitles_among(sentences: Sequence[str], input: str | None) -> str | None:
    """Return the subtitle file to translate, or None if there is none.

    Args:
        sentences: Words of the command line; a word that ends in `.srt` or `.vtt` names a file.
        input: The file of `--input`.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: There is something else to translate, the subtitles have another format, or a word is the name of
            another file.

    Examples:
        >>> subtitles_among(["집에 불이 났어요."], None) is None
        True
    """
    inputs = [*sentences, *([input] if input else [])]
    for name in inputs:
        check_no_other_subtitles(name)
    films = list(filter(is_subtitles, inputs))
    if not films:
        for name in sentences:
            if _FILE.search(name) or (Path(name).suffix and os.path.isfile(name)):
                raise ValueError(
                    f"expected sentences or the name of a .srt or .vtt file, found the file {name!r}; translate its "
                    f"lines with --input {name}, or unpack or convert it"
                )
        return None
    if len(inputs) > 1:
        raise ValueError(f"expected only {films[0]}, found {len(inputs)} inputs to translate; translate one at a time")
    check_file(films[0])
    return films[0]


def format_of_output(output: str | None) -> str | None:
    """Return the format that the name of a file ends in, or None if it has no extension.

    Args:
        output: File to write.

    Raises:
        ValueError: The name has another extension.

    Examples:
        >>> format_of_output("film.eaf"), format_of_output("glosses")
        ('eaf', None)
    """
    suffix = Path(output or "").suffix.lower()
    if suffix and suffix not in _ENDINGS:
        raise ValueError(
            f"output: expected a name ending in {', '.join(_ENDINGS)}, found {output!r}; rename it, or choose its "
            "format with --format"
        )
    return _ENDINGS.get(suffix)


def format_of_lines(format: str | None, output: str | None) -> str:
    """Return the output format for sentences and lines.

    Args:
        format: Requested format; None for the one that `output` ends in, or else text.
        output: File to write.

    Raises:
        ValueError: It is a format for subtitles, or the name ends in no known format.

    Examples:
        >>> format_of_lines(None, "glosses.jsonl")
        'jsonl'
    """
    chosen = format or format_of_output(output) or "text"
    if chosen in TIMED_FORMATS:
        raise ValueError(
            f"format: expected one of {', '.join(FORMATS)} for sentences and lines, found {chosen}, which needs "
            "times; name a .srt or .vtt file, or another --format"
        )
    return chosen


def written(write: Callable[..., int], output: str | None, input: str | None) -> int:
    """Call a function that writes to a file, which gets its name only once complete, or to standard output.

    Args:
        write: Function that takes `output`, the open file or None, and returns a number.
        output: File to write (default: standard output).
        input: File that is read, which must be a different one.

    Returns:
        The number that `write` returned.

    Raises:
        ValueError: `output` is `input`, or a folder.

    Examples:
        >>> path = getfixture("tmp_path") / "glosses.txt"
        >>> written(lambda output: output.write("집"), str(path), None), path.read_text("utf-8")
        (1, '집')
    """
    if output is None:
        return write(output=None)
    check_output(output, [input] if input else [])
    path, counts = Path(output), []

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

    The model translates all sentences together, and the output is written at the end. A message on standard error
    counts what was left out or changed.

    Args:
        model: Folder or Hub repository.
        path: SubRip or WebVTT file (`kgloss_hf.data.subtitles`).
        format: `srt` or `vtt`: the cues with their times and glosses, and `?` after a placeholder without a source; a
            cue without speech has no text. `eaf`: an ELAN document (`kgloss_hf.data.elan_writing`). `timeline`: JSON
            (`kgloss_hf.data.timelines`). `text`, `jsonl`, `tsv`: one line per sentence, as from `translate`; `jsonl`
            adds `start` and `end` in milliseconds and the numbers of the `cues`. Default: the format that `name` ends
            in, or else the format that is read.
        encoding: Encoding of the file (default: as for `read_subtitles`).
        durations: Corpus from which the duration of each gloss is learnt (`eaf` and `timeline`; default: rules).
        name: Name of the file that is written.
        output: File to write to (default: standard output).
        **options: As for `translate`, except for `sentences` and `input`.

    Returns:
        Number of cues that could not be read.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: `eaf` needs pympi-ling, which is not installed.
        ValueError: A file cannot be read, or the format cannot hold the result of an option.

    Examples:
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

    formats = (*FORMATS, *TIMED_FORMATS)
    if format is None:
        format = format_of_output(name)
    if format is not None:
        check_format(format, options | {"durations": durations}, formats)
    film = read_subtitles(Path(path), encoding=encoding)
    if format is None:
        check_format(film.kind, options | {"durations": durations}, formats)
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
        needed: dict[str, Any] = {"format": "jsonl"}
        if format != "jsonl":
            needed |= {"types": True, "alignment": True}
            # A consensus has an agreement instead, and refuses what is asked for.
            asked = bool(options.get("confidence"))
            needed["confidence"] = asked or not (options.get("consensus") or options.get("others"))
        if texts:
            rows = io.StringIO()
            translate(model, texts, output=rows, **{**options, **needed})
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
                signed = (Signed(**{key: sentence[key] for key in kept}) for sentence in document["sentences"])
                output.write(eaf_document(signed, film.notes))
            else:
                output.write(_glossed_cues(format, film.cues, document, spans))
    if film.notes:
        print(visible(f"{path}: {film.notes}"), file=sys.stderr)
    return film.unread


def _glossed_cues(format: str, cues: Sequence[Any], document: Mapping[str, Any], spans: Sequence[Any]) -> str:
    from ..data.subtitles import write_subtitles

    glosses: list[list[str]] = [[] for _ in cues]
    for sentence, span in zip(document["sentences"], spans, strict=True):
        for item, timed in zip(sentence["glosses"], span.glosses, strict=True):
            glosses[timed.cue].append(item["gloss"] + ("?" if item.get("unresolved") else ""))
    return write_subtitles(
        format, ((cue.start, cue.end, " ".join(of_cue)) for cue, of_cue in zip(cues, glosses, strict=True))
    )
