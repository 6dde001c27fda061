"""Compare reading the pretext corpus from shards with the Parquet loader of `datasets`; print one JSON line per load.

    python benchmarks/pretext_reading.py [--pairs 250000 500000 1000000]

Each size is written as ten Parquet shards of synthetic pairs into a temporary folder. Each load runs in a separate
process with an empty cache, and reads every row once. `seconds` covers load_dataset and reading, without the imports;
`cpu_seconds` is the processor time of both, which a busy machine affects less. `peak_mib` is the peak resident memory
of the process, and `imports_mib` its resident memory before the load. A normal load maps its cache file, so pages that
the system may reclaim count as resident too; `peak_anonymous_mib` leaves them out. The exit status is 1 if the rows of
two loads of the same size differ in number or hash.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SHARDS = 10
COLUMNS = ("source", "target", "origin", "engine")
ORIGINS = ("kornli", "korsts", "naver_ner", "question_pair", "mcksg")
SYLLABLES = "가나다라마바사아자차카타파하고노도로모보소오조초코토포호기니디리미비시이지치키티피히"
ROWS_A_READ = 1000


def write_shards(folder: Path, pairs: int) -> int:
    """Write synthetic pairs of 3 to 12 words in row groups of 10,000, and return their size on disk in bytes."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list(SYLLABLES), generator.integers(1, 5))) for _ in range(50_000)]

    def sentences(count: int) -> list[str]:
        lengths = generator.integers(3, 13, count)
        drawn = iter(generator.integers(0, len(words), lengths.sum()).tolist())
        return [" ".join(words[next(drawn)] for _ in range(length)) for length in lengths.tolist()]

    folder.mkdir()
    for shard in range(SHARDS):
        path = folder / f"part-{shard:05d}.parquet"
        with pq.ParquetWriter(path, pa.schema([(column, pa.string()) for column in COLUMNS])) as writer:
            left = pairs // SHARDS
            while left:
                count = min(left, 10_000)
                origin = [ORIGINS[shard % len(ORIGINS)]] * count
                rows = [sentences(count), sentences(count), origin, ["synthetic"] * count]
                writer.write_table(pa.table(dict(zip(COLUMNS, rows, strict=True))))
                left -= count
    return sum(path.stat().st_size for path in folder.iterdir())


def status_mib(field: str) -> float:
    """Return a field of /proc/self/status in MiB, or 0 if the system lacks that file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0.0)


def watch_anonymous(peak: list[float], done: threading.Event) -> None:
    while not done.wait(0.02):
        peak[0] = max(peak[0], status_mib("RssAnon"))


def batches(loader: str, data_dir: str, streaming: bool) -> Iterator[dict[str, list[str]]]:
    from datasets import load_dataset

    if loader == "ours":
        data = load_dataset("ko_backtranslation", data_dir=data_dir, split="train", streaming=streaming)
    else:
        files = f"{data_dir}/shards/*.parquet"
        data = load_dataset("parquet", data_files=files, split="train", streaming=streaming)
    yield from data.iter(ROWS_A_READ)


def load_once(loader: str, data_dir: str, streaming: bool) -> None:
    """Read all rows, and print their number, hash and cost."""
    import datasets

    import kgloss_hf  # noqa: F401

    imports = status_mib("VmRSS")
    peak, done = [0.0], threading.Event()
    watcher = threading.Thread(target=watch_anonymous, args=(peak, done), daemon=True)
    watcher.start()
    digest, rows = hashlib.sha256(), 0
    started, cpu = time.perf_counter(), time.process_time()
    for batch in batches(loader, data_dir, streaming):
        rows += len(batch["source"])
        for row in zip(*(batch[column] for column in COLUMNS), strict=True):
            digest.update("\t".join(row).encode() + b"\n")
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    done.set()
    watcher.join()
    result = {
        "loader": loader,
        "streaming": streaming,
        "rows": rows,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),  # kilobytes on Linux
        "peak_anonymous_mib": round(peak[0]),
        "imports_mib": round(imports),
        "sha256": digest.hexdigest()[:16],
        "datasets": datasets.__version__,
    }
    print(json.dumps(result))


def run(loader: str, data_dir: Path, streaming: bool) -> dict[str, object]:
    """Run `load_once` in a new process with an empty cache."""
    with tempfile.TemporaryDirectory(dir=data_dir.parent) as cache:
        env = {
            **os.environ,
            "HF_HOME": cache,
            "HF_DATASETS_CACHE": f"{cache}/datasets",
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
        }
        command = [sys.executable, __file__, "--load", loader, str(data_dir), "stream" if streaming else "normal"]
        result = subprocess.run(command, env=env, capture_output=True, text=True)  # noqa: S603
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[250_000, 500_000, 1_000_000])
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        loader, data_dir, mode = options.load
        load_once(loader, data_dir, mode == "stream")
        return
    different = False
    for pairs in options.pairs:
        with tempfile.TemporaryDirectory() as folder:
            data_dir = Path(folder) / "data"
            data_dir.mkdir()
            size = write_shards(data_dir / "shards", pairs)
            results = [run(loader, data_dir, mode) for mode in (False, True) for loader in ("ours", "parquet")]
        for result in results:
            print(json.dumps({"pairs": pairs, "disk_mib": round(size / 2**20), **result}), flush=True)
        different |= {(result["rows"], result["sha256"]) for result in results} != {(pairs, results[0]["sha256"])}
    sys.exit(different)


if __name__ == "__main__":
    main()
