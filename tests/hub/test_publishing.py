"""Publishing to a local Hub, and loading from it with stock clients."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import HfApi, ModelCard
from transformers import pipeline

import kgloss_hf
from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.hub import publishing
from kgloss_hf.hub.checking import check_folder
from kgloss_hf.hub.dataset_export import export_dataset
from kgloss_hf.hub.provenance import source_of
from kgloss_hf.hub.publishing import KINDS, Publication, _stage, check_access, dry_run, publish
from kgloss_hf.training import run as training
from tests.command_server import Forks
from tests.environments import ROOT
from tests.environments import run as run_command
from tests.local_hub import LocalHub

REPOSITORIES = {
    "model": ("model", "tester/glosses"),
    "tokenizer": ("model", "tester/vocabulary"),
    "dataset": ("dataset", "tester/mcksg"),
    "metric": ("space", "tester/gloss_jaccard"),
    "space": ("space", "tester/demo"),
}


@contextmanager
def _hub(home: Path, analysed: str) -> Iterator[LocalHub]:
    """Run an empty Hub for this process and its children, with a token that may write."""
    with LocalHub() as served, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HF_")]:
            patch.delenv(name)
        for name, value in (served.environment(home, served.token) | {"KGLOSS_OKT_CACHE": analysed}).items():
            patch.setenv(name, value)
        # The library has read its environment already.
        patch.setattr(huggingface_hub.constants, "ENDPOINT", served.endpoint)
        patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        yield served


@pytest.fixture
def hub(tmp_path: Path, analysed: str) -> Iterator[LocalHub]:
    with _hub(tmp_path / "home", analysed) as served:
        yield served


@dataclass
class Everything:
    """One of each kind on a Hub, published with the tag v1 after a dry run, and the command's output."""

    hub: LocalHub
    dry: Path
    asked_of_the_hub_by_the_dry_run: int
    listed: str
    printed: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Path:
    """Train on the bundled sample, and return the result's folder."""
    output = tmp_path_factory.mktemp("run")
    options = ["--num_train_epochs=2", f"--output_dir={output}", "--preset=tiny"]
    done = forks.example("run_text2gloss.py", *options, cwd=output)
    assert done.returncode == 0, done.stderr[-3000:]
    return output / "model"


