"""The ledger's protocol, and nothing else: how a job's objects are created and read back.

``api/ledger.py`` lists the objects. What makes results exactly-once is here, in five rules:

(a) *Create-only, and read back.* Every object that decides something is created once and never changed. When a create
    says that the object exists, that may be the echo of an earlier try of our own whose reply was lost. So the object
    is read back and its nonce compared: ``_create`` returns the winner, whoever it is. A part has no nonce; its name
    holds an epoch that only the owner of that claim writes under, so its content is compared.
(b) *Whose claim is dead* is judged in ``lease.py``.
(c) *A taker adopts.* ``durable_parts`` names the parts of all earlier epochs; their positions are not run again.
(d) *Only named parts are read*: those of the task's commit, or those that ``closing`` names. Parts that a worker
    writes after it lost its claim are named by nobody, or hold positions that come first elsewhere.
(e) *Only durable lines count*: a worker reports a line when the part that holds it exists.

and one decision: ``tasks/final/commit`` fixes, before any output is written, whether the outputs are made of all
tasks' commits or of ``closing``. Both can come into being at the same moment; the outputs cannot be both.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from splai.api.base import APIModel, wrong_fields
from splai.api.inference_job import Usage
from splai.api.json import encode_compact
from splai.api.ledger import (
    CLOSING,
    FINAL,
    FINAL_TASK,
    PLAN,
    WORKERS_PREFIX,
    Claim,
    Closing,
    ClosingTask,
    Commit,
    Final,
    TaskCounts,
    WorkerReport,
    WorkOrder,
    claim_path,
    commit_path,
    committed_tasks,
    highest_epochs,
    part_names,
    part_path,
    task_path,
    worker_path,
)
from splai.artifacts.folder import StoredObject
from splai.worker.store import PatientFolder

_Decisive = TypeVar("_Decisive", Claim, Commit, Closing, Final)
_Model = TypeVar("_Model", bound=APIModel)


class LedgerBroken(Exception):
    """The folder holds something that no worker writes."""


class PlanInvalid(Exception):
    """plan.json cannot be worked on, now or later."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one list of the folder shows."""

    committed: frozenset[str] = frozenset()
    epochs: dict[str, int] = field(default_factory=dict)  # of each claimed task the highest epoch
    parts: dict[str, list[str]] = field(default_factory=dict)  # of each task, by epoch and number
    reports: dict[str, str] = field(default_factory=dict)  # of each worker its report's etag
    closing: bool = False
    final: bool = False


