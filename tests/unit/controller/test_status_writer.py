"""A changed phase is written first; the rest waits its turn, and nothing is written without a change."""

from typing import Any

import pytest

from splai.api.backend_autoscaling import AutoscalingStatus
from splai.api.condition import Condition
from splai.api.inference_job import InferenceJob, InferenceJobStatus, JobPhase, TaskStatus, WorkersStatus
from splai.api.model_backend import ModelBackendStatus
from splai.controller.caches import Caches
from splai.controller.status_budget import LITTLE_NEWS_INTERVAL, OBJECT_INTERVAL, PATCHES_PER_SECOND
from splai.controller.status_writer import CONFLICT_DELAY, Haste, StatusWriter, haste_of, merge_patch
from splai.core.inferencejob.status import BYTE_BUDGET
from splai.kube.cache import Entry
from splai.kube.errors import Invalid
from splai.kube.resource import INFERENCE_JOBS
from tests.unit.controller.objects import inference_job
from tests.unit.kube.memory_client import MemoryClient

MOMENT = "2026-01-01T00:00:00Z"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A writer, a cache that knows some jobs, and the apiserver in memory that holds them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.client = MemoryClient()
        self.caches = Caches(lambda *_: None)
        self.writer = StatusWriter(self.client, written=self.caches.status_written, clock=self.clock)
        self.add("j")

    def add(self, name: str, status: InferenceJobStatus | None = None) -> None:
        body = inference_job(name, status=status.to_wire() if status else None)
        self.caches.changed(INFERENCE_JOBS, self.client.store(INFERENCE_JOBS, body))

    def known(self, name: str = "j") -> Entry[InferenceJob]:
        entry = self.caches.jobs.get("n", name)
        assert entry is not None
        return entry

    async def write(self, after: InferenceJobStatus, name: str = "j") -> float | None:
        return await self.writer.write(INFERENCE_JOBS, self.known(name), after)

    @property
    def stored(self) -> dict[str, Any]:
        stored: dict[str, Any] = self.client.objects[INFERENCE_JOBS, "n", "j"].get("status", {})
        return stored


@pytest.fixture
def place() -> Place:
    return Place()


def status(phase: JobPhase = "Running", **fields: Any) -> InferenceJobStatus:
    return InferenceJobStatus(phase=phase, **fields)


def ready(value: str = "True", reason: str = "Any", message: str = "") -> Condition:
    return Condition.model_validate(
        {"type": "Ready", "status": value, "reason": reason, "message": message, "lastTransitionTime": MOMENT}
    )


async def test_without_a_change_nothing_is_written(place: Place) -> None:
    await place.write(status(succeeded=1))
    place.client.writes.clear()

    assert await place.write(status(succeeded=1)) is None

    assert place.client.writes == []


async def test_only_what_changed_is_sent_and_what_vanished_is_removed(place: Place) -> None:
    await place.write(status(succeeded=1, backend="b", tasks=[TaskStatus(id="0")]))

    place.clock.now += 10
    await place.write(status(succeeded=2, tasks=[TaskStatus(id="0", completed=1)]))

    assert place.stored["succeeded"] == 2
    assert "backend" not in place.stored
    assert place.stored["tasks"][0]["completed"] == 1
    assert place.stored["phase"] == "Running"


async def test_what_was_written_is_known_without_a_word_of_a_watch(place: Place) -> None:
    await place.write(status())

    assert place.known().value.status.phase == "Running"
    assert place.known().value.status.as_received() == place.stored
    assert str(place.known().version) == place.client.objects[INFERENCE_JOBS, "n", "j"]["metadata"]["resourceVersion"]


async def test_nothing_is_written_over_a_version_that_was_not_seen(place: Place) -> None:
    edited = inference_job(generation=2)
    place.client.store(INFERENCE_JOBS, edited)

    assert await place.write(status()) == CONFLICT_DELAY
    assert place.stored == {}

    place.caches.changed(INFERENCE_JOBS, place.client.objects[INFERENCE_JOBS, "n", "j"])
    assert await place.write(status()) is None
    assert place.stored["phase"] == "Running"


async def test_progress_waits_two_seconds_after_a_patch(place: Place) -> None:
    await place.write(status(succeeded=1))

    place.clock.now += 0.5
    assert await place.write(status(succeeded=2)) == pytest.approx(OBJECT_INTERVAL - 0.5)

    place.clock.now += 1.5
    assert await place.write(status(succeeded=2)) is None
    assert place.stored["succeeded"] == 2


async def test_progress_of_a_large_status_waits_for_its_bytes(place: Place) -> None:
    large = [TaskStatus(id=f"{number:04d}", message="x" * 100) for number in range(1000)]
    await place.write(status(tasks=large))
    size = len(InferenceJobStatus.model_validate(place.stored).model_dump_json(by_alias=True, exclude_none=True))

    wait = await place.write(status(tasks=large, succeeded=1))

    assert wait == pytest.approx(size / 8192, rel=0.01)


