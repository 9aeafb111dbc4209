"""The child Jobs: what runs in the namespace of the user, with no credential but the one for its own folder.

Worker pods form one Indexed Job with as many completions as pods, so that an index is a seat: when a pod is lost, its
successor takes the seat and knows that its predecessor is gone. Failures are counted by Kubernetes and judged by us.
"""

from typing import Any

from splai.api.inference_job import InferenceJob
from splai.api.model_backend import ModelBackend
from splai.api.pod_template import PodTemplate
from splai.core.inferencejob.children import FINISH, child_name
from splai.core.inferencejob.snapshot import WORKER_CONTAINER
from splai.core.observed import CHILD_LABEL, JOB_UID_LABEL
from splai.core.ownership import Component, child_labels, child_metadata
from splai.core.pod_overlay import overlay_pod
from splai.core.settings import OperatorSettings
from splai.engines import ENGINE_CONTAINER, EnginePod, engine_pod

Object = dict[str, Any]

TOKEN_PATH = "/var/run/secrets/splai"  # noqa: S105 - a path
EXIT_BAD_INPUT = 42
EXIT_DRAINED = 143
_USER = 65532
_TOKEN_SECONDS = 3600
_GRACE_SECONDS = 30
_FINISH_TRIES = 6
# A worker waits for answers most of the time: 64 requests in flight take a tenth of a core and some 100 MiB.
_WORKER_REQUESTS = {"cpu": "50m", "memory": "128Mi"}
# What a pod without an engine may need of the user's template; GPUs and the nodes that have them are not among it.
_FINISH_FIELDS = {
    *("labels", "annotations", "tolerations", "priority_class_name", "service_account_name", "image_pull_secrets"),
}


def engine_address(backend: ModelBackend, settings: OperatorSettings) -> str:
    """Where a Dedicated worker finds the engine beside it."""
    return f"http://127.0.0.1:{engine_pod(backend.spec, settings.engine_images).port}"


def service_address(backend: ModelBackend) -> str:
    """Where Shared workers find the backend."""
    return f"http://{backend.metadata['name']}.{backend.metadata['namespace']}.svc"


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
    pod = _pod(job, settings, "worker", number, command="run")
    if dedicated:
        _add_engine(pod, engine_pod(dedicated.spec, settings.engine_images), settings)
    templates = [dedicated.spec.template if dedicated else None, job.spec.workers.template]
    main = ENGINE_CONTAINER if dedicated else WORKER_CONTAINER
    return _job(
        job,
        number,
        "worker",
        {
            "completionMode": "Indexed",
            "completions": parallelism,
            "parallelism": parallelism,
            "backoffLimit": backoff_limit,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _FAILURE_RULES},
            "template": overlay_pod(pod, templates, container=main),
        },
    )


def build_finish_job(job: InferenceJob, settings: OperatorSettings, *, code: str, message: str) -> Object:
    """The Job that writes the output when no worker will; ``code`` and ``message`` go to records without an answer."""
    pod = _pod(job, settings, "finish", FINISH, command="finish")
    pod["spec"]["containers"][0]["env"] += [
        {"name": "SPLAI_CLOSING_CODE", "value": code},
        {"name": "SPLAI_CLOSING_MESSAGE", "value": message},
    ]
    template = job.spec.workers.template
    reduced = PodTemplate(**{field: getattr(template, field) for field in _FINISH_FIELDS}) if template else None
    return _job(
        job,
        FINISH,
        "finish",
        {"backoffLimit": _FINISH_TRIES, "template": overlay_pod(pod, [reduced], container=WORKER_CONTAINER)},
    )


_FAILURE_RULES: list[Object] = [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    {
        "action": "FailJob",
        "onExitCodes": {"containerName": WORKER_CONTAINER, "operator": "In", "values": [EXIT_BAD_INPUT]},
    },
    {
        "action": "Ignore",
        "onExitCodes": {"containerName": WORKER_CONTAINER, "operator": "In", "values": [EXIT_DRAINED]},
    },
]


def _job(job: InferenceJob, child: int | str, component: Component, spec: Object) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": child_metadata(job, child_name(job, child), _labels(job, component, child)),
        "spec": spec,
    }


def _labels(job: InferenceJob, component: Component, child: int | str) -> dict[str, str]:
    return {**child_labels(job, component), CHILD_LABEL: str(child), JOB_UID_LABEL: job.metadata["uid"]}


def _pod(job: InferenceJob, settings: OperatorSettings, component: Component, child: int | str, command: str) -> Object:
    token = {
        "path": "token",
        "audience": f"splai-artifacts/{job.metadata['uid']}",
        "expirationSeconds": _TOKEN_SECONDS,
    }
    return {
        "metadata": {"labels": _labels(job, component, child)},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [_worker(job, settings, child, command)],
            "volumes": [
                {"name": "splai-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
                {"name": "splai-tmp", "emptyDir": {}},
            ],
        },
    }


def _worker(job: InferenceJob, settings: OperatorSettings, child: int | str, command: str) -> Object:
    values = {
        "SPLAI_ARTIFACTS_URL": settings.artifacts_url,
        "SPLAI_ARTIFACTS_TOKEN_FILE": f"{TOKEN_PATH}/token",
        "SPLAI_JOB_NAMESPACE": job.metadata["namespace"],
        "SPLAI_JOB_UID": job.metadata["uid"],
        "SPLAI_CHILD_JOB": child_name(job, child),
    }
    fields = {"SPLAI_POD_NAME": "metadata.name", "SPLAI_POD_UID": "metadata.uid"}
    return {
        "name": WORKER_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": ["worker", command],
        "env": [
            *({"name": name, "value": value} for name, value in values.items()),
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        ],
        "resources": {"requests": dict(_WORKER_REQUESTS)},
        "volumeMounts": [
            {"name": "splai-token", "mountPath": TOKEN_PATH, "readOnly": True},
            {"name": "splai-tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
        ],
        "securityContext": {
            "runAsUser": _USER,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def _add_engine(pod: Object, engine: EnginePod, settings: OperatorSettings) -> None:
    """As an init container that goes on: the worker starts when the engine answers, and the engine ends with it."""
    sidecar = {**engine.container, "imagePullPolicy": settings.image_pull_policy, "restartPolicy": "Always"}
    pod["spec"]["initContainers"] = [sidecar]
    pod["spec"]["volumes"] += engine.volumes
