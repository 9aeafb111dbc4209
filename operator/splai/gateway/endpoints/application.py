"""The gateway's URLs."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from splai.gateway.endpoints.artifacts import Artifacts
from splai.gateway.endpoints.middleware import MAX_BODY_BYTES, add_common_headers, request_observer
from splai.gateway.endpoints.models import Models
from splai.gateway.inference.relay import ENGINE_PATHS, Relay
from splai.gateway.metrics import CONTENT_TYPE, Metrics

PREFIXES = ("/v1", "/v1/openai")
"""The second one is where an SDK ends up that adds `openai` to the address of the native API."""


def gateway_application(
    *, relay: Relay, models: Models, artifacts: Artifacts, metrics: Metrics, ready: Callable[[], bool]
) -> web.Application:
    """The application that callers reach."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[request_observer(metrics)])
    app.on_response_prepare.append(add_common_headers)
    for prefix in PREFIXES:
        for path in ENGINE_PATHS:
            app.router.add_post(prefix + path.removeprefix("/v1"), relay.handler(path))
        app.router.add_get(f"{prefix}/models", models.list)
        app.router.add_get(f"{prefix}/models/{{model:.+}}", models.retrieve)
        job = f"{prefix}/artifacts/{{namespace}}/{{uid}}"
        app.router.add_get(f"{job}/{{file:(?:output|errors)\\.(?:jsonl|parquet)}}", artifacts.file)
        app.router.add_get(f"{job}/tasks/{{task}}/{{file:output\\.jsonl|errors\\.jsonl}}", artifacts.task_file)
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
