"""Steps get over failures. Time here is looptime's: a wait of minutes takes none."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from splai.resilience import CircuitOpen, FallbacksFailed, WorkflowContext
from splai.resilience.core import Step
from splai.resilience.recovery import (
    CircuitBreakerPrimitive,
    FallbackPrimitive,
    RetryPrimitive,
    TimeoutPrimitive,
)
from splai.resilience.retry_budget import RetryBudget

pytestmark = pytest.mark.looptime

CONTEXT = WorkflowContext("w-1")


def now() -> float:
    return asyncio.get_running_loop().time()


class Service:
    """Fails as often as it is told, then answers; it knows when it was called."""

    def __init__(self, *failures: Exception, seconds: float = 0.0) -> None:
        self.failures = list(failures)
        self.seconds = seconds
        self.calls: list[float] = []
        self.cancelled = 0

    async def __call__(self, data: Any, context: WorkflowContext) -> str:
        self.calls.append(now())
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failures:
            raise self.failures.pop(0)
        return f"answer to {data}"


class SdkError(Exception):
    """As an OpenAI SDK raises it."""

    def __init__(self, status_code: int) -> None:
        super().__init__()
        self.status_code = status_code


def http_error(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://service")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status, headers=headers))


def pauses(service: Service) -> list[float]:
    return [round(later - earlier, 3) for earlier, later in zip(service.calls, service.calls[1:], strict=False)]


async def test_a_call_that_fails_twice_and_then_works_is_answered() -> None:
    service = Service(ConnectionError(), ConnectionError())

    assert await RetryPrimitive(primitive=service, max_retries=3).execute("q", CONTEXT) == "answer to q"
    assert len(service.calls) == 3


async def test_three_retries_are_four_calls_and_the_last_error_is_raised() -> None:
    service = Service(*(ConnectionError(f"refused {number}") for number in range(1, 10)))

    with pytest.raises(ConnectionError, match="refused 4"):
        await RetryPrimitive(primitive=service).execute("q", CONTEXT)

    assert len(service.calls) == 4


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("exponential", [1, 2, 4, 8, 10]),
        ("linear", [1, 2, 3, 4, 5]),
        ("constant", [1, 1, 1, 1, 1]),
    ],
)
async def test_pauses_follow_their_strategy_up_to_the_maximum(strategy: Any, expected: list[float]) -> None:
    service = Service(*[ConnectionError()] * 5)

    await RetryPrimitive(
        primitive=service, max_retries=5, backoff_strategy=strategy, maximum_seconds=10, jitter=False
    ).execute("q", CONTEXT)

    assert pauses(service) == expected


async def test_the_upper_half_of_each_pause_is_random() -> None:
    service = Service(*[ConnectionError()] * 3)

    await RetryPrimitive(primitive=service).execute("q", CONTEXT)

    for pause, longest in zip(pauses(service), [1, 2, 4], strict=True):
        assert longest / 2 <= pause <= longest


async def test_a_server_that_says_when_is_asked_then() -> None:
    service = Service(http_error(429, **{"retry-after": "7"}), http_error(503, **{"retry-after": "86400"}))

    await RetryPrimitive(primitive=service, maximum_seconds=60).execute("q", CONTEXT)

    assert pauses(service) == [7, 60]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Missing API key: OPENAI_API_KEY"),
        TypeError(),
        KeyError("query"),
        AttributeError(),
        NotImplementedError(),
        CircuitOpen(60.0),
        http_error(400),
        http_error(401),
        http_error(404),
        SdkError(422),
        ExceptionGroup("", [ValueError(), KeyError()]),
    ],
    ids=repr,
)
async def test_what_would_fail_again_is_not_tried_again(error: Exception) -> None:
    service = Service(error)

    with pytest.raises(type(error)):
        await RetryPrimitive(primitive=service).execute("q", CONTEXT)

    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(),
        OSError(),
        TimeoutError(),
        httpx.ReadTimeout(""),
        httpx.RemoteProtocolError(""),
        http_error(500),
        http_error(408),
        http_error(429),
        SdkError(503),
        json.JSONDecodeError("no JSON", "<html>", 0),
        ExceptionGroup("", [ValueError(), ConnectionError()]),
    ],
    ids=repr,
)
async def test_what_may_pass_is_tried_again(error: Exception) -> None:
    service = Service(error)

    await RetryPrimitive(primitive=service).execute("q", CONTEXT)

    assert len(service.calls) == 2


@pytest.mark.parametrize("retry_on", [ValueError, (KeyError, ValueError), lambda error: "again" in str(error)])
async def test_the_caller_may_say_what_is_tried_again(retry_on: Any) -> None:
    service = Service(ValueError("again"))
    await RetryPrimitive(primitive=service, retry_on=retry_on).execute("q", CONTEXT)
    assert len(service.calls) == 2

    service = Service(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await RetryPrimitive(primitive=service, retry_on=retry_on).execute("q", CONTEXT)


async def test_a_shared_budget_bounds_the_retries_of_all() -> None:
    service = Service(*[ConnectionError()] * 1000)
    retry = RetryPrimitive(primitive=service, budget=RetryBudget(clock=now))

    outcomes = await asyncio.gather(*(retry.execute("q", CONTEXT) for _ in range(100)), return_exceptions=True)

    assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
    assert len(service.calls) == 120


async def test_a_cancelled_call_is_not_tried_again() -> None:
    service = Service(seconds=10)
    task = asyncio.create_task(RetryPrimitive(primitive=service).execute("q", CONTEXT))
    await asyncio.sleep(1)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backoff_strategy": "fibonacci"}, "backoff_strategy must be one of exponential, constant, linear"),
        ({"max_retries": -1}, "max_retries"),
        ({"initial_seconds": -1}, "initial_seconds"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetryPrimitive(primitive=Service(), **options)


async def test_thirty_seconds_are_the_budget_of_all_tries_together() -> None:
    service = Service(*[ConnectionError()] * 99, seconds=9)
    resilient = TimeoutPrimitive(primitive=RetryPrimitive(primitive=service, max_retries=50), timeout_seconds=30.0)

    with pytest.raises(TimeoutError, match="no result within 30 s"):
        await resilient.execute("q", CONTEXT)

    assert now() == 30
    assert 2 <= len(service.calls) <= 4


async def test_no_call_goes_on_when_time_is_over() -> None:
    service = Service(seconds=100)

    with pytest.raises(TimeoutError):
        await TimeoutPrimitive(primitive=service).execute("q", CONTEXT)

    assert service.cancelled == 1


async def test_a_time_limit_inside_is_told_from_the_one_outside() -> None:
    tries = RetryPrimitive(
        primitive=TimeoutPrimitive(primitive=Service(seconds=100), timeout_seconds=2),
        max_retries=1,
        backoff_strategy="constant",
        jitter=False,
    )

    with pytest.raises(TimeoutError, match="no result within 2 s"):
        await TimeoutPrimitive(primitive=tries, timeout_seconds=30).execute("q", CONTEXT)

    assert now() == 5


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout_seconds"):
        TimeoutPrimitive(primitive=Service(), timeout_seconds=0)


@pytest.mark.parametrize("error", [ConnectionError(), ValueError("Missing API key: OPENAI_API_KEY"), KeyError("x")])
async def test_when_the_primary_fails_the_fallback_answers(error: Exception) -> None:
    async def local_cache(data: dict[str, str], context: WorkflowContext) -> str:
        return f"cached {data['cache_key']}"

    workflow = FallbackPrimitive(primary=Service(error), fallbacks=[local_cache])

    assert await workflow.execute({"cache_key": "k"}, CONTEXT) == "cached k"


async def test_while_the_primary_works_no_fallback_is_called() -> None:
    fallback = Service()

    await FallbackPrimitive(primary=Service(), fallbacks=[fallback]).execute("q", CONTEXT)

    assert fallback.calls == []


async def test_when_all_fail_the_error_has_all_causes_and_tells_no_contents() -> None:
    errors = [ConnectionError("a prompt"), TimeoutError(), KeyError("another prompt")]
    workflow = FallbackPrimitive(primary=Service(errors[0]), fallbacks=[Service(errors[1]), Service(errors[2])])

    with pytest.raises(FallbacksFailed, match="ConnectionError, TimeoutError, KeyError") as failed:
        await workflow.execute("q", CONTEXT)

    assert list(failed.value.exceptions) == errors
    assert failed.value.__cause__ is errors[-1]
    assert "prompt" not in str(failed.value)


async def test_a_cancelled_call_has_no_fallback() -> None:
    fallback = Service()
    workflow = FallbackPrimitive(primary=Service(seconds=100), fallbacks=[fallback])

    with pytest.raises(TimeoutError):
        await TimeoutPrimitive(primitive=workflow, timeout_seconds=1).execute("q", CONTEXT)

    assert fallback.calls == []


async def test_a_whole_stack_shares_one_time_limit_and_then_falls_back() -> None:
    service = Service(*[ConnectionError()] * 99)
    workflow = FallbackPrimitive(
        primary=TimeoutPrimitive(
            primitive=RetryPrimitive(primitive=service, max_retries=99, backoff_strategy="constant", jitter=False),
            timeout_seconds=4.5,
        ),
        fallbacks=[Service()],
    )

    assert await workflow.execute("q", CONTEXT) == "answer to q"
    assert now() == 4.5
    assert len(service.calls) == 5


def protected(service: Service) -> CircuitBreakerPrimitive:
    return CircuitBreakerPrimitive(
        primitive=service, failure_threshold=5, timeout_seconds=60, half_open_calls=3, clock=now
    )


async def fails(step: CircuitBreakerPrimitive, error: type[Exception], times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(error):
            await step.execute("q", CONTEXT)


async def test_after_five_failures_the_sixth_call_fails_at_once_without_being_made() -> None:
    service = Service(*[ConnectionError()] * 99)
    step = protected(service)
    await fails(step, ConnectionError, 5)

    with pytest.raises(CircuitOpen) as refused:
        await step.execute("q", CONTEXT)

    assert len(service.calls) == 5
    assert refused.value.retry_in == 60


async def test_after_a_minute_three_successes_close_it() -> None:
    service = Service(*[ConnectionError()] * 5)
    step = protected(service)
    await fails(step, ConnectionError, 5)

    await asyncio.sleep(60)
    states = []
    for _ in range(3):
        await step.execute("q", CONTEXT)
        states.append(step.state)

    assert states == ["half_open", "half_open", "closed"]


async def test_a_failure_while_half_open_opens_it_again() -> None:
    service = Service(*[ConnectionError()] * 6)
    step = protected(service)
    await fails(step, ConnectionError, 5)

    await asyncio.sleep(60)
    await fails(step, ConnectionError)

    await fails(step, CircuitOpen)
    assert len(service.calls) == 6


async def test_half_open_lets_three_callers_through_and_refuses_the_others() -> None:
    service = Service(*[ConnectionError()] * 5)
    step = protected(service)
    await fails(step, ConnectionError, 5)
    await asyncio.sleep(60)

    service.seconds = 1
    outcomes = await asyncio.gather(*(step.execute("q", CONTEXT) for _ in range(10)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [str] * 3 + [CircuitOpen] * 7


@pytest.mark.parametrize("error", [lambda: ValueError("bad input"), lambda: http_error(400)])
async def test_errors_of_the_request_do_not_open_it(error: Callable[[], Exception]) -> None:
    service = Service(*[error() for _ in range(20)])
    step = protected(service)

    await fails(step, type(error()), 20)

    assert step.state == "closed"


async def test_callers_that_leave_do_not_open_it_and_give_their_places_back() -> None:
    service = Service(*[ConnectionError()] * 5)
    step = protected(service)
    await fails(step, ConnectionError, 5)
    await asyncio.sleep(60)

    service.seconds = 100
    for _ in range(10):
        with pytest.raises(TimeoutError):
            await TimeoutPrimitive(primitive=step, timeout_seconds=1).execute("q", CONTEXT)

    assert step.state == "half_open"
    assert len(service.calls) == 15


async def test_while_a_retry_after_lasts_nothing_is_called() -> None:
    service = Service(http_error(429, **{"retry-after": "7"}))
    step = protected(service)
    await fails(step, httpx.HTTPStatusError)

    await fails(step, CircuitOpen)
    assert (step.state, len(service.calls)) == ("closed", 1)
    await asyncio.sleep(7)
    assert await step.execute("q", CONTEXT) == "answer to q"


async def test_an_open_breaker_ends_the_tries() -> None:
    service = Service(*[ConnectionError()] * 99)
    workflow = RetryPrimitive(primitive=protected(service), max_retries=50)

    with pytest.raises(CircuitOpen):
        await workflow.execute("q", CONTEXT)

    assert len(service.calls) == 5


STACKED: list[Callable[[Step], Step]] = [
    lambda step: RetryPrimitive(primitive=step),
    lambda step: TimeoutPrimitive(primitive=step),
    lambda step: CircuitBreakerPrimitive(primitive=step),
    lambda step: FallbackPrimitive(primary=step, fallbacks=[]),
]


@pytest.mark.parametrize("outer", STACKED)
@pytest.mark.parametrize("inner", STACKED)
async def test_any_step_goes_around_any_other(outer: Callable[[Step], Any], inner: Callable[[Step], Step]) -> None:
    assert await outer(inner(Service())).execute("q", CONTEXT) == "answer to q"
