"""Waiting for an engine without losing the caller: in silence at first, then with pings where the reply is a stream.

A ping commits the reply to status 200, so what fails later is told in an `error` event. A whole reply stays silent
until it is there. Comments are ignored by every SSE reader, and keep proxies from closing the connection.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from splai.gateway.inference.call import Call

PING_SECONDS = 10.0
PING = b": ping\n\n"

Result = TypeVar("Result")


async def wait(call: Call, awaited: Awaitable[Result]) -> Result:
    """Its result; the caller of a stream hears every ten seconds that it is still waited for.

    It runs in the request's own task: in another one a turn that comes just as the caller leaves would be lost.
    """
    if not call.request.stream:
        return await awaited
    loop = asyncio.get_running_loop()
    next_ping: asyncio.TimerHandle

    def ping() -> None:
        nonlocal next_ping
        call.ping(PING)
        next_ping = loop.call_later(PING_SECONDS, ping)

    next_ping = loop.call_later(PING_SECONDS, ping)
    try:
        return await awaited
    finally:
        next_ping.cancel()
