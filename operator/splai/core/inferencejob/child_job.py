"""What all child Jobs have in common: they run in the user's namespace, with no credential but for their own folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from splai.api.inference_job import InferenceJob
from splai.api.pod_contract import ARTIFACTS_AUDIENCE, EXIT_BAD_INPUT, EXIT_DRAINED, POD_USER
from splai.api.pod_template import LocalObjectReference, PodTemplate
from splai.core.inferencejob.children import child_name
from splai.core.inferencejob.origin import template_label
from splai.core.inferencejob.snapshot import WORKER_CONTAINER
from splai.core.observed import CHILD_LABEL, JOB_UID_LABEL
from splai.core.ownership import Component, child_labels, child_metadata
from splai.core.pod_overlay import overlay_pod
from splai.core.settings import OperatorSettings

Object = dict[str, Any]

TOKEN_PATH = "/var/run/secrets/splai"  # noqa: S105 - a path
PRIORITY_CLASSES: Mapping[str, str] = {"interactive": "splai-interactive", "batch": "splai-batch"}
"""Those that an installation brings along; any other priority is the name of an existing class."""
_TOKEN_SECONDS = 3600
_GRACE_SECONDS = 30
_FILE_TRIES = 6
_FILE_REQUESTS = {"cpu": "100m", "memory": "256Mi"}
# What a pod without an engine may need of the user's template; GPUs and the nodes that have them are not among it.
_FIELDS_WITHOUT_ENGINE = {
    *("labels", "annotations", "tolerations", "priority_class_name", "service_account_name", "image_pull_secrets"),
}
_OWN_VARIABLES = "SPLAI_"
# An engine may have such a credential for its model, and it is none for the source: that one's is in its own secretRef.
_CREDENTIALS = {
    *("AUTHORIZATION", "HF_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("GOOGLE_SERVICE_ACCOUNT_KEY", "AZURE_STORAGE_ACCOUNT_KEY"),
}

FAILURE_RULES: list[Object] = [
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


def child_job(job: InferenceJob, child: int | str, component: Component, spec: Object) -> Object:
    """The batch/v1 Job ``<job>-<child>`` with ``spec``."""
    labels = {**_labels(job, component, child), **template_label(job)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": child_metadata(job, child_name(job, child), labels),
        "spec": spec,
    }


def file_pod(job: InferenceJob, settings: OperatorSettings, child: str, component: Component, command: str) -> Object:
    """The pod template of a Job that only reads or writes files: it has no engine, and needs no GPU."""
    return child_pod(job, settings, child, component, command=command, requests=_FILE_REQUESTS)


def file_job(job: InferenceJob, child: str, component: Component, pod: Object) -> Object:
    """The Job of such a pod, with what the user's template has for it."""
    spec = {
        "backoffLimit": _FILE_TRIES,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": FAILURE_RULES},
        "template": overlay_pod(pod, _templates_without_engine(job, pod), container=WORKER_CONTAINER),
    }
    return child_job(job, child, component, spec)


def child_pod(
    job: InferenceJob,
    settings: OperatorSettings,
    child: int | str,
    component: Component,
    *,
    command: str,
    requests: dict[str, str],
) -> Object:
    """The pod template whose one container runs ``splai worker <command>``."""
    return {
        "metadata": {"labels": _labels(job, component, child)},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [_container(job, settings, child, command, requests)],
            "volumes": [
                {"name": "splai-token", "projected": {"sources": [folder_token(job.metadata["uid"], "token")]}},
                {"name": "splai-tmp", "emptyDir": {}},
            ],
        },
    }


def folder_token(uid: str, path: str) -> Object:
    """A projected token that opens the folder of the job with ``uid`` and nothing else."""
    audience = f"{ARTIFACTS_AUDIENCE}/{uid}"
    return {"serviceAccountToken": {"path": path, "audience": audience, "expirationSeconds": _TOKEN_SECONDS}}


def add_variables(pod: Object, values: Mapping[str, str]) -> None:
    pod["spec"]["containers"][0]["env"] += [{"name": name, "value": value} for name, value in values.items()]


def add_secret(pod: Object, reference: LocalObjectReference | None) -> None:
    """Every key as a variable, put there by the kubelet: SPLAI itself never reads a Secret."""
    if reference is not None:
        pod["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": reference.name}}]


def add_claim(pod: Object, claim: str, path: str, *, read_only: bool) -> None:
    """Mount the root of a PersistentVolumeClaim."""
    name = f"splai-{path.strip('/')}"
    spec = pod["spec"]
    spec["volumes"].append(
        {"name": name, "persistentVolumeClaim": {"claimName": claim, **({"readOnly": True} if read_only else {})}}
    )
    spec["containers"][0]["volumeMounts"].append(
        {"name": name, "mountPath": path, **({"readOnly": True} if read_only else {})}
    )


def priority_template(job: InferenceJob) -> PodTemplate | None:
    """The PriorityClass that ``spec.priority`` means; a template of the user's that names another one wins."""
    priority = job.spec.priority
    return PodTemplate(priority_class_name=PRIORITY_CLASSES.get(priority, priority)) if priority else None


def _templates_without_engine(job: InferenceJob, pod: Object) -> Sequence[PodTemplate | None]:
    template = job.spec.workers.template
    return priority_template(job), _without_engine(template, pod) if template else None


def _without_engine(template: PodTemplate, pod: Object) -> PodTemplate:
    """What gets a pod through a proxy, or has it trust a certificate, and nothing that ties it to a node.

    A claim may be attached to a node with GPUs only, and a mount without its volume, which is the backend's, would keep
    the pod from being made. What ``pod`` has of its own stays.
    """
    spec = pod["spec"]
    own_volumes = {it["name"] for it in spec["volumes"]}
    own_paths = {it["mountPath"] for it in spec["containers"][0]["volumeMounts"]}
    volumes = [it for it in template.volumes or () if not it.persistent_volume_claim and it.name not in own_volumes]
    names = {it.name for it in volumes}
    mounts = [it for it in template.volume_mounts or () if it.name in names and it.mount_path not in own_paths]
    env = [it for it in template.env or () if not it.name.startswith(_OWN_VARIABLES) and it.name not in _CREDENTIALS]
    return PodTemplate(
        **{field: getattr(template, field) for field in _FIELDS_WITHOUT_ENGINE},
        env=env or None,
        volumes=volumes or None,
        volume_mounts=mounts or None,
    )


def _labels(job: InferenceJob, component: Component, child: int | str) -> dict[str, str]:
    return {**child_labels(job, component), CHILD_LABEL: str(child), JOB_UID_LABEL: job.metadata["uid"]}


def _container(
    job: InferenceJob, settings: OperatorSettings, child: int | str, command: str, requests: dict[str, str]
) -> Object:
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
        "resources": {"requests": dict(requests)},
        "volumeMounts": [
            {"name": "splai-token", "mountPath": TOKEN_PATH, "readOnly": True},
            {"name": "splai-tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
        ],
        "securityContext": {
            "runAsUser": POD_USER,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
