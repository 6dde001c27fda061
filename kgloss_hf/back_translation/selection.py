"""Which back-translated pairs are kept: the filters, near duplicates and similarity of meaning."""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pandas.util import hash_array

from ..optional import require

REASONS = ("empty", "identical", "script", "length", "repetition", "similarity", "near_duplicate")
"""Why a pair is dropped, in the order of the filters; the first that applies is the one counted.

`empty`: a side is blank. `identical`: the sides are equal but for case, white space, punctuation and symbols. `script`:
too little of the target is Hangul. `length`: the target is too short or too long for the source. `repetition`: the
target says something over and over, and the source does not. `similarity`: the sides differ too much in meaning.
`near_duplicate`: an earlier pair is nearly the same.
"""

LONGEST_LOOP = 30
"""Words, or letters, of the longest n-gram whose repetition is looked for."""

_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc]")
_WORD = re.compile(r"\w(?:\S*\w)?")
_LETTERS = re.compile(r"[^\W\d_]+")

_SHINGLE = 3
_AT_ONCE = 10_000  # pairs whose bands are looked up and written together: sorted, they touch a page of the file once
_SIGNED_AT_ONCE = 1000
_CACHE_KIB = 32_768

_Texts = tuple[str, str]


@dataclass(frozen=True)
class Thresholds:
    """What a pair must meet to be kept; options of `kgloss back-translate`.

    Raises:
        ValueError: A value is out of its range.

    Example:
        >>> Thresholds(min_hangul=50)
        Traceback (most recent call last):
        ValueError: min_hangul: expected a number from 0 to 1, found 50; 0.5 is half of the letters
    """

    min_hangul: float = field(
        default=0.3,
        metadata={"help": "Share of Hangul among the target's letters; 0 is off. No letters: a share of 0."},
    )
    min_length_ratio: float = field(
        default=0.3, metadata={"help": "Characters of the target over those of the source, at least; 0 is off."}
    )
    max_length_ratio: float = field(default=3.0, metadata={"help": "The same, at most; inf is off."})
    max_word_repeats: int = field(
        default=2, metadata={"help": "Times in a row that the target may say a sequence of up to 30 words."}
    )
    max_letter_repeats: int = field(
        default=3,
        metadata={"help": "Times in a row that a word may have a sequence of up to 30 letters; digits do not count."},
    )
    near_duplicates: float = field(
        default=0.9,
        metadata={
            "help": "Jaccard index of two pairs' character trigrams, from 0.5 to 1, from which on the later pair is "
            "dropped; 0 is off."
        },
    )
    min_similarity: float | None = field(
        default=None, metadata={"help": "Cosine similarity of the sentences' meanings, with a --semantic_model."}
    )

    def __post_init__(self) -> None:
        if not 0 <= self.min_hangul <= 1:
            raise ValueError(
                f"min_hangul: expected a number from 0 to 1, found {self.min_hangul!r}; 0.5 is half of the letters"
            )
        low, high = self.min_length_ratio, self.max_length_ratio
        if not (0 <= low <= high and high > 0):
            raise ValueError(
                f"expected 0 <= min_length_ratio <= max_length_ratio, found {low!r} and {high!r}; equal lengths are 1"
            )
        for name in ("max_word_repeats", "max_letter_repeats"):
            if not getattr(self, name) >= 1:
                raise ValueError(
                    f"{name}: expected at least 1, found {getattr(self, name)!r}; 1 allows no repetition at all"
                )
        if self.near_duplicates:
            _check_jaccard("near_duplicates", self.near_duplicates)
        if self.min_similarity is not None and not -1 <= self.min_similarity <= 1:
            raise ValueError(
                f"min_similarity: expected a cosine from -1 to 1 or None, found {self.min_similarity!r}; write 0.7 "
                "for 70%"
            )


