from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline

from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.commands.translate import models_among, translate
from kgloss_hf.data.pairs import load_pairs
from tests.command_server import Forks

COMMAND = [sys.executable, "-m", "kgloss_hf.cli", "translate"]


@pytest.fixture(scope="module")
def expected(checkpoint: str) -> list[str]:
    return [marked(answer) for answer in pipeline("text-to-gloss", model=checkpoint)(SENTENCES)]


def marked(answer: Any) -> str:
    """Return the glosses with the mark that `print` adds to a placeholder without a source."""
    return str(answer).partition(" [unknown")[0].replace(" | ", " ")


def test_placeholder_without_a_source_is_marked_as_print_does(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = pipeline("text-to-gloss", model=checkpoint)(SENTENCES)
    assert any(answer["unresolved"] for answer in answers)
    lines = lines_of(checkpoint, *SENTENCES)
    assert lines == [marked(answer) for answer in answers]
    file = tmp_path / "glosses.txt"
    file.write_text("\n".join(lines), "utf-8")
    references = tmp_path / "references.txt"
    references.write_text("\n".join(answer["generated_text"] for answer in answers), "utf-8")
    assert main(["evaluate", str(file), "--references", str(references), "--trials", "1"]) == 0
    assert "100.00" in capsys.readouterr().out


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text("\n".join([*SENTENCES[:2], "", *SENTENCES[2:]]) + "\n", "utf-8")
    return path


def lines_of(checkpoint: str, *sentences: str, **options: Any) -> list[str]:
    output = io.StringIO()
    translate(checkpoint, sentences, output=output, **options)
    return output.getvalue().splitlines()


def test_arguments(checkpoint: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", checkpoint, *SENTENCES]) == 0
    assert capsys.readouterr().out.splitlines() == expected


def test_file_and_standard_input_a_line_each(
    checkpoint: str, expected: list[str], file: Path, forks: Forks, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [*expected[:2], "", *expected[2:]]
    assert main(["translate", checkpoint, "--input", str(file), "--threads", "1", "--batch_size", "2"]) == 0
    assert capfd.readouterr().out.splitlines() == lines
    for options in ([], ["--input", "-"]):
        command = [forks.programs / "kgloss", "translate", checkpoint, *options]
        done = subprocess.run(command, stdin=file.open("rb"), capture_output=True, check=True)
        assert done.stdout.decode("utf-8").splitlines() == lines


def test_json_lines(checkpoint: str, file: Path, expected: list[str]) -> None:
    rows = list(map(json.loads, lines_of(checkpoint, input=str(file), format="jsonl", types=True, alignment=True)))
    assert [row["text"] for row in rows] == [*SENTENCES[:2], "", *SENTENCES[2:]]
    assert [row["generated_text"] for row in rows if row["text"]] == [line.replace("?", "") for line in expected]
    assert all(len(row["glosses"]) == len(row["types"]) == len(row["alignment"]) for row in rows)


def test_table(checkpoint: str, expected: list[str]) -> None:
    lines = lines_of(checkpoint, *SENTENCES[:2], "탭\t속", format="tsv", types=True)
    header, *rows = (line.split("\t") for line in lines)
    assert header == ["text", "glosses", "types", "log_prob", "unknown_words"]
    assert all(float(row[3]) < 0 for row in rows)
    assert [row[4] for row in rows] == ["", "", "탭 속"]
    assert [row[1] for row in rows][:2] == [line.replace("?", "") for line in expected[:2]]
    assert rows[2][0] == "탭 속"


def test_lines_with_unknown_words_are_counted(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines_of(checkpoint, SENTENCES[2])
    assert "does not know" not in capsys.readouterr().err
    lines_of(checkpoint, SENTENCES[2], "안녕", "쿠스코의 토기")
    assert (
        "2 lines contain words that the model does not know; use --format jsonl to list them" in capsys.readouterr().err
    )
    [row] = lines_of(checkpoint, "안녕", format="jsonl")
    assert json.loads(row)["unknown_words"] == ["안녕"]


@pytest.mark.parametrize("form", ["text", "tsv", "jsonl"])
def test_n_best(checkpoint: str, form: str) -> None:
    lines = lines_of(checkpoint, *SENTENCES[:2], format=form, n_best=3)
    if form == "jsonl":
        assert [len(json.loads(line)["candidates"]) for line in lines] == [3, 3]
    elif form == "tsv":
        assert lines[0] == "text\trank\tscore\tlog_prob\tglosses\tunknown_words"
        assert [line.split("\t")[1] for line in lines[1:]] == ["1", "2", "3"] * 2
    else:
        assert [len(line.split("\t")) for line in lines] == [2, 2, 2, 1] * 2
        scores = [float(line.split("\t")[0]) for line in lines[:3]]
        assert scores == sorted(scores, reverse=True)


@pytest.fixture
def lexicon(checkpoint: str, tmp_path: Path) -> str:
    """Return a lexicon that plays one of the two glosses that the model gives first."""
    file = tmp_path / "lexicon.csv"
    glosses = [*dict.fromkeys(json.loads(lines_of(checkpoint, SENTENCES[2], format="jsonl")[0])["glosses"])]
    file.write_text("gloss,video\n" + "\n".join(f'"{gloss}",clips/1.mp4' for gloss in glosses[::2]), "utf-8")
    return str(file)


def test_a_lexicon_says_what_plays_each_gloss(
    checkpoint: str, lexicon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = lines_of(checkpoint, *SENTENCES, " ")
    assert "can be played" not in capsys.readouterr().err
    assert lines_of(checkpoint, *SENTENCES, " ", lexicon=lexicon) == plain
    said = capsys.readouterr().err
    rows = list(
        map(json.loads, lines_of(checkpoint, *SENTENCES, " ", lexicon=lexicon, format="jsonl", confidence=True))
    )
    signs = [sign for row in rows for sign in row["signs"]]
    playable = sum("reason" not in sign for sign in signs)
    assert 0 < playable < len(signs)
    assert f"{playable:,} of {len(signs):,} glosses can be played" in said
    assert "; use --format tsv to list the others" in said
    assert all(len(row["confidence"]) == len(row["signs"]) == len(row["glosses"]) for row in rows)
    header, *table = (line.split("\t") for line in lines_of(checkpoint, *SENTENCES, lexicon=lexicon, format="tsv"))
    assert header == ["text", "glosses", "not_playable", "log_prob", "unknown_words"]
    assert [row[2] for row in table] == [
        " ".join(sign["gloss"] for sign in row["signs"] if "reason" in sign) for row in rows[:-1]
    ]
    best = map(json.loads, lines_of(checkpoint, SENTENCES[0], lexicon=lexicon, format="jsonl", n_best=2))
    assert all("signs" in candidate for row in best for candidate in row["candidates"])


def test_only_what_can_be_played_is_printed(checkpoint: str, lexicon: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", checkpoint, *SENTENCES, "--lexicon", lexicon, "--playable", "only"]) == 0
    playable, _, every, *_ = capsys.readouterr().err.split()
    assert playable == every
    assert main(["translate", checkpoint, SENTENCES[0], "--playable", "only"]) == 1
    assert "playable: expected a lexicon for 'only', found none; name one with --lexicon" in capsys.readouterr().err
    assert main(["translate", checkpoint, SENTENCES[0], "--lexicon", f"{lexicon}x"]) == 1
    assert "no such file; did you mean" in capsys.readouterr().err
    with pytest.raises(ValueError, match="confidence: expected a format that can hold it"):
        translate(checkpoint, [SENTENCES[0]], confidence=True)


def test_several_models_give_one_answer_and_its_agreement(
    checkpoint: str, another_checkpoint: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = pipeline("text-to-gloss", model=checkpoint, others=[another_checkpoint])(SENTENCES)
    assert main(["translate", checkpoint, another_checkpoint, *SENTENCES]) == 0
    assert main(["translate", checkpoint, "--with", another_checkpoint, *SENTENCES]) == 0
    lines = [f"{answer['agreement']:.4f}\t{marked(answer)}" for answer in expected]
    assert capsys.readouterr().out.splitlines() == lines * 2
    rows = list(map(json.loads, lines_of(checkpoint, *SENTENCES, others=[another_checkpoint], format="jsonl")))
    assert [row["agreement"] for row in rows] == [answer["agreement"] for answer in expected]
    header, row = lines_of(checkpoint, SENTENCES[0], others=[another_checkpoint], format="tsv", types=True)
    assert header == "text\tagreement\tglosses\ttypes\tunknown_words"
    assert row.split("\t")[1:3] == lines[0].replace("?", "").split("\t")
    bound = sorted(answer["agreement"] for answer in expected)[2]
    options = ["--with", another_checkpoint, "--input", str(file), "--format", "jsonl", "--min_agreement", str(bound)]
    assert main(["translate", checkpoint, *options]) == 0
    captured = capsys.readouterr()
    assert [json.loads(line)["agreement"] for line in captured.out.splitlines()] == [
        answer["agreement"] for answer in expected if answer["agreement"] >= bound
    ]
    assert "3 of 5 lines left out: no glosses, or an agreement below" in captured.err  # a blank one among them


def test_a_model_behind_a_sentence_is_refused(checkpoint: str, another_checkpoint: str, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(another_checkpoint)
    for words in (["전시", another_checkpoint], [str(tmp_path)]):
        with pytest.raises(ValueError, match="which may be meant as a model"):
            models_among(words)
    assert models_among([another_checkpoint, "", "1/2", "가" * 5000]) == (
        [another_checkpoint],
        ["", "1/2", "가" * 5000],
    )


def test_answers_of_several_models_are_read_as_training_pairs(
    checkpoint: str, another_checkpoint: str, tmp_path: Path
) -> None:
    for format in ("jsonl", "tsv"):
        file = tmp_path / f"distilled.{format}"
        lines = lines_of(checkpoint, *SENTENCES, others=[another_checkpoint], format=format)
        file.write_text("\n".join(lines) + "\n", "utf-8")
        pairs = load_pairs(str(file))
        assert [pair.text for pair in pairs] == SENTENCES
        if format == "jsonl":
            assert [list(pair.glosses) for pair in pairs] == [json.loads(line)["glosses"] for line in lines]


def test_a_bad_line_does_not_stop_the_others(
    checkpoint: str, expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mixed.txt"
    lines = [SENTENCES[0].encode(), "한글".encode("cp949"), b"\xef\xbb\xbf", SENTENCES[1].encode()]
    path.write_bytes(b"\n".join(lines))
    assert main(["translate", checkpoint, "--input", str(path)]) == 1
    captured = capsys.readouterr()
    first, second, _, fourth = captured.out.splitlines()
    assert [first, second, fourth] == [expected[0], "", expected[1]]
    assert "line 2: expected UTF-8" in captured.err


@pytest.mark.slow
def test_workers_give_what_one_process_gives(
    checkpoint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.txt"
    lines = [sentence.encode() for sentence in SENTENCES] * 10
    lines[20:20] = [b"", "한글".encode("cp949"), "쿠스코의 토기".encode()]
    path.write_bytes(b"\n".join(lines) + b"\n")
    options = [checkpoint, "--input", str(path), "--batch_size", "1", "--threads", "1", "--format", "jsonl"]
    assert main(["translate", *options]) == 1
    alone = capfd.readouterr()
    assert main(["translate", *options, "--workers", "2"]) == 1
    together = capfd.readouterr()
    assert together.out == alone.out
    first, second = (
        [line for line in done.err.splitlines() if not line.startswith("Device set")]  # printed once by transformers 4
        for done in (alone, together)
    )
    assert first == second
    assert len(together.out.splitlines()) == len(lines)
    assert "line 22: expected UTF-8" in together.err
    assert "1 line contains words that the model does not know" in together.err


def test_lines_for_one_worker_need_no_other_process(
    checkpoint: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgloss_hf.commands.workers.ProcessPoolExecutor", None)
    assert lines_of(checkpoint, *SENTENCES, workers=4) == expected


def test_each_worker_makes_one_part_of_a_window(
    checkpoint: str, another_checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_this_process(make: Any, windows: Any, workers: int) -> Iterator[Any]:
        assert workers == 2
        yield from map(make(), windows)

    monkeypatch.setattr("kgloss_hf.commands.workers.in_order", in_this_process)
    sentences = SENTENCES * 5  # a window holds 16 lines
    for options in (
        {"n_best": 2},
        {"format": "tsv", "types": True},
        {"others": [another_checkpoint], "min_agreement": 0.3, "num_beams": 2},
    ):
        settings: dict[str, Any] = {"batch_size": 1, "threads": 1, **options}
        assert lines_of(checkpoint, *sentences, workers=2, **settings) == lines_of(checkpoint, *sentences, **settings)


def test_workers_read_no_terminal(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, terminal = os.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(ValueError, match="workers: expected lines from a file or a pipe, found a terminal"):
            translate(checkpoint, workers=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "missing.txt"], "missing.txt"),
        (["전시", "--input", "-"], "expected sentences or --input, found both"),
        (["전시", "--consensus", "--n_best", "3"], "expected n_best or a consensus, found both"),
        (["전시", "--min_agreement", "0.5"], "min_agreement: expected several models or --consensus, found neither"),
        (["전시", "--consensus", "--min_agreement", "50"], "min_agreement: expected a number from 0 to 1, found 50"),
        (["kgloss/demo", "전시"], "expected sentences, found 'kgloss/demo', which may be meant as a model"),
        (["전시", "--types"], "types: expected a format that can hold it"),
        (["전시", "--alignment", "--format", "tsv"], "alignment: expected a format that can hold it"),
        (["전시", "--n_best", "0"], "num_return_sequences: expected 1 or more"),
        (["전시", "--n_best", "3", "--num_beams", "2"], "num_return_sequences: expected at most num_beams"),
        (["전시", "--num_beams", "0"], "num_beams: expected 1 or more"),
        (["전시", "--num_beams", "1000000"], "num_beams: expected an integer up to 1000"),
        (["전시", "--batch_size", "-1"], "batch_size: expected 1 or more"),
        (["전시", "--workers", "0"], "workers: expected 1 or more, found 0"),
        (["전시", "--threads", "0"], "expects a positive integer"),
    ],
)
def test_what_cannot_be_done(
    options: list[str], message: str, checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", checkpoint, *options]) == 1
    assert message in capsys.readouterr().err


def test_checkpoint_that_transformers_refuses_is_said_in_a_line(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"max_new_tokens": 0}), "utf-8")
    assert main(["translate", str(tmp_path), "전시"]) == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("kgloss")]
    assert "max_new_tokens" in line
    assert "Traceback" not in line


def test_folder_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(tmp_path), "전시"]) == 1
    assert "config.json" in capsys.readouterr().err


@pytest.mark.slow
def test_reader_that_goes_away(checkpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("전시\n" * 20_000, "utf-8")
    process = subprocess.Popen(
        [*COMMAND, checkpoint, "--input", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read().decode()
    assert process.wait(timeout=120) == 0
    assert "Error" not in error
    assert "Traceback" not in error


def test_interrupt_keeps_finished_lines(checkpoint: str, expected: list[str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, checkpoint, "--batch_size", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Python would ignore the signal in a background job of a shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    process.stdin.write(f"{SENTENCES[0]}\n".encode() * 20)  # 16 are read ahead, the others wait for more
    process.stdin.flush()
    lines = [process.stdout.readline().decode() for _ in range(16)]
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    assert process.wait(timeout=60) == 130
    assert lines == [f"{expected[0]}\n"] * 16
    assert b"Traceback" not in process.stderr.read()
