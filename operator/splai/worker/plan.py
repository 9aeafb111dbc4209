"""``splai worker plan``: read the input of a job into chunks, before it has workers.

``reading.json`` says what to read. The reading runs in a thread that pulls bytes and makes records of them, while the
event loop stores chunks and listens for SIGTERM. It ends with ``input.json`` or ``validation.json``; whoever creates
one first has decided, so that a pod that was killed, or two at once, do no harm: each attempt has a folder of its own.

====  ===================================================================
exit  meaning
====  ===================================================================
0     input.json is there
1     the source or the store is unavailable: another try may go well
42    validation.json is there, or the order is bad
143   asked to stop
====  ===================================================================

The source's credentials come from the environment, see ``inputs.sources``; its volume is mounted at ``/input``.
"""

import asyncio
import errno
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar
from typing import Final as Constant

from pydantic import ValidationError

from splai.api.base import wrong_fields
from splai.api.json import compact_text
from splai.api.ledger import MANIFEST, READING, VALIDATION, InputManifest, ReadingOrder, Validation
from splai.api.pod_contract import EXIT_BAD_INPUT, EXIT_DONE, EXIT_DRAINED, EXIT_RETRY
from splai.artifacts.client import ArtifactClient
from splai.inputs.errors import SourceUnavailable
from splai.inputs.reading import Progress, read_input
from splai.inputs.sources import VOLUME, open_source
from splai.signals import told_to_stop
from splai.worker.ledger import PlanInvalid, encode
from splai.worker.main import STORE_DEADLINE, Ended, awaited, run_command
from splai.worker.settings import WorkerSettings
from splai.worker.store import PatientFolder

PUTS_AT_ONCE: Constant = 4
REPORT_SECONDS: Constant = 10.0
LONGEST_SUMMARY: Constant = 1500  # bytes as JSON, of the 2 KiB that a termination message may have
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


def run() -> NoReturn:
    """The command."""
    run_command(lambda settings: plan_input(settings, os.environ))


async def plan_input(settings: WorkerSettings, environment: Mapping[str, str]) -> Ended:
    """Read the input unless somebody has."""
    stop = told_to_stop()
    work = asyncio.create_task(_plan(settings, environment))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        stopped.cancel()
        return work.result()
    work.cancel()
    return Ended.failed(EXIT_DRAINED, "Drained", "the pod was asked to stop; the next one reads the input anew")


async def _plan(settings: WorkerSettings, environment: Mapping[str, str]) -> Ended:
    async with ArtifactClient(settings.artifacts_url, settings.token_file, deadline=STORE_DEADLINE) as client:
        folder = PatientFolder(client.job(settings.namespace, settings.job_uid), pulse=lambda: None)
        if decided := await _decided(folder):
            return decided
        order = await awaited(lambda: _read_order(folder), READING)
        attempt = f"{settings.identity.pod_uid}-{secrets.token_hex(4)}"  # a container may be started again
        try:
            async with _earlier_folder(settings, environment, order) as earlier:
                result = await _read(order, environment, folder, earlier, attempt)
        except SourceUnavailable as error:
            _log.warning("the source is unavailable", extra={"cause": str(error)})
            return Ended.failed(EXIT_RETRY, "InputUnavailable", str(error))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return Ended.failed(EXIT_RETRY, "NoSpace", "the pod's temporary storage is full: Parquet is kept there")
        if decided := await _decided(folder):
            return decided
        is_good = isinstance(result, InputManifest)
        await folder.create(MANIFEST if is_good else VALIDATION, encode(result))
        return await _decided(folder) or Ended.failed(EXIT_RETRY, "LedgerBroken", "what was created is not there")


async def _decided(folder: PatientFolder) -> Ended | None:
    """How the reading ended, if it has, whoever did it."""
    if data := await folder.get(MANIFEST):
        manifest = InputManifest.model_validate_json(data)
        _log.info("the input is read", extra={"records": manifest.records, "bytes": manifest.bytes})
        return Ended(EXIT_DONE, {"reason": "InputRead", "message": f"{manifest.records} records"})
    if data := await folder.get(VALIDATION):
        validation = Validation.model_validate_json(data)
        _log.warning("the input is not valid", extra={"reason": validation.reason, "problems": validation.total})
        return Ended(EXIT_BAD_INPUT, {"reason": validation.reason, "message": summarize(validation)})
    return None


