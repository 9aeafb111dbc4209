"""The chart's files agree with one another and with the rest of the repository."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are a distribution of their own
import pytest
import yaml

from splai.api.policy import Policy

REPOSITORY = Path(__file__).parents[3]
CHART = REPOSITORY / "charts" / "splai"

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted path of every value; `resources`, `policies` and empty objects are values as a whole."""
    found = []
    for name, value in values.items():
        path = f"{prefix}{name}"
        whole = not isinstance(value, dict) or not value or name in ("resources", "policies")
        found += [path] if whole else leaves(value, f"{path}.")
    return found


def with_value(path: str, value: Any) -> dict[str, Any]:
    """Values as a user gives them: one path set."""
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def test_versions_are_those_of_the_distribution() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]

    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert set(re.findall(r"/(?:splai|llamacpp):([\d.]+\d)", (REPOSITORY / "README.md").read_text())) == {version}


def test_resource_definitions_are_copies() -> None:
    originals = {path.name: path.read_text() for path in (REPOSITORY / "crds").glob("*.yaml")}
    copies = {path.name: path.read_text() for path in (CHART / "crds").glob("*.yaml")}

    assert copies == originals, "run `make generate`"


@pytest.mark.parametrize("path", leaves(VALUES))
def test_value_is_used(path: str) -> None:
    templates = "".join(file.read_text() for file in sorted((CHART / "templates").iterdir()))

    assert re.search(rf"\.Values\.{re.escape(path)}(?![\w.])", templates), f"no template reads {path}"


@pytest.mark.parametrize("path", leaves(VALUES))
def test_value_is_explained(path: str) -> None:
    assert f"`{path}`" in (CHART / "README.md").read_text()


def test_defaults_keep_to_the_schema() -> None:
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("gatway.replicas", 2),
        ("gateway.replica", 2),
        ("gateway.replicas", 0),
        ("gateway.replicas", "2"),
        ("gateway.publicURL", "splai.example.org"),
        ("gateway.publicURL", "https://splai.example.org/"),
        ("gateway.resources.request", {"cpu": 1}),
        ("image.pullPolicy", "Sometimes"),
        ("image.registry", "example.org"),
        ("logLevel", "verbose"),
        ("metrics.port", 8080),
        ("metrics.port", 80),
        ("watchNamespaces", "team-a"),
        ("watchNamespaces", ["team_a"]),
        ("watchNamespaces", ["team-a", "team-a"]),
        ("artifacts.storage.size", "20 GB"),
        ("artifacts.storage.fsGroup", "users"),
        ("artifacts.backend", "floppy"),
        ("artifacts.backend", "minio"),
        ("artifacts.backend", "s3"),
        ("artifacts", {"backend": "s3", "bucket": "gs://bucket"}),
        ("artifacts", {"backend": "gcs", "bucket": "s3://bucket"}),
        ("artifacts", {"backend": "azure", "bucket": "az://account"}),
        ("artifacts.bucket", "bucket"),
        ("artifacts.minio", {"endpoint": "http://minio:9000"}),
        ("artifacts.retention", "30d"),
        ("history.store", "postgres"),
        ("history", {"store": "postgres", "postgres": {"secretName": ""}}),
        ("history.postgres.dsn", "postgres://user:password@host/database"),
        ("priorityClasses.batchValue", 2_000_000_000),
        ("policies.Night", {}),
        ("policies.night.limit", {}),
        ("policies.night.limits.maxRecord", 1),
        ("policies.night.limits.maxRecords", 0),
        ("policies.night.defaults.failurePolicy.maxFailedRecords", "many"),
        ("policies.night.defaults.ttlSecondsAfterFinished", 30),
        ("tracing.env", {"OTEL_TRACES_SAMPLER_ARG": 0.01}),
        ("tracing.env", {"SPLAI_IMAGE": "another"}),
        ("networkPolicy.gatewayFrom", []),
        ("imagePullSecrets", ["registry"]),
        ("bootstrap.SPLAI_OLLAMA_BASE_URL", "ollama:11434"),
        ("bootstrap.SPLAI_REMOTE_API_BASE_URL", "https://user:password@host"),
        ("bootstrap.ollamaModels", "llama3.1:8b"),
        ("bootstrap.vllmModels", [""]),
        ("bootstrap.SPLAI_OLLAMA_URL", "http://ollama:11434"),
    ],
)
def test_schema_refuses(path: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(with_value(path, value), SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("gateway.replicas", 3),
        ("gateway.publicURL", "https://example.org/splai"),
        ("gateway.resources", {"limits": {"cpu": 1, "memory": "1Gi"}}),
        ("watchNamespaces", ["team-a", "team-b"]),
        ("artifacts.storage.size", "1.5Ti"),
        ("artifacts.storage.fsGroup", None),
        ("imagePullSecrets", [{"name": "registry"}]),
        ("artifacts", {"backend": "minio", "minio": {"endpoint": "10.0.0.1:9000", "secretName": "keys"}}),
        ("artifacts", {"backend": "s3", "bucket": "s3://bucket"}),
        ("artifacts", {"backend": "gcs", "bucket": "gs://bucket/a/prefix"}),
        ("artifacts", {"backend": "azure", "bucket": "az://account/container"}),
        ("history", {"store": "postgres", "postgres": {"secretName": "history"}}),
        ("tracing.env", {"OTEL_TRACES_SAMPLER_ARG": "0.01"}),
        ("policies", {}),
        ("policies.night.defaults", {"failurePolicy": {"maxFailedRecords": "5%"}, "completionWindow": "1h30m"}),
        ("global", {"set": "by a parent chart"}),
        ("bootstrap.SPLAI_OLLAMA_BASE_URL", "http://ollama:11434"),
        ("bootstrap.SPLAI_REMOTE_API_BASE_URL", "https://api.openai.com/v1"),
        ("bootstrap.ollamaModels", ["llama3.1:8b"]),
    ],
)
def test_schema_accepts(path: str, value: Any) -> None:
    jsonschema.validate(with_value(path, value), SCHEMA)


def names_in(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The fields that a schema knows, with those of its objects."""
    schema = next(
        (definitions[it["$ref"].rpartition("/")[2]] for it in (schema, *schema.get("anyOf", [])) if "$ref" in it),
        schema,
    )
    return {name: names_in(inner, definitions) for name, inner in schema.get("properties", {}).items()}


def test_schema_knows_every_field_of_a_policy() -> None:
    model = Policy.model_json_schema(by_alias=True)

    assert names_in(SCHEMA["properties"]["policies"]["additionalProperties"], SCHEMA["definitions"]) == names_in(
        model, model["$defs"]
    )
