"""Publish models, tokenizers, data sets, the metric and the demo on the Hub: `kgloss publish`."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import LocalTokenNotFoundError
from huggingface_hub.repocard import metadata_load, metadata_save
from huggingface_hub.utils import HfHubHTTPError, RepositoryNotFoundError, validate_repo_id

from ..artefacts import artefact
from ..evaluation.results import established_scores
from ..files import new_folder, read_json, save_folder, write_json
from ..reporting import counted
from ..version import __version__
from .cards import model_card, tokenizer_card
from .checking import OWN_FOLDERS, check_folder, find_secrets
from .licences import may_pass_on
from .provenance import NO_ANSWER
from .remote_code import add_remote_code, endpoint_files

logger = logging.getLogger(__name__)

KINDS = ("dataset", "tokenizer", "metric", "model", "space")
"""Kinds of publications, in the order of publishing: a kind that another refers to comes before it."""

_REPO_TYPES = {"dataset": "dataset", "metric": "space", "space": "space"}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_FILES = {
    "model": (
        *("config.json", "generation_config.json", "model*.safetensors", "model*.safetensors.index.json"),
        *_TOKENIZER_FILES,
        *("metrics.json", "predictions.jsonl", "training.png", "README.md", "LICENSE"),
    ),
    "tokenizer": (*_TOKENIZER_FILES, "statistics.json", "README.md", "LICENSE"),
    "dataset": ("*/*.parquet", "*.parquet", "*.png", "README.md", "LICENSE"),
    "metric": ("*.py", "requirements.txt", "README.md"),
    "space": ("*.py", "requirements.txt", "README.md"),
}
# Files of an earlier version that would be loaded together with the new one, so they are deleted.
_REPLACED = ("*.safetensors", "*.safetensors.index.json", "*.py", "*.parquet", "*/*.parquet", *_TOKENIZER_FILES)
_TAG = re.compile(r"[\w][\w.+-]*", re.ASCII)
_LOG_IN = "the Hub knows no such token; log in with `hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True)
class Publication:
    """A folder and the repository it is published to.

    Args:
        kind: One of `KINDS`.
        repo_id: `NAMESPACE/NAME` on the Hub, or a name in the namespace of the account that is logged in.
        source: Folder of the model, tokenizer or data set; for a demo, the model's repository; empty for the metric.
    """

    kind: str
    repo_id: str
    source: str = ""

    def __post_init__(self) -> None:
        for name in (self.repo_id, self.source) if self.kind == "space" else (self.repo_id,):
            validate_repo_id(name)
            if name.endswith("\n"):  # huggingface_hub before version 1 accepts it
                raise ValueError(f"expected a repository id in one line, found {name!r}; remove the line end")

    @property
    def repo_type(self) -> str:
        """The repository's type on the Hub: `model`, `dataset` or `space`."""
        return _REPO_TYPES.get(self.kind, "model")


class _Published(NamedTuple):
    """The address, commit and files of a published repository, and the files of the folder that were left out."""

    url: str
    commit: str
    files: list[str]
    left_out: list[str]


class _CheckFailed(ValueError):
    """A folder has problems that forbid publishing it."""


def _stage(
    publication: Publication,
    folder: Path,
    tag: str | None = None,
    *,
    handler: bool = False,
    benchmark: str | None = None,
) -> list[str]:
    """Write a repository into an empty folder, and return the files of the source that are left out."""
    kind = publication.kind
    source = artefact(OWN_FOLDERS[kind]) if kind in OWN_FOLDERS else Path(publication.source)
    _check_source(source, kind)
    patterns = _FILES[kind]
    if kind == "model" and not _may_pass_on_sentences(source):
        patterns = tuple(pattern for pattern in patterns if pattern != "predictions.jsonl")
    left_out = []
    for path in sorted(path for path in source.rglob("*") if not path.is_dir() and "__pycache__" not in path.parts):
        name = path.relative_to(source).as_posix()
        if _is_among(name, patterns):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name, follow_symlinks=False)  # keeps links, which the check then refuses
        elif path.suffix != ".py":  # code is added below
            left_out.append(name)
    if kind in ("model", "tokenizer"):
        add_remote_code(folder)
    if handler and kind == "model":
        settings = read_json(folder / "tokenizer_config.json")
        for name, text in endpoint_files(settings.get("analyzer", "okt")).items():
            (folder / name).write_text(text, "utf-8")
    _write_card(publication, folder, tag)
    if benchmark and kind == "model":
        _write_evaluation(folder, benchmark)
    return left_out


