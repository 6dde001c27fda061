from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers.models.bert.modeling_bert
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast, pipeline
from transformers.integrations import CodeCarbonCallback

from conftest import GLOSSES, SENTENCES
from kgloss_hf.data.pairs import Pair
from kgloss_hf.evaluation.metrics import jaccard
from kgloss_hf.models.modeling import EncoderDecoderModel, build_model
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training import run as training
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.run import _checkpoint_to_resume
from kgloss_hf.training.tokenizer_run import tokenizer_for
from kgloss_hf.training.trainer import TrainingArguments, build_trainer, jaccard_of_generation, predict
from tests.command_server import Forks
from tests.environments import ROOT
from tests.environments import run as run_command
from tests.training.divided_run import divided_run

ONE_STEP = {"max_steps": 1, "learning_rate": 0.1, "warmup_steps": 0, "optim": "sgd"}
FIFTY_STEPS = {"max_steps": 50, "warmup_steps": 10, "save_strategy": "steps", "save_steps": 33}  # of AdamW, ten epochs


@pytest.fixture(scope="module")
def pairs_of_unequal_length(tokenizer: KGlossTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder with 37 encoded pairs, which is not a multiple of the step size."""
    pairs = [Pair(SENTENCES[i % 4][: 12 + i], tuple(GLOSSES[i % 4][: 1 + i % 9])) for i in range(37)]
    folder = str(tmp_path_factory.mktemp("pairs"))
    encode_pairs(tokenizer, pairs).add_column("text", [pair.text for pair in pairs]).save_to_disk(folder)
    return folder


class Divided(NamedTuple):
    """Results of a call of `divided_run`."""

    parameters: dict[str, torch.Tensor]
    losses: list[float]
    glosses: list[list[str]]


def _divided(checkpoint: str, data: str, folder: Path, options: dict[str, Any], *, processes: int = 1) -> Divided:
    folder.mkdir(exist_ok=True)
    if processes == 1:
        divided_run(checkpoint, data, str(folder), dict(options))
    else:
        launch = ["-m", "torch.distributed.run", f"--nproc_per_node={processes}", f"--master_port={_free_port()}"]
        script = [str(ROOT / "tests" / "training" / "divided_run.py"), checkpoint, data, str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        result = run_command(sys.executable, *launch, *script, json.dumps(options), env=environment)
        assert result.returncode == 0, result.stderr[-3000:]
    losses, glosses = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("losses", "glosses"))
    return Divided(load_file(folder / "after.safetensors"), losses, glosses)


def _assert_same(run: Divided, expected: Divided, name: str) -> None:
    assert run.losses == pytest.approx(expected.losses[-len(run.losses) :], rel=1e-5), name
    assert run.glosses == expected.glosses, name
    for key, value in expected.parameters.items():
        if not key.endswith("key.bias"):  # attention does not depend on it, so its gradient is only rounding error
            difference, norm = (run.parameters[key] - value).norm().item(), value.norm().item()
            assert difference <= 1e-5 * norm, f"{name}: {key} of norm {norm} differs by {difference}"


@pytest.mark.parametrize(
    "options", [ONE_STEP, pytest.param(FIFTY_STEPS, marks=pytest.mark.slow)], ids=["one step", "fifty steps"]
)
def test_training_is_the_same_however_divided(
    checkpoint: str, pairs_of_unequal_length: str, tmp_path: Path, options: dict[str, Any]
) -> None:
    runs = {
        name: _divided(
            checkpoint,
            pairs_of_unequal_length,
            tmp_path / name,
            options | {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation},
            processes=processes,
        )
        for name, size, accumulation, processes in (("1x8", 8, 1, 1), ("4x2", 4, 2, 1), ("2 processes", 2, 2, 2))
    }
    whole = runs.pop("1x8")
    before = load_file(Path(checkpoint) / "model.safetensors")
    embeddings = "encoder.embeddings.word_embeddings.weight"
    assert not torch.equal(before[embeddings], whole.parameters[embeddings])
    shared = whole.parameters["decoder.bert.embeddings.word_embeddings.weight"]
    torch.testing.assert_close(whole.parameters[embeddings], shared, rtol=0, atol=0)
    assert len(whole.losses) == options["max_steps"]
    assert len(whole.glosses) == 13
    for name, run in runs.items():
        _assert_same(run, whole, name)

    # transformers 4 cannot load an optimiser's state into several CPU processes (it looks for the device cpu:0).
    if options is FIFTY_STEPS and version("transformers") >= "5":  # two processes resume in the middle of an epoch
        resumed = options | {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
        resumed |= {"resume": str(tmp_path / "2 processes" / "checkpoint-33")}
        again = _divided(checkpoint, pairs_of_unequal_length, tmp_path / "2 processes", resumed, processes=2)
        _assert_same(again, whole, "resumed")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return int(listener.getsockname()[1])


def test_predictions_keep_the_order_of_the_data(
    tokenizer: KGlossTokenizerFast, checkpoint: str, tmp_path: Path
) -> None:
    pairs = [Pair(" ".join(SENTENCES[: 1 + i % 4]), ("몸",)) for i in range(12)]
    data = encode_pairs(tokenizer, pairs)
    args = TrainingArguments(output_dir=str(tmp_path), per_device_eval_batch_size=1, use_cpu=True)
    model = EncoderDecoderModel.from_pretrained(checkpoint)
    trainer = build_trainer(model, tokenizer, args, data, data, lambda _: {}, share_embeddings=True)
    seen = [batch["input_ids"][0].tolist() for batch in trainer.get_eval_dataloader()]
    assert seen == data["input_ids"][:]
    assert len(predict(trainer, tokenizer, pairs)) == 12


def test_jaccard_restores_placeholders(tokenizer: KGlossTokenizerFast) -> None:
    pairs = [Pair(SENTENCES[2], ("흙", "그릇", "Number/4C")), Pair(SENTENCES[0], ("몸",))]
    ids = encode_pairs(tokenizer, pairs)["labels"]
    predictions = np.array([list(ids[0]), [*ids[1], -100, tokenizer.pad_token_id]])
    compute = jaccard_of_generation(tokenizer, pairs)
    assert compute(type("Prediction", (), {"predictions": predictions})) == {"jaccard": 100.0}


def test_tokenizer_without_analyser_is_refused(tokenizer: KGlossTokenizerFast, checkpoint: str, tmp_path: Path) -> None:
    plain = PreTrainedTokenizerFast.from_pretrained(checkpoint)
    data = encode_pairs(tokenizer, [Pair(SENTENCES[0], ("몸",))])
    model = build_model("tiny", tokenizer)
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    with pytest.raises(TypeError, match="import kgloss_hf"):
        build_trainer(model, plain, args, data, data, lambda _: {}, share_embeddings=True)  # type: ignore[arg-type]


def test_run_takes_a_trained_tokenizer_or_learns_its_own(checkpoint: str, tmp_path: Path) -> None:
    pairs = [Pair("몸의 형태", ("몸", "처음보는글로스"))]
    taken = tokenizer_for(pairs, tmp_path, trained=checkpoint)
    assert "처음보는글로스" not in taken.glosses
    assert not (tmp_path / "tokenizer").exists()
    with pytest.raises(ValueError, match=r"found --vocab_size 100, --vocabulary words; leave them out"):
        tokenizer_for(pairs, tmp_path, vocab_size=100, vocabulary="words", trained=checkpoint)
    assert tokenizer_for(pairs, tmp_path, vocab_size=100).glosses == ["몸", "처음보는글로스"]


def test_run_learns_with_an_analyser_of_its_own(checkpoint: str, tmp_path: Path) -> None:
    pairs = [Pair("Raum 12 ist offen", ("RAUM", "12", "OFFEN"))]
    with pytest.raises(ValueError, match="expected Korean, which the analyser okt reads"):
        tokenizer_for(pairs, tmp_path)
    with pytest.raises(ValueError, match=f"for the tokenizer of {checkpoint}: expected Korean"):
        tokenizer_for(pairs, tmp_path, trained=checkpoint)
    with pytest.raises(ValueError, match="found --analyzer whitespace; leave them out"):
        tokenizer_for(pairs, tmp_path, trained=checkpoint, analyzer="whitespace")
    with pytest.raises(ValueError, match="copy_names: expected the analyser okt"):
        tokenizer_for(pairs, tmp_path, copy_names=3, analyzer="whitespace")
    with pytest.raises(ValueError, match="more sentences for the vocabulary: expected Korean"):
        tokenizer_for([Pair("몸의 형태", ("몸",))], tmp_path, texts=["Raum 12 ist offen"])
    assert not (tmp_path / "tokenizer").exists()
    learnt = tokenizer_for(pairs, tmp_path, analyzer="whitespace", texts=["die Tür"])
    assert learnt.words(["Raum 7 offen"]) == [["raum", "Number", "offen"]]
    assert learnt.glosses == ["RAUM", "OFFEN"]  # 12 is a number of the sentence
    assert "t" in learnt.get_vocab()  # from the other sentences


def test_folders_of_earlier_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _checkpoint_to_resume(str(tmp_path), resume=True) is None
    whole, cut = (tmp_path / "checkpoints" / f"checkpoint-{step}" for step in (5, 9))
    whole.mkdir(parents=True)
    (whole / "trainer_state.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="add --resume"):
        _checkpoint_to_resume(str(tmp_path), resume=False)
    assert _checkpoint_to_resume(str(tmp_path), resume=True) == str(whole)
    cut.mkdir()
    (cut / "trainer_state.json").write_text('{"global_st', "utf-8")
    assert _checkpoint_to_resume(str(tmp_path), resume=True) == str(whole)
    assert "checkpoint-9 cannot be used: the run ended while writing it" in caplog.text
    assert not cut.exists()
    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match="finished run"):
        _checkpoint_to_resume(str(tmp_path), resume=True)


@pytest.mark.parametrize(
    ("name", "kind", "processes"),
    [("one_machine", "MULTI_GPU", 2), ("several_machines", "MULTI_GPU", 16), ("fsdp", "FSDP", 2)],
)
def test_accelerate_takes_our_configurations(name: str, kind: str, processes: int) -> None:
    config = load_config_from_file(str(ROOT / "examples" / "accelerate" / f"{name}.yaml"))
    assert (config.distributed_type.value, config.num_processes, config.mixed_precision) == (kind, processes, "bf16")
    if kind == "FSDP":
        layers = config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"]
        assert hasattr(transformers.models.bert.modeling_bert, layers)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> tuple[Path, str]:
    """Return the folder and output of a run of the example script that was interrupted after one epoch and resumed."""
    output = tmp_path_factory.mktemp("run")
    script = ["run_text2gloss.py", str(ROOT / "examples" / "demo.yaml"), f"--output_dir={output}"]
    script += ["--num_train_epochs=2"]
    result = forks.example(*script)
    assert result.returncode == 0, result.stderr[-3000:]
    (output / "model").rename(output / ".model.partial")  # as if it had died before the result was complete
    _, last = sorted((output / "checkpoints").iterdir(), key=lambda folder: int(folder.name.partition("-")[2]))
    shutil.rmtree(last)  # and before the second epoch was over
    for options, refusal in (
        (["--resume=False"], "add --resume"),
        (
            ["--learning_rate=7e-4", "--split_seed=1"],
            "split_seed: 0 before, 1 now; learning_rate: 0.001 before, 0.0007",
        ),
    ):
        refused = forks.example(*script, *options)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
        assert refusal in refused.stderr
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes=1"]
    result = run_command(*launch, str(ROOT / "examples" / script[0]), *script[1:])
    assert result.returncode == 0, result.stderr[-3000:]
    return output, result.stdout


@pytest.mark.slow
def test_a_tracker_gets_the_scores_of_each_epoch(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    words = ["--dataset", "mcksg", "--preset", "tiny", "--num_train_epochs", "1", "--output_dir", str(tmp_path / "run")]
    tracked = ["--report_to", "trackio", "--project", "kgloss", "--run_name", "first"]
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path / "tracked"), "HF_HUB_OFFLINE": "1"}
    script = str(ROOT / "examples" / "run_text2gloss.py")
    done = run_command(sys.executable, script, *words, *tracked, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    listed = ["-m", "trackio.cli", "list", "metrics", "--project", "kgloss", "--run", "first", "--json"]
    names = json.loads(run_command(sys.executable, *listed, env=environment).stdout)["metrics"]
    assert {"train/loss", "eval/loss", "eval/jaccard"} <= {*names}


def test_result_of_the_example_script(run: tuple[Path, str]) -> None:
    output, printed = run
    assert not (output / ".model.partial").exists()
    metrics = json.loads((output / "model" / "metrics.json").read_text("utf-8"))
    assert json.loads((output / "model" / "config.json").read_text("utf-8"))["gloss_types"]["박물관"] == "sign_word"
    assert set(metrics["scores"]) == {
        "copy",
        "nearest neighbour",
        "tiny",
        "human versions (leave one out)",
        "best single human answer",
    }
    assert metrics["epochs"] == 2
    assert metrics["comparisons"].keys() == {"copy", "nearest neighbour"}
    saved = json.loads((output / "model" / "generation_config.json").read_text("utf-8"))
    for name in ("encoder_repetition_penalty", "repetition_penalty"):
        assert (saved.get(name) or 1.0) == metrics["decoding"][name]
    assert "Decoding: encoder_repetition_penalty" in printed
    assert "copy" in printed.partition("Decoding:")[0].rpartition("┘")[2]
    assert metrics["established"]["jaccard"]["system"]["score"] == metrics["scores"]["tiny"]["jaccard"]
    rows = (output / "model" / "predictions.jsonl").read_text("utf-8").splitlines()
    assert len(rows) == metrics["pairs"]["test"] > 0
    sides = zip(*((row["prediction"], row["reference"]) for row in map(json.loads, rows)), strict=True)
    assert jaccard(*sides) == pytest.approx(metrics["scores"]["tiny"]["jaccard"], abs=1e-9)
    assert (output / "model" / "training.png").read_bytes().startswith(b"\x89PNG")
    assert all(name.split()[0] in printed for name in metrics["scores"])  # longer names take two lines


def test_result_loads_in_a_pipeline(run: tuple[Path, str]) -> None:
    text_to_gloss = pipeline("text2text-generation", model=str(run[0] / "model"))
    output = text_to_gloss("이 토기는 4세기에 만들어졌습니다.")
    assert output["generated_text"] == " ".join(output["glosses"])
    assert set(output["glosses"]) <= {*text_to_gloss.tokenizer.glosses, "4C", "Number", "Alpha"}


def test_bad_input_leaves_no_result(tmp_path: Path, forks: Forks) -> None:
    (tmp_path / "pairs.csv").write_text("text,glosses\n집,\n", "utf-8")
    result = forks.example("run_text2gloss.py", f"--dataset={tmp_path}/pairs.csv", f"--output_dir={tmp_path}/out")
    assert result.returncode != 0
    assert "row 2: expected glosses in column 'glosses', found ''; add them" in result.stderr
    assert not (tmp_path / "out" / "model").exists()


def test_killed_run_goes_on(tmp_path: Path, forks: Forks) -> None:
    """Check that a run killed after its first checkpoint and resumed gives the result of an undisturbed run."""

    def train(name: str, **until: Callable[[], bool]) -> int:
        options = ["--preset=tiny", "--dataset=mcksg", "--num_train_epochs=3", "--num_beams=1", "--warmup_steps=5"]
        options += ["--resume", "--disable_tqdm=True", f"--output_dir={name}"]
        return forks.run([str(ROOT / "examples" / "run_text2gloss.py"), *options], tmp_path, **until)[0]

    def saved() -> bool:
        return any((tmp_path / "killed").glob("checkpoints/checkpoint-*/trainer_state.json"))

    assert train("whole") == 0
    assert train("killed", until=saved) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()
    assert train("killed") == 0
    models = [tmp_path / name / "model" for name in ("whole", "killed")]
    results = [json.loads((model / "metrics.json").read_text("utf-8")) for model in models]
    for of_run in results:
        for name in ("train_seconds", "command"):
            of_run.pop(name)
        for row in of_run["history"]:
            for name in [name for name in row if "runtime" in name or "per_second" in name]:
                row.pop(name)
    assert results[0] == results[1]
    predictions = [(model / "predictions.jsonl").read_bytes() for model in models]
    assert predictions[0] == predictions[1]


def test_emissions_are_stated_where_codecarbon_measured_them(monkeypatch: pytest.MonkeyPatch) -> None:
    callback = CodeCarbonCallback.__new__(CodeCarbonCallback)  # the constructor requires codecarbon
    trainer: Any = SimpleNamespace(callback_handler=SimpleNamespace(callbacks=[callback]))
    callback.tracker = SimpleNamespace(final_emissions_data=None)
    assert training._emissions(trainer) == {}
    callback.tracker.final_emissions_data = SimpleNamespace(emissions=0.25, country_name="South Korea")
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"of {name}")
    measured = {"kg_co2_eq": 0.25, "source": "codecarbon of codecarbon", "country": "South Korea"}
    assert training._emissions(trainer) == {"emissions": measured}
    trainer.callback_handler.callbacks = []
    assert training._emissions(trainer) == {}
