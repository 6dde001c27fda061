"""Build a corpus of back-translations in a folder, and continue it after any interruption."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..files import save_file, save_folder, sole_writer, write_json
from ..optional import versions
from .chunks import translate_chunk
from .engines.engine import Engine, open_engine
from .filters import Thresholds
from .selection import select_pairs
from .sentences import digests_of_files, read_sources, write_sentences
from .similarity import SemanticScorer

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
"""Name of the file that records the corpus's sources and options and, once the corpus is complete, its result."""

# English characters per Korean character, for estimates: 1.86 in NTREX's 1,997 sentences, 2.02 and 2.06 in the 1,000
# and 2,000 sentences of korean-parallel-corpora's development and test sets.
_PIVOT_CHARACTERS = 2.0


@dataclass
class BackTranslationArguments:
    """Options of `build_corpus` and of `kgloss back-translate`: sources, engines and output."""

    sources: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Sentences to translate: corpora of ko_backtranslation (kornli, korsts, … or all, with your copies "
            "in --data_dir), .txt, .txt.gz, CSV, TSV, JSON Lines, Parquet or XLSX files, or data sets as NAME or "
            "NAME:CONFIGURATION."
        },
    )
    engines: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Translation engines, each written KIND[:MODEL][,OPTION=VALUE…]; the kinds are transformers, "
            "ctranslate2, google and papago. An engine with weight=2 gets twice the sentences of one with weight=1."
        },
    )
    output_dir: str = field(
        default="outputs/back-translation", metadata={"help": "Folder of the corpus, new or to be continued."}
    )
    data_dir: str | None = field(default=None, metadata={"help": "Folder with your copies of the corpora."})
    pivot: str = field(default="en", metadata={"help": "Language to translate to and back from: en, ja, …"})
    text_column: str | None = field(
        default=None, metadata={"help": "Column with the sentence (default: recognised by name, such as text or 문장)."}
    )
    encoding: str = field(default="utf-8", metadata={"help": "Encoding of text files, such as cp949."})
    on_bad_rows: str = field(
        default="raise",
        metadata={
            "help": "raise, or skip to leave out and count bad rows of corpora and texts that an engine refuses.",
            "choices": ("raise", "skip"),
        },
    )
    chunk_size: int = field(
        default=1000, metadata={"help": "Sentences per file; a process translates one file at a time."}
    )
    seed: int = field(
        default=0, metadata={"help": "Seed for assigning sentences to engines and for engines that draw translations."}
    )
    semantic_model: str | None = field(
        default=None, metadata={"help": "sentence-transformers model that scores how similar a pair is in meaning."}
    )
    reselect: bool = field(
        default=False, metadata={"help": "Select again from the existing translations, with other thresholds."}
    )
    dry_run: bool = field(default=False, metadata={"help": "Count sentences and characters, print the cost and stop."})


class Estimate(NamedTuple):
    """The sentences and characters that an engine will be sent, and their cost.

    `back`, the number of characters to translate back, is estimated at two per Korean character; the other numbers are
    counted.
    `cost` is None for an engine that is free of charge.
    """

    engine: str
    sentences: int
    characters: int
    back: int
    cost: float | None
    currency: str


def build_corpus(
    arguments: BackTranslationArguments,
    thresholds: Thresholds | None = None,
    *,
    engines: Sequence[tuple[Engine, float]] | None = None,
) -> dict[str, Any]:
    """Build a corpus in a folder, or continue it, on each process of `accelerate launch` (on CPUs: `torchrun`).

    The folder holds `manifest.json`; `sentences/`, the sentences to translate; `translations/`, all translations, with
    the pivot texts; and, at the end, `shards/`, the selected pairs, which
    `load_dataset("ko_backtranslation", data_dir=FOLDER)` reads. After any interruption, the same call continues, with
    any number of processes. If the engines answer the same each time, the finished corpus is byte for byte the one that
    an uninterrupted run writes. All processes must share the folder; each of n processes takes every n-th file.

    Args:
        arguments: Sources, engines, folder and options. Sentences are read when a corpus is begun. When it is
            continued, source files may be missing, but must not have changed.
        thresholds: Thresholds of the selection (default: `Thresholds()`).
        engines: Engines with their weights, instead of those that the arguments name (default: none).

    Returns:
        The content of the manifest. Its `result` holds the number of `pairs`, their counts by `origins` and `engines`,
        how many were `dropped` for which reason, and the `shards`. In a process that is not the main one, `result` is
        None.

    Raises:
        ValueError: The folder holds a corpus that was begun with other options or other files, or an option, a source
            or a language is not as expected.
        FileNotFoundError: A source does not exist.
        EngineError: An engine gave no usable answer, or its budget is used up.
        RuntimeError: Another run is working in the folder.
        ImportError: A library that an engine or an option needs is not installed.

    Examples:
        >>> arguments = BackTranslationArguments(["kornli"], ["google,max_cost=50"], data_dir="data")
        >>> pairs = build_corpus(arguments)["result"]["pairs"]  # doctest: +SKIP
    """
    import torch
    from accelerate import PartialState

    # Unless told to use the CPU, accelerate takes each of several CPU processes for the only one. Engines ask it too.
    state = PartialState(cpu=not torch.accelerator.is_available())
    thresholds = thresholds or Thresholds()
    if thresholds.min_similarity is not None and arguments.semantic_model is None:
        raise ValueError(
            "min_similarity: expected a --semantic_model to compute similarities, such as "
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2; found none"
        )
    folder = Path(arguments.output_dir)
    opened = _opened(arguments, engines, folder)
    options = _options(arguments, thresholds, opened)
    if not state.is_main_process:
        manifest = _begun(folder)
        _check_same(folder, manifest, options, reselect=arguments.reselect)
        _translate(arguments, manifest, opened, state.process_index, state.num_processes)
        return {**manifest, "result": None}
    with sole_writer(folder):
        folder.mkdir(exist_ok=True)
        manifest = _read(folder) or _begin(folder, arguments, opened, options)
        _check_same(folder, manifest, options, reselect=arguments.reselect)
        if manifest["selection"] != options["selection"]:
            manifest = {**manifest, "selection": options["selection"], "result": None}
            _write(folder, manifest)
        if manifest["result"] is None:
            _translate(arguments, manifest, opened, 0, state.num_processes)
            # A process that was killed just after it finished a file leaves that file's journal and lock behind.
            for leftover in (*folder.glob("translations/*.jsonl"), *folder.glob("translations/.*.lock")):
                leftover.unlink(missing_ok=True)
            manifest["result"] = select_pairs(folder, [engine["name"] for engine in manifest["engines"]], thresholds)
            _write(folder, manifest)
    return manifest


