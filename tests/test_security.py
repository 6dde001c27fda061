"""Untrusted input (models, data, names) stays data: it runs no code, and controls neither page nor terminal."""

from __future__ import annotations

import io
import json
import pickle
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from markdown_it import MarkdownIt
from transformers import Trainer, TrainingArguments, pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.commands.translate import FORMATS, translate
from kgloss_hf.data.tables import read_rows
from kgloss_hf.hub.cards import card_problems
from kgloss_hf.hub.dataset_stats import _sentence_statistics, _statistics_card
from kgloss_hf.hub.publishing import Publication
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.reporting import Table, code, markdown, print_tables, visible
from kgloss_hf.runtime.analyzers import get_analyzer
from kgloss_hf.runtime.answers import GlossSequence

ROOT = Path(__file__).parent.parent

HOSTILE = {
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;",
    "Markdown": "![x](http://a.b/c) [x](y) **b** _i_ ~~s~~ <http://a.b> $x$ \\| | `c` | d `",
    "code span": "a` ![x](y) `b``",
    "front matter": "\n---\nlicense: mit\n---\n# x\n\n- y",
    "template": "{{ 7*7 }}{% raw %}",
    "markup of rich": "[/x] [red]x[/red] [link=http://a.b]y[/link] :smile:",
    "terminal": "\x1b[31m\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f",
    "ends of lines": "a\r\nb\rc\nd\x0be\x0cf\x1cg\x85h\u2028i\u2029j",
    "cells": "a\tb\tc",
    "direction": "\u202egnp.exe\u2066x\u200f",
    "half a character": "a\ud800b\x00",
    "shell": "$(touch x); `touch x` && -rf '\"",
    "path": "../../etc/passwd",
}


def lines_of(text: str) -> list[str]:
    """Return the lines of text, after checking that it holds no control characters and no unusual line ends."""
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text), ascii(text)
    text.encode("utf-8")
    return text.splitlines()


