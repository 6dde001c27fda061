"""The two loading scripts, and their names in `datasets`."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from datasets import get_dataset_config_names, get_dataset_default_config_name, load_dataset

import kgloss_hf
from kgloss_hf import plugin
from kgloss_hf.glosses import GLOSS_TYPES, PLACEHOLDERS, placeholder_of

PACKAGE = Path(kgloss_hf.__file__).parent
SCRIPTS = plugin.artefact("dataset_scripts")
MCKSG = SCRIPTS / "mcksg"
RUNS_SCRIPTS = int(datasets.__version__.partition(".")[0]) < 4
WARNING = "not the MCKSG corpus"

GLOSSES = "Gloss level Korean Sign Language (GKSL) sentence"
TEXT = "Word level Korean Language (WKL) sentence"
HEADER = f"dataset,video_num,question_w_q_morph,question,{GLOSSES},{TEXT}\r\n"
ROWS = "KETI-Emergency,,,FALSE,집  불,집에 불이 났어요.\r\nNIA-2020,3,,TRUE,버스 어디 ,버스는 어디서 타요?\r\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left in the home directory; HF_MODULES_CACHE is of the script era only."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", str(tmp_path / "modules"), raising=False)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return load_dataset("mcksg", split="train", cache_dir=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def gksl(tmp_path: Path) -> Callable[..., str]:
    """Writes a GKSL file into a folder, which it returns."""

    def write(content: str, name: str = "GKSL3k_original.csv", encoding: str = "utf-8-sig") -> str:
        folder = tmp_path / "gksl_data"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content.encode(encoding))
        return str(folder)

    return write


def run(code: str, tmp_path: Path, path: Path | str = PACKAGE.parent) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter whose Hugging Face caches are in tmp_path."""
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(path)}
    env.pop("HF_DATASETS_CACHE", None)
    result = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


# mcksg


def test_mcksg_has_the_promised_features_and_rows(sample: datasets.Dataset) -> None:
    assert sample.num_rows == 357
    assert list(sample.features) == ["id", "text", "glosses", "gloss_types", "source"]
    for name in ("id", "text", "source"):
        assert sample.features[name] == datasets.Value("string")
    assert sample.features["glosses"].feature == datasets.Value("string")
    assert sample.features["gloss_types"].feature.names == [*GLOSS_TYPES, "unknown"]
    assert sample[0] == {
        "id": "mcksg-sample-0001",
        "text": "우리 박물관에 오신 여러분을 환영합니다.",
        "glosses": ["우리", "박물관", "여러분", "오다", "환영"],
        "gloss_types": [0, 0, 0, 0, 0],
        "source": "sample",
    }
    assert sample.info.license == "apache-2.0"


def test_mcksg_sample_ids_and_pairs_are_unique(sample: datasets.Dataset) -> None:
    assert len(set(sample["id"])) == sample.num_rows
    assert len({(row["text"], *row["glosses"]) for row in sample}) == sample.num_rows
    assert set(sample["source"]) == {"sample"}
    assert all(row["text"].strip() and row["glosses"] and all(row["glosses"]) for row in sample)


def test_mcksg_lexicon_covers_every_gloss_once(sample: datasets.Dataset) -> None:
    with open(MCKSG / "lexicon.csv", encoding="utf-8", newline="") as file:
        entries = [row["gloss"] for row in csv.DictReader(file)]
    assert entries == sorted(set(entries))
    assert set(entries) == {placeholder_of(gloss) for row in sample for gloss in row["glosses"]}
    types = Counter(sample.features["gloss_types"].feature.int2str(t) for row in sample for t in row["gloss_types"])
    assert set(types) == set(GLOSS_TYPES)
    assert all(len(row["glosses"]) == len(row["gloss_types"]) for row in sample)


def test_mcksg_placeholder_contents_stand_in_the_text(sample: datasets.Dataset) -> None:
    for row in sample:
        for gloss in row["glosses"]:
            head, _, content = gloss.partition("/")
            if head in PLACEHOLDERS:
                assert content
                assert re.sub(r"^(\d+)C$", r"\1세기", content) in row["text"], row["id"]