async def test_a_changed_phase_does_not_wait_for_the_last_patch(place: Place) -> None:
    await place.write(status(succeeded=1))

    assert await place.write(status("Finalizing", succeeded=2)) is None
    assert await place.write(status("Completed", succeeded=2)) is None

    assert place.stored["phase"] == "Completed"


def scaled(replicas: int, reason: str = "Requests") -> ModelBackendStatus:
    return ModelBackendStatus(autoscaling=AutoscalingStatus(desired_replicas=replicas, reason=reason))


@pytest.mark.parametrize(
    ("before", "after", "haste"),
    [
        (status("Pending"), status("Running"), Haste(0, phase=True)),
        (InferenceJobStatus(), status("Pending"), Haste(0, phase=True)),
        (status("Running"), status("Completed"), None),
        (InferenceJobStatus(), status("Failed"), None),
        (status("Canceling"), status("Canceled"), None),
        (status(), status(succeeded=1), Haste(OBJECT_INTERVAL)),
        (status(), status(observed_generation=2), Haste(OBJECT_INTERVAL)),
        (status(conditions=[ready("True")]), status(conditions=[ready("False")]), Haste(OBJECT_INTERVAL)),
        (
            status(conditions=[ready(message="1 of 2")]),
            status(conditions=[ready(message="2 of 2")]),
            Haste(LITTLE_NEWS_INTERVAL),
        ),
        (status(), status(workers=WorkersStatus(active=1), message="1 of 2"), Haste(LITTLE_NEWS_INTERVAL)),
        (ModelBackendStatus(), ModelBackendStatus(conditions=[ready("False")]), Haste(0, phase=True)),
        (ModelBackendStatus(), ModelBackendStatus(conditions=[ready("True")]), None),
        (ModelBackendStatus(conditions=[ready("True")]), ModelBackendStatus(conditions=[ready("False")]), None),
        (ModelBackendStatus(conditions=[ready("False")]), ModelBackendStatus(conditions=[ready("True")]), None),
        (scaled(0), scaled(1), None),
        (scaled(1), scaled(1, reason="GatewaySilent"), Haste(OBJECT_INTERVAL)),
        (
            ModelBackendStatus(conditions=[ready()]),
            ModelBackendStatus(conditions=[ready(reason="No")]),
            Haste(OBJECT_INTERVAL),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_end_is_urgent_and_how_many_pods_there_are_is_little_news(
    before: Any, after: Any, haste: Haste | None
) -> None:
    assert haste_of(before, after) == haste


async def test_in_a_storm_a_phase_waits_for_its_turn_and_the_end_of_the_job_tells_it_too(place: Place) -> None:
    for number in range(200):
        place.add(f"j-{number}")

    waits = [await place.write(status("Running"), f"j-{number}") for number in range(200)]
    assert waits.count(None) == PATCHES_PER_SECOND

    assert await place.write(status("Completed"), "j-199") is None
    assert place.client.writes.count(("patch_status", "inferencejobs/j-199")) == 1


async def test_all_jobs_together_stay_below_the_rate_and_phases_go_first(place: Place) -> None:
    for number in range(200):
        place.add(f"j-{number}", status())

    waits = [await place.write(status(succeeded=1), f"j-{number}") for number in range(100)]
    assert waits.count(None) == PATCHES_PER_SECOND

    assert await place.write(status("Completed"), "j-100") is None


async def test_a_status_above_the_limit_is_shortened_before_it_is_written(place: Place) -> None:
    tasks = [TaskStatus(id=f"{number:04d}", worker="w" * 300, message="m" * 100) for number in range(1000)]

    await place.write(status(tasks=tasks))

    assert len(InferenceJobStatus.model_validate(place.stored).model_dump_json(by_alias=True)) <= BYTE_BUDGET
    assert len(place.stored["tasks"]) == 1000
    assert "worker" not in place.stored["tasks"][0]
    assert "message" in place.stored["tasks"][0]
    place.client.writes.clear()
    assert await place.write(status(tasks=tasks)) is None
    assert place.client.writes == []


async def test_a_refused_patch_raises_so_that_it_is_tried_again(place: Place) -> None:
    place.client.fail = [Invalid("status.phase: Unsupported value")]

    with pytest.raises(Invalid):
        await place.write(status())
    assert place.known().value.status.phase is None


async def test_the_status_of_a_vanished_job_is_nobodys(place: Place) -> None:
    place.client.remove(INFERENCE_JOBS, "n", "j")

    assert await place.write(status()) is None


async def test_a_successor_of_the_same_name_is_left_alone(place: Place) -> None:
    successor = inference_job()
    successor["metadata"]["uid"] = "another"
    place.client.store(INFERENCE_JOBS, successor)

    assert await place.write(status()) == CONFLICT_DELAY

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
