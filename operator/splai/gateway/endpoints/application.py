"""The gateway's URLs, those of the hot path excepted: one Starlette application over our own HTTP server."""

from collections.abc import Callable, Iterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from splai.api.gateway_load import LOAD_PATH
from splai.gateway.endpoints.artifacts import FILES, TASK_FILES, Artifacts
from splai.gateway.endpoints.documents import Documents, with_slash
from splai.gateway.endpoints.failures import EXCEPTION_HANDLERS
from splai.gateway.endpoints.health import Health, alive, readiness
from splai.gateway.endpoints.load import Load
from splai.gateway.endpoints.models import Models
from splai.gateway.endpoints.observer import Observer
from splai.gateway.endpoints.resource import Handler, Resource
from splai.gateway.metrics import CONTENT_TYPE, Metrics
from splai.gateway.paths import HOT_PATHS, PREFIXES


def endpoints_application(
    *,
    models: Models,
    artifacts: Artifacts,
    documents: Documents,
    health: Health,
    metrics: Metrics,
    ready: Callable[[], bool],
) -> Starlette:
    """What callers reach beside the hot path.

    Whoever runs it adds what all replies have, CORS and X-Request-ID; puts the request's id into the scope as
    ``splai.request_id``; cancels the call when the caller leaves, or lets ``send`` raise OSError; and closes the
    connection when the application raises after its reply has begun.
    """
    routes = [route for prefix in PREFIXES for route in _below(prefix, models, artifacts, documents)]
    routes += [
        _get("/v1/metrics/prometheus", _exposition(metrics)),
        _get("/openapi.json", documents.openapi),
        _get("/docs", documents.page),
        _get("/health", health.report),
        _get("/healthz", alive),
        _get("/readyz", readiness(ready)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Observer, metrics=metrics)],
        exception_handlers=EXCEPTION_HANDLERS,
    )


def metrics_application(metrics: Metrics, load: Load) -> Starlette:
    """The same metrics on the port that scrapers expect, and what the operator asks there; none of it is counted."""
    routes = [_get("/metrics", _exposition(metrics)), _get(LOAD_PATH, load.report)]
    return Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)


def _below(prefix: str, models: Models, artifacts: Artifacts, documents: Documents) -> Iterator[Route]:
    yield _get(prefix, with_slash(prefix))
    yield _get(f"{prefix}/", documents.root(prefix))
    for path in HOT_PATHS:  # a POST never comes here; a browser's OPTIONS and other methods do
        yield Route(f"{prefix}{path}", Resource({}, elsewhere=("POST",)))
    yield _get(f"{prefix}/models", models.list)
    yield _get(f"{prefix}/models/{{model:path}}", models.retrieve)
    job = f"{prefix}/artifacts/{{namespace}}/{{uid}}"
    for name in FILES:
        yield _get(f"{job}/{name}", artifacts.file(name))
    for name in TASK_FILES:
        yield _get(f"{job}/tasks/{{task}}/{name}", artifacts.task_file(name))


def _get(path: str, handler: Handler) -> Route:
    return Route(path, Resource({"GET": handler}))


def _exposition(metrics: Metrics) -> Handler:
    async def handler(_: Request) -> Response:
        return Response(await metrics.scrape(), media_type=CONTENT_TYPE)

    return handler
