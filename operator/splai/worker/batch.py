"""A worker's life: the parts of this package put together, from the first heartbeat to the last.

::

    Claims ──tasks──► Dispatcher (lanes) ──lines──► Recorder ──parts, commits──► Ledger
       ▲                   │ gate                       │
       └── demand ─────────┴── Backend (probe)          └── held, durable counts ──► Heartbeat
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any
from typing import Final as Constant

from splai.api.ledger import FINAL_TASK, Final, HeldTask, WorkOrder
from splai.artifacts.folder import JobFolder
from splai.worker.backend import Backend
from splai.worker.claims import Claims, Ending
from splai.worker.dispatch import Client, Dispatcher
from splai.worker.finalize import Written, settle, write_outputs
from splai.worker.heartbeat import Heartbeat
from splai.worker.ledger import Ledger
from splai.worker.prefix_order import PrefixOrder
from splai.worker.recorder import Recorder
from splai.worker.records import Records
from splai.worker.settings import Identity
from splai.worker.spans import TaskSpans
from splai.worker.store import PatientFolder

DRAIN_SECONDS: Constant = 20.0  # of the 30 that Kubernetes grants by default
FLUSH_SECONDS: Constant = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """How to reach the engine."""

    new_client: Callable[[], Client]
    probe: Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Result:
    """How a worker ended: after SIGTERM, or with nothing left to do; ``final`` if it finalized the job."""

    drained: bool = False
    final: Final | None = None


class Batch:
    """One worker on one job."""

    def __init__(
        self,
        order: WorkOrder,
        folder: JobFolder,
        identity: Identity,
        engine: Engine,
        *,
        clock: Callable[[], float],
        pulse: Callable[[], None],
        spans: TaskSpans | None = None,
    ) -> None:
        self._order = order
        self._store = PatientFolder(folder, pulse=pulse)
        self._ledger = Ledger(self._store, identity.worker)
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._finalizing: list[HeldTask] = []
        self._written = Written()
        records = Records(self._store, order)
        self._backend = Backend(engine.probe, clock=clock, pulse=pulse)
        self._recorder = Recorder(
            self._ledger,
            clock=clock,
            spawn=self._spawn,
            on_commit=lambda task: self._claims.committed(task),
            spans=spans,
        )
        self._dispatcher = Dispatcher(
            order,
            records=records,
            backend=self._backend,
            recorder=self._recorder,
            new_client=engine.new_client,
            clock=clock,
            pulse=pulse,
            on_progress=lambda: self._claims.claim_free(),
        )
        self._claims = Claims(
            self._ledger,
            order,
            identity,
            backend=self._backend,
            dispatcher=self._dispatcher,
            recorder=self._recorder,
            clock=clock,
            pulse=pulse,
            spawn=self._spawn,
            arrange=PrefixOrder(records, order).arrange if order.dispatch_order == "Prefix" else _as_they_stand,
        )
        self._heartbeat = Heartbeat(
            folder,
            identity,
            held=lambda: [*self._recorder.held, *self._finalizing],
            in_flight=lambda: self._dispatcher.in_flight,
            engine=lambda: self._backend.state,
            finalized_bytes=lambda: self._written.bytes,
        )

    async def run(self, stop: asyncio.Event) -> Result:
        """Work until there is nothing left to do, or until ``stop`` asks to leave."""
        await self._heartbeat.beat()  # before the first claim: a claim without a report looks abandoned
        try:
            return await self._run(stop)
        finally:
            self._recorder.give_up()

    async def _run(self, stop: asyncio.Event) -> Result:
        async with self._group as group:
            for forever in (self._backend.watch, self._recorder.keep_flushing, self._heartbeat.run):
                self._spawn(forever())
            for _ in range(self._order.concurrency):
                self._spawn(self._dispatcher.lane())
            work = group.create_task(self._work())
            stopped = group.create_task(stop.wait())
            await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await self._drain()
            for task in (stopped, *self._running):
                task.cancel()
            await self._heartbeat.release()
        return Result(drained=True) if work.cancelled() else Result(final=work.result())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start what is to end with the worker, and whose failure is the worker's."""
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _work(self) -> Final | None:
        ending = await self._claims.run()
        _log.info("no task is left to claim", extra={"ending": ending.value})
        if ending is not Ending.FINALIZE:
            return None
        self._finalizing = [HeldTask(task=FINAL_TASK, epoch=self._claims.final_epoch)]
        contents = await settle(self._ledger, self._order)
        return await write_outputs(self._ledger, self._store, self._order, contents, written=self._written)

    async def _drain(self) -> None:
        """Answers that are on their way still count, within what time there is."""
        _log.info("draining", extra={"in_flight": self._dispatcher.in_flight})
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._dispatcher.drain()
        except TimeoutError:
            _log.warning("requests are still in flight", extra={"in_flight": self._dispatcher.in_flight})
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._recorder.settle()
        except TimeoutError:
            _log.warning("not all answers could be stored")


async def _as_they_stand(positions: Sequence[int]) -> Sequence[int]:
    return positions
