"""Settings are read from the environment, and a wrong one is named."""

from pathlib import Path

import pytest

from splai.gateway.settings import GatewaySettings


def test_an_empty_environment_means_the_installed_gateway() -> None:
    assert GatewaySettings.from_environment({}) == GatewaySettings(
        namespaces=(),
        port=8080,
        metrics_port=9464,
        artifacts_url="http://splai-artifacts.splai-system.svc:8080",
        artifacts_token_file=Path("/var/run/secrets/splai/token"),
        log_level="INFO",
        title="SPLAI Inference Gateway",
        description="OpenAI-compatible API for the models of a Kubernetes cluster",
    )


def test_every_variable_is_read() -> None:
    environment = {
        "SPLAI_WATCH_NAMESPACES": "a, b,,a",
        "SPLAI_GATEWAY_PORT": "8081",
        "SPLAI_METRICS_PORT": "0",
        "SPLAI_ARTIFACTS_CLIENT_URL": "http://127.0.0.1:1",
        "SPLAI_ARTIFACTS_TOKEN_FILE": "/token",
        "SPLAI_LOG_LEVEL": "DEBUG",
        "SPLAI_GATEWAY_TITLE": "Support Desk IT Service Agent",
        "SPLAI_GATEWAY_DESCRIPTION": "OpenAI-compatible API for IT support chatbot training",
    }

    assert GatewaySettings.from_environment(environment) == GatewaySettings(
        namespaces=("a", "b"),
        port=8081,
        metrics_port=0,
        artifacts_url="http://127.0.0.1:1",
        artifacts_token_file=Path("/token"),
        log_level="DEBUG",
        title="Support Desk IT Service Agent",
        description="OpenAI-compatible API for IT support chatbot training",
    )


@pytest.mark.parametrize("port", ["http", "-1", "65536", "1.5"])
def test_a_wrong_port_is_refused_by_name(port: str) -> None:
    with pytest.raises(ValueError, match="SPLAI_GATEWAY_PORT"):
        GatewaySettings.from_environment({"SPLAI_GATEWAY_PORT": port})
