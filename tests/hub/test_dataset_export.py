"""Data sets as Parquet files and a card."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import DatasetInfo, Features, Sequence, Value, get_dataset_default_config_name, load_dataset
from pyarrow.parquet import read_schema

from kgloss_hf.cli import main
from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.data.tables import read_rows
from kgloss_hf.hub import dataset_export
from kgloss_hf.hub.checking import check_folder
from kgloss_hf.hub.dataset_export import RIGHTS, export_dataset, feature_yaml

pytestmark = pytest.mark.usefixtures("cache")

CLOSED = ("naver_ner", "mcksg", "aihub/other.csv", "pawsx")
GKSL_HEADER = ",Gloss level Korean Sign Language (GKSL) sentence,Word level Korean Language (WKL) sentence\n"


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Write a folder with 25 back-translated pairs."""
    folder = tmp_path / "corpus" / "shards"
    folder.mkdir(parents=True)
    row = '{{"source": "문장 {0}", "target": "글 {0}", "origin": "kornli", "engine": "probe"}}\n'
    (folder / "0.jsonl").write_text("".join(row.format(i) for i in range(25)), "utf-8")
    return str(tmp_path / "corpus")


@pytest.fixture
def gksl(tmp_path: Path) -> str:
    folder = tmp_path / "gksl_copy"
    folder.mkdir()
    rows = "".join(f"NIA,글로스{i} 집,문장 {i}\n" for i in range(20))
    (folder / "GKSL3k_original.csv").write_text(f"dataset{GKSL_HEADER}{rows}", "utf-8")
    rows = "".join(f"BR,글로스{i} 산,새 문장 {i}\n" for i in range(5))
    (folder / "GKSL13k_augmented.csv").write_text(f"augmentation_method{GKSL_HEADER}{rows}", "utf-8")
    return str(folder)


def card(folder: Path) -> tuple[dict[str, Any], str]:
    _, front, body = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def check_equal(name: str, folder: Path, data_dir: str | None) -> None:
    """Check that the folder gives the same rows as the data set by name, plain and streamed, in every configuration."""
    fields, _ = card(folder)
    for entry in fields["configs"]:
        config = entry["config_name"]
        own = load_dataset(name, config, data_dir=data_dir)
        plain = load_dataset(str(folder), config)
        streams = load_dataset(str(folder), config, streaming=True)
        assert list(plain) == list(streams) == list(own)
        for split, rows in own.items():
            assert plain[split].features == streams[split].features == rows.features
            assert list(plain[split]) == list(streams[split]) == list(rows)


def test_sample(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "mcksg"
    exported = export_dataset("mcksg", str(folder))
    assert list(exported.parts) == ["sample"]
    assert "expected data_dir, a folder with a copy of the corpus, found none" in exported.left_out["full"]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "README.md",
        "lengths.png",
        "sample",
        "sample/test-00000-of-00001.parquet",
        "sample/train-00000-of-00001.parquet",
    ]
    check_equal("mcksg", folder, None)
    assert get_dataset_default_config_name(str(folder)) == "sample"
    fields, body = card(folder)
    assert fields["license"] == "apache-2.0"
    assert fields["size_categories"] == ["n<1K"]
    assert "not the MCKSG corpus" in " ".join(body.split())
    assert "import kgloss_hf" not in body
    assert "sample.jsonl" not in body


def test_gksl(gksl: str, tmp_path: Path) -> None:
    folder = tmp_path / "gksl"
    exported = export_dataset("gksl", str(folder), data_dir=gksl)
    assert sum(part.rows for part in exported.parts["original"].values()) == 20
    assert list(exported.parts) == ["original", "augmented"]
    check_equal("gksl", folder, gksl)
    fields, body = card(folder)
    assert fields["license"] == "cc-by-nc-sa-4.0"
    assert RIGHTS["gksl"] in body
    assert "not shipped" not in body
    assert "viewer" not in fields


