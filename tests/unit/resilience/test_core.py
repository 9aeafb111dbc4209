"""Steps compose: one after the other, side by side, one of several; functions are steps too."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from splai.resilience import (
    CachePrimitive,
    CircuitBreakerPrimitive,
    FallbackPrimitive,
    MeasuredPrimitive,
    ParallelPrimitive,
    RetryPrimitive,
    SequentialPrimitive,
    TimeoutPrimitive,
    UnknownRoute,
    WorkflowContext,
    WorkflowPrimitive,
)
from splai.resilience.core import RouterPrimitive, Step, as_primitive

CONTEXT = WorkflowContext("w-1")


async def double(data: int, context: WorkflowContext) -> int:
    return data * 2


async def increment(data: int, context: WorkflowContext) -> int:
    return data + 1


class Square(WorkflowPrimitive):
    def __init__(self) -> None:
        super().__init__()

    async def _execute_impl(self, data: int, context: WorkflowContext) -> int:
        return data * data


def test_a_context_needs_only_its_workflow_id() -> None:
    context = WorkflowContext(workflow_id="session-7")

    assert (context.workflow_id, context.correlation_id, context.user_id) == ("session-7", None, None)


def test_a_context_holds_what_its_run_is_known_by() -> None:
    context = WorkflowContext(workflow_id="req-1", correlation_id="c-1", user_id="ada")

    assert (context.workflow_id, context.correlation_id, context.user_id) == ("req-1", "c-1", "ada")


def test_state_has_a_default_until_it_is_set() -> None:
    context = WorkflowContext("w-1")
    assert context.get_state("chat_history", []) == []

    context.set_state("chat_history", ["hello"])

    assert context.get_state("chat_history", []) == ["hello"]
    assert WorkflowContext("w-2").get_state("chat_history") is None


def test_a_printed_context_does_not_show_its_state() -> None:
    context = WorkflowContext("w-1")
    context.set_state("chat_history", ["a secret"])

    assert "secret" not in repr(context)


@pytest.mark.parametrize(
    "primitive",
    [
        Square(),
        SequentialPrimitive([Square()]),
        FallbackPrimitive(primary=Square(), fallbacks=[]),
        RetryPrimitive(primitive=Square()),
        TimeoutPrimitive(primitive=Square()),
        CircuitBreakerPrimitive(primitive=Square()),
        CachePrimitive(primitive=Square(), key_fn=lambda d, c: d),
        MeasuredPrimitive(primitive=Square()),
        RouterPrimitive(routes={"square": Square()}, router_fn=lambda d, c: "square"),
    ],
    ids=lambda primitive: type(primitive).__name__,
)
async def test_execute_is_the_one_call_on_every_primitive(primitive: WorkflowPrimitive) -> None:
    assert await primitive.execute(3, CONTEXT) == 9


@pytest.mark.parametrize(
    "around",
    [
        lambda f: SequentialPrimitive([f]),
        lambda f: FallbackPrimitive(primary=f, fallbacks=[f]),
        lambda f: RetryPrimitive(primitive=f),
        lambda f: TimeoutPrimitive(primitive=f),
        lambda f: CircuitBreakerPrimitive(primitive=f),
        lambda f: CachePrimitive(primitive=f, key_fn=lambda d, c: d),
        lambda f: MeasuredPrimitive(primitive=f),
        lambda f: RouterPrimitive(routes={"it": f}, router_fn=lambda d, c: "it"),
        lambda f: as_primitive(f),
    ],
)
async def test_a_bare_function_is_a_step_of_every_primitive(around: Callable[[Step], WorkflowPrimitive]) -> None:
    assert await around(double).execute(3, CONTEXT) == 6
    assert await around(partial(double)).execute(3, CONTEXT) == 6


@pytest.mark.parametrize(
    ("workflow", "result"),
    [
        (double >> Square(), 36),
        (Square() >> double, 18),
        (Square() >> Square(), 81),
        (double >> Square() >> increment >> double, 74),
        (double >> (Square() >> increment), 37),
        (SequentialPrimitive([double, increment]), 7),
    ],
)
async def test_each_step_gets_the_result_of_the_one_before(workflow: WorkflowPrimitive, result: int) -> None:
    assert await workflow.execute(3, CONTEXT) == result


@pytest.mark.parametrize("thing", [None, 7, {"a": "dict"}])
def test_what_is_no_step_is_refused_where_the_workflow_is_made(thing: Any) -> None:
    with pytest.raises(TypeError):
        Square() >> thing
    with pytest.raises(TypeError):
        thing >> Square()
    with pytest.raises(TypeError, match="async function of"):
        TimeoutPrimitive(primitive=thing)


async def test_a_function_that_is_not_asynchronous_is_named() -> None:
    def not_async(data: int, context: WorkflowContext) -> int:
        return data

    with pytest.raises(TypeError, match="not_async is not asynchronous"):
        await as_primitive(not_async).execute(1, CONTEXT)  # type: ignore[arg-type]


@pytest.mark.parametrize("primitive", [SequentialPrimitive, ParallelPrimitive])
def test_no_steps_at_all_are_refused(primitive: type[SequentialPrimitive | ParallelPrimitive]) -> None:
    with pytest.raises(ValueError, match="at least one step"):
        primitive([])


async def test_branches_run_at_the_same_time_and_their_results_keep_the_order() -> None:
    together = asyncio.Barrier(3)

    def branch(name: str) -> Step:
        async def run(data: str, context: WorkflowContext) -> str:
            await together.wait()  # nobody passes before all three are here
            return f"{name} of {data}"

        return run

    async def aggregate(results: list[str], context: WorkflowContext) -> str:
        return ", ".join(results)

    workflow = ParallelPrimitive([branch("a"), branch("b"), branch("c")]) >> aggregate
    assert await workflow.execute("user", CONTEXT) == "a of user, b of user, c of user"


async def test_a_branch_that_fails_cancels_the_others_and_its_own_error_is_raised() -> None:
    ended: list[str] = []

    async def slow(data: int, context: WorkflowContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("slow")

    async def broken(data: int, context: WorkflowContext) -> None:
        await asyncio.sleep(0)
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError, match="refused"):
        await ParallelPrimitive([slow, broken, slow]).execute(1, CONTEXT)

    assert ended == ["slow", "slow"]


async def test_whoever_leaves_takes_all_branches_along() -> None:
    running = 0

    async def slow(data: int, context: WorkflowContext) -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    task = asyncio.create_task(ParallelPrimitive([slow, slow]).execute(1, CONTEXT))
    while running < 2:  # noqa: ASYNC110 - the branches have nothing else to say
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert running == 0


def provider_router(**options: Any) -> RouterPrimitive:
    async def openai(data: dict[str, Any], context: WorkflowContext) -> dict[str, Any]:
        return {"response": f"openai: {data['messages'][0]['content']}"}

    async def anthropic(data: dict[str, Any], context: WorkflowContext) -> dict[str, Any]:
        return {"response": f"anthropic: {data['messages'][0]['content']}"}

    routes: dict[str, Step] = {"openai": openai, "anthropic": anthropic}
    return RouterPrimitive(routes=routes, router_fn=lambda d, c: d.get("provider", "openai"), **options)


@pytest.mark.parametrize(
    ("provider", "response"),
    [({}, "openai: hi"), ({"provider": "openai"}, "openai: hi"), ({"provider": "anthropic"}, "anthropic: hi")],
)
async def test_the_provider_that_data_names_answers_in_the_same_shape(provider: dict[str, str], response: str) -> None:
    data = {"messages": [{"role": "user", "content": "hi"}], **provider}

    assert await provider_router().execute(data, CONTEXT) == {"response": response}


@pytest.mark.parametrize("provider", ["nobody", None, ["openai"], "x" * 5000])
async def test_an_unknown_route_is_named_with_those_that_there_are(provider: Any) -> None:
    with pytest.raises(UnknownRoute, match="there are openai, anthropic") as refused:
        await provider_router().execute({"messages": [], "provider": provider}, CONTEXT)

    assert repr(provider)[:20] in str(refused.value)
    assert len(str(refused.value)) < 200


async def test_the_default_route_takes_what_is_unknown() -> None:
    data = {"messages": [{"content": "hi"}], "provider": "nobody"}

    assert await provider_router(default="anthropic").execute(data, CONTEXT) == {"response": "anthropic: hi"}


def test_a_default_that_is_no_route_is_refused() -> None:
    with pytest.raises(ValueError, match="default must be one of the routes openai, anthropic"):
        provider_router(default="nobody")
