"""Corpora: begun, interrupted, continued, refused, selected, loaded and exported."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

import kgloss_hf  # noqa: F401 - registers ko_backtranslation

pytest.importorskip("datasketch")
from pyarrow import parquet

from kgloss_hf.back_translation import chunks
from kgloss_hf.back_translation.corpus import BackTranslationArguments, build_corpus, estimate
from kgloss_hf.back_translation.engines.engine import EngineError, Limits, Price, RefusedError
from kgloss_hf.back_translation.engines.transformers import TransformersEngine
from kgloss_hf.back_translation.filters import Thresholds
from kgloss_hf.cli import main
from kgloss_hf.hub.dataset_export import export_dataset

from .stand_ins import Drawer, WordSwapper

ROOT = Path(__file__).parents[2]
NOUNS = ["기차", "박물관", "선생님", "약국", "병원", "바다", "토기", "사진", "어머니", "도서관"]
VERBS = ["어디에 있어요", "언제 여나요", "정말 좋아합니다", "찾고 있습니다", "보고 싶어요", "모르겠습니다"]
SENTENCES = [f"저는 {noun} {verb} {other}" for noun in NOUNS for verb in VERBS for other in NOUNS if noun != other]


@pytest.fixture
def data_dir(tmp_path: Path) -> str:
    """Write a folder with a corpus of 540 sentences."""
    rows = [f"{n}\t{first}\t{second}\t1" for n, (first, second) in enumerate(zip(*[iter(SENTENCES)] * 2, strict=True))]
    folder = tmp_path / "data" / "question_pair"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("\n".join(["id\tquestion1\tquestion2\tis_duplicate", *rows]) + "\n", "utf-8")
    return str(tmp_path / "data")


@pytest.fixture
def arguments(tmp_path: Path, data_dir: str) -> BackTranslationArguments:
    return BackTranslationArguments(
        ["question_pair"], output_dir=str(tmp_path / "corpus"), data_dir=data_dir, chunk_size=40, seed=7
    )


def files(folder: str | Path) -> dict[str, bytes]:
    """Return all files of a corpus, byte for byte."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def load(folder: str, cache: Path) -> list[dict[str, str]]:
    return load_dataset("ko_backtranslation", data_dir=folder, split="train", cache_dir=str(cache)).to_list()


def test_each_sentence_is_translated_there_and_back(arguments: BackTranslationArguments, tmp_path: Path) -> None:
    engine = WordSwapper()
    manifest = build_corpus(arguments, engines=[(engine, 1)])
    sent = Counter(text for source, _, texts in engine.calls if source == "ko" for text in texts)
    assert sent == Counter(SENTENCES)
    assert {(source, target) for source, target, _ in engine.calls} == {("ko", "en"), ("en", "ko")}
    assert all(len(texts) <= 4 for _, _, texts in engine.calls)
    result = manifest["result"]
    assert result["pairs"] + sum(result["dropped"].values()) == len(SENTENCES)
    assert result["dropped"]["identical"] > 0
    assert result["dropped"]["empty"] > 0
    assert result["dropped"]["script"] > 0
    rows = load(arguments.output_dir, tmp_path / "cache")
    assert len(rows) == result["pairs"] == result["engines"]["swapper"] == result["origins"]["question_pair"]
    assert all(row["target"] == engine._back(row["source"]) for row in rows)
    order = {sentence: place for place, sentence in enumerate(SENTENCES)}
    places = [order[row["source"]] for row in rows]
    assert places == sorted(places)


def test_all_that_was_translated_is_kept(arguments: BackTranslationArguments) -> None:
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    paths = sorted(Path(arguments.output_dir, "translations").iterdir())
    assert [path.name for path in paths] == [f"{number:05d}.parquet" for number in range(14)]
    rows = [row for path in paths for row in parquet.read_table(path).to_pylist()]
    assert [row["source"] for row in rows] == SENTENCES
    assert all(row["pivot"] == row["source"][::-1] for row in rows)


def test_a_finished_corpus_is_left_as_it_is(arguments: BackTranslationArguments) -> None:
    first = build_corpus(arguments, engines=[(WordSwapper(), 1)])
    before = files(arguments.output_dir)
    engine = WordSwapper()
    assert build_corpus(arguments, engines=[(engine, 1)]) == first
    assert not engine.calls
    assert files(arguments.output_dir) == before


