"""Events are told once, and never in a flood."""

from typing import Any

import pytest

from splai.core.plan import Event, ObjectReference
from splai.kube.errors import Forbidden
from splai.kube.events import BURST, REFILL_SECONDS, REPEAT_AFTER, EventRecorder
from tests.unit.kube.memory_client import MemoryClient

JOB = ObjectReference(api_version="splai.dev/v1alpha1", kind="InferenceJob", namespace="n", name="j", uid="u")
STARTED = Event("Normal", "Started", "the first worker runs")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(client: MemoryClient, clock: Clock) -> EventRecorder:
    return EventRecorder(client, instance="operator-1", clock=clock)


def written(client: MemoryClient) -> list[dict[str, Any]]:
    return list(client.objects.values())


async def test_an_event_names_its_object_its_reporter_and_its_words(
    client: MemoryClient, recorder: EventRecorder
) -> None:
    await recorder.record(JOB, (STARTED,))

    (event,) = written(client)
    assert event["regarding"] == {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "InferenceJob",
        "namespace": "n",
        "name": "j",
        "uid": "u",
    }
    assert (event["type"], event["reason"], event["note"]) == ("Normal", "Started", "the first worker runs")
    assert (event["reportingController"], event["reportingInstance"]) == ("splai.dev/operator", "operator-1")


async def test_the_same_event_is_not_told_again_for_ten_minutes(
    client: MemoryClient, recorder: EventRecorder, clock: Clock
) -> None:
    await recorder.record(JOB, (STARTED, STARTED))
    clock.now = REPEAT_AFTER - 1
    await recorder.record(JOB, (STARTED,))
    assert len(written(client)) == 1

    clock.now = REPEAT_AFTER
    await recorder.record(JOB, (STARTED,))
    assert len(written(client)) == 2


async def test_an_object_has_a_burst_and_then_one_event_in_thirty_seconds(
    client: MemoryClient, recorder: EventRecorder, clock: Clock
) -> None:
    many = tuple(Event("Warning", "Failed", str(number)) for number in range(100))
    await recorder.record(JOB, many[:50])
    assert len(written(client)) == BURST

    clock.now = REFILL_SECONDS
    await recorder.record(JOB, many[50:])
    assert len(written(client)) == BURST + 1


async def test_one_noisy_object_does_not_silence_another(client: MemoryClient, recorder: EventRecorder) -> None:
    await recorder.record(JOB, tuple(Event("Warning", "Failed", str(number)) for number in range(50)))

    await recorder.record(ObjectReference(api_version="v", kind="K", namespace="n", name="k", uid="v"), (STARTED,))

    assert len(written(client)) == BURST + 1


async def test_an_event_that_is_refused_is_dropped(client: MemoryClient, recorder: EventRecorder) -> None:
    client.fail = [Forbidden("the namespace is being terminated")]

    await recorder.record(JOB, (STARTED,))

    assert written(client) == []


async def test_a_long_message_is_cut_to_what_the_apiserver_takes(client: MemoryClient, recorder: EventRecorder) -> None:
    await recorder.record(JOB, (Event("Warning", "Failed", "x" * 5000),))

    assert len(written(client)[0]["note"]) == 1024
