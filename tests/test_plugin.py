"""Tests of our data sets in `datasets`, by name, and of their scripts by path."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import evaluate
import pytest
from datasets import get_dataset_config_names, get_dataset_default_config_name, load_dataset

import kgloss_hf
from kgloss_hf import plugin

PACKAGE = Path(kgloss_hf.__file__).parent
SCRIPTS = plugin.artefact("dataset_scripts")
MCKSG = SCRIPTS / "mcksg"
RUNS_SCRIPTS = int(datasets.__version__.partition(".")[0]) < 4
WARNING = "not the MCKSG corpus"

GKSL_GLOSSES = "Gloss level Korean Sign Language (GKSL) sentence"
GKSL_TEXT = "Word level Korean Language (WKL) sentence"

pytestmark = pytest.mark.usefixtures("cache")


def run(code: str, tmp_path: Path, path: Path | str = PACKAGE.parent) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter with the Hugging Face caches in tmp_path."""
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(path)}
    env.pop("HF_DATASETS_CACHE", None)
    result = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


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
    code = f"{imports}\nfor _ in range(2): print(load_dataset('mcksg', split='train+test').num_rows)"
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
    assert (load.dataset_module_factory, inspect.dataset_module_factory, list(sys.meta_path)) == before


def test_configurations_are_listed() -> None:
    assert get_dataset_config_names("mcksg") == ["sample", "full"]
    assert get_dataset_config_names("gksl") == ["original", "augmented"]
    assert get_dataset_default_config_name("mcksg") == "sample"
    assert get_dataset_default_config_name("gksl") == "original"


def test_streaming() -> None:
    plain, streams = load_dataset("mcksg"), load_dataset("mcksg", streaming=True)
    assert list(streams) == list(plain) == ["train", "test"]
    for name, stream in streams.items():
        assert stream.features == plain[name].features
        assert list(stream) == list(plain[name])


def test_num_proc() -> None:
    assert load_dataset("mcksg", "sample", num_proc=2).num_rows == {"train": 249, "test": 108}


def test_trust_remote_code_is_taken_as_in_the_script_era() -> None:
    assert load_dataset("mcksg", split="train+test", trust_remote_code=True).num_rows == 357


OWN = "own.csv"
OTHER_FEATURES = datasets.Features({"text": datasets.Value("string")})


@pytest.mark.parametrize("name", plugin.DATASETS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data_files": OWN}, ValueError, r"NAME: expected no data_files, found 'own.csv'.*'NAME', data_dir='FOLDER'"),
        ({"data_files": [OWN]}, ValueError, "NAME: expected no data_files, found"),
        ({"data_files": {"train": OWN}}, ValueError, "NAME: expected no data_files, found"),
        ({"data_files": "*.csv"}, ValueError, "NAME: expected no data_files, found"),
        ({"data_files": "nowhere.csv"}, ValueError, "NAME: expected no data_files, found"),
        ({"data_files": OWN, "data_dir": "."}, ValueError, "NAME: expected no data_files, found"),
        ({"data_files": OWN, "streaming": True}, ValueError, "NAME: expected no data_files, found"),
        ({"data_dir": OWN}, NotADirectoryError, "data_dir: expected a folder, found the file own.csv"),
        ({"data_dir": ""}, ValueError, "data_dir: expected the path of a folder, found ''"),
        ({"data_dir": ["."]}, ValueError, "data_dir: expected the path of a folder"),
        ({"revision": "v0"}, ValueError, "NAME comes with kgloss-hf .* no other revision, found 'v0'"),
        ({"lexicom": "x"}, ValueError, "NAME: no such option: lexicom; the options are on_bad_rows,"),
        ({"lexicom": None}, ValueError, "NAME: no such option: lexicom"),
        ({"files": OWN}, ValueError, "NAME: no such option: files"),
        ({"version": "9.9.9", "description": "x"}, ValueError, "NAME: no such option: description, version"),
    ],
)
def test_no_argument_is_ignored(
    name: str,
    options: dict[str, object],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / OWN).write_text("text,glosses\n집,집\n", "utf-8")
    with pytest.raises(error, match=message.replace("NAME", name)):
        load_dataset(name, **options)


def test_features_are_refused_where_they_would_only_be_declared() -> None:
    assert load_dataset("mcksg", split="train", features=OTHER_FEATURES).column_names == ["text"]
    with pytest.raises(ValueError, match="mcksg: features: expected none with streaming, found some"):
        load_dataset("mcksg", streaming=True, features=OTHER_FEATURES)


@pytest.mark.parametrize("seed", ["1", 1.5, -1])
def test_seed_of_the_split(seed: object) -> None:
    with pytest.raises(ValueError, match="split_seed: expected a whole number of at least 0, found"):
        load_dataset("mcksg", split_seed=seed)


def test_script_by_path_refuses_the_same(tmp_path: Path) -> None:
    if not RUNS_SCRIPTS:
        pytest.skip("datasets 4 and later run no scripts")
    (tmp_path / OWN).write_text("text,glosses\n집,집\n", "utf-8")
    code = (
        "from datasets import load_dataset\n"
        "for options in ({'data_files': 'own.csv'}, {'x': 1}):\n"
        f"    try: load_dataset({str(MCKSG)!r}, trust_remote_code=True, **options)\n"
        "    except ValueError as error: print(error)"
    )
    first, second = run(code, tmp_path).stdout.splitlines()
    assert first.startswith("mcksg: expected no data_files, found 'own.csv'")
    assert second.startswith("mcksg: no such option: x")


