"""Removes the results of jobs that are gone, when nobody has touched them for the time they are kept.

Results outlive their InferenceJob, so nothing else would ever remove them. A folder is removed only when its job is
unknown at a moment after the folder was listed, and all of it is older than the retention by the store's own clock.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import NoReturn, Protocol

from splai.artifacts.folder import FolderName, StoreRefused, StoreUnavailable

INTERVAL = 3600.0
FIRST_DELAY = 300.0

_log = logging.getLogger(__name__)


class Folder(Protocol):
    """What is asked of one folder."""

    async def idle_seconds(self) -> float | None:
        """Since the newest change of any of its objects; None without any."""

    async def remove(self) -> None:
        """Delete all of it."""


class Store(Protocol):
    """What is asked of the artifact server."""

    def folders(self, namespace: str = "") -> AsyncIterator[FolderName]:
        """Those of all jobs, or of one namespace's."""

    def job(self, namespace: str, uid: str) -> Folder:
        """The folder of one job."""


class Retention:
    """Looks through the store every hour."""

    def __init__(
        self,
        store: Store,
        *,
        keep: timedelta,
        namespaces: Sequence[str],
        is_known: Callable[[str], bool],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``is_known`` says whether a UID is that of a job that is there; ``namespaces``: none means all."""
        self._store = store
        self._keep = keep.total_seconds()
        self._namespaces = tuple(namespaces) or ("",)
        self._is_known = is_known
        self._jitter = jitter

    async def run(self) -> NoReturn:
        """For as long as this process leads; a store that is away is asked again next time."""
        await asyncio.sleep(FIRST_DELAY * (0.5 + self._jitter()))
        while True:
            try:
                removed = await self.sweep()
            except (StoreUnavailable, StoreRefused) as error:
                _log.warning("old results not removed", extra={"error": str(error)})
            else:
                _log.info("old results removed", extra={"folders": removed})
            await asyncio.sleep(INTERVAL * (0.8 + 0.4 * self._jitter()))

    async def sweep(self) -> int:
        """Once through the store; returns how many folders were removed."""
        removed = 0
        for namespace in self._namespaces:
            listed = [name async for name in self._store.folders(namespace)]
            for name in listed:
                removed += not self._is_known(name.uid) and await self._remove_if_old(name)
        return removed

    async def _remove_if_old(self, name: FolderName) -> bool:
        folder = self._store.job(name.namespace, name.uid)
        idle = await folder.idle_seconds()
        if idle is None or idle < self._keep:  # in one without any object there is nothing to free
            return False
        await folder.remove()
        return True
