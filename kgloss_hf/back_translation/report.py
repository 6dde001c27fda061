"""Show a corpus of back-translations, or its estimated cost, as tables and as a section of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import read_json
from ..reporting import Table, code, markdown
from .corpus import MANIFEST, Estimate


def corpus_tables(manifest: Mapping[str, Any]) -> list[Table]:
    """Return tables of a corpus's sentences by outcome, and of its pairs by engine and by origin.

    Args:
        manifest: The return value of `build_corpus` in the main process.

    Examples:
        >>> sentences = {"read": 3, "repeated": 1, "remain": 2, "origins": {}, "engines": [{"sentences": 2}]}
        >>> result = {"pairs": 1, "dropped": {"identical": 1}, "origins": {"mcksg": 1}, "engines": {"papago": 1}}
        >>> engines = [{"name": "papago", "weight": 1}]
        >>> tables = corpus_tables({"sentences": sentences, "result": result, "engines": engines})
        >>> tables[0].rows[1:]
        [('left out: repeated', '1'), ('dropped: identical', '1'), ('pairs', '1')]
        >>> tables[1].rows
        [('papago', '1', '2', '1')]
    """
    read, result = manifest["sentences"], manifest["result"]
    counts = [("read", read["read"])]
    counts += [
        (f"left out: {name}", n) for name, n in read.items() if name not in ("read", "remain", "origins", "engines")
    ]
    counts += [(f"dropped: {name}", n) for name, n in result["dropped"].items()]
    counts += [("pairs", result["pairs"])]
    engines = [
        (engine["name"], f"{engine['weight']:g}", f"{share['sentences']:,}", f"{result['engines'][engine['name']]:,}")
        for engine, share in zip(manifest["engines"], read["engines"], strict=True)
    ]
    origins = [(name, f"{count:,}") for name, count in result["origins"].items()]
    return [
        Table("Sentences and pairs", ("", "number"), [(name.replace("_", " "), f"{n:,}") for name, n in counts]),
        Table("Engines", ("engine", "weight", "sentences", "pairs"), engines),
        Table("Origins", ("origin", "pairs"), origins),
    ]


def estimate_table(estimates: Sequence[Estimate]) -> Table:
    """Return a table of what building a corpus would send to each engine and what that would cost.

    Args:
        estimates: The return value of `estimate`.

    Examples:
        >>> estimate_table([Estimate("papago", 2, 40, 80, 2.4, "KRW")]).rows
        [('papago', '2', '40', '80', '2.40 KRW')]
    """
    rows = [
        (
            estimate.engine,
            f"{estimate.sentences:,}",
            f"{estimate.characters:,}",
            f"{estimate.back:,}",
            "nothing" if estimate.cost is None else f"{estimate.cost:,.2f} {estimate.currency}",
        )
        for estimate in estimates
    ]
    header = ("engine", "sentences", "characters there", "characters back, estimated", "cost, estimated")
    return Table("What would be translated", header, rows)


def corpus_card(data_dir: str) -> str:
    """Return a card's section on how a folder's pairs were made, with engines, versions, options and counts.

    Args:
        data_dir: Folder that `build_corpus` wrote.

    Returns:
        The section, or "" if the folder has no manifest or its corpus is not complete.

    Examples:
        >>> corpus_card("nowhere")
        ''
    """
    path = Path(data_dir, MANIFEST)
    if not path.is_file():
        return ""
    manifest = read_json(path)
    if not manifest["result"]:
        return ""
    options = {name: manifest[name] for name in ("sources", "pivot", "seed", "chunk_size", "on_bad_rows")}
    options |= {"semantic_model": manifest["semantic_model"], **manifest["selection"]}
    engines = [
        (engine["name"], name, _shown(value))
        for engine in manifest["engines"]
        for name, value in engine.items()
        if name not in ("name", "weight")
    ]
    tables = [
        *corpus_tables(manifest),
        Table("Options of engines", ("engine", "option", "value"), engines),
        Table("Options", ("option", "value"), [(name, _shown(value)) for name, value in options.items()]),
        Table("Versions", ("name", "version"), [(name, _shown(value)) for name, value in manifest["versions"].items()]),
    ]
    introduction = (
        f"Korean sentences were machine-translated to the language {code(str(manifest['pivot']))} and back with "
        "`kgloss back-translate`; pairs were then selected by the thresholds below. No one has read them."
    )
    return f"## How the pairs were made\n\n{introduction}\n\n{markdown(tables)}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    return ", ".join(map(_shown, value)) if isinstance(value, list) else "none" if value is None else str(value)