def test_nothing_is_written_into_the_card() -> None:
    if not RUNS_SCRIPTS:
        pytest.skip("datasets 4 and later write no infos")
    card = (MCKSG / "README.md").read_bytes()
    with pytest.raises(ValueError, match="save_infos: expected False"):
        load_dataset("mcksg", save_infos=True)
    assert (MCKSG / "README.md").read_bytes() == card


def test_a_fresh_process_unpickles_the_builder(tmp_path: Path) -> None:
    file = tmp_path / "stream.pickle"
    file.write_bytes(pickle.dumps(load_dataset("mcksg", split="train", split_by="none", streaming=True)))
    code = f"import pickle; print(next(iter(pickle.load(open({str(file)!r}, 'rb'))))['id'])"
    assert run(code, tmp_path).stdout.strip() == "mcksg-sample-0001"


def test_loading_writes_nothing_beside_the_scripts(tmp_path: Path) -> None:
    code = "import kgloss_hf; from datasets import load_dataset; print(load_dataset('mcksg', split='train').num_rows)"
    copy = tmp_path / "checkout"
    shutil.copytree(PACKAGE, copy / "kgloss_hf")
    shutil.copytree(SCRIPTS, copy / "dataset_scripts")
    before = {file for file in copy.rglob("*") if "__pycache__" not in file.parts}
    assert run(code, tmp_path, path=copy).stdout.strip() == "249"
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
    assert load_dataset("mcksg", split="train").num_rows == 249


def test_the_metric_loads_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    metric = evaluate.load("gloss_jaccard", cache_dir=str(tmp_path / "cache"))
    scores = metric.compute(predictions=[["집", "불"]], references=[["집", "물", "불"]])
    assert round(scores["jaccard"], 2) == 66.67
    with pytest.raises(
        ValueError, match="^gloss_jaccard comes with kgloss-hf .* and has no other revision, found 'v1'"
    ):
        evaluate.load("gloss_jaccard", revision="v1")
    (tmp_path / "gloss_jaccard").mkdir()
    ours = (plugin.artefact("metric_scripts/gloss_jaccard") / "gloss_jaccard.py").read_text("utf-8")
    mine = ours.replace("Mean Jaccard score", "My own score", 1)
    (tmp_path / "gloss_jaccard" / "gloss_jaccard.py").write_text(mine, "utf-8")
    assert "My own score" in evaluate.load("gloss_jaccard", cache_dir=str(tmp_path / "cache")).description


def test_other_names_go_to_datasets(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"mine": 1}\n')
    assert load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), split="train")[0] == {"mine": 1}


def test_fingerprint_follows_script_data_and_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SCRIPTS, tmp_path / "dataset_scripts")
    monkeypatch.setattr(plugin, "artefact", tmp_path.joinpath)
    fingerprints = [plugin._fingerprint("mcksg")]
    for name in ("sample.jsonl", "lexicon.csv", "mcksg.py"):
        with open(tmp_path / "dataset_scripts" / "mcksg" / name, "a") as file:
            file.write("\n")
        fingerprints.append(plugin._fingerprint("mcksg"))
    monkeypatch.setattr(datasets, "__version__", "99.0.0")
    fingerprints.append(plugin._fingerprint("mcksg"))
    assert len(set(fingerprints)) == 5
    assert plugin._fingerprint("mcksg") == fingerprints[-1]


# scripts by path


ROWS = (
    "from datasets import load_dataset\n"
    "parts = load_dataset({path!r}, data_dir={data_dir!r}, {options})\n"
    "for name, rows in parts.items():\n"
    "    for row in rows: print(name, row['id'], row['text'], row['glosses'])"
)


@pytest.mark.parametrize(
    ("name", "file", "header"),
    [
        ("mcksg", None, ""),
        ("mcksg", "pairs.csv", "glosses,text"),
        ("gksl", "GKSL3k_original.csv", f"dataset,{GKSL_GLOSSES},{GKSL_TEXT}"),
    ],
)
def test_script_by_path_gives_what_the_name_gives(name: str, file: str | None, header: str, tmp_path: Path) -> None:
    if not RUNS_SCRIPTS:
        pytest.skip("datasets 4 and later run no scripts")
    data_dir = None
    if file is not None:
        data_dir = str(tmp_path / "data")
        (tmp_path / "data").mkdir()
        lines = [header, *(f"{'NIA,' * (name == 'gksl')}글로스{i},문장 {i}" for i in range(20))]
        (tmp_path / "data" / file).write_text("\n".join(lines), "utf-8")
    by_name = ROWS.format(path=name, data_dir=data_dir, options="")
    by_path = ROWS.format(path=str(SCRIPTS / name), data_dir=data_dir, options="trust_remote_code=True")
    expected, actual = run(f"import kgloss_hf\n{by_name}", tmp_path), run(by_path, tmp_path)
    assert actual.stdout == expected.stdout
    assert actual.stdout.count("\n") == (20 if file else 357)
    assert actual.stderr.count(WARNING) == (0 if file else 1)


def test_script_by_path_is_refused() -> None:
    if RUNS_SCRIPTS:
        pytest.skip("datasets before 4 run scripts")
    with pytest.raises(RuntimeError, match="no longer supported"):
        load_dataset(str(MCKSG))
