"""Which task comes next, and when a worker goes home."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from splai.api.inference_job import Retry
from splai.api.job_output import Output
from splai.api.ledger import FINAL, Claim, WorkerReport
from splai.artifacts.part_lines import RecordLine
from splai.artifacts.part_lines import encode as encode_part
from splai.worker.batch_lines import answer_line, line_id
from splai.worker.ledger import encode
from splai.worker.store import CALLS_AT_ONCE
from tests.unit.worker.simulated_store import Weather
from tests.unit.worker.simulation import Cluster, SimulatedEngine, answer, check_outputs, make_order
from tests.unit.worker.virtual_time import run


def in_a_cluster(
    scenario: Callable[[Cluster], Coroutine[Any, Any, None]], *, records: int = 3, latency: float = 1.0, **order: Any
) -> None:
    async def main() -> None:
        chance = random.Random(5)
        cluster = Cluster(make_order(records, **order), SimulatedEngine(chance, latency=latency), chance)
        await scenario(cluster)
        for pod in cluster.pods:
            pod.kill()

    run(main())


def claimed_by(cluster: Cluster, worker: str, *tasks: str, epoch: int = 1) -> None:
    for task in tasks:
        cluster.store.put(f"tasks/{task}/claim-{epoch}", encode(Claim(worker=worker, nonce=f"{worker}{task}")))


async def report(cluster: Cluster, worker: str, *, released: bool = False) -> None:
    """A worker that lives: its report changes every five seconds."""
    sequence = 0
    while True:
        sequence += 1
        state: Any = "released" if released else "running"
        written = WorkerReport(worker=worker, child_job="job-9", index=0, pod_uid="x", sequence=sequence, state=state)
        cluster.store.put(f"workers/{worker}", encode(written))
        await asyncio.sleep(5)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_lone_worker_does_everything_and_finalizes() -> None:
    async def scenario(cluster: Cluster) -> None:
        result = await cluster.start_pod().ended()
        assert result is not None
        assert result.final == cluster.final
        assert now() < 6

    in_a_cluster(scenario, records=9)


def test_a_worker_begins_as_soon_as_its_engine_answers() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start_pod().ended()
        assert now() < 0.5

    in_a_cluster(scenario, latency=0.01)


def test_a_worker_reports_before_it_claims() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = cluster.start_pod()
        await pod.ended()
        written = [path for _, path in cluster.store.log]
        assert written[:2] == ["plan.json", f"workers/{pod.identity.worker}"]

    in_a_cluster(scenario)


def test_a_claim_of_a_silent_worker_is_taken_over_after_a_minute() -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-9-0-x", "0001")
        await cluster.start_pod().ended()
        assert "tasks/0001/claim-2" in cluster.store.objects
        assert 60 <= now() < 75
        check_outputs(cluster)

    in_a_cluster(scenario)


def test_a_released_claim_is_taken_over_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-9-0-x", "0001")
        releasing = asyncio.create_task(report(cluster, "job-9-0-x", released=True))
        await cluster.start_pod().ended()
        releasing.cancel()
        assert now() < 10
        check_outputs(cluster)

    in_a_cluster(scenario)


def test_claims_of_ones_own_predecessor_are_taken_over_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-1-0-earlier", "0000", "0001")
        await cluster.start_pod(child=1, index=0).ended()
        assert now() < 10
        check_outputs(cluster)

    in_a_cluster(scenario)


def test_a_worker_stays_until_it_has_seen_the_holder_of_the_rest_alive() -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-9-0-x", "0001")
        living = asyncio.create_task(report(cluster, "job-9-0-x"))
        result = await cluster.start_pod().ended()
        living.cancel()
        assert result is not None
        assert result.final is None
        assert 5 <= now() < 20
        assert "tasks/0001/claim-2" not in cluster.store.objects
        assert FINAL not in cluster.store.objects

    in_a_cluster(scenario)


def test_of_a_task_taken_over_only_what_is_missing_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-1-0-earlier", "0000")
        for number, position in enumerate((1, 3)):
            line = answer_line(
                line_id("0000-1111", position), f"record-{position + 1}", answer(f"question {position} / 0")
            )
            cluster.store.put(f"tasks/0000/1-{number}", encode_part([RecordLine(position, "output", 1, line)]))
        await cluster.start_pod(child=1, index=0).ended()
        assert cluster.engine.executions == {"question 0": 1, "question 2": 1}
        check_outputs(cluster)

    monkeypatch.setattr("splai.api.ledger.MAX_TASKS", 1)
    in_a_cluster(scenario, records=4)


def test_finalizing_is_left_to_a_living_worker_that_claimed_it() -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-9-0-x", "final")
        living = asyncio.create_task(report(cluster, "job-9-0-x"))
        result = await cluster.start_pod().ended()
        living.cancel()
        assert result is not None
        assert FINAL not in cluster.store.objects

    in_a_cluster(scenario)


def test_finalizing_is_taken_over_from_a_dead_worker() -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-9-0-x", "final")
        await cluster.start_pod().ended()
        assert "tasks/final/claim-2" in cluster.store.objects
        check_outputs(cluster)

    in_a_cluster(scenario)


def test_two_workers_share_the_tasks_and_one_finalizes() -> None:
    async def scenario(cluster: Cluster) -> None:
        results = await asyncio.gather(*(cluster.start_pod(index=index).ended() for index in range(2)))
        assert sum(result is not None and result.final is not None for result in results) == 1
        assert set(cluster.engine.executions.values()) == {1}
        check_outputs(cluster)

    in_a_cluster(scenario, records=60)


def test_what_an_earlier_pod_left_is_finished_without_a_pause() -> None:
    async def scenario(cluster: Cluster) -> None:
        claimed_by(cluster, "job-1-0-earlier", "0001", "0002")
        await cluster.start_pod().ended()
        check_outputs(cluster)
        assert now() < 4, "two rounds of a second each, and the end of the job right behind them"

    in_a_cluster(scenario)


def test_workers_that_meet_jump_apart() -> None:
    async def scenario(cluster: Cluster) -> None:
        claims = 0

        def count(call: str, path: str) -> None:
            nonlocal claims
            claims += call == "create" and "/claim-" in path

        pods = [cluster.start_pod(index=index) for index in range(8)]
        for pod in pods:
            pod.folder.before_call = count
        await asyncio.gather(*(pod.ended() for pod in pods))
        assert claims < 1600, "in lockstep every task is tried by each of the eight: 3,200"

    in_a_cluster(scenario, records=400)


def test_a_worker_that_waits_for_a_backoff_does_not_stand_still() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.engine.failures = 1.0
        pod = cluster.start_pod()
        await asyncio.sleep(5)
        cluster.engine.failures = 0.0
        await pod.ended()
        assert now() > 600
        assert max(later - earlier for earlier, later in itertools.pairwise(pod.pulses)) < 60

    retry = Retry(max_attempts=3, initial_backoff="30m", max_backoff="30m")
    in_a_cluster(scenario, retry=retry)


def test_a_worker_whose_engine_is_not_there_claims_nothing() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.engine.down_until = 500.0
        cluster.start_pod()
        await asyncio.sleep(490)
        assert not [path for path in cluster.store.objects if "claim" in path]
        await asyncio.sleep(60)
        check_outputs(cluster)

    in_a_cluster(scenario)


def test_a_worker_claims_no_more_than_it_can_send_soon() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.start_pod()
        await asyncio.sleep(5)
        assert len([path for path in cluster.store.objects if "claim" in path]) <= 4

    in_a_cluster(scenario, records=40, latency=10_000.0)


def test_a_worker_leaves_a_job_that_others_finish() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = cluster.start_pod()
        await asyncio.sleep(1)
        cluster.store.put("closing", b"{}")
        assert await pod.ended() is not None
        assert now() < 60
        assert FINAL not in cluster.store.objects

    in_a_cluster(scenario, records=200, latency=10.0)


def test_a_worker_leaves_the_end_to_a_pod_that_may_write_to_the_destination() -> None:
    async def scenario(cluster: Cluster) -> None:
        result = await cluster.start_pod().ended()
        assert result is not None
        assert result.final is None
        assert not result.drained
        written = cluster.store.objects
        assert sum(path.endswith("/commit") for path in written) == 3, "all tasks"
        assert not {"tasks/final/claim-1", "tasks/final/commit", "output.jsonl", FINAL} & written.keys()

    in_a_cluster(scenario, output=Output(format="parquet"))


def test_a_late_worker_on_a_finished_job_goes_home() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start_pod().ended()
        before = dict(cluster.store.objects)
        late = cluster.start_pod(child=2)
        assert await late.ended() is not None
        changed = {path for path, data in cluster.store.objects.items() if before.get(path) != data}
        assert changed == {f"workers/{late.identity.worker}"}

    in_a_cluster(scenario)


def test_a_drained_worker_keeps_its_answers_and_releases_its_claims() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = cluster.start_pod()
        await asyncio.sleep(5)
        pod.stop.set()
        result = await pod.ended()
        assert result is not None
        assert result.drained
        assert 5 < now() < 15, "requests in flight may finish"
        left = WorkerReport.model_validate_json(cluster.store.objects[f"workers/{pod.identity.worker}"])
        assert left.state == "released"
        answered = sum(cluster.engine.executions.values())
        await cluster.start_pod(child=2).ended()
        check_outputs(cluster)
        assert sum(cluster.engine.executions.values()) == 30, "none of the answers before was lost"
        assert answered > 0

    in_a_cluster(scenario, records=30, latency=10.0)


def test_draining_ends_although_the_engine_does_not_answer() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = cluster.start_pod()
        await asyncio.sleep(5)
        pod.stop.set()
        result = await pod.ended()
        assert result is not None
        assert result.drained
        assert now() < 5 + 29, "Kubernetes grants 30 seconds"

    in_a_cluster(scenario, latency=100_000.0)


def test_draining_ends_although_the_store_does_not_answer() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = cluster.start_pod()
        await asyncio.sleep(0.5)
        pod.folder.frozen_until = 10_000.0
        await asyncio.sleep(5)
        pod.stop.set()
        assert await pod.ended() is not None
        assert now() < 5.5 + 29

    in_a_cluster(scenario)


def test_a_backend_that_is_away_for_five_minutes_fails_no_record() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = cluster.start_pod()
        await asyncio.sleep(5)
        cluster.engine.down_until = now() + 300
        await asyncio.sleep(100)
        seen = WorkerReport.model_validate_json(cluster.store.objects[f"workers/{pod.identity.worker}"])
        assert not seen.engine.reachable
        assert seen.engine.message
        await pod.ended()
        assert (cluster.final.counts.failed, cluster.final.counts.retried) == (0, 0)
        check_outputs(cluster)

    in_a_cluster(scenario, records=40, latency=2.0)


def test_lanes_do_not_wait_for_a_store_that_is_slower_than_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splai.api.ledger.MAX_TASKS", 200)

    async def scenario(cluster: Cluster) -> None:
        cluster.weather = Weather(latency=0.1)  # of each call; ten lanes answer ten records in five milliseconds
        cluster.start_pod()
        while sum(path.endswith("/commit") for path in cluster.store.objects) < 200:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.1)
        calls = 3 * 200  # claims, parts, commits
        assert now() < 1.5 * calls * 0.05 / CALLS_AT_ONCE, "as fast as the store takes them"

    in_a_cluster(scenario, records=2000, latency=0.01, concurrency=10)


def test_no_more_is_claimed_than_is_needed_soon_where_answers_take_long() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.start_pod()
        await asyncio.sleep(30)
        claims = sum("claim" in path for path in cluster.store.objects)
        answered = sum(cluster.engine.executions.values())
        assert answered < claims <= answered + 3 + 1, "the lanes, and one ahead"

    in_a_cluster(scenario, records=100, latency=4.0)
