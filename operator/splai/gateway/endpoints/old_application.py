"""The gateway on aiohttp, as long as the relay and its tests are; without artifacts, documents and health."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from starlette.requests import Request

from splai.gateway.endpoints.application import PREFIXES
from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.endpoints.middleware import MAX_BODY_BYTES, add_common_headers, request_observer
from splai.gateway.endpoints.models import Models
from splai.gateway.inference.relay import ENGINE_PATHS, Relay
from splai.gateway.metrics import CONTENT_TYPE, Metrics


def gateway_application(
    *, relay: Relay, models: Models, artifacts: Artifacts, metrics: Metrics, ready: Callable[[], bool]
) -> web.Application:
    """The application that callers reach."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[request_observer(metrics)])
    app.on_response_prepare.append(add_common_headers)

    async def show(http: web.Request) -> web.Response:
        request = Request({"type": "http", "path_params": dict(http.match_info)})
        reply = await (models.retrieve if "model" in http.match_info else models.list)(request)
        return web.Response(body=reply.body, content_type="application/json")

    for prefix in PREFIXES:
        for path in ENGINE_PATHS:
            app.router.add_post(prefix + path.removeprefix("/v1"), relay.handler(path))
        app.router.add_get(f"{prefix}/models", show)
        app.router.add_get(f"{prefix}/models/{{model:.+}}", show)
    app.router.add_get("/v1/metrics/prometheus", _exposition(metrics))
    app.router.add_get("/healthz", _health)
    app.router.add_get("/readyz", _readiness(ready))
    return app


def metrics_application(metrics: Metrics) -> web.Application:
    """The same metrics on the port that scrapers expect."""
    app = web.Application()
    app.router.add_get("/metrics", _exposition(metrics))
    return app


def _exposition(metrics: Metrics) -> Handler:
    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    return expose


async def _health(_: web.Request) -> web.Response:
    """The event loop turns."""
    return web.json_response({"status": "ok"})


def _readiness(ready: Callable[[], bool]) -> Handler:
    async def readiness(_: web.Request) -> web.Response:
        if ready():
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "routes are not known yet, or the gateway is stopping"}, status=503)

    return readiness
