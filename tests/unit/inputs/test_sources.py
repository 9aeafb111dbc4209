"""Which files an input has, by its kind."""

from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from splai.api.job_input import Input
from splai.inputs import sources
from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.http import HTTPFile
from splai.inputs.sources import open_source
from tests.unit.inputs.file_server import FileServer, serve_file
from tests.unit.inputs.reading_site import HASTE
from tests.unit.inputs.test_failed_records import EarlierJob, texts


def opened(source: dict[str, Any], environment: dict[str, str] | None = None, **options: Any) -> list[Any]:
    return list(open_source(Input.model_validate(source), environment or {}, patience=HASTE, **options))


def test_a_volume_is_where_it_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (file,) = opened({"persistentVolumeClaim": {"claimName": "data", "path": "a"}}, volume=tmp_path)
    assert list(file.read()) == [b"content"]


def test_a_bucket_is_opened_with_what_the_spec_and_the_environment_say(monkeypatch: pytest.MonkeyPatch) -> None:
    store, seen = MemoryStore(), []
    obstore.put(store, "a", b"content")

    def open_bucket(source: Any, environment: Any, guard: Any) -> MemoryStore:
        seen.append((source.endpoint, environment))
        return store

    monkeypatch.setattr(sources, "open_bucket", open_bucket)
    (file,) = opened({"s3": {"uri": "s3://bucket/a", "endpoint": "http://minio:9000"}}, {"AWS_ACCESS_KEY_ID": "k"})
    assert list(file.read()) == [b"content"]
    assert seen == [("http://minio:9000", {"AWS_ACCESS_KEY_ID": "k"})]


def test_a_url_is_read_with_the_secrets_authorization(web: FileServer) -> None:
    web.answer = serve_file(b"content")
    environment = {"AUTHORIZATION": "Bearer token\n", "SPLAI_ALLOW_PRIVATE_URLS": "true"}
    (file,) = opened({"http": {"url": f"{web.url}/a.csv?token=x", "sha256": "0" * 64}}, environment)
    assert isinstance(file, HTTPFile)
    with file.client:
        assert list(file.read()) == [b"content"]
    assert (file.name, file.wanted_sha256) == ("a.csv", "0" * 64)
    assert web.requests[0].headers["authorization"] == "Bearer token"
    assert "token" not in repr(file)


@pytest.mark.parametrize("source", [{"http": {"url": "http://host/a"}}, {"huggingFace": {"dataset": "a/b"}}])
def test_a_secret_that_no_header_can_hold_is_told_without_it(source: dict[str, Any]) -> None:
    value = "Bearer t\noken"
    with pytest.raises(SourceUnusable, match="cannot be sent in a header") as caught:
        opened(source, {"AUTHORIZATION": value, "HF_TOKEN": value})
    assert (caught.value.reason, "oken" in str(caught.value)) == ("InputForbidden", False)


@pytest.mark.parametrize(
    "url", ["http://[", "http://host:port/a", "http://a\\b..c/", "http://xn--/", "http://" + "a" * 300]
)
def test_a_url_that_cannot_be_one_is_told(url: str) -> None:
    with pytest.raises((SourceUnusable, SourceUnavailable)) as caught:
        _ = [list(file.read()) for file in opened({"http": {"url": url}})]
    assert isinstance(caught.value, SourceUnusable) or "cannot be read" in str(caught.value)


def test_the_machine_itself_is_refused_unless_the_configuration_says_otherwise(web: FileServer) -> None:
    (file,) = opened({"http": {"url": f"{web.url}/a.csv"}})
    with file.client, pytest.raises(SourceUnusable):
        list(file.read())
    with pytest.raises(SourceUnusable):
        opened({"s3": {"uri": "s3://bucket/a", "endpoint": web.url}})
    with pytest.raises(SourceUnusable):
        opened({"huggingFace": {"dataset": "a/b", "endpoint": web.url}})


def test_the_failed_records_of_a_job_are_read_from_its_folder() -> None:
    job = EarlierJob(texts(1))
    job.end()
    (file,) = opened({"failedOf": {"name": "first"}}, earlier=job.get)
    assert file.uri == "inferencejob://team/first/uid-1"


@pytest.mark.parametrize("source", [{"text": "a"}, {"failedOf": {"name": "first"}}])
def test_what_the_pod_cannot_read_is_refused(source: dict[str, Any]) -> None:
    with pytest.raises(SourceUnusable):
        opened(source)