@pytest.mark.slow
def test_killed_at_twenty_moments(arguments: BackTranslationArguments, tmp_path: Path) -> None:
    module = [sys.executable, "-m", "tests.back_translation.interrupted"]
    command = [*module, str(arguments.data_dir), str(tmp_path / "killed"), "20"]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    outcome = json.loads(done.stdout)
    assert outcome["killed"] == 20
    build_corpus(arguments, engines=[(WordSwapper(), 2), (Drawer(), 1)])
    whole = files(arguments.output_dir)
    for folder in outcome["folders"]:
        assert files(folder) == whole


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_that_was_cut_off_is_translated_again(arguments: BackTranslationArguments, cut: int) -> None:
    class Failing(WordSwapper):
        def translate(self, texts: Any, source: str, target: str) -> list[str]:
            if len(self.calls) == 5:
                raise EngineError("gone")
            return super().translate(texts, source, target)

    with pytest.raises(EngineError, match="gone"):
        build_corpus(arguments, engines=[(Failing(), 1)])
    journal = Path(arguments.output_dir, "translations", "00000.jsonl")
    content = journal.read_bytes()
    assert content.count(b"\n") == 5
    journal.write_bytes(content[:-cut])
    engine = WordSwapper()
    build_corpus(arguments, engines=[(engine, 1)])
    translated = Counter(text for source, _, texts in engine.calls if source == "ko" for text in texts)
    assert translated.total() == len(SENTENCES) - 4 * 4
    whole = BackTranslationArguments(**{**vars(arguments), "output_dir": arguments.output_dir + "-whole"})
    build_corpus(whole, engines=[(WordSwapper(), 1)])
    assert files(arguments.output_dir) == files(whole.output_dir)


