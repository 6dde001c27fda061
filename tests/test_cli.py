from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SENTENCES
from kgloss_hf.cli import main
from tests.back_translation.conftest import save_m2m100, sentencepiece_model

MODULE = ["-m", "kgloss_hf.cli"]


def test_train_tokenizer_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.txt").write_text("몸의 형태\n", "utf-8")
    options = ["--corpus", str(tmp_path / "corpus.txt"), "--model", "wordlevel", "--output_dir", str(tmp_path / "out")]
    assert main(["train-tokenizer", *options]) == 0
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text("utf-8"))
    assert statistics["vocabulary"]["words"] == 2
    assert statistics["arguments"]["dataset"] == "mcksg"
    printed = capsys.readouterr().out
    assert f"{statistics['target_in_source']['of_tokens']:.2%}" in printed
    assert main(["train-tokenizer", *options]) == 1
    assert "out is there already" in capsys.readouterr().err


def test_train_tokenizer_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-tokenizer", "--corpus", "nowhere.txt"]) == 1
    assert capsys.readouterr().err.startswith("kgloss train-tokenizer: nowhere.txt: no such file")


@pytest.mark.parametrize("command", ["baseline", "doctor", "train-tokenizer", "back-translate"])
def test_unknown_option_ends_with_the_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([command, "--colour", "red"])
    printed = capsys.readouterr().err
    assert printed.startswith(f"usage: kgloss {command}")
    assert "unrecognized arguments: --colour red" in printed


@pytest.mark.parametrize(
    "words", ["train-tokenizer --analyzer stanza", "back-translate --on_bad_rows mend", "baseline --split half"]
)
def test_values_are_refused_before_work_begins(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    assert "invalid choice: " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["baseline", "doctor", "train-tokenizer"])
def test_help_of_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: kgloss {command}")


def test_help_imports_nothing_slow() -> None:
    imported = subprocess.run([sys.executable, "-X", "importtime", *MODULE, "-h"], capture_output=True, check=True)
    assert not re.search(rb"\| +(torch|transformers|datasets|numpy|rich)$", imported.stderr, re.MULTILINE)


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("encoding", ["ascii", "cp949", "latin-1"])
@pytest.mark.parametrize("command", ["translate", "evaluate"])
def test_no_encoding_ends_a_command(
    command: str, encoding: str, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "glosses.txt").write_text("집 불\n전시 – 청자\n" * 3, "utf-8")
    file = str(tmp_path / "glosses.txt")
    words = {"translate": [checkpoint, *SENTENCES], "evaluate": [file, "--references", file]}[command]
    printed = {}
    for stream in (_Terminal, io.TextIOWrapper):
        monkeypatch.setattr("sys.stdout", stream(io.BytesIO(), encoding=encoding))
        assert main([command, *words]) == 0
        printed[stream] = sys.stdout.buffer.getvalue()
        monkeypatch.undo()
    text = printed[io.TextIOWrapper].decode("utf-8")
    assert {"translate": "또한", "evaluate": "–"}[command] in text
    assert len(printed[_Terminal].decode(encoding).splitlines()) == len(text.splitlines())


@pytest.mark.parametrize("encoding", ["utf-8", "euc_kr"])
def test_arguments_and_output_under_the_locale_of_c(encoding: str, checkpoint: str) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    words = [word.encode(encoding) for word in (checkpoint, "전시")]
    done = subprocess.run(
        [sys.executable, *MODULE, "translate", *words, "--format", "jsonl"], env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    text = json.loads(done.stdout.decode("utf-8"))["text"]
    assert text == ("전시" if encoding == "utf-8" else "전시".encode(encoding).decode("utf-8", "replace"))


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def examine(timeout: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kgloss_hf.commands.doctor.examine", examine)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "")


def test_no_success_where_nobody_reads_the_report() -> None:
    command = [sys.executable, *MODULE, "doctor", "--timeout", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"kgloss doctor: [Errno 32] Broken pipe\n", 1)


@pytest.mark.parametrize("launcher", ["torch.distributed.run --nproc_per_node=2", "accelerate.commands.launch --cpu"])
def test_launchers_start_the_command(launcher: str, tmp_path: Path) -> None:
    """A corpus by two processes, or one: it is reported once, by the main one."""
    model = save_m2m100(tmp_path / "m2m100", sentencepiece_model())
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES), "utf-8")
    command = f"-m {launcher} -m kgloss_hf.cli back-translate --sources texts.txt --engines transformers:{model}"
    options = "--chunk_size 2 --on_bad_rows skip --output_dir corpus"
    done = subprocess.run(
        [sys.executable, *command.split(), *options.split()],
        cwd=tmp_path,
        env={**os.environ, "HF_HOME": str(tmp_path / "home"), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('load_dataset("ko_backtranslation", data_dir="corpus")') == 1
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text("utf-8"))
    assert manifest["result"]["pairs"] + sum(manifest["result"]["dropped"].values()) == len(SENTENCES)
