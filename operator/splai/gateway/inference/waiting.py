"""Waiting for an engine without losing the caller: in silence at first, then with pings where the reply is a stream.

A ping commits the reply to status 200, so what fails later is told in an `error` event. A whole reply stays silent
until it is there. Comments are ignored by every SSE reader, and keep proxies from closing the connection.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from splai.gateway.inference.call import Call

PING_SECONDS = 10.0
PING = b": ping\n\n"

Result = TypeVar("Result")


async def wait(call: Call, coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result; the caller of a stream hears every ten seconds that it is still waited for."""
    if not call.request.stream:
        return await coroutine
    waiting = asyncio.create_task(coroutine)
    try:
        while not (await asyncio.wait((waiting,), timeout=PING_SECONDS))[0]:
            call.ping(PING)
        return waiting.result()
    finally:
        waiting.cancel()
