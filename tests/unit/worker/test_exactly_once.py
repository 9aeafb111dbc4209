"""The promise of the ledger, under everything that can go wrong: each record once, in order, and counted right."""

import asyncio
import itertools
import random

import pytest

from splai.api import ledger as ledger_objects
from splai.api.ledger import FINAL, OUTPUT
from splai.worker.finalize import NotCommitted, settle, write_outputs
from splai.worker.ledger import Ledger
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Weather
from tests.unit.worker.simulation import (
    Cluster,
    SimulatedEngine,
    check_outputs,
    ids,
    make_order,
    read_file,
)
from tests.unit.worker.virtual_time import run

STORM = Weather(refused=0.05, lost_reply=0.05, echo=0.05, late=0.02, slow=0.02, latency=0.2)
REJECTED = frozenset({"question 3", "question 11"})


@pytest.fixture(params=[1000, 5], ids=["one record a task", "many records a task"])
def most_tasks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large tasks without thousands of records: only they have several parts, and parts to adopt."""
    monkeypatch.setattr(ledger_objects, "MAX_TASKS", request.param)


def make_cluster(seed: int, *, records: int) -> Cluster:
    chance = random.Random(seed)
    engine = SimulatedEngine(chance, latency=8.0, failures=0.05, outages=0.005, rejected=REJECTED)
    return Cluster(make_order(records), engine, chance, STORM)


async def disturb(cluster: Cluster) -> None:
    """Kill, drain and freeze pods at random moments, for ten minutes."""
    loop = asyncio.get_running_loop()
    while loop.time() < 600:
        await asyncio.sleep(cluster.chance.expovariate(1 / 8))
        running = [pod for pod in cluster.pods if not pod.task.done()]
        if not running:
            continue
        pod = cluster.chance.choice(running)
        match cluster.chance.choice(["kill", "kill", "drain", "freeze"]):
            case "kill":
                pod.kill()
            case "drain":
                pod.stop.set()
            case "freeze":
                pod.folder.frozen_until = loop.time() + cluster.chance.uniform(30, 200)


def test_one_worker_does_a_job_alone() -> None:
    async def scenario() -> None:
        cluster = Cluster(make_order(7), SimulatedEngine(random.Random(0)), random.Random(0))
        await cluster.run_job(parallelism=1)
        check_outputs(cluster)
        assert cluster.final.complete
        assert set(cluster.engine.executions.values()) == {1}, "nothing went wrong, so nothing runs twice"

    run(scenario())


@pytest.mark.usefixtures("most_tasks")
@pytest.mark.parametrize("seed", range(25))
def test_workers_that_are_killed_drained_and_frozen_in_a_storm(seed: int) -> None:
    async def scenario() -> None:
        cluster = make_cluster(seed, records=40)
        disturbance = asyncio.create_task(disturb(cluster))
        await asyncio.wait_for(cluster.run_job(parallelism=1 + seed % 4), timeout=4 * 3600)
        await asyncio.sleep(300)  # what is late or frozen happens now, and must change nothing
        disturbance.cancel()
        check_outputs(cluster, rejected=REJECTED)
        assert cluster.final.complete

    run(scenario())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_at_any_call_of_the_store_loses_nothing(when: str) -> None:
    async def scenario(call: int) -> bool:
        cluster = Cluster(make_order(4), SimulatedEngine(random.Random(call)), random.Random(call))
        pod = cluster.start_pod()

        calls = itertools.count(1)

        def kill(*_: str) -> None:
            if next(calls) == call:
                pod.kill()

        setattr(pod.folder, f"{when}_call", kill)
        was_killed = await pod.ended() is None
        await cluster.run_job(parallelism=1)
        check_outputs(cluster)
        return was_killed

    kills = 0
    while run(scenario(kills + 1)):
        kills += 1
    assert kills > 15, "a job of four records makes more calls than that"


def test_a_frozen_worker_that_wakes_after_the_end_changes_nothing() -> None:
    async def scenario() -> None:
        cluster = Cluster(make_order(6), SimulatedEngine(random.Random(1)), random.Random(1))
        zombie = cluster.start_pod(child=1)
        await asyncio.sleep(0.5)
        zombie.folder.frozen_until = 1000.0
        await cluster.start_pod(child=2).ended()
        before = dict(cluster.store.objects)
        await zombie.ended()
        assert cluster.store.objects[OUTPUT] == before[OUTPUT]
        assert cluster.store.objects[FINAL] == before[FINAL]
        check_outputs(cluster)

    run(scenario())


async def finish(cluster: Cluster, *, code: str) -> None:
    """What the finishing pod does, until it succeeds."""
    store = PatientFolder(SimulatedFolder(cluster.store, cluster.weather, cluster.chance), pulse=lambda: None)
    ledger = Ledger(store, f"job-finish-0-{next(cluster.uids)}")
    if await ledger.read_final() is None:
        contents = await settle(ledger, cluster.order, closing_code=code, closing_message="The job was cancelled.")
        await write_outputs(ledger, store, cluster.order, contents)


@pytest.mark.usefixtures("most_tasks")
@pytest.mark.parametrize("seed", range(25))
def test_closing_a_job_while_workers_still_commit(seed: int) -> None:
    """The last commit and ``closing`` race; whichever wins, files and final agree."""

    async def scenario() -> None:
        cluster = make_cluster(seed, records=10)
        for index in range(2):
            cluster.start_pod(index=index)
        await asyncio.sleep(cluster.chance.uniform(0, 60))
        await asyncio.gather(*(finish(cluster, code="batch_cancelled") for _ in range(2)))
        await asyncio.sleep(600)
        check_outputs(cluster, rejected=REJECTED)
        for pod in cluster.pods:
            pod.kill()

    run(scenario())


def test_records_without_an_answer_get_the_closing_code() -> None:
    async def scenario() -> None:
        cluster = Cluster(make_order(6), SimulatedEngine(random.Random(1), latency=4.0), random.Random(1))
        pod = cluster.start_pod()
        await asyncio.sleep(3.0)
        pod.kill()
        await finish(cluster, code="batch_cancelled")
        errors = read_file(cluster.store, "errors.jsonl")
        answered = set(ids(read_file(cluster.store, OUTPUT)))
        assert 0 < len(answered) < 6
        assert set(ids(errors)) == {f"record-{number}" for number in range(1, 7)} - answered
        assert errors[0]["error"] == {"code": "batch_cancelled", "message": "The job was cancelled."}
        assert errors[0]["response"] is None
        assert not cluster.final.complete
        assert [task.task for task in cluster.final.closed_tasks] == [task.id for task in cluster.order.tasks]
        check_outputs(cluster)

    run(scenario())


def test_finishing_without_a_code_needs_all_commits() -> None:
    async def scenario() -> None:
        cluster = Cluster(make_order(3), SimulatedEngine(random.Random(1)), random.Random(1))
        with pytest.raises(NotCommitted, match="3 of 3 tasks are not committed, 0000 first"):
            await finish(cluster, code="")
        assert FINAL not in cluster.store.objects

    run(scenario())
