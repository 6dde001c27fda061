"""A local Hugging Face Hub, for tests that push and pull with the stock clients."""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import hashlib
import itertools
import json
import os
import re
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote

import uvicorn
import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# Patterns of the files that a new repository keeps as LFS objects; any other binary file becomes an LFS object too.
LFS_PATTERNS = ("*.arrow", "*.bin", "*.gz", "*.npy", "*.npz", "*.onnx", "*.parquet", "*.pt", "*.safetensors", "*.zip")
LFS_SIZE = 10 * 1024 * 1024

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_API = r"/api/(?P<plural>models|datasets|spaces)/(?P<repo_id>[^/]+/[^/]+)"
_SITE = r"/(?:(?P<plural>datasets|spaces)/)?(?P<repo_id>[^/]+/[^/]+)"
# Clients quote the slashes of a revision; addresses written by people have them plain.
_REVISION = r"(?P<revision>refs/[^/]+/[^/]+|[^/]+)"


@dataclass(frozen=True)
class File:
    """A file of a commit."""

    data: bytes
    lfs: bool

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n"
        return text.encode()

    @cached_property
    def blob_id(self) -> str:
        """Git's hash of the file, or of the pointer that Git stores in its place."""
        data = self.pointer if self.lfs else self.data
        return _sha1(b"blob %d\0" % len(data) + data)

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob_id

    def pointed(self, name: str) -> dict[str, Any]:
        """Return the part of an answer for an LFS object, with the hash under the given name."""
        part = {name: self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return {"lfs": part} if self.lfs else {}


@dataclass(frozen=True)
class Commit:
    """An immutable state of a repository."""

    oid: str
    parent: str | None
    author: str
    title: str
    message: str
    date: str
    files: Mapping[str, File] = field(repr=False)


@dataclass
class Repository:
    """A repository's commits, the references to them, and the objects uploaded for future commits."""

    repo_type: str
    repo_id: str
    private: bool
    sdk: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.repo_id.partition("/")[0]

    @property
    def address(self) -> str:
        return self.repo_id if self.repo_type == "model" else f"{self.repo_type}s/{self.repo_id}"

    def find(self, revision: str) -> Commit:
        """Return the commit of a branch, a tag, a full reference or the beginning of a commit's id; else KeyError."""
        for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        matches = [oid for oid in self.commits if len(revision) >= 7 and oid.startswith(revision)]
        return self.commits[matches[0] if len(matches) == 1 else revision]

    def history(self, commit: Commit) -> list[Commit]:
        """Return a commit and its ancestors, the newest first."""
        line = [commit]
        while line[-1].parent is not None:
            line.append(self.commits[line[-1].parent])
        return line

    def add(self, parent: Commit | None, files: Mapping[str, File], author: str, title: str, message: str) -> Commit:
        """Add a commit to which no reference points yet, and return it."""
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        before = parent.oid if parent else None
        content = [self.address, before, author, title, message, date, {p: f.blob_id for p, f in files.items()}]
        oid = _sha1(json.dumps(content, sort_keys=True).encode())
        commit = Commit(oid, before, author, title, message, date, MappingProxyType(dict(sorted(files.items()))))
        self.commits[oid] = commit
        return commit


@dataclass
class Fault:
    """A deliberate fault of the Hub, with the number of times it occurred and of bytes received before a cut."""

    method: str
    pattern: re.Pattern[str]
    action: int | Literal["cut"]
    times: int
    hits: int = 0
    received: int = 0


@dataclass(frozen=True)
class _Account:
    user: str
    role: Literal["read", "write"]


class _Refusal(Exception):
    def __init__(self, status: int, message: str, code: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        # A header must be one line of ASCII.
        self.headers["X-Error-Message"] = message.partition("\n")[0].encode("ascii", "replace").decode()
        if code:
            self.headers["X-Error-Code"] = code


class _Protocol(H11Protocol):
    """HTTP whose requests carry their connection, so that it can be cut."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


_ANONYMOUS = "Invalid username or password."
_Handler = Callable[..., Awaitable[Response]]


class LocalHub:
    """An empty Hub, served on 127.0.0.1 while the context is open, with all state in memory.

    `token` may write to the namespace `user`, `read_token` may only read there, and `other_token` may write to the
    namespace `other`. `requests` records the method and the path, as sent, of every request.
    """

    def __init__(self, user: str = "tester", other: str = "stranger") -> None:
        self.token, self.read_token, self.other_token = (f"hf_{secrets.token_hex(17)}" for _ in range(3))
        self.repos: dict[tuple[str, str], Repository] = {}
        self.requests: list[tuple[str, str]] = []
        self._accounts = {
            self.token: _Account(user, "write"),
            self.read_token: _Account(user, "read"),
            self.other_token: _Account(other, "write"),
        }
        self._faults: list[Fault] = []
        self._uploads: dict[str, tuple[Repository, str, int]] = {}
        lfs = rf"{_SITE}\.git/info/lfs/objects"
        routes: list[tuple[str, str, _Handler]] = [
            ("GET", r"/api/whoami-v2", self._whoami),
            ("POST", r"/api/validate-yaml", self._validate_yaml),
            ("POST", r"/api/repos/create", self._create_repo),
            ("GET", rf"{_API}(?:/revision/{_REVISION})?", self._repo_info),
            ("PUT", rf"{_API}/settings", self._settings),
            ("GET", rf"{_API}/refs", self._refs),
            ("GET", rf"{_API}/tree/{_REVISION}(?:/(?P<path>.*))?", self._tree),
            ("POST", rf"{_API}/paths-info/{_REVISION}", self._paths_info),
            ("POST", rf"{_API}/preupload/{_REVISION}", self._preupload),
            ("POST", rf"{_API}/commit/{_REVISION}", self._commit),
            ("POST", rf"{_API}/(?P<kind>branch|tag)/(?P<name>.+)", self._reference),
            ("POST", rf"{lfs}/batch", self._lfs_batch),
            ("POST", rf"{lfs}/verify", self._lfs_verify),
            ("PUT", r"/lfs-uploads/(?P<key>\w+)", self._lfs_upload),
            ("GET|HEAD", rf"{_SITE}/(?:resolve|raw)/{_REVISION}/(?P<path>.+)", self._resolve),
        ]
        self._routes = [(methods.split("|"), re.compile(path), handler) for methods, path, handler in routes]

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        quiet: dict[str, Any] = {"lifespan": "off", "log_level": "warning", "timeout_graceful_shutdown": 1}
        self._server = uvicorn.Server(uvicorn.Config(self._serve, interface="asgi3", http=_Protocol, **quiet))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=30)
        self._socket.close()

    def clear(self) -> None:
        """Forget repositories, requests and faults."""
        for records in (self.repos, self.requests, self._faults):
            records.clear()

    def environment(self, home: Path, token: str | None) -> dict[str, str]:
        """Return variables that make a client in its own process use this Hub and keep its files under `home`."""
        foreign = ("HF_", "HUGGING", "TRANSFORMERS_", "XDG_CACHE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
        return {
            **kept,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_MODULES_CACHE": str(home / "modules"),
            "XDG_CACHE_HOME": str(home / "cache"),
            # huggingface_hub 2 does not ask the server whether it accepts uploads by Xet.
            **{f"HF_HUB_DISABLE_{name}": "1" for name in ("TELEMETRY", "PROGRESS_BARS", "UPDATE_CHECK", "XET")},
            # datasets and evaluate would report the download to an address that HF_ENDPOINT does not change.
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
            **({} if token is None else {"HF_TOKEN": token}),
        }

    def fail(self, match: tuple[str, str], action: int | Literal["cut"], times: int = 1) -> Fault:
        """Answer the next requests with a method and path by a status, or cut their connection while they are sent."""
        fault = Fault(match[0], re.compile(match[1]), action, times)
        self._faults.append(fault)
        return fault

    def files(self, repo_type: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Return the content of each file of a revision; raise KeyError for a missing repository or revision."""
        return {path: file.data for path, file in self.commits(repo_type, repo_id, revision)[0].files.items()}

    def commits(self, repo_type: str, repo_id: str, revision: str = "main") -> list[Commit]:
        """Return the commits up to a revision, the newest first."""
        repo = self.repos[repo_type, repo_id]
        return repo.history(repo.find(revision))

    def create(self, repo_type: str, repo_id: str, private: bool = False, sdk: str | None = None) -> Repository:
        """Create a repository with the first commit that the Hub itself makes."""
        repo = Repository(repo_type, repo_id, private, sdk)
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)
        files = {".gitattributes": File(attributes.encode(), False)}
        if repo_type == "space":
            card = f"---\ntitle: {repo_id.partition('/')[2]}\nsdk: {sdk}\napp_file: app.py\n---\n"
            files["README.md"] = File(card.encode(), False)
        repo.refs["refs/heads/main"] = repo.add(None, files, repo.namespace, "initial commit", "").oid
        self.repos[repo_type, repo_id] = repo
        return repo

    def commit(self, repo_type: str, repo_id: str, files: Mapping[str, bytes], title: str = "elsewhere") -> Commit:
        """Add files to the main branch behind the clients' backs."""
        repo = self.repos[repo_type, repo_id]
        head = repo.commits[repo.refs["refs/heads/main"]]
        new = {path: File(data, _is_lfs(head, path, data[:512], len(data))) for path, data in files.items()}
        commit = repo.add(head, {**head.files, **new}, "stranger", title, "")
        repo.refs["refs/heads/main"] = commit.oid
        return commit

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["raw_path"].decode("ascii").partition("?")[0]
        self.requests.append((request.method, path))
        try:
            for fault in self._faults:
                if fault.hits < fault.times and fault.method == request.method and fault.pattern.search(path):
                    fault.hits += 1
                    if fault.action == "cut":
                        fault.received += len((await receive()).get("body", b""))
                        scope["state"]["transport"].abort()
                        # Returning before the server has noticed would make it try to answer.
                        while (await receive())["type"] != "http.disconnect":
                            continue
                        return
                    await request.body()
                    waiting = {"Retry_After": "1"} if fault.action == 429 else {}
                    raise _Refusal(fault.action, HTTPStatus(fault.action).phrase, **waiting)
            response = await self._answer(request, path)
        except _Refusal as refusal:
            response = _json({"error": str(refusal)}, refusal.status, refusal.headers)
        await response(scope, receive, send)

    async def _answer(self, request: Request, path: str) -> Response:
        for methods, pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match and request.method in methods:
                values = {name: value and unquote(value) for name, value in match.groupdict().items()}
                if "repo_id" in values:
                    repo_type = (values.pop("plural") or "models").removesuffix("s")
                    values["repo"] = self._visible(request, repo_type, values.pop("repo_id"))
                return await handler(request, **values)
        raise _Refusal(404, "Sorry, we can't find the page you are looking for.")

    def _account(self, request: Request) -> _Account | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self._accounts:
            raise _Refusal(401, "Invalid credentials in Authorization header")
        return self._accounts.get(token)

    def _visible(self, request: Request, repo_type: str, repo_id: str) -> Repository:
        account = self._account(request)
        repo = self.repos.get((repo_type, repo_id))
        if repo is None or (repo.private and (account is None or account.user != repo.namespace)):
            # Other accounts may not learn whether a private repository exists.
            if account is None:
                raise _Refusal(401, _ANONYMOUS, "RepoNotFound")
            raise _Refusal(404, "Repository not found", "RepoNotFound")
        return repo

    def _writer(self, request: Request, namespace: str | None = None) -> _Account:
        account = self._account(request)
        if account is None:
            raise _Refusal(401, _ANONYMOUS)
        if account.role != "write":
            raise _Refusal(403, "Forbidden: this token is read-only, pass one with write permission")
        if namespace not in (None, account.user):
            raise _Refusal(403, f"Forbidden: you don't have the rights to write under the namespace {namespace}")
        return account

    async def _whoami(self, request: Request) -> Response:
        account = self._account(request)
        if account is None:
            raise _Refusal(401, _ANONYMOUS)
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": account.role}}
        return _json({"type": "user", "name": account.user, "fullname": account.user, "orgs": [], "auth": auth})

    async def _validate_yaml(self, request: Request) -> Response:
        _, errors, warnings = _card((await request.json())["content"])
        answer = {"errors": [{"message": m} for m in errors], "warnings": [{"message": m} for m in warnings]}
        return _json(answer, 400 if errors else 200)

    async def _create_repo(self, request: Request) -> Response:
        asked = await request.json()
        repo_type = asked.get("type") or "model"
        namespace = asked.get("organization") or self._writer(request).user
        self._writer(request, namespace)
        repo_id = f"{namespace}/{asked['name']}"
        known = self.repos.get((repo_type, repo_id))
        repo = known or self.create(repo_type, repo_id, _private(asked), asked.get("sdk"))
        # Clients that accept an existing repository take its address from the error.
        error = {"error": f"You already created this {repo_type} repo"} if known else {}
        return _json({"url": f"{self.endpoint}/{repo.address}", "name": repo_id, **error}, 409 if known else 200)

    async def _settings(self, request: Request, repo: Repository) -> Response:
        self._writer(request, repo.namespace)
        asked = await request.json()
        if "private" in asked or "visibility" in asked:
            repo.private = _private(asked)
        return _json({"private": repo.private})

    async def _repo_info(self, request: Request, repo: Repository, revision: str | None) -> Response:
        commit = _at(repo, revision or "main")
        blobs = _asked(request.query_params.get("blobs"))
        readme = commit.files.get("README.md")
        card = _card(readme.data.decode("utf-8", "replace"))[0] if readme else {}
        tags = [*_listed(card.get("tags")), *_listed(card.get("language"))]
        tags += [f"license:{name}" for name in _listed(card.get("license"))]
        info: dict[str, Any] = {
            "author": repo.namespace,
            "sha": commit.oid,
            "createdAt": repo.history(commit)[-1].date,
            "lastModified": commit.date,
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "tags": [*tags, "region:us"],
            "cardData": card,
            "siblings": [_sibling(path, file, blobs) for path, file in commit.files.items()],
            **{name: card[name] for name in ("library_name", "pipeline_tag") if name in card},
            **({"sdk": repo.sdk} if repo.sdk else {}),
        }
        expand = [*request.query_params.getlist("expand"), *request.query_params.getlist("expand[]")]
        if expand:
            info = {name: value for name, value in info.items() if name in expand}
        names = {"modelId": repo.repo_id} if repo.repo_type == "model" else {}
        return _json({"_id": _sha1(repo.address.encode())[:24], "id": repo.repo_id, **names, **info})

    async def _refs(self, request: Request, repo: Repository) -> Response:
        def refs(kind: str) -> list[dict[str, str]]:
            names = {ref.removeprefix(f"refs/{kind}/"): ref for ref in repo.refs if ref.startswith(f"refs/{kind}/")}
            return [{"name": name, "ref": ref, "targetCommit": repo.refs[ref]} for name, ref in names.items()]

        pull_requests = {"pullRequests": refs("pr")} if request.query_params.get("include_prs") else {}
        return _json({"branches": refs("heads"), "tags": refs("tags"), "converts": [], **pull_requests})

    async def _tree(self, request: Request, repo: Repository, revision: str, path: str | None) -> Response:
        commit = _at(repo, revision)
        prefix = f"{path.strip('/')}/" if path and path.strip("/") else ""
        below = [name.removeprefix(prefix) for name in commit.files if name.startswith(prefix)]
        if prefix and not below:
            raise _Refusal(404, f"{path} does not exist on {revision!r}", "EntryNotFound", X_Repo_Commit=commit.oid)
        parents = {name[:index] for name in below for index, letter in enumerate(name) if letter == "/"}
        names = {*below, *parents}
        if not _asked(request.query_params.get("recursive")):
            names = {name for name in names if "/" not in name}
        expand = _asked(request.query_params.get("expand"))
        return _json([_entry(repo, commit, prefix + name, expand) for name in sorted(names)])

    async def _paths_info(self, request: Request, repo: Repository, revision: str) -> Response:
        asked = parse_qs((await request.body()).decode())
        commit = _at(repo, revision)
        expand = _asked(asked.get("expand", [""])[0])
        known = [p for p in (path.strip("/") for path in asked.get("paths", [])) if _below(commit, p)]
        return _json([_entry(repo, commit, path, expand) for path in known])

    async def _preupload(self, request: Request, repo: Repository, revision: str) -> Response:
        self._writer(request, None if request.query_params.get("create_pr") else repo.namespace)
        commit = _at(repo, revision)
        answers = []
        for file in (await request.json())["files"]:
            path = file["path"]
            lfs = _is_lfs(commit, path, base64.b64decode(file["sample"]), file["size"])
            known = {"oid": commit.files[path].etag} if path in commit.files else {}
            answers.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, **known})
        return _json({"files": answers})

    async def _lfs_batch(self, request: Request, repo: Repository) -> Response:
        # An account that may only open a pull request must be able to upload for it.
        self._writer(request)
        answers = []
        for requested in (await request.json())["objects"]:
            answer: dict[str, Any] = {"oid": requested["oid"], "size": requested["size"], "authenticated": True}
            if requested["oid"] not in repo.objects:
                # As in the real storage, the address grants the permission; the upload itself carries no token.
                key = secrets.token_hex(16)
                self._uploads[key] = (repo, requested["oid"], requested["size"])
                verify = f"{self.endpoint}/{repo.address}.git/info/lfs/objects/verify"
                upload = f"{self.endpoint}/lfs-uploads/{key}"
                answer["actions"] = {"upload": {"href": upload, "header": {}}, "verify": {"href": verify}}
            answers.append(answer)
        return _json({"transfer": "basic", "objects": answers})

    async def _lfs_upload(self, request: Request, key: str) -> Response:
        if key not in self._uploads:
            raise _Refusal(403, "Request has expired")
        repo, oid, size = self._uploads[key]
        data = await request.body()
        if len(data) != size or hashlib.sha256(data).hexdigest() != oid:
            raise _Refusal(400, "The object is not the one announced")
        repo.objects[oid] = data
        return _json({})

    async def _lfs_verify(self, request: Request, repo: Repository) -> Response:
        self._writer(request)
        asked = await request.json()
        if len(repo.objects.get(asked["oid"], b"")) != asked["size"]:
            raise _Refusal(404, "The object is missing")
        return _json({})

    async def _commit(self, request: Request, repo: Repository, revision: str) -> Response:
        pull_request = bool(request.query_params.get("create_pr"))
        account = self._writer(request, None if pull_request else repo.namespace)
        lines = [json.loads(line) for line in (await request.body()).splitlines() if line.strip()]
        head = _at(repo, revision)
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, head.oid):
            raise _Refusal(412, "A commit has happened since. Please refresh and try again.")
        ref = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
        answer: dict[str, Any] = {"success": True, "hookOutput": ""}
        if pull_request:
            number = 1 + sum(name.startswith("refs/pr/") for name in repo.refs)
            ref = f"refs/pr/{number}"
            answer["pullRequestUrl"] = f"{self.endpoint}/{repo.address}/discussions/{number}"
        elif ref not in repo.refs or ref.startswith("refs/tags/"):
            raise _Refusal(400, f"{revision} is not a branch")
        # The repository changes only after every line has been parsed.
        files = dict(head.files)
        for line in lines:
            _change(repo, files, line["key"], line["value"])
        commit = repo.add(head, files, account.user, header["summary"], header.get("description", ""))
        repo.refs[ref] = commit.oid
        answer |= {"commitOid": commit.oid, "commitUrl": f"{self.endpoint}/{repo.address}/commit/{commit.oid}"}
        return _json(answer)

    async def _reference(self, request: Request, repo: Repository, kind: str, name: str) -> Response:
        self._writer(request, repo.namespace)
        asked = await request.json()
        # The path names the new branch or, for a tag, the revision to tag.
        ref = f"refs/heads/{name}" if kind == "branch" else f"refs/tags/{asked['tag']}"
        commit = _at(repo, asked.get("startingPoint", "main") if kind == "branch" else name)
        if ref in repo.refs:
            raise _Refusal(409, f"Reference already exists: {ref}")
        repo.refs[ref] = commit.oid
        return _json({})

    async def _resolve(self, request: Request, repo: Repository, revision: str, path: str) -> Response:
        commit = _at(repo, revision)
        file = commit.files.get(path)
        if file is None:
            raise _Refusal(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.oid)
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        if file.lfs:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.data))}
        asked = _RANGE.fullmatch(request.headers.get("range", ""))
        if not asked or asked.groups() == ("", ""):
            return Response(file.data, 200, headers, "application/octet-stream")
        size = len(file.data)
        start = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
        stop = min(size, int(asked[2]) + 1) if asked[1] and asked[2] else size
        if start >= stop:
            return Response(b"", 416, {**headers, "Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return Response(file.data[start:stop], 206, headers, "application/octet-stream")


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # A card's YAML may hold a date.
    return Response(json.dumps(content, default=str), status, headers, "application/json")


def _card(text: str) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return a card's metadata, their errors and their warnings."""
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, [], ["empty or missing yaml metadata in repo card"]
    try:
        metadata = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return {}, [f"YAML metadata: {error}"], []
    if not isinstance(metadata, dict):
        return {}, ["YAML metadata is not a mapping"], []
    return metadata, [], []


def _asked(flag: str | None) -> bool:
    # The generations write "true" differently.
    return (flag or "").lower() in ("1", "true")


def _private(asked: dict[str, Any]) -> bool:
    # Each generation has its own name for this field.
    return bool(asked.get("private")) or asked.get("visibility") == "private"


def _listed(value: Any) -> list[str]:
    return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]


def _at(repo: Repository, revision: str) -> Commit:
    try:
        return repo.find(revision)
    except KeyError:
        raise _Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound") from None


def _is_lfs(commit: Commit, path: str, sample: bytes, size: int) -> bool:
    attributes = commit.files.get(".gitattributes")
    lines = attributes.data.decode().splitlines() if attributes else []
    patterns = [line.split()[0] for line in lines if "filter=lfs" in line]
    name = path.rpartition("/")[2]
    listed = any(fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(name, pattern) for pattern in patterns)
    return size > 0 and (listed or size > LFS_SIZE or b"\0" in sample)


def _below(commit: Commit, path: str) -> tuple[tuple[str, str], ...]:
    """Return a file, or all files of a folder, with their hashes in Git."""
    return tuple((p, f.blob_id) for p, f in commit.files.items() if p == path or p.startswith(f"{path}/"))


def _entry(repo: Repository, commit: Commit, path: str, expand: bool) -> dict[str, Any]:
    file = commit.files.get(path)
    if file is None:
        oid = _sha1(json.dumps(_below(commit, path)).encode())
        entry: dict[str, Any] = {"type": "directory", "oid": oid, "size": 0, "path": path}
    else:
        entry = {"type": "file", "oid": file.blob_id, "size": len(file.data), "path": path, **file.pointed("oid")}
    if expand:
        line = repo.history(commit)
        now = _below(commit, path)
        last = next((c for c, before in itertools.pairwise(line) if _below(before, path) != now), line[-1])
        entry["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
    return entry


def _sibling(path: str, file: File, blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": path}
    if blobs:
        sibling |= {"size": len(file.data), "blobId": file.blob_id, **file.pointed("sha256")}
    return sibling


def _change(repo: Repository, files: dict[str, File], key: str, value: dict[str, Any]) -> None:
    """Apply one line of a commit's payload to the files of the new commit."""
    if key == "header":
        return
    path = value["path"].rstrip("/")
    if any(part in ("", ".", "..", ".git") for part in path.split("/")):
        raise _Refusal(400, f"Invalid path: {path}")
    if key == "file":
        files[path] = File(base64.b64decode(value["content"]), False)
        if path == "README.md" and (errors := _card(files[path].data.decode("utf-8", "replace"))[1]):
            raise _Refusal(400, f"Invalid metadata in README.md: {errors[0]}")
    elif key == "lfsFile":
        if value["oid"] not in repo.objects:
            raise _Refusal(400, "Your push was rejected because an LFS pointer pointed to a file that does not exist.")
        files[path] = File(repo.objects[value["oid"]], True)
    elif key in ("deletedFile", "deletedFolder"):
        file_only = key == "deletedFile"
        deleted = [name for name in files if (name == path if file_only else name.startswith(f"{path}/"))]
        if not deleted:
            raise _Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        for name in deleted:
            del files[name]
    else:
        raise _Refusal(400, f"Unknown operation: {key}")
