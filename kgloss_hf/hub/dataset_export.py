"""Export a data set of this package in the form that the Hub accepts: Parquet files and a card, without a script."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import yaml
from datasets import DatasetInfo, Features, IterableDataset, load_dataset_builder
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData
from pyarrow.parquet import ParquetWriter
from tqdm import tqdm

from ..artefacts import DATASETS, artefact
from ..back_translation.report import corpus_card
from ..files import new_folder, save_folder
from ..version import __version__
from .licences import OTHER, UNKNOWN
from .provenance import origins_of, pretext_sources

logger = logging.getLogger(__name__)

_SHARD_BYTES = 256 * 2**20
"""Size at which a Parquet file is closed and the next one begun."""

RIGHTS = {
    "mcksg/full": "This is a private copy of a corpus. It must not be published without the owners' permission.",
    "gksl": "The data are KETI's, under [CC BY-NC-SA 4.0](https://creativecommons.org/licenses/by-nc-sa/4.0/): name "
    "the source, make no commercial use of them, and share derivatives under the same licence. This export changes the "
    "published files: the gloss strings are lists, and rows have ids and splits.",
    "ko_backtranslation": "Each corpus keeps its own licence. Rows of naver_ner and mcksg must not be published "
    "without their owners' permission.",
}
"""Conditions for publishing an export, by data set, or by data set and configuration."""

_BATCH = 10_000
_ABOUT_THE_LOADER = ("Use", "Files", "Splits and options", "`full`: your own copy", "Shards")
"""Sections of the loading scripts' cards that do not apply to an export."""


class _Part(NamedTuple):
    """The size of a split: its number of rows, their bytes in memory, and the bytes of its files."""

    rows: int
    num_bytes: int
    file_bytes: int


class _Exported(NamedTuple):
    """The exported splits by configuration, and for each configuration left out the reason."""

    parts: dict[str, dict[str, _Part]]
    left_out: dict[str, str]


def export_dataset(
    name: str, output_dir: str, *, data_dir: str | None = None, config: str | None = None, **options: Any
) -> _Exported:
    """Write a data set as `CONFIG/SPLIT-00000-of-0000N.parquet` and a README.md with `configs` and `dataset_info`.

    Both generations of `datasets` load the folder, from disk or from the Hub, without this package. Rows are streamed,
    and the folder appears only once it is complete.

    Args:
        name: One of `kgloss_hf.artefacts.DATASETS`.
        output_dir: Folder to create.
        data_dir: Folder with the user's own copy, for data sets that are not shipped.
        config: Configuration to export (default: all that can be built; a warning gives the reason for each other one).
        options: Options of the configuration, such as `split_by`, `pairs` or `encoding`.

    Raises:
        ValueError: The name is not known, the folder is not empty, a local folder with the data set's name hides it, no
            configuration can be built, or a file of the data set is not as expected.
        FileNotFoundError: `data_dir` lacks the files that the configuration is built from.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     exported = export_dataset("mcksg", f"{folder}/export", config="sample")
        ...     files = sorted(path.name for path in Path(folder, "export", "sample").iterdir())
        >>> {split: part.rows for split, part in exported.parts["sample"].items()}
        {'train': 249, 'test': 108}
        >>> files
        ['test-00000-of-00001.parquet', 'train-00000-of-00001.parquet']
    """
    if name not in DATASETS:
        raise ValueError(f"expected one of {', '.join(DATASETS)}, found {name!r}; choose one of these")
    folder = new_folder(output_dir)
    builder = load_dataset_builder(name, config, data_dir=data_dir, **options)
    if type(builder).__module__.partition(".")[0] != "kgloss_hf":
        raise ValueError(
            f"expected the data set {name} of kgloss-hf, found the local folder {name}/, which hides it; rename the "
            "folder or change the working directory"
        )
    streams: dict[str, Mapping[str, IterableDataset]] = {}
    left_out: dict[str, str] = {}
    for selected in [config] if config else builder.builder_configs:
        try:
            built = load_dataset_builder(name, selected, data_dir=data_dir, **options)
            streams[selected] = built.as_streaming_dataset()
        except (ValueError, FileNotFoundError) as error:
            if config:
                raise
            left_out[selected] = str(error).partition("\n")[0]
    if not streams:
        reasons = "".join(f"\n- {selected}: {reason}" for selected, reason in left_out.items())
        raise ValueError(f"expected a configuration of {name} that can be built, found none:{reasons}")
    for selected, reason in left_out.items():
        logger.warning("leaving out %s/%s: %s", name, selected, reason)
    if rights := _rights(name, streams):
        logger.warning("%s", rights)
    exported = _Exported({}, left_out)

    def write(partial: Path) -> None:
        for selected, splits in streams.items():
            (partial / selected).mkdir()
            exported.parts[selected] = {
                split: _write_split(stream, partial / selected, split) for split, stream in splits.items()
            }
        infos = {selected: next(iter(splits.values())).info for selected, splits in streams.items()}
        default = builder.config.name if builder.config.name in streams else next(iter(streams))
        by = getattr(builder.config, "split_by", "none")
        leak_free = by == "group" or (by is None and default != "full")  # `full` may come in sets of its own
        history = (
            corpus_card(data_dir) if data_dir and getattr(builder.config, "pairs", None) == "backtranslation" else ""
        )
        licences = _licences_of(partial) if name == "ko_backtranslation" else []
        card = _card(name, exported.parts, infos, default, leak_free, history, licences)
        (partial / "README.md").write_text(card, "utf-8")
        for picture in artefact(f"dataset_scripts/{name}").glob("*.png"):
            if f"({picture.name})" in card:
                shutil.copy(picture, partial)

    save_folder(folder, write)
    return exported


