from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.training.table5 import _OPTIMISERS, _SYSTEMS, Table5Arguments, _Run, _summary, reproduce, tables


def _metrics(score: float, preset: str = "small") -> dict[str, Any]:
    history = [{"epoch": 1.0, "loss": 3.0}, {"epoch": 1.0, "eval_loss": 2.0}]
    return {"preset": preset, "scores": {"copy": {"jaccard": 9.5}, preset: {"jaccard": score}}, "history": history}


# Stand-in for the training script that takes seconds instead of minutes.
STAND_IN = """
import json, sys, pathlib
options = dict(option[2:].split("=", 1) for option in sys.argv[1:] if "=" in option)
folder = pathlib.Path(options["output_dir"])
with open(folder.parent.parent / "started.txt", "a") as file:
    file.write(folder.name + "\\n")
if options.get("fail") == folder.name:
    sys.exit("no such file")
(folder / "model").mkdir()
score = 10.0 * len(options) + int(options["seed"])
history = [{"epoch": 1.0, "loss": 3.0}, {"epoch": 1.0, "eval_loss": 2.0}]
metrics = {"preset": options["preset"], "history": history, "options": options,
           "scores": {"copy": {"jaccard": 9.5}, options["preset"]: {"jaccard": score}}}
(folder / "model" / "metrics.json").write_text(json.dumps(metrics))
for name in ("predictions.jsonl", "training.png", "model.safetensors"):
    (folder / "model" / name).write_text("")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(STAND_IN, "utf-8")
    return path


def test_mean_deviation_and_paired_test() -> None:
    runs = {_Run("bert-large", 10, n): _metrics(score) for n, score in enumerate((30.0, 32.0, 37.0))}
    runs |= {_Run("transfer", 10, n): _metrics(score) for n, score in enumerate((41.0, 42.0, 46.0))}
    runs |= {_Run("rnn", 100, 0): _metrics(50.0, "rnn")}
    result = _summary(runs, ["--dataset=mcksg"])
    assert result["systems"]["bert-large-10"] == {
        "runs": {0: 30.0, 1: 32.0, 2: 37.0},
        "mean": 33.0,
        "deviation": pytest.approx(13**0.5),
    }
    assert result["systems"]["rnn-100"]["deviation"] is None
    assert result["baselines"]["copy"]["mean"] == 9.5
    (test,) = result["tests"]
    assert (test["systems"], test["epochs"], test["runs"]) == (["bert-large", "transfer"], 10, 3)
    # Differences 11, 10, 9: mean 10, standard error 1/√3, so t = 17.32 with two degrees of freedom.
    assert test["difference"] == pytest.approx(10)
    assert test["p_value"] == pytest.approx(0.003317, rel=1e-3)
    table, tests = tables(result)
    assert ("BERT, large vocabulary, transfer", "10", "3", "43.00", "2.65", "76.62") in table.rows
    assert ("RNN with attention, small vocabulary", "100", "1", "50.00", "–", "67.56") in table.rows
    assert tests.rows[0][1:] == ("10", "3", "+10.00", "0.0033")


def test_each_run_is_trained_once(script: Path, tmp_path: Path) -> None:
    arguments = Table5Arguments(pretext="pretext", output_dir=str(tmp_path / "out"), epochs=[10], runs=2, workers=2)
    result = reproduce(arguments, script, ["--num_beams=1"])
    assert set(result["systems"]) == {f"{system}-10" for system in _SYSTEMS}
    files = {system: tmp_path / "out" / "runs" / f"{system}-10-1" / "metrics.json" for system in _SYSTEMS}
    of_run = {system: json.loads(file.read_text("utf-8"))["options"] for system, file in files.items()}
    assert of_run["rnn"].items() >= {"preset": "rnn", "vocabulary": "words", "seed": "1", "split_seed": "1"}.items()
    assert of_run["bert-large"]["tokenizer"] == of_run["transfer"]["pretext"] == "pretext"
    assert of_run["bert-small"].items() >= {"vocabulary": "words", "num_train_epochs": "10", "num_beams": "1"}.items()
    assert not list((tmp_path / "out").glob("runs/*/model.safetensors"))
    assert (tmp_path / "out" / "loss_curves.png").read_bytes().startswith(b"\x89PNG")
    assert "| BERT, large vocabulary, transfer | 10 | 2 |" in (tmp_path / "out" / "table5.md").read_text("utf-8")

    arguments.runs = 3
    reproduce(arguments, script, ["--num_beams=1"])
    arguments.runs, arguments.systems = 1, ["rnn"]
    again = reproduce(arguments, script, ["--num_beams=1"])
    assert [len(result["runs"]) for result in again["systems"].values()] == [3, 3, 3, 3]
    started = (tmp_path / "out" / "started.txt").read_text("utf-8").split()
    assert sorted(started) == sorted(f"{system}-10-{number}" for system in _SYSTEMS for number in range(3))
    with pytest.raises(
        ValueError, match=r"holds runs with other options .*--num_beams=1.* before, .*--num_beams=2.* now"
    ):
        reproduce(arguments, script, ["--num_beams=2"])
    arguments.optimisers = "paper"
    with pytest.raises(ValueError, match="learning_rate: None before, 0.0001 now"):
        reproduce(arguments, script, ["--num_beams=1"])


def test_small_vocabularies_take_the_analyser_of_the_pretext(script: Path, tmp_path: Path) -> None:
    (tmp_path / "pretext").mkdir()
    (tmp_path / "pretext" / "tokenizer_config.json").write_text('{"analyzer": "whitespace"}', "utf-8")
    arguments = Table5Arguments(
        pretext=str(tmp_path / "pretext"), output_dir=str(tmp_path / "out"), epochs=[10], runs=1
    )
    reproduce(arguments, script)
    files = {system: tmp_path / "out" / "runs" / f"{system}-10-0" / "metrics.json" for system in _SYSTEMS}
    options = {system: json.loads(file.read_text("utf-8"))["options"] for system, file in files.items()}
    analysers = {system: given.get("analyzer") for system, given in options.items()}
    assert analysers == {"rnn": "whitespace", "bert-small": "whitespace", "bert-large": None, "transfer": None}


def test_runs_of_other_data_are_not_reused(script: Path, checkpoint: str, tmp_path: Path) -> None:
    pretext, pairs = tmp_path / "pretext", tmp_path / "pairs.csv"
    shutil.copytree(checkpoint, pretext)
    pairs.write_text("korea,glosses\n집,집\n불,불\n", "utf-8")
    folders = {"pretext": str(pretext), "output_dir": str(tmp_path / "out")}
    arguments = Table5Arguments(**folders, dataset=str(pairs), text_column="korea", systems=["rnn"], epochs=[10])
    arguments.runs = 1
    others = ["--num_beams=2"]
    reproduce(arguments, script, others)
    reproduce(arguments, script, others)
    pairs.write_text("korea,glosses\n집,집\n불,물\n", "utf-8")
    with pytest.raises(
        ValueError, match=r"other options or data \(pairs: 2 before and 2 now, with different content\); use"
    ):
        reproduce(arguments, script, others)
    pairs.write_text("korea,glosses\n집,집\n불,불\n", "utf-8")
    (pretext / "model.safetensors").write_bytes(b"others")
    with pytest.raises(ValueError, match=r"\(pretext: different content now\)"):
        reproduce(arguments, script, others)


def test_failed_runs_are_named_and_the_others_kept(script: Path, tmp_path: Path) -> None:
    arguments = Table5Arguments(pretext="pretext", output_dir=str(tmp_path / "out"), epochs=[10], runs=1)
    with pytest.raises(RuntimeError, match="1 of 4 runs failed: bert-small-10-0; see the log.txt of each"):
        reproduce(arguments, script, ["--fail=bert-small-10-0"])
    assert (tmp_path / "out" / "unfinished" / "bert-small-10-0" / "log.txt").read_text("utf-8") == "no such file\n"
    systems = json.loads((tmp_path / "out" / "table5.json").read_text("utf-8"))["systems"]
    assert set(systems) == {f"{system}-10" for system in _SYSTEMS if system != "bert-small"}


def test_papers_optimiser_is_the_papers() -> None:
    paper = _OPTIMISERS["paper"]
    assert (paper["optim"], paper["learning_rate"], paper["label_smoothing_factor"]) == ("sgd", 1e-4, 0.0)
