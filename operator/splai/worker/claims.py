"""Which task a worker claims next, and when it may go home.

::

    free tasks ── demand? ──► claim, run
        │ none left
        ▼
    tasks that others hold ── holder dead ──► claim the next epoch, adopt its parts, run what is missing
        │ none dead, nothing of one's own open
        ▼
    every task committed ──► claim ``final`` like a task: finalize, unless that takes a pod of another kind
    every other task held by a worker seen alive ──► go home; whoever commits last finalizes
    otherwise ──► look again: a holder that is not seen to be alive may be dead

Claims are made ahead of need, several at once, so that one-record tasks keep all lanes busy. Workers of other indexes
start in other places and jump when they meet, because two workers that claim in the same order lose half their tries.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from enum import Enum
from typing import Any
from typing import Final as Constant

from splai.api.ledger import FINAL_TASK, TaskRange, WorkOrder
from splai.worker.backend import Backend
from splai.worker.dispatch import Dispatcher
from splai.worker.lease import Lease, Leases
from splai.worker.ledger import Ledger, Survey
from splai.worker.recorder import Recorder, adopt
from splai.worker.settings import Identity

SURVEY_SECONDS: Constant = 30.0  # while there is work of one's own: to learn of commits and of ``closing``
SEARCH_SECONDS: Constant = 5.0  # while there is none: as often as reports change
LOST_SECONDS: Constant = 1.0  # after another worker was faster
_TICK: Constant = 1.0


class Ending(Enum):
    """Why a worker claims no more."""

    FINALIZE = "all tasks are committed, and this worker claimed to finalize them"
    COVERED = "every task that is left is held by a worker that is alive"
    OVER = "the job is being finished by others"
    COMMITTED = "all tasks are committed, and a pod that may write to the destination finalizes"


class Claims:
    """One worker's view of all tasks."""

    def __init__(
        self,
        ledger: Ledger,
        order: WorkOrder,
        identity: Identity,
        *,
        backend: Backend,
        dispatcher: Dispatcher,
        recorder: Recorder,
        clock: Callable[[], float],
        pulse: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        arrange: Callable[[Sequence[int]], Awaitable[Sequence[int]]],
        choose: Callable[[int], int] = random.randrange,
    ) -> None:
        self._ledger = ledger
        self._tasks = {task.id: task for task in order.tasks}
        self._finalizes_elsewhere = order.output.needs_finish_job
        self._is_first = identity.index == 0
        self._leases = Leases(identity)
        self._backend = backend
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._wake = asyncio.Event()
        self._clock = clock
        self._pulse = pulse
        self._spawn = spawn
        self._arrange = arrange
        self._choose = choose
        self._survey = Survey()
        self._survey_at = clock()
        self._was_idle = False
        self._committed: set[str] = set()
        self._epochs: dict[str, int] = {}
        self._claiming: set[str] = set()
        self._claiming_records = 0
        self._holders: dict[tuple[str, int], str] = {}
        self._free = [(task, 1) for task in self._tasks]  # and the epoch to claim

    @property
    def final_epoch(self) -> int:
        """The highest claim on finalizing."""
        return self._epochs.get(FINAL_TASK, 0)

    def committed(self, task: str) -> None:
        """To be told of every commit of this worker's own."""
        self._committed.add(task)
        if not self._recorder.open_tasks:
            self._wake.set()

    def claim_free(self) -> None:
        """Claim as many free tasks as the lanes want; to be called whenever a record is done."""
        while self._free and self._has_demand():
            self._start(*self._free.pop(0))

    async def run(self) -> Ending:
        """Claim until there is nothing more to claim."""
        await self._arrange_tasks()
        if not self._is_first:
            self._jump()
        while True:
            self._wake.clear()
            if self._dispatcher.rests or not (self._recorder.open_tasks or self._claiming):
                self._pulse()  # waiting for a backoff or for others is not standing still
            ending = await self._step()
            if ending is not None:
                return ending
            news = self._wake.wait() if self._backend.is_ready else self._backend.ready()
            try:
                await asyncio.wait_for(news, _TICK)
            except TimeoutError:
                continue

    async def _arrange_tasks(self) -> None:
        """Tasks of one record are claimed in the order to send them: there is nothing to arrange within them."""
        tasks = {task.first: task.id for task in self._tasks.values() if task.count == 1}
        if len(tasks) == len(self._tasks):
            self._free = [(tasks[position], 1) for position in await self._arrange(list(tasks))]

    async def _step(self) -> Ending | None:
        surveyed = await self._survey_if_due()
        if self._survey.final or self._survey.closing:
            return Ending.OVER
        self.claim_free()
        if self._free or not surveyed:
            return None
        leases = await self._judge_others()
        self._free = [(task, self._epochs[task] + 1) for task, lease in leases.items() if lease is Lease.DEAD]
        self.claim_free()
        if self._free or self._recorder.open_tasks or self._claiming:
            return None
        return await self._end(leases)

    async def _end(self, leases: dict[str, Lease]) -> Ending | None:
        """Nothing of one's own is open, and nothing is free."""
        if len(self._committed) < len(self._tasks):
            return Ending.COVERED if all(lease is Lease.ALIVE for lease in leases.values()) else None
        if self._finalizes_elsewhere:
            return Ending.COMMITTED
        epoch = self.final_epoch
        lease = await self._judge(FINAL_TASK, epoch) if epoch else Lease.DEAD
        if lease is Lease.DEAD:
            self._epochs[FINAL_TASK] = epoch + 1
            return Ending.FINALIZE if await self._ledger.claim(FINAL_TASK, epoch + 1) else None
        return Ending.COVERED if lease is Lease.ALIVE else None

    async def _survey_if_due(self) -> bool:
        """List the folder if it is time; whether what is known is fresh."""
        now = self._clock()
        idle = not (self._free or self._recorder.open_tasks or self._claiming)
        became_idle = idle and not self._was_idle
        self._was_idle = idle
        if now < self._survey_at and not became_idle:
            return False
        self._survey = await self._ledger.survey()
        self._committed |= self._survey.committed & self._tasks.keys()
        for task, epoch in self._survey.epochs.items():
            self._epochs[task] = max(epoch, self._epochs.get(task, 0))
        self._free = [
            (task, epoch)
            for task, epoch in self._free
            if task not in self._committed and epoch > self._epochs.get(task, 0)
        ]
        self._survey_at = now + (SURVEY_SECONDS if self._free else SEARCH_SECONDS)
        return True

    def _has_demand(self) -> bool:
        return self._dispatcher.wanted > self._claiming_records and self._backend.is_ready

    def _start(self, task: str, epoch: int) -> None:
        self._epochs[task] = max(epoch, self._epochs.get(task, 0))
        self._claiming.add(task)
        self._claiming_records += self._tasks[task].count
        self._spawn(self._claim(self._tasks[task], epoch))

    async def _claim(self, task: TaskRange, epoch: int) -> None:
        if await self._ledger.claim(task.id, epoch):
            adopted = await adopt(self._ledger, task) if epoch > 1 else None
            positions = await self._arrange(task.positions if adopted is None else adopted.missing)
            self._dispatcher.enqueue(self._recorder.open(task, epoch, adopted), positions)
        else:
            self._survey_at = min(self._survey_at, self._clock() + LOST_SECONDS)
            self._jump()
        self._claiming.remove(task.id)
        self._claiming_records -= task.count
        self._wake.set()

    def _jump(self) -> None:
        if self._free:
            start = self._choose(len(self._free))
            self._free = self._free[start:] + self._free[:start]

    async def _judge_others(self) -> dict[str, Lease]:
        """The leases of the tasks that others hold."""
        held = [
            (task, epoch)
            for task in self._tasks
            if task not in self._committed
            and task not in self._recorder.open_tasks
            and task not in self._claiming
            and (epoch := self._epochs.get(task, 0))
        ]
        leases = await asyncio.gather(*(self._judge(task, epoch) for task, epoch in held))
        return {task: lease for (task, _), lease in zip(held, leases, strict=True)}

    async def _judge(self, task: str, epoch: int) -> Lease:
        worker = self._holders.get((task, epoch))
        if worker is None:
            worker = self._holders[task, epoch] = await self._ledger.holder(task, epoch)
        version = self._survey.reports.get(worker, "")
        if version and self._leases.changed(worker, version):
            report = await self._ledger.report(worker)
            released = report is not None and report.state == "released"
            self._leases.observe(worker, version, released=released, now=self._clock())
        return self._leases.judge(worker, now=self._clock())