def reason(source: str, target: str, similarity: float | None, thresholds: Thresholds) -> str:
    """Why a pair is dropped, as far as the pair alone tells.

    Args:
        source: The sentence as it was.
        target: The sentence that came back.
        similarity: What `SemanticScorer` gave for the pair, or None.
        thresholds: Those to apply.

    Returns:
        One of `REASONS`, but never the last; "" for a pair to keep.

    Raises:
        ValueError: `thresholds.min_similarity` is set, and the pair passed every other filter and has no similarity.

    Example:
        >>> reason("불이 났어요.", "불이 났어요!", None, Thresholds())
        'identical'
        >>> reason("그리고 집에 갔다.", "그리고 그리고 그리고 갔다.", None, Thresholds())
        'repetition'
        >>> reason("불이 났어요.", "화재가 났습니다.", None, Thresholds())
        ''
    """
    source, target = (unicodedata.normalize("NFC", text.strip()) for text in (source, target))
    if not source or not target:
        return "empty"
    if _folded(source) == _folded(target):
        return "identical"
    if _hangul_share(target) < thresholds.min_hangul:
        return "script"
    if not thresholds.min_length_ratio <= len(target) / len(source) <= thresholds.max_length_ratio:
        return "length"
    if _repeats(target, thresholds) and not _repeats(source, thresholds):
        return "repetition"
    if thresholds.min_similarity is not None:
        if similarity is None:
            raise ValueError("similarity: expected a number, as min_similarity is set, found None; score the pair")
        if not similarity >= thresholds.min_similarity:
            return "similarity"
    return ""


