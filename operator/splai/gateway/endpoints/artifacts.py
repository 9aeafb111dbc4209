"""`/v1/artifacts/…`: what a job produced, over plain HTTP, so that curl and n8n can follow the URIs of a status.

The gateway reads with a token of its own. Paths hold the job's uid, which cannot be guessed, and nothing is listed.
"""

import logging
from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from splai.api.ledger import ERRORS, OUTPUT, Commit, commit_path, task_path
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from splai.artifacts.folder import StoreRefused, StoreUnavailable
from splai.artifacts.http import RelayedReply
from splai.artifacts.part_lines import Kind
from splai.artifacts.paths import folder_problem, object_problem
from splai.gateway.endpoints.task_output import FetchPart, task_lines
from splai.gateway.errors import SERVER, RequestError

CONTENT_TYPE = "application/jsonl"
PARQUET_TYPE = "application/vnd.apache.parquet"
CALL_SECONDS = 10.0
_KINDS: dict[str, Kind] = {OUTPUT: "output", ERRORS: "error"}
_RETURNED = ("ETag", "Accept-Ranges", "Content-Range", "Content-Length")

_log = logging.getLogger(__name__)


class Artifacts:
    """The handlers of the artifact routes."""

    def __init__(self, client: ArtifactClient, namespaces: Sequence[str]) -> None:
        self._client = client
        self._namespaces = frozenset(namespaces)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """A finished file, with ranges."""
        folder = self._folder(request)
        method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
        try:
            async with folder.relayed(method, request.match_info["file"], _range(request)) as reply:
                if reply.status >= 400:
                    raise _refusal(reply.status)
                return await _send(request, reply)
        except (StoreUnavailable, StoreRefused) as error:
            raise _failure(error) from error

    async def task_file(self, request: web.Request) -> web.StreamResponse:
        """The lines of a task, there as soon as it is committed."""
        folder, task = self._folder(request), request.match_info["task"]
        try:
            commit = None if object_problem(commit_path(task)) else await folder.get(commit_path(task))
            if commit is None:
                raise _refusal(404)
            parts = [task_path(task, part) for part in Commit.model_validate_json(commit).parts]
            response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
            if request.method == "GET":
                async for chunk in task_lines(parts, _KINDS[request.match_info["file"]], _fetch_from(folder)):
                    if not response.prepared:  # until here a failure is an HTTP status
                        await response.prepare(request)
                    await response.write(chunk)
        except (StoreUnavailable, StoreRefused) as error:
            raise _failure(error) from error
        return response  # aiohttp prepares one that is still empty, and ends it

    def _folder(self, request: web.Request) -> HTTPJobFolder:
        namespace, uid = request.match_info["namespace"], request.match_info["uid"]
        if folder_problem(namespace, uid) or (self._namespaces and namespace not in self._namespaces):
            raise _refusal(404)
        return self._client.job(namespace, uid, deadline=CALL_SECONDS)


async def _send(request: web.Request, reply: RelayedReply) -> web.StreamResponse:
    headers = {name: reply.headers[name] for name in _RETURNED if name in reply.headers}
    content_type = PARQUET_TYPE if request.match_info["file"].endswith(".parquet") else CONTENT_TYPE
    response = web.StreamResponse(status=reply.status, headers={**headers, "Content-Type": content_type})
    await response.prepare(request)
    if request.method == "GET":
        async for chunk in reply.chunks():
            await response.write(chunk)
    await response.write_eof()
    return response


def _range(request: web.Request) -> dict[str, str]:
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
