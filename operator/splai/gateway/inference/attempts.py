"""Tries at engines until one of them answers: how many, where, and after what pause.

A retry goes at once to a pod that was not tried yet, of this backend or of its fallbacks. Only when all were tried does
it wait: what an engine asked for by Retry-After if that is short, else a random part of 25 ms, 50 ms, … All tries share
the request's one deadline, and all requests of a model a budget, so that an engine in trouble is not called all the
more.

A workflow is never run twice: once a request may have reached one, its failure is the answer. Nothing else is asked
then either, for nobody knows what the program has done.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable

from splai.gateway.errors import RequestError
from splai.gateway.http.engine_pool import EngineError, EnginePool, EngineReply
from splai.gateway.http.headers import forwarded, returned
from splai.gateway.inference.call import STREAM_OWN, Call
from splai.gateway.inference.dialect import BrokenAnswer, Dialect, check_json, dialect_for
from splai.gateway.inference.failure import (
    BROKEN,
    TIMED_OUT,
    UNREACHABLE,
    AttemptFailed,
    Failure,
    Refusal,
    Reply,
    attempt_failed,
    json_headers,
)
from splai.gateway.inference.streaming import Streaming
from splai.gateway.metrics import Metrics
from splai.gateway.routing.routes import Pool, RouteSource, RouteTable, Target
from splai.gateway.routing.selection import Lease, Selection
from splai.resilience.retry_budget import RetryBudget

_log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 256 * 1024 * 1024
FIRST_PAUSE_SECONDS = 0.025
FREE_RETRIES = 10
"""Of a model in a minute, whatever its traffic: as many as it takes until the breakers of two bad pods have opened."""
LONGEST_PAUSE_SECONDS = 2.0
"""Beyond it the caller is told when to come back instead of being kept waiting."""


class Attempts:
    """Gets an answer out of a pool."""

    def __init__(
        self,
        routes: RouteSource,
        engines: EnginePool,
        selection: Selection,
        metrics: Metrics,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._routes = routes
        self._engines = engines
        self._selection = selection
        self._metrics = metrics
        self._jitter = jitter
        self._budgets: dict[str, RetryBudget] = {}

    def update(self, table: RouteTable) -> None:
        """Forget what was spent on pools that are gone."""
        known = {pool.key for pool in table.pools.values()}
        for key in self._budgets.keys() - known:
            del self._budgets[key]

    async def answer(self, call: Call, pool: Pool) -> Reply | None:
        """The reply for the caller, or None if it was streamed to it; raises RequestError."""
        budget = self._budgets.get(pool.key)
        if budget is None:
            budget = self._budgets[pool.key] = RetryBudget(minimum=FREE_RETRIES)
        budget.request()
        tried: set[str] = set()
        last: AttemptFailed | None = None
        while call.attempts <= pool.policy.retries:
            target = self._next(call, pool, tried)
            if target is None:
                if not tried or last is None or not await self._paused(call, last):
                    break
                tried.clear()
                continue
            if last is not None:
                # Where nobody was reached no engine has worked in vain: such a retry adds no load.
                if last.failure is not UNREACHABLE and not budget.try_spend():
                    break
                call.metrics.model.retried()
            call.attempts += 1
            call.is_final = target.backend.runs_once
            try:
                attempt = self._attempt(call, target)
                return await (attempt if call.span is None else call.span.follow(attempt, call, target))
            except AttemptFailed as failed:
                last = failed
                tried.add(target.address)
                self._count(call, target, failed.failure)
                call.is_final = call.is_final and failed.failure is not UNREACHABLE
                if call.is_final:
                    break
        return self._given_up(call, pool, last)

    def _next(self, call: Call, pool: Pool, tried: set[str]) -> Target | None:
        """A pod of the pool, as it is now, that was not tried; else one of its fallbacks."""
        table = self._routes.table
        own = table.find(pool.name) or pool
        target = self._selection.choose(own, tried, call.prefix)
        if target is None:
            target = self._of_fallbacks(call, table.fallbacks(own), tried)
        if target is not None and target.backend.adapters:
            target.model = target.backend.named(call.request.model)
        return target

    def _of_fallbacks(self, call: Call, fallbacks: Iterable[Pool], tried: set[str]) -> Target | None:
        for fallback in fallbacks:
            target = self._selection.choose(fallback, tried, call.prefix)
            if target is not None:
                call.metrics.model.fell_back()
                return target
        return None

    def _has_others(self, target: Target) -> bool:
        """Whether another pod may be asked: from one that is alone callers go on to hear what has to be corrected."""
        pools = (target.pool, *self._routes.table.fallbacks(target.pool))
        return any(self._selection.choose(pool, (target.address,)) is not None for pool in pools)

    def _count(self, call: Call, target: Target, failure: Failure) -> None:
        self._metrics.for_backend(target.backend.key).failed()
        call.metrics.model.failed(failure.reason)
        facts = {"model": call.request.model, "backend": target.backend.key, "reason": failure.reason}
        _log.warning("engine failed", extra=facts | {"request_id": call.exchange.request_id})

    async def _paused(self, call: Call, last: AttemptFailed) -> bool:
        """Wait before the same pods are tried again; False if that is of no use, or would take too long."""
        if not last.failure.passes:
            return False
        seconds = last.retry_after
        if seconds is None:
            seconds = FIRST_PAUSE_SECONDS * 2 ** (call.attempts - 1) * self._jitter()
        if seconds > LONGEST_PAUSE_SECONDS or asyncio.get_running_loop().time() + seconds >= call.deadline:
            return False
        began = time.perf_counter()
        await asyncio.sleep(seconds)
        call.waited += time.perf_counter() - began
        return True

    def _given_up(self, call: Call, pool: Pool, last: AttemptFailed | None) -> Reply:
        if last is None:
            message = f"The model '{call.request.model}' has no replica that can answer now"
            seconds = max(1, round(self._selection.retry_after(pool)))
            headers = {"Retry-After": str(seconds)}
            raise RequestError(503, message, type="service_unavailable_error", code="model_not_ready", headers=headers)
        if last.reply is not None:
            advice = {name.encode(): value.encode() for name, value in call.advice.items()}
            said = [header for header in last.reply.headers if header[0] not in advice]
            return Reply(last.reply.status, [*said, *advice.items()], last.reply.body)
        raise last.failure.as_error(call.advice) from last

    async def _attempt(self, call: Call, target: Target) -> Reply | None:
        """One try at one pod; raises AttemptFailed as long as the caller has seen nothing of an answer."""
        lease = self._selection.enter(target)
        backend = self._metrics.for_backend(target.backend.key)
        began = time.perf_counter()
        reply: EngineReply | None = None
        try:
            dialect = dialect_for(call.api, call.request, target.backend)
            body = dialect.body_for(target.model)
            head = _head(call, target, dialect, len(body))
            reply = await self._engines.send(target.address, head, body, once=target.backend.runs_once)
            answer = await self._judge(call, dialect, reply, lease)
            if answer is None or answer.status < 400:  # what is wrong with a request shows nothing of the engine
                lease.answered()
        except AttemptFailed as failed:
            if failed.failure.status == 429:
                lease.refused(failed.retry_after)
            elif failed.failure.passes or failed.reply is None or self._has_others(target):
                lease.failed()
            raise
        except EngineError as error:
            lease.failed()
            raise attempt_failed(error) from error
        except asyncio.CancelledError:  # by the deadline, or because the caller left
            if call.clock.expired:
                lease.failed()
                self._count(call, target, TIMED_OUT)
            raise
        finally:
            seconds = time.perf_counter() - began
            backend.answered(seconds)
            call.waited += seconds
            if reply is not None:
                reply.close()
            lease.left()  # without effect after another end
        return answer

    async def _judge(self, call: Call, dialect: Dialect, reply: EngineReply, lease: Lease) -> Reply | None:
        if reply.status >= 300:
            return Refusal(reply.status, reply.headers, await reply.read(MAX_REPLY_BYTES)).judge(call.request.model)
        content_type = reply.fields.get(b"content-type", b"")
        is_stream = content_type.lower().startswith(b"text/event-stream")
        if is_stream != call.request.stream:  # which callers would take for an empty answer, or for garbage
            raise AttemptFailed(BROKEN)
        if is_stream:
            streaming = Streaming(call, reply, dialect.stream(), returned(reply.headers, STREAM_OWN))
            failure = await streaming.run()
            if failure is not None:
                lease.failed()
                call.interrupted = True
                self._count(call, lease.target, failure)
            return None
        body = reply.whole(MAX_REPLY_BYTES)
        if body is None:
            body = await reply.read(MAX_REPLY_BYTES)
        try:
            if not reply.delimited:  # its end is the connection's, for whatever reason that closed
                check_json(body)
            body, call.usage = dialect.whole(body)
        except BrokenAnswer as error:
            raise AttemptFailed(BROKEN) from error
        return Reply(reply.status, json_headers(reply.headers), body)


def _head(call: Call, target: Target, dialect: Dialect, length: int) -> bytes:
    traceparent = None if call.span is None else call.span.traceparent
    lines = forwarded(call.exchange.headers, call.exchange.request_id, traceparent)
    return b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-length: %d\r\n%b\r\n" % (
        dialect.path,
        target.address.encode(),
        length,
        lines,
    )
