"""Keeps ``concurrency`` requests in flight: one lane each, with a connection of its own.

A lane takes a record, sends it until there is a verdict, hands the outcome to the recorder and takes the next. While
the backend is away it keeps its record and waits at the gate. A record whose attempt failed leaves the lane for its
backoff, so that a few bad records do not slow down the good ones.

A record can make the engine crash or hang, and then all requests in flight are lost with its own. Which of them was to
blame cannot be seen, so none is. But a record that was lost three times is sent alone from then on, and what is lost
alone, after a probe said that the engine works, is an attempt: such a record ends as an error line, and those that were
in flight with it are answered.
"""

import asyncio
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final as Constant
from typing import Protocol

from splai.api.base import parse_duration
from splai.api.ledger import WorkOrder
from splai.artifacts.part_lines import RecordLine
from splai.core.inferencejob.prompt import RecordError, RequestBuilder
from splai.resilience.retry import Backoff, RetryPolicy
from splai.worker.backend import Backend
from splai.worker.batch_lines import answer_line, failure_line, line_id
from splai.worker.outcome import Answer, Away, Failure, Lost, NoAnswer, Reaction, Rejection, Success, Tokens, judge
from splai.worker.recorder import OpenTask, Recorder

_to_json = json.JSONEncoder(separators=(",", ":")).encode
WAITING_FOR_EACH_LANE: Constant = 4  # records in backoff, at which no more are claimed
LOST_IN_COMPANY: Constant = 3  # times, after which a record is sent alone


class Client(Protocol):
    """A connection to the engine."""

    async def post(self, body: bytes) -> Reaction: ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class _Work:
    task: OpenTask
    position: int
    attempts: int = 0
    losses: int = 0

    @property
    def is_suspect(self) -> bool:
        return self.losses >= LOST_IN_COMPANY


class Dispatcher:
    """The lanes of one worker."""

    def __init__(
        self,
        order: WorkOrder,
        *,
        backend: Backend,
        recorder: Recorder,
        new_client: Callable[[], Client],
        clock: Callable[[], float],
        pulse: Callable[[], None],
        on_progress: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._order = order
        self._requests = RequestBuilder.for_order(order)
        self._backend = backend
        self._recorder = recorder
        self._new_client = new_client
        self._clock = clock
        self._pulse = pulse
        self._on_progress = on_progress
        self._jitter = jitter
        self._policy = retry_policy(order)
        self._queue: asyncio.Queue[_Work] = asyncio.Queue()
        self._busy = 0
        self._waiting = 0
        self._draining = False
        self._landed = asyncio.Event()
        self._turn = asyncio.Lock()  # to send; who must be alone keeps it until the answer
        self.in_flight = 0

    @property
    def wanted(self) -> int:
        """How many more records would keep all lanes busy, with a few ahead while the next claim is under way."""
        concurrency = self._order.concurrency
        if self._draining or self._waiting >= WAITING_FOR_EACH_LANE * concurrency:
            return 0
        return concurrency + max(1, concurrency // 4) - self._queue.qsize() - self._busy

    @property
    def rests(self) -> bool:
        """Whether all there is to send waits for its backoff."""
        return self._waiting > 0 and not self._busy

    def enqueue(self, task: OpenTask, positions: Iterable[int]) -> None:
        """Send these records of a task."""
        for position in positions:
            self._queue.put_nowait(_Work(task, position))

    async def lane(self) -> None:
        """Send one record after the other; runs as long as the worker."""
        client = self._new_client()
        try:
            while True:
                work = await self._queue.get()
                self._busy += 1
                await self._carry_out(client, work)
                self._busy -= 1
                self._on_progress()
        finally:
            await client.close()

    async def drain(self) -> None:
        """Send nothing more and wait for what is in flight."""
        self._draining = True
        await self._all_landed()

    async def _all_landed(self) -> None:
        while self.in_flight:
            self._landed.clear()
            await self._landed.wait()

    async def _carry_out(self, client: Client, work: _Work) -> None:
        try:
            request = self._requests.build(self._order.records[work.position])
        except RecordError as error:
            self._record_error(work, NoAnswer("invalid_record", str(error)))
            return
        body = _to_json(request).encode()
        settled = False
        while not settled:
            if work.is_suspect:
                async with self._turn:
                    await self._all_landed()
                    await self._gate()
                    settled = await self._attempt(client, work, body)
            else:
                async with self._turn:
                    await self._gate()
                settled = await self._attempt(client, work, body)

    async def _gate(self) -> None:
        await self._recorder.room()
        await self._backend.ready()

    async def _attempt(self, client: Client, work: _Work, body: bytes) -> bool:
        """Send the record once, unless nothing is sent any more; False to send it again at once."""
        if self._draining:
            return True
        began = self._clock()
        self.in_flight += 1
        try:
            reaction = await client.post(body)
        finally:
            self.in_flight -= 1
            self._landed.set()
        self._pulse()
        match judge(reaction, self._order.type):
            case Success(answer, tokens):
                self._backend.answered()
                self._record_answer(work, answer, tokens)
            case Rejection(answer):
                self._backend.answered()
                self._record_error(work, answer)
            case Failure(reaction=failed):
                self._backend.answered()
                self._fail(work, failed)
            case Lost(lost, by_reset=by_reset):
                if by_reset:
                    self._backend.away("connection reset")
                elif await self._backend.works(since=began):
                    self._fail(work, lost)
                    return True
                return self._lose(work, lost)
            case Away(message, retry_after, throttled):
                self._backend.away(message, retry_after=retry_after, throttled=throttled)
                return False
        return True

    def _fail(self, work: _Work, reaction: Answer | NoAnswer) -> None:
        delay = self._policy.delay_after(work.attempts + 1, jitter=self._jitter())
        if delay is None:
            self._record_error(work, reaction)
            return
        work.attempts += 1
        self._waiting += 1
        asyncio.get_running_loop().call_later(delay, self._return, work)

    def _lose(self, work: _Work, reaction: NoAnswer) -> bool:
        """A request came to nothing, and it may have been the record or the backend; False to send it again."""
        if not work.is_suspect:
            work.losses += 1
            return False
        self._fail(work, reaction)
        return True

    def _return(self, work: _Work) -> None:
        self._waiting -= 1
        self._queue.put_nowait(work)

    def _record_answer(self, work: _Work, answer: Answer, tokens: Tokens) -> None:
        identifier, custom_id = self._names(work.position)
        line = answer_line(identifier, custom_id, answer)
        self._recorder.add(work.task, RecordLine(work.position, "output", work.attempts + 1, line), tokens)

    def _record_error(self, work: _Work, reaction: Answer | NoAnswer) -> None:
        identifier, custom_id = self._names(work.position)
        line = failure_line(identifier, custom_id, reaction)
        self._recorder.add(work.task, RecordLine(work.position, "error", work.attempts + 1, line), Tokens())

    def _names(self, position: int) -> tuple[str, str]:
        record = self._order.records[position]
        return line_id(self._order.uid, position), self._requests.custom_id(record, position)


def retry_policy(order: WorkOrder) -> RetryPolicy:
    """The job's own words as numbers."""
    backoff = Backoff(
        initial=parse_duration(order.retry.initial_backoff).total_seconds(),
        maximum=parse_duration(order.retry.max_backoff).total_seconds(),
    )
    return RetryPolicy(order.retry.max_attempts, backoff)
