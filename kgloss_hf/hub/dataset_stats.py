"""Statistics of data sets for their cards: sentence–gloss pairs, or sentence pairs such as back-translations."""

from __future__ import annotations

import logging
import shlex
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..data.arguments import PartArguments, reading_of
from ..data.language import check_language
from ..data.pairs import Pair, Row, marked_glosses, split_pairs
from ..data.parts import leaks_between, rows_in_parts
from ..data.rows import is_files, place_of, tables_of
from ..data.splitting import PARTS, comes_in_parts
from ..evaluation.ceiling import ceiling
from ..files import new_folder, save_folder, write_json
from ..models.coverage import target_in_source
from ..models.vocabulary import train_tokenizer
from ..optional import versions
from ..reporting import Table, code, markdown, plot_histograms
from ..runtime.analyzers import ANALYZER
from ..runtime.glosses import GLOSS_TYPES, UNKNOWN_TYPE, placeholder_of, type_of_notation

logger = logging.getLogger(__name__)

_SPLITS = ("group", "row")


def write_statistics(source: PartArguments, output_dir: str, *, analyzer: str = ANALYZER) -> dict[str, Any]:
    """Write `statistics.json`, `statistics.md` (tables for a card) and `lengths.png` of a data set.

    Args:
        source: A data set of sentence–gloss pairs, optionally with files for its training, validation and test sets, or
            of sentence pairs with the columns `source` and `target`.
        output_dir: Folder to create; it appears once it is complete.
        analyzer: Name of the morphological analyser that finds the words of sentences with glosses (default: `okt`).

    Returns:
        The content of `statistics.json`: `arguments`, `versions`, `rows`, and the following.

        For glosses: `different_sentences`, `different_gloss_strings`, `repeated_rows` (equal to an earlier row),
        `gloss_tokens`, `different_glosses`, `hapax_glosses` (glosses that occur once), `types` (the paper's Table 3:
        different glosses and tokens by type), `target_in_source` (shares of gloss tokens that are also a lemma of their
        sentence, as `kgloss_hf.training.tokenizer_run.train_and_save` counts them with whole words), and `eojeols` and
        `glosses` per row (`mean`, `median`, `most`, `histogram`). `splits` describes the split that the data come in,
        and both splits of training with seed 0 (`kgloss_hf.data.pairs.split_pairs`): the rows; the repeated rows; the
        test rows whose sentence, gloss string, pair, or any of them is also in the training set; and the test set's
        gloss tokens and glosses that the training set lacks. If some sentence has several different gloss strings,
        `ceiling` describes how far these human versions agree (`kgloss_hf.evaluation.ceiling.ceiling`), for the
        `different_versions` and for `all_rows`.

        For sentence pairs: `identical` (equal except for white space), `origins` and `engines` (rows by value),
        `source_eojeols` and `target_eojeols`, and `overlap`, the distribution of the Jaccard score of the two sets of
        eojeols, in percent, rounded in the histogram.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: Matplotlib is not installed.
        ValueError: The folder is not empty, or a row is not as expected.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     statistics = write_statistics(PartArguments(), f"{folder}/statistics")
        >>> statistics["rows"], statistics["different_glosses"]
        (357, 462)
    """
    folder = new_folder(output_dir)
    tables = tables_of(source.dataset, config=source.config, data_dir=source.data_dir, **reading_of(source))
    rows = ((place_of(table, number), row) for table in tables for number, row in table.rows)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{source.dataset}: expected rows, found none; add some")
    if isinstance(first[1], dict) and {"source", "target"} <= set(first[1]) and "glosses" not in first[1]:
        statistics = _sentence_statistics(chain([first], rows))
    else:
        statistics = _pair_statistics(rows_in_parts(source), source.dataset, analyzer)
    statistics["arguments"] = {"analyzer": analyzer} | {
        name: value for name, value in asdict(source).items() if value is not None
    }
    statistics["versions"] = versions("kgloss-hf", "datasets", "konlpy")

    def write(partial: Path) -> None:
        write_json(partial / "statistics.json", statistics)
        (partial / "statistics.md").write_text(_statistics_card(statistics), "utf-8")
        plot_histograms(_panels(statistics), partial / "lengths.png")

    save_folder(folder, write)
    return statistics


