"""From ``spec.output`` to a place."""

from pathlib import Path
from typing import Any

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from splai.api.job_output import Output
from splai.outputs.bucket import LEAST_PART, BucketFolder
from splai.outputs.destination import OutputProblem
from splai.outputs.opening import open_destination
from splai.outputs.volume import VolumeFolder


def output(**fields: Any) -> Output:
    return Output.model_validate(fields)


def bucket(spec: Output, *, expected_bytes: int = 0) -> BucketFolder:
    destination = open_destination(spec, "triage", expected_bytes=expected_bytes)
    assert isinstance(destination, BucketFolder)
    return destination


@pytest.mark.parametrize(
    ("spec", "uri"),
    [
        (output(), ""),
        (output(s3={"uri": "s3://bucket"}), "s3://bucket/triage/"),
        (output(s3={"uri": "s3://bucket/2026/"}), "s3://bucket/2026/triage/"),
        (output(gcs={"uri": "gs://bucket/2026"}), "gs://bucket/2026/triage/"),
        (output(azure={"uri": "az://account/container/2026"}), "az://account/container/2026/triage/"),
        (output(persistentVolumeClaim={"claimName": "results", "path": "2026/q1"}), "pvc://results/2026/q1/triage/"),
        (output(persistentVolumeClaim={"claimName": "results", "path": "."}), "pvc://results/triage/"),
    ],
)
def test_the_folder_of_a_jobs_files(spec: Output, uri: str) -> None:
    assert spec.folder_uri("triage") == uri


def test_files_are_named_after_their_format() -> None:
    assert (output().file_name("output"), output().file_name("errors")) == ("output.jsonl", "errors.jsonl")
    assert output(format="parquet").file_name("errors") == "errors.parquet"


def test_without_a_place_it_is_the_artifact_store() -> None:
    assert open_destination(output(format="parquet"), "triage", expected_bytes=0) is None


def test_a_claim_is_a_folder_below_its_mount(tmp_path: Path) -> None:
    spec = output(persistentVolumeClaim={"claimName": "results", "path": "2026"})
    destination = open_destination(spec, "triage", expected_bytes=0, mount=tmp_path)
    assert isinstance(destination, VolumeFolder)
    assert destination._folder == tmp_path / "2026/triage"


def test_s3_of_amazon_and_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    amazon = bucket(output(s3={"uri": "s3://bucket/2026", "region": "eu-central-1"}))._store
    other = bucket(output(s3={"uri": "s3://bucket", "endpoint": "http://minio.minio.svc:9000"}))._store
    assert isinstance(amazon, S3Store)
    assert isinstance(other, S3Store)
    assert (amazon.config.get("region"), amazon.config.get("endpoint")) == ("eu-central-1", None)
    assert (other.config.get("region"), other.config.get("endpoint")) == ("us-east-1", "http://minio.minio.svc:9000")
    styles = [str(store.config.get("virtual_hosted_style_request")) for store in (amazon, other)]
    assert styles == ["true", "false"]


@pytest.mark.parametrize(
    ("spec", "region"),
    [
        (output(s3={"uri": "s3://bucket"}), "eu-west-1"),
        (output(s3={"uri": "s3://bucket", "region": "eu-central-1"}), "eu-central-1"),
        (output(s3={"uri": "s3://bucket", "endpoint": "http://minio.minio.svc:9000"}), "us-east-1"),
    ],
)
def test_without_a_region_a_bucket_of_amazon_is_in_the_clusters_own(
    spec: Output, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert bucket(spec)._store.config.get("region") == region  # type: ignore[union-attr]


def test_a_region_that_would_lead_to_another_host_is_refused() -> None:
    with pytest.raises(OutputProblem, match=r"spec.output.s3.region is not the name of a region") as problem:
        bucket(output(s3={"uri": "s3://bucket", "region": "x@169.254.169.254/"}))
    assert (problem.value.reason, problem.value.may_pass) == ("OutputInvalid", False)


def test_google_and_azure_by_their_uris() -> None:
    google = bucket(output(gcs={"uri": "gs://bucket/2026"}))
    azure = bucket(output(azure={"uri": "az://account/container/2026"}))
    assert isinstance(google._store, GCSStore)
    assert isinstance(azure._store, AzureStore)
    assert (google._store.config.get("bucket"), google._prefix) == ("bucket", "2026/triage/")
    assert azure._store.config.get("account_name") == "account"
    assert (azure._store.config.get("container_name"), azure._prefix) == ("container", "2026/triage/")


@pytest.mark.parametrize(
    ("spec", "prefix"),
    [
        (output(s3={"uri": "s3://bucket/2026#q1/why?/50%"}), "2026#q1/why?/50%/triage/"),
        (output(gcs={"uri": "gs://bucket/?#"}), "?#/triage/"),
        (output(azure={"uri": "az://account/container/a?b#c"}), "a?b#c/triage/"),
    ],
)
def test_a_path_means_what_it_says_also_where_a_url_would_mean_something_else(spec: Output, prefix: str) -> None:
    assert bucket(spec)._prefix == prefix


IDENTITIES = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_STORAGE_ACCOUNT_KEY")
S3 = output(s3={"uri": "s3://bucket"})
AZURE = output(azure={"uri": "az://account/container"})


@pytest.mark.parametrize(
    ("spec", "environment", "is_signed"),
    [
        (S3, {}, False),
        (S3, {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}, True),
        (S3, {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "role"}, True),
        (AZURE, {}, False),
        (AZURE, {"AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}, True),
    ],
)
def test_without_an_identity_of_its_own_a_pod_does_not_use_the_nodes(
    spec: Output, environment: dict[str, str], is_signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in IDENTITIES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store = bucket(spec)._store
    assert isinstance(store, S3Store | AzureStore)
    assert str(dict(store.config)["skip_signature"]) == ("false" if is_signed else "true")


def test_parts_grow_with_the_file_because_their_number_has_a_limit() -> None:
    spec = output(s3={"uri": "s3://bucket"})
    assert bucket(spec, expected_bytes=10**9)._part_bytes == LEAST_PART
    assert bucket(spec, expected_bytes=10**12)._part_bytes * 9_000 >= 10**12


@pytest.mark.parametrize("uri", ["s3://bucket/a//b", "s3://bucket/../b", "s3://bucket/./b"])
def test_a_path_that_no_store_has_can_never_work(uri: str) -> None:
    with pytest.raises(OutputProblem, match="empty segment") as problem:
        open_destination(output(s3={"uri": uri}), "triage", expected_bytes=0)
    assert not problem.value.may_pass