def feature_yaml(features: Features) -> list[dict[str, Any]]:
    """Return features in the form of a card's YAML that both generations of `datasets` read.

    Args:
        features: Features whose lists hold values, not structures.

    Examples:
        >>> from datasets import Sequence, Value
        >>> feature_yaml(Features({"glosses": Sequence(Value("string"))}))
        [{'name': 'glosses', 'sequence': 'string'}]
    """

    def readable(node: Any) -> Any:
        if isinstance(node, dict):
            # datasets 4 and later say "list" where earlier versions say "sequence".
            return {"sequence" if key == "list" else key: readable(value) for key, value in node.items()}
        return [readable(value) for value in node] if isinstance(node, list) else node

    card = DatasetCardData()
    DatasetInfosDict(default=DatasetInfo(features=features)).to_dataset_card_data(card)
    written: list[dict[str, Any]] = readable(card.to_dict()["dataset_info"]["features"])
    return written


def _write_split(stream: IterableDataset, folder: Path, split: str) -> _Part:
    """Write a split's rows as Parquet files, with only one batch in memory at a time."""
    schema = _readable_schema(stream.features)
    files: list[Path] = []
    rows = num_bytes = 0
    tables = _tables(stream, schema)
    table: pa.Table | None = next(tables, schema.empty_table())
    with tqdm(desc=f"{folder.name}/{split}", unit=" rows", disable=None) as progress:
        while table is not None:
            files.append(folder / f"{split}-{len(files):05d}.parquet")
            with open(files[-1], "wb") as file, ParquetWriter(file, schema) as writer:
                full = False
                while table is not None and not full:
                    writer.write_table(table)
                    full = file.tell() >= _SHARD_BYTES
                    rows += len(table)
                    num_bytes += table.nbytes
                    progress.update(len(table))
                    table = next(tables, None)
    file_bytes = sum(file.stat().st_size for file in files)
    for number, path in enumerate(files):
        path.rename(folder / f"{split}-{number:05d}-of-{len(files):05d}.parquet")
    return _Part(rows, num_bytes, file_bytes)


def _readable_schema(features: Features) -> pa.Schema:
    """Return the schema with metadata that both generations of `datasets` read, so that class labels keep their names.

    datasets 4 and later write List where earlier versions write Sequence; all versions read Sequence.
    """
    schema = features.arrow_schema
    content = json.loads(
        schema.metadata[b"huggingface"],
        object_hook=lambda node: {**node, "_type": "Sequence"} if node.get("_type") == "List" else node,
    )
    return schema.with_metadata({"huggingface": json.dumps(content)})