def test_a_full_disk_loses_nothing(
    arguments: BackTranslationArguments, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, calls = os.fsync, Counter()

    def full(descriptor: int) -> None:
        calls["journal"] += Path(os.readlink(f"/proc/self/fd/{descriptor}")).suffix == ".jsonl"
        if calls["journal"] == 30:
            calls["journal"] += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert "the same command continues from them" in caplog.text
    engine = WordSwapper()
    build_corpus(arguments, engines=[(engine, 1)])
    assert sum(len(texts) for _, _, texts in engine.calls) < 2 * len(SENTENCES) - 80
    whole = BackTranslationArguments(**{**vars(arguments), "output_dir": arguments.output_dir + "-whole"})
    build_corpus(whole, engines=[(WordSwapper(), 1)])
    assert files(arguments.output_dir) == files(whole.output_dir)


@pytest.mark.parametrize("options", ["", ",do_sample=true"])
def test_checkpoints_of_transformers(
    arguments: BackTranslationArguments, ko_en: str, en_ko: str, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name the engine as on the command line; once, stop after 20 batches and continue."""
    spec = f"transformers:{ko_en},back_model={en_ko},num_beams=1,max_new_tokens=8,batch_size=16"
    arguments.engines = [spec + options]
    # Untrained weights produce no Korean.
    anything = Thresholds(0, 0, float("inf"), 100, 100, 0)
    whole = BackTranslationArguments(**{**vars(arguments), "output_dir": arguments.output_dir + "-whole"})
    manifest = build_corpus(whole, anything)
    assert manifest["result"]["engines"]["opus-mt-ko-en"] > 0
    calls = Counter[str]()
    translate = TransformersEngine.translate

    def stopping(engine: TransformersEngine, texts: Any, source: str, target: str) -> list[str]:
        calls["all"] += 1
        if calls["all"] == 20:
            raise KeyboardInterrupt
        return translate(engine, texts, source, target)

    monkeypatch.setattr(TransformersEngine, "translate", stopping)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(arguments, anything)
    build_corpus(arguments, anything)
    assert files(arguments.output_dir) == files(whole.output_dir)


def test_engines_are_mixed_by_weight(arguments: BackTranslationArguments) -> None:
    manifest = build_corpus(arguments, engines=[(WordSwapper(), 3), (Drawer(), 1)])
    shares = [engine["sentences"] for engine in manifest["sentences"]["engines"]]
    assert sum(shares) == len(SENTENCES)
    # 540 draws at 3/4: within four standard deviations.
    assert abs(shares[0] - 405) < 4 * (540 * 0.75 * 0.25) ** 0.5
    assert set(manifest["result"]["engines"]) == {"swapper", "drawer"}


def test_draws_depend_on_the_seed_alone(arguments: BackTranslationArguments, tmp_path: Path) -> None:
    folders = []
    for seed in (7, 7, 8):
        arguments.seed, arguments.output_dir = seed, str(tmp_path / f"corpus-{len(folders)}")
        build_corpus(arguments, engines=[(Drawer(), 1)])
        folders.append(files(arguments.output_dir))
    assert folders[0] == folders[1]
    assert folders[0]["shards/pairs-00000.parquet"] != folders[2]["shards/pairs-00000.parquet"]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"pivot": "ja"}, "pivot: 'en' then, 'ja' now; repeat those options"),
        ({"seed": 1}, "seed: 7 then, 1 now"),
        ({"sources": ["korsts"]}, r"sources: \['question_pair'\] then, \['korsts'\] now"),
        ({"chunk_size": 50}, "chunk_size: 40 then, 50 now"),
    ],
)
def test_other_options_are_refused(
    arguments: BackTranslationArguments, change: dict[str, Any], difference: str
) -> None:
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    before = files(arguments.output_dir)
    with pytest.raises(ValueError, match=f"holds a corpus begun with other options: {difference}"):
        build_corpus(BackTranslationArguments(**{**vars(arguments), **change}), engines=[(WordSwapper(), 1)])
    assert files(arguments.output_dir) == before


def test_other_engines_are_refused(arguments: BackTranslationArguments) -> None:
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    with pytest.raises(ValueError, match="engines: "):
        build_corpus(arguments, engines=[(WordSwapper(), 2)])


def test_other_sentences_are_refused(arguments: BackTranslationArguments, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("불이 났어요.\n집에 가요.\n", "utf-8")
    arguments.sources, arguments.output_dir = [str(file)], str(tmp_path / "of mine")
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    whole = files(arguments.output_dir)
    file.write_text("불이 났어요.\n박물관에 가요.\n", "utf-8")
    with pytest.raises(ValueError, match=r"begun with other sentences: mine.txt changed since; restore"):
        build_corpus(arguments, engines=[(WordSwapper(), 1)])
    file.unlink()
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert files(arguments.output_dir) == whole


def test_selecting_again_translates_nothing(arguments: BackTranslationArguments) -> None:
    first = build_corpus(arguments, engines=[(WordSwapper(), 1)])
    strict = Thresholds(max_length_ratio=1.2)
    with pytest.raises(ValueError, match="selection: .*add --reselect"):
        build_corpus(arguments, strict, engines=[(WordSwapper(), 1)])
    engine = WordSwapper()
    arguments.reselect = True
    second = build_corpus(arguments, strict, engines=[(engine, 1)])
    assert not engine.calls
    assert second["result"]["dropped"]["length"] > first["result"]["dropped"]["length"] == 0
    assert second["result"]["pairs"] < first["result"]["pairs"]


def test_other_versions_are_said(arguments: BackTranslationArguments, caplog: pytest.LogCaptureFixture) -> None:
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    path = Path(arguments.output_dir, "manifest.json")
    manifest = json.loads(path.read_text("utf-8"))
    manifest["versions"]["swapper"]["test"] = "0"
    path.write_text(json.dumps(manifest), "utf-8")
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert "was begun with the versions" in caplog.text
    assert "are installed now: new translations may differ" in caplog.text


def test_what_a_killed_process_left_goes(arguments: BackTranslationArguments) -> None:
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    whole = files(arguments.output_dir)
    for name in ("00000.jsonl", ".00000.jsonl.lock"):
        Path(arguments.output_dir, "translations", name).touch()
    Path(arguments.output_dir, "manifest.json").write_text(
        json.dumps({**json.loads(whole["manifest.json"]), "result": None}), "utf-8"
    )
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert files(arguments.output_dir) == whole


def test_two_processes_write_the_same(arguments: BackTranslationArguments, tmp_path: Path) -> None:
    """Start the processes as `accelerate launch` does, by torch's launcher with a process group."""
    build_corpus(arguments, engines=[(WordSwapper(), 2), (Drawer(), 1)])
    script = tmp_path / "build.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.back_translation.stand_ins import Drawer, WordSwapper\n"
        "from accelerate import PartialState\n"
        "from kgloss_hf.back_translation.corpus import BackTranslationArguments, build_corpus\n"
        f"arguments = BackTranslationArguments(**{ {**vars(arguments), 'output_dir': str(tmp_path / 'two')}!r})\n"
        "first, second = WordSwapper(), Drawer()\n"
        "build_corpus(arguments, engines=[(first, 2), (second, 1)])\n"
        "state = PartialState()\n"
        "sent = sum(len(texts) for engine in (first, second) for _, _, texts in engine.calls)\n"
        f"open({str(tmp_path)!r} + f'/sent-{{state.process_index}}-of-{{state.num_processes}}', 'w').write(str(sent))\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29518"]
    environment = {"HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*launch, str(script)], capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    sent = [int((tmp_path / f"sent-{process}-of-2").read_text()) for process in (0, 1)]
    assert sent == [len(SENTENCES) + 20, len(SENTENCES) - 20]  # 7 files each, the last of 20 sentences
    assert files(tmp_path / "two") == files(arguments.output_dir)


def test_texts_that_are_too_long_are_counted(arguments: BackTranslationArguments) -> None:
    short = [sentence for sentence in SENTENCES if len(sentence) <= 16]
    engine = WordSwapper(limits=Limits(4, 400, 16))
    manifest = build_corpus(arguments, engines=[(engine, 1)])
    assert 0 < len(short) < len(SENTENCES)
    assert manifest["result"]["dropped"]["not_translated"] == len(SENTENCES) - len(short)
    assert sorted(text for source, _, texts in engine.calls if source == "ko" for text in texts) == sorted(short)


class Refusing(WordSwapper):
    def translate(self, texts: Any, source: str, target: str) -> list[str]:
        if any("약국" in text for text in texts):
            raise RefusedError("400: bad word")
        return super().translate(texts, source, target)


def test_a_refused_text_ends_the_run_or_is_skipped(
    arguments: BackTranslationArguments, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RefusedError, match="400: bad word"):
        build_corpus(arguments, engines=[(Refusing(), 1)])
    shutil.rmtree(arguments.output_dir)
    arguments.on_bad_rows = "skip"
    manifest = build_corpus(arguments, engines=[(Refusing(), 1)])
    refused = sum("약국" in sentence for sentence in SENTENCES)
    assert manifest["result"]["dropped"]["not_translated"] == refused
    assert caplog.text.count("400: bad word") == refused


def test_an_answer_of_another_length_is_refused(arguments: BackTranslationArguments) -> None:
    class Short(WordSwapper):
        def translate(self, texts: Any, source: str, target: str) -> list[str]:
            return super().translate(texts, source, target)[1:]

    with pytest.raises(EngineError, match="swapper: expected 4 translations, found 3"):
        build_corpus(arguments, engines=[(Short(), 1)])


def test_odd_answers_become_text(arguments: BackTranslationArguments) -> None:
    class Odd(WordSwapper):
        def _back(self, text: str) -> str:
            return f"{text}\n그리고\u00a0또 \ud800 한 가지"

    manifest = build_corpus(arguments, engines=[(Odd(), 1)])
    assert manifest["result"]["pairs"] > 0
    rows = parquet.read_table(Path(arguments.output_dir, "shards", "pairs-00000.parquet")).to_pylist()
    assert all(row["target"] == row["source"] + " 그리고 또 ? 한 가지" for row in rows)


def test_what_is_read_and_left_out_is_counted(tmp_path: Path) -> None:
    texts = ["불이 났어요.", " 불이  났어요. ", "", "119", "hello", "도와 주세요.", "도와 주세요."]
    (tmp_path / "calls.txt").write_text("\n".join(texts) + "\n", "utf-8")
    (tmp_path / "more.jsonl").write_text(json.dumps({"text": "집 \ud800"}) + "\n", "utf-8")
    arguments = BackTranslationArguments(
        [str(tmp_path / "calls.txt"), str(tmp_path / "more.jsonl")], output_dir=str(tmp_path / "corpus")
    )
    manifest = build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert {name: manifest["sentences"][name] for name in ("read", "blank", "without_hangul", "not_text")} == {
        "read": 8,
        "blank": 1,
        "without_hangul": 2,
        "not_text": 1,
    }
    assert (manifest["sentences"]["repeated"], manifest["sentences"]["remain"]) == (2, 2)
    assert manifest["sentences"]["origins"] == {"calls": 2}
    assert str(tmp_path) not in json.dumps(manifest)


def test_folder_of_something_else_is_refused(arguments: BackTranslationArguments) -> None:
    path = Path(arguments.output_dir, "thesis.txt")
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"found files but no manifest.json; name another --output_dir"):
        build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert path.read_text() == "mine"


def test_translations_without_a_manifest_are_kept(arguments: BackTranslationArguments) -> None:
    build_corpus(arguments, engines=[(WordSwapper(), 1)])
    Path(arguments.output_dir, "manifest.json").unlink()
    before = files(arguments.output_dir)
    with pytest.raises(ValueError, match="found files but no manifest"):
        build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert files(arguments.output_dir) == before


def test_a_second_run_is_refused(arguments: BackTranslationArguments) -> None:
    class Nested(WordSwapper):
        def translate(self, texts: Any, source: str, target: str) -> list[str]:
            with pytest.raises(RuntimeError, match="another process is writing it"):
                build_corpus(arguments, engines=[(WordSwapper(), 1)])
            chunk = Path(arguments.output_dir, "translations", "00000.parquet")
            if not chunk.exists():
                with pytest.raises(RuntimeError, match="another process is writing it"):
                    chunks.translate_chunk(chunk, chunk, [WordSwapper()], pivot="en", seed=7)
            return super().translate(texts, source, target)

    arguments.chunk_size = 1000
    build_corpus(arguments, engines=[(Nested(), 1)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": []}, "expected --sources"),
        ({"sources": ["nowhere.txt"]}, "nowhere.txt: no such file"),
        ({"engines": []}, "expected --engines"),
        ({"engines": ["bing"]}, "expected an engine of the kind"),
        ({"engines": ["google", "google"]}, "found google twice; add ,name="),
        ({"engines": ["google,weight=0"]}, "expected weight to be a number above 0, found 0"),
        ({"engines": ["google,speed=9"]}, "options of google are"),
        ({"on_bad_rows": "ignore"}, "expected on_bad_rows to be raise or skip"),
        ({"chunk_size": 0}, "expected chunk_size to be 1 or more"),
        ({"data_dir": None}, "expected data_dir, your data folder"),
        ({"data_dir": "/nowhere"}, "expected data_dir, your data folder"),
    ],
)
def test_bad_options(arguments: BackTranslationArguments, change: dict[str, Any], message: str) -> None:
    chosen = BackTranslationArguments(**{**vars(arguments), "engines": ["google"], **change})
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build_corpus(chosen)
    assert not Path(arguments.output_dir, "manifest.json").exists()


def test_similarity_needs_a_model(arguments: BackTranslationArguments) -> None:
    with pytest.raises(ValueError, match="min_similarity: expected a --semantic_model"):
        build_corpus(arguments, Thresholds(min_similarity=0.5), engines=[(WordSwapper(), 1)])


def test_a_source_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "calls.txt").write_bytes("불이 났어요.\n".encode("cp949"))
    arguments = BackTranslationArguments([str(tmp_path / "calls.txt")], output_dir=str(tmp_path / "corpus"))
    with pytest.raises(ValueError, match=r"calls.txt, line 1: expected UTF-8"):
        build_corpus(arguments, engines=[(WordSwapper(), 1)])
    assert not Path(arguments.output_dir, "manifest.json").exists()


