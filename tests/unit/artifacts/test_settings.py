from pathlib import Path

import pytest

from splai.artifacts.settings import Settings


def test_defaults() -> None:
    settings = Settings.from_environment({})
    assert (settings.root, settings.port, settings.metrics_port) == (Path("/var/lib/splai/artifacts"), 8080, 9464)
    assert (settings.trusted, settings.readers, settings.issuer, settings.jwks_uri) == (
        frozenset(),
        frozenset(),
        None,
        None,
    )


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            "SPLAI_ARTIFACTS_ROOT": "/data",
            "SPLAI_ARTIFACTS_PORT": "81",
            "SPLAI_METRICS_PORT": "82",
            "SPLAI_TRUSTED_SERVICE_ACCOUNTS": "splai-system/operator, other/operator,",
            "SPLAI_READER_SERVICE_ACCOUNTS": "splai-system/gateway",
            "SPLAI_OIDC_ISSUER": "https://issuer",
            "SPLAI_OIDC_JWKS_URI": "https://issuer/keys",
            "SPLAI_LOG_LEVEL": "DEBUG",
        }
    )
    assert settings == Settings(
        root=Path("/data"),
        port=81,
        metrics_port=82,
        trusted=frozenset({"splai-system/operator", "other/operator"}),
        readers=frozenset({"splai-system/gateway"}),
        issuer="https://issuer",
        jwks_uri="https://issuer/keys",
        log_level="DEBUG",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPLAI_ARTIFACTS_PORT", "http"),
        ("SPLAI_METRICS_PORT", "70000"),
        ("SPLAI_TRUSTED_SERVICE_ACCOUNTS", "operator"),
        ("SPLAI_READER_SERVICE_ACCOUNTS", "a/b/c"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({name: value})
