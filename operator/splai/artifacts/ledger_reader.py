"""Progress of a job that is asked for every two seconds, without reading everything every time.

A read is one list, and then only what it shows to be new: immutable objects once, a worker's report when its etag
changed. Whether a worker is alive is judged by that change on this process's own monotonic clock. After ``final``
nothing changes any more, so a finished job costs nothing at all.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final as Constant
from typing import TypeVar

from pydantic import ValidationError

from splai.api.base import APIModel, wrong_fields
from splai.api.ledger import (
    ALIVE_SECONDS,
    CLOSING,
    FINAL,
    MANIFEST,
    PLAN,
    VALIDATION,
    WORKERS_PREFIX,
    Claim,
    Commit,
    Final,
    InputManifest,
    Progress,
    TaskCounts,
    Validation,
    WorkerReport,
    WorkOrder,
    claim_path,
    commit_path,
    committed_tasks,
    highest_epochs,
)
from splai.artifacts.folder import JobFolder, StoredObject
from splai.artifacts.progress import CommitSummary, Ledger, PlanSummary, largest_counts, summarize, unnamed_claims

READS_AT_ONCE: Constant = 32
CACHED_TASKS: Constant = 50_000  # some 100 MB
_Model = TypeVar("_Model", bound=APIModel)


class LedgerInvalid(Exception):
    """An object of the ledger is not what the ledger says it is."""


@dataclass(frozen=True, slots=True)
class SeenReport:
    etag: str
    changed_at: float
    report: WorkerReport


class LedgerReader:
    """One job's ledger, as far as it was read."""

    def __init__(self, folder: JobFolder, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = asyncio.Lock()  # two readers at once would read the same objects twice
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._input: InputManifest | None = None
        self._invalid: Validation | None = None
        self._plan: PlanSummary | None = None
        self._commits: dict[str, CommitSummary] = {}
        self._claimants: dict[tuple[str, int], str] = {}
        self._reports: dict[str, SeenReport] = {}
        self._largest: dict[str, TaskCounts] = {}
        self._final: Final | None = None
        self._settled: bytes | None = None  # as JSON: a tenth of the memory

    @property
    def weight(self) -> int:
        """How much memory this takes, in tasks."""
        settled = len(self._settled) // 1024 if self._settled else 0
        return 1 + len(self._commits) + len(self._claimants) + len(self._largest) + settled

    async def read(self) -> Progress:
        async with self._lock:
            if self._settled is not None:
                return Progress.model_validate_json(self._settled)
            was_final = self._final is not None
            progress = await self._read()
            if was_final:  # so this list was made after ``final``, and shows all that came before it
                self._settled = progress.model_dump_json(by_alias=True).encode()
                self._commits, self._claimants, self._reports, self._largest = {}, {}, {}, {}
            return progress

    async def _read(self) -> Progress:
        objects = {entry.path: entry for entry in await self._folder.list()}
        if PLAN not in objects:
            return await self._read_input(objects)
        if self._plan is None:
            order = await self._require(PLAN, WorkOrder)
            self._plan = PlanSummary(spec_hash=order.spec_hash, records=order.total, backend=order.backend)
            self._input = None
        if FINAL in objects and self._final is None:
            self._final = await self._require(FINAL, Final)
        is_first = not self._reports
        await self._read_reports(objects.values())
        if is_first and self._reports:
            # A report may be younger than the list, and then lacks what its worker committed in between. Later reads
            # know that from earlier reports.
            objects = {entry.path: entry for entry in await self._folder.list()}
        await self._read_commits(objects)
        self._largest = largest_counts((seen.report for seen in self._reports.values()), self._largest)
        for task in self._largest.keys() & self._commits.keys():
            del self._largest[task]
        ledger = self._ledger(objects)
        await self._read_claimants(unnamed_claims(ledger))
        return summarize(replace(ledger, claimants=self._claimants))

    async def _read_input(self, objects: Iterable[str]) -> Progress:
        """What a planning pod found, until its records are planned."""
        if MANIFEST in objects and self._input is None:
            self._input = await self._require(MANIFEST, InputManifest)
        if VALIDATION in objects and self._invalid is None:
            self._invalid = await self._require(VALIDATION, Validation)
        return Progress(planned=False, input=self._input, invalid=self._invalid)

    def _ledger(self, objects: dict[str, StoredObject]) -> Ledger:
        now = self._clock()
        return Ledger(
            plan=self._plan,
            epochs=highest_epochs(objects),
            commits=self._commits,
            reports=[seen.report for seen in self._reports.values()],
            alive={seen.report.worker for seen in self._reports.values() if now - seen.changed_at < ALIVE_SECONDS},
            largest=self._largest,
            closing=CLOSING in objects,
            final=self._final,
        )

    async def _read_commits(self, objects: Iterable[str]) -> None:
        tasks = [task for task in committed_tasks(objects) if task not in self._commits]
        commits = await asyncio.gather(*(self._require(commit_path(task), Commit) for task in tasks))
        for task, commit in zip(tasks, commits, strict=True):
            self._commits[task] = CommitSummary(worker=commit.worker, counts=commit.counts, usage=commit.usage)

    async def _read_reports(self, objects: Iterable[StoredObject]) -> None:
        listed = {entry.path: entry for entry in objects if entry.path.startswith(WORKERS_PREFIX)}
        self._reports = {path: seen for path, seen in self._reports.items() if path in listed}
        changed = [
            entry
            for entry in listed.values()
            if entry.path not in self._reports or self._reports[entry.path].etag != entry.etag
        ]
        reports = await asyncio.gather(*(self._fetch_report(entry.path) for entry in changed))
        for entry, report in zip(changed, reports, strict=True):
            if report is not None:
                self._reports[entry.path] = SeenReport(entry.etag, self._clock(), report)

    async def _fetch_report(self, path: str) -> WorkerReport | None:
        """Reports are not synchronised to the disk: one that a power cut emptied counts as none."""
        try:
            return await self._fetch(path, WorkerReport)
        except LedgerInvalid:
            return None

    async def _read_claimants(self, wanted: list[tuple[str, int]]) -> None:
        missing = [claim for claim in wanted if claim not in self._claimants]
        claims = await asyncio.gather(*(self._fetch(claim_path(*claim), Claim) for claim in missing))
        found = {claim: read.worker for claim, read in zip(missing, claims, strict=True) if read is not None}
        known = self._claimants | found
        self._claimants = {claim: known[claim] for claim in wanted if claim in known}

    async def _require(self, path: str, model: type[_Model]) -> _Model:
        read = await self._fetch(path, model)
        if read is None:
            raise LedgerInvalid(f"{path} was listed but is gone")
        return read

    async def _fetch(self, path: str, model: type[_Model]) -> _Model | None:
        async with self._reads:
            data = await self._folder.get(path)
        if data is None:
            return None
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            raise LedgerInvalid(f"{path} is not a {model.__name__}: {wrong_fields(error)}") from None


class LedgerReaders:
    """The readers of the jobs that were asked for last, up to a number of tasks in all."""

    def __init__(self, clock: Callable[[], float], *, capacity: int = CACHED_TASKS) -> None:
        self._clock = clock
        self._capacity = capacity
        self._readers: OrderedDict[str, LedgerReader] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._total = 0

    async def read(self, key: str, folder: JobFolder) -> Progress:
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = LedgerReader(folder, self._clock)
        self._readers.move_to_end(key)
        progress = await reader.read()
        if self._readers.get(key) is reader:
            self._weigh(key, reader.weight)
        return progress

    def forget(self, key: str) -> None:
        self._readers.pop(key, None)
        self._total -= self._weights.pop(key, 0)

    def _weigh(self, key: str, weight: int) -> None:
        self._total += weight - self._weights.get(key, 0)
        self._weights[key] = weight
        while self._total > self._capacity and len(self._readers) > 1:
            self.forget(next(iter(self._readers)))
