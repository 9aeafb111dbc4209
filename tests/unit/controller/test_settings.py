"""Settings come from the environment; a wrong one is named."""

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


def test_namespaces_are_a_comma_list() -> None:
    assert settings(SPLAI_WATCH_NAMESPACES="a, b,").watch_namespaces == ("a", "b")


def test_an_empty_variable_is_an_unset_one() -> None:
    assert settings(SPLAI_LEASE_NAME="", SPLAI_HEALTH_PORT="").lease_name == "splai-operator"


@pytest.mark.parametrize(
    ("name", "value"),
    [("SPLAI_RECONCILE_WORKERS", "0"), ("SPLAI_HEALTH_PORT", "http"), ("SPLAI_IMAGE_PULL_POLICY", "Sometimes")],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name} is '{value}'"):
        settings(**{name: value})
