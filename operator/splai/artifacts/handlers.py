"""The HTTP API: objects of a job's folder, their list, and the job's progress."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Final as Constant

from aiohttp import hdrs, web
from obstore.store import ObjectStore

from splai.api.ledger import is_decisive
from splai.artifacts import bodies
from splai.artifacts.all_folders import all_folders
from splai.artifacts.auth import Access, Authenticator, require, require_trusted
from splai.artifacts.byte_range import RangeNotSatisfiable, resolve
from splai.artifacts.disk import MeasureSpace, Room
from splai.artifacts.errors import APIError
from splai.artifacts.folder import FolderName, StoreUnavailable
from splai.artifacts.ledger_reader import LedgerReaders
from splai.artifacts.metrics import Metrics
from splai.artifacts.paths import folder_problem, object_problem, prefix_problem
from splai.artifacts.store_folder import Reading, StoreFolder

PAGE: Constant = 1000
WHOLE_REPLY: Constant = 1024 * 1024
SEND_SECONDS: Constant = 60.0


class Handlers:
    """One method per operation."""

    def __init__(
        self,
        store: ObjectStore,
        authenticator: Authenticator,
        metrics: Metrics,
        space: MeasureSpace | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._metrics = metrics
        self._room = Room(space, clock)
        self._bodies = bodies.BodyReader()
        self._readers = LedgerReaders(clock)

    def routes(self) -> list[web.RouteDef]:
        folder, item = "/{namespace}/{uid}/", "/{namespace}/{uid}/{path:.+}"
        return [
            web.get("/", self.folders, allow_head=False),
            web.get(folder, self.list, allow_head=False),
            web.delete(folder, self.remove),
            web.get("/{namespace}/{uid}/progress", self.progress, allow_head=False),
            web.get("/{namespace}/{uid}/idle", self.idle, allow_head=False),
            web.put(item, self.put),
            web.get(item, self.get, allow_head=False),
            web.head(item, self.head),
        ]

    async def put(self, request: web.Request) -> web.Response:
        folder, path = await self._object(request, Access.WRITE)
        condition = request.headers.get(hdrs.IF_NONE_MATCH)
        if condition not in (None, "*") or hdrs.IF_MATCH in request.headers:
            raise APIError(400, "bad_condition", "a write is unconditional or has If-None-Match: *")
        if condition is None and is_decisive(path):
            raise APIError(403, "create_only", f"{path} is created once: the write must have If-None-Match: *")
        self._room.check(path)
        try:
            if condition is None:
                await self._overwrite(request, folder, path)
            else:
                await self._create(request, folder, path)
        except StoreUnavailable as failure:
            self._room.note(failure)
            raise
        return web.Response(status=200 if condition is None else 201)

    async def _create(self, request: web.Request, folder: StoreFolder, path: str) -> None:
        body = await self._bodies.whole(request)
        self._metrics.received.inc(len(body))
        if not await folder.create(path, body):
            raise APIError(412, "already_exists", "the object exists")

    async def _overwrite(self, request: web.Request, folder: StoreFolder, path: str) -> None:
        length = request.content_length
        if length is not None and length <= bodies.SMALL:
            await folder.put(path, await self._bodies.whole(request))
            self._metrics.received.inc(length)
            return

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in bodies.stream(request):
                self._metrics.received.inc(len(chunk))
                yield chunk

        try:
            await folder.put_stream(path, chunks())
        except TimeoutError:
            raise APIError(408, "slow_body", "the body did not arrive in time") from None

    async def get(self, request: web.Request) -> web.StreamResponse:
        folder, path = await self._object(request, Access.READ)
        part = None
        if header := request.headers.get(hdrs.RANGE):
            if (entry := await folder.stat(path)) is None:
                raise FileNotFoundError(path)
            try:
                part = resolve(header, entry.size)
            except RangeNotSatisfiable:
                raise APIError(416, "range_not_satisfiable", f"the object has {entry.size} bytes") from None
        reading = await folder.read(path, part)
        expected = request.headers.get(hdrs.IF_MATCH)
        if expected not in (None, "*", f'"{reading.entry.etag}"'):
            raise APIError(412, "changed", "the object is not the one of If-Match")
        headers = {hdrs.ETAG: f'"{reading.entry.etag}"', hdrs.ACCEPT_RANGES: "bytes"}
        if part:
            headers[hdrs.CONTENT_RANGE] = f"bytes {reading.start}-{reading.end - 1}/{reading.entry.size}"
        return await self._send(request, reading, web.StreamResponse(status=206 if part else 200, headers=headers))

    async def _send(self, request: web.Request, reading: Reading, reply: web.StreamResponse) -> web.StreamResponse:
        length = reading.end - reading.start
        self._metrics.sent.inc(length)
        if length <= WHOLE_REPLY:
            return web.Response(status=reply.status, headers=reply.headers, body=await reading.content())
        reply.content_length = length
        reply.content_type = "application/octet-stream"
        await reply.prepare(request)
        async for chunk in reading.chunks():
            async with asyncio.timeout(SEND_SECONDS):  # a reader that stands still holds a file open
                await reply.write(chunk)
        await reply.write_eof()
        return reply

    async def head(self, request: web.Request) -> web.Response:
        folder, path = await self._object(request, Access.READ)
        if (entry := await folder.stat(path)) is None:
            raise FileNotFoundError(path)
        headers = {
            hdrs.ETAG: f'"{entry.etag}"',
            hdrs.ACCEPT_RANGES: "bytes",
            hdrs.CONTENT_LENGTH: str(entry.size),
            hdrs.CONTENT_TYPE: "application/octet-stream",
        }
        return web.Response(headers=headers)

    async def list(self, request: web.Request) -> web.Response:
        namespace, uid = await self._folder(request, Access.READ)
        prefix, after = request.query.get("list", ""), request.query.get("after", "")
        if problem := prefix_problem(prefix):
            raise APIError(400, "bad_prefix", problem)
        limit = _limit(request)
        objects = [entry for entry in await self._open(namespace, uid).list(prefix) if entry.path > after]
        page = objects[:limit]
        answer: dict[str, object] = {
            "objects": [{"path": entry.path, "size": entry.size, "etag": entry.etag} for entry in page]
        }
        if len(page) < len(objects):
            answer["next"] = page[-1].path
        return web.json_response(answer)

    async def progress(self, request: web.Request) -> web.Response:
        namespace, uid = await self._folder(request, Access.READ)
        progress = await self._readers.read(f"{namespace}/{uid}", self._open(namespace, uid))
        if self._room.is_used_up or (not progress.planned and self._room.is_low):
            progress = progress.model_copy(update={"store_full": True})
        body = progress.model_dump_json(by_alias=True, exclude_none=True)
        return web.Response(text=body, content_type="application/json")

    async def idle(self, request: web.Request) -> web.Response:
        """How long no object of the folder has changed, in seconds; null if there is none."""
        namespace, uid = await self._folder(request, Access.READ)
        newest = await self._open(namespace, uid).newest_change()
        seconds = None if newest is None else max(0.0, (datetime.now(UTC) - newest).total_seconds())
        return web.json_response({"idleSeconds": seconds})

    async def folders(self, request: web.Request) -> web.Response:
        """The folders of all jobs, or of a namespace's, a page at a time."""
        require_trusted(await self._authenticator.authenticate(request.headers.get(hdrs.AUTHORIZATION)))
        limit = _limit(request)
        after = FolderName(*request.query.get("after", "").partition("/")[::2])
        page: list[FolderName] = []
        async for name in all_folders(self._store, after=after, namespace=request.query.get("namespace", "")):
            if len(page) == limit:
                break
            page.append(name)
        else:
            return web.json_response(_folder_page(page))
        return web.json_response(_folder_page(page) | {"next": f"{page[-1].namespace}/{page[-1].uid}"})

    async def remove(self, request: web.Request) -> web.Response:
        namespace, uid = await self._folder(request, Access.REMOVE)
        await self._open(namespace, uid).remove()
        self._readers.forget(f"{namespace}/{uid}")
        return web.Response(status=204)

    async def _object(self, request: web.Request, access: Access) -> tuple[StoreFolder, str]:
        namespace, uid = await self._folder(request, access)
        path = request.match_info["path"]
        if problem := object_problem(path):
            raise APIError(400, "bad_path", problem)
        return self._open(namespace, uid), path

    async def _folder(self, request: web.Request, access: Access) -> tuple[str, str]:
        identity = await self._authenticator.authenticate(request.headers.get(hdrs.AUTHORIZATION))
        namespace, uid = request.match_info["namespace"], request.match_info["uid"]
        if problem := folder_problem(namespace, uid):
            raise APIError(400, "bad_path", problem)
        require(identity, access, namespace, uid)
        return namespace, uid

    def _open(self, namespace: str, uid: str) -> StoreFolder:
        return StoreFolder(self._store, namespace, uid)


def _limit(request: web.Request) -> int:
    limit = request.query.get("limit", str(PAGE))
    if not limit.isdecimal() or len(limit) > len(str(PAGE)) or not 0 < int(limit) <= PAGE:
        raise APIError(400, "bad_limit", f"limit is a number from 1 to {PAGE}")
    return int(limit)


def _folder_page(page: Sequence[FolderName]) -> dict[str, object]:
    return {"folders": [{"namespace": name.namespace, "uid": name.uid} for name in page]}
