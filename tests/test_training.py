from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from divided_run import divided_run
from safetensors.torch import load_file
from transformers import HfArgumentParser, PreTrainedTokenizerFast, pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.data import Pair, encode_pairs
from kgloss_hf.modeling import EncoderDecoderModel, build_model
from kgloss_hf.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training import (
    TrainingArguments,
    build_trainer,
    checkpoint_to_resume,
    jaccard_of_generation,
    parse_arguments,
    predict,
    tokenizer_for,
)

ROOT = Path(__file__).parent.parent


def _run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=cwd, env=environment, check=False)


ONE_STEP = {"max_steps": 1, "learning_rate": 0.1, "warmup_steps": 0, "optim": "sgd"}
FIFTY_STEPS = {"max_steps": 50, "warmup_steps": 10}  # of AdamW, over ten epochs


@pytest.mark.parametrize("options", [ONE_STEP, FIFTY_STEPS], ids=["one step", "fifty steps"])
def test_training_is_the_same_however_divided(
    tokenizer: KGlossTokenizerFast, checkpoint: str, tmp_path: Path, options: dict[str, Any]
) -> None:
    pairs = [
        Pair(SENTENCES[i % 4][: 12 + i], tuple(GLOSSES[i % 4][: 1 + i % 9])) for i in range(37)
    ]  # of unequal length
    data = str(tmp_path / "pairs")
    encode_pairs(tokenizer, pairs).save_to_disk(data)
    after, losses = {}, {}
    divisions = (("1x8", 8, 1), ("4x2", 4, 2), ("2 processes", 2, 2))
    for name, batch_size, accumulation in divisions:
        folder = tmp_path / name
        folder.mkdir()
        division = {"per_device_train_batch_size": batch_size, "gradient_accumulation_steps": accumulation}
        if name.startswith("2 processes"):
            launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={_free_port()}"]
            script = [str(ROOT / "tests" / "divided_run.py"), checkpoint, data, str(folder)]
            result = _run(sys.executable, *launch, *script, json.dumps(options | division))
            assert result.returncode == 0, result.stderr[-3000:]
        else:
            divided_run(checkpoint, data, str(folder), options | division)
        after[name] = load_file(folder / "after.safetensors")
        losses[name] = json.loads((folder / "losses.json").read_text("utf-8"))
    before = load_file(Path(checkpoint) / "model.safetensors")
    embeddings = "encoder.embeddings.word_embeddings.weight"
    assert not torch.equal(before[embeddings], after["1x8"][embeddings])
    assert len(losses["1x8"]) == options["max_steps"]
    for name in after.keys() - {"1x8"}:
        assert losses[name] == pytest.approx(losses["1x8"], rel=1e-5), name
        for key, value in after["1x8"].items():
            if not key.endswith("key.bias"):  # attention does not depend on it: its gradient is rounding alone
                difference, norm = (after[name][key] - value).norm().item(), value.norm().item()
                assert difference <= 1e-5 * norm, f"{name}: {key} of norm {norm} differs by {difference}"
    shared = after["1x8"]["decoder.bert.embeddings.word_embeddings.weight"]
    torch.testing.assert_close(after["1x8"][embeddings], shared, rtol=0, atol=0)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


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
    taken = tokenizer_for(pairs, str(tmp_path), vocab_size=100, trained=checkpoint)
    assert "처음보는글로스" not in taken.glosses
    assert not (tmp_path / "tokenizer").exists()
    assert tokenizer_for(pairs, str(tmp_path), vocab_size=100).glosses == ["몸", "처음보는글로스"]


def test_options_from_yaml_and_command_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("learning_rate: 0.25\nseed: 7\n", "utf-8")
    (args,) = parse_arguments(HfArgumentParser(TrainingArguments), [str(path), "--seed", "9"])
    assert (args.learning_rate, args.seed, args.label_smoothing_factor) == (0.25, 9, 0.1)
    path.write_text("learning_rat: 0.25\n", "utf-8")
    with pytest.raises(ValueError, match="no such option: learning_rat"):
        parse_arguments(HfArgumentParser(TrainingArguments), [str(path)])
    with pytest.raises(FileNotFoundError, match="nowhere.yaml"):
        parse_arguments(HfArgumentParser(TrainingArguments), ["nowhere.yaml"])


def test_folders_of_earlier_runs(tmp_path: Path) -> None:
    assert checkpoint_to_resume(str(tmp_path), resume=True) is None
    (tmp_path / "checkpoints" / "checkpoint-5").mkdir(parents=True)
    with pytest.raises(ValueError, match="add --resume"):
        checkpoint_to_resume(str(tmp_path), resume=False)
    assert checkpoint_to_resume(str(tmp_path), resume=True) == str(tmp_path / "checkpoints" / "checkpoint-5")
    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match="finished run"):
        checkpoint_to_resume(str(tmp_path), resume=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run of the example script, interrupted after one epoch and resumed, and what it printed."""
    output = tmp_path_factory.mktemp("run")
    script = [
        str(ROOT / "examples" / "run_text2gloss.py"),
        str(ROOT / "examples" / "demo.yaml"),
        f"--output_dir={output}",
    ]
    result = _run(sys.executable, *script, "--num_train_epochs=1", "--patience=1")
    assert result.returncode == 0, result.stderr[-3000:]
    (output / "model").rename(output / ".model.partial")  # as if it had died before the result was whole
    refused = _run(sys.executable, *script, "--num_train_epochs=2", "--resume=False")
    assert refused.returncode != 0
    assert "add --resume" in refused.stderr
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes=1"]
    result = _run(*launch, *script, "--num_train_epochs=2")
    assert result.returncode == 0, result.stderr[-3000:]
    return output, result.stdout


@pytest.mark.slow
def test_result_of_the_example_script(run: tuple[Path, str]) -> None:
    output, printed = run
    assert not (output / ".model.partial").exists()
    metrics = json.loads((output / "model" / "metrics.json").read_text("utf-8"))
    assert set(metrics["scores"]) == {"copy", "nearest neighbour", "tiny"}
    assert metrics["epochs"] == 2
    rows = (output / "model" / "predictions.jsonl").read_text("utf-8").splitlines()
    assert len(rows) == metrics["pairs"]["test"] > 0
    assert (output / "model" / "training.png").read_bytes().startswith(b"\x89PNG")
    assert all(name in printed for name in metrics["scores"])


@pytest.mark.slow
def test_result_loads_in_a_pipeline(run: tuple[Path, str]) -> None:
    text_to_gloss = pipeline("text2text-generation", model=str(run[0] / "model"))
    output = text_to_gloss("이 토기는 4세기에 만들어졌습니다.")
    assert output["generated_text"] == " ".join(output["glosses"])
    assert set(output["glosses"]) <= {*text_to_gloss.tokenizer.glosses, "4C", "Number", "Alpha"}


@pytest.mark.slow
def test_bad_input_leaves_no_result(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("text,glosses\n집,\n", "utf-8")
    result = _run(
        sys.executable,
        str(ROOT / "examples" / "run_text2gloss.py"),
        f"--dataset={tmp_path}/pairs.csv",
        f"--output_dir={tmp_path}/out",
    )
    assert result.returncode != 0
    assert "row 2, column 'glosses': the row has no glosses" in result.stderr
    assert not (tmp_path / "out" / "model").exists()
