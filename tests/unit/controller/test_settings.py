"""Settings come from the environment; a wrong one is named."""

from datetime import timedelta
from pathlib import Path

import pytest

from splai.controller.settings import Settings, SettingsInvalid


def settings(**environment: str) -> Settings:
    return Settings.from_environment(environment, default_namespace="here")


def test_defaults_follow_the_operators_own_namespace() -> None:
    found = settings()

    assert found.namespace == "here"
    assert found.watch_namespaces == ()
    assert found.artifacts_client_url == "http://splai-artifacts.here.svc:8080"
    assert found.core.public_url == "http://splai-api-gateway.here.svc:8080"
    assert (found.health_port, found.metrics_port, found.reconcile_workers) == (8081, 9464, 16)


def test_the_operator_may_reach_the_artifact_server_at_another_address_than_pods() -> None:
    found = settings(SPLAI_ARTIFACTS_URL="http://pods", SPLAI_ARTIFACTS_CLIENT_URL="http://laptop")

    assert (found.core.artifacts_url, found.artifacts_client_url) == ("http://pods", "http://laptop")


def test_the_gateway_is_found_by_its_service() -> None:
    assert settings().gateway_service == "splai-api-gateway"
    assert settings(SPLAI_GATEWAY_SERVICE="other").gateway_service == "other"


def test_engines_that_are_commands_of_splai_run_the_image_of_the_workers() -> None:
    core = settings(SPLAI_IMAGE="registry.example/splai:2").core

    assert core.image == core.engine_images.splai == "registry.example/splai:2"


def test_namespaces_are_a_comma_list() -> None:
    assert settings(SPLAI_WATCH_NAMESPACES="a, b,").watch_namespaces == ("a", "b")


def test_an_empty_variable_is_an_unset_one() -> None:
    assert settings(SPLAI_LEASE_NAME="", SPLAI_HEALTH_PORT="").lease_name == "splai-operator"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPLAI_RECONCILE_WORKERS", "0"),
        ("SPLAI_LEASE_SECONDS", "2"),
        ("SPLAI_HEALTH_PORT", "http"),
        ("SPLAI_IMAGE_PULL_POLICY", "Sometimes"),
        ("SPLAI_ARTIFACT_RETENTION", "30d"),
        ("SPLAI_ALLOW_PRIVATE_URLS", "yes"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name} is '{value}'"):
        settings(**{name: value})


def test_workers_send_their_spans_where_the_operator_sends_its_own() -> None:
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}

    assert settings().core.worker_variables == {}
    assert settings(**collector, OTEL_EXPORTER_OTLP_HEADERS="x=secret").core.worker_variables == collector


def test_policies_and_retention_have_defaults() -> None:
    found = settings()
    assert (found.policies_file, found.artifact_retention) == (None, timedelta(days=30))


@pytest.mark.parametrize(("value", "allowed"), [("", False), ("false", False), ("true", True)])
def test_urls_of_inputs_lead_to_the_node_only_if_the_administrator_says_so(value: str, allowed: bool) -> None:
    assert settings(SPLAI_ALLOW_PRIVATE_URLS=value).core.allow_private_urls is allowed


def test_policies_come_from_a_file() -> None:
    assert settings(SPLAI_POLICIES_FILE="/etc/splai/policies.yaml").policies_file == Path("/etc/splai/policies.yaml")
