"""The commands of a worker pod, and how they end; ``splai worker plan`` is in ``plan.py``.

====  ===================================================================
exit  meaning
====  ===================================================================
0     done: nothing is left for this worker to do
1     something went wrong that another try may not meet
42    the input or the settings are bad: another try meets the same
143   asked to stop, and stopped cleanly
====  ===================================================================

The termination message holds the job's final report if this worker wrote it, else the reason of the failure.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar
from typing import Final as Constant

import uvloop

from splai.api.json import compact_text
from splai.api.ledger import PLAN, Final, WorkOrder
from splai.api.pod_contract import EXIT_BAD_INPUT, EXIT_DONE, EXIT_DRAINED, EXIT_RETRY
from splai.artifacts.client import ArtifactClient
from splai.artifacts.folder import JobFolder, StoreRefused
from splai.artifacts.part_lines import PartInvalid
from splai.core.inferencejob.prompt import PATHS
from splai.core.inferencejob.template import TemplateError
from splai.garbage import collect_garbage_seldom
from splai.logs import configure_logging, origin
from splai.outputs.destination import OutputProblem
from splai.signals import told_to_stop
from splai.tracing.environment import TracingInvalid, tracing_from_environment
from splai.tracing.span import Tracing
from splai.worker.batch import Batch, Engine
from splai.worker.engine import EngineClient, EngineProbe
from splai.worker.finalize import NotCommitted
from splai.worker.finish import Stopped, finish_job
from splai.worker.ledger import Ledger, LedgerBroken, PlanInvalid
from splai.worker.settings import SettingsInvalid, WorkerSettings
from splai.worker.spans import TaskSpans
from splai.worker.store import PatientFolder
from splai.worker.watchdog import Watchdog, still_limit

ORDER_SECONDS: Constant = 60.0
ORDER_INTERVAL: Constant = 2.0
TRACES_SECONDS: Constant = 2.0  # of the 30 that Kubernetes grants, of which draining may take 25
STORE_DEADLINE: Constant = 20.0  # of one call; the patient folder repeats it
LONGEST_REASON: Constant = 1500  # bytes, of the 2 KiB that a termination message may have
_log = logging.getLogger(__name__)
_Order = TypeVar("_Order")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: the process's exit code and termination message."""

    code: int
    message: dict[str, Any] | None = None

    @classmethod
    def failed(cls, code: int, reason: str, message: str) -> "Ended":
        return cls(code, {"reason": reason, "message": message.encode()[:LONGEST_REASON].decode(errors="ignore")})


class PlanMissing(Exception):
    """There is no plan.json, or no reading.json."""


def run() -> NoReturn:
    """``splai worker run``: work on the job's tasks."""
    run_command(_run)


def finish() -> NoReturn:
    """``splai worker finish``: write the outputs of a job that has no workers any more."""
    run_command(_finish)


def run_command(command: Callable[[WorkerSettings], Coroutine[Any, Any, Ended]]) -> NoReturn:
    """Run a command to its end, which is the process's."""
    configure_logging("worker", level=os.environ.get("SPLAI_LOG_LEVEL") or "INFO")
    try:
        settings = WorkerSettings.from_environment(os.environ)
    except SettingsInvalid as error:
        _log.error("the settings are not valid", extra={"cause": str(error)})
        sys.exit(EXIT_BAD_INPUT)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ended = runner.run(_guarded(command, settings))
    write_termination_message(settings, ended)
    leave(ended.code)


def leave(code: int) -> NoReturn:
    """End the process. obstore's threads may abort an orderly exit, and the pod would count as failed."""
    logging.shutdown()
    if "obstore" in sys.modules:
        os._exit(code)
    sys.exit(code)


async def _guarded(command: Callable[[WorkerSettings], Coroutine[Any, Any, Ended]], settings: WorkerSettings) -> Ended:
    """Run a command; every failure becomes an exit code and a reason."""
    try:
        return await command(settings)
    except Exception as error:
        _log.error("the worker failed", extra=origin(_cause(error)))
        return explain(error)


