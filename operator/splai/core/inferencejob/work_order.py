"""What pods are told, fixed once, whatever happens to the spec afterwards: what to read, and what to do with it."""

from collections.abc import Mapping

from splai.api.inference_job import InferenceJob, InferenceJobSpec
from splai.api.ledger import InputManifest, ReadingOrder, WorkOrder
from splai.api.model_backend import ModelBackend
from splai.api.policy import Policy
from splai.core.content_hash import content_hash
from splai.core.inferencejob.backend import backend_reference
from splai.core.inferencejob.policy import record_limits
from splai.core.inferencejob.records import Records
from splai.engines.served_names import served_name


def spec_hash(spec: InferenceJobSpec) -> str:
    """Of what the CRD's rules keep as it is, so that a plan can be told to be this spec's."""
    fixed = spec.model_dump(mode="json", by_alias=True, include={"input", "parameters"})
    return content_hash(fixed, digits=16)


def make_reading_order(job: InferenceJob, policies: Mapping[str, Policy], *, earlier_uid: str | None) -> ReadingOrder:
    """The order to read the input; ``earlier_uid`` is that of the job which ``input.failedOf`` names."""
    spec = job.spec
    return ReadingOrder(
        namespace=job.metadata["namespace"],
        job=job.metadata["name"],
        uid=job.metadata["uid"],
        type=spec.request_type,
        input=spec.input,
        prompt=spec.prompt,
        parameters=spec.parameters,
        failed_of_uid=earlier_uid,
        limits=record_limits(spec, policies),
        policy=spec.policy,
        spec_hash=spec_hash(spec),
    )


def make_work_order(
    job: InferenceJob, backend: ModelBackend, content: Records | InputManifest, endpoint: str
) -> WorkOrder:
    """The order to send the records to ``endpoint``, where ``backend``'s model answers."""
    spec = job.spec
    return WorkOrder(
        namespace=job.metadata["namespace"],
        job=job.metadata["name"],
        uid=job.metadata["uid"],
        type=spec.request_type,
        backend=backend_reference(backend, job.metadata["namespace"]),
        model=_asked_of(backend, spec.model),
        endpoint=endpoint,
        prompt=spec.prompt,
        parameters=spec.parameters,
        format=content.format,
        records=list(content.records) if isinstance(content, Records) else [],
        chunks=content if isinstance(content, InputManifest) else None,
        output=spec.output,
        concurrency=spec.workers.concurrency,
        dispatch_order=spec.workers.dispatch_order,
        retry=spec.retry,
        request_timeout_seconds=spec.request_timeout_seconds,
        spec_hash=spec_hash(spec),
    )


def _asked_of(backend: ModelBackend, asked: str | None) -> str:
    """What the engine calls the job's model, or the adapter of it that the job names, with its namespace or without."""
    model = backend.spec.model
    names = (asked, (asked or "").removeprefix(f"{backend.metadata['namespace']}/"))
    adapter = next((adapter.id for adapter in model.adapters if adapter.id in names), model.id)
    return served_name(backend.spec.engine.type, model, adapter)
