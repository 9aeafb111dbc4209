"""What holds whatever happens: lives of jobs are made up, lived through, and looked at after every decision."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, InferenceJobStatus
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import QUEUE_LABEL
from splai.core.inferencejob.status import BYTE_BUDGET
from tests.unit.core.builders import JobPlan, make_job, with_status
from tests.unit.core.inferencejob.world import World

Happening = Callable[[World], None]
HAPPENINGS: tuple[Happening, ...] = (
    *(World.pods_start, World.a_task_is_committed, World.the_output_is_written, World.a_pod_ends, World.a_pod_fails),
    *(World.somebody_deletes_a_child, World.the_user_cancels, World.the_store_goes_away, World.the_store_comes_back),
    *(World.the_backend_goes_away, World.the_backend_comes_back, World.a_minute_passes, World.the_input_is_read),
    *(World.the_user_suspends, World.the_user_resumes, World.the_queue_admits, World.the_queue_evicts),
    World.the_first_record_fails,
)
GOING_WELL: tuple[Happening, ...] = (
    *(World.the_store_comes_back, World.the_backend_comes_back, World.the_user_resumes, World.the_queue_admits),
    *(World.pods_start, World.the_input_is_read, World.a_task_is_committed, World.the_output_is_written),
    *(World.a_pod_ends, World.a_minute_passes),
)
LIVES = st.lists(st.sampled_from(HAPPENINGS), max_size=40)
S3 = {"s3": {"uri": "s3://bucket/records.jsonl"}}
JOBS = st.builds(
    make_job,
    labels=st.sampled_from([{}, {QUEUE_LABEL: "gpu"}]),
    workers=st.sampled_from([{"mode": "Shared"}, {"mode": "Dedicated"}]),
    backoffLimit=st.just(2),
    completionWindow=st.sampled_from([None, "7m"]),
    activeDeadlineSeconds=st.sampled_from([None, 200]),
    failurePolicy=st.sampled_from([None, {"maxFailedRecords": 0}]),
    ttlSecondsAfterFinished=st.sampled_from([None, 60]),
    suspend=st.booleans(),
) | st.builds(make_job, input=st.just(S3), backoffLimit=st.just(2), completionWindow=st.sampled_from([None, "7m"]))


def check(world: World, before: InferenceJobStatus, decision: JobPlan) -> None:
    after = decision.status
    for count in ("total", "succeeded", "failed", "progress_percent"):
        assert getattr(after, count) >= getattr(before, count), count
    assert after.workers.failures >= before.workers.failures
    assert after.succeeded + after.failed <= after.total
    assert before.start_time in (None, after.start_time) or after.phase in ("Suspended", "Queued")
    assert len(after.model_dump_json(by_alias=True).encode()) <= BYTE_BUDGET
    if before.phase in TERMINAL_PHASES:
        assert (after.phase, after.completion_time, decision.events) == (before.phase, before.completion_time, ())
    active = [child for child in world.children.values() if child.ended is None]
    assert len(active) <= 1, "two children at once would fight for the same GPUs"
    if after.phase == "Suspended":
        assert active == []
        assert after.start_time is None
    assert not world.archived or before.phase in TERMINAL_PHASES


def check_idempotent(world: World) -> None:
    """The same observation with the status that followed from it says nothing new."""
    seen = world.snapshot()
    first = plan(seen, world.now)
    again = plan(replace(seen, job=with_status(seen.job, first.status)), world.now)
    assert again.status == first.status
    assert again.events == ()


@given(life=LIVES, job=JOBS)
@settings(max_examples=200)
def test_nothing_that_happens_breaks_a_promise(life: list[Happening], job: InferenceJob) -> None:
    world = World(job)
    for happening in life:
        happening(world)
        check_idempotent(world)
        before = world.job.status
        check(world, before, world.reconcile())


@given(life=LIVES, job=JOBS)
@settings(max_examples=75)
def test_every_job_ends_once_things_go_well_again(life: list[Happening], job: InferenceJob) -> None:
    world = World(job)
    for happening in life:
        happening(world)
        world.reconcile()
    for _ in range(20):
        for happening in GOING_WELL:
            happening(world)
            world.reconcile()
    assert world.job.status.phase in TERMINAL_PHASES
    assert all(child.ended for child in world.children.values())
    assert world.archived is (job.spec.ttl_seconds_after_finished is not None)


def test_an_undisturbed_job_takes_few_decisions() -> None:
    """Each is a status patch at most: the first plans and creates, the others follow what the workers do."""
    world = World(make_job())
    phases = []
    for happening in (World.pods_start, World.a_task_is_committed, *[World.a_task_is_committed] * 2):
        world.reconcile()
        phases.append(world.job.status.phase)
        happening(world)
    world.reconcile()
    world.the_output_is_written()
    world.a_pod_ends()
    decision = world.reconcile()
    assert (*phases, decision.status.phase) == ("Pending", "Running", "Running", "Running", "Completed")
    assert list(world.children) == ["triage-0"]
    assert world.reconcile() == replace(decision, events=())