def _cause(error: BaseException) -> BaseException:
    """The first failure of a task group: the others were cancelled because of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def explain(error: BaseException) -> Ended:
    """The exit code and the reason of a failure."""
    match cause := _cause(error):
        case PlanInvalid() | TemplateError():
            return Ended.failed(EXIT_BAD_INPUT, "PlanInvalid", str(cause))
        case PlanMissing():
            return Ended.failed(EXIT_RETRY, "PlanMissing", str(cause))
        case StoreRefused():
            return Ended.failed(EXIT_RETRY, "ArtifactStoreRefused", f"{cause.status} {cause.code}: {cause}")
        case LedgerBroken() | PartInvalid():
            return Ended.failed(EXIT_RETRY, "LedgerBroken", str(cause))
        case OutputProblem():
            return Ended.failed(EXIT_RETRY if cause.may_pass else EXIT_BAD_INPUT, cause.reason, str(cause))
        case NotCommitted():
            return Ended.failed(EXIT_RETRY, "NotCommitted", str(cause))
        case _:
            return Ended.failed(EXIT_RETRY, "InternalError", type(cause).__name__)


async def _run(settings: WorkerSettings) -> Ended:
    collect_garbage_seldom()
    async with _open_folder(settings) as folder:
        order = await read_plan(_ledger(settings, folder))
        with _traced() as tracing, _watched(settings, order) as pulse:
            batch = Batch(
                order,
                folder,
                settings.identity,
                _engine(order),
                clock=time.monotonic,
                pulse=pulse,
                spans=TaskSpans(tracing, order, settings.identity.worker) if tracing is not None else None,
            )
            result = await batch.run(told_to_stop())
    if result.drained:
        return Ended.failed(EXIT_DRAINED, "Drained", "the pod was asked to stop; its claims are released")
    return _done(result.final)


async def _finish(settings: WorkerSettings) -> Ended:
    async with _open_folder(settings) as folder:
        order = await read_plan(_ledger(settings, folder))
        with _watched(settings, order) as pulse:
            try:
                return _done(await finish_job(folder, order, settings, pulse=pulse, stop=told_to_stop()))
            except Stopped:
                return Ended.failed(EXIT_DRAINED, "Drained", "the pod was asked to stop; the next one begins anew")


async def read_plan(ledger: Ledger) -> WorkOrder:
    """plan.json; raises PlanMissing."""
    return await awaited(ledger.plan, PLAN)


async def awaited(read: Callable[[], Awaitable[_Order | None]], name: str) -> _Order:
    """An order as soon as it can be read; raises PlanMissing.

    It is written before the first pod is created, so it is missing only for a moment or for ever.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + ORDER_SECONDS
    while (order := await read()) is None:
        if clock() >= deadline:
            raise PlanMissing(f"the job's folder has no {name}")
        _log.info("%s is not there yet", name)
        await asyncio.sleep(ORDER_INTERVAL)
    return order


@asynccontextmanager
async def _open_folder(settings: WorkerSettings) -> AsyncIterator[JobFolder]:
    async with ArtifactClient(settings.artifacts_url, settings.token_file, deadline=STORE_DEADLINE) as client:
        yield client.job(settings.namespace, settings.job_uid)


def _ledger(settings: WorkerSettings, folder: JobFolder) -> Ledger:
    return Ledger(PatientFolder(folder, pulse=lambda: None), settings.identity.worker)


def _engine(order: WorkOrder) -> Engine:
    url = order.endpoint + PATHS[order.type]
    return Engine(
        new_client=lambda: EngineClient(url, timeout=order.request_timeout_seconds, clock=time.monotonic),
        probe=EngineProbe(order.endpoint),
    )


@contextmanager
def _watched(settings: WorkerSettings, order: WorkOrder) -> Iterator[Callable[[], None]]:
    """Run under the watchdog; gives the pulse that keeps it quiet."""

    def give_up(seconds: float) -> None:
        message = f"nothing happened for {seconds:g} seconds"
        _log.error("the worker stands still", extra={"seconds": seconds})
        write_termination_message(settings, Ended.failed(EXIT_RETRY, "Still", message))
        logging.shutdown()
        os._exit(EXIT_RETRY)  # whatever hangs would hang an orderly exit too

    watchdog = Watchdog(limit=still_limit(order.request_timeout_seconds), on_still=give_up)
    watchdog.start()
    try:
        yield watchdog.pulse
    finally:
        watchdog.stop()


@contextmanager
def _traced() -> Iterator[Tracing | None]:
    """Traces, where they are asked for; a job does not fail because they are asked for in vain."""
    try:
        tracing = tracing_from_environment("worker")
    except TracingInvalid as error:
        _log.warning("there are no traces", extra={"cause": str(error)})
        tracing = None
    try:
        yield tracing
    finally:
        if tracing is not None:
            tracing.close(TRACES_SECONDS)


def _done(final: Final | None) -> Ended:
    return Ended(EXIT_DONE, final.to_wire() if final else None)


def write_termination_message(settings: WorkerSettings, ended: Ended) -> None:
    """Leave the message where the kubelet reads it; outside a pod there is no such place."""
    if ended.message is None:
        return
    message = {key: value for key, value in ended.message.items() if key != "closedTasks"}
    try:
        settings.termination_log.write_text(compact_text(message))
    except OSError as error:
        _log.warning("the termination message was not written", extra={"cause": error.strerror})
