"""What the client does when the network, the server or the token fails."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from splai.artifacts import client as client_module
from splai.artifacts.client import ArtifactClient, HTTPJobFolder, StoreRefused, StoreUnavailable

Answer = httpx.Response | Exception
MIB = 1024 * 1024


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY", 0.001)


class Script:
    """A server that gives its answers in turn, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def folder(
        self, token_file: Path, *, deadline: float = 5, clock: Callable[[], float] = time.monotonic
    ) -> HTTPJobFolder:
        client = ArtifactClient("http://artifacts", token_file, transport=httpx.MockTransport(self), clock=clock)
        return client.job("team-a", "uid-1", deadline=deadline)


def rotate(token_file: Path) -> None:
    token_file.write_text("second")


def failure(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": f"it is {code}"}})


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"), httpx.ReadTimeout("silent"), httpx.RemoteProtocolError("cut"),
        failure(500, "internal"), failure(503, "keys_unavailable"), failure(507, "store_full"),
        failure(408, "slow_body"), httpx.Response(502, text="<html>a proxy</html>"),
    ],
)  # fmt: skip
async def test_passing_trouble_is_waited_out(token_file: Path, trouble: Answer) -> None:
    script = Script(trouble, trouble, httpx.Response(201))
    assert await script.folder(token_file).create("final", b"x")
    assert [(request.method, request.content) for request in script.requests] == [("PUT", b"x")] * 3


async def test_a_create_whose_reply_was_lost_answers_false(token_file: Path) -> None:
    script = Script(httpx.ReadError("lost"), failure(412, "already_exists"))
    assert not await script.folder(token_file).create("final", b"x")


@pytest.mark.parametrize(
    ("trouble", "code"), [(failure(507, "store_full"), "store_full"), (httpx.ConnectError("refused"), "unreachable")]
)
async def test_trouble_that_lasts_is_unavailable_with_its_cause(token_file: Path, trouble: Answer, code: str) -> None:
    script = Script(trouble)
    with pytest.raises(StoreUnavailable) as unavailable:
        await script.folder(token_file, deadline=0.05).get("plan.json")
    assert unavailable.value.code == code
    assert len(script.requests) > 2


async def test_a_server_that_never_answers_is_given_up_at_the_deadline(token_file: Path) -> None:
    async def silence(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    client = ArtifactClient("http://artifacts", token_file, transport=httpx.MockTransport(silence))
    with pytest.raises(StoreUnavailable):
        await client.job("team-a", "uid-1", deadline=0.05).get("plan.json")


async def test_a_refusal_is_not_tried_again(token_file: Path) -> None:
    script = Script(failure(403, "forbidden"))
    with pytest.raises(StoreRefused, match="it is forbidden") as refused:
        await script.folder(token_file).put("workers/w", b"x")
    assert (refused.value.status, refused.value.code, len(script.requests)) == (403, "forbidden", 1)


async def test_a_token_that_was_rotated_is_read_again_after_a_401(token_file: Path) -> None:
    script = Script(httpx.Response(200), failure(401, "unauthenticated"), httpx.Response(200))
    folder = script.folder(token_file)
    await folder.put("workers/w", b"1")
    rotate(token_file)
    await folder.put("workers/w", b"2")
    assert [request.headers["Authorization"] for request in script.requests] == [
        "Bearer first", "Bearer first", "Bearer second",
    ]  # fmt: skip


async def test_a_token_that_stays_wrong_is_refused(token_file: Path) -> None:
    script = Script(failure(401, "unauthenticated"))
    with pytest.raises(StoreRefused):
        await script.folder(token_file).get("plan.json")
    assert len(script.requests) == 2


async def test_the_token_is_read_again_every_minute(token_file: Path) -> None:
    now = 0.0
    script = Script(httpx.Response(200))
    folder = script.folder(token_file, clock=lambda: now)
    await folder.get("plan.json")
    rotate(token_file)
    now = 59
    await folder.get("plan.json")
    now = 60
    await folder.get("plan.json")
    assert [request.headers["Authorization"][7:] for request in script.requests] == ["first", "first", "second"]


async def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    script = Script(httpx.Response(200))
    with pytest.raises(StoreRefused, match=r"cannot read the token file .*nothing") as refused:
        await script.folder(tmp_path / "nothing").get("plan.json")
    assert refused.value.code == "token_unreadable"


async def test_a_write_that_breaks_off_is_not_tried_again_with_half_a_stream(token_file: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"once"

    script = Script(httpx.ReadError("cut"), httpx.Response(200))
    with pytest.raises(StoreUnavailable):
        await script.folder(token_file).put_stream("output.jsonl", chunks())
    assert len(script.requests) == 1


class DownAtFirst(httpx.AsyncBaseTransport):
    """Refuses the first connection, before anything of the body is asked for."""

    def __init__(self) -> None:
        self.refused = False
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.refused:
            self.refused = True
            raise httpx.ConnectError("refused")
        self.bodies.append(await request.aread())
        return httpx.Response(200)


async def test_a_write_that_could_not_begin_is_tried_again(token_file: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"once"

    transport = DownAtFirst()
    client = ArtifactClient("http://artifacts", token_file, transport=transport)
    await client.job("team-a", "uid-1").put_stream("output.jsonl", chunks())
    assert transport.bodies == [b"once"]


async def test_the_calls_over_the_network(folder: HTTPJobFolder) -> None:
    assert await folder.get("output.jsonl") is None

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * MIB

    await folder.put_stream("output.jsonl", chunks())
    assert await folder.get("output.jsonl") == b"x" * 3 * MIB
    assert [(entry.path, entry.size) for entry in await folder.list()] == [("output.jsonl", 3 * MIB)]
    assert not (await folder.progress()).planned


async def test_neither_token_nor_content_reaches_a_log(folder: HTTPJobFolder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await folder.put("workers/w", b"my secret prompt")
    assert "secret" not in caplog.text
    assert "Bearer" not in caplog.text