def test_back_translation(shards: str, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    exported = export_dataset("ko_backtranslation", str(folder), data_dir=shards)
    assert {config: parts["train"].rows for config, parts in exported.parts.items()} == {"kornli": 25, "all": 25}
    check_equal("ko_backtranslation", folder, shards)
    assert get_dataset_default_config_name(str(folder)) == "all"
    assert card(folder)[0]["license"] == ["cc-by-sa-4.0"]
    assert "license_name" not in card(folder)[0]
    assert check_folder(folder).problems == []


def test_rows_that_must_be_kept_are_not_published(shards: str, tmp_path: Path) -> None:
    rows = [{"source": "이름", "target": "성함", "origin": name, "engine": "probe"} for name in CLOSED]
    Path(shards, "shards", "1.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    export_dataset("ko_backtranslation", str(tmp_path / "pairs"), data_dir=shards, config="all")
    fields, _ = card(tmp_path / "pairs")
    assert fields["license"] == ["cc-by-sa-4.0", "other", "unknown"]
    assert fields["license_name"] == "paws-x"
    path = tmp_path / "pairs" / "README.md"
    path.write_text(path.read_text("utf-8").replace("- unknown\n", ""), "utf-8")
    (problem,) = check_folder(tmp_path / "pairs").problems
    assert "found rows of other.csv, mcksg, naver_ner, whose licence is unknown or forbids it" in problem


def test_one_configuration_and_options(shards: str, gksl: str, tmp_path: Path) -> None:
    assert list(export_dataset("gksl", str(tmp_path / "a"), data_dir=gksl, config="augmented").parts) == ["augmented"]
    whole = export_dataset("gksl", str(tmp_path / "b"), data_dir=gksl, config="original", split_by="none")
    assert {split: part.rows for split, part in whole.parts["original"].items()} == {"train": 20}
    assert "in one split" in card(tmp_path / "a")[1]
    assert "in one split" not in card(tmp_path / "b")[1]
    with pytest.raises(ValueError, match="rows with the origin korsts"):
        export_dataset("ko_backtranslation", str(tmp_path / "c"), data_dir=shards, config="korsts")


def test_own_copy_is_not_described_as_the_sample(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "own").mkdir()
    rows = "".join(f"문장 {i},글로스{i}\n" for i in range(10))
    (tmp_path / "own" / "pairs.csv").write_text(f"문장,글로스\n{rows}", "utf-8")
    with caplog.at_level(logging.WARNING, logger="kgloss_hf"):
        export_dataset("mcksg", str(tmp_path / "out"), data_dir=str(tmp_path / "own"))
    assert "must not be published without the owners' permission" in caplog.text
    assert "leaving out mcksg/sample: " in caplog.text
    fields, body = card(tmp_path / "out")
    assert fields["license"] == "other"
    assert [entry["config_name"] for entry in fields["configs"]] == ["full"]
    assert RIGHTS["mcksg/full"] in body
    assert "Apache" not in body
    assert "sample" not in body
    check_equal("mcksg", tmp_path / "out", str(tmp_path / "own"))


def test_card_is_one_that_both_generations_read(tmp_path: Path) -> None:
    export_dataset("mcksg", str(tmp_path / "out"))
    text = (tmp_path / "out" / "README.md").read_text("utf-8").split("---\n", 2)[1]
    assert "list:" not in text
    assert "List" not in text
    [info] = yaml.safe_load(text)["dataset_info"]
    own = load_dataset("mcksg", split="train")
    assert Features._from_yaml_list(info["features"]) == own.features
    parsed = DatasetInfo._from_yaml_dict(info)
    assert {name: split.num_examples for name, split in parsed.splits.items()} == {"train": 249, "test": 108}
    files = list((tmp_path / "out" / "sample").iterdir())
    assert info["download_size"] == sum(path.stat().st_size for path in files)
    for path in files:  # datasets reads the features from the files, and does not know those of a later generation
        assert b"List" not in read_schema(path).metadata[b"huggingface"]
    types = [row["gloss_types"] for path in sorted(files) for _, row in read_rows(path)]
    kind = own.features["gloss_types"].feature
    assert types[108:] == [kind.int2str(row["gloss_types"]) for row in own]


def test_a_field_may_be_called_list() -> None:
    features = Features({"list": Sequence(Value("int64"))})
    assert feature_yaml(features) == [{"name": "list", "sequence": "int64"}]
    assert Features._from_yaml_list(feature_yaml(features)) == features


def test_shards(shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_export, "_SHARD_BYTES", 1)
    monkeypatch.setattr(dataset_export, "_BATCH", 10)
    folder = tmp_path / "pairs"
    export_dataset("ko_backtranslation", str(folder), data_dir=shards, config="all")
    names = [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    assert sorted(path.name for path in (folder / "all").iterdir()) == names
    check_equal("ko_backtranslation", folder, shards)


def test_interrupted_export_leaves_nothing(shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = dataset_export._tables

    def interrupted(*args: Any) -> Any:
        yield next(batches(*args))
        raise KeyboardInterrupt

    folder = tmp_path / "out" / "pairs"
    with monkeypatch.context() as patch:
        patch.setattr(dataset_export, "_tables", interrupted)
        patch.setattr(dataset_export, "_BATCH", 10)
        with pytest.raises(KeyboardInterrupt):
            export_dataset("ko_backtranslation", str(folder), data_dir=shards, config="all")
    assert list((tmp_path / "out").iterdir()) == []
    exported = export_dataset("ko_backtranslation", str(folder), data_dir=shards, config="all")
    assert exported.parts["all"]["train"].rows == 25


def test_killed_export_leaves_no_half_folder(shards: str, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "pairs"
    code = (
        "import sys\n"
        "from kgloss_hf.hub import dataset_export\n"
        "batches = dataset_export._tables\n"
        "def stopped(*args):\n"
        "    yield next(batches(*args))\n"
        "    print('half', flush=True)\n"
        "    sys.stdin.read()\n"
        "dataset_export._tables, dataset_export._BATCH = stopped, 10\n"
        f"dataset_export.export_dataset('ko_backtranslation', {str(folder)!r}, data_dir={shards!r}, config='all')\n"
    )
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".pairs.lock", ".pairs.partial"}
    export_dataset("ko_backtranslation", str(folder), data_dir=shards, config="all")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pairs"]
    check_equal("ko_backtranslation", folder, shards)


def test_rows_are_taken_a_batch_at_a_time(shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_export, "_BATCH", 10)
    events: list[str] = []
    batches, writer = dataset_export._tables, dataset_export.ParquetWriter

    def read(*args: Any) -> Any:
        for table in batches(*args):
            events.append(f"read {len(table)}")
            yield table

    class Writer(writer):  # type: ignore[valid-type,misc]
        def write_table(self, table: Any) -> None:
            events.append(f"written {len(table)}")
            super().write_table(table)

    monkeypatch.setattr(dataset_export, "_tables", read)
    monkeypatch.setattr(dataset_export, "ParquetWriter", Writer)
    export_dataset("ko_backtranslation", str(tmp_path / "pairs"), data_dir=shards, config="all")
    assert events == ["read 10", "written 10", "read 10", "written 10", "read 5", "written 5"]


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="expected one of mcksg, gksl, ko_backtranslation, found 'squad'"):
        export_dataset("squad", str(tmp_path / "out"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="already exists"):
        export_dataset("mcksg", str(tmp_path / "full"))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    with pytest.raises(
        ValueError, match="expected a configuration of ko_backtranslation that can be built, found none"
    ):
        export_dataset("ko_backtranslation", str(tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    assert export_dataset("mcksg", str(tmp_path / "empty")).parts["sample"]["test"].rows == 108
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").rename(tmp_path / "mcksg")
    with pytest.raises(ValueError, match="found the local folder mcksg/, which hides it; rename the folder"):
        export_dataset("mcksg", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        *((0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (924_658, "100K<n<1M")),
        *((99_999_999, "10M<n<100M"), (10**9, "n>100M")),
    ],
)
def test_size_category(rows: int, category: str) -> None:
    assert dataset_export._size_category(rows) == category


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-dataset", "mcksg", "--config", "sample", "--output_dir", str(tmp_path / "out")]) == 0
    assert "249" in capsys.readouterr().out
    assert main(["export-dataset", "mcksg", "--output_dir", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("kgloss export-dataset: ")


def test_a_sign_corpus_is_exported_with_its_annotations(tmp_path: Path) -> None:
    for number in range(10):
        signs = [{"gloss_id": f"글로스{number}호", "start": 0.5, "end": 1.0, "sentence_loc": {"start": 0, "end": 2}}]
        video = {
            "metadata": {"id": str(number), "signer_id": 7},
            "text": {"raw": {"korean": f"문장 {number}"}},
            "sign_script": {"sign_gestures_both": signs},
            "nms_script": {"Hno": [{"start": 0.5, "end": 0.75}]},
        }
        (tmp_path / "corpus").mkdir(exist_ok=True)
        (tmp_path / "corpus" / f"{number}.json").write_text(json.dumps(video), "utf-8")
    export_dataset("mcksg", str(tmp_path / "out"), data_dir=str(tmp_path / "corpus"), config="full", split_by="none")
    own = load_dataset("mcksg", data_dir=str(tmp_path / "corpus"), split_by="none")["train"]
    plain = load_dataset(str(tmp_path / "out"), "full")["train"]
    assert plain.features == own.features
    assert list(plain) == list(own)
    assert plain[0]["spans"] == [[0, 2]]
    assert load_pairs(str(tmp_path / "out" / "full" / "train-00000-of-00001.parquet"))[0].glosses == ("글로스0호",)