def _pair_statistics(rows: Iterable[Row], dataset: str, analyzer: str = ANALYZER) -> dict[str, Any]:
    """Compute the statistics of sentence–gloss pairs.

    A placeholder with content (`Number/4C`) counts as the placeholder. If the pairs are too few or too similar for a
    split, the split is left out with a warning.
    """
    types: Counter[tuple[str, str]] = Counter()
    pairs: list[Pair] = []
    parts: list[str | None] = []
    for row in rows:
        kinds = row.types or [type_of_notation(gloss) for gloss in row.pair.glosses]
        if not {*kinds} <= {*GLOSS_TYPES, UNKNOWN_TYPE}:
            raise ValueError(
                f"{row.where}: expected gloss types ({', '.join((*GLOSS_TYPES, UNKNOWN_TYPE))}), found {kinds!r:.80}; "
                "correct the column gloss_types or remove it"
            )
        types.update(zip(kinds, map(placeholder_of, row.pair.glosses), strict=True))
        pairs.append(row.pair)
        parts.append(row.part)
    if not pairs:
        raise ValueError(f"{dataset}: expected pairs, found none; add some")
    check_language(analyzer, (pair.text for pair in pairs), dataset)
    counts = Counter(placeholder_of(gloss) for pair in pairs for gloss in pair.glosses)
    tokenizer = train_tokenizer([pair.text for pair in pairs], [], model="wordlevel", analyzer=analyzer)
    agreement = {"different_versions": ceiling(pairs), "all_rows": ceiling(pairs, repeats=True)}
    return {
        "rows": len(pairs),
        "different_sentences": len({pair.text for pair in pairs}),
        "different_gloss_strings": len({pair.glosses for pair in pairs}),
        "repeated_rows": len(pairs) - len(set(pairs)),
        "gloss_tokens": counts.total(),
        "different_glosses": len(counts),
        "hapax_glosses": sum(count == 1 for count in counts.values()),
        "types": {
            name: {
                "different": sum(kind == name for kind, _ in types),
                "tokens": sum(count for (kind, _), count in types.items() if kind == name),
            }
            for name in (*GLOSS_TYPES, UNKNOWN_TYPE)
        },
        "target_in_source": target_in_source(tokenizer, pairs, marked_glosses(pairs, tokenizer.morphemes)),
        "eojeols": _distribution(Counter(len(pair.text.split()) for pair in pairs)),
        "glosses": _distribution(Counter(len(pair.glosses) for pair in pairs)),
        "splits": _splits(pairs, parts if comes_in_parts(set(parts), dataset) else []),
        **({"ceiling": agreement} if agreement["different_versions"] else {}),
    }


