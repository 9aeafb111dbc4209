"""Weights in a real S3: one object, all objects below a prefix, and credentials that are refused."""

from collections.abc import Callable
from pathlib import Path

import obstore
import pytest

from splai.api.storage import S3Endpoint
from splai.weights.command import fetch
from splai.weights.remote import Order
from tests.integration.minio import Minio

SHARD = bytes(range(256)) * 40_000  # more than one part of a download
FILES = {"config.json": b"{}", "model-00001-of-00002.safetensors": SHARD, "sub/model-00002-of-00002.safetensors": b"2"}

Run = Callable[[Order], tuple[int, str]]


@pytest.fixture
def bucket(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", minio.secret_key)
    bucket = minio.make_bucket()
    for path, content in FILES.items():
        obstore.put(minio.store(bucket), f"models/llama/{path}", content)
    obstore.put(minio.store(bucket), "models/llama-other/config.json", b"another model's")
    return bucket


@pytest.fixture
def run(tmp_path: Path, minio: Minio) -> Run:
    def run(order: Order) -> tuple[int, str]:
        log = tmp_path / "log"
        log.write_text("")
        environment = {
            "AWS_ACCESS_KEY_ID": "set",  # whom obstore reads from the process's own environment
            "SPLAI_ALLOW_PRIVATE_URLS": "true",  # MinIO is on loopback here
        }
        return fetch(order, tmp_path / "weights", environment, termination_log=log), log.read_text()

    return run


def found(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "weights"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def at(minio: Minio) -> S3Endpoint:
    return S3Endpoint(endpoint=minio.endpoint)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_prefix_is_a_folder(run: Run, bucket: str, minio: Minio, tmp_path: Path, slash: str) -> None:
    assert run(Order(source=f"s3://{bucket}/models/llama{slash}", s3=at(minio))) == (0, "")
    assert found(tmp_path) == FILES


def test_one_object_is_one_file(run: Run, bucket: str, minio: Minio, tmp_path: Path) -> None:
    source = f"s3://{bucket}/models/llama/model-00001-of-00002.safetensors"

    assert run(Order(source=source, file="m.gguf", s3=at(minio))) == (0, "")
    assert found(tmp_path) == {"m.gguf": SHARD}


def test_what_is_not_there_is_said(run: Run, bucket: str, minio: Minio) -> None:
    code, message = run(Order(source=f"s3://{bucket}/models/none", s3=at(minio)))

    assert (code, message) == (1, f"there is no object below s3://{bucket}/models/none/")


def test_refused_credentials_name_their_field(
    run: Run, bucket: str, minio: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    code, message = run(Order(source=f"s3://{bucket}/models/llama", s3=at(minio)))

    assert code == 1
    assert message.endswith("credentials are missing or refused, see spec.model.credentials")
