"""The adapter's process: composition, metrics, and an end that lets answers come to theirs."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator

import prometheus_client
from aiohttp import web
from aiohttp.typedefs import Handler

from splai.adapter.handlers import Handlers
from splai.adapter.key import KeyMissing, read_key
from splai.adapter.metrics import Metrics
from splai.adapter.settings import Settings
from splai.adapter.upstream import Upstream
from splai.api.json import encode_compact
from splai.logs import configure_logging
from splai.providers.errors import RequestError
from splai.serving import listening
from splai.signals import told_to_stop
from splai.url_guard import AddressRefused, URLGuard

SHUTDOWN_SECONDS = 45.0
"""For answers in flight; the pod's grace period is longer."""
MOST_REQUEST_BYTES = 64 * 1024 * 1024
_log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Run until SIGTERM. What cannot work ends at once, with words for the pod's status."""
    try:
        check(settings)
    except ValueError as error:
        sys.exit(str(error))
    configure_logging("adapter", level=settings.log_level)
    asyncio.run(run(settings))


def check(settings: Settings) -> None:
    """Raise ValueError for what somebody has to correct: the options, the address, or the Secret."""
    provider = settings.open_provider()
    try:
        URLGuard(allow_private=settings.allow_private_urls).check_url(provider.base_url)
        read_key(settings.api_key_file)
    except AddressRefused as error:
        raise ValueError(
            f"remote.baseURL: {error}, where no provider's URL may lead unless the installation has allowPrivateURLs"
        ) from error
    except KeyMissing as error:
        raise ValueError(str(error)) from error


async def run(settings: Settings) -> None:
    stop = told_to_stop()
    async with adapting(settings) as port:
        _log.info("serving", extra={"port": port, "provider": settings.provider, "models": settings.served})
        await stop.wait()
        _log.info("stopping")


@contextlib.asynccontextmanager
async def adapting(settings: Settings, host: str | None = None) -> AsyncIterator[int]:
    """Serve on the settings' port, or on any free one for 0, which is given back."""
    metrics = Metrics()
    provider = settings.open_provider()
    upstream = Upstream(provider, URLGuard(allow_private=settings.allow_private_urls), settings.api_key_file)
    app = web.Application(client_max_size=MOST_REQUEST_BYTES, middlewares=[_in_openais_shape])
    app.add_routes(Handlers(provider, upstream, settings.served, metrics).routes())
    app.add_routes([web.get("/metrics", _exposed(metrics))])
    try:
        # A handler is cancelled when its caller leaves: the provider then stops to compute for nobody.
        async with listening(
            app, settings.port, host, shutdown_seconds=SHUTDOWN_SECONDS, handler_cancellation=True
        ) as port:
            yield port
    finally:
        await upstream.close()


@web.middleware
async def _in_openais_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of the HTTP server itself, such as an unknown path, as OpenAI's clients read them."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        told = RequestError(error.status, f"{error.reason}: {request.method} {request.path}", code="bad_request")
        return web.Response(status=error.status, body=encode_compact(told.body()), content_type="application/json")


def _exposed(metrics: Metrics) -> Handler:
    async def expose(_: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    return expose