def _tables(stream: IterableDataset, schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in stream.iter(batch_size=_BATCH):
        yield pa.Table.from_pydict(batch, schema=schema)


def _licences_of(folder: Path) -> list[str]:
    """Return the licences of the corpora that the rows of a folder come from."""
    return sorted({source["license"] or UNKNOWN for source in pretext_sources(origins_of(folder))})


def _rights(name: str, configs: Mapping[str, Any]) -> str:
    return " ".join(RIGHTS[key] for key in (name, *(f"{name}/{config}" for config in configs)) if key in RIGHTS)


def _card(
    name: str,
    exported: Mapping[str, Mapping[str, _Part]],
    infos: Mapping[str, DatasetInfo],
    default: str,
    leak_free: bool,
    history: str,
    licences: list[str],
) -> str:
    """Return the loading script's card, with its sections on loading replaced by those of the export."""
    text = (artefact(f"dataset_scripts/{name}") / "README.md").read_text("utf-8")
    _, front, body = text.split("---\n", 2)
    fields = yaml.safe_load(front)
    own_copy = name == "mcksg" and "full" in exported
    if own_copy:  # the card describes only the sample
        fields.update(pretty_name="Korean text to KSL gloss (private copy)", annotations_creators=[])
        fields.update(license="other", license_name="private-copy", license_link="README.md")
        body = ""
    if licences:
        fields["license"] = licences
        for key in ("license_name", "license_link") if OTHER not in licences else ():
            del fields[key]
    fields["pretty_name"] = fields["pretty_name"].removesuffix(" (loader)")
    largest = max(sum(part.rows for part in parts.values()) for parts in exported.values())
    fields["size_categories"] = [_size_category(largest)]
    for key in ("viewer", "configs", "dataset_info"):
        fields.pop(key, None)
    fields["configs"] = [
        {
            "config_name": config,
            **({"default": True} if config == default else {}),
            "data_files": [{"split": split, "path": f"{config}/{split}-*"} for split in parts],
        }
        for config, parts in exported.items()
    ]
    fields["dataset_info"] = [
        {
            "config_name": config,
            "features": feature_yaml(infos[config].features),
            "splits": [
                {"name": split, "num_bytes": part.num_bytes, "num_examples": part.rows} for split, part in parts.items()
            ],
            "download_size": sum(part.file_bytes for part in parts.values()),
            "dataset_size": sum(part.num_bytes for part in parts.values()),
        }
        for config, parts in exported.items()
    ]
    rows = [
        f"| `{config}` | `{split}` | {part.rows:,} |"
        for config, parts in exported.items()
        for split, part in parts.items()
    ]
    head = [
        f"# {fields['pretty_name']}",
        infos[default].description,
        _rights(name, exported),
        f"Written by `kgloss export-dataset {name}` of kgloss-hf {__version__}. This folder holds Parquet files and no "
        "code. `datasets` 3 and later load it:",
        f'```python\nfrom datasets import load_dataset\n\nrows = load_dataset("FOLDER", "{default}")\n```',
        "| configuration | split | rows |\n|---|---|---|\n" + "\n".join(rows),
        "Rows with the same sentence or the same gloss string are in one split." if leak_free else "",
    ]
    written = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False, width=120)
    return f"---\n{written}---\n\n" + "\n\n".join(filter(None, [*head, history, _about_the_data(body)])) + "\n"


def _about_the_data(body: str) -> str:
    """Return a loading script's card without its first section and its sections on loading."""
    sections = re.split(r"^##? ", body, flags=re.MULTILINE)[2:]
    kept = [f"## {section.strip()}" for section in sections if section.partition("\n")[0] not in _ABOUT_THE_LOADER]
    return "\n\n".join(kept)


def _size_category(rows: int) -> str:
    """Return the Hub's size category for a number of rows."""
    bounds = {1_000: "1K", 10_000: "10K", 100_000: "100K", 1_000_000: "1M", 10_000_000: "10M", 100_000_000: "100M"}
    above = next((bound for bound in bounds if rows < bound), None)
    if above is None:
        return "n>100M"
    return f"{bounds[above // 10]}<n<{bounds[above]}" if above > 1_000 else "n<1K"
