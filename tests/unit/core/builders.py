"""Jobs and what is observed about them, with the fields a test is about as arguments and the rest believable."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from splai.api.inference_job import InferenceJob, InferenceJobStatus, RequestCounts, Usage
from splai.api.ledger import (
    EngineState,
    FileSummary,
    Final,
    InputManifest,
    Progress,
    TaskCounts,
    TaskProgress,
    Validation,
    WorkerReport,
    split_into_tasks,
)
from splai.api.model_backend import ModelBackend
from splai.api.policy import Policy
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import JobSnapshot
from splai.core.observed import (
    CHILD_LABEL,
    JOB_UID_LABEL,
    ObservedCondition,
    ObservedContainer,
    ObservedJob,
    ObservedPod,
)
from splai.core.plan import Plan
from splai.core.settings import OperatorSettings
from splai.engines import EngineImages

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CREATED = "2026-05-01T12:00:00Z"
UID = "uid-of-the-job"
NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
SETTINGS = OperatorSettings(
    image="splai/splai:1", engine_images=EngineImages(llamacpp="splai/llamacpp:1", vllm="vllm/vllm-openai:v1")
)

JobPlan = Plan[InferenceJobStatus]


def make_job(
    *,
    records: int = 3,
    status: InferenceJobStatus | None = None,
    generation: int = 1,
    deleting: bool = False,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> InferenceJob:
    """A job over ``records`` items, unless ``input`` says otherwise; further keywords are fields of the spec."""
    metadata: dict[str, Any] = {
        "name": "triage",
        "namespace": "team",
        "uid": UID,
        "generation": generation,
        "labels": labels or {},
        "creationTimestamp": CREATED,
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-05-01T12:00:00Z"
    source = {} if "backendRef" in spec else {"model": "llama3-8b-q4"}
    items = [f"ticket {number}" for number in range(1, records + 1)]
    return InferenceJob.model_validate(
        {
            "metadata": metadata,
            "spec": {**source, "input": {"items": items}, **spec},
            "status": status or InferenceJobStatus(),
        }
    )


def make_backend(
    name: str = "smol",
    *,
    namespace: str = "team",
    model_id: str = "llama3-8b-q4",
    ready: bool = True,
    reason: str = "",
    created: str = "2026-05-01T11:00:00Z",
    **spec: Any,
) -> ModelBackend:
    return ModelBackend.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "creationTimestamp": created},
            "spec": {"model": {"id": model_id, "aliases": ["gpt-4o-mini"]}, **spec},
            "status": {
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True" if ready else "Unknown",
                        "lastTransitionTime": created,
                        "reason": reason or ("Ready" if ready else "Loading"),
                        "message": "" if ready else "0 of 1 replicas are ready",
                    }
                ]
            },
        }
    )


def make_child(
    child: int | str = 0,
    *,
    complete: bool = False,
    failure: str | None = None,
    ended: datetime = NOW,
    **fields: Any,
) -> ObservedJob:
    """A child Job; ``failure`` is the reason of its condition Failed."""
    observed = ObservedJob(
        namespace="team",
        name=f"triage-{child}",
        uid=f"uid-of-child-{child}",
        owner_uid=UID,
        labels={CHILD_LABEL: str(child)},
        created=NOW,
        complete=ObservedCondition(status="True", since=ended) if complete else None,
        failure=ObservedCondition(status="True", reason=failure, message="it failed", since=ended) if failure else None,
    )
    return replace(observed, **fields)


def make_pod(
    index: int = 0,
    *,
    child: int | str = 0,
    phase: str = "Running",
    ready: bool = True,
    unschedulable: bool = False,
    uid: str = UID,
    worker: dict[str, Any] | None = None,
    **fields: Any,
) -> ObservedPod:
    """A worker's pod; ``worker`` describes the state of its container."""
    waits = ObservedCondition(status="False", reason="Unschedulable", message=NO_GPU, since=NOW)
    observed = ObservedPod(
        namespace="team",
        name=f"triage-{child}-{index}",
        uid=f"uid-of-pod-{child}-{index}",
        owner_uid=f"uid-of-child-{child}",
        labels={CHILD_LABEL: str(child), JOB_UID_LABEL: uid},
        created=NOW,
        phase="Pending" if unschedulable else phase,
        ready=ready and phase == "Running" and not unschedulable,
        scheduled=waits if unschedulable else None,
        containers=(ObservedContainer(name="worker", **(worker or {})),) if not unschedulable else (),
    )
    return replace(observed, **fields)