class Ledger:
    """One job's ledger as one worker writes and reads it."""

    def __init__(
        self, folder: PatientFolder, worker: str, *, new_nonce: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        self._folder = folder
        self._worker = worker
        self._new_nonce = new_nonce
        self._commits: dict[str, Commit] = {}  # the winners of one's own

    async def plan(self) -> WorkOrder | None:
        """The work order, or None while it is not there; raises PlanInvalid."""
        data = await self._folder.get(PLAN)
        if data is None:
            return None
        try:
            return WorkOrder.model_validate_json(data)
        except ValidationError as error:
            raise PlanInvalid(f"plan.json is not valid: {wrong_fields(error)}") from None

    async def survey(self) -> Survey:
        """List the folder."""
        return read_listing(await self._folder.list())

    async def claim(self, task: str, epoch: int) -> bool:
        """Claim a task; False if another worker has this epoch."""
        mine = Claim(worker=self._worker, nonce=self._new_nonce())
        return await self._create(claim_path(task, epoch), mine) == mine

    async def holder(self, task: str, epoch: int) -> str:
        """The worker that claimed a task in an epoch."""
        return (await self._require(claim_path(task, epoch), Claim)).worker

    async def report(self, worker: str) -> WorkerReport | None:
        """A worker's report, if it can be read: it alone is not synchronised, and a power cut may empty it."""
        try:
            return await self._read(worker_path(worker), WorkerReport)
        except LedgerBroken:
            return None

    async def durable_parts(self, task: str) -> list[str]:
        """The names of all parts of a task, by epoch and number."""
        return read_listing(await self._folder.list(task_path(task, ""))).parts.get(task, [])

    async def read_part(self, task: str, name: str) -> bytes:
        """A part's lines."""
        path = task_path(task, name)
        data = await self._folder.get(path)
        if data is None:
            raise LedgerBroken(f"{path} is named but does not exist")
        return data

    async def write_part(self, task: str, epoch: int, number: int, data: bytes) -> str:
        """Make lines durable under a claim of one's own; the part's name."""
        path = part_path(task, epoch, number)
        if not await self._folder.create(path, data) and await self._folder.get(path) != data:
            raise LedgerBroken(f"{path} was written by another worker than the one that claimed the epoch")
        return f"{epoch}-{number}"

    async def commit(self, task: str, parts: list[str], counts: TaskCounts, usage: Usage) -> Commit:
        """Declare a task done; the commit that won, which may be another worker's."""
        mine = Commit(worker=self._worker, nonce=self._new_nonce(), parts=parts, counts=counts, usage=usage)
        commit = self._commits[task] = await self._create(commit_path(task), mine)
        return commit

    async def read_commit(self, task: str) -> Commit:
        """The commit of a task that has one; it never changes, so one that this worker made is not read again."""
        return self._commits.get(task) or await self._require(commit_path(task), Commit)

    async def close(self, code: str, message: str, tasks: list[ClosingTask]) -> Closing:
        """Fix the output of a job that ends early; the closing that won."""
        mine = Closing(nonce=self._new_nonce(), code=code, message=message, tasks=tasks)
        return await self._create(CLOSING, mine)

    async def read_closing(self) -> Closing:
        """The closing of a job that has one."""
        return await self._require(CLOSING, Closing)

    async def decide(self, *, closing: bool) -> bool:
        """Fix what the outputs are made of, unless somebody did: whether it is ``closing``, after all."""
        mine = Commit(
            worker=self._worker, nonce=self._new_nonce(), parts=[CLOSING] if closing else [], counts=TaskCounts()
        )
        return (await self._create(commit_path(FINAL_TASK), mine)).parts == [CLOSING]

    async def finish(self, final: Final) -> Final:
        """Declare the job's work over; the final that won, which says the same."""
        return await self._create(FINAL, final)

    async def read_final(self) -> Final | None:
        """The job's final object, if its work is over."""
        return await self._read(FINAL, Final)

    def new_nonce(self) -> str:
        return self._new_nonce()

    async def _create(self, path: str, mine: _Decisive) -> _Decisive:
        """Rule (a): the object that now stands at ``path``, ours or another's."""
        if await self._folder.create(path, encode(mine)):
            return mine
        return await self._require(path, type(mine))

    async def _require(self, path: str, model: type[_Model]) -> _Model:
        found = await self._read(path, model)
        if found is None:
            raise LedgerBroken(f"{path} exists but cannot be read")
        return found

    async def _read(self, path: str, model: type[_Model]) -> _Model | None:
        data = await self._folder.get(path)
        try:
            return None if data is None else model.model_validate_json(data)
        except ValidationError as error:
            raise LedgerBroken(f"{path} is not a {model.__name__}: {wrong_fields(error)}") from None


def read_listing(objects: Iterable[StoredObject]) -> Survey:
    """What the names of a folder's objects say."""
    etags = {entry.path: entry.etag for entry in objects}
    return Survey(
        committed=frozenset(committed_tasks(etags)),
        epochs=highest_epochs(etags),
        parts=part_names(etags),
        reports={
            path.removeprefix(WORKERS_PREFIX): etag for path, etag in etags.items() if path.startswith(WORKERS_PREFIX)
        },
        closing=CLOSING in etags,
        final=FINAL in etags,
    )


def encode(model: APIModel) -> bytes:
    """An object of the ledger as it is stored."""
    return encode_compact(model.to_wire())
