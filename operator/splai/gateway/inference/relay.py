"""A request to a model, from the caller to an engine and back.

::

    parse ─▶ route ─▶ hold (backend at zero) ─▶ admission ─▶ cache ─▶ attempts ─▶ answer
                                                                        │ ▲
                                                     another pod, another backend, or the same after a pause

The request is parsed once; what goes on, and what comes back, are bytes. Until the first content of an answer is given
out a failure costs the caller nothing: another engine is tried, or an HTTP status tells what happened. After that
nothing can be taken back: a stream that breaks says so in an `error` event.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from splai.gateway.access_log import AccessLog
from splai.gateway.errors import RequestError, internal_error
from splai.gateway.http.exchange import Exchange
from splai.gateway.http.request_head import RequestRefused
from splai.gateway.inference.attempts import Attempts
from splai.gateway.inference.call import Call
from splai.gateway.inference.deadline import Deadlines
from splai.gateway.inference.dialect import failed_event
from splai.gateway.inference.failure import TIMED_OUT, Reply
from splai.gateway.inference.request import InferenceRequest, parse_request
from splai.gateway.inference.spans import RequestSpan
from splai.gateway.inference.waiting import wait
from splai.gateway.metrics import CALLER_LEFT, Metrics, RouteMetrics
from splai.gateway.paths import EMBEDDINGS
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.hold import Hold
from splai.gateway.routing.resolve import CAPABILITY_HEADER, last_user_text, resolve
from splai.gateway.routing.routes import AUTO, Pool, RouteSource
from splai.gateway.series import Value
from splai.resilience.cache import ResponseCache, cache_key
from splai.tracing.span import Tracing

TENANT = ""
"""Whose answers a cache may share: everybody's, as long as callers have no identity."""
PREFIX_BYTES = 1024
"""How much of a prompt's beginning decides where PrefixHash sends it."""
_PROMPT_KEYS = (b'"messages"', b'"prompt"', b'"input"')


