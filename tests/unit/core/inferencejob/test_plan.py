"""What holds whatever happens: lives of jobs are made up, lived through, and looked at after every decision."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splai.api.inference_job import TERMINAL_PHASES, InferenceJobStatus
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import QUEUE_LABEL
from splai.core.inferencejob.status import BYTE_BUDGET
from tests.unit.core.builders import JobPlan, make_job, with_status
from tests.unit.core.inferencejob.world import Sleeper, World

Happening = Callable[[World], None]
GOING_WELL: tuple[Happening, ...] = (
    *(World.the_store_comes_back, World.the_store_has_room, World.the_backend_comes_back, World.the_user_resumes),
    *(World.the_queue_admits, World.pods_leave, World.pods_are_made, World.pods_start),
    *(World.the_input_is_read, World.a_task_is_committed, World.the_output_is_written),
    *(World.a_pod_ends, World.a_minute_passes),
)
MISHAPS: tuple[Happening, ...] = (
    *(World.a_pod_fails, World.a_pod_ends, World.somebody_deletes_a_child, World.somebody_orphans_pods),
    *(World.the_store_goes_away, World.the_store_fills_up, World.the_backend_goes_away, World.the_first_record_fails),
    *(World.a_node_is_lost, World.the_user_cancels, World.the_user_suspends, World.the_queue_evicts),
    *(World.the_user_changes_the_queue, World.the_user_changes_the_template),
)


def disturb(mishaps: list[tuple[int, Happening]]) -> list[Happening]:
    """A life that would go well but for mishaps, each so many happenings after the one before."""
    going_well = cycle(GOING_WELL)
    return [it for wait, mishap in mishaps for it in (*islice(going_well, wait), mishap)]


CHAOS = st.lists(st.sampled_from(GOING_WELL + MISHAPS), max_size=40)
DISTURBED = st.lists(st.tuples(st.integers(0, len(GOING_WELL)), st.sampled_from(MISHAPS)), max_size=6).map(disturb)
LIVES = CHAOS | DISTURBED
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
WORLDS = st.builds(World, JOBS, default_queue=st.booleans())


def check(world: World, before: InferenceJobStatus, decision: JobPlan) -> None:
    after = decision.status
    for count in ("total", "succeeded", "failed", "progress_percent"):
        assert getattr(after, count) >= getattr(before, count), count
    if before.phase not in TERMINAL_PHASES:
        assert after.workers.failures == world.failures
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
    if world.store_is_up and not world.works:
        assert after.succeeded + after.failed >= world.committed, "nobody commits any more, and all of it is told"
    assert not world.archived or before.phase in TERMINAL_PHASES


def check_idempotent(world: World) -> None:
    """The same observation with the status that followed from it says nothing new."""
    seen = world.snapshot()
    first = plan(seen, world.now)
    again = plan(replace(seen, job=with_status(seen.job, first.status)), world.now)
    assert again.status == first.status
    assert again.events == ()


@given(life=LIVES, world=WORLDS)
@settings(max_examples=200)
def test_nothing_that_happens_breaks_a_promise(life: list[Happening], world: World) -> None:
    for happening in life:
        happening(world)
        check_idempotent(world)
        before = world.job.status
        check(world, before, world.reconcile())


@given(life=LIVES, world=WORLDS)
@settings(max_examples=75)
def test_every_job_ends_once_things_go_well_again(life: list[Happening], world: World) -> None:
    for happening in life:
        happening(world)
        world.reconcile()
    for _ in range(20):
        for happening in GOING_WELL:
            happening(world)
            world.reconcile()
    assert world.job.status.phase in TERMINAL_PHASES
    assert all(child.ended for child in world.children.values())
    assert world.archived is (world.job.spec.ttl_seconds_after_finished is not None)


@given(life=LIVES, world=WORLDS)
@settings(max_examples=75)
def test_so_it_does_when_the_operator_looks_only_when_it_is_told_something_or_said_so(
    life: list[Happening], world: World
) -> None:
    live_to_the_end(Sleeper(world, looked=check), life)


def live_to_the_end(sleeper: Sleeper, life: Iterable[Happening]) -> None:
    """Through ``life``, and for twenty minutes in which all goes well."""
    for happening in life:
        sleeper.let(happening)
    for _ in range(20):
        for happening in GOING_WELL:
            sleeper.let(happening)
        if not sleeper.wait() and sleeper.world.job.status.phase in TERMINAL_PHASES:
            break
    assert sleeper.world.job.status.phase in TERMINAL_PHASES
    assert sleeper.world.archived is (sleeper.world.job.spec.ttl_seconds_after_finished is not None)


QUEUED = make_job(records=1, labels={QUEUE_LABEL: "gpu"})
SITUATIONS: dict[str, tuple[World, list[tuple[int, Happening]]]] = {
    "from its queue": (World(QUEUED, records=1), []),
    "from the reading of its input": (World(make_job(records=1, input=S3), records=1, default_queue=True), []),
    "from its cancel": (World(QUEUED, records=1), [(8, World.the_user_cancels)]),
}


@pytest.mark.parametrize(("world", "past"), SITUATIONS.values(), ids=SITUATIONS)
@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.__name__)
def test_one_mishap_at_any_moment_leaves_no_job_waiting(
    mishap: Happening, world: World, past: list[tuple[int, Happening]]
) -> None:
    for wait in range(2 * len(GOING_WELL)):
        live_to_the_end(Sleeper(deepcopy(world), looked=check), disturb([*past, (wait, mishap)]))


@pytest.mark.parametrize("trouble", [World.the_store_goes_away, World.the_store_fills_up])
@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.__name__)
def test_a_status_that_nobody_is_to_look_at_again_says_nothing_that_is_over(
    mishap: Happening, trouble: Happening
) -> None:
    over = (World.the_store_comes_back, World.the_store_has_room, World.pods_leave)
    for wait in range(2 * len(GOING_WELL)):
        world = World(make_job())
        sleeper = Sleeper(world)
        for happening in (*disturb([(wait, trouble), (0, mishap)]), *over):
            sleeper.let(happening)
        looks = 0
        while sleeper.wait() and looks < 30:
            looks += 1
        if sleeper.due is None:
            fresh = plan(world.snapshot(), world.now + timedelta(hours=1))
            assert (fresh.status, fresh.actions) == (world.job.status, ())


def test_what_was_committed_while_the_store_was_away_is_told_before_workers_run_again() -> None:
    sleeper = Sleeper(World(make_job()))
    life = (World.pods_are_made, World.the_store_goes_away, World.pods_start, World.a_task_is_committed)
    for happening in (*life, World.the_user_suspends, World.pods_leave, World.the_user_resumes):
        sleeper.let(happening)
    for happening in (World.the_store_comes_back, World.the_user_resumes, World.pods_are_made):
        sleeper.let(happening)
        sleeper.wait()
    assert (sleeper.world.job.status.phase, sleeper.world.job.status.succeeded) == ("Pending", 1)


def test_an_undisturbed_job_takes_few_decisions() -> None:
    """Each is a status patch at most: the first plans and creates, the others follow what the workers do."""

    def pods_come(world: World) -> None:
        world.pods_are_made()
        world.pods_start()

    world = World(make_job())
    phases = []
    for happening in (pods_come, World.a_task_is_committed, *[World.a_task_is_committed] * 2):
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