# Terminal


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("n_best", [None, 2])
@pytest.mark.parametrize("form", FORMATS)
def test_a_sentence_gives_its_lines_whatever_is_in_it(
    form: str, n_best: int | None, text: str, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that glosses, types and the sentence end no line and no cell."""
    answer = GlossSequence(generated_text=f"{text} 집", glosses=[text, "집"], unresolved=[], types=[text, "iconic"])
    answer |= {"log_prob": -1.0, "unknown_words": [text]}
    reply = answer if n_best is None else [GlossSequence(answer, log_prob=-1.0, score=-0.5)] * n_best
    monkeypatch.setattr("kgloss_hf.models.loading.load", lambda *_, **__: lambda texts, **___: (reply for _ in texts))
    output = io.StringIO()
    translate(checkpoint, [text, "집"], format=form, n_best=n_best, types=form != "text", output=output)
    lines = lines_of(output.getvalue())
    if form == "jsonl":
        rows = [json.loads(line) for line in lines]
        assert len(rows) == 2
        # A sentence is a line, whose contents are the same after reading.
        assert rows[0]["text"] == text.rstrip("\r\n").replace("\n", " ")
        assert all(row["types"][0] == text for row in rows[0].get("candidates", rows))
    elif form == "tsv":
        assert len(lines) == 1 + 2 * (n_best or 1)
        assert {line.count("\t") for line in lines} == {4 if n_best is None else 6}
    else:
        assert len(lines) == (2 if n_best is None else 2 * (n_best + 1))
        assert all(line.count("\t") == (n_best is not None) for line in lines if line)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_table_in_the_terminal_shows_what_is_in_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = text.replace("\n", " ").replace("\t", " ")  # these only make a cell taller or wider
    print_tables([Table("x", ("origin", "pairs"), [(text[:30], "1")])])
    printed = capsys.readouterr().out
    assert len(lines_of(printed)) == 6
    assert visible(text[:30]).strip()[:20] in printed
    print_tables([Table(text, (text, "pairs"), [("x", "1")])])
    lines_of(capsys.readouterr().out)


def test_messages_show_names_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.py").touch()
    (tmp_path / "README.md").touch()
    (tmp_path / "\x1b[31m.bin").touch()
    assert main(["check", str(tmp_path)]) == 1
    assert "problem \\u001b[31m.bin: expected no file that can hold a pickle" in capsys.readouterr().out
    assert main(["check", "\x1b[2J\udcff"]) == 1
    assert "kgloss check: \\u001b[2J\\udcff: no such folder" in capsys.readouterr().err


# Pages


def markup(text: str) -> list[Any]:
    """Return every element of Markdown except text, in order."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return [
        (token.type, token.tag, token.attrs, [child.type for child in token.children or [] if child.type != "text"])
        for token in parser.parse(text)
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_value_brings_markup_into_tables_and_statistics(text: str) -> None:
    def card(word: str) -> str:
        statistics = _sentence_statistics([("", {"source": "집", "target": "집", "origin": word, "engine": word})])
        arguments = {"dataset": f"{word},x.csv", "data_dir": word, "config": word}
        shown = _statistics_card({**statistics, "arguments": arguments})
        return shown + markdown([Table("Origins", ("origin", word), [(word, code(word))])])

    lines_of(card(text))
    assert markup(card(text)) == markup(card("plain"))
    assert str(markup(card("plain"))).count("code_inline") == 4  # the command, origin, engine, and the last cell


def test_metadata_that_would_unfold_beyond_memory() -> None:
    """Check nine references to nine references to …: 300 characters would become 3 GB of text."""
    names = "abcdefghij"
    bomb = f"a: &a [{', '.join('x' * 9)}]\n"
    bomb += "".join(f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]\n" for last, name in pairwise(names))
    (problem,) = card_problems(f"---\n{bomb}license: *j\n---\n", [])
    assert problem.startswith("metadata: expected values, found a reference (*) to one")


# Files and names


@pytest.mark.parametrize("name", [*HOSTILE.values(), "me/x\n", "-me/x", "me/../x", "/etc/x", "me/x/y", ""])
@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_names_of_repositories_are_names(kind: str, name: str) -> None:
    """Check names, which become folders of a dry run and, for a demo's model, a line of its card and code."""
    with pytest.raises(ValueError, match="Repo id|repository id"):
        Publication(kind, name, "me/model")
    if kind == "space":
        with pytest.raises(ValueError, match="Repo id|repository id"):
            Publication(kind, "me/demo", name)


@pytest.mark.parametrize("entity", ["SYSTEM", "nested"])
def test_a_workbook_with_entities_is_refused(entity: str, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    (tmp_path / "private.txt").write_text("private", "utf-8")
    nested = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    external = f'<!ENTITY e9 SYSTEM "{(tmp_path / "private.txt").as_uri()}">'
    declared = f'<!DOCTYPE x [<!ENTITY e0 "private">{nested}]>' if entity == "nested" else f"<!DOCTYPE x [{external}]>"
    plain, file = tmp_path / "plain.xlsx", tmp_path / "hostile.xlsx"
    workbook = openpyxl.Workbook()
    for row in (["text", "glosses"], ["집", "MARK"]):
        workbook.active.append(row)
    workbook.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode("utf-8")
            if "MARK" in content:
                content = declared + content.replace("MARK", "&e9;")
            new.writestr(name, content)
    assert list(read_rows(plain)) == [(2, {"text": "집", "glosses": "MARK"})]
    with pytest.raises(ValueError, match="damaged or not an XLSX workbook"):
        list(read_rows(file))


# Models


class Touch:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """Return the path of the file that hostile code creates."""
    return tmp_path / "ran"


@pytest.fixture
def model(checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of a model to tamper with. Its code is copied only to places that the test deletes."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return Path(shutil.copytree(checkpoint, tmp_path / "model"))


def change(file: Path, **settings: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | settings), "utf-8")


def code_of(folder: Path, ran: Path, prefix: str = "", **config: Any) -> None:
    """Make every configuration of a model name a module that creates a file."""
    # New classes, because transformers permanently marks classes that come from remote code.
    code = f"open({str(ran)!r}, 'w').close()\nimport transformers as t\n"
    code += "class C(t.BertConfig): ...\nclass M(t.BertModel): ...\n"
    (folder / "evil.py").write_text(code, "utf-8")
    change(folder / "config.json", auto_map={"AutoConfig": f"{prefix}evil.C", "AutoModel": f"{prefix}evil.M"}, **config)
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, f"{prefix}evil.C"]})


def pipeline_code(folder: Path, ran: Path) -> None:
    impl = {"impl": "evil.C", "pt": ["AutoModelForSeq2SeqLM"], "type": "text"}
    code_of(folder, ran, custom_pipelines={"text-to-gloss": impl, "text2text-generation": impl})


def code_elsewhere(folder: Path, ran: Path) -> None:
    code_of(folder, ran)
    shutil.copytree(folder, folder.with_name("elsewhere"))
    code_of(folder, ran, prefix=f"{folder.with_name('elsewhere')}--")


def pickled(folder: Path, ran: Path, *, by_torch: bool = False) -> None:
    (folder / "model.safetensors").unlink()
    if by_torch:
        torch.save({"x": Touch(ran)}, folder / "pytorch_model.bin")
    else:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Touch(ran)))


