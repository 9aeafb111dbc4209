"""The loop: what it does in which order, and how it goes on after what went wrong."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from splai.api.history import HistoryRecord
from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.controller.caches import Caches
from splai.controller.metrics import Metrics
from splai.controller.queue import Key, WorkQueue
from splai.controller.reconcile import DecisionFailed, DecisionRefused, Kind, Reconciler
from splai.controller.spans import ReconcileSpans
from splai.controller.status_writer import StatusWriter
from splai.core.plan import Create, Event, Plan, Refusal
from splai.kube.cache import Entry
from splai.kube.errors import Forbidden, Throttled, Unavailable
from splai.kube.events import EventRecorder
from splai.kube.executor import Executor
from splai.kube.resource import EVENTS, INFERENCE_JOBS, JOBS
from tests.unit.controller.objects import inference_job
from tests.unit.kube.memory_client import MemoryClient

JOB = Key("InferenceJob", "n", "j")
CHILD = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"namespace": "n", "name": "j-0", "ownerReferences": [{"uid": "uid-j", "controller": True}]},
}


@dataclass(frozen=True)
class Snapshot:
    job: InferenceJob
    refusals: tuple[Refusal, ...] = ()


def no_folder(_namespace: str, _uid: str) -> Any:
    pytest.fail("no plan here writes to the store")


class NoHistory:
    """No plan here archives anything."""

    async def save(self, record: HistoryRecord) -> None:
        raise NotImplementedError

    async def get(self, namespace: str, uid: str) -> HistoryRecord | None:
        raise NotImplementedError


class World:
    """A reconciler of one job, whose decisions the test makes."""

    def __init__(self, client: MemoryClient | None = None, spans: ReconcileSpans | None = None) -> None:
        clock = asyncio.get_running_loop().time
        self.client = client or MemoryClient()
        self.metrics = Metrics()
        self.queue = WorkQueue(observer=self.metrics, clock=clock, jitter=lambda: 1.0)
        self.caches = Caches(lambda key, delay: self.queue.add(key, delay=delay))
        self.decisions: list[Snapshot] = []
        self.plan: Plan[InferenceJobStatus] = Plan(InferenceJobStatus())
        self.refused_status: InferenceJobStatus | None = None
        self.fail: list[Exception] = []
        self.reconciler = Reconciler(
            {"InferenceJob": Kind(collection=self.caches.jobs, observe=self.observe, decide=self.decide)},
            queue=self.queue,
            executor=Executor(self.client, known=self.caches, folder=no_folder, history=NoHistory()),
            statuses=StatusWriter(self.client, written=self.caches.status_written, clock=clock),
            events=EventRecorder(self.client, instance="test", clock=clock),
            metrics=self.metrics,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            spans=spans,
        )
        self.working: asyncio.Task[None] | None = None
        self.caches.changed(INFERENCE_JOBS, self.client.store(INFERENCE_JOBS, inference_job()))

    async def goes_on(self, seconds: float) -> None:
        """Let the worker work for so long; it starts when this is called first."""
        self.working = self.working or asyncio.create_task(self.reconciler.work())
        await asyncio.sleep(seconds)

    def refuses_the_child_and_has_for_long(self) -> None:
        """Its name is somebody else's, and the next backoff takes minutes."""
        self.client.store(JOBS, {"metadata": {"namespace": "n", "name": "j-0", "uid": "foreign"}})
        for _ in range(20):
            self.queue.retry(JOB)
        self.queue.add(JOB)

    async def observe(self, entry: Entry[InferenceJob]) -> Snapshot:
        return Snapshot(entry.value)

    async def decide(self, snapshot: Snapshot, _now: datetime) -> Plan[InferenceJobStatus]:
        self.decisions.append(snapshot)
        if self.fail:
            raise self.fail.pop(0)
        if snapshot.refusals:
            message = f"{snapshot.refusals[0].reason}: {snapshot.refusals[0].message}"
            status = self.refused_status or InferenceJobStatus(message=message, phase="Pending")
            return replace(self.plan, actions=(), status=status)
        return self.plan

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.client.objects[INFERENCE_JOBS, "n", "j"]["status"]
        return status


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.queue.close()
    if world.working:
        await world.working


pytestmark = pytest.mark.looptime


async def test_children_come_first_then_one_status_then_events(world: World) -> None:
    world.plan = Plan(InferenceJobStatus(phase="Running"), (Create(CHILD),), (Event("Normal", "Started", "it runs"),))

    await world.goes_on(0.01)

    kinds = [f"{verb} {name.partition('/')[0]}" for verb, name in world.client.writes]
    assert kinds == ["create jobs", "patch_status inferencejobs", "create events"]
    assert world.caches.child_jobs.get("n", "j-0")


async def test_what_actions_did_is_told_even_while_the_status_waits_for_its_turn(world: World) -> None:
    """A status is decided again until it is written, with its events; an action is carried out once."""
    world.plan = Plan(InferenceJobStatus(phase="Running", succeeded=1))
    await world.goes_on(0.01)
    world.client.writes.clear()

    world.plan = Plan(
        InferenceJobStatus(phase="Running", succeeded=2),
        events=(Event("Normal", "Later", "with the status"),),
        action_events=(Event("Normal", "Done", "it is done"),),
    )
    world.queue.add(JOB)
    await world.goes_on(0.01)

    reasons = [body["reason"] for (resource, *_), body in world.client.objects.items() if resource == EVENTS]
    assert reasons == ["Done"]


