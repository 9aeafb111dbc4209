"""A real apiserver takes the Jobs of every source, destination, queue and kind of GPU, with restricted pods."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob
from splai.api.model_backend import ModelBackend
from splai.core.inferencejob.finish_job import build_finish_job
from splai.core.inferencejob.plan_job import build_plan_job
from splai.core.inferencejob.worker_job import build_worker_job
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages
from tests.integration.running_control_plane import RunningControlPlane

NAMESPACE = "child-jobs"
SETTINGS = OperatorSettings(
    image="splai/splai:1", engine_images=EngineImages(llamacpp="splai/llamacpp:1", vllm="vllm/vllm-openai:v1")
)
SECRET = {"secretRef": {"name": "keys"}}
SOURCES: list[dict[str, Any]] = [
    {"persistentVolumeClaim": {"claimName": "questions", "path": "today.csv"}},
    {"s3": {"uri": "s3://bucket/questions.jsonl", **SECRET}},
    {"http": {"url": "https://example.org/questions.jsonl", **SECRET}},
    {"huggingFace": {"dataset": "squad", **SECRET}},
    {"failedOf": {"name": "yesterday"}},
]
DESTINATIONS: list[dict[str, Any]] = [
    {"s3": {"uri": "s3://bucket/answers", **SECRET}},
    {"gcs": {"uri": "gs://bucket/answers", **SECRET}},
    {"azure": {"uri": "az://account/container", **SECRET}},
    {"persistentVolumeClaim": {"claimName": "answers", "path": "today"}},
    {"format": "parquet"},
]
WORKERS: list[dict[str, Any]] = [
    {"resources": {"limits": {"amd.com/gpu": 2}}},
    {"resources": {"limits": {"nvidia.com/mig-1g.10gb": 1, "memory": "8Gi"}}, "runtimeClassName": "nvidia"},
    {
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}],
        "resources": {"claims": [{"name": "gpu"}]},
    },
    {
        "resourceClaims": [{"name": "gpu", "resourceClaimName": "mine"}],
        "resources": {"claims": [{"name": "gpu", "request": "big"}]},
    },
]
BACKEND = ModelBackend.model_validate(
    {"metadata": {"name": "b", "namespace": NAMESPACE}, "spec": {"model": {"id": "m"}}}
)


@pytest.fixture(scope="module")
def restricted(control_plane: RunningControlPlane) -> Iterator[RunningControlPlane]:
    control_plane.kubectl("create", "namespace", NAMESPACE)
    control_plane.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    for name in ("splai-interactive", "nvidia"):
        control_plane.kubectl("create", "-f", "-", input=json.dumps(CLASSES[name]))
    yield control_plane
    control_plane.kubectl("delete", "priorityclass/splai-interactive", "runtimeclass/nvidia")
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


CLASSES: dict[str, dict[str, Any]] = {
    "splai-interactive": {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "splai-interactive"},
        "value": 1000,
    },
    "nvidia": {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "nvidia"},
        "handler": "nvidia",
    },
}


def make_job(*, labels: dict[str, str] | None = None, **spec: Any) -> InferenceJob:
    metadata = {"name": "a", "namespace": NAMESPACE, "uid": "u", "generation": 1, "labels": labels or {}}
    return InferenceJob.model_validate({"metadata": metadata, "spec": {"model": "m", "input": {"text": "t"}, **spec}})


def try_out(restricted: RunningControlPlane, body: dict[str, Any]) -> dict[str, Any]:
    """Create the Job and, as its controller would, a pod of it; both without keeping them. Returns the pod's spec."""
    template = body["spec"]["template"]
    metadata = {**template["metadata"], "generateName": "pod-"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    command = ("create", "--dry-run=server", "--validate=strict", "-n", NAMESPACE, "-f", "-", "-o", "json")
    restricted.kubectl(*command, input=json.dumps(body))
    made: dict[str, Any] = json.loads(restricted.kubectl(*command, input=json.dumps(pod)))["spec"]
    return made


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: next(iter(source)))
def test_every_source_can_be_planned(restricted: RunningControlPlane, source: dict[str, Any]) -> None:
    earlier = "uid-of-yesterday" if "failedOf" in source else None
    made = try_out(restricted, build_plan_job(make_job(input=source), SETTINGS, earlier_uid=earlier))
    assert made["containers"][0]["args"] == ["worker", "plan"]


@pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda destination: next(iter(destination)))
def test_every_destination_can_be_written(restricted: RunningControlPlane, destination: dict[str, Any]) -> None:
    made = try_out(restricted, build_finish_job(make_job(output=destination), SETTINGS, code="", message=""))
    assert made["containers"][0]["args"] == ["worker", "finish"]


@pytest.mark.parametrize("mode", ["Dedicated", "Shared"])
def test_a_proxy_and_certificates_reach_the_pods_without_an_engine(restricted: RunningControlPlane, mode: str) -> None:
    template = {
        "env": [{"name": "SSL_CERT_FILE", "value": "/certificates/ca.crt"}],
        "volumes": [
            {"name": "certificates", "configMap": {"name": "corporate-ca"}},
            {"name": "models", "persistentVolumeClaim": {"claimName": "models"}},
        ],
        "volumeMounts": [
            {"name": "certificates", "mountPath": "/certificates"},
            {"name": "models", "mountPath": "/models"},
        ],
    }
    job = make_job(input=SOURCES[1], workers={"mode": mode, "template": template})
    for body in (build_plan_job(job, SETTINGS), build_finish_job(job, SETTINGS, code="", message="")):
        made = try_out(restricted, body)
        assert {it["name"] for it in made["volumes"]} == {"splai-token", "splai-tmp", "certificates"}


@pytest.mark.parametrize("template", WORKERS, ids=json.dumps)
@pytest.mark.parametrize("mode", ["Dedicated", "Shared"])
def test_every_kind_of_gpu_can_be_asked_for(
    restricted: RunningControlPlane, template: dict[str, Any], mode: str
) -> None:
    job = make_job(workers={"mode": mode, "template": template})
    made = try_out(restricted, build_worker_job(job, BACKEND, SETTINGS, number=0, parallelism=2, backoff_limit=6))
    container = (made["initContainers"] if mode == "Dedicated" else made["containers"])[0]
    assert container["resources"].keys() >= template["resources"].keys()


def test_a_queued_job_is_taken_suspended(restricted: RunningControlPlane) -> None:
    labels = {"kueue.x-k8s.io/queue-name": "gpus", "kueue.x-k8s.io/priority-class": "high"}
    job = make_job(labels=labels, workers={"minParallelism": 2}, priority="interactive")
    made = try_out(restricted, build_worker_job(job, BACKEND, SETTINGS, number=0, parallelism=4, backoff_limit=6))
    assert (made["priorityClassName"], made["priority"]) == ("splai-interactive", 1000)
