"""The artifact server over HTTP, for workers and the operator.

Every call is bounded: an attempt by connect, read and write timeouts, a call by its deadline. Until then transport
errors and 5xx (a restarting server, a full volume) are tried again with backoff; every request is safe to repeat,
because a create that took place answers 412 the second time, which its caller resolves by the nonce.

A stream is tried again only while nothing was taken from it: it cannot be rewound, so its producer starts anew after
``StoreUnavailable``.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal
from typing import Final as Constant

import httpx

from splai.api.ledger import Progress
from splai.artifacts.folder import FolderName, JobFolder, StoredObject, StoreRefused, StoreUnavailable

__all__ = ["ArtifactClient", "JobFolder", "StoreRefused", "StoreUnavailable", "StoredObject"]

DEFAULT_DEADLINE: Constant = 60.0
TOKEN_LIFETIME: Constant = 60.0
FIRST_DELAY: Constant = 0.1
LAST_DELAY: Constant = 5.0
_TIMEOUT = httpx.Timeout(connect=5, read=30, write=30, pool=30)
_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30)


class TokenFile:
    """A projected token: the kubelet replaces it, so it is read again every minute and after a 401."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at = float("-inf")

    def header(self) -> dict[str, str]:
        if self._clock() - self._read_at >= TOKEN_LIFETIME:
            try:
                self._token = self._path.read_text().strip()
            except OSError as error:
                message = f"cannot read the token file {self._path}: {error.strerror}"
                raise StoreRefused(message, code="token_unreadable", status=401) from error
            self._read_at = self._clock()
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        self._read_at = float("-inf")


