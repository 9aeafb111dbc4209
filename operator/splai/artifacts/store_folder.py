"""A job's folder on an object store of this process: what the server serves, and what tests run the ledger on."""

import asyncio
import errno
import shutil
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from typing import Final as Constant

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore

from splai.api.ledger import WORKERS_PREFIX, Progress
from splai.artifacts import durable_files
from splai.artifacts.folder import INSUFFICIENT_STORAGE, StoredObject, StoreUnavailable
from splai.artifacts.ledger_reader import LedgerReader

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult  # exist for type checkers only

CHUNK_BYTES: Constant = 1024 * 1024
PART_BYTES: Constant = 16 * 1024 * 1024  # S3 takes 10,000 parts: files of up to 160 GB
PARTS_AT_ONCE: Constant = 1
LIST_CHUNK: Constant = 1000
DELETES_AT_ONCE: Constant = 32
PROBE: Constant = "ready"
FLEETING: Constant = (WORKERS_PREFIX, PROBE)  # overwritten in seconds: not worth waiting for the disk
_NO_SPACE = ("os error 28", "os error 122", "XMinioStorageFull")  # ENOSPC, EDQUOT, and MinIO's word
_Result = TypeVar("_Result")


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
        root = store.prefix if isinstance(store, LocalStore) else None
        self._directory = Path(root) / self._base if root is not None else None
        self._clock = clock
        self._reader: LedgerReader | None = None

    async def create(self, path: str, data: bytes) -> bool:
        with translated_writes():
            if file := self._file(path):
                return await _on_disk(durable_files.create, file, data)
            try:
                await obstore.put_async(self._store, self._path(path), data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    async def put(self, path: str, data: bytes) -> None:
        with translated_writes():
            file = self._file(path)
            if file and not path.startswith(FLEETING):
                await _on_disk(durable_files.replace, file, data)
            else:
                await obstore.put_async(self._store, self._path(path), data, use_multipart=False)

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        with translated_writes():
            await obstore.put_async(
                self._store,
                self._path(path),
                chunks,
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
            if file := self._file(path):
                await _on_disk(durable_files.keep, file)

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
        if self._directory is not None:
            # Directories, and the leftovers of writers that were killed, are no objects: they would stay.
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
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

    def _file(self, path: str) -> Path | None:
        return self._directory / path if self._directory else None


def plain_etag(etag: str | None) -> str:
    """Without the quotes that some stores put around it."""
    return (etag or "").strip('"')


@contextmanager
def translated_errors() -> Iterator[None]:
    """Every failure of the store as StoreUnavailable, a full one with its own code; a missing object stays itself."""
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise _failed("the bucket is missing") from None
        raise
    except BaseError as error:
        if any(sign in str(error) for sign in _NO_SPACE):
            raise _full() from None
        raise _failed(type(error).__name__) from None


@contextmanager
def translated_writes() -> Iterator[None]:
    """As ``translated_errors``; a write needs no object, so what is missing is the store's own."""
    with translated_errors():
        try:
            yield
        except FileNotFoundError:
            raise _failed("its bucket or directory is missing") from None


async def _on_disk(work: Callable[..., _Result], *arguments: object) -> _Result:
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full() from None
        raise _failed(error.strerror or type(error).__name__) from None


def _full() -> StoreUnavailable:
    return StoreUnavailable("the artifact store is full", code=INSUFFICIENT_STORAGE)


def _failed(words: str) -> StoreUnavailable:
    return StoreUnavailable(f"the artifact store failed: {words}", code="store_failed")