MODELS: dict[str, tuple[Callable[[Path, Path], Any], bool]] = {
    "code next to a known model": (code_of, True),
    "code elsewhere": (code_elsewhere, True),
    "code of an unknown model": (lambda folder, ran: code_of(folder, ran, model_type="evil"), False),
    "code of a pipeline": (pipeline_code, True),
    "pickled weights": (pickled, False),
    "weights pickled by torch": (lambda folder, ran: pickled(folder, ran, by_torch=True), False),
    "pickle next to weights": (lambda folder, ran: torch.save(Touch(ran), folder / "pytorch_model.bin"), True),
    "analyser that is a function": (
        lambda folder, _: change(folder / "tokenizer_config.json", analyzer="os.system"),
        False,
    ),
}
"""Ways to tamper with a model, and whether it still answers."""


@pytest.mark.parametrize("what", MODELS)
def test_a_model_runs_no_code(
    what: str, model: Path, ran: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, answers = MODELS[what]
    spoil(model, ran)
    # If transformers asked whether to run the code, these sentences would answer yes.
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"y\n" * 3)))
    assert main(["translate", str(model)]) == (0 if answers else 1)
    assert len(capsys.readouterr().out.splitlines()) == (3 if answers else 0)
    assert not ran.exists()


def test_the_code_runs_where_it_is_trusted(model: Path, ran: Path) -> None:
    """Check that the code would run if trusted; otherwise the test above would prove nothing."""
    code_of(model, ran, model_type="evil")
    with pytest.raises(ValueError, match=r"evil|Unrecognized|C"):
        pipeline("text-to-gloss", model=str(model), trust_remote_code=True)
    assert ran.exists()


@pytest.mark.parametrize("name", ["os.system", "__import__('os').system('x')", "../okt", "kgloss_hf.runtime.okt", ""])
def test_analysers_are_those_of_a_list(name: str) -> None:
    with pytest.raises(
        ValueError, match="analyzer: expected one of okt, whitespace, mecab, komoran, kiwi, which .* has, found"
    ):
        get_analyzer(name)


@pytest.fixture(scope="module")
def run_to_resume(tmp_path_factory: pytest.TempPathFactory) -> tuple[Callable[[], Trainer], Path]:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": ((self.layer(x).squeeze(-1) - labels) ** 2).mean()}

    folder = tmp_path_factory.mktemp("run")
    rows = [{"x": torch.ones(2), "labels": torch.tensor(1.0)}] * 4

    def trainer() -> Trainer:
        options = {"max_steps": 2, "save_steps": 1, "report_to": "none", "use_cpu": True, "disable_tqdm": True}
        return Trainer(Model(), TrainingArguments(str(folder), **options), train_dataset=rows)

    trainer().train()
    return trainer, folder / "checkpoint-1"


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_a_checkpoint_runs_no_code(
    name: str, run_to_resume: tuple[Callable[[], Trainer], Path], tmp_path: Path, ran: Path
) -> None:
    """Check the files that torch pickles: the stock trainer, whose loading ours inherits, reads only tensors."""
    trainer, checkpoint = run_to_resume
    copy = shutil.copytree(checkpoint, tmp_path / checkpoint.name)
    assert (copy / name).is_file()
    torch.save(Touch(ran), copy / name)
    if name == "training_args.bin":
        trainer().train(resume_from_checkpoint=str(copy))  # it is not read
    else:
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            trainer().train(resume_from_checkpoint=str(copy))
    assert not ran.exists()


def test_nothing_is_read_by_torch() -> None:
    """Check for torch.load; Ruff has rules for the other functions that run what they read, but not for this one."""
    folders = ("kgloss_hf", "examples", "dataset_scripts", "metric_scripts", "benchmarks")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 60
    assert [
        file.name for file in files if re.search(r"\btorch\.load\b|use_safetensors=False", file.read_text("utf-8"))
    ] == []


@pytest.mark.parametrize("gloss", ["[PAD]", "[UNK]", "[BOS]", "[EOS]"])
def test_no_gloss_is_a_special_token(gloss: str) -> None:
    """Check that no gloss is a special token; such a row could end or pad a model's output."""
    tokenizer = train_tokenizer(SENTENCES, [*GLOSSES, [gloss]], vocab_size=300)
    assert gloss not in tokenizer.glosses
    ids = tokenizer(text_target=["집", gloss, "흙"])["input_ids"]
    assert ids[1] == tokenizer.unk_token_id
    assert [index for index in ids if index in tokenizer.all_special_ids] == [
        *[tokenizer.unk_token_id] * 2,
        tokenizer.eos_token_id,
    ]
