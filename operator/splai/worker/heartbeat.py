"""The worker's report: every 5 seconds, overwritten. It is the lease on all its claims, and the job's progress."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final as Constant

from splai.api.ledger import EngineState, HeldTask, WorkerReport, worker_path
from splai.artifacts.folder import JobFolder, StoreUnavailable
from splai.worker.ledger import encode
from splai.worker.settings import Identity

INTERVAL: Constant = 5.0
RELEASE_SECONDS: Constant = 3.0
LAST_BEAT_SECONDS: Constant = 1.0  # with the seconds to drain, flush and release 29 of the 30 that Kubernetes grants
_log = logging.getLogger(__name__)


class Heartbeat:
    """Writes one worker's report. Not through the patient folder: a late report says what is no longer true."""

    def __init__(
        self,
        folder: JobFolder,
        identity: Identity,
        *,
        held: Callable[[], list[HeldTask]],
        in_flight: Callable[[], int],
        engine: Callable[[], EngineState],
        finalized_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        self._folder = folder
        self._identity = identity
        self._held = held
        self._in_flight = in_flight
        self._engine = engine
        self._finalized_bytes = finalized_bytes
        self._sequence = 0
        self._on_its_way: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self._on_its_way = asyncio.create_task(self.beat())
            await asyncio.shield(self._on_its_way)  # what was sent cannot be called back, so the release waits for it

    async def beat(self) -> None:
        """Report once; a store that is away has no reader either."""
        try:
            await self._write(released=False)
        except StoreUnavailable as error:
            _log.warning("the heartbeat was not stored", extra={"cause": str(error)})

    async def release(self) -> None:
        """Say that all claims are free; when that fails they become free by time.

        A report that is on its way would overwrite this one if it came later, and keep the claims for a minute.
        """
        if self._on_its_way is not None:
            await asyncio.wait((self._on_its_way,), timeout=LAST_BEAT_SECONDS)
            self._on_its_way.cancel()
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._write(released=True)
        except (StoreUnavailable, TimeoutError):
            _log.warning("the claims could not be released")

    async def _write(self, *, released: bool) -> None:
        self._sequence += 1
        report = WorkerReport(
            worker=self._identity.worker,
            child_job=self._identity.child_job,
            index=self._identity.index,
            pod_uid=self._identity.pod_uid,
            pod_name=self._identity.pod_name,
            sequence=self._sequence,
            state="released" if released else "running",
            held=self._held(),
            in_flight=0 if released else self._in_flight(),
            engine=self._engine(),
            finalized_bytes=self._finalized_bytes(),
        )
        await self._folder.put(worker_path(report.worker), encode(report))
