from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from conftest import SENTENCES
from kgloss_hf.cli import _COMMANDS, main
from kgloss_hf.reporting import one_line_warnings
from kgloss_hf.version import __version__
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
    assert "out already exists" in capsys.readouterr().err


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


@pytest.mark.parametrize("encoding", ["utf-8", pytest.param("euc_kr", marks=pytest.mark.slow)])
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
    assert capsys.readouterr() == ("", "kgloss doctor: interrupted; the examination is incomplete; run it again\n")


def test_no_success_where_nobody_reads_the_report() -> None:
    command = [sys.executable, *MODULE, "doctor", "--timeout", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"kgloss doctor: [Errno 32] Broken pipe\n", 1)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torch.distributed.run --nproc_per_node=2", "accelerate.commands.launch --cpu"])
def test_launchers_start_the_command(launcher: str, tmp_path: Path) -> None:
    """Check that the corpus is reported once, by the main process, under each launcher."""
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


def test_options_stand_anywhere_and_in_either_spelling(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for words in (
        [checkpoint, "--format", "jsonl", SENTENCES[0], "--n-best", "2"],
        ["--n_best=2", "--format=jsonl", checkpoint, SENTENCES[0]],
        [checkpoint, "--n-best=2", "--format", "jsonl", "--", SENTENCES[0]],
    ):
        assert main(["translate", *words]) == 0
        printed.append(capsys.readouterr().out)
    assert len({*printed}) == 1
    assert len(json.loads(printed[0])["candidates"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evalaute x", "no such command: evalaute; did you mean evaluate?"),
        ("", "expected a command"),
        ("translate m --n_bset 3 x", "unrecognized arguments: --n_bset 3 x; did you mean --n_best?"),
        ("translate m --format jsnl x", "did you mean jsonl?"),
        ("translate m -문장", "put -- before a sentence that begins with -"),
        ("baseline --on-bad-rows skpi", "did you mean skip?"),
        ("train --presett tiny --split halb", "invalid choice: 'halb'"),
        ("table5 --runs 3", "required: --pretext"),
    ],
)
def test_errors_of_use_say_what_was_meant(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    usage, _, error = capsys.readouterr().err.strip().rpartition("\n")
    command = words.split()[0] if words and "evalaute" not in words else "["
    assert usage.startswith(f"usage: kgloss {command}")
    assert said in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evaluate runs", "runs: expected a file, found a folder; did you mean runs/a/model/predictions.jsonl?"),
        ("evaluate rnus.csv", "rnus.csv: no such file; did you mean runs.csv?"),
        (
            "translate runs/a 문장",
            "expected the folder of a model, found the folder of a run; did you mean runs/a/model?",
        ),
        ("translate runs/aa 문장", "runs/aa: no such folder"),
        ("translate 문장", "'문장': expected a model first, found a sentence"),
        ("translate runs/a/model/config.json 문장", "found a file; did you mean runs/a/model?"),
        ("check runs/a", "did you mean runs/a/model?"),
        ("serve runs/a", "did you mean runs/a/model?"),
        ("publish --model me/model runs/a --dry_run x", "did you mean runs/a/model?"),
        ("train --init_from runs/a", "--init_from: runs/a: expected the folder of a model"),
        ("train --pretext=runs/b", "--pretext: runs/b: no such folder"),
        ("train nowhere.yaml", "nowhere.yaml: no such file; expected a YAML file of options"),
        ("train runs.yaml", "runs.yaml: a folder; expected a YAML file of options"),
        ("baseline runs.csv --dataset gksl", "expected runs.csv or --dataset gksl, found both"),
        ("export-dataset --output_dir x", "expected the name of a data set, found none"),
        ("baseline mcskg", "did you mean mcksg?"),
        ("dataset-stats rums.csv --output_dir x", "rums.csv: no such file; did you mean runs.csv?"),
        ("train-tokenizer --corpus rums.csv", "rums.csv: no such file; did you mean runs.csv?"),
    ],
)
def test_errors_of_use_are_one_line(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "runs" / "a" / "model"
    model.mkdir(parents=True)
    (tmp_path / "runs.yaml").mkdir()
    for file in (model / "config.json", model / "predictions.jsonl", tmp_path / "runs.csv"):
        file.touch()
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"kgloss {words.split()[0]}: ")
    assert said in line


QUICK = [
    *("--help", "--version", "help translate", "evaluate nofile", "evaluate runs", "baseline --help", "train --help"),
    *("pretext --help", "table5 --help", "train-tokenizer --help", "back-translate --help", "dataset-stats --help"),
    *("export-dataset --help", "check nofolder", "publish --help", "doctor --help", "translate --help"),
    *(
        "translate 문장",
        "translate nomodel 문장",
        "translate a/b/c 문장",
        "baseline nofile.csv",
        "completion",
        "dataset-stats nofile.csv --output_dir x",
    ),
]


def test_commands_import_nothing_slow_before_they_need_it() -> None:
    """Run all commands in one process, and check after each one what has been imported."""
    script = f"""
import contextlib, io, sys
from kgloss_hf.cli import _COMMANDS, main
from kgloss_hf.version import __version__
for words in {QUICK!r}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(words.split())
    if slow := {{"torch", "transformers", "datasets", "sklearn", "matplotlib", "pandas"}} & sys.modules.keys():
        sys.exit(f"{{words}} imports {{slow}}")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_scores_import_neither_torch_nor_transformers(tmp_path: Path) -> None:
    (tmp_path / "glosses.txt").write_text("집 불\n" * 3, "utf-8")
    file = str(tmp_path / "glosses.txt")
    command = [sys.executable, "-X", "importtime", *MODULE, "evaluate", file, "--references", file, "--trials", "1"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert not re.search(rb"\| +(torch|transformers|datasets)$", done.stderr, re.MULTILINE)


def test_module_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "kgloss_hf", "--version"], capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"kgloss {__version__}"
    for words in (["help", "evaluate"], ["evaluate", "--help"]):
        with pytest.raises(SystemExit, match="0"):
            main(words)
    said = capsys.readouterr().out
    assert said[: len(said) // 2] == said[len(said) // 2 :]


@pytest.mark.parametrize("name", ["train", "pretext", "table5", "train-tokenizer", "back-translate"])
def test_help_is_one_screen(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 60
    assert all(len(line) <= 80 for line in lines[4:])
    assert lines[-1].startswith("--help-all")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in (*_COMMANDS, "--n_best", "--init_from", "--help-all"))
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0 or shell == "zsh"


def test_a_warning_is_one_line_without_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    one_line_warnings()
    assert warnings.formatwarning(UserWarning("of two\nlines"), UserWarning, "module.py", 7) == "of two lines\n"
