"""A namespace as a user with kubectl sees it, and what a user puts there."""

import json
from pathlib import Path
from typing import Any

from tests.integration.running_control_plane import KubectlError, RunningControlPlane

Object = dict[str, Any]


class Namespace:
    """kubectl in the test's namespace."""

    def __init__(self, control_plane: RunningControlPlane, name: str) -> None:
        self._control_plane = control_plane
        self.name = name

    @property
    def kubeconfig(self) -> Path:
        return self._control_plane.kubeconfig

    def run(self, *arguments: str) -> str:
        return self._control_plane.kubectl("-n", self.name, *arguments)

    def apply(self, *bodies: Object) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        self._control_plane.kubectl("-n", self.name, "apply", "-f", "-", input=json.dumps(items))

    def get(self, kind: str, name: str) -> Object:
        """The object, or an empty one."""
        try:
            body: Object = json.loads(self.run("get", kind, name, "-o", "json"))
        except KubectlError:
            return {}
        return body

    def all(self, kind: str) -> list[Object]:
        items: list[Object] = json.loads(self.run("get", kind, "-o", "json"))["items"]
        return items

    def uid(self, kind: str, name: str) -> str | None:
        uid: str | None = self.get(kind, name).get("metadata", {}).get("uid")
        return uid

    def owner(self, kind: str, name: str) -> str | None:
        """The UID of the object's controller."""
        owners = self.get(kind, name).get("metadata", {}).get("ownerReferences", [])
        return next((owner["uid"] for owner in owners if owner.get("controller")), None)

    def condition(self, kind: str, name: str, condition_type: str) -> Object:
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == condition_type), {})

    def is_ready(self, backend: str) -> bool:
        return self.condition("mb", backend, "Ready").get("status") == "True"

    def phases(self) -> dict[str, str]:
        """The phase of each InferenceJob."""
        return {body["metadata"]["name"]: body.get("status", {}).get("phase", "") for body in self.all("ij")}

    def children(self) -> dict[str, list[str]]:
        """The child Jobs of each InferenceJob."""
        found: dict[str, list[str]] = {}
        for body in self.all("jobs"):
            found.setdefault(body["metadata"]["ownerReferences"][0]["name"], []).append(body["metadata"]["name"])
        return found


def backend(name: str = "tiny", **spec: Any) -> Object:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": name},
        "spec": {"model": {"id": "tiny-model"}, **spec},
    }


def job(name: str = "job", **spec: Any) -> Object:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "InferenceJob",
        "metadata": {"name": name},
        "spec": {"model": "tiny-model", "input": {"text": "hello"}, **spec},
    }
