"""Finished files in a real S3: whole or not there, in bounded memory, and with words for what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import obstore
import pytest

from splai.api.job_output import Output
from splai.outputs.destination import Destination, OutputProblem
from splai.outputs.opening import open_destination
from tests.integration.minio import REGION, Minio
from tests.integration.outputs.multipart_uploads import unfinished_uploads
from tests.integration.pod_identity import pod_identity

MEBIBYTE = bytes(1024 * 1024)


@pytest.fixture
def bucket(minio: Minio) -> str:
    return minio.make_bucket()


@pytest.fixture(autouse=True)
def credentials(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kubelet puts those of the Secret into the pod."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", minio.secret_key)


def folder_in(minio: Minio, bucket: str) -> Destination:
    s3 = {"uri": f"s3://{bucket}/2026", "endpoint": minio.endpoint, "region": REGION}
    destination = open_destination(Output.model_validate({"s3": s3}), "triage", expected_bytes=0)
    assert destination is not None
    return destination


def source(*chunks: bytes, failure: Exception | None = None) -> Callable[[], AsyncIterator[bytes]]:
    async def produce() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if failure:
            raise failure

    return produce


def objects(minio: Minio, bucket: str) -> dict[str, int]:
    return {entry["path"]: entry["size"] for page in obstore.list(minio.store(bucket)) for entry in page}


async def test_a_small_and_a_large_and_an_empty_file(minio: Minio, bucket: str) -> None:
    folder = folder_in(minio, bucket)
    await folder.write("output.jsonl", source(*[MEBIBYTE] * 30))
    await folder.write("errors.jsonl", source(b"{}\n"))
    await folder.write("output.parquet", source())
    assert objects(minio, bucket) == {
        "2026/triage/output.jsonl": 30 * 1024 * 1024,
        "2026/triage/errors.jsonl": 3,
        "2026/triage/output.parquet": 0,
    }
    assert obstore.get(minio.store(bucket), "2026/triage/errors.jsonl").bytes() == b"{}\n"


async def test_without_a_secret_the_identity_of_the_service_account_writes(
    minio: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pod_identity(minio, tmp_path) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        folder = folder_in(minio, bucket)
        await folder.write("output.jsonl", source(*[MEBIBYTE] * 20))
        await folder.remove("errors.jsonl")
    assert objects(minio, bucket) == {"2026/triage/output.jsonl": 20 * 1024 * 1024}


async def test_a_source_that_breaks_off_leaves_the_old_file_and_no_upload(minio: Minio, bucket: str) -> None:
    folder = folder_in(minio, bucket)
    await folder.write("output.jsonl", source(b"old\n"))
    with pytest.raises(RuntimeError, match="broke off"):
        await folder.write("output.jsonl", source(*[MEBIBYTE] * 30, failure=RuntimeError("broke off")))
    assert objects(minio, bucket) == {"2026/triage/output.jsonl": 4}
    assert unfinished_uploads(minio, bucket) == []


async def test_an_upload_that_is_cancelled_is_aborted(minio: Minio, bucket: str) -> None:
    under_way = asyncio.Event()

    async def produce() -> AsyncIterator[bytes]:
        while True:
            yield MEBIBYTE
            if unfinished_uploads(minio, bucket):
                under_way.set()
                await asyncio.sleep(0)

    writing = asyncio.create_task(folder_in(minio, bucket).write("output.jsonl", produce))
    await asyncio.wait_for(under_way.wait(), 30)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert unfinished_uploads(minio, bucket) == []
    assert objects(minio, bucket) == {}


async def test_a_file_of_an_earlier_job_is_removed(minio: Minio, bucket: str) -> None:
    folder = folder_in(minio, bucket)
    await folder.write("errors.jsonl", source(b"{}\n"))
    for _ in range(2):
        await folder.remove("errors.jsonl")
    assert objects(minio, bucket) == {}


async def test_a_bucket_that_is_not_there(minio: Minio) -> None:
    with pytest.raises(OutputProblem, match=r"^s3://no-such/2026/triage/: there is no such bucket \(NoSuchBucket\)$"):
        await folder_in(minio, "no-such").write("output.jsonl", source(b"{}\n"))


@pytest.mark.parametrize(
    ("variable", "code"),
    [("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"), ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch")],
)
async def test_credentials_that_are_wrong(
    minio: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch, variable: str, code: str
) -> None:
    monkeypatch.setenv(variable, "wrong-credential")
    with pytest.raises(OutputProblem) as problem:
        await folder_in(minio, bucket).write("output.jsonl", source(b"{}\n"))
    assert problem.value.reason == "OutputForbidden"
    assert str(problem.value).endswith(f"the credentials do not allow to write here ({code})")
    assert "wrong-credential" not in str(problem.value)
