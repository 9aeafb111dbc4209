"""A job's folder on an object store of this process: what the server serves, and what tests run the ledger on."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final as Constant

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore

from splai.api.ledger import Progress
from splai.artifacts.folder import StoredObject, StoreUnavailable
from splai.artifacts.ledger_reader import LedgerReader

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult  # exist for type checkers only

CHUNK_BYTES: Constant = 1024 * 1024
PART_BYTES: Constant = 5 * 1024 * 1024  # the least that S3 takes as a part
PARTS_AT_ONCE: Constant = 2
LIST_CHUNK: Constant = 1000
DELETES_AT_ONCE: Constant = 32
_NO_SPACE = ("os error 28", "os error 122")  # ENOSPC, EDQUOT: obstore keeps the number in its message only


@dataclass(frozen=True, slots=True)
class Reading:
    """An object that was opened: it stays as it is now, even while it is overwritten."""

    entry: StoredObject
    start: int
    end: int
    _found: "GetResult"

    async def content(self) -> bytes:
        with translated_errors():
            return bytes(await self._found.bytes_async())

    async def chunks(self) -> AsyncIterator[bytes]:
        with translated_errors():
            async for chunk in self._found.stream(CHUNK_BYTES):
                yield bytes(chunk)


class StoreFolder:
    """The objects under ``{namespace}/{uid}/``; the calls are those of ``JobFolder``."""

    def __init__(
        self, store: ObjectStore, namespace: str, uid: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._base = f"{namespace}/{uid}"
        self._clock = clock
        self._reader: LedgerReader | None = None

    async def create(self, path: str, data: bytes) -> bool:
        with translated_errors():
            try:
                await obstore.put_async(self._store, self._path(path), data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    async def put(self, path: str, data: bytes) -> None:
        with translated_errors():
            await obstore.put_async(self._store, self._path(path), data, use_multipart=False)

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        with translated_errors():
            await obstore.put_async(
                self._store,
                self._path(path),
                chunks,
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )

    async def get(self, path: str) -> bytes | None:
        try:
            return await (await self.read(path)).content()
        except FileNotFoundError:
            return None

    async def stat(self, path: str) -> StoredObject | None:
        with translated_errors():
            try:
                entry = await obstore.head_async(self._store, self._path(path))
            except FileNotFoundError:
                return None
        return StoredObject(path, entry["size"], plain_etag(entry["e_tag"]))

    async def read(self, path: str, part: tuple[int, int] | None = None) -> "Reading":
        """An object, or the bytes from ``part[0]`` up to ``part[1]`` of it; FileNotFoundError if there is none."""
        with translated_errors():
            options: GetOptions | None = {"range": part} if part else None
            found = await obstore.get_async(self._store, self._path(path), options=options)
        start, end = found.range
        entry = StoredObject(path, found.meta["size"], plain_etag(found.meta["e_tag"]))
        return Reading(entry, start, end, found)

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        directory = prefix.rpartition("/")[0]  # a store lists directories only, the rest is ours to filter
        start = len(self._base) + 1
        objects: list[StoredObject] = []
        with translated_errors():
            listed = obstore.list(self._store, f"{self._base}/{directory}".rstrip("/"), chunk_size=LIST_CHUNK)
            async for chunk in listed:
                objects += [
                    StoredObject(entry["path"][start:], entry["size"], plain_etag(entry["e_tag"])) for entry in chunk
                ]
        return sorted((entry for entry in objects if entry.path.startswith(prefix)), key=lambda entry: entry.path)

    async def newest_change(self) -> datetime | None:
        """When an object was written last; None if there is none."""
        newest: datetime | None = None
        with translated_errors():
            async for chunk in obstore.list(self._store, self._base, chunk_size=LIST_CHUNK):
                newest = max([entry["last_modified"] for entry in chunk] + ([newest] if newest else []))
        return newest

    async def delete(self, path: str) -> None:
        with translated_errors():
            try:
                await obstore.delete_async(self._store, self._path(path))
            except FileNotFoundError:
                return

    async def remove(self) -> None:
        if isinstance(self._store, LocalStore) and self._store.prefix is not None:
            # Directories, and the leftovers of writers that were killed, are no objects: they would stay.
            await asyncio.to_thread(shutil.rmtree, Path(self._store.prefix) / self._base, ignore_errors=True)
            return
        objects = await self.list()
        for start in range(0, len(objects), DELETES_AT_ONCE):
            await asyncio.gather(*(self.delete(entry.path) for entry in objects[start : start + DELETES_AT_ONCE]))

    async def progress(self) -> Progress:
        if self._reader is None:
            self._reader = LedgerReader(self, self._clock)
        return await self._reader.read()

    def _path(self, path: str) -> str:
        return f"{self._base}/{path}"


def plain_etag(etag: str | None) -> str:
    """Without the quotes that some stores put around it."""
    return (etag or "").strip('"')


@contextmanager
def translated_errors() -> Iterator[None]:
    """Every failure of the store as StoreUnavailable, a full one with its own code; a missing object stays itself."""
    try:
        yield
    except BaseError as error:
        if any(number in str(error) for number in _NO_SPACE):
            raise StoreUnavailable("the artifact store is full", code="store_full") from error
        raise StoreUnavailable(f"the artifact store failed: {type(error).__name__}", code="store_failed") from error