def test_mcksg_card_counts_what_is_in_the_files(sample: datasets.Dataset) -> None:
    card = (MCKSG / "README.md").read_text(encoding="utf-8")
    names = sample.features["gloss_types"].feature.int2str
    tokens = [(g, names(t)) for row in sample for g, t in zip(row["glosses"], row["gloss_types"], strict=True)]
    table = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d,]+) \|", card, flags=re.MULTILINE)
    assert {name: (int(different), int(count.replace(",", ""))) for name, different, count in table} == {
        name: (
            len({placeholder_of(gloss) for gloss, found in tokens if found == name}),
            sum(found == name for _, found in tokens),
        )
        for name in GLOSS_TYPES
    }
    different = len({placeholder_of(gloss) for gloss, _ in tokens})
    sentences = len(set(sample["text"]))
    assert f"{sample.num_rows} pairs of a Korean sentence" in card
    assert f"{sentences} different sentences, {len(tokens):,} gloss tokens, {different} different glosses" in card


def test_mcksg_gloss_outside_the_lexicon_has_the_type_unknown(tmp_path: Path) -> None:
    sample, lexicon = tmp_path / "sample.jsonl", tmp_path / "lexicon.csv"
    glosses = ["집", "도깨비", "Number/4C", "Alpha/QR"]
    sample.write_text(json.dumps({"id": "1", "text": "4세기", "glosses": glosses, "source": "sample"}))
    lexicon.write_text("gloss,type\n집,sign_word\nNumber,fingerspelled_number\n", encoding="utf-8")
    builder = importlib.import_module("kgloss_hf.dataset_scripts.mcksg.mcksg").Mcksg()
    [(key, row)] = builder._generate_examples(str(sample), str(lexicon))
    assert key == "1"
    assert row["gloss_types"] == ["sign_word", "unknown", "fingerspelled_number", "unknown"]


# names in `datasets`


def test_importing_kgloss_hf_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import kgloss_hf, sys; print({'torch', 'datasets', 'transformers', 'jpype'} & set(sys.modules))"
    assert run(code, tmp_path).stdout.strip() == "set()"


@pytest.mark.parametrize(
    "imports",
    ["import kgloss_hf\nfrom datasets import load_dataset", "from datasets import load_dataset\nimport kgloss_hf"],
    ids=["kgloss_hf first", "datasets first"],
)
def test_order_of_imports_does_not_matter_and_the_warning_comes_once(imports: str, tmp_path: Path) -> None:
    code = f"{imports}\nfor _ in range(2): print(load_dataset('mcksg', split='train').num_rows)"
    first, cached = run(code, tmp_path), run(code, tmp_path)
    for result in (first, cached):
        assert result.stdout.split() == ["357", "357"]
        assert result.stderr.count(WARNING) == 1


def test_hook_leaves_the_module_its_own_loader(tmp_path: Path) -> None:
    code = (
        "import kgloss_hf, datasets; print(type(datasets.__loader__).__name__, type(datasets.__spec__.loader).__name__)"
    )
    assert run(code, tmp_path).stdout.split() == ["SourceFileLoader"] * 2


def test_when_imported_calls_back_after_the_module_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kgloss_probe.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []
    for _ in range(2):
        plugin._when_imported("kgloss_probe", lambda: seen.append(sys.modules["kgloss_probe"].value))
    assert importlib.util.find_spec("kgloss_probe") is not None
    assert seen == []
    module = importlib.import_module("kgloss_probe")
    assert seen == [1, 1]
    importlib.reload(module)
    assert seen == [1, 1]
    plugin._when_imported("kgloss_probe", lambda: seen.append("now"))
    assert seen == [1, 1, "now"]


