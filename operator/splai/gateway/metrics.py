"""What the gateway counts.

Label values are bounded: routes of the router, ids of the route table, backends, own words; never what a caller sends.
A request to a model costs a few additions: what it counts is bound to its labels once, for each route and model.

::

    for_route(route, model) ─▶ RouteMetrics          requests, their times and first tokens
                                 └─ .model ─▶ ModelMetrics    in flight, queued, held, tokens, retries, cache
    for_backend(key) ─▶ BackendMetrics   integration_*: what each backend did
    show_backends(source)           integration_health and breakers, asked for when somebody scrapes
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from http import HTTPStatus
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from splai.gateway.metric_families import BackendStates, MetricFamilies
from splai.gateway.series import Distribution, Value

CONTENT_TYPE = CONTENT_TYPE_LATEST
CALLER_LEFT = 499
"""The code of a request whose caller did not wait for the answer; nginx's word for it."""
MODELS_SHOWN = 2000
OTHER_MODELS = "__other__"
"""The model of all requests beyond ``MODELS_SHOWN`` models."""

_CODES: dict[int, str] = {status.value: str(status.value) for status in HTTPStatus} | {CALLER_LEFT: str(CALLER_LEFT)}


Key = TypeVar("Key")


class _Unforgotten(dict[Key, Value]):
    """Series that are made when they are first needed, unless what they count for has been forgotten meanwhile."""

    def __init__(self, create: Callable[[Key], Value]) -> None:
        super().__init__()
        self._create = create

    def __missing__(self, key: Key) -> Value:
        series = self[key] = self._create(key)
        return series

    def detach(self) -> None:
        self._create = lambda _: Value()


class ModelMetrics:
    """What is counted for a model on any route; gauges are changed by whoever queues and holds."""

    __slots__ = (
        "_cache",
        "_failures",
        "_fallbacks",
        "_queue_wait",
        "_retries",
        "_tokens",
        "held",
        "in_flight",
        "queued",
    )

    def __init__(self, families: MetricFamilies, model: str) -> None:
        self.in_flight: Value = families.in_flight.labels(model)
        self.queued: Value = families.queued.labels(model)
        self.held: Value = families.held.labels(model)
        self._queue_wait: Distribution = families.queue_wait.labels(model)
        self._tokens = (families.tokens.labels(model, "input"), families.tokens.labels(model, "output"))
        self._retries: Value = families.retries.labels(model)
        self._fallbacks: Value = families.fallbacks.labels(model)
        self._cache = (families.cache.labels(model, "miss"), families.cache.labels(model, "hit"))
        self._failures: _Unforgotten[str] = _Unforgotten(lambda reason: families.upstream_errors.labels(model, reason))

    def waited(self, seconds: float) -> None:
        """A request got its slot, after this time in the queue."""
        self._queue_wait.observe(seconds)

    def used(self, input_tokens: int, output_tokens: int) -> None:
        """An engine told how many tokens an answer took."""
        self._tokens[0].value += input_tokens
        self._tokens[1].value += output_tokens

    def failed(self, reason: str) -> None:
        """A call of an engine failed; ``reason`` is one of our own words."""
        self._failures[reason].inc()

    def retried(self) -> None:
        """Another engine, or the same one again, is asked for an answer that did not come."""
        self._retries.inc()

    def fell_back(self) -> None:
        """A fallback of the backend is asked instead of it."""
        self._fallbacks.inc()

    def looked_up(self, *, hit: bool) -> None:
        """The cache was asked for the answer."""
        self._cache[hit].inc()

    def detach(self) -> None:
        """Create no series any more."""
        self._failures.detach()


class RouteMetrics:
    """What is counted for the requests of a route to a model."""

    __slots__ = ("_codes", "_duration", "_first_token", "_in_flight", "_overhead", "model")

    def __init__(self, families: MetricFamilies, route: str, model: str, of_model: ModelMetrics) -> None:
        self.model = of_model
        self._in_flight = of_model.in_flight
        self._codes: _Unforgotten[int] = _Unforgotten(
            lambda code: families.requests.labels(route, model, _CODES.get(code) or _class(code))
        )
        self._duration: Distribution = families.duration.labels(route, model)
        self._overhead: Distribution = families.overhead.labels(route, model)
        self._first_token: Distribution = families.first_token.labels(route, model)

    def began(self) -> None:
        """A request is to be answered; ``ended`` must follow."""
        self._in_flight.value += 1

    def ended(self, code: int, seconds: float, engine_seconds: float | None = None) -> None:
        """It is, with this status; ``seconds`` in all, ``engine_seconds`` of them waiting for engines and callers."""
        self._in_flight.value -= 1
        self._codes[code].value += 1
        self._duration.observe(seconds)
        if engine_seconds is not None:
            self._overhead.observe(seconds - engine_seconds)

    def first_token(self, seconds: float) -> None:
        """The first generated content of a stream came, this long after the request's head."""
        self._first_token.observe(seconds)

    def detach(self) -> None:
        """Create no series any more."""
        self._codes.detach()


