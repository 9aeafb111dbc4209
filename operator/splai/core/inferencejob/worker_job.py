"""The child Jobs ``<job>-0``, ``<job>-1``, … that send the records to the model.

Worker pods form one Indexed Job with as many completions as pods, so that an index is a seat: when a pod is lost, its
successor takes the seat and knows that its predecessor is gone. Failures are counted by Kubernetes and judged by us.
"""

from collections.abc import Mapping

from splai.api.inference_job import InferenceJob
from splai.api.model_backend import ModelBackend
from splai.core.engine_containers import engine_of, fetch_containers
from splai.core.inferencejob.child_job import (
    FAILURE_RULES,
    Object,
    add_variables,
    child_job,
    child_pod,
    priority_template,
)
from splai.core.inferencejob.snapshot import QUEUE_LABEL, QUEUE_PRIORITY_LABEL, WORKER_CONTAINER
from splai.core.pod_overlay import overlay_pod, with_default_requests
from splai.core.settings import OperatorSettings
from splai.engines import DISK, ENGINE_CONTAINER, EnginePod

_KUEUE = "kueue.x-k8s.io"
# A worker waits for answers most of the time: 64 requests in flight take a tenth of a core and some 100 MiB.
_REQUESTS = {"cpu": "50m", "memory": "128Mi"}


def engine_address(backend: ModelBackend, settings: OperatorSettings) -> str:
    """Where a Dedicated worker finds the engine beside it."""
    return f"http://127.0.0.1:{engine_of(backend, settings).port}"


def build_worker_job(
    job: InferenceJob,
    backend: ModelBackend | None,
    settings: OperatorSettings,
    *,
    number: int,
    parallelism: int,
    backoff_limit: int,
) -> Object:
    """Child ``number``. Dedicated workers need the backend: its engine becomes a native sidecar of each."""
    dedicated = backend if job.spec.workers.mode == "Dedicated" else None
    pod = child_pod(job, settings, number, "worker", command="run", requests=_REQUESTS)
    add_variables(pod, settings.worker_variables)
    templates = [priority_template(job), job.spec.workers.template]
    in_queue = QUEUE_LABEL in job.metadata.get("labels", {})
    defaults: Mapping[str, str] = {}
    if dedicated:
        engine = engine_of(dedicated, settings)
        _add_engine(pod, engine, settings)
        templates = [engine.placement, dedicated.spec.template, *templates]
        # Kueue never starts what asks for a resource that its queue has no quota of, and of disks few have one.
        defaults = {name: amount for name, amount in engine.requests.items() if not (in_queue and name == DISK)}
    main = ENGINE_CONTAINER if dedicated else WORKER_CONTAINER
    body = child_job(
        job,
        number,
        "worker",
        {
            "completionMode": "Indexed",
            "completions": parallelism,
            "parallelism": parallelism,
            "backoffLimit": backoff_limit,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": FAILURE_RULES},
            "template": with_default_requests(overlay_pod(pod, templates, container=main), defaults, container=main),
        },
    )
    if in_queue:
        _put_in_queue(body, job)
    return body


def _put_in_queue(body: Object, job: InferenceJob) -> None:
    """Leave the start to Kueue. Suspended from the first moment, also where Kueue's webhooks come late or never."""
    labels, spec = job.metadata["labels"], body["spec"]
    body["metadata"]["labels"] |= {name: labels[name] for name in (QUEUE_LABEL, QUEUE_PRIORITY_LABEL) if name in labels}
    # Kueue may run fewer pods than asked for; then the Job stays one whose completions equal its parallelism.
    annotations = {f"{_KUEUE}/job-completions-equal-parallelism": "true"}
    least = job.spec.workers.min_parallelism
    if least is not None and least < spec["parallelism"]:  # Kueue refuses a Job where it is not
        annotations[f"{_KUEUE}/job-min-parallelism"] = str(least)
    body["metadata"]["annotations"] = annotations
    spec["suspend"] = True


def _add_engine(pod: Object, engine: EnginePod, settings: OperatorSettings) -> None:
    """As an init container that goes on: the worker starts when the engine answers, and the engine ends with it."""
    sidecar = {**engine.container, "imagePullPolicy": settings.image_pull_policy, "restartPolicy": "Always"}
    pod["spec"]["initContainers"] = [*fetch_containers(engine, settings), sidecar]
    pod["spec"]["volumes"] += engine.volumes
    pod["spec"]["securityContext"] |= engine.security
