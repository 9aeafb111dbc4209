"""``splai worker finish``: writes the outputs of a job that has no workers any more, also into a place of the user's.

Its report is a worker's heartbeat, so that the progress of a long copy is seen.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from typing import Final as Constant

from splai.api.ledger import TASKS_PREFIX, EngineState, Final, WorkOrder
from splai.artifacts.folder import JobFolder
from splai.outputs.opening import open_destination
from splai.worker.finalize import Written, settle, write_outputs
from splai.worker.heartbeat import Heartbeat
from splai.worker.ledger import Ledger
from splai.worker.settings import WorkerSettings
from splai.worker.store import PatientFolder

_LONGEST_ERROR_LINE: Constant = 1400  # of a record without an answer: its name, and a message of 1,000 characters


class Stopped(Exception):
    """The pod was asked to stop before the files were written."""


async def finish_job(
    folder: JobFolder, order: WorkOrder, settings: WorkerSettings, *, pulse: Callable[[], None], stop: asyncio.Event
) -> Final:
    """Write the outputs and ``final``, if nobody has; raises OutputProblem, and Stopped after ``stop``."""
    written = Written()
    heartbeat = Heartbeat(
        folder,
        settings.identity,
        held=list,
        in_flight=int,
        engine=EngineState,
        finalized_bytes=lambda: written.bytes,
    )
    beating = asyncio.create_task(heartbeat.run())
    try:
        return await _unless(stop, _finish(PatientFolder(folder, pulse=pulse), order, settings, written))
    finally:
        beating.cancel()
        await heartbeat.release()


async def _finish(store: PatientFolder, order: WorkOrder, settings: WorkerSettings, written: Written) -> Final:
    ledger = Ledger(store, settings.identity.worker)
    if (final := await ledger.read_final()) is not None:
        return final
    most = await _most_bytes(store, order) if order.output.bucket else 0
    destination = open_destination(order.output, order.job, expected_bytes=most)
    contents = await settle(ledger, order, closing_code=settings.closing_code, closing_message=settings.closing_message)
    return await write_outputs(ledger, store, order, contents, destination=destination, written=written)


async def _most_bytes(store: PatientFolder, order: WorkOrder) -> int:
    """What a file can have at most: the parts hold all lines and more."""
    return sum(entry.size for entry in await store.list(TASKS_PREFIX)) + order.total * _LONGEST_ERROR_LINE


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, Final]) -> Final:
    """The work's result; when ``stop`` comes first it is cancelled, and cleans up behind itself."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))
        if working.cancelled():
            raise Stopped
        return working.result()
    finally:
        stopping.cancel()
