"""What a trace shows of reconciles, as it arrives at a collector."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from splai.api.inference_job import InferenceJobStatus
from splai.controller.spans import ReconcileSpans
from splai.core.plan import Create, Plan
from splai.kube.client import Object, RequestObserver
from splai.kube.resource import Resource
from tests.unit.controller.test_reconcile import CHILD, JOB, World
from tests.unit.kube.memory_client import MemoryClient
from tests.unit.trace_collector import Collector, traced

pytestmark = pytest.mark.looptime


class ObservedClient(MemoryClient):
    """Tells of its writes, as the real one does."""

    def __init__(self, observe: RequestObserver) -> None:
        super().__init__()
        self._observe = observe

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        self._observe("create", resource, 201)
        return await super().create(resource, namespace, body)

    async def patch_status(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        self._observe("patch", resource, 200)
        return await super().patch_status(resource, namespace, name, body)


@contextmanager
def traced_world() -> Iterator[tuple[World, Collector]]:
    with traced("operator") as (tracing, collector):
        spans = ReconcileSpans(tracing)
        yield World(ObservedClient(spans.counting(lambda *_: None)), spans), collector


async def end(world: World) -> None:
    world.queue.close()
    assert world.working
    await world.working


async def test_a_reconcile_is_a_span_with_its_object_its_outcome_and_its_writes() -> None:
    with traced_world() as (world, collector):
        world.plan = Plan(InferenceJobStatus(phase="Running"), (Create(CHILD),))
        await world.goes_on(0.01)
        world.plan = Plan(InferenceJobStatus(phase="Running"))
        world.queue.add(JOB)
        await world.goes_on(0.01)
        await end(world)

    first, second = collector.spans
    assert (first.service, first.name, first.kind) == ("splai-operator", "reconcile InferenceJob", "internal")
    assert first.attributes == {
        "k8s.namespace.name": "n",
        "splai.kind": "InferenceJob",
        "splai.name": "j",
        "splai.outcome": "done",
        "splai.api.reads": 0,
        "splai.api.writes": 2,
    }
    assert second.attributes["splai.api.writes"] == 0
    assert first.trace_id != second.trace_id


async def test_a_reconcile_that_fails_says_what_and_not_with_which_words() -> None:
    with traced_world() as (world, collector):
        world.fail = [RuntimeError("the words of a record")]
        await world.goes_on(0.01)
        await end(world)

    (span,) = (span for span in collector.spans if span.is_error)
    assert (span.attributes["splai.outcome"], span.attributes["error.type"]) == ("failed", "RuntimeError")
    assert b"the words of a record" not in collector.received
