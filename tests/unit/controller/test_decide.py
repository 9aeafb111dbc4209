"""Unproven input is decided on in a process of its own, and a decision that takes too long is killed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.controller import planning_process
from splai.controller.decide import DEATHS, SECOND_TRY, SMALL_INPUT, Decider
from splai.controller.planning_process import PlanningDied, PlanningProcess, PlanningTimeout
from splai.controller.reconcile import DecisionFailed, DecisionRefused
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import ConfigMapText, JobSnapshot
from splai.core.plan import TEMPLATE_TIMEOUT, ObjectReference, Plan, Refusal
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = OperatorSettings(image="splai", engine_images=EngineImages(llamacpp="llamacpp", vllm="vllm"))


def snapshot(template: str = "Say {{ text }}", *, uid: str = "u") -> JobSnapshot:
    job = InferenceJob.model_validate(
        {
            "metadata": {"namespace": "n", "name": "j", "uid": uid, "generation": 1},
            "spec": {"model": "m", "input": {"text": "hello"}, "prompt": {"template": template}},
        }
    )
    return JobSnapshot(job=job, settings=SETTINGS)


@pytest.fixture
async def process() -> AsyncIterator[PlanningProcess]:
    process = PlanningProcess(time_limit=30)
    yield process
    await process.close()


async def test_the_process_decides_the_same(process: PlanningProcess) -> None:
    assert await process.plan(snapshot(), NOW) == plan(snapshot(), NOW)
    assert await process.plan(snapshot("{{ nothing }}"), NOW) == plan(snapshot("{{ nothing }}"), NOW)


async def test_a_decision_that_takes_too_long_is_killed_and_the_next_one_is_made(process: PlanningProcess) -> None:
    await process.plan(snapshot(), NOW)
    process._time_limit = 0.0
    with pytest.raises(PlanningTimeout, match="the template did not finish in 0 s"):
        await process.plan(snapshot(), NOW)

    process._time_limit = 30
    assert (await process.plan(snapshot(), NOW)).status.phase == "Pending"


async def test_a_process_that_is_killed_is_told_from_one_that_takes_too_long(process: PlanningProcess) -> None:
    await process.plan(snapshot(), NOW)
    assert process._process is not None
    process._process.kill()

    with pytest.raises(PlanningDied, match="the process that plans has ended"):
        await process.plan(snapshot(), NOW)

    assert (await process.plan(snapshot(), NOW)).status.phase == "Pending"


async def test_a_process_that_does_not_start_in_time_is_not_used(
    process: PlanningProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says when it has started would be taken for the reply."""
    monkeypatch.setattr(planning_process, "START_LIMIT", 0.0)
    with pytest.raises(PlanningDied, match="did not start"):
        await process.plan(snapshot(), NOW)

    monkeypatch.undo()
    assert (await process.plan(snapshot(), NOW)).status.phase == "Pending"


async def test_what_the_decision_raises_is_raised_here(process: PlanningProcess) -> None:
    with pytest.raises(AttributeError):
        await process.plan(None, NOW)  # type: ignore[arg-type]


class Scripted(PlanningProcess):
    """Each attempt ends as the test says; None is a decision."""

    def __init__(self, *ends: Exception | None) -> None:
        super().__init__()
        self.ends = list(ends)

    async def plan(self, snapshot: JobSnapshot, now: datetime) -> Plan[InferenceJobStatus]:
        if end := self.ends.pop(0):
            raise end
        return plan(snapshot, now)


SLOW = PlanningTimeout("the template did not finish in 10 s")


async def test_a_template_that_does_not_finish_is_rendered_once_more_when_the_machine_may_be_less_busy() -> None:
    decider = Decider(Scripted(SLOW, SLOW, None, SLOW))

    for uid in ("one", "another"):
        with pytest.raises(DecisionFailed, match="the template did not finish in 10 s, and is tried once") as caught:
            await decider.job(snapshot(uid=uid), NOW)
        assert caught.value.retry_after == SECOND_TRY
    assert (await decider.job(snapshot(uid="one"), NOW)).status.phase == "Pending"
    with pytest.raises(DecisionFailed):
        await decider.job(snapshot(uid="one"), NOW)


