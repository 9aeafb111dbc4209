"""The generated CRDs: they are what the models say, and of the form that Kubernetes takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from splai.api.base import APIModel, Quantity, rules
from splai.api.crd import RESOURCES, custom_resource_definition, manifests, structural_schema, write

REPOSITORY = Path(__file__).parents[3]
CRDS = {resource.plural: custom_resource_definition(resource) for resource in RESOURCES}


def every_schema(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for child in schema.get("properties", {}).values():
        yield from every_schema(child)
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from every_schema(schema[keyword])


def version(plural: str) -> dict[str, Any]:
    (only,) = CRDS[plural]["spec"]["versions"]
    found: dict[str, Any] = only
    return found


def schema_of(plural: str, *path: str) -> dict[str, Any]:
    schema: dict[str, Any] = version(plural)["schema"]["openAPIV3Schema"]
    for name in path:
        schema = schema["items"] if name == "[]" else schema["properties"][name]
    return schema


@pytest.mark.parametrize("folder", ["crds", "charts/splai/crds"])
def test_the_checked_in_files_are_what_the_models_generate(folder: str) -> None:
    files = {path.name: path.read_text() for path in (REPOSITORY / folder).glob("*.yaml")}
    assert files == manifests(), f"{folder} drifted from the models: run `make generate`"


def test_writing_makes_the_folder_and_the_same_files_each_time(tmp_path: Path) -> None:
    write(tmp_path / "crds")
    first = {path.name: path.read_text() for path in (tmp_path / "crds").iterdir()}
    write(tmp_path / "crds")
    assert {path.name: path.read_text() for path in (tmp_path / "crds").iterdir()} == first == manifests()


@pytest.mark.parametrize(
    ("plural", "kind", "singular", "short"),
    [
        ("inferencejobs", "InferenceJob", "inferencejob", "ij"),
        ("modelbackends", "ModelBackend", "modelbackend", "mb"),
    ],
)
def test_names(plural: str, kind: str, singular: str, short: str) -> None:
    crd = CRDS[plural]
    assert crd["metadata"]["name"] == f"{plural}.splai.dev"
    assert crd["spec"]["scope"] == "Namespaced"
    assert crd["spec"]["names"] == {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": singular,
        "shortNames": [short],
        "categories": ["splai"],
    }


def test_both_have_a_status_and_backends_can_be_scaled() -> None:
    assert version("inferencejobs")["subresources"] == {"status": {}}
    assert version("modelbackends")["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


@pytest.mark.parametrize("plural", CRDS)
def test_every_schema_is_structural(plural: str) -> None:
    for schema in every_schema(schema_of(plural)):
        assert schema.keys().isdisjoint({"$ref", "$defs", "const", "title", "anyOf"}), schema
        free = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string")
        assert ("type" in schema) is not bool(free), schema


@pytest.mark.parametrize("plural", CRDS)
def test_columns_lead_to_fields_that_exist(plural: str) -> None:
    for column in version(plural)["additionalPrinterColumns"]:
        section, *path = column["jsonPath"].removeprefix(".").split(".")
        if section != "metadata" and not path[0].startswith("conditions["):
            assert schema_of(plural, section, *path)["type"] == column["type"], column


@pytest.mark.parametrize("plural", CRDS)
def test_a_status_that_nobody_wrote_says_so_and_nothing_else(plural: str) -> None:
    status = schema_of(plural, "status")
    assert status["default"] == {"observedGeneration": -1}
    inside = [schema for name in status["properties"] for schema in every_schema(schema_of(plural, "status", name))]
    assert not any("default" in schema for schema in inside)


@pytest.mark.parametrize("plural", CRDS)
def test_the_entries_of_a_status_list_have_no_owners_of_their_own(plural: str) -> None:
    status = schema_of(plural, "status")["properties"]
    lists = [schema for schema in status.values() if schema.get("items", {}).get("type") == "object"]
    assert lists
    assert {schema["x-kubernetes-list-type"] for schema in lists} == {"atomic"}


@pytest.mark.parametrize("plural", CRDS)
def test_the_fields_a_user_writes_are_explained(plural: str) -> None:
    for name, field in schema_of(plural, "spec")["properties"].items():
        assert field.get("description"), f"spec.{name}"
        for inner, schema in field.get("properties", {}).items():
            assert schema.get("description"), f"spec.{name}.{inner}"


class Inner(APIModel):
    """What the inner one is."""

    kept: int = 7
    optional: str | None = None


class Outer(APIModel):
    """An example of every form that is translated."""

    model_config = {"json_schema_extra": rules(("self.flag", "flag must be set"))}

    needed: Inner
    described: Annotated[Inner, Field(description="What this one is.")] = Inner()
    maybe: Inner | None = None
    constant: Literal["only"] = "only"
    quantity: Quantity | None = None
    flag: bool = False
    title: str = ""
    named: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("field", "want"),
    [
        ("needed", {"description": "What the inner one is.", "type": "object"}),
        ("described", {"description": "What this one is.", "type": "object", "default": {"kept": 7}}),
        ("maybe", {"description": "What the inner one is.", "type": "object"}),
        ("constant", {"type": "string", "enum": ["only"], "default": "only"}),
        ("flag", {"type": "boolean", "default": False}),
        ("title", {"type": "string", "default": ""}),
    ],
)
def test_translation_of(field: str, want: dict[str, Any]) -> None:
    translated = dict(structural_schema(Outer)["properties"][field])
    inner = translated.pop("properties", None)
    assert translated == want
    assert inner is None or inner == {"kept": {"type": "integer", "default": 7}, "optional": {"type": "string"}}


def test_translation_of_a_quantity_leaves_the_type_to_int_or_string() -> None:
    quantity = structural_schema(Outer)["properties"]["quantity"]
    assert quantity["x-kubernetes-int-or-string"] is True
    assert quantity.keys() == {"x-kubernetes-int-or-string", "minimum", "pattern"}


def test_translation_of_a_map_describes_its_values() -> None:
    assert structural_schema(Outer)["properties"]["named"]["additionalProperties"]["properties"].keys() == {
        "kept",
        "optional",
    }


def test_rules_pass_and_only_what_has_no_default_is_required() -> None:
    schema = structural_schema(Outer)
    assert schema["x-kubernetes-validations"] == [{"rule": "self.flag", "message": "flag must be set"}]
    assert schema["required"] == ["needed"]
