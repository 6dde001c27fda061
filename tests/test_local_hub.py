"""Tests of the local Hub, with the stock clients of both generations in separate processes."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

import pytest

from tests.local_hub import LocalHub

Client = Callable[..., Any]

# Each test runs in environments of both generations.
pytestmark = pytest.mark.slow

PREAMBLE = """
import json, os, sys
from pathlib import Path
from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
api = HfApi()

def outcome(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:
        response = getattr(error, "response", None)
        return type(error).__name__ if response is None else response.status_code
    return "done"
"""

DISCONNECTED = ("ConnectionError", "ReadError", "RemoteProtocolError", "WriteError")

METRIC = """
import datasets
import evaluate


class Same(evaluate.Metric):
    def _info(self):
        features = datasets.Features({name: datasets.Value("string") for name in ("predictions", "references")})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"same": sum(map(str.__eq__, predictions, references))}
"""

DATASET_CARD = """---
configs:
- config_name: ko
  data_files: ko.parquet
- config_name: split
  default: true
  data_files:
  - {split: train, path: "split/train.parquet"}
  - {split: test, path: "split/test.parquet"}
---
"""


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with LocalHub() as hub:
        yield hub


@pytest.fixture
def client(readers_python: Path, hub: LocalHub, tmp_path: Path) -> Client:
    """Run code in a new process of a generation, and return the value of its `result`."""

    def run(code: str, token: str | None = hub.token) -> Any:
        whole = f"{PREAMBLE}{dedent(code)}\nprint(json.dumps(result))"
        environment = hub.environment(tmp_path / "home", token)
        command = [str(readers_python), "-c", whole]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, bytes]:
    """Write the files of `folder` in the directory where clients run, and return them."""
    files = {
        "README.md": b"---\nlicense: apache-2.0\ntags: [ksl]\n---\n# A card\n",
        "model.safetensors": os.urandom(400_000),
        "sub/한국수어.txt": "수어\n".encode(),
        "sub/old.txt": b"old",
    }
    for name, data in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    return files


def test_round_trip(hub: LocalHub, client: Client, folder: dict[str, bytes], tmp_path: Path) -> None:
    first, second, pull, same = client(
        """
        assert api.whoami()["name"] == "tester"
        url = api.create_repo("tester/model", private=True)
        assert outcome(api.create_repo, "tester/model") == 409
        assert api.create_repo("tester/model", exist_ok=True) == url
        first = api.upload_folder(repo_id="tester/model", folder_path="folder").oid
        api.create_tag("tester/model", tag="v1", revision=first)
        assert outcome(api.create_tag, "tester/model", tag="v1") == 409
        Path("folder/sub/old.txt").unlink()
        second = api.upload_folder(repo_id="tester/model", folder_path="folder", delete_patterns="*.txt").oid
        same = api.upload_folder(repo_id="tester/model", folder_path="folder").oid
        api.create_branch("tester/model", branch="experiments/1", revision=first)
        new = [CommitOperationAdd("new.txt", b"new"), CommitOperationAdd("new.bin", b"\\0" * 1000)]
        pull = api.create_commit("tester/model", new, commit_message="Please", create_pr=True)
        assert (pull.pr_num, pull.pr_revision) == (1, "refs/pr/1")
        stale = {"commit_message": "Late", "parent_commit": first}
        late = [CommitOperationAdd("late.txt", b"late")]
        assert outcome(api.create_commit, "tester/model", late, **stale) == 412
        card = [CommitOperationAdd("README.md", b"---\\ntags: [\\n---\\n")]
        assert outcome(api.create_commit, "tester/model", card, commit_message="Bad card") == "ValueError"
        refs = api.list_repo_refs("tester/model", include_pull_requests=True)
        kinds = (refs.branches, refs.tags, refs.pull_requests)
        listed = [[(ref.ref, ref.target_commit) for ref in kind] for kind in kinds]
        assert listed == [[("refs/heads/main", second), ("refs/heads/experiments/1", first)],
                         [("refs/tags/v1", first)], [("refs/pr/1", pull.oid)]]
        info = api.model_info("tester/model", files_metadata=True)
        assert (info.sha, info.private, info.gated, info.card_data.license) == (second, True, False, "apache-2.0")
        sizes = {s.rfilename: (s.size, s.lfs and s.lfs.sha256) for s in info.siblings}
        assert sizes["model.safetensors"][0] == 400_000 and sizes["model.safetensors"][1]
        assert sizes["README.md"][1] is None
        assert api.model_info("tester/model", revision="v1", expand=["sha"]).sha == first
        tree = list(api.list_repo_tree("tester/model", recursive=True, expand=True, revision="refs/pr/1"))
        assert {f.path: f.last_commit.oid for f in tree if f.path in ("sub", "new.bin", "README.md")} == {
            "sub": second, "new.bin": pull.oid, "README.md": first}
        paths = [f.path for f in api.get_paths_info("tester/model", ["sub", "model.safetensors", "no"])]
        assert paths == ["sub", "model.safetensors"]
        for name, revision in (("v1", "v1"), ("pull", "refs/pr/1"), ("second", second)):
            snapshot_download("tester/model", revision=revision, local_dir=name)
        for missing in ({"filename": "no"}, {"filename": "README.md", "revision": "no"}):
            assert outcome(api.hf_hub_download, "tester/model", **missing) == 404
        result = [first, second, pull.oid, same]
        """
    )
    assert same == second
    assert [c.oid for c in hub.commits("model", "tester/model")[:2]] == [second, first]
    assert len(hub.commits("model", "tester/model")) == 3
    attributes = {".gitattributes": hub.files("model", "tester/model")[".gitattributes"]}
    left = {name: data for name, data in folder.items() if name != "sub/old.txt"}
    expected = {"v1": folder, "second": left, "pull": {**left, "new.txt": b"new", "new.bin": b"\0" * 1000}}
    for name, revision in (("v1", first), ("pull", pull), ("second", "main")):
        there = {p.relative_to(tmp_path / name).as_posix(): p for p in (tmp_path / name).rglob("*") if p.is_file()}
        downloaded = {path: file.read_bytes() for path, file in there.items() if not path.startswith(".cache/")}
        assert downloaded == hub.files("model", "tester/model", revision) == {**attributes, **expected[name]}


def test_tokens_and_privacy(hub: LocalHub, client: Client, folder: dict[str, bytes]) -> None:
    client('result = str(api.create_repo("tester/model", private=True))')
    read = """
    result = [outcome(api.model_info, "tester/model"),
              outcome(api.hf_hub_download, "tester/model", ".gitattributes", force_download=True),
              outcome(api.upload_folder, repo_id="tester/model", folder_path="folder")]
    """
    # If a file in the cache might have served, the forbidden download is reported instead of its cause.
    assert client(read, hub.read_token) == ["done", "done", 403]
    assert client(read, hub.other_token) == [404, "ValueError", 404]
    assert client(read, "hf_" + "x" * 34) == [401, "ValueError", 401]
    assert client(read, None) == [401, "ValueError", 401]
    client('result = api.update_repo_settings("tester/model", private=False)')
    assert client(read, None) == ["done", "done", 401]
    assert client(read, hub.other_token) == ["done", "done", 403]
    assert client('result = outcome(api.create_repo, "tester/new")', hub.read_token) == 403
    pull = 'api.create_commit("tester/model", [CommitOperationAdd("a", b"a")], commit_message="a", create_pr=True)'
    assert client(f"result = {pull}.pr_url", hub.other_token).endswith("/tester/model/discussions/1")


def test_datasets(client: Client, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(DATASET_CARD, "utf-8")
    result = client(
        """
        import datasets
        for path, size in (("ko", 3), ("split/train", 2000), ("split/test", 2)):
            rows = {"text": [f"{path} {index}" for index in range(size)]}
            datasets.Dataset.from_dict(rows).to_parquet(f"data/{path}.parquet")
        Path("README.md").rename("data/README.md")
        api.create_repo("tester/data", repo_type="dataset", private=True)
        commit = api.upload_folder(repo_id="tester/data", repo_type="dataset", folder_path="data").oid
        whole = datasets.load_dataset("tester/data", revision=commit)
        pushed = whole["test"].push_to_hub("tester/pushed")
        result = [
            {split: len(rows) for split, rows in whole.items()},
            datasets.load_dataset("tester/data", "ko", split="train")[2]["text"],
            [row["text"] for row in datasets.load_dataset("tester/data", split="train", streaming=True)][-1],
            datasets.load_dataset("tester/pushed", split="test")[0]["text"],
        ]
        """
    )
    assert result == [{"train": 2000, "test": 2}, "ko 2", "split/train 1999", "split/test 0"]


def test_evaluate(client: Client, tmp_path: Path) -> None:
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "same.py").write_text(METRIC, "utf-8")
    result = client(
        """
        import evaluate
        api.create_repo("tester/same", repo_type="space", space_sdk="gradio")
        assert api.space_info("tester/same").sdk == "gradio"
        commit = api.upload_folder(repo_id="tester/same", repo_type="space", folder_path="space").oid
        api.create_tag("tester/same", repo_type="space", tag="v1")
        same = [evaluate.load("tester/same", revision=revision) for revision in (None, commit, "v1")]
        result = [metric.compute(predictions=["a", "b"], references=["a", "c"]) for metric in same]
        """
    )
    assert result == [{"same": 1}] * 3


@pytest.mark.parametrize("action", [401, 403, 409, 429, 500, "cut"])
def test_failed_commit(hub: LocalHub, client: Client, folder: dict[str, bytes], action: int | Literal["cut"]) -> None:
    hub.create("model", "tester/model")
    fault = hub.fail(("POST", r"/commit/main$"), action)
    result = client(
        """
        result = []
        for _ in range(2):
            result.append(outcome(api.upload_folder, repo_id="tester/model", folder_path="folder"))
            result.append(api.model_info("tester/model").sha)
        """
    )
    second, first = (commit.oid for commit in hub.commits("model", "tester/model"))
    assert result[1:] == [first, "done", second]
    assert result[0] in (DISCONNECTED if action == "cut" else (action,))
    assert fault.hits == 1
    assert hub.files("model", "tester/model").items() >= folder.items()
    # The object of the first attempt still exists.
    assert [method for method, path in hub.requests if "lfs-uploads" in path] == ["PUT"]


@pytest.mark.parametrize(("action", "retried"), [(403, False), (500, True), ("cut", True)])
def test_failed_upload(
    hub: LocalHub, client: Client, folder: dict[str, bytes], action: int | Literal["cut"], retried: bool
) -> None:
    hub.create("model", "tester/model")
    fault = hub.fail(("PUT", r"/lfs-uploads/"), action)
    result = client(
        """
        first = outcome(api.upload_folder, repo_id="tester/model", folder_path="folder")
        result = [first, api.model_info("tester/model").sha]
        result.append(outcome(api.upload_folder, repo_id="tester/model", folder_path="folder"))
        """
    )
    second, begun = (commit.oid for commit in hub.commits("model", "tester/model"))
    assert result == (["done", second, "done"] if retried else ["RuntimeError", begun, "done"])
    assert fault.hits == 1
    assert (0 < fault.received < len(folder["model.safetensors"])) == (action == "cut")
    assert len(hub.commits("model", "tester/model")) == 2
    assert hub.files("model", "tester/model").items() >= folder.items()


def test_range(hub: LocalHub) -> None:
    hub.create("model", "tester/model")
    hub.commit("model", "tester/model", {"digits.txt": b"0123456789"})
    results = []
    for asked in ("bytes=2-4", "bytes=7-", "bytes=-2", "bytes=8-99", "bytes=10-"):
        address = f"{hub.endpoint}/tester/model/resolve/main/digits.txt"
        request = urllib.request.Request(address, headers={"Range": asked})  # noqa: S310 - this Hub
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310 - this Hub
                results.append((response.read(), response.headers["Content-Range"]))
        except urllib.error.HTTPError as error:
            with error:
                results.append((b"%d" % error.code, error.headers["Content-Range"]))
    assert results == [
        (b"234", "bytes 2-4/10"),
        (b"789", "bytes 7-9/10"),
        (b"89", "bytes 8-9/10"),
        (b"89", "bytes 8-9/10"),
        (b"416", "bytes */10"),
    ]