def estimate(
    arguments: BackTranslationArguments, *, engines: Sequence[tuple[Engine, float]] | None = None
) -> list[Estimate]:
    """Return what building a corpus would send to each engine and what that would cost, without sending anything.

    Args:
        arguments: As for `build_corpus`; nothing is written.
        engines: Engines with their weights, instead of those that the arguments name (default: none).

    Raises:
        ValueError, FileNotFoundError, ImportError: As for `build_corpus`.

    Examples:
        >>> (google,) = estimate(BackTranslationArguments(["mcksg:sample"], ["google"]))
        >>> google.sentences, google.currency
        (317, 'USD')
    """
    opened = _opened(arguments, engines, None)
    with tempfile.TemporaryDirectory() as folder:
        counts = _plan(Path(folder), arguments, opened)
    estimates = []
    for (engine, _), share in zip(opened, counts["engines"], strict=True):
        back = round(share["characters"] * _PIVOT_CHARACTERS)
        price = engine.price
        cost = (share["characters"] + back) * price.per_million / 1e6 if price else None
        currency = price.currency if price else ""
        estimates.append(Estimate(engine.name, share["sentences"], share["characters"], back, cost, currency))
    return estimates


# The manifest


def _opened(
    arguments: BackTranslationArguments, engines: Sequence[tuple[Engine, float]] | None, folder: Path | None
) -> Sequence[tuple[Engine, float]]:
    if arguments.on_bad_rows not in ("raise", "skip"):
        raise ValueError(f"expected on_bad_rows to be raise or skip, found {arguments.on_bad_rows!r}")
    if arguments.chunk_size < 1:
        raise ValueError(f"expected chunk_size to be 1 or more, found {arguments.chunk_size}")
    if not arguments.sources:
        raise ValueError("expected --sources to name corpora, files or data sets to translate; found none")
    spending = folder and folder / "spending.json"
    opened = engines or [open_engine(spec, spending=spending) for spec in arguments.engines]
    if not opened:
        raise ValueError("expected --engines, such as transformers:facebook/nllb-200-distilled-600M; found none")
    names = [engine.name for engine, _ in opened]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"expected a name for each engine, found {', '.join(doubled)} twice; add ,name=… to one")
    return opened


def _options(
    arguments: BackTranslationArguments, thresholds: Thresholds, engines: Sequence[tuple[Engine, float]]
) -> dict[str, Any]:
    """Return the options that may not change while a corpus is built, as JSON values, without paths of this machine."""
    described = [(engine, weight, engine.describe()) for engine, weight in engines]
    of_engines = {engine.name: description.pop("versions", {}) for engine, _, description in described}
    options = {
        "sources": [Path(source).name for source in arguments.sources],
        "files": digests_of_files(arguments.sources, data_dir=arguments.data_dir),
        "pivot": arguments.pivot,
        "text_column": arguments.text_column or "text",  # as in the manifests of earlier versions
        "encoding": arguments.encoding,
        "on_bad_rows": arguments.on_bad_rows,
        "chunk_size": arguments.chunk_size,
        "seed": arguments.seed,
        "semantic_model": arguments.semantic_model and SemanticScorer(arguments.semantic_model).name,
        "engines": [
            {"name": engine.name, "weight": weight, "limits": engine.limits._asdict(), **description}
            for engine, weight, description in described
        ],
        "selection": asdict(thresholds),
        "versions": versions("kgloss-hf", "pyarrow") | of_engines,
    }
    as_json: dict[str, Any] = json.loads(json.dumps(options))
    return as_json


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(
            f"{path}: expected JSON, found something else ({error}); restore a copy of it, or begin another corpus"
        ) from error
    return manifest


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    save_file(folder / MANIFEST, lambda path: write_json(path, manifest))


