"""Keeps ``concurrency`` requests in flight: one lane each, with a connection of its own.

A lane takes a record, sends it until there is a verdict, hands the outcome to the recorder and takes the next. While
the backend is away, or overloaded by as many as are in flight, it keeps its record and waits at the gate. A record
whose attempt failed leaves the lane for its backoff, so that a few bad records do not slow down the good ones.

A record can make the engine crash or hang, and then all requests in flight are lost with its own. Which of them was to
blame cannot be seen, so none is. But a record that was lost three times is sent alone from then on, and what is lost
alone, after a probe said that the engine works, is an attempt: such a record ends as an error line, and those that were
in flight with it are answered.

A proxy in front of the engine answers 502 or 504 for a record that is too much for either, and for every record while
the engine is away. So the first three cost nothing, and from then on such an answer is an attempt if a request of one
word gets through afterwards.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final as Constant
from typing import Protocol

from splai.api.base import parse_duration
from splai.api.json import encode_compact
from splai.api.ledger import WorkOrder
from splai.artifacts.part_lines import RecordLine
from splai.core.inferencejob.prompt import RecordError, RequestBuilder
from splai.resilience.pace import Pace
from splai.resilience.retry import Backoff, RetryPolicy
from splai.worker.backend import Backend
from splai.worker.batch_lines import answer_line, failure_line, line_ids
from splai.worker.one_word import one_word
from splai.worker.outcome import (
    Answer,
    Away,
    Failure,
    Lost,
    NoAnswer,
    Reaction,
    Rejection,
    Success,
    Tokens,
    Verdict,
    judge,
)
from splai.worker.pending import Pending, Work
from splai.worker.recorder import OpenTask, Recorder
from splai.worker.records import Records

WAITING_FOR_EACH_LANE: Constant = 4  # records in backoff, at which no more are claimed
REFUSED_FOR_FREE: Constant = 3  # times, by a proxy
AHEAD_SECONDS: Constant = 0.25  # of work that is claimed before it is needed, because the store takes its time
SELDOM: Constant = 16  # records, while there is much to send
SMOOTHING: Constant = 16  # answers
MOST_AHEAD: Constant = 16  # records for each lane


class Client(Protocol):
    """A connection to the engine."""

    async def post(self, body: bytes, traceparent: bytes | None = None) -> Reaction: ...

    async def close(self) -> None: ...


class Dispatcher:
    """The lanes of one worker."""

    def __init__(
        self,
        order: WorkOrder,
        *,
        records: Records,
        backend: Backend,
        recorder: Recorder,
        new_client: Callable[[], Client],
        clock: Callable[[], float],
        pulse: Callable[[], None],
        on_progress: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._order = order
        self._records = records
        self._requests = RequestBuilder.for_order(order)
        self._backend = backend
        self._recorder = recorder
        self._new_client = new_client
        self._clock = clock
        self._pulse = pulse
        self._on_progress = on_progress
        self._jitter = jitter
        self._policy = retry_policy(order)
        self._one_word = one_word(order)
        self._line_ids = line_ids(order.uid)
        self._pace = Pace(order.concurrency)
        self._queue = Pending()
        self._busy = 0
        self._waiting = 0
        self._draining = False
        self._seconds = 60.0  # that an answer takes, as the last ones took
        self._landed = asyncio.Event()
        self._turn = asyncio.Lock()  # to send; who must be alone keeps it until the answer
        self.in_flight = 0

    @property
    def wanted(self) -> int:
        """How many more records would keep all lanes busy, with a few ahead while the next claim is under way."""
        lanes = self._pace.limit
        if self._draining or self._waiting >= WAITING_FOR_EACH_LANE * lanes:
            return 0
        return lanes + self._ahead - self._queue.size - self._busy

    @property
    def _ahead(self) -> int:
        """Few where answers take long, because what is claimed here nobody else can do."""
        lanes = self._pace.limit
        return max(1, lanes // 4, int(lanes * min(MOST_AHEAD, AHEAD_SECONDS / max(self._seconds, 1e-3))))

    @property
    def rests(self) -> bool:
        """Whether all there is to send waits for its backoff."""
        return self._waiting > 0 and not self._busy

    def enqueue(self, task: OpenTask, positions: Sequence[int]) -> None:
        """Send these records of a task, in this order."""
        self._queue.extend(task, positions)

    async def lane(self) -> None:
        """Send one record after the other; runs as long as the worker."""
        client = self._new_client()
        try:
            while True:
                work = self._queue.take() or await self._queue.get()
                self._busy += 1
                await self._carry_out(client, work)
                self._busy -= 1
                if self._queue.size < 2 * self._pace.limit or self._queue.size % SELDOM == 0:
                    self._on_progress()
        finally:
            await client.close()

    async def drain(self) -> None:
        """Send nothing more and wait for what is in flight."""
        self._draining = True
        while self.in_flight:
            await self._landing()

    async def _landing(self) -> None:
        self._landed.clear()
        await self._landed.wait()

    async def _carry_out(self, client: Client, work: Work) -> None:
        record = self._records.at_hand(work.position) or await self._records.record(work.position)
        work.custom_id = self._requests.custom_id(record, work.position)
        try:
            request = self._requests.build(record)
        except RecordError as error:
            self._record_error(work, NoAnswer("invalid_record", str(error)))
            return
        body = encode_compact(request)
        settled = False
        while not settled:
            alone = work.is_suspect
            if alone or self._turn.locked() or not self._is_open:
                await self._wait_for_turn(alone=alone)
            if self._draining:
                return
            began = self._clock()
            self.in_flight += 1
            try:
                reaction = await _sent(client, work, body)
            finally:
                self.in_flight -= 1
                self._landed.set()
                if alone:
                    self._turn.release()
            self._pulse()
            verdict = judge(reaction, self._order.type)
            if isinstance(verdict, Success):
                self._answered(began)
                self._record_answer(work, verdict)
                return
            settled = await self._react(client, work, verdict, began)

    @property
    def _is_open(self) -> bool:
        return self._recorder.has_room and self._backend.is_ready and self.in_flight < self._pace.limit

    async def _wait_for_turn(self, *, alone: bool) -> None:
        """Wait at the gate; who is alone keeps the turn, and gives it back."""
        await self._turn.acquire()
        try:
            while alone and self.in_flight:
                await self._landing()
            await self._gate()
        except BaseException:
            self._turn.release()
            raise
        if not alone or self._draining:
            self._turn.release()

    async def _gate(self) -> None:
        while not self._is_open:
            await self._recorder.room()
            await self._backend.ready()
            if self.in_flight >= self._pace.limit:
                await self._landing()

    async def _react(self, client: Client, work: Work, verdict: Verdict, began: float) -> bool:
        """Draw the consequences; False to send the record again at once."""
        match verdict:
            case Rejection(answer):
                self._answered(began)
                self._record_error(work, answer)
            case Failure(reaction=failed):
                self._answered(began)
                self._fail(work, failed)
            case Lost(lost, by_reset=by_reset):
                if by_reset:
                    self._backend.away("connection reset")
                elif await self._backend.works(since=began):
                    self._fail(work, lost)
                    return True
                return self._lose(work, lost)
            case Away() as away:
                self._step_back(away, began)
                return away.by_proxy is not None and await self._refuse(client, work, away.by_proxy)
        return True

    def _answered(self, began: float) -> None:
        self._seconds += (self._backend.answered() - began - self._seconds) / SMOOTHING
        self._pace.answered()

    def _step_back(self, away: Away, began: float) -> None:
        if away.is_overload:
            self._pace.overloaded(sent_at=began, now=self._clock())
        self._backend.away(away.message, retry_after=away.retry_after, throttled=away.throttled)

    def _fail(self, work: Work, reaction: Answer | NoAnswer) -> None:
        delay = self._policy.delay_after(work.attempts + 1, jitter=self._jitter())
        if delay is None:
            self._record_error(work, reaction)
            return
        work.attempts += 1
        self._waiting += 1
        asyncio.get_running_loop().call_later(delay, self._return, work)

    def _lose(self, work: Work, reaction: NoAnswer) -> bool:
        """A request came to nothing, and it may have been the record or the backend; False to send it again."""
        if not work.is_suspect:
            work.losses += 1
            return False
        self._fail(work, reaction)
        return True

    async def _refuse(self, client: Client, work: Work, answer: Answer) -> bool:
        """A proxy answered, and it may have been the record or the backend; False to send it again."""
        work.refusals += 1
        if work.refusals <= REFUSED_FOR_FREE:
            return False
        await self._wait_for_turn(alone=False)
        if self._draining:
            return True
        began = self._clock()
        self.in_flight += 1
        try:
            reaction = await client.post(self._one_word)
        finally:
            self.in_flight -= 1
            self._landed.set()
        self._pulse()
        match judge(reaction, self._order.type):
            case Success() | Rejection():
                self._fail(work, answer)
                return True
            case Away() as away:
                self._step_back(away, began)
        return False

    def _return(self, work: Work) -> None:
        self._waiting -= 1
        self._queue.put(work)

    def _record_answer(self, work: Work, success: Success) -> None:
        line = answer_line(self._line_ids % work.position, work.custom_id, success.answer)
        record = RecordLine(work.position, "output", work.attempts + 1, line)
        self._recorder.add(work.task, record, success.tokens)

    def _record_error(self, work: Work, reaction: Answer | NoAnswer) -> None:
        line = failure_line(self._line_ids % work.position, work.custom_id, reaction)
        self._recorder.add(work.task, RecordLine(work.position, "error", work.attempts + 1, line), Tokens())


def _sent(client: Client, work: Work, body: bytes) -> Awaitable[Reaction]:
    if (span := work.task.span) is None:
        return client.post(body)
    return span.follow(client.post, body, position=work.position, attempt=work.attempts + 1)


def retry_policy(order: WorkOrder) -> RetryPolicy:
    """The job's own words as numbers."""
    backoff = Backoff(
        initial=parse_duration(order.retry.initial_backoff).total_seconds(),
        maximum=parse_duration(order.retry.max_backoff).total_seconds(),
    )
    return RetryPolicy(order.retry.max_attempts, backoff)
