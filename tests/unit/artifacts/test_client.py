"""What the client does when the network, the server or the token fails."""

import asyncio
import json
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from splai.artifacts import client as client_module
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from splai.artifacts.folder import INSUFFICIENT_STORAGE, StoreRefused, StoreUnavailable
from splai.artifacts.http import RelayedReply, Reply, TransportError

Answer = Reply | Exception
REFUSED = TransportError("connection refused")
MIB = 1024 * 1024


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY", 0.001)


@dataclass(frozen=True)
class Request:
    """What was sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


class Script:
    """A server that gives its answers in turn, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
    ) -> Reply:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is REFUSED:  # before anything of the body is asked for
            raise REFUSED
        if body is not None and not isinstance(body, bytes):
            body = b"".join([chunk async for chunk in body])
        self.requests.append(Request(method, path, headers, body))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def open(self, method: str, path: str, *, headers: Mapping[str, str]) -> AbstractAsyncContextManager[RelayedReply]:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""

    def folder(
        self, token_file: Path, *, deadline: float = 60, clock: Callable[[], float] | None = None
    ) -> HTTPJobFolder:
        """The clock is the event loop's, which is looptime's in the tests that are marked so."""
        clock = clock or asyncio.get_running_loop().time
        client = ArtifactClient("http://artifacts", token_file, transport=self, clock=clock)
        return client.job("team-a", "uid-1", deadline=deadline)


def rotate(token_file: Path) -> None:
    token_file.write_text("second")


def remove(token_file: Path) -> None:
    token_file.unlink()


def failure(status: int, code: str) -> Reply:
    return Reply(status, json.dumps({"error": {"code": code, "message": f"it is {code}"}}).encode())


@pytest.mark.parametrize(
    "trouble",
    [
        TransportError("silent"),
        failure(500, "internal"), failure(503, "keys_unavailable"), failure(507, INSUFFICIENT_STORAGE),
        failure(408, "slow_body"), Reply(502, b"<html>a proxy</html>"),
    ],
)  # fmt: skip
async def test_passing_trouble_is_waited_out(token_file: Path, trouble: Answer) -> None:
    script = Script(trouble, trouble, Reply(201))
    assert await script.folder(token_file).create("final", b"x")
    assert [(request.method, request.body) for request in script.requests] == [("PUT", b"x")] * 3