def _is_among(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a file is among patterns, whose `*` does not stand for folders."""
    return any(fnmatch(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns)


def _write_evaluation(folder: Path, benchmark: str) -> None:
    """Write the model's score for a benchmark of the Hub, as `.eval_results/gloss_jaccard.yaml`."""
    try:
        from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    except ImportError as error:
        raise ImportError("--benchmark needs huggingface-hub 1.4 or later; update it, or omit --benchmark") from error
    dataset, _, task = benchmark.partition(":")
    validate_repo_id(dataset)
    if "/" not in dataset:
        raise ValueError(f"benchmark: expected NAMESPACE/NAME of a data set on the Hub, found {dataset!r}; correct it")
    metrics = read_json(folder / "metrics.json")
    score = (metrics.get("scores") or {}).get(metrics.get("preset")) or {}
    if "jaccard" not in score:
        raise ValueError(f"benchmark: expected metrics.json with the score of {metrics.get('preset')!r}, found none")
    entry = EvalResultEntry(
        dataset_id=dataset, task_id=task or "default", value=round(score["jaccard"], 2), notes=score.get("signature")
    )
    file = folder / ".eval_results" / "gloss_jaccard.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False), "utf-8")


def _check_source(source: Path, kind: str) -> None:
    needed = {"model": "config.json", "tokenizer": "tokenizer_config.json", "dataset": "README.md"}.get(kind)
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: expected the folder of a {kind}, found none")
    if needed and not (source / needed).is_file():
        raise ValueError(f"{source}: expected the folder of a {kind}, found no {needed} in it")


def _may_pass_on_sentences(source: Path) -> bool:
    """Return whether the corpora's licences allow passing on predictions.jsonl, which holds their test set."""
    data = read_json(source / "metrics.json", missing={}).get("data", [])
    return may_pass_on(corpus for corpus in data if corpus.get("use") in ("glosses", None))


def _write_card(publication: Publication, folder: Path, tag: str | None) -> None:
    kind, repo_id = publication.kind, publication.repo_id
    path = folder / "README.md"
    if not path.is_file():
        facts, write = {"model": ("metrics.json", model_card), "tokenizer": ("statistics.json", tokenizer_card)}[kind]
        if not (folder / facts).is_file():
            raise ValueError(
                f"{publication.source}: expected {facts}, to make a card from, or README.md; found neither"
            )
        if kind == "model":
            _complete(folder / facts, Path(publication.source, "predictions.jsonl"))
        path.write_text(write(folder), "utf-8")
    names = {
        "NAMESPACE/NAME": repo_id,
        '"FOLDER"': f'"{repo_id}"',
        "namespace/gloss_jaccard": repo_id,
        'model="MODEL"': f'model="{publication.source}"',
    }
    for placeholder in ("COMMIT", "commit hash"):
        names[f', revision="{placeholder}"'] = f', revision="{tag}"' if tag else ""
    text = path.read_text("utf-8")
    for name, value in names.items():
        text = text.replace(name, value)
    path.write_text(text, "utf-8")
    if publication.repo_type == "space":
        needed = folder / "requirements.txt"
        pinned = needed.read_text("utf-8").replace("kgloss-hf", f"kgloss-hf=={__version__}")
        needed.write_text(pinned, "utf-8")
    if kind == "space":
        metadata_save(path, {**(metadata_load(path) or {}), "models": [publication.source]})
        write_json(folder / "model.json", {"model": publication.source, "revision": tag or "main"})


def _complete(file: Path, predictions: Path) -> None:
    """Add the established scores to a metrics.json written by an earlier version or without the extra."""
    metrics = read_json(file)
    if "scores" in metrics and not isinstance(metrics.get("established"), dict):
        write_json(file, {**metrics, "established": established_scores(predictions)})


def publish(
    publications: Sequence[Publication],
    *,
    public: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    handler: bool = False,
    benchmark: str | None = None,
    say: Callable[[str], None] = logger.info,
) -> list[_Published]:
    """Upload folders to the Hub, each as one commit, after checking the login and all of the folders.

    If one folder has a problem (`kgloss_hf.hub.checking`), nothing is uploaded. A commit succeeds as a whole or not at
    all, so an interrupted upload leaves the repository unchanged and the same call can be repeated. Files that are
    already on the Hub are not sent again. The token is the one that huggingface_hub finds (`hf auth login`, or
    `HF_TOKEN`).

    Args:
        publications: Folders and the repositories they go to.
        public: Make the repositories public (default: new ones are private, and a public one is refused).
        revision: Branch to commit to, created if missing (default: main).
        create_pr: Open a pull request for each repository (default False).
        tag: Tag for the commits. An existing tag is never moved.
        handler: Add to each model the files that Inference Endpoints need: `handler.py` and `requirements.txt` (default
            False).
        benchmark: Benchmark of the Hub that the models' scores belong to, DATASET or DATASET:TASK; each model gets
            `.eval_results/gloss_jaccard.yaml` (default: none).
        say: Function that receives one line per step (default: the module's logger).

    Returns:
        The published repositories, in the order of `KINDS`.

    Raises:
        ValueError: A folder has a problem, a repository is public, a tag exists, or options exclude each other.
        FileNotFoundError: A folder does not exist.
        PermissionError: There is no token, or it lacks the permission.
        ConnectionError: The Hub answered with an error, or could not be reached; the message names the repositories
            published before it.
    """
    if create_pr and (revision or tag):
        raise ValueError(
            "create_pr: expected neither revision nor tag with it, found one of them; leave it out, and tag the "
            "repository once the pull request is merged"
        )
    ordered = _accessible(sorted(publications, key=lambda publication: KINDS.index(publication.kind)), public, tag)
    done: list[_Published] = []
    added = {"handler": handler, "benchmark": benchmark}
    with ExitStack() as stack:
        staged = []
        for publication in ordered:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            staged.append((publication, folder, _stage_checked(publication, folder, tag, say, **added)))
        for publication, folder, left_out in staged:
            with _explained(publication.repo_id, [before.url for before in done]):
                done.append(_upload(HfApi(), publication, folder, left_out, public, revision, create_pr, tag))
            say(f"{publication.repo_id}: {counted(len(done[-1].files), 'file')} in commit {done[-1].commit}")
    return done


def _resolved(publications: Iterable[Publication], tag: str | None, account: str = "") -> list[Publication]:
    """Return publications whose repositories all have a namespace and differ, and check the tag.

    The default namespace is the account that is logged in. The Hub is asked for it only if a repository has none and
    `account` is empty.

    Raises:
        ValueError: Two folders go to one repository, or the tag cannot be one.
    """

    if tag is not None and not _TAG.fullmatch(tag):
        raise ValueError(f"tag: expected letters, digits and . _ + -, found {tag!r}; choose such a name")

    def named(repo_id: str) -> str:
        nonlocal account
        if "/" in repo_id:
            return repo_id
        if not account:
            with _explained(f"{repo_id}, without a namespace"):
                account = HfApi().whoami()["name"]
        return f"{account}/{repo_id}"

    complete = [
        replace(one, repo_id=named(one.repo_id), source=named(one.source) if one.kind == "space" else one.source)
        for one in publications
    ]
    targets = [(one.repo_type, one.repo_id) for one in complete]
    if twice := next((target for target in targets if targets.count(target) > 1), None):
        raise ValueError(f"{twice[1]}: expected one folder for this repository, found several; publish one of them")
    return complete


def check_access(publications: Sequence[Publication], *, public: bool = False, tag: str | None = None) -> None:
    """Check, as far as the Hub can tell beforehand, that nothing forbids an upload.

    Args:
        publications: Folders and the repositories they go to.
        public: As for `publish`.
        tag: As for `publish`.

    Raises:
        ValueError: A repository is public, or the tag exists.
        PermissionError: There is no token, or the Hub does not know it.
        ConnectionError: The Hub could not be reached.
        ImportError: The extra `publish` is not installed.
    """
    _accessible(publications, public, tag)


def _accessible(publications: Sequence[Publication], public: bool, tag: str | None) -> list[Publication]:
    """Return the publications with their namespaces, after the checks of `check_access`."""
    find_secrets(())
    api = HfApi()
    with _explained(publications[0].repo_id):
        account = api.whoami()["name"]
    named = _resolved(publications, tag, account)
    for publication in named:
        with _explained(publication.repo_id):
            _check_repository(api, publication, public, tag)
    return named


def dry_run(
    publications: Sequence[Publication],
    output_dir: str,
    *,
    tag: str | None = None,
    handler: bool = False,
    benchmark: str | None = None,
    say: Callable[[str], None] = logger.info,
) -> dict[str, list[str]]:
    """Write the files that `publish` would upload, and nothing else, to a folder.

    Args:
        publications: Folders and the repositories they go to.
        output_dir: Folder to create; it holds each repository as `models/…`, `datasets/…` or `spaces/…`.
        tag: As for `publish`.
        handler: As for `publish`.
        benchmark: As for `publish`.
        say: Function that receives one line per step.

    Returns:
        The files of each repository, by its folder in `output_dir`.

    Raises:
        FileNotFoundError: A folder does not exist.
        ValueError: As for `publish`, or `output_dir` exists already.
        PermissionError: A repository has no namespace, and nobody is logged in.
        ConnectionError: A repository has no namespace, and the Hub could not be reached.
    """
    root = new_folder(output_dir)
    files: dict[str, list[str]] = {}
    problems: list[str] = []

    named = _resolved(publications, tag)

    def write(partial: Path) -> None:
        for publication in sorted(named, key=lambda one: KINDS.index(one.kind)):
            name = f"{publication.repo_type}s/{publication.repo_id}"
            (partial / name).mkdir(parents=True)
            try:
                _stage_checked(publication, partial / name, tag, say, handler=handler, benchmark=benchmark)
            except _CheckFailed as error:
                problems.append(str(error))
            files[name] = _files(partial / name)

    save_folder(root, write)
    if problems:
        raise _CheckFailed("\n".join(problems))
    return files


def _stage_checked(
    publication: Publication, folder: Path, tag: str | None, say: Callable[[str], None], **added: Any
) -> list[str]:
    """Write and check a repository; it is written even if it has problems."""
    left_out = _stage(publication, folder, tag, **added)
    report = check_folder(folder, predictions=Path(publication.source, "predictions.jsonl"))
    for note in report.notes:
        say(f"{publication.repo_id}: {note}")
    if left_out:
        say(f"{publication.repo_id}: {counted(len(left_out), 'file')} left out: {', '.join(left_out)}")
    if report.problems:
        listed = "".join(f"\n- {problem}" for problem in report.problems)
        raise _CheckFailed(f"{publication.repo_id}: cannot be published until these problems are solved:{listed}")
    return left_out


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _check_repository(api: HfApi, publication: Publication, public: bool, tag: str | None) -> None:
    repo_id, repo_type = publication.repo_id, publication.repo_type
    try:
        info = api.repo_info(repo_id, repo_type=repo_type)
    except RepositoryNotFoundError:
        return
    if not info.private and not public:
        raise ValueError(f"{repo_id}: expected a private repository, found a public one; add --public to publish to it")
    if tag and any(existing.name == tag for existing in api.list_repo_refs(repo_id, repo_type=repo_type).tags):
        raise ValueError(f"{repo_id}: the tag {tag} exists already, and others may have pinned it; choose another")


def _upload(
    api: HfApi,
    publication: Publication,
    folder: Path,
    left_out: list[str],
    public: bool,
    revision: str | None,
    create_pr: bool,
    tag: str | None,
) -> _Published:
    repo_id, repo_type = publication.repo_id, publication.repo_type
    sdk = "gradio" if repo_type == "space" else None
    url = api.create_repo(repo_id, repo_type=repo_type, private=not public, exist_ok=True, space_sdk=sdk)
    if revision:
        api.create_branch(repo_id, repo_type=repo_type, branch=revision, exist_ok=True)
    head = api.repo_info(repo_id, repo_type=repo_type, revision=revision)
    files = _files(folder)
    stale = [
        path
        for path in api.list_repo_files(repo_id, repo_type=repo_type, revision=head.sha)
        if path not in files and _is_among(path, _REPLACED)
    ]
    # Not upload_folder: in huggingface_hub 2 it may make several commits, between which the weights and the
    # configuration belong to different models.
    commit = api.create_commit(
        repo_id,
        [
            *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in files),
            *(CommitOperationDelete(path_in_repo=path) for path in stale),
        ],
        commit_message=f"Publish with kgloss-hf {__version__}",
        repo_type=repo_type,
        revision=revision,
        create_pr=create_pr,
        parent_commit=head.sha,
    )
    if tag:
        api.create_tag(repo_id, repo_type=repo_type, tag=tag, revision=commit.oid)
    if public and head.private:
        api.update_repo_settings(repo_id, repo_type=repo_type, private=False)
    return _Published(commit.pr_url or str(url), commit.oid, files, left_out)


