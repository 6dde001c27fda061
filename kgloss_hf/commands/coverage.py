"""Count how many glosses of a vocabulary or corpus a lexicon can play, for `kgloss coverage`."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..artefacts import DATASETS
from ..data.arguments import SourceArguments, changed_options, reading_of
from ..files import check_model, save_file
from ..reporting import Table, counted
from ..runtime.glosses import placeholder_of
from ..runtime.lexicon import REASONS, SYMBOLS, WAYS, Lexicon

_MOST_LISTED = 20
_LABELS = dict(
    zip(WAYS, ("own entry", "word for the same sign", "headword or first sense", "fingerspelling"), strict=True)
)
_ALPHABETS = {
    **{"finger alphabet": tuple(SYMBOLS["Name"]), "Latin letters": tuple(SYMBOLS["Alpha"])},
    **{"digits": tuple(SYMBOLS["Number"]), "10, 100, 1000, 10000": ("10", "100", "1000", "10000")},
}


class Coverage(NamedTuple):
    """Counts of the glosses that a lexicon can play.

    Args:
        of: Name of the model or corpus, for a title.
        counts: Number of occurrences of each distinct gloss; 1 for each gloss of a vocabulary.
        found: For each gloss, how it can be played (one of `WAYS`), or why it cannot (one of `REASONS`).
        letters: For each alphabet, how many of its letters can be played, and how many it has.
        is_vocabulary: The glosses are those of a vocabulary, so the counts mean nothing.
    """

    of: str
    counts: Counter[str]
    found: dict[str, str]
    letters: dict[str, tuple[int, int]]
    is_vocabulary: bool = False

    @property
    def missing(self) -> list[tuple[str, int, str]]:
        """Glosses that nothing plays, each with its count and reason, the most frequent first."""
        return [(gloss, n, self.found[gloss]) for gloss, n in self.counts.most_common() if self.found[gloss] in REASONS]


def is_model(name: str) -> bool:
    """Return whether a name means a model rather than a corpus.

    Args:
        name: Folder, file, data set or Hub repository; OWNER/NAME is taken for a model.

    Examples:
        >>> is_model(getfixture("checkpoint")), is_model("mcksg"), is_model("someone/model"), is_model("pairs.csv")
        (True, False, True, False)
    """
    from ..data.lines import is_text_file
    from ..data.rows import is_files

    if any(Path(name, *folder, "config.json").is_file() for folder in ((), ("model",))):
        return True
    return not (name in DATASETS or is_files(name) or is_text_file(name) or Path(name).exists())


def measure(lexicon: Lexicon, reading: SourceArguments, *, corpus: bool = False) -> Coverage:
    """Count the glosses of a model's vocabulary or of a corpus that a lexicon can play.

    Args:
        lexicon: The lexicon.
        reading: Model (see `is_model`), or corpus and how to read it. Numbers and Latin words in its sentences count as
            fingerspelled.
        corpus: Read it as a corpus, whatever `is_model` returns, such as a data set of the Hub (default False).

    Raises:
        FileNotFoundError: The model or a file of the corpus does not exist.
        OSError: The Hub cannot be reached or has no such repository.
        ValueError: The model is not from this package, an option does not apply, or the corpus cannot be read.

    Examples:
        >>> from kgloss_hf.runtime.lexicon import Entry
        >>> coverage = measure(Lexicon([Entry("박물관", id="1")]), SourceArguments())
        >>> coverage.found["박물관"], coverage.found["우리"], coverage.counts["박물관"] > 1
        ('entry', 'no entry', True)
    """
    name = reading.dataset
    of_model = not corpus and is_model(name)
    if of_model:
        applicable = ("dataset", "on_bad_rows")
        if changed := [option for option in changed_options(reading, SourceArguments) if option not in applicable]:
            raise ValueError(f"--{changed[0]}: expected a corpus to read, found the model {name}; leave it out")
        glosses, types = _vocabulary(name)
        counts = Counter(glosses)
    else:
        counts, types = _corpus(reading)
    signs = {gloss: lexicon.sign(gloss, types.get(placeholder_of(gloss), "")) for gloss in counts}
    letters = {
        alphabet: (sum("reason" not in lexicon.sign(letter, spelled=True) for letter in all_letters), len(all_letters))
        for alphabet, all_letters in _ALPHABETS.items()
    }
    ways = {gloss: sign.get("reason") or _way(sign) for gloss, sign in signs.items()}
    return Coverage(name, counts, ways, letters, of_model)


def _way(sign: Mapping[str, Any]) -> str:
    return "letters" if "letters" in sign else str(sign.get("way", "entry"))


def _vocabulary(name: str) -> tuple[list[str], Mapping[str, str]]:
    check_model(name)
    from transformers import AutoConfig, AutoTokenizer

    from ..runtime.tokenization_kgloss import KGlossTokenizerFast

    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    if not isinstance(tokenizer, KGlossTokenizerFast):
        raise ValueError(f"{name}: expected a model trained by kgloss-hf, found {type(tokenizer).__name__}")
    return tokenizer.glosses, getattr(config, "gloss_types", None) or {}


def _corpus(reading: SourceArguments) -> tuple[Counter[str], Mapping[str, str]]:
    from ..data.pairs import gloss_types, marked_glosses, read_pairs

    source = {"config": reading.config, "data_dir": reading.data_dir, **reading_of(reading)}
    rows = list(read_pairs(reading.dataset, **source))
    marked = marked_glosses([row.pair for row in rows])
    return Counter(gloss for glosses in marked for gloss in glosses), gloss_types(rows)


def coverage_tables(coverage: Coverage) -> list[Table]:
    """Return tables of what plays the glosses, of letters, and of the most frequent glosses that nothing plays.

    Args:
        coverage: Result of `measure`.

    Examples:
        >>> ways = {"집": "entry", "불": "no entry"}
        >>> coverage = Coverage("pairs.csv", Counter(집=3, 불=1), ways, {"digits": (9, 10)})
        >>> coverage_tables(coverage)[0].rows[0]
        ('playable', '1', '50.0%', '3', '75.0%')
    """
    tables = [
        Table(
            _title(coverage), _without(coverage, "played by", "glosses", "share", "tokens", "share"), _rows(coverage)
        ),
        Table(
            "Letters and digits",
            ("alphabet", "playable", "of"),
            [(name, str(playable), str(all_letters)) for name, (playable, all_letters) in coverage.letters.items()],
        ),
    ]
    if missing := coverage.missing:
        first = missing[:_MOST_LISTED]
        title = "Glosses that nothing plays" + ("" if coverage.is_vocabulary else ", by frequency")
        more = f"; {len(missing) - len(first):,} more" if len(missing) > len(first) else ""
        header = ("gloss", "reason") if coverage.is_vocabulary else ("gloss", "count", "reason")
        rows = [(g, reason) if coverage.is_vocabulary else (g, f"{n:,}", reason) for g, n, reason in first]
        tables.append(Table(title + more, header, rows))
    return tables


def _title(coverage: Coverage) -> str:
    if coverage.is_vocabulary:
        return f"{coverage.of}: vocabulary, without frequencies"
    return f"{coverage.of}: {counted(coverage.counts.total(), 'gloss token')}"


def _rows(coverage: Coverage) -> list[tuple[str, ...]]:
    names = {"playable": WAYS} | {f"– {_LABELS[way]}": (way,) for way in WAYS} | {"not playable": REASONS}
    names |= {f"– {reason}": (reason,) for reason in REASONS}
    rows = []
    for label, kinds in names.items():
        glosses = [gloss for gloss, way in coverage.found.items() if way in kinds]
        tokens = sum(coverage.counts[gloss] for gloss in glosses)
        if tokens or not label.startswith("–"):
            different, every = max(1, len(coverage.found)), max(1, coverage.counts.total())
            shares = f"{100 * len(glosses) / different:.1f}%", f"{tokens:,}", f"{100 * tokens / every:.1f}%"
            rows.append(_without(coverage, label, f"{len(glosses):,}", *shares))
    return rows


def _without(coverage: Coverage, *cells: str) -> tuple[str, ...]:
    """Return a row; for a vocabulary, leave out the cells of tokens."""
    return cells[:3] if coverage.is_vocabulary else cells


def write_missing(coverage: Coverage, path: Path) -> None:
    """Write all glosses that nothing plays as CSV: `gloss`, `count` (except for a vocabulary) and `reason`.

    Args:
        coverage: Result of `measure`.
        path: File to create or replace.

    Raises:
        OSError: The file cannot be written.

    Examples:
        >>> import tempfile
        >>> coverage = Coverage("pairs.csv", Counter(불=2), {"불": "no entry"}, {})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_missing(coverage, Path(folder, "missing.csv"))
        ...     print(Path(folder, "missing.csv").read_text("utf-8"), end="")
        gloss,count,reason
        불,2,no entry
    """

    def rows() -> Iterator[list[str]]:
        names = ["gloss", "count", "reason"]
        for row in [names, *([gloss, str(n), why] for gloss, n, why in coverage.missing)]:
            yield [row[0], row[2]] if coverage.is_vocabulary else row

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows())
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(path, lambda partial: partial.write_text(text.getvalue(), "utf-8", newline=""))
