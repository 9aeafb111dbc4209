"""The shipped workflow as users apply it: kustomize makes the ConfigMap, and a real apiserver takes both."""

import json
from pathlib import Path
from typing import Any

from tests.integration.running_control_plane import RunningControlPlane

FOLDER = Path(__file__).parents[2] / "manifests" / "support-desk"


def test_changed_code_is_another_config_map_and_so_another_revision(
    control_plane: RunningControlPlane, namespace: str
) -> None:
    options = ["--dry-run=server", "--validate=strict", "--warnings-as-errors", "--output=json"]
    applied = json.loads(control_plane.kubectl("-n", namespace, "apply", *options, "-k", str(FOLDER)))

    found: dict[str, Any] = {item["kind"]: item for item in applied["items"]}
    config_map = found["ConfigMap"]["metadata"]["name"]
    assert found.keys() == {"ConfigMap", "ModelBackend"}
    assert config_map.startswith("support-desk-")
    assert found["ModelBackend"]["spec"]["workflow"]["configMap"] == {"name": config_map}
    assert "workflow.py" in found["ConfigMap"]["data"]
