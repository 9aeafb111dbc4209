"""A real apiserver takes what is made for a ModelBackend, also in a namespace that enforces Pod Security restricted."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from splai.api.model_backend import ModelBackend
from splai.core.modelbackend.plan import plan
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.observed import ObservedDeployment, ObservedService
from splai.core.plan import Apply, Plan
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
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}],
    "resources": {"limits": {"nvidia.com/gpu": "2", "cpu": "4"}},
    "volumes": [{"name": "extra", "emptyDir": {"sizeLimit": "1Gi"}}],
    "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
    "terminationGracePeriodSeconds": 5,
}
SPECS: dict[str, dict[str, Any]] = {
    "LlamaCpp": {"model": {"id": "m"}},
    "LlamaCpp-on-a-claim": {"model": {"id": "m", "source": "pvc://weights/m.gguf"}},
    "vLLM": {
        "model": {"id": "m", "source": "hf://Qwen/Qwen3-0.6B"},
        "engine": {"type": "vLLM"},
        "resources": {"gpu": {"count": 2}, "cpu": 2, "memory": "8Gi"},
        "template": TEMPLATE,
        "rollout": {"maxSurge": "25%", "maxUnavailable": 0},
    },
    "Custom": {"model": {"id": "m"}, "engine": {"type": "Custom", "image": "me/server:1", "command": ["serve"]}},
    "Remote": {
        "model": {"id": "m"},
        "engine": {"type": "Remote"},
        "remote": {"provider": "Anthropic", "apiKeySecretRef": {"name": "keys", "key": "anthropic"}},
    },
}
GOLDEN = Path(__file__).parents[1] / "unit" / "engines" / "golden"
SPECS |= {f"golden-{path.stem}": yaml.safe_load(path.read_text())["spec"] for path in sorted(GOLDEN.glob("*.yaml"))}
NAMESPACE = "backend-children"


@pytest.fixture(scope="module")
def restricted(control_plane: RunningControlPlane) -> RunningControlPlane:
    control_plane.kubectl("create", "namespace", NAMESPACE)
    control_plane.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    return control_plane


def send(control_plane: RunningControlPlane, body: dict[str, Any], *command: str) -> dict[str, Any]:
    flags = ("-n", NAMESPACE, "-f", "-", "-o", "json", "--show-managed-fields")
    answer = control_plane.kubectl(*command, *flags, input=json.dumps(body))
    sent: dict[str, Any] = json.loads(answer)
    return sent


def decide(backend: ModelBackend, **observed: Any) -> Plan[Any]:
    return plan(BackendSnapshot(backend=backend, settings=SETTINGS, **observed), datetime.now(UTC))


@pytest.mark.parametrize("engine", SPECS)
def test_children_are_taken_and_then_left_alone(restricted: RunningControlPlane, engine: str) -> None:
    name = engine.lower()
    made = send(
        restricted,
        {
            "apiVersion": "splai.dev/v1alpha1",
            "kind": "ModelBackend",
            "metadata": {"name": name},
            "spec": SPECS[engine],
        },
        "create",
    )
    backend = ModelBackend.model_validate(made)
    bodies = [action.body for action in decide(backend).actions if isinstance(action, Apply)]
    apply = ("apply", "--server-side", "--field-manager=splai")
    deployment, service = (send(restricted, body, *apply) for body in bodies)

    seen = {
        "deployment": ObservedDeployment.from_object(deployment),
        "service": ObservedService.from_object(service),
    }
    assert decide(backend, **seen).actions == ()
    again = send(restricted, bodies[0], *apply)
    assert again["metadata"]["generation"] == deployment["metadata"]["generation"]


@pytest.mark.parametrize("engine", SPECS)
def test_pods_meet_pod_security_restricted(restricted: RunningControlPlane, engine: str) -> None:
    backend = ModelBackend.model_validate(
        {"metadata": {"name": "a", "namespace": NAMESPACE, "uid": "u", "generation": 1}, "spec": SPECS[engine]}
    )
    deployment = next(it.body for it in decide(backend).actions if isinstance(it, Apply))
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "generateName": "engine-"},
        "spec": template["spec"],
    }
    made = send(restricted, pod, "create", "--dry-run=server")
    resources = made["spec"]["containers"][0]["resources"]
    for name in resources.get("limits", {}).keys() - {"cpu"}:
        assert resources["requests"][name] == resources["limits"][name]
