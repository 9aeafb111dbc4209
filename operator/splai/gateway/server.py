"""The gateway's process: what it is made of, and how it ends.

::

    SIGTERM ─▶ not ready ─▶ no new connections, idle ones closed ─▶ replies end, at most 30 s ─▶ exit 0

In a cluster SIGTERM comes some seconds after the pod was marked to go (``preStop`` in the chart): until all who send
requests here have heard of it, connections are taken as ever.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress

import uvloop

from splai.artifacts.client import ArtifactClient
from splai.garbage import collect_garbage_seldom
from splai.gateway.application import gateway_handler, new_hold
from splai.gateway.authorization import Authorization
from splai.gateway.endpoints.application import metrics_application
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.endpoints.load import Load
from splai.gateway.errors import error_body_of
from splai.gateway.http.asgi import asgi_handler
from splai.gateway.http.exchange import Handler
from splai.gateway.http.limits import Limits
from splai.gateway.http.server import Server, http_server
from splai.gateway.metrics import Metrics
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.discovery import Discovery
from splai.gateway.routing.selection import Selection
from splai.gateway.settings import GatewaySettings
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.logs import configure_logging
from splai.signals import told_to_stop
from splai.tracing.environment import TracingInvalid, tracing_from_environment
from splai.tracing.span import Tracing

COMMON_HEADERS = (
    b"access-control-allow-origin: *\r\n"
    b"access-control-expose-headers: X-Request-ID, OpenAI-Processing-MS, OpenAI-Version, Retry-After, Retry-After-MS,"
    b" X-Should-Retry, X-SPLAI-Cache\r\n"
    b"openai-version: 2020-10-01\r\n"
)
"""Any origin may call: a browser sends no credential by itself, and those who have none are strangers to all.

The version is that of OpenAI's REST API, which has had no other.
"""

DRAIN_SECONDS = 30.0
"""For replies in flight; the pod's grace period is longer."""
METRICS_DRAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


def serve() -> None:
    """Run until SIGTERM, with settings from the environment."""
    try:
        settings = GatewaySettings.from_environment(os.environ)
        authorization = Authorization(settings.token())
        tracing = tracing_from_environment("gateway")
    except (ValueError, OSError, TracingInvalid) as error:
        sys.exit(str(error))
    configure_logging("gateway", level=settings.log_level)
    try:
        uvloop.run(run(settings, authorization, tracing))
    finally:
        if tracing is not None:
            tracing.close()


async def run(settings: GatewaySettings, authorization: Authorization, tracing: Tracing | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = told_to_stop()
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        client = Client(await load_configuration(), component="gateway")
        stack.push_async_callback(client.close)
        discovery = Discovery(client, settings.namespaces, metrics)
        selection, admission = Selection(), Admission(most_in_flight=settings.max_in_flight)
        hold = new_hold(settings, discovery)
        artifacts = await stack.enter_async_context(
            ArtifactClient(settings.artifacts_url, settings.artifacts_token_file)
        )
        handler = await stack.enter_async_context(
            gateway_handler(
                settings,
                discovery,
                metrics,
                authorization,
                Artifacts(artifacts, settings.namespaces),
                ready=lambda: discovery.synced and not stop.is_set(),
                selection=selection,
                admission=admission,
                hold=hold,
                tracing=tracing,
            )
        )
        await stack.enter_async_context(_following(discovery, stop))
        replica = socket.gethostname()
        load = Load(replica, routes=discovery, selection=selection, admission=admission, hold=hold)
        numbers = asgi_handler(metrics_application(metrics, load))
        await stack.enter_async_context(listening(numbers, settings.metrics_port, drain_seconds=METRICS_DRAIN_SECONDS))
        await stack.enter_async_context(listening(handler, settings.port))
        collect_garbage_seldom()
        _log.info("serving", extra={"port": settings.port, "namespaces": settings.namespaces or "all"})
        await stop.wait()
        _log.info("stopping")
    _log.info("stopped")


def listening(
    handler: Handler,
    port: int,
    *,
    host: str | None = None,
    limits: Limits | None = None,
    drain_seconds: float = DRAIN_SECONDS,
) -> AbstractAsyncContextManager[Server]:
    """Serve on ``port`` (0 chooses one); at the end, let what is in flight come to its end."""
    return http_server(
        handler,
        error_body=error_body_of,
        host=host,
        port=port,
        limits=limits,
        common_headers=COMMON_HEADERS,
        drain_seconds=drain_seconds,
    )


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