class SilentScript(Script):
    """After its answers it says nothing any more."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
    ) -> Reply:
        if not self.answers:
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        assert isinstance(answer, Reply)
        return answer


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("answers", "code"), [([failure(507, INSUFFICIENT_STORAGE)], INSUFFICIENT_STORAGE), ([], "unreachable")]
)
async def test_when_the_deadline_cuts_a_try_short_what_the_server_said_before_counts(
    token_file: Path, answers: list[Answer], code: str
) -> None:
    with pytest.raises(StoreUnavailable) as unavailable:
        await SilentScript(*answers).folder(token_file).create("final", b"x")
    assert unavailable.value.code == code


async def test_a_create_whose_reply_was_lost_answers_false(token_file: Path) -> None:
    script = Script(TransportError("lost"), failure(412, "already_exists"))
    assert not await script.folder(token_file).create("final", b"x")


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("trouble", "code"),
    [(failure(507, INSUFFICIENT_STORAGE), INSUFFICIENT_STORAGE), (TransportError("silent"), "unreachable")],
)
async def test_trouble_that_lasts_is_unavailable_with_its_cause(token_file: Path, trouble: Answer, code: str) -> None:
    script = Script(trouble)
    with pytest.raises(StoreUnavailable) as unavailable:
        await script.folder(token_file).get("plan.json")
    assert unavailable.value.code == code
    assert len(script.requests) > 2


@pytest.mark.looptime
async def test_a_server_that_never_answers_is_given_up_at_the_deadline(token_file: Path) -> None:
    class Silence(Script):
        async def send(self, *_: object, **__: object) -> Reply:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(StoreUnavailable):
        await Silence().folder(token_file, deadline=30).get("plan.json")
    assert asyncio.get_running_loop().time() == pytest.approx(30, abs=0.1)


async def test_a_refusal_is_not_tried_again(token_file: Path) -> None:
    script = Script(failure(403, "forbidden"))
    with pytest.raises(StoreRefused, match="it is forbidden") as refused:
        await script.folder(token_file).put("workers/w", b"x")
    assert (refused.value.status, refused.value.code, len(script.requests)) == (403, "forbidden", 1)


async def test_a_token_that_was_rotated_is_read_again_after_a_401(token_file: Path) -> None:
    script = Script(Reply(200), failure(401, "unauthenticated"), Reply(200))
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


async def test_a_token_that_was_good_and_ran_out_is_waited_for(token_file: Path) -> None:
    """The apiserver is away for longer than a token lives, and the kubelet has no new one until it is back."""

    class Server(Script):
        async def send(self, *arguments: Any, **options: Any) -> Reply:
            reply = await super().send(*arguments, **options)
            if len(self.requests) == 5:
                rotate(token_file)
            return reply

    stale = failure(401, "unauthenticated")
    script = Server(Reply(200), stale, stale, stale, stale, Reply(201))
    folder = script.folder(token_file)
    await folder.get("plan.json")
    assert await folder.create("final", b"x")
    assert [request.headers["Authorization"] for request in script.requests] == ["Bearer first"] * 5 + ["Bearer second"]


async def test_a_token_that_ran_out_for_long_is_trouble_that_may_pass(token_file: Path) -> None:
    script = Script(Reply(200), failure(401, "unauthenticated"))
    folder = script.folder(token_file, deadline=0.05)
    await folder.get("plan.json")
    with pytest.raises(StoreUnavailable, match="no valid token: it is unauthenticated") as unavailable:
        await folder.put("workers/w", b"1")
    assert unavailable.value.code == "unauthenticated"


async def test_a_stream_that_a_stale_token_stopped_is_its_producers_to_begin_anew(token_file: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"once"

    script = Script(Reply(200), failure(401, "unauthenticated"), Reply(200))
    folder = script.folder(token_file)
    await folder.get("plan.json")
    rotate(token_file)
    with pytest.raises(StoreUnavailable):
        await folder.put_stream("output.jsonl", chunks())
    await folder.put_stream("output.jsonl", chunks())
    assert script.requests[-1].headers["Authorization"] == "Bearer second"


async def test_a_token_file_that_cannot_be_read_for_a_while_is_waited_for(token_file: Path) -> None:
    now = 0.0
    script = Script(Reply(200))
    folder = script.folder(token_file, clock=lambda: now, deadline=0.05)
    await folder.get("plan.json")
    remove(token_file)
    now = 60
    with pytest.raises(StoreUnavailable) as unavailable:
        await folder.get("plan.json")
    assert unavailable.value.code == "token_unreadable"
    rotate(token_file)
    await folder.get("plan.json")


async def test_a_wrong_folder_stays_refused_however_good_the_token_was(token_file: Path) -> None:
    script = Script(Reply(200), failure(403, "forbidden"))
    folder = script.folder(token_file)
    await folder.get("plan.json")
    with pytest.raises(StoreRefused):
        await folder.put("workers/w", b"1")


async def test_the_token_is_read_again_every_minute(token_file: Path) -> None:
    now = 0.0
    script = Script(Reply(200))
    folder = script.folder(token_file, clock=lambda: now)
    await folder.get("plan.json")
    rotate(token_file)
    now = 59
    await folder.get("plan.json")
    now = 60
    await folder.get("plan.json")
    assert [request.headers["Authorization"][7:] for request in script.requests] == ["first", "first", "second"]


async def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    script = Script(Reply(200))
    with pytest.raises(StoreRefused, match=r"cannot read the token file .*nothing") as refused:
        await script.folder(tmp_path / "nothing").get("plan.json")
    assert refused.value.code == "token_unreadable"


async def test_a_write_that_breaks_off_is_not_tried_again_with_half_a_stream(token_file: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"once"

    script = Script(TransportError("cut"), Reply(200))
    with pytest.raises(StoreUnavailable):
        await script.folder(token_file).put_stream("output.jsonl", chunks())
    assert len(script.requests) == 1


async def test_a_write_that_ends_while_its_first_piece_is_made_is_not_tried_again_with_nothing(
    token_file: Path,
) -> None:
    class EndsEarly(Script):
        async def send(self, *arguments: Any, body: Any = None, **options: Any) -> Reply:
            if not self.requests:
                self.requests.append(Request("PUT", "", {}, None))
                first = asyncio.ensure_future(anext(body))
                await asyncio.sleep(0)
                first.cancel()
                await asyncio.wait([first])
                raise TransportError("the server was killed")
            return await super().send(*arguments, body=body, **options)

    async def chunks() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b"too late"

    script = EndsEarly(Reply(200))
    with pytest.raises(StoreUnavailable):
        await script.folder(token_file).put_stream("output.jsonl", chunks())
    assert len(script.requests) == 1


async def test_a_write_that_could_not_begin_is_tried_again(token_file: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"once"

    script = Script(REFUSED, Reply(200))
    await script.folder(token_file).put_stream("output.jsonl", chunks())
    assert [request.body for request in script.requests] == [b"once"]


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
