"""A provider in the cluster, the Secrets with keys for it, and the backends of engine Remote that call it."""

from pathlib import Path
from typing import Any

from tests.e2e.cluster import splai_image
from tests.e2e.objects import RESTRICTED
from tests.e2e.provider_server import PORT

Object = dict[str, Any]
REPOSITORY = Path(__file__).parents[2]
PROGRAM = (
    "tests/e2e/provider_server.py",
    "tests/unit/adapter/fake_providers.py",
    "tests/unit/gateway/scripted_engine.py",
)
FOLDER = "/provider"
NAME = "provider"
LABELS = {"app": NAME}


def provider() -> list[Object]:
    """Its program, a pod that runs it, which is put in the place of one that was killed, and their Service."""
    code = {path.replace("/", "."): (REPOSITORY / path).read_text() for path in PROGRAM}
    items = [{"key": path.replace("/", "."), "path": path} for path in PROGRAM]
    container = {
        "name": NAME,
        "image": splai_image(),
        "command": ["python", "-m", "tests.e2e.provider_server"],
        "env": [{"name": "PYTHONPATH", "value": FOLDER}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "program", "mountPath": FOLDER}],
    }
    pod = {
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "program", "configMap": {"name": NAME, "items": items}}],
    }
    metadata = {"name": NAME}
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": code},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": LABELS}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": PORT}]},
        },
    ]


def secret(name: str, key: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"anthropic": key}}


def remote(name: str, served: str, **provider: Any) -> Object:
    """A ModelBackend of engine Remote; ``served`` is its model's id."""
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": name},
        "spec": {"model": {"id": served}, "engine": {"type": "Remote"}, "remote": provider},
    }


def anthropic(name: str, served: str, *, keys: str) -> Object:
    """One that calls the provider above, with the key of a Secret."""
    return remote(
        name,
        served,
        provider="Anthropic",
        baseURL=f"http://{NAME}",
        model="claude-3-5-sonnet-20241022",
        apiKeySecretRef={"name": keys, "key": "anthropic"},
    )