@pytest.fixture(scope="module")
def publications(run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Publication]:
    """Return a publication of each kind."""
    root = tmp_path_factory.mktemp("sources")
    export_dataset("mcksg", str(root / "mcksg"))
    assert main(["train-tokenizer", "--dataset", "mcksg", "--output_dir", str(root / "tokenizer")]) == 0
    sources = {
        "model": str(run),
        "tokenizer": str(root / "tokenizer"),
        "dataset": str(root / "mcksg"),
        "space": "tester/glosses",
    }
    return [Publication(kind, repo_id, sources.get(kind, "")) for kind, (_, repo_id) in REPOSITORIES.items()]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _uploaded(hub: LocalHub, repo_type: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
    files = hub.files(repo_type, repo_id, revision)
    return {name: data for name, data in files.items() if name != ".gitattributes"}


def _of(publications: list[Publication], *kinds: str) -> list[Publication]:
    return [publication for publication in publications if publication.kind in kinds]


def _with_lines(publication: Publication, folder: Path, **lines: str) -> Publication:
    """Copy a model to a folder of its own, with lines of its card replaced."""
    shutil.copytree(publication.source, folder)
    card = (folder / "README.md").read_text("utf-8")
    for name, line in lines.items():
        card = re.sub(rf"^{name}: .*$", line, card, flags=re.MULTILINE)
    (folder / "README.md").write_text(card, "utf-8")
    return Publication(publication.kind, publication.repo_id, str(folder))


@pytest.fixture(scope="module")
def everything(
    publications: list[Publication], analysed: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Everything]:
    folder = tmp_path_factory.mktemp("everything")
    words = [word for p in publications for word in (f"--{p.kind}", p.repo_id, *([p.source] if p.source else []))]
    with _hub(folder / "home", analysed) as served:
        printed = []
        asked = []
        for options in (["--dry-run", str(folder / "dry")], []):
            with redirect_stdout(io.StringIO()) as output, redirect_stderr(output):
                assert main(["publish", *words, "--tag", "v1", *options]) == 0
            printed.append(output.getvalue())
            asked.append(len(served.requests))
        yield Everything(served, folder / "dry", asked[0], *printed)


def test_what_is_uploaded_is_what_the_dry_run_wrote(everything: Everything) -> None:
    assert everything.asked_of_the_hub_by_the_dry_run == 0
    hub = everything.hub
    assert hub.token not in everything.listed + everything.printed
    for repo_type, repo_id in REPOSITORIES.values():
        written = _contents(everything.dry / f"{repo_type}s" / repo_id)
        assert written
        assert _uploaded(hub, repo_type, repo_id) == _uploaded(hub, repo_type, repo_id, "v1") == written
        assert all(f"\n  {name}\n" in everything.listed for name in written)
        assert len(hub.commits(repo_type, repo_id)) == 2  # the new repository's own, and ours
        assert hub.repos[repo_type, repo_id].private
    assert "tester/glosses: JC " in everything.printed
    assert "predictions that differ: 0" in everything.printed


def test_cards_name_the_repository_and_pin_the_tag(everything: Everything) -> None:
    for kind, (repo_type, repo_id) in REPOSITORIES.items():
        text = everything.hub.files(repo_type, repo_id)["README.md"].decode()
        assert "NAMESPACE/NAME" not in text
        assert "COMMIT" not in text
        assert repo_id in text or kind == "space"
        runs_code = [line for line in text.splitlines() if "trust_remote_code=True" in line or "evaluate.load(" in line]
        pinned = [line for line in runs_code if repo_id in line]
        assert all('revision="v1"' in line for line in pinned)
        assert pinned or kind in ("dataset", "space")
        assert ModelCard(text).data.license
    assert everything.hub.requests.count(("POST", "/api/validate-yaml")) == len(REPOSITORIES)
    assert source_of("tester/mcksg")["license"] == "apache-2.0"  # read from its card, for training on it
    demo = everything.hub.files("space", "tester/demo")
    assert json.loads(demo["model.json"]) == {"model": "tester/glosses", "revision": "v1"}
    assert demo["requirements.txt"].decode().split() == [f"kgloss-hf=={kgloss_hf.__version__}", "gradio[mcp]"]


@pytest.mark.slow
def test_stranger_pulls_the_model(
    everything: Everything, publications: list[Publication], strangers_python: Path, tmp_path: Path
) -> None:
    hub = everything.hub
    code = """
import json, sys
from transformers import AutoTokenizer, pipeline
revision, texts = json.loads(sys.argv[1])
options = {"revision": revision, "trust_remote_code": True}
answers = pipeline(model="tester/glosses", **options)(texts)
tokenizers = [AutoTokenizer.from_pretrained(f"tester/{name}", **options) for name in ("glosses", "vocabulary")]
print(json.dumps([[answer["glosses"] for answer in answers], *(t(texts)["input_ids"] for t in tokenizers)]))
"""
    text_to_gloss = pipeline("text2text-generation", model=publications[0].source)
    vocabulary = type(text_to_gloss.tokenizer).from_pretrained(publications[1].source)
    expected = [
        [answer.glosses for answer in text_to_gloss(SENTENCES)],
        text_to_gloss.tokenizer(SENTENCES)["input_ids"],
        vocabulary(SENTENCES)["input_ids"],
    ]
    for revision in ("v1", "main"):
        command = [str(strangers_python), "-P", "-c", code, json.dumps([revision, SENTENCES])]
        done = run_command(*command, cwd=tmp_path, env=hub.environment(tmp_path / revision, hub.token))
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads(done.stdout.splitlines()[-1]) == expected
    refused = run_command(*command, cwd=tmp_path, env=hub.environment(tmp_path / "nobody", None))
    assert refused.returncode != 0  # it is private
    # The card's own code, without this package and with it.
    card = hub.files("model", "tester/glosses")["README.md"].decode()
    blocks = re.findall(r"^```python\n(.*?)^```", card, re.MULTILINE | re.DOTALL)
    assert ["kgloss_hf" in block for block in blocks] == [False, True]
    for block, python, path in zip(blocks, (strangers_python, sys.executable), ("", str(ROOT)), strict=True):
        variables = hub.environment(tmp_path / "card", hub.token) | {"PYTHONPATH": path}
        done = run_command(str(python), "-P", "-c", block, cwd=tmp_path, env=variables)
        assert done.returncode == 0, done.stderr[-3000:]
        assert (
            ast.literal_eval(done.stdout.splitlines()[-1]) == text_to_gloss("이 토기는 4세기에 만들어졌습니다.").glosses
        )


@pytest.mark.slow
def test_reader_pulls_data_set_and_metric(everything: Everything, readers_python: Path, tmp_path: Path) -> None:
    code = """
import json
import evaluate
from datasets import load_dataset
rows = load_dataset("tester/mcksg", revision="v1")
metric = evaluate.load("tester/gloss_jaccard", revision="v1")
score = metric.compute(predictions=[["집", "불"]], references=[["불", "집", "나다", "빨리"]])
print(json.dumps([{split: len(part) for split, part in rows.items()}, rows["train"][0]["glosses"], score["jaccard"]]))
"""
    # The metric needs kgloss-hf; the checkout replaces an installation.
    environment = everything.hub.environment(tmp_path / "reader", everything.hub.token) | {"PYTHONPATH": str(ROOT)}
    done = run_command(str(readers_python), "-P", "-c", code, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    sizes, glosses, score = json.loads(done.stdout.splitlines()[-1])
    assert sizes == {"train": 249, "test": 108}
    assert glosses
    assert all(isinstance(gloss, str) for gloss in glosses)
    assert score == 50.0


@pytest.mark.parametrize(
    ("request_to", "action", "error", "says"),
    [
        (("GET", "whoami"), 401, PermissionError, "hf auth login"),
        (("POST", "/commit/"), 403, PermissionError, "the token may not write there"),
        (("POST", "/commit/"), 409, ConnectionError, "someone else changed it"),
        (("POST", "/commit/"), 500, ConnectionError, "status 500"),
        (("POST", "/commit/"), "cut", ConnectionError, "no answer"),
        (("PUT", "/lfs-uploads/"), 403, PermissionError, "the token may not write there"),
        (("PUT", "/lfs-uploads/"), "cut", ConnectionError, "no answer"),
        (("POST", "/preupload/"), 429, ConnectionError, "too many requests"),
    ],
)
def test_failed_upload_leaves_the_last_commit_and_can_be_repeated(
    hub: LocalHub,
    publications: list[Publication],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_to: tuple[str, str],
    action: Any,
    error: type[Exception],
    says: str,
) -> None:
    where = ("dataset", "tester/mcksg")
    publish(_of(publications, "dataset"))
    first = _uploaded(hub, *where)
    changed = tmp_path / "changed"
    shutil.copytree(_of(publications, "dataset")[0].source, changed)
    rows = changed / "sample" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(rows).slice(1), rows)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client itself retries some requests
    fault = hub.fail(request_to, action, times=1000)
    with pytest.raises(error, match=says) as caught:
        publish([Publication("dataset", "tester/mcksg", str(changed))])
    assert fault.hits > 0
    assert hub.token not in str(caught.value)
    assert _uploaded(hub, *where) == first
    assert len(hub.commits(*where)) == 2
    fault.times = 0
    for _ in range(2):  # the second call has nothing new, so it makes no commit
        publish([Publication("dataset", "tester/mcksg", str(changed))])
        assert len(hub.commits(*where)) == 3
        assert _uploaded(hub, *where)["sample/train-00000-of-00001.parquet"] == rows.read_bytes()


def test_nothing_is_published_without_a_right_to(
    hub: LocalHub, publications: list[Publication], monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = _of(publications, "metric")
    for token, says in ((hub.read_token, "may not write there"), ("hf_" + "x" * 34, "hf auth login")):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(PermissionError, match=says) as caught:
            publish(metric)
        assert token not in str(caught.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PermissionError, match="hf auth login"):
        publish(metric)
    assert not hub.repos


def test_public_only_where_it_is_said(hub: LocalHub, publications: list[Publication]) -> None:
    metric = _of(publications, "metric")
    publish(metric)
    assert hub.repos["space", "tester/gloss_jaccard"].private
    publish(metric, public=True)
    assert not hub.repos["space", "tester/gloss_jaccard"].private
    with pytest.raises(ValueError, match="found a public one; add --public"):
        publish(metric)
    publish(metric, public=True)
    HfApi().create_repo("tester/open", private=False, repo_type="dataset")
    with pytest.raises(ValueError, match="found a public one"):
        check_access([Publication("dataset", "tester/open", "nowhere")])


def test_branch_pull_request_and_tag(hub: LocalHub, publications: list[Publication]) -> None:
    metric = _of(publications, "metric")
    where = ("space", "tester/gloss_jaccard")
    publish(metric, revision="next", tag="v1")
    assert "gloss_jaccard.py" in hub.files(*where, "next")
    assert "gloss_jaccard.py" not in hub.files(*where)
    assert hub.files(*where, "v1") == hub.files(*where, "next")
    with pytest.raises(ValueError, match="the tag v1 exists already"):
        publish(metric, tag="v1")
    published = publish(metric, create_pr=True)
    assert "gloss_jaccard.py" in hub.files(*where, "refs/pr/1")
    assert "gloss_jaccard.py" not in hub.files(*where)
    assert published[0].url.endswith("/1")
    with pytest.raises(ValueError, match="neither revision nor tag"):
        publish(metric, create_pr=True, tag="v2")


def test_stale_files_of_an_earlier_version_go(hub: LocalHub, publications: list[Publication], tmp_path: Path) -> None:
    data = _of(publications, "dataset")
    HfApi().create_repo("tester/mcksg", private=True, repo_type="dataset")
    hub.commit("dataset", "tester/mcksg", {"sample/train-00001-of-00002.parquet": b"PAR1", "notes.txt": b"mine"})
    published = publish(data)
    files = _uploaded(hub, "dataset", "tester/mcksg")
    assert sorted(files) == sorted([*published[0].files, "notes.txt"])
    assert len(hub.commits("dataset", "tester/mcksg")) == 3


def test_a_folder_with_a_problem_stops_all(
    hub: LocalHub, publications: list[Publication], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = _with_lines(_of(publications, "model")[0], tmp_path / "closed", license="license: unknown")
    with pytest.raises(ValueError, match="expected the Hub's id of a licence"):
        publish([*_of(publications, "metric"), closed])
    assert {method for method, _ in hub.requests} == {"GET"}
    hub.requests.clear()
    words = ["--model", closed.repo_id, closed.source, "--dry-run", str(tmp_path / "dry")]
    assert main(["publish", *words]) == 1
    assert "expected the Hub's id of a licence" in capsys.readouterr().err
    assert (tmp_path / "dry" / "models" / "tester" / "glosses" / "README.md").is_file()  # so that it can be corrected
    assert hub.requests == []


def test_sentences_of_a_closed_corpus_stay_at_home(publications: list[Publication], tmp_path: Path) -> None:
    model = _with_lines(_of(publications, "model")[0], tmp_path / "closed")
    metrics = Path(model.source, "metrics.json")
    facts = json.loads(metrics.read_text("utf-8"))
    (tmp_path / "open").mkdir()
    assert _stage(model, tmp_path / "open") == []
    for license in (None, "other", "aihub", "kogl-type-4-ai"):
        facts["data"][0]["license"] = license
        metrics.write_text(json.dumps(facts), "utf-8")
        folder = tmp_path / f"staged-{license}"
        folder.mkdir()
        assert _stage(model, folder) == ["predictions.jsonl"]
    Path(model.source, "optimizer.pt").write_bytes(b"")
    (tmp_path / "again").mkdir()
    assert _stage(model, tmp_path / "again") == ["optimizer.pt", "predictions.jsonl"]


@pytest.mark.parametrize("held", [{}, {"established": "expected sacrebleu, found none"}], ids=["old", "no extra"])
def test_the_card_of_a_run_without_established_scores_has_them(run: Path, tmp_path: Path, held: dict[str, str]) -> None:
    """Test runs of earlier versions, which scored for the card only, and runs without the extra `evaluate`."""
    old, *staged = (tmp_path / name for name in ("old", "from new", "from old"))
    shutil.copytree(run, old)
    metrics = json.loads((old / "metrics.json").read_text("utf-8"))
    del metrics["established"]
    (old / "metrics.json").write_text(json.dumps(metrics | held), "utf-8")
    (old / "README.md").unlink()
    before = _contents(old)
    for source, folder in zip((run, old), staged, strict=True):
        folder.mkdir()
        _stage(Publication("model", "me/glosses", str(source)), folder)
    new_files, old_files = map(_contents, staged)
    assert old_files == new_files
    assert "| exact match | " in old_files["README.md"].decode()
    assert _contents(old) == before


@pytest.mark.slow
def test_training_pushes_by_the_same_code(shared_hub: LocalHub, tmp_path: Path, forks: Forks) -> None:
    shared_hub.clear()
    command = ["run_text2gloss.py", "--num_train_epochs=1", "--preset=tiny", "--save_strategy=epoch"]
    push = ["--push_to_hub", "--hub_model_id=tester/trained"]
    done = forks.example(*command, *push, f"--output_dir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert shared_hub.token not in done.stdout + done.stderr
    dry_run([Publication("model", "tester/trained", str(tmp_path / "run" / "model"))], str(tmp_path / "dry"))
    assert _uploaded(shared_hub, "model", "tester/trained") == _contents(
        tmp_path / "dry" / "models" / "tester" / "trained"
    )
    assert len(shared_hub.commits("model", "tester/trained")) == 2  # no checkpoints
    assert shared_hub.repos["model", "tester/trained"].private
    for wrong, says in ((["--hub_token=secret"], "expected no token among the options"), (push[:1], "--hub_model_id")):
        done = forks.example(*command, *wrong, f"--output_dir={tmp_path / 'not'}", cwd=tmp_path)
        assert done.returncode != 0
        assert says in done.stderr
        assert not (tmp_path / "not" / "checkpoints").exists()  # before any training


def test_what_a_link_leads_to_is_not_published(checkpoint: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    (tmp_path / "private.md").write_text("private", "utf-8")
    (folder / "LICENSE").symlink_to(tmp_path / "private.md")
    (folder / "README.md").write_text("a card", "utf-8")
    with pytest.raises(ValueError, match="LICENSE: expected a file, found a link"):
        dry_run([Publication("model", "me/glosses", str(folder))], str(tmp_path / "dry"))
    assert (tmp_path / "dry" / "models" / "me" / "glosses" / "LICENSE").is_symlink()


@pytest.mark.usefixtures("hub")
def test_push_that_fails_says_how_to_go_on(checkpoint: str) -> None:
    with pytest.raises(
        RuntimeError,
        match=r"expected metrics\.json, to make a card from(.|\n)*Continue with: kgloss publish --model me/glosses /",
    ):
        training._push(Publication("model", "me/glosses", checkpoint), public=False)


@pytest.mark.slow
def test_handler_of_endpoints(publications: list[Publication], tmp_path: Path, strangers_python: Path) -> None:
    """Use the handler as an Endpoint does: its class gets the repository's folder, then one request per call."""
    model = _of(publications, "model")
    files = dry_run(model, str(tmp_path / "plain"))
    folder = tmp_path / "dry" / "models" / "tester" / "glosses"
    with_handler = dry_run(model, str(tmp_path / "dry"), handler=True)
    added = {*with_handler["models/tester/glosses"]} - {*files["models/tester/glosses"]}
    assert added == {"handler.py", "requirements.txt"}
    assert check_folder(folder).problems == []
    code = """
import json, sys
sys.path.insert(0, sys.argv[1])
from handler import EndpointHandler
handler = EndpointHandler(sys.argv[1])
text = "이 토기는 4세기에 만들어졌습니다."
answers = [handler({"inputs": text}), handler({"inputs": [text], "parameters": {"num_return_sequences": 2}})]
try:
    handler({"inputs": {"text": text}})
except TypeError as error:
    answers.append(str(error))
print(json.dumps(answers))
"""
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1"}
    done = run_command(str(strangers_python), "-P", "-c", code, str(folder), cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    answer, several, problem = json.loads(done.stdout.splitlines()[-1])
    expected = kgloss_hf.load(model[0].source)("이 토기는 4세기에 만들어졌습니다.")
    assert answer["glosses"] == expected.glosses
    assert len(several[0]) == 2
    assert problem == "expected a string or several strings, found dict"


def test_the_score_for_a_benchmark(publications: list[Publication], tmp_path: Path) -> None:
    pytest.importorskip(
        "huggingface_hub", minversion="1.4", reason="huggingface-hub 1.4 is the first with EvalResultEntry"
    )
    from huggingface_hub import EvalResultEntry, parse_eval_result_entries

    model = _of(publications, "model")
    dry_run(model, str(tmp_path / "dry"), benchmark="tester/mcksg:test")
    folder = tmp_path / "dry" / "models" / "tester" / "glosses"
    (entry,) = parse_eval_result_entries(
        yaml.safe_load((folder / ".eval_results" / "gloss_jaccard.yaml").read_text("utf-8"))
    )
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    score = metrics["scores"][metrics["preset"]]
    expected = EvalResultEntry("tester/mcksg", "test", round(score["jaccard"], 2), notes=score["signature"])
    assert entry == expected
    assert check_folder(folder).problems == []
    with pytest.raises(ValueError, match="benchmark: expected NAMESPACE/NAME"):
        dry_run(model, str(tmp_path / "again"), benchmark="mcksg")


def test_a_name_without_a_namespace_is_one_of_the_account(
    hub: LocalHub, publications: list[Publication], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric, space = Publication("metric", "gloss_jaccard"), Publication("space", "demo", "glosses")
    (published,) = publish([metric])
    assert published.url.endswith("/tester/gloss_jaccard")
    assert hub.requests.count(("GET", "/api/whoami-v2")) == 1
    hub.requests.clear()
    check_access([metric, space])
    assert hub.requests.count(("GET", "/api/whoami-v2")) == 1
    hub.requests.clear()
    files = dry_run([metric, space], str(tmp_path / "dry"))
    assert [*files] == ["spaces/tester/gloss_jaccard", "spaces/tester/demo"]
    shown = json.loads((tmp_path / "dry" / "spaces" / "tester" / "demo" / "model.json").read_text("utf-8"))
    assert shown["model"] == "tester/glosses"
    assert hub.requests == [("GET", "/api/whoami-v2")]
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PermissionError, match="gloss_jaccard, without a namespace: .* log in with `hf auth login`"):
        dry_run([metric], str(tmp_path / "unknown"))


def test_the_login_is_checked_before_anything_is_written(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PermissionError, match="hf auth login"):
        publish([Publication("model", "me/glosses", "nowhere")])


def test_only_files_of_the_folder_itself_are_published(publications: list[Publication], tmp_path: Path) -> None:
    model = _with_lines(_of(publications, "model")[0], tmp_path / "more")
    weights = Path(model.source, "model.safetensors")
    more = ["checkpoint-5/model.safetensors", "optimizer.safetensors"]
    for name in more:
        Path(model.source, name).parent.mkdir(exist_ok=True)
        shutil.copy(weights, Path(model.source, name))
    (tmp_path / "staged").mkdir()
    assert _stage(model, tmp_path / "staged") == more
    # Nor are other files of the repository deleted.
    stale = ["old.safetensors", "tools.py", "sample/train-00000-of-00001.parquet"]
    kept = ["mine/tools.py", "mine/old.safetensors", "notes.txt"]
    assert [name for name in (*stale, *kept) if publishing._is_among(name, publishing._REPLACED)] == stale


def test_a_card_without_a_tag_names_no_revision(publications: list[Publication], tmp_path: Path) -> None:
    for publication in _of(publications, "model", "tokenizer", "metric"):
        folder = tmp_path / publication.kind
        folder.mkdir()
        _stage(publication, folder)
        text = (folder / "README.md").read_text("utf-8")
        assert "revision=" not in text
        assert "COMMIT" not in text
        assert "commit hash" not in text


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("call", [publish, lambda given, **more: dry_run(given, "dry", **more)], ids=["real", "dry"])
def test_two_folders_for_one_repository_and_a_broken_tag(
    publications: list[Publication], call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, tokenizer = _of(publications, "model", "tokenizer")
    with pytest.raises(ValueError, match="tester/glosses: expected one folder for this repository, found several"):
        call([model, Publication("tokenizer", model.repo_id, tokenizer.source)])
    for tag in ('v"1', "v 1", "", "-v"):
        with pytest.raises(ValueError, match=r"^tag: expected letters, digits"):
            call([model], tag=tag)
    assert not Path("dry").exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.json", "[]", "metrics.json: expected a JSON object, found list"),
        ("metrics.json", '{"da', "metrics.json: expected JSON, found an error"),
        ("config.json", '{"da', "config.json: expected JSON, found an error"),
        (
            "predictions.jsonl",
            '{"text": "집", "prediction": ["집"]}\n',
            "row 1: expected text, reference",
        ),
    ],
)
def test_damaged_files_are_named(
    publications: list[Publication], file: str, content: str, message: str, tmp_path: Path
) -> None:
    model = _with_lines(_of(publications, "model")[0], tmp_path / "damaged")
    Path(model.source, file).write_text(content, "utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        dry_run([model], str(tmp_path / "dry"))


def test_corpora_without_a_use_are_those_of_glosses(publications: list[Publication], tmp_path: Path) -> None:
    model = _with_lines(_of(publications, "model")[0], tmp_path / "more")
    metrics = Path(model.source, "metrics.json")
    facts = json.loads(metrics.read_text("utf-8"))
    facts["data"].append({"name": "more.csv", "license": "mit"})
    metrics.write_text(json.dumps(facts), "utf-8")
    (tmp_path / "open").mkdir()
    assert _stage(model, tmp_path / "open") == []


@pytest.mark.usefixtures("hub")
def test_what_cannot_be_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="expected the folder of a model, found none"):
        publish([Publication("model", "me/glosses", "nowhere")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected the folder of a tokenizer, found no tokenizer_config\.json"):
        publish([Publication("tokenizer", "me/glosses", str(tmp_path / "empty"))])
    assert main(["publish", "--public"]) == 1
    assert "expected one of --dataset, --tokenizer" in capsys.readouterr().err
    assert set(KINDS) == set(REPOSITORIES)
    assert publishing.KINDS.index("model") < publishing.KINDS.index("space")  # the Space shows the model
