"""How the smaller HTTP servers, on aiohttp, listen, and end with what has begun answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def listening(
    app: web.Application,
    port: int,
    host: str | None = None,
    *,
    shutdown_seconds: float,
    handler_cancellation: bool = False,
) -> AsyncIterator[int]:
    """Serve on the port, or on any free one for 0; at the end requests that have begun have so long to be answered.

    With ``handler_cancellation`` a handler is cancelled when its caller leaves.
    """
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=shutdown_seconds, handler_cancellation=handler_cancellation
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
