"""Measure memory and start-up of the training data path as the number of pairs grows; print one JSON line.

    python benchmarks/training_data_path.py [--pairs 100000 300000 1000000] [--batches 2000]

Each size is written as Arrow shards of encoded synthetic pairs (24 source and 20 target tokens on average) into a
temporary folder. Additional pairs are written for the validation set of the pretext task (30%), which is left out as in
`run_pretext.py`. A separate process then maps the shards, builds the trainer of a tiny model, and takes the first
batches of its training dataloader, without training. `peak_mib` is the peak resident memory of that process, including
mapped pages, which the system may reclaim. `anonymous_mib` is the memory that cannot be reclaimed, after the last
batch, and `imports_mib` the same before the data. `seconds_to_first_batch` counts from the start of the process,
including imports.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from pretext_reading import status_mib

SHARDS, HELD_OUT, VOCABULARY, BATCH = 10, 0.3, 12_078, 32
MEAN_TOKENS = {"input_ids": 24, "labels": 20}
ROWS_A_WRITE = 1000  # as in `datasets.map`


def write_shards(folder: Path, rows: int) -> int:
    """Write encoded pairs in the format that `datasets` maps, and return their size on disk in bytes."""
    random = np.random.default_rng(0)
    schema = pa.schema([(name, pa.list_(pa.int32())) for name in MEAN_TOKENS])
    for shard, part in enumerate(np.array_split(np.arange(rows), SHARDS)):
        with pa.OSFile(str(folder / f"{shard:05d}.arrow"), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for start in range(0, len(part), ROWS_A_WRITE):
                columns = []
                for mean in MEAN_TOKENS.values():
                    lengths = np.clip(random.poisson(mean, min(ROWS_A_WRITE, len(part) - start)), 2, 128)
                    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
                    ids = random.integers(7, VOCABULARY, offsets[-1], dtype=np.int32)
                    columns.append(pa.ListArray.from_arrays(offsets, ids))
                writer.write_batch(pa.record_batch(columns, schema=schema))
    return sum(path.stat().st_size for path in folder.iterdir())


def take_batches(folder: Path, batches: int, started: float) -> None:
    """Take the first batches of the trainer's dataloader, and print the time and memory."""
    from datasets import Dataset, concatenate_datasets

    from kgloss_hf.models.modeling import build_model
    from kgloss_hf.models.vocabulary import train_tokenizer
    from kgloss_hf.training.trainer import PretextTrainingArguments, build_trainer

    tokenizer = train_tokenizer([], [["집"]], model="wordlevel")
    args = PretextTrainingArguments(output_dir=str(folder / "run"), per_device_train_batch_size=BATCH)
    model = build_model("tiny", tokenizer)
    imports = status_mib("RssAnon")
    dataset = concatenate_datasets([Dataset.from_file(str(path)) for path in sorted(folder.glob("*.arrow"))])
    train = np.flatnonzero(np.random.default_rng(0).random(len(dataset)) >= HELD_OUT)
    trainer = build_trainer(model, tokenizer, args, dataset.select(train), dataset, None, share_embeddings=True)
    before = time.time()
    loader = iter(trainer.get_train_dataloader())
    next(loader)
    first = time.time()
    pairs = sum(len(batch["labels"]) for batch in islice(loader, batches - 1))
    rate = pairs / BATCH / (time.time() - first)
    result = {
        "training_pairs": len(train),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),  # kilobytes on Linux
        "anonymous_mib": round(status_mib("RssAnon")),
        "imports_mib": round(imports),
        "seconds_to_first_batch": round(first - started, 1),
        "of_which_dataloader": round(first - before, 2),
        "batches": pairs // BATCH + 1,
        "batches_per_s": round(rate),
    }
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        take_batches(options.folder, options.batches, options.started)
        return
    sizes = []
    for pairs in options.pairs:
        with tempfile.TemporaryDirectory() as folder:
            size = write_shards(Path(folder), round(pairs / (1 - HELD_OUT)))
            command = [sys.executable, __file__, "--folder", folder, "--batches", str(options.batches)]
            command += ["--started", str(time.time())]
            result = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
        if result.returncode:
            sys.exit(result.stderr)
        sizes.append({"pairs": pairs, "disk_mib": round(size / 2**20), **json.loads(result.stdout.splitlines()[-1])})
    versions = {name: version(name) for name in ("torch", "transformers", "datasets", "pyarrow")}
    print(json.dumps({"batch_size": BATCH, "sizes": sizes, "versions": versions}))


if __name__ == "__main__":
    main()
