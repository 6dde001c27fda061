"""Find pairs that nearly repeat an earlier one, with MinHash and a scratch file."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..optional import require
from ..runtime.normalization import normalize

_SHINGLE = 3
_AT_ONCE = 10_000  # pairs whose bands are looked up and written together; sorted, they touch each page of the file once
_SIGNED_AT_ONCE = 1000
_CACHE_KIB = 32_768

_Texts = tuple[str, str]


class NearDuplicates:
    """A record of pairs on disk that finds pairs which nearly repeat an earlier one.

    Pairs are compared by their sets of character trigrams, with source and target kept apart and case, white space,
    punctuation and symbols ignored. MinHash and locality-sensitive hashing (LSH) find the candidates: they miss a few
    near duplicates at the threshold, but never an equal pair. The candidates are then compared exactly, so there are no
    false positives. The permutations and the choice of bands come from datasketch. datasketch keeps its tables in
    memory or on a server (Redis, Cassandra); this class keeps them in a scratch file (SQLite), so that memory does not
    grow with the number of pairs. The file takes about 300 bytes per pair.

    The same pairs in the same order get the same verdicts in any process.

    Args:
        path: The scratch file. An existing file is replaced, and the file is deleted at the end, so it cannot be
            continued from.
        threshold: Jaccard index, from 0.5 to 1, at or above which a pair is a near duplicate (default 0.9).

    Raises:
        ImportError: datasketch is not installed.
        ValueError: `threshold` is out of range.
        RuntimeError: In the `with` block, if the scratch file cannot be written.

    Source:
        Broder, "On the resemblance and containment of documents", 1997; Leskovec, Rajaraman and Ullman, Mining of
        Massive Datasets, chapter 3.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, NearDuplicates(Path(folder) / "scratch.db") as earlier:
        ...     earlier.seen_many([("불이 났다.", "화재다."), ("불이 났다!", "화재다"), ("불이 났다.", "화재입니다.")])
        [False, True, False]
    """

    def __init__(self, path: str | Path, threshold: float = 0.9) -> None:
        require("back-translation", "datasketch", purpose="near duplicates")
        from datasketch import MinHash, MinHashLSH

        check_jaccard("threshold", threshold)
        self.path = Path(path)
        self.threshold = threshold
        # A false candidate costs a comparison; a missed one stays in the corpus. Beyond 0.99 there is only one band.
        lsh = MinHashLSH(threshold=min(threshold, 0.99), num_perm=96, weights=(0.01, 0.99))
        self.bands: int = lsh.b  # per signature
        self.rows: int = lsh.r  # hash values per band
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

    def seen_many(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Return for each pair whether it nearly repeats an earlier one; if it does not, remember it.

        Args:
            pairs: Source and target of each pair; passing thousands at once is much faster.

        Raises:
            RuntimeError: The call is outside the `with` block.
        """
        if self._database is None:
            raise RuntimeError(
                "expected an open scratch file, found none; write: with NearDuplicates(path) as earlier:"
            )
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
                f"the scratch file {self.path} cannot be used ({error}); expected an existing, writable folder on a "
                "disk with about 300 bytes of free space per pair"
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
            earlier = (
                texts[new[candidate - self._count]] if candidate >= self._count else _stored(database, candidate)
                for candidate in candidates
            )
            verdicts.append(bool(candidates) and _any_near(texts[number], earlier, self.threshold))
            if not verdicts[-1]:
                for band in own_shared:
                    known[band].append(self._count + len(new))
                new.append(number)
        self._remember(database, [texts[number] for number in new], bands[new])
        return verdicts

    def _bands_of(self, texts: Sequence[_Texts]) -> npt.NDArray[np.int64]:
        """Return each pair's bands as numbers; equal numbers by chance only cost a comparison."""
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


def folded(text: str) -> str:
    """Return the letters and digits of a text in lower case, or the text itself if it has none.

    Args:
        text: Any text.

    Examples:
        >>> folded("QR 코드!")
        'qr코드'
    """
    return "".join(filter(str.isalnum, text.casefold())) or text


def _comparable(text: str) -> str:
    """Return the form of a text from which its shingles are taken, padded to at least the length of one."""
    return folded(normalize(text).strip()).ljust(_SHINGLE, "\0")


def check_jaccard(name: str, value: float) -> None:
    """Check that a Jaccard index is from 0.5 to 1.

    Args:
        name: Name of the option, for the message.
        value: Value of the option.

    Raises:
        ValueError: The value is below 0.5 or above 1.
    """
    if not 0.5 <= value <= 1:
        raise ValueError(
            f"{name}: expected a Jaccard index from 0.5 to 1, found {value!r}; 0.9 finds copies in which one or two "
            "characters differ"
        )


def _shingles(texts: _Texts) -> set[str]:
    return {
        side + text[i : i + _SHINGLE]
        for side, text in zip("st", texts, strict=True)
        for i in range(len(text) - _SHINGLE + 1)
    }


def _signatures(texts: Sequence[_Texts], permutations: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return each pair's MinHash of `_shingles`; datasketch hashes one pair at a time and takes ten times as long."""
    from pandas.util import hash_array

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
