"""The roles grant what the programs ask for: no rule is missing, and none is left over."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from splai.controller.permissions import rules
from splai.kube.resource import ENDPOINT_SLICES, MODEL_BACKENDS, Resource

INSTALL = Path(__file__).parents[3] / "manifests" / "install.yaml"
ROLES: dict[str, list[dict[str, Any]]] = {
    found["metadata"]["name"]: found["rules"]
    for found in yaml.safe_load_all(INSTALL.read_text())
    if found["kind"] in {"Role", "ClusterRole"}
}

Permission = tuple[str, str, str, str]
"""Group, resource with its subresource, name (empty: any), verb."""


def granted(role: str) -> list[Permission]:
    return sorted(
        permission
        for rule in ROLES[role]
        for permission in product(rule["apiGroups"], rule["resources"], rule.get("resourceNames", [""]), rule["verbs"])
    )


def asked(*, everywhere: bool) -> list[Permission]:
    """What the operator asks for, in every namespace or in its own alone."""
    return sorted(
        (rule.resource.group, "/".join(filter(None, [rule.resource.plural, rule.subresource])), rule.name, rule.verb)
        for rule in rules(namespace="splai-system", lease="splai-operator")
        if (rule.namespace is None) is everywhere
    )


def watched(resources: Iterable[Resource]) -> list[Permission]:
    return sorted((found.group, found.plural, "", verb) for found in resources for verb in ("list", "watch"))


def test_operator_is_granted_what_it_asks_for_in_every_namespace() -> None:
    assert granted("splai-operator") == asked(everywhere=True)


def test_operator_is_granted_its_lease_and_the_gateways_alone_in_its_own_namespace() -> None:
    assert sorted(granted("splai-operator-lease") + granted("splai-operator-gateways")) == asked(everywhere=False)


def test_gateway_may_watch_what_it_routes_by() -> None:
    assert granted("splai-gateway") == watched([MODEL_BACKENDS, ENDPOINT_SLICES])


def test_no_role_is_left_unchecked() -> None:
    assert ROLES.keys() == {"splai-operator", "splai-operator-lease", "splai-operator-gateways", "splai-gateway"}
