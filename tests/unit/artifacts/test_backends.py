"""Which store the settings open."""

from pathlib import Path

import pytest
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from splai.artifacts.backends import open_store
from splai.artifacts.settings import MinioSettings, Settings


def opened(**settings: object) -> ObjectStore:
    store, space = open_store(Settings(**settings))  # type: ignore[arg-type]
    assert space is None, "nobody can tell the room of a bucket"
    return store


def test_a_directory_is_made_and_measured(tmp_path: Path) -> None:
    store, space = open_store(Settings(root=tmp_path / "new"))
    assert isinstance(store, LocalStore)
    assert (tmp_path / "new").is_dir()
    assert space is not None
    assert space().free > 0


def test_minio() -> None:
    minio = MinioSettings(endpoint="minio:9000", bucket="splai", access_key="a", secret_key="b")
    store = opened(backend="minio", minio=minio)
    assert isinstance(store, S3Store)
    assert (store.config["bucket"], store.config["endpoint"]) == ("splai", "http://minio:9000")


def test_the_clouds_buckets() -> None:
    s3 = opened(backend="s3", bucket="s3://bucket/a/b/")
    gcs = opened(backend="gcs", bucket="gs://bucket")
    azure = opened(backend="azure", bucket="az://account/container/a")
    assert isinstance(s3, S3Store)
    assert isinstance(gcs, GCSStore)
    assert isinstance(azure, AzureStore)
    assert (s3.config["bucket"], s3.prefix) == ("bucket", "a/b")
    assert (gcs.config["bucket"], gcs.prefix) == ("bucket", None)
    assert (azure.config["account_name"], azure.config["container_name"], azure.prefix) == ("account", "container", "a")


def test_a_prefix_means_what_it_says_also_where_a_url_would_mean_something_else() -> None:
    store = opened(backend="s3", bucket="s3://bucket/a#b/c?d")
    assert isinstance(store, S3Store)
    assert store.prefix == "a#b/c?d"


def test_a_credential_that_cannot_be_read_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", '{"private": "a-secret"}')
    with pytest.raises(ValueError, match="the backend gcs cannot be opened: GenericError") as invalid:
        open_store(Settings(backend="gcs", bucket="gs://bucket"))
    assert "a-secret" not in str(invalid.value)
