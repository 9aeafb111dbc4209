"""The gateway's process: what it is made of, and how it ends.

::

    SIGTERM ─▶ not ready ─▶ no new connections, idle ones closed ─▶ streams end, at most 30 s ─▶ exit 0
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import uvloop
from aiohttp import web

from splai.artifacts.client import ArtifactClient
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.endpoints.models import Models
from splai.gateway.endpoints.old_application import gateway_application, metrics_application
from splai.gateway.inference.relay import Relay
from splai.gateway.inference.upstream import Engines, engine_session
from splai.gateway.metrics import Metrics
from splai.gateway.routing.discovery import Discovery
from splai.gateway.routing.selection import Selection
from splai.gateway.settings import GatewaySettings
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.logs import configure_logging

DRAIN_SECONDS = 30.0
ABORT_SECONDS = 0.2

_log = logging.getLogger(__name__)


def serve() -> None:
    """Run until SIGTERM, with settings from the environment."""
    try:
        settings = GatewaySettings.from_environment(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    configure_logging("gateway", level=settings.log_level)
    uvloop.run(run(settings))


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        client = Client(await load_configuration(), component="gateway")
        stack.push_async_callback(client.close)
        discovery = Discovery(client, settings.namespaces, metrics)
        store = await stack.enter_async_context(ArtifactClient(settings.artifacts_url, settings.artifacts_token_file))
        session = await stack.enter_async_context(engine_session())
        selection = Selection()
        discovery.on_change(selection.update)
        engines = Engines(session, selection, metrics)
        app = gateway_application(
            relay=Relay(discovery, engines, metrics),
            models=Models(discovery),
            artifacts=Artifacts(store, settings.namespaces),
            metrics=metrics,
            ready=lambda: discovery.synced and not stop.is_set(),
        )
        await stack.enter_async_context(_following(discovery, stop))
        await stack.enter_async_context(listening(metrics_application(metrics), settings.metrics_port))
        await stack.enter_async_context(listening(app, settings.port))
        _log.info("serving", extra={"port": settings.port, "namespaces": settings.namespaces or "all"})
        await stop.wait()
        _log.info("stopping")
    _log.info("stopped")


@asynccontextmanager
async def listening(
    app: web.Application, port: int, *, host: str | None = None, drain_seconds: float = DRAIN_SECONDS
) -> AsyncGenerator[int]:
    """Serve on ``port`` (0 chooses one, which is given back); at the end, let what is in flight come to its end."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=ABORT_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await site.stop()
        await _drain(runner, drain_seconds)
        await runner.cleanup()


async def _drain(runner: web.AppRunner, seconds: float) -> None:
    """Close idle connections now, the others after their reply; aiohttp alone would wait for twice the time."""
    if runner.server is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                runner.server.pre_shutdown()
                await runner.server.shutdown(seconds)


@asynccontextmanager
async def _following(discovery: Discovery, stop: asyncio.Event) -> AsyncGenerator[None]:
    """Keep the routes up to date; should that ever fail, the process ends and its replacement starts afresh."""
    task = asyncio.create_task(discovery.run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