async def test_nobody_asks_for_news_that_could_not_be_written_yet(world: World) -> None:
    world.plan = Plan(InferenceJobStatus(phase="Running", succeeded=1))
    await world.goes_on(0.01)

    world.plan = Plan(InferenceJobStatus(phase="Running", succeeded=2), poll_after=0.1)
    world.queue.add(JOB)
    await world.goes_on(1)
    assert (len(world.decisions), world.status["succeeded"]) == (2, 1)

    await world.goes_on(1.5)
    assert world.status["succeeded"] == 2
    assert len(world.decisions) > 3, "and it polls again"


async def test_a_second_look_without_news_writes_nothing(world: World) -> None:
    world.plan = Plan(InferenceJobStatus(phase="Running"))
    await world.goes_on(0.01)
    world.client.writes.clear()

    world.queue.add(JOB)
    await world.goes_on(0.01)

    assert len(world.decisions) == 2
    assert world.client.writes == []


async def test_it_looks_again_when_the_plan_says(world: World) -> None:
    world.plan = Plan(InferenceJobStatus(), requeue_after=30)
    await world.goes_on(29)
    assert len(world.decisions) == 1

    await world.goes_on(2)
    assert len(world.decisions) == 2


@pytest.mark.parametrize(
    "error", [Unavailable("away"), DecisionFailed("killed"), TimeoutError(), ZeroDivisionError()], ids=type
)
async def test_what_fails_is_tried_again_with_backoff(world: World, error: Exception) -> None:
    world.fail = [error] * 3
    world.plan = Plan(InferenceJobStatus(phase="Running"))

    await world.goes_on(1)

    assert len(world.decisions) == 4
    assert world.status["phase"] == "Running"


async def test_a_crash_is_logged_by_its_place_and_not_with_its_words(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.fail = [RuntimeError("the words of a record")]

    await world.goes_on(0.1)

    (record,) = (record for record in caplog.records if record.message == "reconcile crashed")
    assert record.__dict__["error"] == "RuntimeError"
    assert "the words of a record" not in caplog.text
    assert "the words of a record" not in str(record.__dict__)


async def test_a_failed_status_patch_is_tried_again(world: World) -> None:
    world.client.fail = [Unavailable("away"), Unavailable("still away")]
    world.plan = Plan(InferenceJobStatus(phase="Running"))

    await world.goes_on(1)

    assert world.status["phase"] == "Running"


@pytest.mark.parametrize("error", [Throttled("slow down", retry_after=10), DecisionFailed("busy", retry_after=10)])
async def test_who_asks_for_a_pause_gets_it(world: World, error: Exception) -> None:
    world.fail = [error]

    await world.goes_on(9)
    assert len(world.decisions) == 1

    await world.goes_on(2)
    assert len(world.decisions) == 2


async def test_a_refused_action_ends_in_the_status_and_is_tried_again_later(world: World) -> None:
    world.client.fail = [Forbidden('jobs "j-0" is forbidden: exceeded quota: gpus')]
    world.plan = Plan(InferenceJobStatus(phase="Running"), (Create(CHILD),))

    await world.goes_on(0.5)
    assert world.status["message"].startswith("QuotaExceeded: ")
    assert "jobs/j-0" not in {name for _, name in world.client.writes}

    await world.goes_on(1)
    assert world.status["phase"] == "Running"


async def test_a_refused_job_is_looked_at_again_when_its_plan_says_however_long_the_backoff_is(world: World) -> None:
    """The end of a completion window does not wait for a quota."""
    world.plan = Plan(InferenceJobStatus(phase="Running"), (Create(CHILD),), requeue_after=7)
    world.refuses_the_child_and_has_for_long()

    await world.goes_on(6.9)
    assert len(world.decisions) == 2

    await world.goes_on(0.2)
    assert len(world.decisions) == 4


async def test_what_a_plan_wants_at_once_waits_after_a_refusal(world: World) -> None:
    world.plan = Plan(InferenceJobStatus(phase="Running"), (Create(CHILD),), requeue_after=0.001)
    world.refuses_the_child_and_has_for_long()

    await world.goes_on(2.5)

    assert len(world.decisions) == 6, "three attempts, each decided twice"


async def test_a_status_that_has_to_wait_is_written_also_when_an_action_was_refused(world: World) -> None:
    world.plan = Plan(InferenceJobStatus(phase="Running", succeeded=1))
    await world.goes_on(0.01)
    world.plan = Plan(InferenceJobStatus(), (Create(CHILD),))
    world.refused_status = InferenceJobStatus(phase="Running", succeeded=2)
    world.refuses_the_child_and_has_for_long()

    await world.goes_on(5)

    assert world.status["succeeded"] == 2


async def test_a_decision_that_had_to_be_stopped_is_made_again_with_that_in_sight(world: World) -> None:
    world.fail = [DecisionRefused("TemplateTimeout", "it did not finish")]

    await world.goes_on(0.5)

    assert [len(snapshot.refusals) for snapshot in world.decisions] == [0, 1]
    assert world.status["message"] == "TemplateTimeout: it did not finish"


async def test_nothing_is_made_for_a_resource_that_is_being_deleted(world: World) -> None:
    body = inference_job(generation=2)
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.caches.changed(INFERENCE_JOBS, world.client.store(INFERENCE_JOBS, body))
    world.plan = Plan(InferenceJobStatus(), (Create(CHILD),))

    await world.goes_on(1)

    assert len(world.decisions) == 1
    assert world.client.writes == []


async def test_a_vanished_resource_is_forgotten(world: World) -> None:
    world.plan = Plan(InferenceJobStatus(), requeue_after=5)
    await world.goes_on(0.01)
    world.caches.deleted(INFERENCE_JOBS, inference_job(version=99))

    await world.goes_on(20)

    assert len(world.decisions) == 1
