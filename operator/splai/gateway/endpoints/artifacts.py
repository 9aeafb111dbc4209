"""`/v1/artifacts/…`: what a job produced, over plain HTTP, so that curl and n8n can follow the URIs of a status.

The gateway reads with a token of its own. Paths hold the job's uid, which cannot be guessed, and nothing is listed.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from splai.api.ledger import ERRORS, OUTPUT, Commit, commit_path, task_path
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from splai.artifacts.folder import StoreRefused, StoreUnavailable
from splai.artifacts.part_lines import Kind
from splai.artifacts.paths import folder_problem, object_problem
from splai.gateway.endpoints.failures import ReplyCut
from splai.gateway.endpoints.resource import Handler
from splai.gateway.endpoints.task_output import FetchPart, task_lines
from splai.gateway.errors import SERVER, RequestError

FILES = tuple(f"{stem}.{suffix}" for stem in ("output", "errors") for suffix in ("jsonl", "parquet"))
TASK_FILES = (OUTPUT, ERRORS)
CONTENT_TYPE = "application/jsonl"
PARQUET_TYPE = "application/vnd.apache.parquet"
CALL_SECONDS = 10.0
_KINDS: dict[str, Kind] = {OUTPUT: "output", ERRORS: "error"}
_RETURNED = ("etag", "accept-ranges", "content-range", "content-length")

_log = logging.getLogger(__name__)


class Artifacts:
    """The handlers of the artifact routes."""

    def __init__(self, client: ArtifactClient, namespaces: Sequence[str]) -> None:
        self._client = client
        self._namespaces = frozenset(namespaces)

    def file(self, name: str) -> Handler:
        """Answers with a finished file, or with a range of it."""

        async def handler(request: Request) -> "_File":
            return _File(self._folder(request), name, _range(request))

        return handler

    def task_file(self, name: str) -> Handler:
        """Answers with the lines of a task, there as soon as it is committed."""

        async def handler(request: Request) -> "_TaskFile":
            folder, task = self._folder(request), request.path_params["task"]
            try:
                commit = None if object_problem(commit_path(task)) else await folder.get(commit_path(task))
            except (StoreUnavailable, StoreRefused) as error:
                raise _failure(error) from error
            if commit is None:
                raise _refusal(404)
            parts = [task_path(task, part) for part in Commit.model_validate_json(commit).parts]
            return _TaskFile(folder, parts, _KINDS[name])

        return handler

    def _folder(self, request: Request) -> HTTPJobFolder:
        namespace, uid = request.path_params["namespace"], request.path_params["uid"]
        if folder_problem(namespace, uid) or (self._namespaces and namespace not in self._namespaces):
            raise _refusal(404)
        return self._client.job(namespace, uid, deadline=CALL_SECONDS)


class _File:
    """A reply that passes on what the artifact server sends, while it comes."""

    def __init__(self, folder: HTTPJobFolder, name: str, asked: dict[str, str]) -> None:
        self._folder = folder
        self._name = name
        self._asked = asked

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        method: Literal["GET", "HEAD"] = "HEAD" if scope["method"] == "HEAD" else "GET"
        body = _Body(send)
        try:
            async with self._folder.relayed(method, self._name, self._asked) as reply:
                if reply.status >= 400:
                    raise _refusal(reply.status)
                headers = {name: value for name in _RETURNED if (value := reply.headers.get(name)) is not None}
                content_type = PARQUET_TYPE if self._name.endswith(".parquet") else CONTENT_TYPE
                await body.start(reply.status, headers | {"content-type": content_type})
                if method == "GET":
                    async for chunk in reply.chunks():
                        await body.write(chunk)
        except (StoreUnavailable, StoreRefused) as error:
            raise body.failure(error) from error
        await body.end()


class _TaskFile:
    """A reply that is written while the parts of a task are read."""

    def __init__(self, folder: HTTPJobFolder, parts: Sequence[str], kind: Kind) -> None:
        self._folder = folder
        self._parts = parts
        self._kind = kind

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        body = _Body(send)
        headers = {"content-type": CONTENT_TYPE}
        try:
            if scope["method"] == "GET":
                async for chunk in task_lines(self._parts, self._kind, _fetch_from(self._folder)):
                    if not body.started:  # until here a failure is an HTTP status
                        await body.start(200, headers)
                    await body.write(chunk)
        except (StoreUnavailable, StoreRefused) as error:
            raise body.failure(error) from error
        if not body.started:
            await body.start(200, headers)
        await body.end()


class _Body:
    """A reply in pieces."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def failure(self, error: StoreUnavailable | StoreRefused) -> Exception:
        """What to raise when the store failed: an error reply, or the end of one that has begun."""
        told = _failure(error)
        return ReplyCut() if self.started else told


def _range(request: Request) -> dict[str, str]:
    """The range that is asked for; one that is conditional is left out, as RFC 9110 allows, and all of it is sent."""
    wanted = request.headers.get("Range")
    return {} if wanted is None or "If-Range" in request.headers else {"Range": wanted}


def _fetch_from(folder: HTTPJobFolder) -> FetchPart:
    async def fetch(path: str) -> bytes:
        part = await folder.get(path)
        if part is None:
            raise StoreUnavailable(f"{path} is named by a commit but is gone", code="part_missing")
        return part

    return fetch


def _refusal(status: int) -> RequestError:
    """The artifact server's refusals in the caller's terms; our own identity is not the caller's affair."""
    if status == 416:
        return RequestError(416, "The range starts after the end of the artifact", code="range_not_satisfiable")
    if status in (400, 404):
        return RequestError(404, "There is no such artifact, or not yet", code="artifact_not_found")
    return RequestError(502, f"The artifact server answers {status}", type=SERVER, code="artifact_server_error")


def _failure(error: StoreUnavailable | StoreRefused) -> RequestError:
    _log.warning("artifact server failed", extra={"reason": error.code})
    if isinstance(error, StoreRefused):
        return _refusal(error.status)
    message = "The artifact server cannot be reached"
    return RequestError(503, message, type=SERVER, code="artifacts_unavailable", headers={"Retry-After": "5"})
