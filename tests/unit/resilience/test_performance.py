"""Results are remembered, and each caller's are its own."""

import asyncio
from typing import Any

import pytest

from splai.resilience import MeasuredPrimitive, WorkflowContext
from splai.resilience.performance import CachePrimitive

CONTEXT = WorkflowContext("w-1")


class Retrieval:
    """What is worth a cache; it counts its executions."""

    def __init__(self) -> None:
        self.executed = 0
        self.fails = False

    async def __call__(self, data: dict[str, Any], context: WorkflowContext) -> dict[str, Any] | None:
        self.executed += 1
        await asyncio.sleep(0)
        if self.fails:
            raise ConnectionError
        return {"documents": [data["query"]]} if data["query"] else None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def cached(retrieval: Retrieval, **options: Any) -> CachePrimitive:
    return CachePrimitive(primitive=retrieval, ttl_seconds=1800, key_fn=lambda d, c: d["query"], **options)


async def test_the_same_key_twice_is_executed_once_until_half_an_hour_has_passed() -> None:
    retrieval, clock = Retrieval(), Clock()
    primitive = cached(retrieval, clock=clock)

    first = await primitive.execute({"query": "k8s"}, CONTEXT)
    clock.now = 1799.0
    second = await primitive.execute({"query": "k8s"}, CONTEXT)
    assert first == second == {"documents": ["k8s"]}
    assert retrieval.executed == 1

    clock.now = 1800.0
    await primitive.execute({"query": "k8s"}, CONTEXT)
    assert retrieval.executed == 2


async def test_another_key_is_executed() -> None:
    retrieval = Retrieval()
    primitive = cached(retrieval)

    await primitive.execute({"query": "a"}, CONTEXT)

    assert await primitive.execute({"query": "b"}, CONTEXT) == {"documents": ["b"]}
    assert retrieval.executed == 2


async def test_those_who_ask_together_share_what_is_executed_once() -> None:
    retrieval = Retrieval()
    primitive = cached(retrieval)

    results = await asyncio.gather(*(primitive.execute({"query": "k8s"}, CONTEXT) for _ in range(20)))

    assert results == [{"documents": ["k8s"]}] * 20
    assert retrieval.executed == 1


async def test_what_one_caller_changes_no_other_caller_sees() -> None:
    primitive = cached(Retrieval())

    for _ in range(3):
        result = await primitive.execute({"query": "k8s"}, CONTEXT)
        assert result == {"documents": ["k8s"]}
        result["documents"].append("mine")


async def test_a_result_of_none_is_remembered_too() -> None:
    retrieval = Retrieval()
    primitive = cached(retrieval)

    assert await primitive.execute({"query": ""}, CONTEXT) is None
    assert await primitive.execute({"query": ""}, CONTEXT) is None
    assert retrieval.executed == 1


async def test_errors_are_not_remembered() -> None:
    retrieval = Retrieval()
    primitive = cached(retrieval)
    retrieval.fails = True
    with pytest.raises(ConnectionError):
        await primitive.execute({"query": "k8s"}, CONTEXT)

    retrieval.fails = False

    assert await primitive.execute({"query": "k8s"}, CONTEXT) == {"documents": ["k8s"]}


async def test_so_many_results_are_kept_and_no_more() -> None:
    retrieval = Retrieval()
    primitive = cached(retrieval, max_results=2)
    for query in ("a", "b", "c", "b", "c"):
        await primitive.execute({"query": query}, CONTEXT)
    assert retrieval.executed == 3

    await primitive.execute({"query": "a"}, CONTEXT)

    assert retrieval.executed == 4


async def test_a_result_carries_its_duration_and_what_its_steps_cost() -> None:
    async def paid(data: dict[str, Any], context: WorkflowContext) -> dict[str, Any]:
        context.add_cost(0.002)
        context.add_cost(0.0005)
        return {"response": "hi"}

    result = await MeasuredPrimitive(primitive=paid).execute({}, WorkflowContext("w-1"))

    assert result["response"] == "hi"
    assert isinstance(result["duration_ms"], int)
    assert f"${result['cost']:.4f}" == "$0.0025"


async def test_models_of_ones_own_cost_nothing() -> None:
    async def local(data: dict[str, Any], context: WorkflowContext) -> dict[str, Any]:
        return {}

    assert (await MeasuredPrimitive(primitive=local).execute({}, WorkflowContext("w-1")))["cost"] == 0


async def test_a_result_that_knows_better_or_is_no_dict_stays_as_it_is() -> None:
    async def echo(data: Any, context: WorkflowContext) -> Any:
        return data

    measured = MeasuredPrimitive(primitive=echo)

    assert await measured.execute({"duration_ms": 7, "cost": 1.5}, CONTEXT) == {"duration_ms": 7, "cost": 1.5}
    assert await measured.execute(["text"], CONTEXT) == ["text"]
