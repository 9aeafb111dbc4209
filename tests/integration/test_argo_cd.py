"""A real apiserver takes what Argo CD's actions make, and kustomize adds the customizations to its ConfigMap."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import argo_cd
from tests.integration.running_control_plane import RunningControlPlane
from tests.unit.argo_cd.sandbox import act

ACTIONS = argo_cd.CUSTOMIZATIONS / "splai.dev" / "InferenceJob" / "actions"


def run_action(name: str, obj: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return act((ACTIONS / name / "action.lua").read_text(), obj)


@pytest.fixture
def job(control_plane: RunningControlPlane, namespace: str) -> dict[str, Any]:
    """A job with empty maps, which Lua cannot tell from lists."""
    template = {"nodeSelector": {}, "volumes": [{"name": "cache", "emptyDir": {}}]}
    spec = {"model": "m", "input": {"items": [{"a": {}, "b": []}]}, "workers": {"template": template}}
    body = {"apiVersion": "splai.dev/v1alpha1", "kind": "InferenceJob", "metadata": {"name": "a"}, "spec": spec}
    made = control_plane.kubectl("create", "-n", namespace, "-f", "-", "-o", "json", input=json.dumps(body))
    found: dict[str, Any] = json.loads(made)
    return found


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [("suspend", "suspend", True), ("resume", "suspend", False), ("cancel", "cancel", True)],
)
def test_a_patch_is_taken(
    control_plane: RunningControlPlane, job: dict[str, Any], action: str, field: str, value: bool
) -> None:
    operation, result = run_action(action, job)
    changed = control_plane.kubectl("replace", "-f", "-", "-o", "json", input=json.dumps(result))

    assert operation == "patch"
    assert json.loads(changed)["spec"] == {**job["spec"], field: value}


def test_a_new_job_is_taken(control_plane: RunningControlPlane, job: dict[str, Any]) -> None:
    operation, result = run_action("retry-failed", job)
    made = control_plane.kubectl("create", "--validate=strict", "-f", "-", "-o", "json", input=json.dumps(result))

    assert operation == "create"
    assert json.loads(made)["spec"]["input"] == {"failedOf": {"name": "a"}, "format": "auto"}


def test_kustomize_adds_the_customizations_to_what_is_there(control_plane: RunningControlPlane, tmp_path: Path) -> None:
    there = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {"url": "https://a"}}
    (tmp_path / "argocd.yaml").write_text(yaml.safe_dump(there))
    component = os.path.relpath(argo_cd.ARGO_CD, tmp_path)
    kustomization = {"namespace": "argocd", "resources": ["argocd.yaml"], "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    built = yaml.safe_load(control_plane.kubectl("kustomize", str(tmp_path)))

    assert built["metadata"]["namespace"] == "argocd"
    assert built["data"] == {**argo_cd.entries(), "url": "https://a"}
