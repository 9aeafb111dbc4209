"""Ours is what the apiserver says is ours; the trees here are as a real one wrote them."""

from typing import Any

import pytest

from splai.core.field_ownership import applied_fields, owns

PORTS = {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
PORT_FIELDS: dict[str, Any] = {".": {}, "f:name": {}, "f:port": {}, "f:targetPort": {}}


@pytest.mark.parametrize(
    ("fields", "wanted", "want"),
    [
        pytest.param({"f:replicas": {}}, {"replicas": 1}, True, id="a value"),
        pytest.param({"f:paused": {}}, {"replicas": 1}, False, id="a value that another took"),
        pytest.param({"f:replicas": {}, "f:paused": {}}, {"replicas": 1}, True, id="more than is wanted"),
        pytest.param({"f:args": {}}, {"args": ["a", "b"]}, True, id="a list that is owned as a whole"),
        pytest.param({"f:limits": {"f:cpu": {}}}, {"limits": {"cpu": "1", "memory": "1Gi"}}, False, id="a part"),
        pytest.param({"f:emptyDir": {}}, {"emptyDir": {}}, True, id="an empty object"),
        pytest.param({}, {}, False, id="no entry of ours"),
        pytest.param({"f:ports": {'k:{"port":80,"protocol":"TCP"}': PORT_FIELDS}}, PORTS, True, id="a defaulted key"),
        pytest.param({"f:ports": {'k:{"port":81,"protocol":"TCP"}': PORT_FIELDS}}, PORTS, False, id="another key"),
        pytest.param(
            {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}}},
            PORTS,
            False,
            id="a field of an item that another took",
        ),
        pytest.param({"f:finalizers": {'v:"a"': {}}}, {"finalizers": ["a"]}, True, id="a set's member"),
        pytest.param({"f:finalizers": {'v:"b"': {}}}, {"finalizers": ["a"]}, False, id="a set's lost member"),
    ],
)
def test_ownership(fields: dict[str, Any], wanted: dict[str, Any], want: bool) -> None:
    assert owns(fields, wanted) is want


def test_only_what_we_applied_ourselves_counts() -> None:
    ours: dict[str, Any] = {"f:spec": {}}
    entries = [
        {"manager": "kubectl-set", "operation": "Update", "fieldsV1": {"f:a": {}}},
        {"manager": "splai", "operation": "Update", "fieldsV1": {"f:b": {}}},
        {"manager": "splai", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:c": {}}},
        {"manager": "splai", "operation": "Apply", "fieldsV1": ours},
    ]

    assert applied_fields({"managedFields": entries}) == ours
    assert applied_fields({"managedFields": entries[:3]}) == {}
    assert applied_fields({}) == {}
