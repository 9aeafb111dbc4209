"""How an attempt at an engine fails, and what may be done about it.

::

    no connection, reset, cut, garbage ─────────────▶ another try ── none left ─▶ 502
    408, 429, 500, 502, 503, 504 ───────────────────▶ another try ── none left ─▶ the engine's own reply
       the same with X-Should-Retry: false ─────────▶ another pod ── none left ─▶ the engine's own reply
    401, 402, 403: the gateway's credential is bad ─▶ another try ── none left ─▶ 502, never the caller's 401
    any other 4xx ──────────────────────────────────▶ the engine's own reply
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from splai.gateway.errors import UPSTREAM, RequestError, completed_error_body, is_unknown_model
from splai.gateway.http.engine_pool import (
    EngineBroken,
    EngineDisconnected,
    EngineError,
    EngineReplyTooLarge,
    EngineUnreachable,
)
from splai.gateway.http.headers import returned
from splai.resilience.retry import seconds_of

Header = tuple[bytes, bytes]

RETRIED = frozenset((408, 429, 500, 502, 503, 504))
"""409 is not among them: it is about the request, and stays true."""
CREDENTIALS = frozenset((401, 402, 403))
_CONTENT_TYPE = (b"content-type",)


@dataclass(frozen=True, slots=True)
class Failure:
    """How an engine failed, as metrics, logs and callers are told; never the words of the engine's reply."""

    reason: str
    status: int
    message: str
    passes: bool = True
    """Whether the same pod may do better a moment later."""

    def as_error(self, headers: Mapping[str, str]) -> RequestError:
        return RequestError(self.status, self.message, type=UPSTREAM, code=f"engine_{self.reason}", headers=headers)


UNREACHABLE = Failure("unreachable", 502, "The engine cannot be reached")
DISCONNECTED = Failure("disconnected", 502, "The engine closed the connection without an answer")
TIMED_OUT = Failure("timeout", 504, "The engine sent nothing for too long")
BROKEN = Failure("broken_reply", 502, "The engine's reply broke off or is not what it should be")
REPORTED = Failure("reported_error", 502, "The engine reports an error in the place of an answer")

_FAILURES: dict[type[EngineError], Failure] = {
    EngineUnreachable: UNREACHABLE,
    EngineDisconnected: DISCONNECTED,
    EngineBroken: BROKEN,
    EngineReplyTooLarge: BROKEN,
}


@dataclass(slots=True)  # not frozen: one is made for each request
class Reply:
    """A whole reply for the caller."""

    status: int
    headers: list[Header]
    body: bytes


class AttemptFailed(Exception):
    """One engine gave no answer; another try may."""

    def __init__(self, failure: Failure, *, reply: Reply | None = None, retry_after: float | None = None) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.reply = reply
        """What the engine said; for the caller when nobody gives an answer."""
        self.retry_after = retry_after
        """Seconds for which the engine asked for peace."""


def attempt_failed(error: EngineError) -> AttemptFailed:
    """The failure behind an error of the connection."""
    return AttemptFailed(_FAILURES.get(type(error), BROKEN))


@dataclass(frozen=True, slots=True)
class Refusal:
    """An engine's reply that is no answer."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""

    def judge(self, model: str) -> Reply:
        """What the caller gets of it; raises AttemptFailed where another try may do better."""
        status = self.status
        if status in RETRIED:
            passes = (b"x-should-retry", b"false") not in self.headers
            failure = Failure(_reason(status), status, "", passes=passes)
            raise AttemptFailed(failure, reply=self._passed_on(), retry_after=self._pause())
        if status < 400 or status in CREDENTIALS:
            message = f"The engine refuses the gateway with HTTP status {status}"
            raise AttemptFailed(Failure("refused", 502, message, passes=False))
        if is_unknown_model(status, self.body):
            message = f"The engine behind '{model}' says that it does not serve this model"
            raise AttemptFailed(Failure("model_mismatch", 502, message, passes=False))
        return self._passed_on()

    def _passed_on(self) -> Reply:
        body = completed_error_body(self.status, self.body)
        return Reply(self.status, json_headers(self.headers), body)

    def _pause(self) -> float | None:
        return seconds_of(
            next((value.decode("latin-1") for name, value in self.headers if name == b"retry-after"), None)
        )


def json_headers(headers: list[Header]) -> list[Header]:
    """An engine's headers for the caller of a body that is known to be JSON, whatever the engine calls it."""
    return [*returned(headers, _CONTENT_TYPE), (b"content-type", b"application/json")]


def _reason(status: int) -> str:
    return "overloaded" if status == 429 else "server_error" if status >= 500 else "timeout"
