"""What the primitives raise themselves, and what any error says about trying again."""

from json import JSONDecodeError
from typing import Final

from .retry import seconds_of

TOO_MANY_REQUESTS: Final = 429
_REQUEST_TIMEOUT: Final = 408
_TOO_EARLY: Final = 425
_PASSING_REFUSALS: Final = frozenset({_REQUEST_TIMEOUT, _TOO_EARLY, TOO_MANY_REQUESTS})


class CircuitOpen(Exception):
    """Nothing was called: the circuit breaker admits a call in ``retry_in`` seconds."""

    def __init__(self, retry_in: float) -> None:
        super().__init__(f"the circuit breaker is open for {retry_in:.1f} s more")
        self.retry_in = retry_in


class UnknownRoute(LookupError):
    """The router's function named a route that there is none of."""


class FallbacksFailed(ExceptionGroup[Exception]):
    """The primary and all fallbacks failed; ``exceptions`` has their errors in that order."""


_SAME_AGAIN: Final = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError),
    *(NotImplementedError, SyntaxError, TypeError, ValueError, CircuitOpen),
)


def is_passing(error: BaseException) -> bool:
    """Whether the same call may have another outcome: the server, not the request or the program, was at fault.

    Not so: what a program's mistakes and bad values raise, an open circuit breaker, and HTTP's client errors apart from
    408, 425 and 429. An answer that is no JSON is a server's fault, though its error is a ValueError.
    """
    if isinstance(error, BaseExceptionGroup):
        return any(is_passing(each) for each in error.exceptions)
    if not isinstance(error, Exception):
        return False
    status = status_of(error)
    if status is not None:
        return status >= 500 or status in _PASSING_REFUSALS
    return isinstance(error, JSONDecodeError) or not isinstance(error, _SAME_AGAIN)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of httpx or of an OpenAI SDK carries."""
    for carrier in (error, getattr(error, "response", None)):
        status = getattr(carrier, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def retry_after_of(error: BaseException) -> float | None:
    """The seconds in the Retry-After of the reply that an error carries."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    return None if headers is None else seconds_of(headers.get("retry-after"))
