"""The artifact server's process: composition, health, metrics, and a clean end."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator

import prometheus_client
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from obstore.store import ObjectStore

from splai.artifacts.auth import Authenticator
from splai.artifacts.backends import open_store
from splai.artifacts.disk import MeasureSpace
from splai.artifacts.errors import answer, as_api_error
from splai.artifacts.folder import INSUFFICIENT_STORAGE, StoreUnavailable
from splai.artifacts.handlers import Handlers
from splai.artifacts.keys import ClusterKeys, ClusterKeySource
from splai.artifacts.metrics import Metrics
from splai.artifacts.settings import Settings
from splai.artifacts.store_folder import PROBE, StoreFolder
from splai.logs import configure_logging
from splai.serving import listening
from splai.signals import told_to_stop

SHUTDOWN_SECONDS = 20.0
_CLIENT_WENT_AWAY = 499
_log = logging.getLogger(__name__)


def serve() -> None:
    """Run until SIGTERM, with settings from the environment."""
    try:
        settings = Settings.from_environment(os.environ)
        store, space = open_store(settings)
    except ValueError as error:
        sys.exit(str(error))
    configure_logging("artifacts", level=settings.log_level)
    asyncio.run(run(settings, store, space))
    logging.shutdown()
    os._exit(0)  # the threads of a bucket's client may abort an orderly exit


async def run(settings: Settings, store: ObjectStore, space: MeasureSpace | None) -> None:
    keys = ClusterKeys(ClusterKeySource(settings.issuer, settings.jwks_uri).fetch, server_folder(store))
    metrics = Metrics(space)
    authenticator = Authenticator(keys, trusted=settings.trusted, readers=settings.readers)
    app = build_app(store, keys, authenticator, metrics, space)
    stop = told_to_stop()
    async with (
        listening(app, settings.port, shutdown_seconds=SHUTDOWN_SECONDS),
        listening(metrics_app(metrics), settings.metrics_port, shutdown_seconds=SHUTDOWN_SECONDS),
    ):
        _log.info("serving artifacts", extra={"port": settings.port, "backend": settings.backend})
        await stop.wait()
        _log.info("stopping")


def build_app(
    store: ObjectStore, keys: ClusterKeys, authenticator: Authenticator, metrics: Metrics, space: MeasureSpace | None
) -> web.Application:
    """The API and the probes; the keys are read when it starts and followed until it ends."""
    app = web.Application(middlewares=[_answering(metrics)])
    app.add_routes([web.get("/healthz", _healthy), web.get("/readyz", _readiness(store, keys))])
    app.add_routes(Handlers(store, authenticator, metrics, space).routes())

    async def follow_keys(_: web.Application) -> AsyncIterator[None]:
        await keys.start()
        task = asyncio.create_task(keys.keep_fresh())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(follow_keys)
    return app


def metrics_app(metrics: Metrics) -> web.Application:
    async def expose(_: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/metrics", expose)])
    return app


def server_folder(store: ObjectStore) -> StoreFolder:
    """Where the server keeps what is its own; no namespace and no uid can have this name."""
    return StoreFolder(store, "_server", "state")


def _answering(metrics: Metrics) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn every exception into an answer, and count it."""
        started = time.monotonic()
        status = _CLIENT_WENT_AWAY
        try:
            response = await handler(request)
            status = response.status
        except ConnectionError:  # the client is gone: there is nobody to answer
            raise
        except Exception as error:
            if request.writer.output_size:  # the reply has begun: only breaking it off tells that it is not whole
                raise
            response = answer(as_api_error(error))
            status = response.status
        finally:
            metrics.answered(request.method, status, time.monotonic() - started)
        return response

    return middleware


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _readiness(store: ObjectStore, keys: ClusterKeys) -> Handler:
    async def ready(_: web.Request) -> web.Response:
        if not keys.loaded:
            return web.Response(status=503, text="the cluster's keys are not loaded\n")
        try:
            await server_folder(store).put(PROBE, b"")
        except StoreUnavailable as error:
            if error.code != INSUFFICIENT_STORAGE:  # a full one still has everything to read
                return web.Response(status=503, text=f"{error}\n")
        return web.Response(text="ok\n")

    return ready