class NearDuplicates:
    """Remembers pairs on disk, and says which ones are nearly the same as an earlier one.

    Two pairs are compared as the sets of their character trigrams, those of the source and those of the target apart,
    without regard to case, white space, punctuation and symbols. Candidates are found by MinHash and locality-sensitive
    hashing (LSH), so that a few near duplicates at the threshold are missed, and none that is equal; then they are
    compared exactly, so that nothing is taken for a near duplicate that is not. The permutations and the choice of
    bands are datasketch's. Its tables are in memory or on a server (Redis, Cassandra); these are in a scratch file
    (SQLite), so that memory does not grow with the number of pairs. The file takes some 300 bytes a pair.

    The same pairs in the same order get the same verdicts in any process.

    Args:
        path: The scratch file. One that is there is replaced, and it is deleted at the end: nothing can be continued
            from it.
        threshold: Jaccard index from which on a pair is a near duplicate, from 0.5 to 1.

    Raises:
        ImportError: datasketch is not installed.
        ValueError: `threshold` is out of range.
        RuntimeError: In the `with` block: the scratch file cannot be written.

    Source:
        Broder, "On the resemblance and containment of documents", 1997; Leskovec, Rajaraman and Ullman, Mining of
        Massive Datasets, chapter 3.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, NearDuplicates(Path(folder) / "scratch.db") as earlier:
        ...     earlier.seen_many([("불이 났다.", "화재다."), ("불이 났다!", "화재다"), ("불이 났다.", "화재입니다.")])
        [False, True, False]
    """

    def __init__(self, path: str | Path, threshold: float = 0.9) -> None:
        require("back-translation", "datasketch", purpose="near duplicates")
        from datasketch import MinHash, MinHashLSH

        _check_jaccard("threshold", threshold)
        self.path = Path(path)
        self.threshold = threshold
        # A false candidate costs a comparison, a missed one stays in the corpus. Beyond 0.99 there is but one band.
        lsh = MinHashLSH(threshold=min(threshold, 0.99), num_perm=96, weights=(0.01, 0.99))
        self.bands: int = lsh.b
        """How many bands a signature has."""
        self.rows: int = lsh.r
        """How many hash values a band has."""
        self._permutations = MinHash(self.bands * self.rows, seed=1, scheme="affine32").permutations
        self._multipliers = np.random.default_rng(1).integers(2**64, size=(self.bands, self.rows), dtype=np.uint64)
        self._count = 0
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> NearDuplicates:
        with self._errors():
            self.path.unlink(missing_ok=True)
            self._count = 0
            self._database = sqlite3.connect(self.path, isolation_level=None)
            self._database.executescript(f"""
                PRAGMA journal_mode = OFF;
                PRAGMA synchronous = OFF;
                PRAGMA locking_mode = EXCLUSIVE;
                PRAGMA cache_size = -{_CACHE_KIB};
                CREATE TABLE pairs (id INTEGER PRIMARY KEY, source BLOB NOT NULL, target BLOB NOT NULL);
                CREATE TABLE bands (band INTEGER, id INTEGER, PRIMARY KEY (band, id)) WITHOUT ROWID;
            """)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        self.path.unlink(missing_ok=True)

    def seen(self, source: str, target: str) -> bool:
        """Whether an earlier pair is nearly the same; where none is, the pair is remembered.

        Args:
            source: Sentence.
            target: Its pair.

        Raises:
            RuntimeError: Outside the `with` block.
        """
        return self.seen_many([(source, target)])[0]

    def seen_many(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """`seen` of each pair, after those before it; thousands at once are much faster.

        Args:
            pairs: Source and target.

        Raises:
            RuntimeError: Outside the `with` block.
        """
        if self._database is None:
            raise RuntimeError("NearDuplicates has no scratch file open; write: with NearDuplicates(path) as earlier:")
        verdicts: list[bool] = []
        with self._errors():
            for start in range(0, len(pairs), _AT_ONCE):
                verdicts += self._seen(self._database, pairs[start : start + _AT_ONCE])
        return verdicts

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise RuntimeError(
                f"the scratch file {self.path} cannot be used ({error}); expected a folder that is there and can be "
                "written to, on a disk with room: some 300 bytes a pair"
            ) from error

    def _seen(self, database: sqlite3.Connection, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        texts = [(_comparable(source), _comparable(target)) for source, target in pairs]
        bands = self._bands_of(texts)
        distinct, counts = np.unique(bands, return_counts=True)
        known = self._known(database, distinct)
        shared = {*known, *distinct[counts > 1].tolist()}
        verdicts: list[bool] = []
        new: list[int] = []
        for number, own_bands in enumerate(bands.tolist()):
            own_shared = shared.intersection(own_bands)
            candidates = set(chain.from_iterable(known[band] for band in own_shared))
            others = (
                texts[new[candidate - self._count]] if candidate >= self._count else _stored(database, candidate)
                for candidate in candidates
            )
            verdicts.append(bool(candidates) and _any_near(texts[number], others, self.threshold))
            if not verdicts[-1]:
                for band in own_shared:
                    known[band].append(self._count + len(new))
                new.append(number)
        self._remember(database, [texts[number] for number in new], bands[new])
        return verdicts

    def _bands_of(self, texts: Sequence[_Texts]) -> npt.NDArray[np.int64]:
        """The bands of each pair, each as one number. Pairs whose numbers are equal by chance are compared in vain."""
        signatures = np.concatenate(
            [
                _signatures(texts[start : start + _SIGNED_AT_ONCE], self._permutations)
                for start in range(0, len(texts), _SIGNED_AT_ONCE)
            ]
        )
        values = signatures.reshape(len(texts), self.bands, self.rows).astype(np.uint64)
        return (values * self._multipliers).sum(axis=2).view(np.int64)

    def _known(self, database: sqlite3.Connection, wanted: npt.NDArray[np.int64]) -> dict[int, list[int]]:
        known: dict[int, list[int]] = defaultdict(list)
        for band, identity in database.execute(
            "SELECT band, bands.id FROM json_each(?) CROSS JOIN bands ON band = value", [json.dumps(wanted.tolist())]
        ):
            known[band].append(identity)
        return known

    def _remember(self, database: sqlite3.Connection, texts: list[_Texts], bands: npt.NDArray[np.int64]) -> None:
        first = self._count
        self._count += len(texts)
        identities = np.repeat(np.arange(first, self._count), self.bands)
        order = np.argsort(bands, axis=None)
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO pairs VALUES (?, ?, ?)",
            ((first + i, _encoded(source), _encoded(target)) for i, (source, target) in enumerate(texts)),
        )
        database.executemany(
            "INSERT OR IGNORE INTO bands VALUES (?, ?)",
            zip(bands.ravel()[order].tolist(), identities[order].tolist(), strict=True),
        )
        database.execute("COMMIT")


class SemanticScorer:
    """How near two sentences are in meaning, by any model of sentence-transformers.

    The model is loaded at the first call, on the device that `accelerate` gives this process.

    Args:
        model: Name on the Hub, or a folder.
        batch_size: Sentences at once.

    Raises:
        ImportError: sentence-transformers is not installed.

    Example:
        >>> scorer = SemanticScorer("intfloat/multilingual-e5-small")  # doctest: +SKIP
        >>> (similarity,) = scorer(["불이 났어요."], ["화재가 났습니다."])  # doctest: +SKIP
    """

    def __init__(self, model: str, batch_size: int = 64) -> None:
        require("semantic", "sentence_transformers", purpose="similarity of meaning")
        self.model = model
        self.batch_size = batch_size
        self._encoder: Any = None

    @property
    def name(self) -> str:
        """The model's name; of a folder, its own name without the way there."""
        return Path(self.model).resolve().name if Path(self.model).is_dir() else self.model

    def __call__(self, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Cosine similarity of each source and its target, from -1 to 1, to four decimals.

        Args:
            sources: Sentences. A lone surrogate is read as a question mark.
            targets: As many.

        Raises:
            ValueError: There are not as many targets as sources.
        """
        if len(sources) != len(targets):
            raise ValueError(f"expected a target a source, found {len(sources)} sources and {len(targets)} targets")
        if not sources:
            return []
        number = {text: i for i, text in enumerate(dict.fromkeys([*sources, *targets]))}
        texts = [text.encode("utf-8", "replace").decode() for text in number]
        vectors = self._loaded().encode(
            texts, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        sides = (vectors[[number[text] for text in side]] for side in (sources, targets))
        cosines = np.einsum("ij,ij->i", *sides, dtype=np.float64)
        return [round(cosine, 4) for cosine in cosines.clip(-1, 1).tolist()]

    def _loaded(self) -> Any:
        if self._encoder is None:
            from accelerate import PartialState
            from sentence_transformers import SentenceTransformer

            self._encoder = SentenceTransformer(self.model, device=str(PartialState().device))
        return self._encoder


def _folded(text: str) -> str:
    """The text without what `identical` does not compare; as it is where nothing would be left."""
    return "".join(filter(str.isalnum, text.casefold())) or text


def _comparable(text: str) -> str:
    """The text as its shingles are taken: none is shorter than a shingle."""
    return _folded(unicodedata.normalize("NFC", text.strip())).ljust(_SHINGLE, "\0")


def _hangul_share(text: str) -> float:
    letters = sum(map(str.isalpha, text))
    return len(_HANGUL.findall(text)) / letters if letters else 0.0


def _repeats(text: str, thresholds: Thresholds) -> bool:
    if _loops(_WORD.findall(text), thresholds.max_word_repeats + 1):
        return True
    times = thresholds.max_letter_repeats + 1
    return any(_loops(letters, times) for letters in _LETTERS.findall(text) if len(letters) >= times)


def _loops(items: Sequence[str], times: int) -> bool:
    """Whether some n-gram stands so many times in a row. Takes a step for each item and length of n-gram."""
    for length in range(1, min(len(items) // times, LONGEST_LOOP) + 1):
        run = 0
        for item, later in zip(items, items[length:], strict=False):
            run = run + 1 if item == later else 0
            if run == length * (times - 1):
                return True
    return False


def _check_jaccard(name: str, value: float) -> None:
    if not 0.5 <= value <= 1:
        raise ValueError(
            f"{name}: expected a Jaccard index from 0.5 to 1, found {value!r}; 0.9 finds copies with a character or "
            "two changed"
        )


def _shingles(texts: _Texts) -> set[str]:
    return {
        side + text[i : i + _SHINGLE]
        for side, text in zip("st", texts, strict=True)
        for i in range(len(text) - _SHINGLE + 1)
    }


def _signatures(texts: Sequence[_Texts], permutations: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """MinHash of `_shingles` of each pair; datasketch's own takes one pair at a time, and ten times as long."""
    sides = list(chain.from_iterable(texts))
    codes = np.frombuffer(_encoded("".join(sides), "utf-32-le"), "<u4").astype(np.uint64)
    lengths = np.fromiter(map(len, sides), np.int64, len(sides))
    ends = np.cumsum(lengths)
    side = np.repeat(np.arange(len(sides), dtype=np.uint64) % 2, lengths)
    # A character has 21 bits, so that three and the side fill 64 exactly.
    shingles = (side << 63) | (codes << 42) | (np.roll(codes, -1) << 21) | np.roll(codes, -2)
    within = np.ones(len(shingles), np.bool_)
    within[ends - 1] = within[ends - 2] = False
    hashes = (hash_array(shingles[within]) >> 32).astype(np.uint32)
    counts = (lengths - _SHINGLE + 1).reshape(-1, 2).sum(axis=1)
    starts = np.cumsum(counts) - counts
    return np.stack([np.minimum.reduceat(hashes * a + b, starts) for a, b in permutations.T], axis=1)


def _any_near(texts: _Texts, others: Iterable[_Texts], threshold: float) -> bool:
    own = _shingles(texts)
    for other in map(_shingles, others):
        shared = len(own & other)
        if shared / (len(own) + len(other) - shared) >= threshold:
            return True
    return False


def _encoded(text: str, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding, "surrogatepass")


def _stored(database: sqlite3.Connection, identity: int) -> _Texts:
    source, target = database.execute("SELECT source, target FROM pairs WHERE id = ?", [identity]).fetchone()
    return source.decode("utf-8", "surrogatepass"), target.decode("utf-8", "surrogatepass")
