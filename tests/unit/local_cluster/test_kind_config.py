"""kind-config.yaml: the path that needs Docker, checked against kind's own rules without Docker."""

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are a distribution of their own
import pytest
import yaml

from local_cluster import gpu

CONFIGURATION = Path(__file__).parents[3] / "kind-config.yaml"

# The part of kind's v1alpha4 types that we use: https://kind.sigs.k8s.io/docs/user/configuration/
SCHEMA = {
    "type": "object",
    "required": ["kind", "apiVersion", "nodes"],
    "additionalProperties": False,
    "properties": {
        "kind": {"const": "Cluster"},
        "apiVersion": {"const": "kind.x-k8s.io/v1alpha4"},
        "nodes": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["role"],
                "additionalProperties": False,
                "properties": {
                    "role": {"enum": ["control-plane", "worker"]},
                    "image": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        },
    },
}


@pytest.fixture
def configuration() -> Any:
    return yaml.safe_load(CONFIGURATION.read_text())


def test_it_is_a_kind_configuration(configuration: Any) -> None:
    jsonschema.validate(configuration, SCHEMA)


def test_its_one_node_names_the_same_gpu_as_the_local_cluster(configuration: Any) -> None:
    (node,) = configuration["nodes"]

    assert node["labels"] == {gpu.PRODUCT_LABEL: gpu.PRODUCT}
