"""The bytes of a streamed answer, from the engine's connection to the caller's, without a task or a queue between.

::

    engine ──on_data──▶ StreamedAnswer.feed ──▶ exchange.write ──▶ caller
      ▲                                              │
      └─────── pause, resume ◀── the caller's buffer is full, or empty again
"""

import asyncio

from splai.gateway.http.engine_pool import EngineError, EngineReply
from splai.gateway.inference.answer_stream import StreamedAnswer
from splai.gateway.inference.call import Call
from splai.gateway.inference.failure import BROKEN, REPORTED, TIMED_OUT, AttemptFailed, Failure, attempt_failed
from splai.gateway.inference.sse import EventTooLarge

END_SECONDS = 1.0


class Streaming:
    """Relays one streamed reply; ``headers`` are the engine's, for the caller."""

    def __init__(
        self, call: Call, reply: EngineReply, answer: StreamedAnswer, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self._call = call
        self._exchange = call.exchange
        self._reply = reply
        self._answer = answer
        self._headers = headers
        self._failure: Failure | None = None
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._heard = True
        self._paused = False

    async def run(self) -> Failure | None:
        """Relay to the end; what broke the answer after its beginning was given out, None for a good one.

        Raises AttemptFailed if nothing was given out yet.
        """
        self._listen()
        self._exchange.on_writable = self._writable  # before the first data, which may be more than it takes
        body = self._reply.stream(self._on_data)
        body.add_done_callback(self._ended)
        try:
            await self._over
        finally:
            self._exchange.on_writable = None
            self._listening.cancel()
            self._call.usage = self._answer.usage
        self._finish()
        if self._answer.was_cut:
            return self._failure or BROKEN
        if self._answer.error is not None:
            return REPORTED
        if not body.done():  # with the end of the body read, its connection serves the next request
            await asyncio.wait((body,), timeout=END_SECONDS)
        return None

    def _on_data(self, data: bytes) -> None:
        answer = self._answer
        if self._over.done():
            return
        try:
            events = answer.feed(data)
        except EventTooLarge:
            self._stop(BROKEN)
            return
        if self._may_still_fail():
            self._stop(BROKEN if answer.error is None else REPORTED)
            return
        if events:
            self._heard = True
            self._call.begin_stream(self._headers)
            if answer.done:
                self._exchange.finish(events)
            else:
                self._exchange.write(events)
        if answer.done:
            self._over.set_result(None)

    def _finish(self) -> None:
        """Say how it ended, unless the answer itself did."""
        answer = self._answer
        if not answer.done:
            last = answer.end(self._failure.message if self._failure else None)
            if not self._may_still_fail():
                self._call.begin_stream(self._headers)
                self._exchange.finish(last)
        if not answer.committed and (answer.was_cut or answer.error is not None):
            raise AttemptFailed(self._failure or BROKEN)

    def _may_still_fail(self) -> bool:
        """Whether the answer went wrong before the caller saw any of it."""
        return not self._answer.committed and (self._answer.error is not None or self._answer.was_cut)

    def _ended(self, body: "asyncio.Future[None]") -> None:
        if body.cancelled() or self._over.done():
            body.cancelled() or body.exception()
            return
        error = body.exception()
        if error is None:
            self._stop(None)
        elif isinstance(error, EngineError):
            self._stop(attempt_failed(error).failure)
        else:
            self._over.set_exception(error)  # a mistake of ours, which must not look like the engine's end

    def _listen(self) -> None:
        """Give up a stream that stays silent for as long as its first content may take."""
        if not self._heard and not self._paused:
            self._stop(TIMED_OUT)
            return
        self._heard = False
        self._listening = self._loop.call_later(self._call.silence, self._listen)

    def _stop(self, failure: Failure | None) -> None:
        if not self._over.done():
            self._failure = failure
            self._over.set_result(None)

    def _writable(self, writable: bool) -> None:
        self._paused = not writable
        self._heard = True  # while nothing was read, silence was ours
        if writable:
            self._reply.resume()
        else:
            self._reply.pause()
