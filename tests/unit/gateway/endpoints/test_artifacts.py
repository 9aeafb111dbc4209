"""A job's files through the gateway, from a real artifact server that knows the gateway's token."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from splai.api.ledger import Commit, PartLine, TaskCounts, commit_path, part_path
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from tests.unit.artifacts.conftest import GATEWAY, Server, cluster, job_token, server, service_token
from tests.unit.gateway.conftest import Gateway, running_gateway

__all__ = ["cluster", "server"]  # fixtures

JOB = "/v1/artifacts/team-a/uid-1"
LINES = b'{"custom_id":"1"}\n{"custom_id":"2"}\n'


@pytest.fixture
async def folder(server: Server, tmp_path: Path) -> AsyncIterator[HTTPJobFolder]:
    """The job's folder as its worker sees it."""
    (tmp_path / "job-token").write_text(job_token())
    async with ArtifactClient(server.url, tmp_path / "job-token") as client:
        yield client.job("team-a", "uid-1")


@pytest.fixture
async def gateway(server: Server) -> AsyncIterator[Gateway]:
    async with server.client(service_token(GATEWAY)) as store, running_gateway(store=store) as gateway:
        yield gateway


async def call(gateway: Gateway, path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
    async with gateway.http() as http:
        return await http.request(method, path, headers=headers)


def part(*lines: tuple[int, str]) -> bytes:
    records = [
        PartLine.model_validate({"position": at, "kind": kind, "line": {"custom_id": str(at)}}) for at, kind in lines
    ]
    return b"".join(record.model_dump_json().encode() + b"\n" for record in records)


async def commit(folder: HTTPJobFolder, task: str, *parts: bytes) -> None:
    for number, content in enumerate(parts):
        await folder.create(part_path(task, 1, number), content)
    names = [f"1-{number}" for number in range(len(parts))]
    document = Commit(worker="w", nonce="n", parts=names, counts=TaskCounts())
    await folder.create(commit_path(task), document.model_dump_json().encode())


@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai"])
@pytest.mark.parametrize("name", ["output.jsonl", "errors.jsonl"])
async def test_a_finished_file(gateway: Gateway, folder: HTTPJobFolder, prefix: str, name: str) -> None:
    await folder.put(name, LINES)

    reply = await call(gateway, f"{prefix}/artifacts/team-a/uid-1/{name}")

    assert reply.status_code == 200
    assert reply.content == LINES
    assert reply.headers["Content-Type"] == "application/jsonl"
    assert reply.headers["Content-Length"] == str(len(LINES))
    assert reply.headers["ETag"]


async def test_a_finished_file_of_columns(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await folder.put("errors.parquet", b"PAR1")

    reply = await call(gateway, f"{JOB}/errors.parquet")

    assert (reply.status_code, reply.content) == (200, b"PAR1")
    assert reply.headers["Content-Type"] == "application/vnd.apache.parquet"


async def test_a_large_file_is_streamed(gateway: Gateway, folder: HTTPJobFolder) -> None:
    content = LINES * 200_000
    await folder.put("output.jsonl", content)

    assert (await call(gateway, f"{JOB}/output.jsonl")).content == content


async def test_a_range_of_a_file(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await call(gateway, f"{JOB}/output.jsonl", Range="bytes=18-34")

    assert reply.status_code == 206
    assert reply.content == LINES[18:35]
    assert reply.headers["Content-Range"] == f"bytes 18-34/{len(LINES)}"


async def test_a_conditional_range_gets_the_whole_file(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await call(gateway, f"{JOB}/output.jsonl", **{"Range": "bytes=18-", "If-Range": '"older"'})

    assert reply.status_code == 200
    assert reply.content == LINES


async def test_a_range_beyond_the_end_is_416(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await call(gateway, f"{JOB}/output.jsonl", Range="bytes=1000-")

    assert reply.status_code == 416
    assert reply.json()["error"]["code"] == "range_not_satisfiable"


async def test_head_of_a_file(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await call(gateway, f"{JOB}/output.jsonl", method="HEAD")

    assert reply.status_code == 200
    assert reply.headers["Content-Length"] == str(len(LINES))
    assert reply.headers["Content-Type"] == "application/jsonl"


@pytest.mark.parametrize(
    "path",
    [
        f"{JOB}/output.jsonl",
        f"{JOB}/tasks/0000/output.jsonl",
        f"{JOB}/tasks/..%2F/output.jsonl",
        "/v1/artifacts/team-a/../output.jsonl",
        "/v1/artifacts/TEAM/uid-1/output.jsonl",
        f"{JOB}/plan.json",
        f"{JOB}/",
        f"{JOB}/?list=",
        JOB,
    ],
)
async def test_what_is_not_there_or_not_for_callers_is_404(gateway: Gateway, folder: HTTPJobFolder, path: str) -> None:
    await folder.create("plan.json", b"{}")

    reply = await call(gateway, path)

    assert reply.status_code == 404
    assert reply.json()["error"].keys() == {"message", "type", "param", "code"}


async def test_the_lines_of_a_committed_task(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await commit(folder, "0001", part((12, "output"), (10, "output")), part((11, "error"), (10, "error")))

    output = await call(gateway, f"{JOB}/tasks/0001/output.jsonl")
    errors = await call(gateway, f"{JOB}/tasks/0001/errors.jsonl")

    assert output.content == b'{"custom_id":"10"}\n{"custom_id":"12"}\n'
    assert errors.content == b'{"custom_id":"11"}\n'
    assert output.headers["Content-Type"] == errors.headers["Content-Type"] == "application/jsonl"


async def test_a_task_without_errors_has_an_empty_errors_file(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await commit(folder, "0001", part((10, "output")))

    reply = await call(gateway, f"{JOB}/tasks/0001/errors.jsonl")

    assert reply.status_code == 200
    assert reply.content == b""


async def test_a_task_that_is_not_committed_is_404(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await folder.create(part_path("0001", 1, 0), part((10, "output")))

    assert (await call(gateway, f"{JOB}/tasks/0001/output.jsonl")).status_code == 404


async def test_head_of_a_task(gateway: Gateway, folder: HTTPJobFolder) -> None:
    await commit(folder, "0001", part((10, "output")))

    assert (await call(gateway, f"{JOB}/tasks/0001/output.jsonl", method="HEAD")).status_code == 200
    assert (await call(gateway, f"{JOB}/tasks/0002/output.jsonl", method="HEAD")).status_code == 404


async def test_other_namespaces_than_the_gateways_are_404(server: Server, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    async with (
        server.client(service_token(GATEWAY)) as store,
        running_gateway(store=store, namespaces=("b",)) as gateway,
    ):
        assert (await call(gateway, f"{JOB}/output.jsonl")).status_code == 404


async def test_a_store_that_is_away_is_503(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    store = ArtifactClient("http://127.0.0.1:1", tmp_path / "token")

    async with store, running_gateway(store=store) as gateway:
        reply = await call(gateway, f"{JOB}/output.jsonl")

    assert reply.status_code == 503
    assert reply.headers["Retry-After"] == "5"
    assert reply.json()["error"]["code"] == "artifacts_unavailable"


async def test_a_refusal_of_the_gateway_is_not_the_callers(server: Server) -> None:
    async with server.client("not a token") as store, running_gateway(store=store) as gateway:
        file = await call(gateway, f"{JOB}/output.jsonl")
        task = await call(gateway, f"{JOB}/tasks/0000/output.jsonl")

    assert file.status_code == task.status_code == 502