def make_final(records: int = 3, *, failed: int = 0, complete: bool = True, code: str = "", uri: str = "") -> Final:
    return Final(
        nonce="n",
        complete=complete,
        closing_code=code,
        uri=uri,
        counts=RequestCounts(total=records, completed=records - failed, failed=failed),
        usage=Usage(prompt_tokens=5, completion_tokens=7, total_tokens=12),
        output=FileSummary(bytes=100, sha256="aa", lines=records - failed),
        errors=FileSummary(bytes=10 * failed, sha256="bb", lines=failed),
    )


def make_progress(
    records: int = 3,
    *,
    committed: int = 0,
    claimed: int = 0,
    failed: int = 0,
    final: Final | None = None,
    workers: Sequence[WorkerReport] = (),
) -> Progress:
    """The ledger of a planned job, of which the first tasks are committed and the next are claimed."""
    tasks = []
    for number, task in enumerate(split_into_tasks(records)):
        state: Literal["pending", "claimed", "committed"] = "pending"
        if number < committed + claimed:
            state = "committed" if number < committed else "claimed"
        bad = min(failed, task.count) if state == "committed" and number == 0 else 0
        counts = TaskCounts(completed=task.count - bad, failed=bad) if state == "committed" else TaskCounts()
        worker = None if state == "pending" else "triage-0-0-uid"
        tasks.append(TaskProgress(id=task.id, state=state, epoch=int(worker is not None), worker=worker, counts=counts))
    return Progress(
        planned=True,
        spec_hash="of-the-plan",
        tasks=tasks,
        counts=RequestCounts(
            total=records,
            completed=sum(task.counts.completed for task in tasks),
            failed=sum(task.counts.failed for task in tasks),
        ),
        workers=list(workers),
        final=final,
    )


def make_manifest(records: int = 3) -> InputManifest:
    """What a planning pod found: records in one chunk."""
    return InputManifest(
        attempt="uid-of-the-pod", first=[0], records=records, bytes=99, format="jsonl", sources=[], spec_hash="h"
    )


def make_reading(*, invalid: Validation | None = None, found: InputManifest | None = None) -> Progress:
    """The folder of a job that is not planned."""
    return Progress(planned=False, input=found, invalid=invalid)


def make_report(index: int = 0, *, child: int = 0, in_flight: int = 0, unreachable: str | None = None) -> WorkerReport:
    return WorkerReport(
        worker=f"triage-{child}-{index}",
        child_job=f"triage-{child}",
        index=index,
        pod_uid=f"uid-of-pod-{child}-{index}",
        in_flight=in_flight,
        engine=EngineState(reachable=unreachable is None, message=unreachable or ""),
    )


def make_snapshot(
    job: InferenceJob | None = None, *, policies: dict[str, dict[str, Any]] | None = None, **observed: Any
) -> JobSnapshot:
    """With one ready backend unless ``backends`` says otherwise; ``policies`` as in the operator's configuration."""
    configured = {name: Policy.model_validate(policy) for name, policy in (policies or {}).items()}
    settings = replace(SETTINGS, policies=configured)
    return JobSnapshot(job=job or make_job(), settings=settings, **{"backends": (make_backend(),), **observed})


def with_status(job: InferenceJob, status: InferenceJobStatus) -> InferenceJob:
    """The job after a plan's status was written."""
    return job.model_copy(update={"status": status})


def make_planned_job(**spec: Any) -> InferenceJob:
    """A job whose first plan was carried out: its work order is in the store."""
    job = make_job(**spec)
    return with_status(job, plan(make_snapshot(job), NOW).status)


def make_running_job(*, records: int = 3, **spec: Any) -> InferenceJob:
    """A planned job whose first worker was seen running."""
    job = make_planned_job(records=records, **spec)
    seen = make_snapshot(job, child_jobs=(make_child(),), pods=(make_pod(),), progress=make_progress(records))
    return with_status(job, plan(seen, NOW).status)


def canceled(job: InferenceJob) -> InferenceJob:
    """The job after its user set ``spec.cancel``."""
    return job.model_copy(update={"spec": job.spec.model_copy(update={"cancel": True})})


def suspended(job: InferenceJob, *, suspend: bool = True) -> InferenceJob:
    """The job after its user set ``spec.suspend``."""
    return job.model_copy(update={"spec": job.spec.model_copy(update={"suspend": suspend})})