def test_when_imported_survives_a_failing_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = tmp_path / "kgloss_failing_probe.py"
    probe.write_text("raise OSError('first time')\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []
    plugin._when_imported("kgloss_failing_probe", lambda: seen.append(True))
    with pytest.raises(OSError, match="first time"):
        importlib.import_module("kgloss_failing_probe")
    assert seen == []
    probe.write_text("# now it is well\n")
    importlib.invalidate_caches()
    importlib.import_module("kgloss_failing_probe")
    assert seen == [True]


def test_registration_is_idempotent() -> None:
    load, inspect = importlib.import_module("datasets.load"), importlib.import_module("datasets.inspect")
    before = load.dataset_module_factory, inspect.dataset_module_factory, list(sys.meta_path)
    plugin.register()
    plugin.register_datasets()
    assert (load.dataset_module_factory, inspect.dataset_module_factory, list(sys.meta_path)) == before


def test_configurations_are_listed() -> None:
    assert get_dataset_config_names("mcksg") == ["sample"]
    assert get_dataset_config_names("gksl") == ["original", "augmented"]
    assert get_dataset_default_config_name("gksl") == "original"


def test_streaming(sample: datasets.Dataset) -> None:
    stream = load_dataset("mcksg", split="train", streaming=True)
    assert stream.features == sample.features
    assert list(stream) == list(sample)


def test_num_proc() -> None:
    assert load_dataset("mcksg", "sample", split="train", num_proc=2).num_rows == 357


def test_trust_remote_code_is_taken_as_in_the_script_era() -> None:
    assert load_dataset("mcksg", split="train", trust_remote_code=True).num_rows == 357


def test_a_fresh_process_unpickles_the_builder(tmp_path: Path) -> None:
    file = tmp_path / "stream.pickle"
    file.write_bytes(pickle.dumps(load_dataset("mcksg", split="train", streaming=True)))
    code = f"import pickle; print(next(iter(pickle.load(open({str(file)!r}, 'rb'))))['id'])"
    assert run(code, tmp_path).stdout.strip() == "mcksg-sample-0001"


def test_loading_writes_nothing_beside_the_scripts(tmp_path: Path) -> None:
    code = "import kgloss_hf; from datasets import load_dataset; print(load_dataset('mcksg', split='train').num_rows)"
    copy = tmp_path / "checkout"
    shutil.copytree(PACKAGE, copy / "kgloss_hf")
    shutil.copytree(SCRIPTS, copy / "dataset_scripts")
    before = {file for file in copy.rglob("*") if "__pycache__" not in file.parts}
    assert run(code, tmp_path, path=copy).stdout.strip() == "357"
    assert {file for file in copy.rglob("*") if "__pycache__" not in file.parts} == before


def test_local_folder_keeps_precedence_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mcksg").mkdir()
    (tmp_path / "mcksg" / "train.jsonl").write_text('{"mine": 1}\n')
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING, logger="kgloss_hf"):
        assert load_dataset("mcksg", split="train")[0] == {"mine": 1}
    assert "rename the folder" in caplog.text


def test_our_own_folder_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SCRIPTS)
    assert load_dataset("mcksg", split="train").num_rows == 357


def test_other_names_go_to_datasets(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"mine": 1}\n')
    assert load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), split="train")[0] == {"mine": 1}


def test_fingerprint_follows_script_data_and_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SCRIPTS, tmp_path / "dataset_scripts")
    monkeypatch.setattr(plugin, "artefact", tmp_path.joinpath)
    fingerprints = [plugin._fingerprint("mcksg", None)]
    for name in ("sample.jsonl", "lexicon.csv", "mcksg.py"):
        with open(tmp_path / "dataset_scripts" / "mcksg" / name, "a") as file:
            file.write("\n")
        fingerprints.append(plugin._fingerprint("mcksg", None))
    monkeypatch.setattr(datasets, "__version__", "99.0.0")
    fingerprints.append(plugin._fingerprint("mcksg", None))
    assert len(set(fingerprints)) == 5
    assert plugin._fingerprint("mcksg", None) == fingerprints[-1]


# scripts by path


def test_script_by_path(tmp_path: Path, gksl: Callable[..., str]) -> None:
    if not RUNS_SCRIPTS:
        pytest.skip("datasets 4 and later run no scripts")
    code = f"""
from datasets import load_dataset
for folder, data_dir in (({str(MCKSG)!r}, None), ({str(SCRIPTS / "gksl")!r}, {gksl(HEADER + ROWS)!r})):
    print(load_dataset(folder, data_dir=data_dir, split="train", trust_remote_code=True).num_rows)
"""
    result = run(code, tmp_path, path="")
    assert result.stdout.split() == ["357", "2"]
    assert result.stderr.count(WARNING) == 1


def test_script_by_path_is_refused() -> None:
    if RUNS_SCRIPTS:
        pytest.skip("datasets before 4 run scripts")
    with pytest.raises(RuntimeError, match="no longer supported"):
        load_dataset(str(MCKSG))


def test_builders_need_neither_kgloss_hf_nor_a_working_directory(tmp_path: Path, gksl: Callable[..., str]) -> None:
    code = f"""
import gksl, mcksg, sys
for builder in (mcksg.Mcksg(), gksl.Gksl(data_dir={gksl(HEADER + ROWS)!r})):
    builder.download_and_prepare()
    print(builder.as_dataset(split="train").num_rows)
print([name for name in sys.modules if name.startswith("kgloss_hf")])
"""
    copy = shutil.copytree(SCRIPTS, tmp_path / "scripts")
    result = run(code, tmp_path, path=os.pathsep.join([str(copy / "mcksg"), str(copy / "gksl")]))
    assert result.stdout.split() == ["357", "2", "[]"]


