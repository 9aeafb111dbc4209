"""Steps that get over failures: try again, give up in time, do something else, leave a broken server alone.

They compose in any order. A time limit holds for all that is inside it, pauses included: what it surrounds is
cancelled, and a cancelled step is neither tried again, nor replaced, nor counted.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from .circuit_breaker import CircuitBreaker, State
from .core import Step, WorkflowContext, WorkflowPrimitive, as_primitive
from .errors import TOO_MANY_REQUESTS, CircuitOpen, FallbacksFailed, is_passing, retry_after_of, status_of
from .retry import Backoff
from .retry_budget import RetryBudget

BackoffStrategy = Literal["exponential", "constant", "linear"]
_STRATEGIES: Final = ("exponential", "constant", "linear")


class RetryPrimitive(WorkflowPrimitive):
    """Tries again after failures that may pass."""

    def __init__(
        self,
        *,
        primitive: Step,
        max_retries: int = 3,
        backoff_strategy: BackoffStrategy = "exponential",
        initial_seconds: float = 1.0,
        maximum_seconds: float = 60.0,
        jitter: bool = True,
        retry_on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool] = is_passing,
        budget: RetryBudget | None = None,
    ) -> None:
        """The first call is no retry: with ``max_retries`` of 3 there are four calls at most.

        ``retry_on`` are types of errors or a function of one. With a budget, which several primitives may share, there
        are fewer retries when much fails. Raises ValueError for an unknown strategy and for a negative number.
        """
        if backoff_strategy not in _STRATEGIES:
            raise ValueError(f"backoff_strategy must be one of {', '.join(_STRATEGIES)}, not {backoff_strategy!r}")
        if max_retries < 0:
            raise ValueError(f"max_retries must not be negative, but it is {max_retries}")
        if initial_seconds < 0:
            raise ValueError(f"initial_seconds must not be negative, but it is {initial_seconds}")
        self._primitive = as_primitive(primitive)
        self._max_retries = max_retries
        self._strategy = backoff_strategy
        self._initial_seconds = initial_seconds
        self._maximum_seconds = maximum_seconds
        self._jitter = jitter
        self._retry_on = retry_on
        self._budget = budget

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        """Raises the last try's error."""
        if self._budget:
            self._budget.request()
        failures = 0
        while True:
            try:
                return await self._primitive.execute(data, context)
            except Exception as error:
                failures += 1
                if failures > self._max_retries or not self._may_retry(error):
                    raise
                pause = self._pause(failures, error)
            await asyncio.sleep(pause)

    def _may_retry(self, error: Exception) -> bool:
        if isinstance(self._retry_on, (type, tuple)):
            wanted = isinstance(error, self._retry_on)
        else:
            wanted = self._retry_on(error)
        return wanted and (self._budget is None or self._budget.try_spend())

    def _pause(self, failures: int, error: Exception) -> float:
        """Seconds; at least what the server asked for, and never more than the maximum."""
        initial, maximum = self._initial_seconds, self._maximum_seconds
        if self._strategy == "linear":
            initial *= failures
        backoff = Backoff(initial, maximum)
        doubled = failures if self._strategy == "exponential" else 1
        pause = backoff.delay(doubled, jitter=random.random() if self._jitter else 1.0)  # noqa: S311
        return min(maximum, max(pause, retry_after_of(error) or 0.0))


class TimeoutPrimitive(WorkflowPrimitive):
    """Cancels what takes longer than ``timeout_seconds``, all of its tries and pauses together."""

    def __init__(self, *, primitive: Step, timeout_seconds: float = 30.0) -> None:
        """Raises ValueError for a time that is not positive."""
        if not timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be positive, not {timeout_seconds}")
        self._primitive = as_primitive(primitive)
        self._timeout_seconds = timeout_seconds

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        """Raises TimeoutError."""
        try:
            async with asyncio.timeout(self._timeout_seconds) as limit:
                return await self._primitive.execute(data, context)
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"no result within {self._timeout_seconds:g} s") from None
            raise  # one from inside, which says more


class FallbackPrimitive(WorkflowPrimitive):
    """Does something else when the primary fails, whatever its error was."""

    def __init__(self, *, primary: Step, fallbacks: Sequence[Step]) -> None:
        self._steps = [as_primitive(step) for step in (primary, *fallbacks)]

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        """Raises FallbacksFailed, caused by the last error and with all of them, when nothing is left to do."""
        errors: list[Exception] = []
        for step in self._steps:
            try:
                return await step.execute(data, context)
            except Exception as error:
                errors.append(error)
        kinds = ", ".join(type(error).__name__ for error in errors)
        raise FallbacksFailed(f"the primary and all fallbacks failed: {kinds}", errors) from errors[-1]


class CircuitBreakerPrimitive(WorkflowPrimitive):
    """Fails at once, without a call, while the server behind it keeps failing."""

    def __init__(
        self,
        *,
        primitive: Step,
        failure_threshold: int = 5,
        timeout_seconds: float = 60.0,
        half_open_calls: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens after that many failures in a row, tries again after the timeout, closes after that many good trials.

        A failure is an error that ``is_passing``; other errors say nothing about the server. A refusal for too many
        requests (429) is no failure either, but while its Retry-After lasts nothing is called.
        """
        self._primitive = as_primitive(primitive)
        self._breaker = CircuitBreaker(
            failure_threshold=failure_threshold,
            open_seconds=timeout_seconds,
            half_open_calls=half_open_calls,
            clock=clock,
        )

    @property
    def state(self) -> State:
        """Where the breaker stands now."""
        return self._breaker.state

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        """Raises CircuitOpen while nothing is called."""
        if not self._breaker.admits():
            raise CircuitOpen(self._breaker.admits_in())
        token = self._breaker.begin()
        try:
            result = await self._primitive.execute(data, context)
        except Exception as error:
            self._failed(token, error)
            raise
        except BaseException:
            self._breaker.abandon(token)
            raise
        self._breaker.succeed(token)
        return result

    def _failed(self, token: int, error: Exception) -> None:
        if status_of(error) == TOO_MANY_REQUESTS:
            self._breaker.cool_down(retry_after_of(error) or 0.0)
            self._breaker.abandon(token)
        elif is_passing(error):
            self._breaker.fail(token)
        else:
            self._breaker.abandon(token)
