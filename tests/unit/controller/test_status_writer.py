"""A changed phase is written at once; progress waits its turn, and nothing is written without a change."""

from typing import Any

import pytest

from splai.api.condition import Condition
from splai.api.inference_job import InferenceJobStatus, JobPhase, TaskStatus
from splai.controller.queue import Key
from splai.controller.status_writer import OBJECT_INTERVAL, PATCHES_PER_SECOND, StatusWriter, merge_patch
from splai.kube.client import Object
from splai.kube.errors import Invalid
from splai.kube.resource import INFERENCE_JOBS, Resource
from tests.unit.kube.memory_client import MemoryClient

MOMENT = "2026-01-01T00:00:00Z"
KEY = Key.of(INFERENCE_JOBS, "n", "j")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A writer for one job on an apiserver in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.client = MemoryClient()
        self.absorbed: list[Object] = []
        self.writer = StatusWriter(self.client, absorb=self.absorb, clock=self.clock)
        self.client.store(INFERENCE_JOBS, {"metadata": {"namespace": "n", "name": "j", "uid": "u"}})

    def absorb(self, _resource: Resource, body: Object) -> None:
        self.absorbed.append(body)

    async def write(self, before: InferenceJobStatus, after: InferenceJobStatus, *, key: Key = KEY) -> float | None:
        return await self.writer.write(INFERENCE_JOBS, key, "u", before, after)

    @property
    def stored(self) -> dict[str, Any]:
        stored: dict[str, Any] = self.client.objects[INFERENCE_JOBS, "n", "j"].get("status", {})
        return stored


@pytest.fixture
def place() -> Place:
    return Place()


def status(phase: JobPhase = "Running", **fields: Any) -> InferenceJobStatus:
    return InferenceJobStatus(phase=phase, **fields)


async def test_without_a_change_nothing_is_written(place: Place) -> None:
    assert await place.write(status(succeeded=1), status(succeeded=1)) is None

    assert place.client.writes == []


async def test_only_what_changed_is_sent_and_what_vanished_is_removed(place: Place) -> None:
    first = status(succeeded=1, backend="b", tasks=[TaskStatus(id="0")])
    await place.write(InferenceJobStatus(), first)

    place.clock.now += 10
    await place.write(first, status(succeeded=2, tasks=[TaskStatus(id="0", completed=1)]))

    assert place.stored["succeeded"] == 2
    assert "backend" not in place.stored
    assert place.stored["tasks"][0]["completed"] == 1
    assert place.stored["phase"] == "Running"


async def test_the_reply_is_absorbed(place: Place) -> None:
    await place.write(InferenceJobStatus(), status())

    assert place.absorbed[0]["status"]["phase"] == "Running"


async def test_progress_waits_two_seconds_after_a_patch(place: Place) -> None:
    await place.write(InferenceJobStatus(), status(succeeded=1))

    place.clock.now += 0.5
    assert await place.write(status(succeeded=1), status(succeeded=2)) == pytest.approx(OBJECT_INTERVAL - 0.5)

    place.clock.now += 1.5
    assert await place.write(status(succeeded=1), status(succeeded=2)) is None
    assert place.stored["succeeded"] == 2


async def test_progress_of_a_large_status_waits_for_its_bytes(place: Place) -> None:
    large = [TaskStatus(id=f"{number:04d}", message="x" * 100) for number in range(1000)]
    await place.write(InferenceJobStatus(), status(tasks=large))

    wait = await place.write(status(tasks=large), status(tasks=large, succeeded=1))

    assert wait is not None
    assert wait > 15


@pytest.mark.parametrize(
    "urgent",
    [
        status("Completed", succeeded=2),
        status(succeeded=2, observed_generation=3),
        status(
            succeeded=2,
            conditions=[
                Condition(type="Ready", status="True", reason="Yes", last_transition_time="2026-01-01T00:00:00Z")
            ],
        ),
    ],
    ids=["phase", "generation", "condition"],
)
async def test_what_somebody_may_wait_for_is_written_at_once(place: Place, urgent: InferenceJobStatus) -> None:
    await place.write(InferenceJobStatus(), status(succeeded=1))

    assert await place.write(status(succeeded=1), urgent) is None

    assert place.stored["succeeded"] == 2


async def test_all_objects_together_stay_below_the_rate_and_urgent_ones_go_first(place: Place) -> None:
    async def progress(number: int) -> float | None:
        return await place.write(status(), status(succeeded=1), key=Key.of(INFERENCE_JOBS, "n", f"j-{number}"))

    waits = [await progress(number) for number in range(100)]
    assert waits.count(None) == PATCHES_PER_SECOND

    assert await place.write(status(), status("Completed")) is None

    place.clock.now += 1
    waits = [await progress(number) for number in range(100, 200)]
    assert 0 < waits.count(None) < PATCHES_PER_SECOND


async def test_a_refused_patch_raises_so_that_it_is_tried_again(place: Place) -> None:
    place.client.fail = [Invalid("status.phase: Unsupported value")]

    with pytest.raises(Invalid):
        await place.write(InferenceJobStatus(), status())
    assert place.absorbed == []


async def test_the_status_of_a_vanished_job_is_nobodys(place: Place) -> None:
    place.client.remove(INFERENCE_JOBS, "n", "j")

    assert await place.write(InferenceJobStatus(), status()) is None


async def test_a_successor_of_the_same_name_is_left_alone(place: Place) -> None:
    place.client.store(INFERENCE_JOBS, {"metadata": {"namespace": "n", "name": "j", "uid": "another"}})

    assert await place.write(InferenceJobStatus(), status()) is None

    assert place.stored == {}


@pytest.mark.parametrize(
    ("before", "after", "want"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_merge_patch_holds_the_difference(
    before: dict[str, Any], after: dict[str, Any], want: dict[str, Any]
) -> None:
    assert merge_patch(before, after) == want
