"""A job's folder as everybody who works with the ledger sees it, and the ways in which the store can fail.

The ledger needs few promises from a store: creating an object that exists changes nothing and says so, an object is
seen whole or not at all, and a list shows what was written before. The Protocol is these promises; the HTTP client
(`client.ArtifactClient`) and the store itself (`store_folder.StoreFolder`) keep them, so the ledger is tested over a
store in memory and runs unchanged over the network.
"""

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from splai.api.ledger import Progress

INSUFFICIENT_STORAGE: Final = "insufficient_storage"
"""The code of a store that is full, or too full for a new job."""


class StoreUnavailable(Exception):
    """No usable answer within the deadline. Whether a write took place is unknown: read it back.

    ``code`` is the server's word for the cause, such as ``insufficient_storage``, or ``unreachable``.
    """

    def __init__(self, message: str, *, code: str = "unreachable") -> None:
        super().__init__(message)
        self.code = code


class StoreRefused(Exception):
    """The server understood and said no: trying the same again is pointless."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An entry of a list. ``etag`` changes whenever the object is written, so a list alone shows a heartbeat."""

    path: str
    size: int
    etag: str = ""


@dataclass(frozen=True, slots=True, order=True)
class FolderName:
    """A job's folder among all."""

    namespace: str
    uid: str


class JobFolder(Protocol):
    """The objects of one job; paths are relative to its folder.

    Every call raises StoreUnavailable, and over the network StoreRefused.
    """

    async def create(self, path: str, data: bytes) -> bool:
        """Write an object that must not exist; False if it does, and it then stays as it is.

        False also answers a retry of a create of one's own whose reply was lost: compare the nonce.
        """

    async def put(self, path: str, data: bytes) -> None:
        """Write or overwrite an object."""

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        """Write or overwrite an object of any size in bounded memory; if ``chunks`` fails nothing is written.

        After StoreUnavailable the chunks are used up: try again with new ones.
        """

    async def get(self, path: str) -> bytes | None:
        """An object's content; None if there is none."""

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        """All objects whose path starts with ``prefix``, sorted by path."""

    async def remove(self) -> None:
        """Remove the whole folder; that it does not exist is success."""

    async def progress(self) -> Progress:
        """What the folder's objects say about the job."""
