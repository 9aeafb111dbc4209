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
        "SPLAI_GATEWAY_TOKEN_FILE": "/bearer",
        "SPLAI_GATEWAY_MAX_IN_FLIGHT": "5",
        "SPLAI_GATEWAY_MAX_HELD": "0",
        "SPLAI_GATEWAY_MAX_HOLD_SECONDS": "7",
        "SPLAI_GATEWAY_CACHE_BYTES": "1024",
        "REDIS_URL": "redis://cache:6379",
        "SPLAI_GATEWAY_ACCESS_LOG": "false",
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
        token_file=Path("/bearer"),
        max_in_flight=5,
        max_held=0,
        max_hold_seconds=7,
        cache_bytes=1024,
        redis_url="redis://cache:6379",
        access_log=False,
        log_level="DEBUG",
        title="Support Desk IT Service Agent",
        description="OpenAI-compatible API for IT support chatbot training",
    )


@pytest.mark.parametrize("port", ["http", "-1", "65536", "1.5"])
def test_a_wrong_port_is_refused_by_name(port: str) -> None:
    with pytest.raises(ValueError, match="SPLAI_GATEWAY_PORT"):
        GatewaySettings.from_environment({"SPLAI_GATEWAY_PORT": port})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPLAI_GATEWAY_MAX_IN_FLIGHT", "many"),
        ("SPLAI_GATEWAY_MAX_HELD", "-1"),
        ("SPLAI_GATEWAY_MAX_HOLD_SECONDS", "60s"),
        ("SPLAI_GATEWAY_CACHE_BYTES", "64Mi"),
        ("SPLAI_GATEWAY_ACCESS_LOG", "yes"),
        ("REDIS_URL", "cache:6379"),
    ],
)
def test_another_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        GatewaySettings.from_environment({name: value})


def test_a_wrong_redis_url_is_not_repeated_for_it_may_hold_a_password() -> None:
    with pytest.raises(ValueError, match="REDIS_URL") as caught:
        GatewaySettings.from_environment({"REDIS_URL": "http://:s3cret@cache"})

    assert "s3cret" not in str(caught.value)


def test_the_token_is_what_its_file_holds(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")

    assert GatewaySettings(token_file=tmp_path / "token").token() == "abc"
    assert GatewaySettings().token() == ""


def test_an_empty_token_file_lets_nobody_in_by_mistake(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")

    with pytest.raises(ValueError, match="SPLAI_GATEWAY_TOKEN_FILE"):
        GatewaySettings(token_file=tmp_path / "token").token()
