"""The CustomResourceDefinitions, derived from the models: ``python -m splai.api.crd <folder>`` writes them.

Kubernetes accepts only *structural* schemas: no ``$ref``, no ``anyOf`` with null, no ``const``. Pydantic writes JSON
Schema 2020-12 with all three, so this module translates. Everything else passes as it is: bounds, patterns, CEL rules
(``x-kubernetes-validations``), list types, and descriptions, which ``kubectl explain`` shows.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from splai.api import API_GROUP, API_VERSION
from splai.api.inference_job import InferenceJob
from splai.api.model_backend import ModelBackend

Schema = dict[str, Any]

_HEADER = "# Generated from operator/splai/api by `make generate`. Do not edit.\n"
_RULES = "x-kubernetes-validations"
_NEVER_SEEN = {"observedGeneration": -1}


@dataclass(frozen=True)
class Column:
    """A column of ``kubectl get``; a wide one shows with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def to_wire(self) -> Schema:
        column: Schema = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**column, "priority": 1} if self.wide else column


@dataclass(frozen=True)
class Resource:
    """What a CRD says beside the schema."""

    model: type[BaseModel]
    plural: str
    short: str
    columns: tuple[Column, ...]
    scale: Schema | None = None

    @property
    def kind(self) -> str:
        return self.model.__name__

    @property
    def name(self) -> str:
        return f"{self.plural}.{API_GROUP}"


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

RESOURCES = (
    Resource(
        InferenceJob,
        plural="inferencejobs",
        short="ij",
        columns=(
            Column("Phase", ".status.phase"),
            Column("Model", ".spec.model"),
            Column("Backend", ".status.backend"),
            Column("Done", ".status.succeeded", "integer"),
            Column("Failed", ".status.failed", "integer"),
            Column("Total", ".status.total", "integer"),
            Column("Percent", ".status.progressPercent", "integer"),
            Column("Workers", ".status.workers.ready", "integer", wide=True),
            Column("Remaining", ".status.estimatedRemainingSeconds", "integer", wide=True),
            Column("Message", ".status.message", wide=True),
            _AGE,
        ),
    ),
    Resource(
        ModelBackend,
        plural="modelbackends",
        short="mb",
        columns=(
            Column("Model", ".spec.model.id"),
            Column("Engine", ".spec.engine.type"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Replicas", ".status.replicas", "integer"),
            Column("Answering", ".status.readyReplicas", "integer"),
            Column("Endpoint", ".status.endpoint", wide=True),
            Column("Message", ".status.message", wide=True),
            _AGE,
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
)


def custom_resource_definition(resource: Resource) -> Schema:
    """The manifest of one kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name},
        "spec": {
            "group": API_GROUP,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [resource.short],
                "categories": ["splai"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": API_VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": object_schema(resource.model)},
                    "subresources": {"status": {}} | ({"scale": resource.scale} if resource.scale else {}),
                    "additionalPrinterColumns": [column.to_wire() for column in resource.columns],
                }
            ],
        },
    }


def object_schema(model: type[BaseModel]) -> Schema:
    """The schema of a whole object: the model's, with what the apiserver itself adds or insists on."""
    schema = structural_schema(model)
    properties = schema["properties"]
    properties["metadata"] = {"type": "object"}
    # Only spec has defaults. Those of status would show work as counted that nobody has looked at yet; instead
    # observedGeneration -1 says so, and tools that wait for a status (kstatus) understand it.
    # And it has one writer, the operator, so that its fields need no owners of their own: docs/decisions/0011.
    properties["status"] = _without_defaults(properties["status"]) | {
        "default": dict(_NEVER_SEEN),
        "x-kubernetes-map-type": "atomic",
    }
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": "The version of this schema."},
        "kind": {"type": "string", "description": "The kind of this object."},
        **properties,
    }
    schema["required"] = ["spec"]
    return schema


def structural_schema(model: type[BaseModel]) -> Schema:
    """A model's JSON Schema in the subset that Kubernetes accepts."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema = _unfilled(_optional(_inlined(schema, definitions), definitions))
    if schema.get("x-kubernetes-int-or-string"):
        schema = {keyword: value for keyword, value in schema.items() if keyword not in ("anyOf", "type")}
    result: Schema = {keyword: schema[keyword] for keyword in ("description", "type") if keyword in schema}
    for keyword, value in schema.items():
        if keyword in ("$defs", "title") or (keyword, value) == ("default", None):
            continue
        if keyword == "const":
            result["enum"] = [value]
        elif keyword == "properties":
            result["properties"] = {name: _structural(each, definitions) for name, each in value.items()}
        elif keyword == "items":
            result["items"] = _structural(value, definitions)
        elif keyword == "additionalProperties":
            if isinstance(value, dict):  # true and false are no types: the apiserver prunes what it doesn't know
                result["additionalProperties"] = _structural(value, definitions)
        else:
            result[keyword] = value
    if "default" in result and "properties" in result:
        # Pydantic would write nulls, which are refused; {} would do, were the rules not checked on it as it stands.
        result["default"] = {name: each["default"] for name, each in result["properties"].items() if "default" in each}
    return result


def _inlined(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Put the definition in the place of its ``$ref``; what stands beside the reference wins, but adds to its rules."""
    if "$ref" not in schema:
        return schema
    definition = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return _with(definition, {keyword: value for keyword, value in schema.items() if keyword != "$ref"})


def _with(schema: Schema, beside: Schema) -> Schema:
    both = [*schema.get(_RULES, ()), *beside.get(_RULES, ())]
    return schema | beside | ({_RULES: both} if both else {})


def _optional(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """``anyOf [X, null]`` is how pydantic says that a field may be left out; Kubernetes says it by ``required``."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {keyword: value for keyword, value in schema.items() if keyword != "anyOf"}
    return _with(_inlined(choices[0], definitions), rest)


def _unfilled(schema: Schema) -> Schema:
    """A default that is the operator's to give, not the apiserver's, stays out."""
    if "x-splai-unfilled" not in schema:
        return schema
    return {keyword: value for keyword, value in schema.items() if keyword not in ("x-splai-unfilled", "default")}


def _without_defaults(schema: Schema) -> Schema:
    result = {keyword: value for keyword, value in schema.items() if keyword != "default"}
    if "properties" in result:
        result["properties"] = {name: _without_defaults(each) for name, each in result["properties"].items()}
    if "items" in result:
        result["items"] = _without_defaults(result["items"])
    return result


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: a manifest is read by people and by tools that know none."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def manifests() -> dict[str, str]:
    """File name to YAML text of every CRD."""
    return {
        f"{resource.name}.yaml": _HEADER
        + yaml.dump(custom_resource_definition(resource), Dumper=_Dumper, sort_keys=False, width=110)
        for resource in RESOURCES
    }


def write(folder: Path) -> None:
    """Write every CRD into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in manifests().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