def test_estimate_counts_characters(arguments: BackTranslationArguments) -> None:
    engines = [(WordSwapper(price=Price(20, "USD")), 1)]
    (only,) = estimate(arguments, engines=engines)
    characters = sum(map(len, SENTENCES))
    assert (only.sentences, only.characters, only.back) == (len(SENTENCES), characters, 2 * characters)
    assert only.cost == pytest.approx(3 * characters * 20 / 1e6)
    assert not Path(arguments.output_dir).exists()


def test_command_says_the_cost(arguments: BackTranslationArguments, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    options = ["--sources", "question_pair", "--data_dir", str(arguments.data_dir), "--engines", "google", "--dry_run"]
    assert main(["back-translate", *options, "--output_dir", arguments.output_dir]) == 0
    shown = capsys.readouterr().out
    assert "540" in shown
    assert "USD" in shown
    assert not Path(arguments.output_dir).exists()


def test_export_says_how_it_was_made(arguments: BackTranslationArguments, tmp_path: Path) -> None:
    manifest = build_corpus(arguments, engines=[(WordSwapper(), 1)])
    export_dataset("ko_backtranslation", str(tmp_path / "export"), data_dir=arguments.output_dir, config="all")
    card = (tmp_path / "export" / "README.md").read_text("utf-8")
    assert "swapper" in card
    assert f"| dropped: identical | {manifest['result']['dropped']['identical']:,} |" in card
    assert str(tmp_path) not in card
    rows = load_dataset(str(tmp_path / "export"), "all", split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.num_rows == manifest["result"]["pairs"]


@pytest.mark.parametrize("line", [b"5\n", b"[" * 99_999 + b"\n", b'[["a", 0], [5]]\n'])
def test_a_line_of_the_journal_that_is_none_ends_it(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    with chunks._Journal(path) as journal:
        journal.add(["a"], ["물"])
    path.write_bytes(path.read_bytes() + line)
    with chunks._Journal(path) as journal:
        assert journal.answer(["a"], 1) == ["물"]
        assert journal.answer(["a", 0], 1) is None
