"""Ollama's container."""

from typing import Any

import pytest

from splai.api.model_backend import ModelBackendSpec
from splai.engines import EnginePod, engine_pod
from splai.engines.images import EngineImages
from splai.engines.ollama import SCRIPT

IMAGES = EngineImages(llamacpp="not used", vllm="not used", ollama="ollama/ollama:1")


def pod_of(source: str, **model: Any) -> EnginePod:
    spec = {"model": {"id": "small", "source": source, **model}, "engine": {"type": "Ollama"}}
    return engine_pod(ModelBackendSpec.model_validate(spec), IMAGES)


def test_the_whole_pod() -> None:
    pod = pod_of("pvc://weights/small/q4.gguf", aliases=["gpt-4o-mini", "smollm2:135m"])

    assert pod.port == 11434
    assert pod.container == {
        "name": "engine",
        "image": "ollama/ollama:1",
        "command": ["bash", "-c", SCRIPT, "ollama"],
        "args": ["/models/small/q4.gguf", "small", "gpt-4o-mini", "smollm2:135m"],
        "env": [
            {"name": "HOME", "value": "/cache"},
            {"name": "OLLAMA_HOST", "value": "127.0.0.1:11434"},
            {"name": "OLLAMA_KEEP_ALIVE", "value": "-1"},
        ],
        "ports": [{"name": "http", "containerPort": 11434, "protocol": "TCP"}],
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "cache", "mountPath": "/cache"},
            {"name": "models", "mountPath": "/models", "readOnly": True},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "startupProbe": {
            "exec": {"command": ["test", "-e", "/tmp/loaded"]},
            "periodSeconds": 3,
            "timeoutSeconds": 3,
            "failureThreshold": 600,
        },
        "readinessProbe": {
            "httpGet": {"path": "/api/version", "port": "http"},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": {"path": "/api/version", "port": "http"},
            "periodSeconds": 20,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
    }
    assert pod.volumes == (
        {"name": "tmp", "emptyDir": {}},
        {"name": "cache", "emptyDir": {}},
        {"name": "models", "persistentVolumeClaim": {"claimName": "weights", "readOnly": True}},
    )


@pytest.mark.parametrize(
    ("source", "location"),
    [
        ("ollama://smollm2:135m", "smollm2:135m"),
        (
            "ollama://hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
            "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        ),
        ("file:///opt/my model.gguf", "/opt/my model.gguf"),
    ],
)
def test_the_script_is_told_a_name_to_pull_or_a_path_to_import(source: str, location: str) -> None:
    assert pod_of(source).container["args"] == [location, "small"]


def test_the_kubelet_leaves_the_script_as_it_is() -> None:
    """It makes one dollar sign of two, and fills in ``$(NAME)``: core/v1 Container, ``command``."""
    assert "$$" not in SCRIPT
    assert "$(" not in SCRIPT
