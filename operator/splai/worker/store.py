"""The job's folder for somebody who has no choice but to wait for it.

While the artifact server restarts or its volume is full a worker keeps what it has and tries again: giving up would
lose answers that were paid for. So nothing above this module sees ``StoreUnavailable``. Repeating is safe, because a
repeated create answers False and its caller then looks whether the object is its own.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Final as Constant
from typing import TypeVar

from splai.artifacts.folder import JobFolder, StoredObject, StoreUnavailable
from splai.resilience.retry import Backoff

CALLS_AT_ONCE: Constant = 8
_BACKOFF = Backoff(initial=0.5, maximum=15.0)
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class PatientFolder:
    """The calls of ``JobFolder`` that the ledger needs, each repeated until the store answers.

    A few calls run at once and the others wait for their turn: with one-record tasks hundreds could be under way, and
    the server is everybody's. ``pulse`` is called for every reaction of the store but lists: a worker that only looks
    around makes no progress.
    """

    def __init__(
        self, folder: JobFolder, *, pulse: Callable[[], None], jitter: Callable[[], float] = random.random
    ) -> None:
        self._folder = folder
        self._pulse = pulse
        self._jitter = jitter
        self._turns = asyncio.Semaphore(CALLS_AT_ONCE)

    async def create(self, path: str, data: bytes) -> bool:
        return await self._until_answered(lambda: self._folder.create(path, data))

    async def put_stream(self, path: str, produce: Callable[[], AsyncIterable[bytes]]) -> None:
        """Write what ``produce`` yields; it is called again for every try."""
        await self._until_answered(lambda: self._folder.put_stream(path, produce()))

    async def get(self, path: str) -> bytes | None:
        return await self._until_answered(lambda: self._folder.get(path))

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        return await self._until_answered(lambda: self._folder.list(prefix), is_progress=False)

    async def _until_answered(self, call: Callable[[], Awaitable[_Result]], *, is_progress: bool = True) -> _Result:
        failures = 0
        while True:
            try:
                async with self._turns:
                    result = await call()
            except StoreUnavailable as error:
                failures += 1
                if failures == 1:
                    _log.warning("the artifact store is unavailable", extra={"cause": str(error), "code": error.code})
                self._pulse()
                await asyncio.sleep(_BACKOFF.delay(failures, jitter=self._jitter()))
            else:
                if is_progress:
                    self._pulse()
                return result
