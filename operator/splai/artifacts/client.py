"""The artifact server over HTTP, for the pods of a job, the operator and the gateway.

Every call is bounded: an attempt by connect, read and write timeouts, a call by its deadline. Until then transport
errors and 5xx (a restarting server, a full volume) are tried again with backoff; every request is safe to repeat,
because a create that took place answers 412 the second time, which its caller resolves by the nonce.

A token that was good and is no longer is such a trouble too: while the apiserver is away the kubelet gets no new one.
One that was never good is a wrong installation, and refused.

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

from splai.api.ledger import Progress
from splai.artifacts.folder import FolderName, StoredObject, StoreRefused, StoreUnavailable
from splai.artifacts.http import HTTP, RelayedReply, Reply, Transport, TransportError

DEFAULT_DEADLINE: Constant = 60.0
TOKEN_LIFETIME: Constant = 60.0
FIRST_DELAY: Constant = 0.1
LAST_DELAY: Constant = 5.0


class TokenFile:
    """A projected token: the kubelet replaces it, so it is read again every minute and after a 401."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at = float("-inf")
        self._was_good = False

    def header(self) -> dict[str, str]:
        if self._clock() - self._read_at >= TOKEN_LIFETIME:
            try:
                self._token = self._path.read_text().strip()
            except OSError as error:
                message = f"cannot read the token file {self._path}: {error.strerror}"
                raise self._failure(message, code="token_unreadable") from error
            self._read_at = self._clock()
        return {"Authorization": f"Bearer {self._token}"}

    def check(self, reply: Reply) -> None:
        """Raise what a 401 means: StoreUnavailable if the server took a token of this file before."""
        if reply.status == 401:
            self.forget()
            code, message = _words(reply)
            raise self._failure(message, code=code)
        self._was_good = self._was_good or 200 <= reply.status < 300

    def forget(self) -> None:
        self._read_at = float("-inf")

    def _failure(self, message: str, *, code: str) -> StoreUnavailable | StoreRefused:
        if self._was_good:
            return StoreUnavailable(f"no valid token: {message}", code=code)
        return StoreRefused(message, code=code, status=401)


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
        transport: Transport | None = None,
    ) -> None:
        self._http = transport or HTTP(base_url)
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
        await self._http.close()

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

    def __init__(self, http: Transport, token: TokenFile, base: str, start_attempts: Callable[[], Attempts]) -> None:
        self._http = http
        self._token = token
        self._base = base
        self._start_attempts = start_attempts

    async def create(self, path: str, data: bytes) -> bool:
        reply = await self._call("PUT", path, body=data, headers={"If-None-Match": "*"}, accept=(412,))
        return reply.status != 412

    async def put(self, path: str, data: bytes) -> None:
        await self._call("PUT", path, body=data)

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        attempts = self._start_attempts()
        taken = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal taken
            taken = True  # also before the first chunk is there: an attempt that ends in that moment ends ``chunks``
            async for chunk in chunks:
                yield chunk

        while True:
            try:
                reply = await self._http.send("PUT", self._base + path, headers=self._token.header(), body=body())
                self._token.check(reply)
                _require_success(reply)
            except (TransportError, StoreUnavailable) as error:
                failure = _unavailable(error)
                if taken:
                    raise failure from error
                await attempts.wait_after(failure)
            else:
                return

    async def get(self, path: str) -> bytes | None:
        reply = await self._call("GET", path, accept=(404,))
        return None if reply.status == 404 else reply.content

    @asynccontextmanager
    async def relayed(
        self, method: Literal["GET", "HEAD"], path: str, headers: Mapping[str, str]
    ) -> AsyncGenerator[RelayedReply]:
        """The server's own reply, errors included, for somebody who passes it on as it comes.

        Nothing is tried again: whoever asks has a caller of their own. Raises StoreUnavailable, also while the body
        is read.
        """
        try:
            async with self._http.open(method, self._base + path, headers={**headers, **self._token.header()}) as reply:
                if reply.status == 401:
                    self._token.forget()
                yield reply
        except TransportError as error:
            raise _unavailable(error) from error

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        objects: list[StoredObject] = []
        async for page in self.pages({"list": prefix}):
            objects += [StoredObject(entry["path"], entry["size"], entry["etag"]) for entry in page["objects"]]
        return objects

    async def pages(self, query: dict[str, str]) -> AsyncGenerator[dict[str, Any]]:
        """The pages of a list."""
        while True:
            page = json.loads((await self._call("GET", "", query=query)).content)
            yield page
            if not page.get("next"):
                return
            query = {**query, "after": page["next"]}

    async def idle_seconds(self) -> float | None:
        """How long no object of the folder has changed, by the server's clock; None if there is none."""
        seconds: float | None = json.loads((await self._call("GET", "idle")).content)["idleSeconds"]
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
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Reply:
        """Send until there is a definite answer: success, or one of the status codes that the caller accepts."""
        attempts = self._start_attempts()
        told: StoreUnavailable | None = None
        refused = False
        while True:
            try:
                async with asyncio.timeout(attempts.remaining):
                    reply = await self._http.send(
                        method,
                        self._base + path,
                        headers={**self._token.header(), **(headers or {})},
                        query=query,
                        body=body,
                    )
                self._token.check(reply)
                if reply.status not in accept:
                    _require_success(reply)
            except TimeoutError as error:  # the deadline: what the server said last says more
                raise told or _unavailable(error) from error
            except (TransportError, StoreUnavailable) as error:
                told = _unavailable(error)
                await attempts.wait_after(told)
            except StoreRefused as error:
                if refused or error.code != "unauthenticated":
                    raise
                refused = True  # once more, with the token as it is in the file now
            else:
                return reply


def _require_success(reply: Reply) -> None:
    if 200 <= reply.status < 300:
        return
    code, message = _words(reply)
    if reply.status >= 500 or reply.status in (408, 429):
        raise StoreUnavailable(f"the artifact server answers {reply.status}: {message}", code=code)
    raise StoreRefused(message, code=code, status=reply.status)


def _words(reply: Reply) -> tuple[str, str]:
    """The code and the message of an error."""
    try:
        error = json.loads(reply.content)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):  # a proxy's page, not ours
        return "unexpected_answer", f"HTTP {reply.status}"


def _unavailable(error: Exception) -> StoreUnavailable:
    if isinstance(error, StoreUnavailable):
        return error
    return StoreUnavailable(f"the artifact server did not answer: {error or 'in time'}")
