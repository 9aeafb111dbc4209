"""Manifests of both kinds with the fields a test is about, and kubectl in the tests' namespace."""

import json
from typing import Any

from tests.integration.running_control_plane import RunningControlPlane

JOB: dict[str, Any] = {"model": "m", "input": {"text": "hello"}}
BACKEND: dict[str, Any] = {"model": {"id": "m"}}
KEY = {"name": "n", "key": "k"}


def manifest(kind: str, spec: dict[str, Any] | None, *, name: str = "a", **fields: Any) -> dict[str, Any]:
    body = {"apiVersion": "splai.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, **fields}
    return body if spec is None else {**body, "spec": spec}


def job(name: str = "a", **spec: Any) -> dict[str, Any]:
    return manifest("InferenceJob", JOB | spec, name=name)


def backend(name: str = "a", **spec: Any) -> dict[str, Any]:
    return manifest("ModelBackend", BACKEND | spec, name=name)


class Cluster:
    """kubectl in one namespace."""

    def __init__(self, control_plane: RunningControlPlane, namespace: str) -> None:
        self.kubectl = control_plane.kubectl
        self.namespace = namespace

    def send(self, verb: str, body: dict[str, Any], *options: str) -> dict[str, Any]:
        answer = self.kubectl(verb, "-n", self.namespace, "-f", "-", "-o", "json", *options, input=json.dumps(body))
        sent: dict[str, Any] = json.loads(answer)
        return sent

    def try_out(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create without keeping: everything but the write itself happens."""
        return self.send("create", body, "--dry-run=server")

    def get(self, resource: str, name: str) -> dict[str, Any]:
        got: dict[str, Any] = json.loads(self.kubectl("get", "-n", self.namespace, resource, name, "-o", "json"))
        return got

    def set_status(self, resource: str, name: str, **status: Any) -> None:
        """As the operator writes it; None takes a field away."""
        patch = json.dumps({"status": status})
        where = ("-n", self.namespace, resource, name)
        self.kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", patch)


def contains(whole: Any, part: Any) -> bool:
    """Everything in ``part`` is in ``whole``, which may hold defaults beside it."""
    if isinstance(part, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(contains(*pair) for pair in zip(whole, part, strict=True))
    return bool(whole == part)


def name_of(case: object) -> str | None:
    """Test ids: the words of the refusal, else the manifest."""
    return json.dumps(case.get("spec", case))[:100] if isinstance(case, dict) else None