def _class(code: int) -> str:
    """Engines may answer with any number."""
    return f"{code // 100}xx"


class BackendMetrics:
    """What is counted for a backend."""

    __slots__ = ("_duration", "_errors")

    def __init__(self, families: MetricFamilies, namespace: str, name: str) -> None:
        self._duration: Distribution = families.integration_duration.labels(namespace, name)
        self._errors: Value = families.integration_errors.labels(namespace, name)

    def answered(self, seconds: float) -> None:
        """A call of it ended, well or not, after this time."""
        self._duration.observe(seconds)

    def failed(self) -> None:
        """A call of it failed by its own fault."""
        self._errors.inc()


class Metrics(MetricFamilies):
    """The gateway's metrics, with the series that a request touches bound to its labels."""

    def __init__(self) -> None:
        super().__init__()
        self._bound_routes: dict[tuple[str, str], RouteMetrics] = {}
        self._bound_models: dict[str, ModelMetrics] = {}
        self._bound_backends: dict[str, BackendMetrics] = {}

    def for_route(self, route: str, model: str) -> RouteMetrics:
        """The series of a route's pattern and a model of the route table; bound once, then a look-up."""
        bound = self._bound_routes.get((route, model))
        if bound is None:
            bound = self._bind(route, self._shown(model))
        return bound

    def _bind(self, route: str, model: str) -> RouteMetrics:
        key = route, model
        if key not in self._bound_routes:
            self._bound_routes[key] = RouteMetrics(self, route, model, self.for_model(model))
        return self._bound_routes[key]

    def for_model(self, model: str) -> ModelMetrics:
        """The series of a model of the route table."""
        model = self._shown(model)
        bound = self._bound_models.get(model)
        if bound is None:
            bound = self._bound_models[model] = ModelMetrics(self, model)
        return bound

    def _shown(self, model: str) -> str:
        """The model as a label: a table of many thousand names would make a scrape a burden."""
        if not model or model in self._bound_models or len(self._bound_models) < MODELS_SHOWN:
            return model
        return OTHER_MODELS

    def for_backend(self, key: str) -> BackendMetrics:
        """The series of the ModelBackend ``namespace/name``."""
        bound = self._bound_backends.get(key)
        if bound is None:
            bound = self._bound_backends[key] = BackendMetrics(self, *key.split("/", 1))
        return bound

    def show_backends(self, source: BackendStates) -> None:
        """Have health and breakers told by ``source`` at each scrape: they go when their backend goes."""
        self.states.source = source

    def retain(self, *, models: Collection[str], backends: Collection[str]) -> None:
        """Forget the models and the backends (``namespace/name``) that are no longer there."""
        for model in [model for model in self._bound_models if model not in models and model not in ("", OTHER_MODELS)]:
            self.forget_model(model)
        for key in [key for key in self._bound_backends if key not in backends]:
            self.forget_backend(key)

    def forget_model(self, model: str) -> None:
        """Remove all series of a model that is gone; requests still in flight then count for nobody."""
        if (bound := self._bound_models.pop(model, None)) is not None:
            bound.detach()
        for key in [key for key in self._bound_routes if key[1] == model]:
            self._bound_routes.pop(key).detach()
        for family in self.by_model:
            family.forget(model=model)

    def forget_backend(self, key: str) -> None:
        """Remove all series of a backend that is gone."""
        self._bound_backends.pop(key, None)
        namespace, name = key.split("/", 1)
        for family in (self.integration_duration, self.integration_errors):
            family.forget(backend_namespace=namespace, integration_name=name)

    async def scrape(self) -> bytes:
        """The same, while requests are answered: a thousand models take half a second."""
        texts = []
        for text in self._texts():
            texts.append(text)
            await asyncio.sleep(0)
        return b"".join(texts)

    def _texts(self) -> Iterator[bytes]:
        name = ""
        for metric in self.registry.collect():
            text = generate_latest(_One(metric))
            yield text if metric.name != name else text.split(b"\n", 2)[2]  # HELP and TYPE come once
            name = metric.name


class _One(CollectorRegistry):
    """A registry of one metric that was collected."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]