# gksl


def test_gksl_rows(gksl: Callable[..., str]) -> None:
    rows = load_dataset("gksl", data_dir=gksl(HEADER + ROWS), split="train")
    assert list(rows) == [
        {"id": "original-1", "text": "집에 불이 났어요.", "glosses": ["집", "불"], "source": "KETI-Emergency"},
        {"id": "original-2", "text": "버스는 어디서 타요?", "glosses": ["버스", "어디"], "source": "NIA-2020"},
    ]
    assert rows.info.license == "CC BY-NC-SA 4.0"


def test_gksl_augmented_streamed(gksl: Callable[..., str]) -> None:
    content = f"augmentation_method,idx,{GLOSSES},{TEXT}\r\nSR,1,집 불,댁에 불이 났어요.\r\n"
    folder = gksl(content, "GKSL13k_augmented.csv")
    stream = load_dataset("gksl", "augmented", data_dir=folder, split="train", streaming=True)
    assert list(stream) == [{"id": "augmented-1", "text": "댁에 불이 났어요.", "glosses": ["집", "불"], "source": "SR"}]


def test_gksl_changed_file_is_read_again(gksl: Callable[..., str]) -> None:
    assert load_dataset("gksl", data_dir=gksl(HEADER + ROWS), split="train").num_rows == 2
    changed = gksl(HEADER + ROWS + "NIA-2020,4,,TRUE,어디,어디예요?\r\n")
    assert load_dataset("gksl", data_dir=changed, split="train").num_rows == 3


def test_gksl_without_data_dir_says_where_the_data_are() -> None:
    with pytest.raises(ValueError, match=r"GKSL3k_original.csv.*AIRC-KETI/GKSL-dataset.*20df791.*data_dir="):
        load_dataset("gksl")


def test_gksl_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"GKSL13k_augmented.csv.*AIRC-KETI/GKSL-dataset"):
        load_dataset("gksl", "augmented", data_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        ("", "utf-8", "original.csv: .*found an empty file"),
        (HEADER, "utf-8-sig", "original.csv: expected rows below the header"),
        (HEADER.replace(GLOSSES, "glosses") + ROWS, "utf-8-sig", r"expected a column 'Gloss level.*found.*'glosses'"),
        (HEADER + ROWS + "NIA-2020,,,, ,문장\r\n", "utf-8-sig", "row 3, column 'Gloss level.*expected glosses"),
        (HEADER + ROWS + "NIA-2020,,,,집 불,\r\n", "utf-8-sig", "row 3, column 'Word level.*expected a sentence"),
        (HEADER + ROWS + "NIA-2020,,\r\n", "utf-8-sig", "row 3, column 'Gloss level.*expected glosses"),
        (HEADER + "NIA-2020,,,,집 불,네, 집이요\r\n", "utf-8-sig", "row 1: expected 6 columns, found 7"),
        (HEADER + ROWS, "cp949", "original.csv, line 2: expected UTF-8, found the byte 0xc1"),
        (
            HEADER + 'NIA-2020,,,,집 불,"집이요\r\n' + ROWS,
            "utf-8-sig",
            "after line 1: expected CSV, found: unexpected end",
        ),
    ],
    ids=["empty", "no rows", "column", "no glosses", "no text", "short row", "comma", "encoding", "open quotation"],
)
def test_gksl_bad_file_is_named_with_place_and_repair(
    content: str, encoding: str, message: str, gksl: Callable[..., str]
) -> None:
    with pytest.raises(ValueError, match=f"{message}.*AIRC-KETI/GKSL-dataset"):
        load_dataset("gksl", data_dir=gksl(content, encoding=encoding))


@pytest.mark.parametrize(("name", "rows"), [("original", 2585), ("augmented", 12700)])
def test_gksl_files_as_published(name: str, rows: int) -> None:
    if "KGLOSS_DATA" not in os.environ:
        pytest.skip("KGLOSS_DATA, the folder with public data, is not set")
    folder = os.path.join(os.environ["KGLOSS_DATA"], "gksl")
    train = load_dataset("gksl", name, data_dir=folder, split="train")
    assert train.num_rows == rows
    assert all(row["glosses"] and row["text"] for row in train)


def test_gksl_card_says_licence_and_that_no_data_are_shipped() -> None:
    card = (SCRIPTS / "gksl" / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-nc-sa-4.0" in card
    assert "data are not shipped" in card
    assert sorted(file.name for file in (SCRIPTS / "gksl").iterdir() if file.is_file()) == ["README.md", "gksl.py"]
