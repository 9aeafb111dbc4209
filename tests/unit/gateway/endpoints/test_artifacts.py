"""A job's files through the gateway, from a real artifact server that knows the gateway's token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from starlette.types import Message

from splai.api.ledger import Commit, PartLine, TaskCounts, commit_path, part_path
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from splai.gateway.endpoints.failures import ReplyCut
from tests.unit.artifacts.conftest import GATEWAY, Server, cluster, job_token, server, service_token
from tests.unit.gateway.endpoints.conftest import Cold

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
async def cold(server: Server) -> AsyncIterator[Cold]:
    async with server.client(service_token(GATEWAY)) as store:
        yield Cold(store)


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
async def test_a_finished_file(cold: Cold, folder: HTTPJobFolder, prefix: str, name: str) -> None:
    await folder.put(name, LINES)

    reply = await cold.get(f"{prefix}/artifacts/team-a/uid-1/{name}")

    assert reply.status_code == 200
    assert reply.content == LINES
    assert reply.headers["Content-Type"] == "application/jsonl"
    assert reply.headers["Content-Length"] == str(len(LINES))
    assert reply.headers["ETag"]


async def test_a_finished_file_of_columns(cold: Cold, folder: HTTPJobFolder) -> None:
    await folder.put("errors.parquet", b"PAR1")

    reply = await cold.get(f"{JOB}/errors.parquet")

    assert (reply.status_code, reply.content) == (200, b"PAR1")
    assert reply.headers["Content-Type"] == "application/vnd.apache.parquet"


async def test_a_large_file_is_streamed(cold: Cold, folder: HTTPJobFolder) -> None:
    content = LINES * 200_000
    await folder.put("output.jsonl", content)

    assert (await cold.get(f"{JOB}/output.jsonl")).content == content


async def test_a_range_of_a_file(cold: Cold, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await cold.get(f"{JOB}/output.jsonl", Range="bytes=18-34")

    assert reply.status_code == 206
    assert reply.content == LINES[18:35]
    assert reply.headers["Content-Range"] == f"bytes 18-34/{len(LINES)}"


async def test_a_conditional_range_gets_the_whole_file(cold: Cold, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await cold.get(f"{JOB}/output.jsonl", **{"Range": "bytes=18-", "If-Range": '"older"'})

    assert reply.status_code == 200
    assert reply.content == LINES


async def test_a_range_beyond_the_end_is_416(cold: Cold, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await cold.get(f"{JOB}/output.jsonl", Range="bytes=1000-")

    assert reply.status_code == 416
    assert reply.json()["error"]["code"] == "range_not_satisfiable"


async def test_head_of_a_file(cold: Cold, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    reply = await cold.call("HEAD", f"{JOB}/output.jsonl")

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
async def test_what_is_not_there_or_not_for_callers_is_404(cold: Cold, folder: HTTPJobFolder, path: str) -> None:
    await folder.create("plan.json", b"{}")

    reply = await cold.get(path)

    assert reply.status_code == 404
    assert reply.json()["error"].keys() == {"message", "type", "param", "code"}


async def test_the_lines_of_a_committed_task(cold: Cold, folder: HTTPJobFolder) -> None:
    await commit(folder, "0001", part((12, "output"), (10, "output")), part((11, "error"), (10, "error")))

    output = await cold.get(f"{JOB}/tasks/0001/output.jsonl")
    errors = await cold.get(f"{JOB}/tasks/0001/errors.jsonl")

    assert output.content == b'{"custom_id":"10"}\n{"custom_id":"12"}\n'
    assert errors.content == b'{"custom_id":"11"}\n'
    assert output.headers["Content-Type"] == errors.headers["Content-Type"] == "application/jsonl"


async def test_a_task_without_errors_has_an_empty_errors_file(cold: Cold, folder: HTTPJobFolder) -> None:
    await commit(folder, "0001", part((10, "output")))

    reply = await cold.get(f"{JOB}/tasks/0001/errors.jsonl")

    assert reply.status_code == 200
    assert reply.content == b""


async def test_a_task_that_is_not_committed_is_404(cold: Cold, folder: HTTPJobFolder) -> None:
    await folder.create(part_path("0001", 1, 0), part((10, "output")))

    assert (await cold.get(f"{JOB}/tasks/0001/output.jsonl")).status_code == 404


async def test_head_of_a_task(cold: Cold, folder: HTTPJobFolder) -> None:
    await commit(folder, "0001", part((10, "output")))

    assert (await cold.call("HEAD", f"{JOB}/tasks/0001/output.jsonl")).status_code == 200
    assert (await cold.call("HEAD", f"{JOB}/tasks/0002/output.jsonl")).status_code == 404


async def test_other_namespaces_than_the_gateways_are_404(server: Server, folder: HTTPJobFolder) -> None:
    await folder.put("output.jsonl", LINES)

    async with server.client(service_token(GATEWAY)) as store:
        cold = Cold(store, namespaces=("b",))

        assert (await cold.get(f"{JOB}/output.jsonl")).status_code == 404


async def test_a_store_that_is_away_is_503(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    store = ArtifactClient("http://127.0.0.1:1", tmp_path / "token")

    async with store:
        reply = await Cold(store).get(f"{JOB}/output.jsonl")

    assert reply.status_code == 503
    assert reply.headers["Retry-After"] == "5"
    assert reply.json()["error"]["code"] == "artifacts_unavailable"


async def test_a_refusal_of_the_gateway_is_not_the_callers(server: Server) -> None:
    async with server.client("not a token") as store:
        cold = Cold(store)
        file = await cold.get(f"{JOB}/output.jsonl")
        task = await cold.get(f"{JOB}/tasks/0000/output.jsonl")

    assert file.status_code == task.status_code == 502


@asynccontextmanager
async def half_a_file(head: bytes, rest: asyncio.Event) -> AsyncIterator[ArtifactClient]:
    """An artifact server that sends ten bytes of a hundred, and ends the connection when it is told to."""

    answered = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"0123456789")
        await rest.wait()
        writer.close()
        answered.set()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with NamedTemporaryFile("w", suffix="token") as token:
        async with listener, ArtifactClient(f"http://127.0.0.1:{port}", token.name) as store:
            yield store
            rest.set()
            await answered.wait()


async def test_a_file_that_breaks_off_is_passed_on_as_it_comes_and_then_cut() -> None:
    rest, sent = asyncio.Event(), []

    async def send(message: Message) -> None:
        sent.append(message)
        if message.get("body"):
            rest.set()  # only what has reached the caller lets the store go on

    async with half_a_file(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", rest) as store:
        cold = Cold(store)
        scope = {"type": "http", "method": "GET", "path": f"{JOB}/output.jsonl", "headers": [], "query_string": b""}
        with pytest.raises(ReplyCut):
            await cold.application(scope, receive_nothing, send)

    assert [message.get("body") for message in sent] == [None, b"0123456789"]
    route = "/v1/artifacts/{namespace}/{uid}/output.jsonl"
    assert cold.value("splai_gateway_requests_total", route=route, model="", code="499") == 0
    assert cold.value("splai_gateway_requests_total", route=route, model="", code="200") == 1


async def test_a_caller_that_leaves_in_mid_file_is_counted_as_such() -> None:
    async def send(message: Message) -> None:
        if message.get("body"):
            raise OSError("closed")

    async with half_a_file(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", asyncio.Event()) as store:
        cold = Cold(store)
        scope = {"type": "http", "method": "GET", "path": f"{JOB}/output.jsonl", "headers": [], "query_string": b""}
        await cold.application(scope, receive_nothing, send)

    route = "/v1/artifacts/{namespace}/{uid}/output.jsonl"
    assert cold.value("splai_gateway_requests_total", route=route, model="", code="499") == 1


async def receive_nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
