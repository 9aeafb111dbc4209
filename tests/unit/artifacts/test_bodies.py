"""How long the server waits for a body. Time here is looptime's: a wait of minutes takes none."""

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from splai.artifacts import bodies

pytestmark = pytest.mark.looptime


def request_of(body: StreamReader) -> web.Request:
    return make_mocked_request("PUT", "/team-a/uid-1/errors.jsonl", payload=body)


def new_body() -> StreamReader:
    return StreamReader(Mock(spec=BaseProtocol, _reading_paused=False), 2**16, loop=asyncio.get_running_loop())


async def test_a_file_may_come_in_pieces_that_are_minutes_apart() -> None:
    body, loop = new_body(), asyncio.get_running_loop()
    loop.call_later(300, body.feed_data, b"a\n")
    loop.call_later(840, body.feed_data, b"b\n")
    loop.call_later(1380, body.feed_eof)
    assert [chunk async for chunk in bodies.stream(request_of(body))] == [b"a\n", b"b\n"]


async def test_a_sender_that_was_cut_off_is_given_up() -> None:
    body = new_body()
    with pytest.raises(TimeoutError):
        await anext(bodies.stream(request_of(body)))
    assert asyncio.get_running_loop().time() == pytest.approx(600)