class ArtifactClient:
    """A connection pool to the artifact server and the identity that it is used with."""

    def __init__(
        self,
        base_url: str,
        token_file: str | Path,
        *,
        deadline: float = DEFAULT_DEADLINE,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=_TIMEOUT, limits=_LIMITS, transport=transport, trust_env=False
        )
        self._token = TokenFile(Path(token_file), clock)
        self._deadline = deadline
        self._clock = clock
        self._jitter = jitter

    def job(self, namespace: str, uid: str, *, deadline: float | None = None) -> "HTTPJobFolder":
        """The folder of a job; ``deadline`` bounds each of its calls, in seconds."""
        return self._folder(f"/{namespace}/{uid}/", self._deadline if deadline is None else deadline)

    def _folder(self, base: str, deadline: float) -> "HTTPJobFolder":
        return HTTPJobFolder(self._http, self._token, base, partial(Attempts, deadline, self._clock, self._jitter))

    async def folders(self, namespace: str = "") -> AsyncGenerator[FolderName]:
        """The folders of all jobs, or of a namespace's, by name; only for a trusted ServiceAccount."""
        async for page in self._folder("/", self._deadline).pages({"namespace": namespace}):
            for name in page["folders"]:
                yield FolderName(name["namespace"], name["uid"])

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> "ArtifactClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Attempts:
    """When to try again, and when to give up."""

    def __init__(self, deadline: float, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._deadline = deadline
        self._clock = clock
        self._jitter = jitter
        self._ends_at = self._clock() + self._deadline
        self._delay = FIRST_DELAY

    @property
    def remaining(self) -> float:
        return max(0.001, self._ends_at - self._clock())

    async def wait_after(self, failure: StoreUnavailable) -> None:
        """Sleep until the next attempt; raises ``failure`` if the deadline comes first."""
        delay = self._delay * (0.5 + self._jitter() / 2)
        self._delay = min(LAST_DELAY, self._delay * 2)
        if self._clock() + delay >= self._ends_at:
            raise failure
        await asyncio.sleep(delay)


class HTTPJobFolder:
    """A job's folder on the artifact server; the calls are those of ``JobFolder``."""

    def __init__(
        self, http: httpx.AsyncClient, token: TokenFile, base: str, start_attempts: Callable[[], Attempts]
    ) -> None:
        self._http = http
        self._token = token
        self._base = base
        self._start_attempts = start_attempts

    async def create(self, path: str, data: bytes) -> bool:
        reply = await self._call("PUT", path, content=data, headers={"If-None-Match": "*"}, accept=(412,))
        return reply.status_code != 412

    async def put(self, path: str, data: bytes) -> None:
        await self._call("PUT", path, content=data)

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        attempts = self._start_attempts()
        taken = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal taken
            async for chunk in chunks:
                taken = True
                yield chunk

        while True:
            try:
                reply = await self._http.put(self._base + path, content=body(), headers=self._token.header())
                self._require_success(reply)
            except (httpx.TransportError, StoreUnavailable) as error:
                failure = _unavailable(error)
                if taken:
                    raise failure from error
                await attempts.wait_after(failure)
            else:
                return

    async def get(self, path: str) -> bytes | None:
        reply = await self._call("GET", path, accept=(404,))
        return None if reply.status_code == 404 else reply.content

    @asynccontextmanager
    async def relayed(
        self, method: Literal["GET", "HEAD"], path: str, headers: Mapping[str, str]
    ) -> AsyncGenerator[httpx.Response]:
        """The server's own reply, errors included, for somebody who passes it on as it comes.

        Nothing is tried again: whoever asks has a caller of their own. Raises StoreUnavailable, also while the body
        is read.
        """
        try:
            async with self._http.stream(
                method, self._base + path, headers={**headers, **self._token.header()}
            ) as reply:
                if reply.status_code == 401:
                    self._token.forget()
                yield reply
        except httpx.TransportError as error:
            raise _unavailable(error) from error

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        objects: list[StoredObject] = []
        async for page in self.pages({"list": prefix}):
            objects += [StoredObject(entry["path"], entry["size"], entry["etag"]) for entry in page["objects"]]
        return objects

    async def pages(self, query: dict[str, str]) -> AsyncGenerator[dict[str, Any]]:
        """The pages of a list."""
        while True:
            page = (await self._call("GET", "", params=query)).json()
            yield page
            if not page.get("next"):
                return
            query = {**query, "after": page["next"]}

    async def idle_seconds(self) -> float | None:
        """How long no object of the folder has changed, by the server's clock; None if there is none."""
        seconds: float | None = (await self._call("GET", "idle")).json()["idleSeconds"]
        return seconds

    async def remove(self) -> None:
        await self._call("DELETE", "")

    async def progress(self) -> Progress:
        return Progress.model_validate_json((await self._call("GET", "progress")).content)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Send until there is a definite answer: success, or one of the status codes that the caller accepts."""
        attempts = self._start_attempts()
        refused = False
        while True:
            try:
                async with asyncio.timeout(attempts.remaining):
                    reply = await self._http.request(
                        method,
                        self._base + path,
                        content=content,
                        params=params,
                        headers={**self._token.header(), **(headers or {})},
                    )
                if reply.status_code not in accept:
                    self._require_success(reply)
            except (httpx.TransportError, TimeoutError, StoreUnavailable) as error:
                await attempts.wait_after(_unavailable(error))
            except StoreRefused as error:
                if refused or error.code != "unauthenticated":
                    raise
                refused = True  # once more, with the token as it is in the file now
            else:
                return reply

    def _require_success(self, reply: httpx.Response) -> None:
        if reply.status_code == 401:
            self._token.forget()
        if not reply.is_success:
            raise _failure(reply)


def _failure(reply: httpx.Response) -> StoreRefused | StoreUnavailable:
    try:
        error = json.loads(reply.content)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):  # a proxy's page, not ours
        code, message = "unexpected_answer", f"HTTP {reply.status_code}"
    if reply.is_server_error or reply.status_code in (408, 429):
        return StoreUnavailable(f"the artifact server answers {reply.status_code}: {message}", code=code)
    return StoreRefused(message, code=code, status=reply.status_code)


def _unavailable(error: Exception) -> StoreUnavailable:
    if isinstance(error, StoreUnavailable):
        return error
    return StoreUnavailable(f"the artifact server did not answer: {type(error).__name__}: {error}")
