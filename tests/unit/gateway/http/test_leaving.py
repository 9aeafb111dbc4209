"""Callers that leave before their reply, and a server that stops."""

import asyncio

import pytest

from splai.gateway.http.exchange import Exchange, Handler
from splai.gateway.http.limits import Limits
from splai.gateway.http.server_connection import ServerConnection
from splai.gateway.http.service import Service
from tests.unit.gateway.http.conftest import PATIENCE, MemoryTransport, Start, error_body, until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Held:
    """A handler that waits for its release, streaming or not, and tells how it ended."""

    def __init__(self, *, streams: bool = False) -> None:
        self._streams = streams
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.outcome = asyncio.get_running_loop().create_future()

    async def __call__(self, exchange: Exchange) -> None:
        try:
            if self._streams:
                exchange.start(200, [])
                exchange.write(b"begun")
            self.entered.set()
            await self.release.wait()
            if self._streams:
                exchange.finish(b"done")
            else:
                exchange.reply(200, [], b"done")
            self.outcome.set_result("replied")
        except asyncio.CancelledError:
            self.outcome.set_result("cancelled")
            raise


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("how", ["closes", "resets"])
async def test_a_caller_that_leaves_cancels_its_handler(serving: Start, streams: bool, how: str) -> None:
    held = Held(streams=streams)
    async with serving(held) as running:
        caller = await running.caller()
        caller.send(GET)
        await held.entered.wait()
        if how == "closes":
            caller.writer.close()
        else:
            caller.reset()

        assert await asyncio.wait_for(held.outcome, PATIENCE) == "cancelled"
        await until(lambda: running.server.connections == 0)


async def test_a_caller_that_leaves_in_its_body_cancels_the_handler(serving: Start) -> None:
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def reading(exchange: Exchange) -> None:
        try:
            await exchange.body()
        except asyncio.CancelledError:
            outcome.set_result("cancelled")
            raise

    async with serving(reading) as running:
        caller = await running.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nx")
        caller.writer.write_eof()

        assert await asyncio.wait_for(outcome, PATIENCE) == "cancelled"
        assert await caller.rest() == b""


async def test_a_half_closed_caller_still_gets_what_is_ready_at_once(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        caller.send(GET)
        caller.writer.write_eof()

        assert (await caller.reply()).body == b"GET /  "
        assert await caller.rest() == b""


async def test_a_half_closed_caller_gets_all_its_pipelined_replies(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        caller.send(GET * 3)
        caller.writer.write_eof()

        replies = [await caller.reply() for _ in range(3)]
        assert [reply.header(b"connection") for reply in replies] == [None, None, b"close"]
        assert await caller.rest() == b""


async def test_a_half_closed_caller_has_left_when_its_reply_takes_long(serving: Start) -> None:
    held = Held()
    async with serving(held) as running:
        caller = await running.caller()
        caller.send(GET)
        caller.writer.write_eof()

        assert await asyncio.wait_for(held.outcome, PATIENCE) == "cancelled"


async def test_what_a_cancelled_handler_still_says_goes_nowhere(serving: Start) -> None:
    said = asyncio.Event()

    async def stubborn(exchange: Exchange) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert exchange.disconnected
            exchange.start(200, [])
            exchange.finish(b"nobody")
            await exchange.drain()
            said.set()

    async with serving(stubborn) as running:
        caller = await running.caller()
        caller.send(GET)
        await until(lambda: running.server.connections == 1)
        caller.writer.close()
        await asyncio.wait_for(said.wait(), PATIENCE)
        await until(lambda: running.server.connections == 0)


async def test_a_handler_may_work_on_after_its_reply_though_the_caller_leaves(serving: Start) -> None:
    finished = asyncio.Event()
    release = asyncio.Event()

    async def accounting(exchange: Exchange) -> None:
        exchange.reply(200, [], b"")
        await release.wait()
        finished.set()

    async with serving(accounting) as running:
        caller = await running.caller()
        assert (await caller.ask(GET)).status == 200
        caller.writer.close()
        release.set()

        await asyncio.wait_for(finished.wait(), PATIENCE)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_stopping_server_ends_replies_and_refuses_what_is_new(serving: Start, streams: bool) -> None:
    held = Held(streams=streams)
    context = serving(held, drain_seconds=PATIENCE)
    running = await context.__aenter__()
    idle, busy, half_sent = [await running.caller() for _ in range(3)]
    busy.send(GET)
    half_sent.send(GET[:-2])
    await held.entered.wait()
    await until(lambda: running.server.connections == 3)
    stopping = asyncio.create_task(context.__aexit__(None, None, None))

    assert await idle.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        await running.caller()
    held.release.set()
    reply = await busy.reply()
    assert reply.body == (b"begundone" if streams else b"done")
    assert reply.header(b"connection") == (b"keep-alive" if streams else b"close")
    assert await busy.rest() == b""
    half_sent.send(GET[-2:])
    held.outcome = asyncio.get_running_loop().create_future()
    assert (await half_sent.reply()).header(b"connection") == b"close"
    await stopping


async def test_a_stopping_server_cuts_what_does_not_end_in_time(serving: Start) -> None:
    held = Held(streams=True)
    async with serving(held, drain_seconds=0.05) as running:
        caller = await running.caller()
        caller.send(GET)
        await held.entered.wait()

    assert held.outcome.result() == "cancelled"
    assert running.server.connections == 0
    assert (await caller.rest()).endswith(b"5\r\nbegun\r\n")


async def test_nothing_is_left_of_callers_that_come_and_go(serving: Start) -> None:
    tasks_before = len(asyncio.all_tasks())
    held = Held()
    async with serving(held) as running:
        for size in range(0, len(GET) * 2, 3):
            caller = await running.caller()
            caller.send((GET * 2)[:size])
            await caller.writer.drain()
            held.outcome = asyncio.get_running_loop().create_future()
            caller.reset()
            await until(lambda: running.server.connections == 0)

    assert len(asyncio.all_tasks()) == tasks_before


async def test_a_handler_cancelled_before_it_has_begun_leaves_nothing_behind(echoing: Handler) -> None:
    service = Service(echoing, Limits(), error_body)
    connection = ServerConnection(service)
    connection.connection_made(MemoryTransport(connection))
    connection.data_received(GET)
    connection.connection_lost(None)

    await until(lambda: not service.connections)