@contextmanager
def _explained(repo_id: str, published: Sequence[str] = ()) -> Iterator[None]:
    """Turn errors of the Hub and of the connection into errors that say what to do."""
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise PermissionError(f"{repo_id}: {_LOG_IN}") from error
    except (HfHubHTTPError, RuntimeError, NO_ANSWER) as error:
        # The upload's threads wrap errors in a RuntimeError.
        cause = error.__cause__ if isinstance(error, RuntimeError) else error
        if not isinstance(cause, (HfHubHTTPError, NO_ANSWER)):
            raise
        status = getattr(getattr(cause, "response", None), "status_code", None)
        before = f" Published before it: {', '.join(published)}." if published else ""
        state = f"It still holds its last complete commit; the same command can be run again.{before}"
        if status == 401:
            raise PermissionError(f"{repo_id}: {_LOG_IN}. {state}") from error
        if status == 403:
            raise PermissionError(
                f"{repo_id}: the token may not write there; create one with write access. {state}"
            ) from error
        changed = "someone else changed it at the same time"
        reasons = {409: changed, 412: changed, 429: "too many requests; the Hub asks to wait"}
        answered = f"the Hub answered with status {status}" if status else f"no answer ({type(cause).__name__})"
        raise ConnectionError(f"{repo_id}: {reasons.get(status or 0, answered)}. {state}") from error