def _sentence_statistics(rows: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Compute the statistics of sentence pairs in one pass, keeping only counts in memory; each row has its place."""
    origins: Counter[str] = Counter()
    engines: Counter[str] = Counter()
    sources: Counter[int] = Counter()
    targets: Counter[int] = Counter()
    overlaps: Counter[int] = Counter()
    total = identical = 0
    overlap = 0.0
    for where, row in tqdm(rows, desc="Counting pairs", unit=" rows", disable=None):
        total += 1
        sides = [row.get(name) if isinstance(row, dict) else None for name in ("source", "target")]
        source, target = (side.split() if isinstance(side, str) else [] for side in sides)
        if not (source and target):
            raise ValueError(f"{where}: expected sentences in source and target, found {row!r:.80}; correct the row")
        sources[len(source)] += 1
        targets[len(target)] += 1
        identical += source == target
        score = 100 * len({*source} & {*target}) / len({*source, *target})
        overlap += score
        overlaps[round(score)] += 1
        origins[str(row.get("origin"))] += 1
        engines[str(row.get("engine"))] += 1
    if not total:
        raise ValueError("expected rows with source and target, found none; add some")
    return {
        "rows": total,
        "identical": identical,
        "origins": dict(origins.most_common()),
        "engines": dict(engines.most_common()),
        "source_eojeols": _distribution(sources),
        "target_eojeols": _distribution(targets),
        "overlap": {**_distribution(overlaps), "mean": overlap / total},
    }


def statistics_tables(statistics: Mapping[str, Any]) -> list[Table]:
    """Return the tables of `statistics.md`.

    Args:
        statistics: Return value of `write_statistics`.

    Examples:
        >>> statistics = _sentence_statistics([("row 1", {"source": "집에 불이 났어요.", "target": "집에 불이 났다."})])
        >>> [table.title for table in statistics_tables(statistics)]
        ['Pairs', 'Origin and engine']
    """
    return _pair_tables(statistics) if "types" in statistics else _sentence_tables(statistics)


def _statistics_card(statistics: Mapping[str, Any]) -> str:
    """Return a card's section of statistics: the command, with `FOLDER` for the user's folder, and the tables."""
    arguments = statistics["arguments"]
    words = ["kgloss", "dataset-stats", _public(arguments["dataset"])]
    for option in fields(PartArguments):
        value = arguments.get(option.name, option.default)
        if option.name != "dataset" and value != option.default:
            words += [f"--{option.name}", "FOLDER" if option.name == "data_dir" else _public(value)]
    if arguments.get("analyzer", ANALYZER) != ANALYZER:
        words += ["--analyzer", arguments["analyzer"]]
    parts = ["## Statistics", f"Computed by {code(shlex.join([*words, '--output_dir', 'DIR']))}."]
    return "\n\n".join([*parts, markdown(statistics_tables(statistics))]) + "\n"


def _public(name: str) -> str:
    """Return the names of files without their folders, or the name of a data set."""
    return ",".join(Path(file).name for file in name.split(",")) if is_files(name) else name


def _distribution(counts: Counter[int]) -> dict[str, Any]:
    total, values = counts.total(), sorted(counts)
    sums = list(accumulate(counts[value] for value in values))
    lower, upper = (values[bisect_left(sums, rank)] for rank in ((total + 1) // 2, total // 2 + 1))
    return {
        "mean": sum(value * count for value, count in counts.items()) / total,
        "median": (lower + upper) / 2,
        "most": values[-1],
        "histogram": {str(value): counts[value] for value in values},
    }


def _splits(pairs: Sequence[Pair], names: Sequence[str | None]) -> dict[str, Any]:
    splits: dict[str, dict[str, list[Pair]]] = {}
    if names:
        of_parts = {part: [pair for pair, name in zip(pairs, names, strict=True) if name == part] for part in PARTS}
        splits["given"] = {part: chosen for part, chosen in of_parts.items() if chosen}
    for by in _SPLITS:
        try:
            parts = split_pairs(pairs, by=by)
        except ValueError as error:
            logger.warning("leaving out the statistics of the split by %s: %s", by, error)
            continue
        splits[by] = {"train": parts.train, "validation": parts.validation, "test": parts.test}
        if by == "row":
            del splits[by]["validation"]
    counted = {}
    for by, named in splits.items():
        scored = named.get("test", named.get("validation", []))
        counted[by] = {
            "rows": {name: len(part) for name, part in named.items()},
            "repeated_rows": {name: len(part) - len(set(part)) for name, part in named.items()},
            "test_rows_in_train": leaks_between(scored, named["train"]),
            "test_glosses_not_in_train": _unknown(scored, named["train"]),
        }
    return counted


def _unknown(test: Sequence[Pair], train: Sequence[Pair]) -> dict[str, int | float]:
    known = {placeholder_of(gloss) for pair in train for gloss in pair.glosses}
    tokens = Counter(placeholder_of(gloss) for pair in test for gloss in pair.glosses)
    unknown = {gloss: count for gloss, count in tokens.items() if gloss not in known}
    return {
        "tokens": sum(unknown.values()),
        "of_tokens": sum(unknown.values()) / tokens.total(),
        "different": len(unknown),
        "of_different": len(unknown) / len(tokens),
    }


def _pair_tables(statistics: Mapping[str, Any]) -> list[Table]:
    glosses = statistics["different_glosses"]
    shared = statistics["target_in_source"]
    counts = [
        ("rows", f"{statistics['rows']:,}"),
        ("different sentences", f"{statistics['different_sentences']:,}"),
        ("different gloss strings", f"{statistics['different_gloss_strings']:,}"),
        ("rows equal to an earlier one", f"{statistics['repeated_rows']:,}"),
        ("gloss tokens", f"{statistics['gloss_tokens']:,}"),
        ("different glosses", f"{glosses:,}"),
        ("glosses that occur once", _share(statistics["hapax_glosses"], glosses)),
        ("eojeols per sentence: mean, median, maximum", _spread(statistics["eojeols"])),
        ("glosses per row: mean, median, maximum", _spread(statistics["glosses"])),
        ("gloss tokens that are a lemma of the sentence", f"{shared['of_tokens']:.1%}"),
        ("the same, mean over rows", f"{shared['mean_of_pairs']:.1%}"),
    ]
    types = [
        (code(name), f"{count['different']:,}", f"{count['tokens']:,}")
        for name, count in statistics["types"].items()
        if count["tokens"]
    ]
    tables = [
        Table("Counts", ("", "number"), counts),
        Table("Types of glosses", ("type", "different glosses", "tokens"), types),
    ]
    if splits := statistics["splits"]:
        columns = []
        for part in splits.values():
            test = part["rows"].get("test") or part["rows"]["validation"]
            unknown = part["test_glosses_not_in_train"]
            leaks = part["test_rows_in_train"]
            columns.append(
                [
                    ", ".join(f"{name} {count:,}" for name, count in part["rows"].items()),
                    ", ".join(f"{name} {count:,}" for name, count in part["repeated_rows"].items()),
                    *(_share(leaks[name], test) for name in ("sentence", "gloss_string", "pair", "any")),
                    f"{unknown['tokens']:,} ({unknown['of_tokens']:.1%})",
                    f"{unknown['different']:,} ({unknown['of_different']:.1%})",
                ]
            )
        labels = (
            "rows",
            "repeated rows within a set",
            "test rows whose sentence is in the training set",
            "test rows whose gloss string is in the training set",
            "test rows that are in the training set unchanged",
            "test rows with a sentence or gloss string in the training set",
            "test gloss tokens not in the training set",
            "different test glosses not in the training set",
        )
        header = ("", *("as given" if name == "given" else f"by {name}" for name in splits))
        rows = [(label, *cells) for label, *cells in zip(labels, *columns, strict=True)]
        tables.append(Table("Splits of training, seed 0", header, rows))
    if agreement := statistics.get("ceiling"):
        tables.append(_ceiling_table(agreement))
    return tables


def _ceiling_table(agreement: Mapping[str, Mapping[str, float]]) -> Table:
    labels = {
        "mean": "mean Jaccard score with the other versions",
        "best": "Jaccard score with the closest other version",
        "answer": "Jaccard score of the best single answer with all versions",
    }
    columns = agreement.values()
    rows = [
        (
            f"{name} with several versions" if name == "sentences" else "their versions",
            *(f"{column[name]:,}" for column in columns),
        )
        for name in ("sentences", "versions")
    ]
    rows += [
        (f"{label}, by {by}", *(f"{column[f'{name}_by_{by}']:.2f}" for column in columns))
        for name, label in labels.items()
        for by in ("row", "sentence")
    ]
    header = ("", *(name.replace("_", " ") for name in agreement))
    return Table("Agreement of human versions", header, rows)


def _sentence_tables(statistics: Mapping[str, Any]) -> list[Table]:
    rows = statistics["rows"]
    overlap = statistics["overlap"]
    counts = [
        ("pairs", f"{rows:,}"),
        ("pairs with equal source and target", _share(statistics["identical"], rows)),
        ("eojeols per source: mean, median, maximum", _spread(statistics["source_eojeols"])),
        ("eojeols per target: mean, median, maximum", _spread(statistics["target_eojeols"])),
        ("mean Jaccard score of the eojeols", f"{overlap['mean']:.1f}%"),
        ("pairs without a common eojeol", _share(overlap["histogram"].get("0", 0), rows)),
    ]
    values = [
        (kind, code(name), f"{count:,}")
        for kind in ("origin", "engine")
        for name, count in statistics[f"{kind}s"].items()
    ]
    return [Table("Pairs", ("", "number"), counts), Table("Origin and engine", ("", "value", "pairs"), values)]


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})"


def _spread(distribution: Mapping[str, Any]) -> str:
    return f"{distribution['mean']:.1f}, {distribution['median']:g}, {distribution['most']}"


def _panels(statistics: Mapping[str, Any]) -> dict[str, dict[int, int]]:
    wanted = {
        "eojeols": "eojeols per sentence",
        "glosses": "glosses per row",
        "source_eojeols": "eojeols per source",
        "target_eojeols": "eojeols per target",
        "overlap": "Jaccard score of the eojeols, %",
    }
    return {
        label: {int(value): count for value, count in statistics[name]["histogram"].items()}
        for name, label in wanted.items()
        if name in statistics
    }
