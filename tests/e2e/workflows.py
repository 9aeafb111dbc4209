"""Workflows of Argo, made from manifests/argo-workflows as a user would make them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster import Namespace, eventually

MANIFESTS = Path(__file__).parents[2] / "manifests" / "argo-workflows"


@dataclass(frozen=True)
class Workflow:
    """A workflow that was started."""

    namespace: Namespace
    name: str

    @classmethod
    def start(cls, namespace: Namespace, *, spec: dict[str, Any] | None = None) -> "Workflow":
        """The sample workflow; ``spec`` stands in for the sample's own InferenceJob."""
        namespace.kubectl("apply", "-f", str(MANIFESTS / "template.yaml"))
        sample = yaml.safe_load((MANIFESTS / "workflow.yaml").read_text())
        if spec is not None:
            sample["spec"]["arguments"]["parameters"] = [{"name": "spec", "value": json.dumps(spec)}]
        created = namespace.kubectl("create", "-f", "-", "-o", "name", stdin=json.dumps(sample))
        return cls(namespace, created.strip().removeprefix("workflow.argoproj.io/"))

    def status(self) -> dict[str, Any]:
        return self.namespace.status("workflow", self.name)

    def end(self) -> dict[str, Any]:
        """Its status when it is over, however it ended."""

        def over() -> dict[str, Any]:
            status = self.status()
            return status if status.get("finishedAt") else {}

        return eventually(over, timeout=300, what=f"workflow {self.name} is over")

    def inference_job(self) -> dict[str, Any]:
        """The InferenceJob that it made, as soon as it is there."""
        label = f"workflows.argoproj.io/workflow={self.name}"
        return eventually(lambda: self.namespace.select("ij", label), what="the step has made an InferenceJob")[0]


def outputs(node: dict[str, Any]) -> dict[str, str]:
    """The output parameters of a step."""
    return {parameter["name"]: parameter["value"] for parameter in node["outputs"]["parameters"]}


def ending(status: dict[str, Any]) -> tuple[str, str]:
    """How a workflow ended, and Argo's words about it."""
    return status["phase"], status.get("message", "")


def node(status: dict[str, Any], name: str) -> dict[str, Any]:
    """A step in a workflow's status, or {} when it was never reached; the whole is one too, by the workflow's name."""
    return next((node for node in status["nodes"].values() if node["displayName"] == name), {})
