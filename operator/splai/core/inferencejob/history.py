"""What is kept of a job when its time to live is over; never a prompt or an answer."""

from datetime import datetime

from splai.api import API_GROUP, API_VERSION
from splai.api.base import format_time
from splai.api.history import HistoryRecord
from splai.api.inference_job import InferenceJob
from splai.api.job_input import Input
from splai.api.plain_url import plain_url
from splai.core.plan import Archive, ObjectReference


def archive(job: InferenceJob, now: datetime) -> Archive:
    """Move the job from the cluster into the history."""
    metadata, spec = job.metadata, job.spec
    record = HistoryRecord(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        labels=metadata.get("labels") or {},
        created_at=metadata["creationTimestamp"],
        archived_at=format_time(now),
        type=spec.request_type,
        model=spec.model,
        policy=spec.policy,
        priority=spec.priority,
        input=describe_source(spec.input),
        parameters={name: value for name, value in spec.parameters.items() if isinstance(value, int | float)},
        status=job.status.model_copy(update={"tasks": []}),
    )
    reference = ObjectReference(
        api_version=f"{API_GROUP}/{API_VERSION}",
        kind="InferenceJob",
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
    )
    return Archive(record, reference)


def describe_source(source: Input) -> str:
    """Kind of the source and where it is, without a query, which may hold a signature."""
    if source.config_map:
        return f"configMap {source.config_map.name}/{source.config_map.key}"
    if source.persistent_volume_claim:
        return (
            f"persistentVolumeClaim {source.persistent_volume_claim.claim_name}/{source.persistent_volume_claim.path}"
        )
    if source.s3:
        return f"s3 {source.s3.uri}"
    if source.http:
        return f"http {plain_url(source.http.url)}"
    if source.hugging_face:
        return f"huggingFace {source.hugging_face.dataset}"
    if source.failed_of:
        return f"failedOf {source.failed_of.name}"
    return "text" if source.text is not None else "items"