def summarize(validation: Validation) -> str:
    """As many problems as a termination message has room for, and how many there are."""
    lines = [f"{validation.total} problems:"] if validation.total > 1 else []
    for problem in validation.problems:
        if len(compact_text("\n".join([*lines, problem])).encode()) > LONGEST_SUMMARY:
            return "\n".join([*lines, "…"])
        lines.append(problem)
    return "\n".join(lines if len(validation.problems) == validation.total else [*lines, "…"])


async def _read_order(folder: PatientFolder) -> ReadingOrder | None:
    """reading.json, or None while it is not there; raises PlanInvalid."""
    data = await folder.get(READING)
    try:
        return None if data is None else ReadingOrder.model_validate_json(data)
    except ValidationError as error:
        raise PlanInvalid(f"reading.json is not valid: {wrong_fields(error)}") from None


@asynccontextmanager
async def _earlier_folder(
    settings: WorkerSettings, environment: Mapping[str, str], order: ReadingOrder
) -> AsyncIterator[PatientFolder | None]:
    """The folder of the job whose failed records are read, with the token that opens it.

    Its UID is that of the pod's own environment: the order is created once, and the name may have a new job since then.
    """
    token_file = environment.get("SPLAI_EARLIER_TOKEN_FILE")
    uid = environment.get("SPLAI_EARLIER_UID") or order.failed_of_uid
    if uid is None or not token_file:
        yield None
        return
    async with ArtifactClient(settings.artifacts_url, token_file, deadline=STORE_DEADLINE) as client:
        yield PatientFolder(client.job(order.namespace, uid), pulse=lambda: None)


async def _read(
    order: ReadingOrder,
    environment: Mapping[str, str],
    folder: PatientFolder,
    earlier: PatientFolder | None,
    attempt: str,
) -> InputManifest | Validation:
    loop = asyncio.get_running_loop()
    progress = Progress()
    get = FolderOfThread(earlier, loop).get if earlier else None
    reporting = asyncio.create_task(_keep_reporting(progress))
    try:
        return await in_thread(
            lambda: read_input(
                order,
                lambda: open_source(order.input, environment, earlier=get, volume=VOLUME),
                FolderOfThread(folder, loop),
                attempt=attempt,
                progress=progress,
            )
        )
    finally:
        reporting.cancel()


async def _keep_reporting(progress: Progress) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        _log.info("reading the input", extra={"records": progress.records, "bytes": progress.bytes})


class FolderOfThread:
    """The job's folder for the thread that reads, whose calls the event loop makes."""

    def __init__(self, folder: PatientFolder, loop: asyncio.AbstractEventLoop) -> None:
        self._folder = folder
        self._loop = loop
        self._started: deque[Future[bool]] = deque()

    def begin_create(self, path: str, content: bytes) -> None:
        """Start to create an object once few enough are under way; that it exists is an echo of our own try."""
        while len(self._started) >= PUTS_AT_ONCE:
            self._started.popleft().result()
        self._started.append(asyncio.run_coroutine_threadsafe(self._folder.create(path, content), self._loop))

    def finish(self) -> None:
        """Wait for all that was started."""
        while self._started:
            self._started.popleft().result()

    def get(self, path: str) -> bytes | None:
        """An object's content."""
        return asyncio.run_coroutine_threadsafe(self._folder.get(path), self._loop).result()


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """What ``work`` gives in a thread that does not keep the process alive: SIGTERM ends it wherever it is."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Result] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            set_outcome(outcome)

    def work_and_tell() -> None:
        try:
            result = work()
        except BaseException as error:
            loop.call_soon_threadsafe(settle, done.set_exception, error)
        else:
            loop.call_soon_threadsafe(settle, done.set_result, result)

    threading.Thread(target=work_and_tell, name="reading", daemon=True).start()
    return await done
