"""A decision told in words: what a test compares, instead of bodies of objects."""

from datetime import datetime
from typing import Any

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.core.conditions import find_condition
from splai.core.inferencejob.plan import plan
from splai.core.plan import Action, Archive, Create, Delete, Scale, WriteReadingOrder, WriteWorkOrder
from tests.unit.core.builders import NOW, JobPlan, make_snapshot

Observed = dict[str, Any]


def tell(action: Action) -> str:
    match action:
        case Create():
            return f"create {action.body['metadata']['name']}"
        case Delete():
            return f"delete {action.reference.name}"
        case Scale():
            return f"scale {action.reference.name} to {action.parallelism}"
        case WriteReadingOrder():
            return "write the reading order"
        case WriteWorkOrder():
            return f"write the work order of {action.order.total} records"
        case Archive():
            return f"archive {action.reference.name}"
    return type(action).__name__


def decide(job: InferenceJob, *, at: datetime = NOW, **observed: Any) -> JobPlan:
    return plan(make_snapshot(job, **observed), at)


def steps(job: InferenceJob, *, at: datetime = NOW, **observed: Any) -> list[str]:
    return [tell(action) for action in decide(job, at=at, **observed).actions]


def created(job: InferenceJob, *, at: datetime = NOW, **observed: Any) -> dict[str, Any]:
    """The body of the one Job that is created."""
    (body,) = (action.body for action in decide(job, at=at, **observed).actions if isinstance(action, Create))
    return body


def closing(body: dict[str, Any]) -> tuple[str, str]:
    """What a finish Job is told about the records without an answer."""
    env = {it["name"]: it.get("value") for it in body["spec"]["template"]["spec"]["containers"][0]["env"]}
    return env["SPLAI_CLOSING_CODE"], env["SPLAI_CLOSING_MESSAGE"]


def condition(status: InferenceJobStatus, name: str) -> tuple[str, str, str]:
    found = find_condition(status.conditions, name)
    assert found is not None
    return found.status, found.reason, found.message


def events(decision: JobPlan) -> list[str]:
    return [event.reason for event in decision.events]
