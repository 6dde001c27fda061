"""Records of what a run was started with, and of what it may be resumed with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.data.pairs import Pair
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.training.record import (
    check_record,
    check_vocabulary,
    differences,
    digest_of,
    digest_of_checkpoint,
    options_of,
)
from kgloss_hf.training.trainer import TrainingArguments
from tests.environments import ROOT

PAIRS = [Pair("집에 불이 났어요.", ("집", "불")), Pair("물을 마셔요.", ("물", "마시다"))]


def _options(**changed: Any) -> dict[str, Any]:
    return options_of(TrainingArguments(**{"output_dir": "outputs/a", "use_cpu": True, **changed}))


@pytest.mark.parametrize(
    "changed",
    [
        {"output_dir": "outputs/b", "logging_steps": 7, "report_to": "tensorboard", "run_name": "x"},
        {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4, "per_device_eval_batch_size": 1},
        {"dataloader_num_workers": 2, "save_total_limit": 5, "gradient_checkpointing": True},
        {"hub_model_id": "someone/model", "disable_tqdm": True, "log_level": "error"},
    ],
    ids=["names and logs", "division", "machine", "hub"],
)
def test_options_without_effect_do_not_count(changed: dict[str, Any]) -> None:
    assert _options(**changed) == _options()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learning_rate": 1e-3}, "learning_rate: 0.0005 before, 0.001 now"),
        ({"num_train_epochs": 40}, "num_train_epochs: 20.0 before, 40 now"),
        ({"per_device_train_batch_size": 8}, "pairs_a_step: 32 before, 8 now"),
        ({"loss_over": "vocabulary"}, "loss_over: glosses before, vocabulary now"),
        ({"bf16": True}, "bf16: False before, True now"),
        ({"lr_scheduler_type": "constant"}, "lr_scheduler_type: linear before, constant now"),
        ({"data_seed": 1}, "data_seed: None before, 1 now"),
        ({"optim": "sgd"}, "optim: .* before, sgd now"),
    ],
)
def test_other_options_are_named(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    data = {"training pairs": digest_of(PAIRS)}
    before = _options(bf16=False)
    check_record(tmp_path, before, data, begun=False)
    check_record(tmp_path, before, data, begun=True)
    with pytest.raises(
        ValueError, match=rf"was started with other options or data: {said}\. Use the original ones, .* or delete it"
    ):
        check_record(tmp_path, _options(**{"bf16": False, **changed}), data, begun=True)


def test_other_data_are_named(tmp_path: Path, checkpoint: str) -> None:
    options = _options()
    data = {"training pairs": digest_of(PAIRS), "tokenizer": digest_of_checkpoint(checkpoint)}
    check_record(tmp_path, options, data, begun=False)
    other = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, other)
    assert digest_of_checkpoint(str(other)) == data["tokenizer"]
    (other / "tokenizer.json").write_text("{}", "utf-8")
    for changed, said in (
        (
            {"training pairs": digest_of([*PAIRS, PAIRS[0]])},
            "training pairs: 2 before and 3 now, with different content",
        ),
        ({"training pairs": digest_of(PAIRS[::-1])}, "training pairs: 2 before and 2 now, with different content"),
        ({"tokenizer": digest_of_checkpoint(str(other))}, "tokenizer: different content now"),
        ({"pretext": digest_of_checkpoint(str(other))}, "pretext: none before"),
    ):
        with pytest.raises(ValueError, match=f"other options or data: {said}"):
            check_record(tmp_path, options, data | changed, begun=True)
    with pytest.raises(ValueError, match="other options or data: tokenizer: none now"):
        check_record(tmp_path, options, {"training pairs": data["training pairs"]}, begun=True)


def test_nothing_trained_yet_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    check_record(tmp_path, _options(), {"training pairs": digest_of(PAIRS)}, begun=False)
    assert not (tmp_path / "tokenizer").exists(), "its training text is unknown"
    (tmp_path / "tokenizer").mkdir()
    check_record(tmp_path, _options(), {"training pairs": digest_of(PAIRS)}, begun=False)
    assert (tmp_path / "tokenizer").exists()
    check_record(tmp_path, _options(), {"training pairs": digest_of(PAIRS[:1])}, begun=False)
    assert not (tmp_path / "tokenizer").exists()
    assert json.loads((tmp_path / "run.json").read_text("utf-8"))["data"]["training pairs"]["number"] == 1


def test_other_vocabulary_is_refused(checkpoint: str) -> None:
    other = train_tokenizer(["집에 불이 났어요."], [["집", "불"]], vocab_size=100)
    check_vocabulary(None, other)
    with pytest.raises(ValueError, match="expected the run's tokenizer, found one with another vocabulary; restore"):
        check_vocabulary(checkpoint, other)


def test_run_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"holds a run without run\.json, the record of its options and data; start again"
    ):
        check_record(tmp_path, _options(), {}, begun=True)


def test_other_versions_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_record(tmp_path, _options(), {}, begun=False)
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    record["versions"]["torch"] = "0.1"
    del record["options"]["seed"]  # an option that an earlier version lacked
    (tmp_path / "run.json").write_text(json.dumps(record), "utf-8")
    check_record(tmp_path, _options(), {}, begun=True)
    assert "'torch': '0.1'" in caplog.text


def test_options_of_one_side_only_do_not_count() -> None:
    assert differences({"options": {"old": 1}, "data": {}}, {"options": {"new": 2}, "data": {}}) == []


def test_make_trains_the_demo_anew_where_its_data_changed(tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "examples/demo.yaml", "dataset_scripts/mcksg/sample.jsonl", ".venv/demo", "own.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000, 1000))
    for name in ("Makefile", "examples/demo.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name in ("constraints.txt", "setup.cfg"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (900, 900))
    options = tmp_path / "examples" / "demo.yaml"
    model = tmp_path / "outputs" / "demo" / "model"
    model.mkdir(parents=True)

    def would_train(*, written: int, changed: str) -> bool:
        for path, time in ((options, 1000), (model, written), (tmp_path / changed, 3000)):
            os.utime(path, (time, time))
        result = subprocess.run(["make", "--question", "outputs/demo/model"], cwd=tmp_path, check=False)
        return result.returncode == 1

    assert not would_train(written=4000, changed="dataset_scripts/mcksg/sample.jsonl")
    assert would_train(written=2000, changed="dataset_scripts/mcksg/sample.jsonl")
    os.utime(tmp_path / "dataset_scripts/mcksg/sample.jsonl", (1000, 1000))
    assert not would_train(written=2000, changed="own.csv")
    options.write_text(options.read_text("utf-8").replace("dataset: mcksg ", "dataset: own.csv "), "utf-8")
    assert would_train(written=2000, changed="own.csv")
    assert would_train(written=2000, changed="examples/demo.yaml")
