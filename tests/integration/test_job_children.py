"""A real apiserver takes what is made for an InferenceJob, also in a namespace that enforces Pod Security."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob
from splai.api.model_backend import ModelBackend
from splai.core.inferencejob.finish_job import build_finish_job
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import JobSnapshot
from splai.core.observed import ObservedJob
from splai.core.plan import Create, Plan, Scale
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages
from tests.integration.running_control_plane import RunningControlPlane

SETTINGS = OperatorSettings(
    image="splai/splai:1", engine_images=EngineImages(llamacpp="splai/llamacpp:1", vllm="vllm/vllm-openai:v1")
)
TEMPLATE = {
    "labels": {"team": "a"},
    "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}],
    "resources": {"limits": {"nvidia.com/gpu": "2", "cpu": "4"}},
    "volumes": [{"name": "extra", "emptyDir": {"sizeLimit": "1Gi"}}],
    "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
}
SPEC = {"model": "m", "input": {"items": ["a", "b", "c", "d"]}}
BACKENDS: dict[str, dict[str, Any]] = {
    "llamacpp": {"model": {"id": "m"}, "resources": {"gpu": {"count": 1}}},
    "vllm": {"model": {"id": "m", "source": "hf://Qwen/Qwen3-0.6B"}, "engine": {"type": "vLLM"}},
}
WORKERS: dict[str, dict[str, Any]] = {
    "shared": {"parallelism": 2},
    "shared-template": {"parallelism": 2, "template": TEMPLATE},
    "dedicated": {"mode": "Dedicated", "parallelism": 2},
    "dedicated-template": {"mode": "Dedicated", "parallelism": 2, "template": TEMPLATE},
}
CASES = [(backend, workers) for backend in BACKENDS for workers in WORKERS]
NAMESPACE = "job-children"


@pytest.fixture(scope="module")
def restricted(control_plane: RunningControlPlane) -> Iterator[RunningControlPlane]:
    control_plane.kubectl("create", "namespace", NAMESPACE)
    control_plane.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    yield control_plane
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def send(control_plane: RunningControlPlane, body: dict[str, Any], *command: str) -> dict[str, Any]:
    answer = control_plane.kubectl(*command, "-n", NAMESPACE, "-f", "-", "-o", "json", input=json.dumps(body))
    sent: dict[str, Any] = json.loads(answer)
    return sent


def make_backend(name: str) -> ModelBackend:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-05-01T12:00:00Z", "reason": "Ready"}
    return ModelBackend.model_validate(
        {
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": "u", "generation": 1},
            "spec": BACKENDS[name],
            "status": {"conditions": [ready]},
        }
    )


def decide(job: InferenceJob, backend: str, *children: ObservedJob) -> Plan[Any]:
    seen = JobSnapshot(job=job, settings=SETTINGS, backends=(make_backend(backend),), child_jobs=children)
    return plan(seen, datetime.now(UTC))


def created(decision: Plan[Any]) -> dict[str, Any]:
    (body,) = (action.body for action in decision.actions if isinstance(action, Create))
    return body


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    template = job["spec"]["template"]
    metadata = {**template["metadata"], "generateName": "worker-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize(("backend", "workers"), CASES)
def test_a_job_its_status_and_its_children_are_taken(
    restricted: RunningControlPlane, backend: str, workers: str
) -> None:
    name = f"{backend}-{workers}"
    manifest = {"apiVersion": "splai.dev/v1alpha1", "kind": "InferenceJob", "metadata": {"name": name}}
    made = send(restricted, {**manifest, "spec": {**SPEC, "workers": WORKERS[workers]}}, "create")
    job = InferenceJob.model_validate(made)
    decision = decide(job, backend)

    status = json.dumps({"status": decision.status.to_wire()})
    patch = ("patch", "inferencejob", name, "--subresource=status", "--type=merge", "-p", status, "-o", "json")
    patched = InferenceJob.model_validate(json.loads(restricted.kubectl(*patch, "-n", NAMESPACE)))
    assert patched.status == decision.status

    child = send(restricted, created(decision), "create")
    wider = patched.spec.workers.model_copy(update={"parallelism": 3})
    scaled = patched.model_copy(update={"spec": patched.spec.model_copy(update={"workers": wider})})
    (action,) = decide(scaled, backend, ObservedJob.from_object(child)).actions
    assert isinstance(action, Scale)
    resize = json.dumps({"spec": {"parallelism": action.parallelism, "completions": action.parallelism}})
    restricted.kubectl("patch", "job", f"{name}-0", "-n", NAMESPACE, "--type=merge", "-p", resize)

    send(restricted, build_finish_job(job, SETTINGS, code="batch_cancelled", message="canceled"), "create")


@pytest.mark.parametrize(("backend", "workers"), CASES)
def test_pods_meet_pod_security_restricted(restricted: RunningControlPlane, backend: str, workers: str) -> None:
    job = InferenceJob.model_validate(
        {
            "metadata": {"name": "a", "namespace": NAMESPACE, "uid": "u", "generation": 1},
            "spec": {**SPEC, "workers": WORKERS[workers]},
        }
    )
    for body in (created(decide(job, backend)), build_finish_job(job, SETTINGS, code="", message="")):
        send(restricted, pod_of(body), "create", "--dry-run=server")