DIED = PlanningDied("the process that plans has ended")


async def test_a_process_that_is_killed_is_no_fault_of_the_job() -> None:
    decider = Decider(Scripted(DIED, DIED, None, DIED, DIED))

    for expected in (DIED, DIED, None, DIED, DIED):
        if expected is None:
            assert (await decider.job(snapshot(), NOW)).status.phase == "Pending"
        else:
            with pytest.raises(DecisionFailed, match="the process that plans has ended"):
                await decider.job(snapshot(), NOW)


async def test_a_process_that_dies_again_and_again_is_told_in_the_status_and_not_tried_in_the_operator_itself() -> None:
    decider = Decider(Scripted(*[DIED] * DEATHS))
    for _ in range(DEATHS - 1):
        with pytest.raises(DecisionFailed):
            await decider.job(snapshot(), NOW)
    with pytest.raises(DecisionRefused) as caught:
        await decider.job(snapshot(), NOW)
    refused = ObjectReference(api_version="v", kind="InferenceJob", namespace="n", name="j")
    refusal = Refusal(refused, caught.value.reason, str(caught.value))

    decided = await decider.job(JobSnapshot(job=snapshot().job, settings=SETTINGS, refusals=(refusal,)), NOW)

    assert decided.status.phase == "Pending"
    ready = decided.status.conditions[0]
    assert (ready.reason, ready.message) == ("PlanningFailed", f"{DIED}, {DEATHS} times; it is tried again")


async def test_a_template_that_does_not_finish_twice_fails_the_job_without_being_rendered_again() -> None:
    decider = Decider(Scripted(SLOW, SLOW))
    with pytest.raises(DecisionFailed):
        await decider.job(snapshot(), NOW)
    with pytest.raises(DecisionRefused) as caught:
        await decider.job(snapshot(), NOW)
    refused = ObjectReference(api_version="v", kind="InferenceJob", namespace="n", name="j")
    refusal = Refusal(refused, caught.value.reason, str(caught.value))

    decided = await decider.job(JobSnapshot(job=snapshot().job, settings=SETTINGS, refusals=(refusal,)), NOW)

    assert refusal.reason == TEMPLATE_TIMEOUT
    assert decided.status.phase == "Failed"
    assert "spec.prompt: the template did not finish" in decided.status.message


def from_config_map(text: str, **status: object) -> JobSnapshot:
    job = InferenceJob.model_validate(
        {
            "metadata": {"namespace": "n", "name": "j", "uid": "u", "generation": 1},
            "spec": {"model": "m", "input": {"configMap": {"name": "c", "key": "k"}}},
            "status": status,
        }
    )
    return JobSnapshot(job=job, settings=SETTINGS, config_map=ConfigMapText(text))


LARGE = '{"text": "a record"}\n' * (SMALL_INPUT // 20)


async def test_a_large_input_is_checked_elsewhere(process: PlanningProcess) -> None:
    decider = Decider(process)

    await decider.job(from_config_map(LARGE[:1000]), NOW)
    await decider.job(from_config_map(LARGE, specHash="planned"), NOW)
    assert process._process is None

    decided = await decider.job(from_config_map(LARGE), NOW)
    assert process._process is not None
    assert decided == plan(from_config_map(LARGE), NOW)


async def test_a_large_input_that_is_not_checked_in_time_is_no_fault_of_the_job() -> None:
    decider = Decider(Scripted(*[SLOW] * 3))

    for _ in range(3):
        with pytest.raises(DecisionFailed, match="the input was not checked in time"):
            await decider.job(from_config_map(LARGE), NOW)
