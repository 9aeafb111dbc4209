"""What a worker has to send and has not sent: a task's records become objects one at a time, as lanes take them."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final as Constant

from splai.worker.recorder import OpenTask

LOST_IN_COMPANY: Constant = 3  # times, after which a record is sent alone


@dataclass(slots=True)
class Work:
    """A record on its way to an answer."""

    task: OpenTask
    position: int
    custom_id: str = ""  # known once it is sent
    attempts: int = 0
    losses: int = 0
    refusals: int = 0  # by a proxy

    @property
    def is_suspect(self) -> bool:
        return self.losses >= LOST_IN_COMPANY


class Pending:
    """First the records that come back from their backoff, then those of the tasks in the order of their claims."""

    def __init__(self) -> None:
        self._again: deque[Work] = deque()
        self._tasks: deque[tuple[OpenTask, Iterator[int]]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self.size = 0

    def extend(self, task: OpenTask, positions: Sequence[int]) -> None:
        self._tasks.append((task, iter(positions)))
        self._added(len(positions))

    def put(self, work: Work) -> None:
        self._again.append(work)
        self._added(1)

    async def get(self) -> Work:
        """The next record, as soon as there is one."""
        while (work := self.take()) is None:
            waiter = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter
        return work

    def _added(self, count: int) -> None:
        self.size += count
        for _ in range(min(count, len(self._idle))):
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def take(self) -> Work | None:
        """The next record, if there is one."""
        if self._again:
            self.size -= 1
            return self._again.popleft()
        while self._tasks:
            task, positions = self._tasks[0]
            for position in positions:
                self.size -= 1
                return Work(task, position)
            self._tasks.popleft()
        return None