def _begun(folder: Path) -> dict[str, Any]:
    """Return the manifest as soon as the main process has written it."""
    while (manifest := _read(folder)) is None:
        time.sleep(0.5)
    return manifest


def _check_same(folder: Path, manifest: dict[str, Any], options: dict[str, Any], *, reselect: bool) -> None:
    """Refuse to continue a corpus that was begun with other options or files."""
    other = [name for name in options if name not in ("versions", "files") and manifest.get(name) != options[name]]
    if other and not (reselect and other == ["selection"]):
        differences = "; ".join(f"{name}: {manifest.get(name)!r} then, {options[name]!r} now" for name in other)
        again = "add --reselect" if other == ["selection"] else "repeat those options"
        raise ValueError(
            f"{folder} holds a corpus begun with other options: {differences}; {again}, or name another folder"
        )
    digests = manifest.get("files", {})
    if changed := sorted(name for name, digest in options["files"].items() if digests.get(name) != digest):
        raise ValueError(
            f"{folder} holds a corpus begun with other sentences: {', '.join(changed)} changed since; restore the "
            "original, or name another folder"
        )
    if manifest.get("versions") != options["versions"]:
        logger.warning(
            "%s was begun with the versions %s, but %s are installed now: new translations may differ",
            folder,
            manifest.get("versions"),
            options["versions"],
        )


def _begin(
    folder: Path, arguments: BackTranslationArguments, engines: Sequence[tuple[Engine, float]], options: dict[str, Any]
) -> dict[str, Any]:
    """Read the sources, and write the sentences and the manifest."""
    # A run that ended before it wrote the manifest leaves only these two folders.
    unexpected = {path.name for path in folder.iterdir() if path.name[0] != "."} - {"sentences", "translations"}
    if unexpected or any((folder / "translations").glob("*")):
        raise ValueError(
            f"{folder}: expected a new folder or a corpus, found files but no {MANIFEST}; name another --output_dir"
        )
    shutil.rmtree(folder / "sentences", ignore_errors=True)
    counts: dict[str, Any] = {}
    save_folder(folder / "sentences", lambda partial: counts.update(_plan(partial, arguments, engines)))
    if not counts["remain"]:
        numbers = ", ".join(f"{name.replace('_', ' ')}: {n:,}" for name, n in counts.items() if isinstance(n, int))
        raise ValueError(
            f"expected Korean sentences in {', '.join(arguments.sources)}, found none ({numbers}); name other --sources"
        )
    (folder / "translations").mkdir(exist_ok=True)
    manifest = {**options, "sentences": counts, "result": None}
    _write(folder, manifest)
    return manifest


def _plan(folder: Path, arguments: BackTranslationArguments, engines: Sequence[tuple[Engine, float]]) -> dict[str, Any]:
    texts = read_sources(
        arguments.sources,
        data_dir=arguments.data_dir,
        text_column=arguments.text_column,
        encoding=arguments.encoding,
        on_bad_rows=arguments.on_bad_rows,
    )
    weights = [weight for _, weight in engines]
    return write_sentences(folder, texts, weights=weights, chunk_size=arguments.chunk_size, seed=arguments.seed)


# Translating


def _translate(
    arguments: BackTranslationArguments,
    manifest: dict[str, Any],
    engines: Sequence[tuple[Engine, float]],
    process: int,
    processes: int,
) -> None:
    """Translate this process's files; the main process then waits for the other processes."""
    folder = Path(arguments.output_dir)
    remain = manifest["sentences"]["remain"]
    texts = {
        f"{number:05d}.parquet": 2 * min(arguments.chunk_size, remain - number * arguments.chunk_size)
        for number in range(-(-remain // arguments.chunk_size))
    }

    def done() -> set[str]:
        return texts.keys() & {path.name for path in (folder / "translations").glob("*.parquet")}

    score = SemanticScorer(arguments.semantic_model) if arguments.semantic_model else None
    shown = {"desc": "translating", "unit": " texts", "disable": None if process == 0 else True, "smoothing": 0}
    before = done()
    with tqdm(total=2 * remain, initial=sum(texts[chunk] for chunk in before), **shown) as progress:
        try:
            for chunk in list(texts)[process::processes]:
                if chunk not in before:
                    translate_chunk(
                        folder / "sentences" / chunk,
                        folder / "translations" / chunk,
                        [engine for engine, _ in engines],
                        pivot=arguments.pivot,
                        seed=arguments.seed,
                        on_bad_rows=arguments.on_bad_rows,
                        score=score,
                        progress=progress.update,
                    )
                    progress.n = sum(texts[chunk] for chunk in done())
            while process == 0 and len(finished := done()) < len(texts):
                progress.n = sum(texts[chunk] for chunk in finished)
                progress.refresh()
                time.sleep(0.5)
        except BaseException:
            logger.warning("%s: the translations so far are kept; the same command continues from them", folder)
            raise
