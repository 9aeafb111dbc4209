"""The work order: what a worker is told, fixed once, whatever happens to the spec afterwards."""

import hashlib
import json

from splai.api.inference_job import InferenceJob, InferenceJobSpec
from splai.api.ledger import WorkOrder
from splai.api.model_backend import ModelBackend
from splai.core.inferencejob.records import Records


def spec_hash(spec: InferenceJobSpec) -> str:
    """Of what the CRD's rules keep as it is, so that a plan can be told to be this spec's."""
    fixed = spec.model_dump(mode="json", by_alias=True, include={"input", "parameters"})
    canonical = json.dumps(fixed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def make_work_order(job: InferenceJob, backend: ModelBackend, records: Records, endpoint: str) -> WorkOrder:
    """The order to send ``records`` to ``endpoint``, where ``backend``'s model answers."""
    spec = job.spec
    return WorkOrder(
        namespace=job.metadata["namespace"],
        job=job.metadata["name"],
        uid=job.metadata["uid"],
        type=spec.request_type,
        model=backend.spec.model.id,
        endpoint=endpoint,
        prompt=spec.prompt,
        parameters=spec.parameters,
        format=records.format,
        records=list(records.records),
        concurrency=spec.workers.concurrency,
        retry=spec.retry,
        request_timeout_seconds=spec.request_timeout_seconds,
        spec_hash=spec_hash(spec),
    )
