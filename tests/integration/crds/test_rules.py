"""The tables of the other modules are complete: every rule of the models is broken by one of their cases."""

from collections.abc import Iterator
from typing import Any

from splai.api.crd import RESOURCES, object_schema
from tests.integration.crds import test_fields, test_ollama
from tests.integration.crds.test_changes import DECIDED_BY_AUTOSCALING, FROZEN, ONE_WAY, PRIORITY_STAYS


def test_every_rule_of_the_models_has_a_case_here() -> None:
    asserted = {words for _, words in (*test_fields.REFUSED, *test_ollama.REFUSED, *FROZEN)} | {
        ONE_WAY,
        PRIORITY_STAYS,
        DECIDED_BY_AUTOSCALING,
    }
    messages = {message for resource in RESOURCES for message in rule_messages(object_schema(resource.model))}
    assert messages
    assert messages <= asserted


def rule_messages(schema: dict[str, Any]) -> Iterator[str]:
    yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
    for inner in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from rule_messages(inner)
