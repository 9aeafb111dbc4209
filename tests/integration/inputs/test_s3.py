"""Inputs in a real S3: objects, prefixes, credentials, and an object that is replaced while it is read."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from splai.api.job_input import Input
from splai.api.ledger import InputManifest, Validation
from splai.inputs import s3
from splai.inputs.errors import SourceUnusable
from splai.inputs.reading import read_input
from splai.inputs.sources import open_source
from tests.integration.minio import Minio
from tests.integration.pod_identity import pod_identity
from tests.unit.inputs.reading_site import MemoryChunks, make_order


@pytest.fixture
def environment(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """As secretRef gives it to the pod."""
    variables = {
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        "SPLAI_ALLOW_PRIVATE_URLS": "true",  # MinIO is on loopback here
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def source(minio: Minio, uri: str) -> dict[str, Any]:
    return {"s3": {"uri": uri, "endpoint": minio.endpoint}}


def read(minio: Minio, uri: str, environment: dict[str, str]) -> tuple[InputManifest | Validation, list[Any]]:
    """What the reading led to, and the records."""
    order = make_order(source={"persistentVolumeClaim": None, **source(minio, uri)})
    store = MemoryChunks()
    result = read_input(order, lambda: open_source(order.input, environment), store, attempt="a")
    return result, [json.loads(line) for line in store.lines(result)] if isinstance(result, InputManifest) else []


def lines(count: int, *, size: int = 0) -> bytes:
    return b"".join(b'{"text": "question %d%s"}\n' % (number, b"x" * size) for number in range(count))


def test_an_object_of_several_parts_is_read(minio: Minio, environment: dict[str, str]) -> None:
    bucket = minio.make_bucket()
    content = lines(5000, size=2000)
    assert len(content) > 2 * s3.PART_BYTES
    obstore.put(minio.store(bucket), "days/a b+c%20d.jsonl", content)
    result, records = read(minio, f"s3://{bucket}/days/a b+c%20d.jsonl", environment)
    assert isinstance(result, InputManifest), result
    assert len(records) == 5000
    (identity,) = result.sources
    assert (identity.uri, identity.bytes) == (f"s3://{bucket}/days/a b+c%20d.jsonl", len(content))
    assert identity.etag
    assert identity.sha256


def test_all_objects_below_a_prefix_are_read_in_the_order_of_their_keys(
    minio: Minio, environment: dict[str, str]
) -> None:
    bucket = minio.make_bucket()
    store = minio.store(bucket)
    table = io.BytesIO()
    pq.write_table(pa.table({"text": ["from a table"]}), table)
    obstore.put(store, "day/1.jsonl.gz", gzip.compress(b'{"text": "first"}\n'))
    obstore.put(store, "day/2.parquet", table.getvalue())
    obstore.put(store, "day/deep/3.csv", b"text\nlast\n")
    obstore.put(store, "day/_SUCCESS", b"")
    obstore.put(store, "day2.jsonl", b"not below it")
    result, records = read(minio, f"s3://{bucket}/day/", environment)
    assert isinstance(result, InputManifest), result
    assert records == [{"text": "first"}, {"text": "from a table"}, {"text": "last"}]
    assert [it.uri.rpartition("/")[2] for it in result.sources] == ["1.jsonl.gz", "2.parquet", "3.csv"]


@pytest.mark.parametrize("key", ["absent.jsonl", "absent/"])
def test_what_is_not_there_is_not_found(minio: Minio, environment: dict[str, str], key: str) -> None:
    result, _ = read(minio, f"s3://{minio.make_bucket()}/{key}", environment)
    assert isinstance(result, Validation)
    assert result.reason == "InputNotFound"


@pytest.mark.parametrize("key", ["a.jsonl", "a/"])
def test_a_bucket_that_is_not_there_is_not_found(minio: Minio, environment: dict[str, str], key: str) -> None:
    result, _ = read(minio, f"s3://no-such-bucket-of-anybody/{key}", environment)
    assert isinstance(result, Validation)
    assert result.reason == "InputNotFound"


@pytest.mark.parametrize("key", ["a.jsonl", "days/"])
@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_forbidden(
    minio: Minio, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, variable: str, key: str
) -> None:
    bucket = minio.make_bucket()
    obstore.put(minio.store(bucket), key.rstrip("/") + "/a" if key.endswith("/") else key, lines(1))
    monkeypatch.setenv(variable, "wrong")
    result, _ = read(minio, f"s3://{bucket}/{key}", environment | {variable: "wrong"})
    assert isinstance(result, Validation)
    assert result.reason == "InputForbidden"
    assert "wrong" not in result.problems[0]


def test_without_credentials_a_private_bucket_is_forbidden(
    minio: Minio, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = minio.make_bucket()
    obstore.put(minio.store(bucket), "a.jsonl", lines(1))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    result, _ = read(minio, f"s3://{bucket}/a.jsonl", {"SPLAI_ALLOW_PRIVATE_URLS": "true"})
    assert isinstance(result, Validation)
    assert result.reason == "InputForbidden"


@pytest.fixture
def identity(minio: Minio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, str]]:
    """As a ServiceAccount gives it to the pod: a mounted token instead of a Secret's keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pod_identity(minio, tmp_path) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield {**variables, "SPLAI_ALLOW_PRIVATE_URLS": "true"}


@pytest.mark.parametrize("key", ["days/a.jsonl", "days/"])
def test_without_a_secret_the_identity_of_the_service_account_opens_the_bucket(
    minio: Minio, identity: dict[str, str], key: str
) -> None:
    bucket = minio.make_bucket()
    obstore.put(minio.store(bucket), "days/a.jsonl", lines(3))
    result, records = read(minio, f"s3://{bucket}/{key}", identity)
    assert isinstance(result, InputManifest), result
    assert len(records) == 3


def test_an_identity_that_is_not_known_is_forbidden(minio: Minio, identity: dict[str, str], tmp_path: Path) -> None:
    bucket = minio.make_bucket()
    obstore.put(minio.store(bucket), "a.jsonl", lines(1))
    (tmp_path / "token").write_text("of somebody else")
    result, _ = read(minio, f"s3://{bucket}/a.jsonl", identity)
    assert isinstance(result, Validation)
    assert result.reason == "InputForbidden"


@pytest.mark.parametrize("change", ["write", "remove"])
def test_an_object_that_changes_while_it_is_read_is_told(
    minio: Minio, environment: dict[str, str], change: str
) -> None:
    bucket = minio.make_bucket()
    store = minio.store(bucket)
    content = lines(4000, size=2000)
    obstore.put(store, "a.jsonl", content)
    (file,) = open_source(Input.model_validate(source(minio, f"s3://{bucket}/a.jsonl")), environment)
    reading = iter(file.read())
    next(reading)
    if change == "write":
        obstore.put(store, "a.jsonl", content.replace(b"x", b"y"))
    else:
        obstore.delete(store, "a.jsonl")
    with pytest.raises(SourceUnusable) as caught:
        list(reading)
    assert caught.value.reason == "InputChanged"
