from pathlib import Path

import pytest

from splai.artifacts.settings import MinioSettings, Settings


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


MINIO = {
    "SPLAI_ARTIFACT_BACKEND": "minio",
    "SPLAI_MINIO_ENDPOINT": "minio:9000",
    "SPLAI_MINIO_ACCESS_KEY": "key",
    "SPLAI_MINIO_SECRET_KEY": "a-secret",
    "SPLAI_MINIO_BUCKET": "splai",
}


def test_minio_by_its_variables() -> None:
    settings = Settings.from_environment(MINIO)
    assert settings.minio == MinioSettings(
        endpoint="minio:9000", bucket="splai", access_key="key", secret_key="a-secret", use_ssl=False
    )
    assert settings.minio.url == "http://minio:9000"
    assert "a-secret" not in repr(settings)


def test_minio_over_tls() -> None:
    minio = Settings.from_environment(MINIO | {"SPLAI_MINIO_USE_SSL": "True"}).minio
    assert minio is not None
    assert minio.url == "https://minio:9000"


@pytest.mark.parametrize(
    ("backend", "uri"),
    [("s3", "s3://bucket"), ("s3", "s3://bucket/a/b"), ("gcs", "gs://bucket/a"), ("azure", "az://account/container/a")],
)
def test_a_clouds_bucket_by_its_uri(backend: str, uri: str) -> None:
    settings = Settings.from_environment({"SPLAI_ARTIFACT_BACKEND": backend, "SPLAI_ARTIFACT_BUCKET": uri})
    assert (settings.backend, settings.bucket) == (backend, uri)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SPLAI_ARTIFACT_BACKEND": "ftp"}, "SPLAI_ARTIFACT_BACKEND"),
        ({"SPLAI_MINIO_ENDPOINT": "http://minio:9000"}, "SPLAI_MINIO_ENDPOINT"),
        ({"SPLAI_MINIO_BUCKET": ""}, "SPLAI_MINIO_BUCKET"),
        ({"SPLAI_MINIO_SECRET_KEY": ""}, "SPLAI_MINIO_SECRET_KEY"),
        ({"SPLAI_MINIO_USE_SSL": "perhaps"}, "SPLAI_MINIO_USE_SSL"),
        ({"SPLAI_ARTIFACT_BACKEND": "s3"}, "SPLAI_ARTIFACT_BUCKET must be like s3://bucket/prefix"),
        ({"SPLAI_ARTIFACT_BACKEND": "gcs", "SPLAI_ARTIFACT_BUCKET": "s3://b"}, "like gs://bucket/prefix"),
        ({"SPLAI_ARTIFACT_BACKEND": "azure", "SPLAI_ARTIFACT_BUCKET": "az://account"}, "like az://account/container"),
    ],
)
def test_a_backend_that_cannot_be_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named) as invalid:
        Settings.from_environment(MINIO | changes)
    assert "a-secret" not in str(invalid.value)