class Relay:
    """Serves the APIs whose requests end at an engine."""

    def __init__(
        self,
        *,
        routes: RouteSource,
        hold: Hold,
        admission: Admission,
        attempts: Attempts,
        cache: ResponseCache[bytes],
        metrics: Metrics,
        access_log: AccessLog | None,
        tracing: Tracing | None = None,
    ) -> None:
        self._routes = routes
        self._hold = hold
        self._admission = admission
        self._attempts = attempts
        self._cache = cache
        self._metrics = metrics
        self._access_log = access_log
        self._tracing = tracing
        self._deadlines = Deadlines()

    async def serve(self, exchange: Exchange, api: str) -> None:
        """Answer one request to ``api``, one of ``paths.APIS``."""
        call: Call | None = None
        span = None if self._tracing is None else RequestSpan(self._tracing, exchange, api)
        code = CALLER_LEFT
        try:
            body = exchange.whole_body()
            if body is None:
                body = await exchange.body()
            arrived = time.perf_counter()
            call, pool = self._begin(exchange, api, parse_request(body, streams=api != EMBEDDINGS), span)
            call.waited = arrived - exchange.started
            call.metrics.began()
            reply = await self._answer(call, pool)
            code = 200 if reply is None else reply.status
            if reply is not None:
                _give(exchange, api, reply)
        except RequestRefused as refusal:
            code = refusal.status
            raise  # the HTTP server answers, and closes the connection
        except RequestError as error:
            code = _refuse(exchange, api, error)
        except Exception as error:
            code = _refuse(exchange, api, internal_error(error, route=api, request_id=exchange.request_id))
        finally:
            self._end(exchange, api, call, code)
            if span is not None:
                span.end(code, call)

    def _begin(
        self, exchange: Exchange, api: str, request: InferenceRequest, span: RequestSpan | None
    ) -> tuple[Call, Pool]:
        table, model = self._routes.table, request.model
        pool = table.find(model)
        if pool is None:
            asked = exchange.header(CAPABILITY_HEADER)
            text = last_user_text(request.document)
            pool = resolve(table, model, asked=asked.decode("latin-1") if asked else None, text=text).pool
            model = AUTO  # labels are no text of callers
        if span is not None:
            span.routed(request)
        policy = pool.policy
        call = Call(
            exchange=exchange,
            api=api,
            request=request,
            metrics=self._metrics.for_route(api, model),
            deadline=self._deadlines.after(policy.timeout),
            silence=policy.timeout,
            prefix=_prefix(request.body) if policy.strategy == "PrefixHash" else None,
            span=span,
        )
        return call, pool

    async def _answer(self, call: Call, pool: Pool) -> Reply | None:
        """The reply, or None when it was streamed; waits for a pod, and then for its turn.

        The deadline is one for all; whoever it finds waiting says what was waited for.
        """
        model = call.metrics.model
        if not pool.is_ready:
            pool = await self._held(call, pool)
        if not self._admission.try_enter(pool):
            before = call.waited
            with _counted(model.queued, call):
                await wait(call, self._admission.wait(pool, call.deadline))
            model.waited(call.waited - before)
        try:
            with self._deadlines.at(call.deadline) as call.clock:
                if pool.policy.cache_seconds is not None and not call.request.stream:
                    return await self._cached(call, pool, pool.policy.cache_seconds)
                return await self._attempts.answer(call, pool)
        except TimeoutError as error:
            raise TIMED_OUT.as_error(call.advice) from error
        finally:
            self._admission.leave(pool)

    async def _held(self, call: Call, pool: Pool) -> Pool:
        """The pool as soon as it has a pod; as it is where none comes and a fallback has one."""
        try:
            with _counted(call.metrics.model.held, call):
                return await wait(call, self._hold.until_ready(pool.name, call.deadline))
        except RequestError as error:
            if error.status == 503 and any(fallback.is_ready for fallback in self._routes.table.fallbacks(pool)):
                return pool
            raise

    async def _cached(self, call: Call, pool: Pool, seconds: float) -> Reply | None:
        """An answer that was given before to the same request, or a new one; only good answers are kept."""
        reply: Reply | None = None

        async def compute() -> bytes | None:
            nonlocal reply
            reply = await self._attempts.answer(call, pool)
            return reply.body if reply is not None and reply.status == 200 else None

        before, began = call.waited, time.perf_counter()
        key = cache_key(TENANT, call.request.model, f"{call.api} {pool.key}", call.request.document)
        body, hit = await self._cache.get_or_compute(key, compute, seconds)
        call.waited = before + time.perf_counter() - began  # for the store, or for whoever asked the same before
        call.metrics.model.looked_up(hit=hit)
        if hit and body is not None:
            return Reply(200, [(b"content-type", b"application/json"), (b"x-splai-cache", b"hit")], body)
        return reply

    def _end(self, exchange: Exchange, api: str, call: Call | None, code: int) -> None:
        seconds = time.perf_counter() - exchange.started
        model = "" if call is None else call.request.model
        metrics: RouteMetrics = self._metrics.for_route(api, "") if call is None else call.metrics
        if call is None:
            metrics.began()
        elif call.usage is not None:
            spent, made = call.tokens()
            metrics.model.used(spent, made)
        metrics.ended(code, seconds, None if call is None else call.waited)
        if self._access_log is not None:
            stream = call is not None and call.request.stream
            self._access_log.add(exchange.request_id, api, model, stream, code, seconds)


@contextmanager
def _counted(gauge: Value, call: Call) -> Iterator[None]:
    gauge.inc()
    began = time.perf_counter()
    try:
        yield
    finally:
        call.waited += time.perf_counter() - began
        gauge.dec()


def _prefix(body: bytes) -> bytes:
    """The beginning of the prompt as it was written: a client writes the same conversation in the same way."""
    starts = (body.find(key) for key in _PROMPT_KEYS)
    start = min((at for at in starts if at >= 0), default=0)
    return body[start : start + PREFIX_BYTES]


def _give(exchange: Exchange, api: str, reply: Reply) -> None:
    """Where pings have said 200 already, a whole reply can only be an engine's refusal."""
    if exchange.reply_started:
        exchange.finish(failed_event(api, reply.body))
    else:
        exchange.reply(reply.status, reply.headers, reply.body)


def _refuse(exchange: Exchange, api: str, error: RequestError) -> int:
    """Tell the caller what failed: by status, or, where pings have said 200 already, in the stream; the code of it."""
    if exchange.ended:
        return error.status
    if exchange.reply_started:
        exchange.finish(failed_event(api, error.body()))
    else:
        exchange.reply(error.status, error.header_pairs(), error.body())
    return error.status
