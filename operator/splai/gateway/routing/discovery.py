"""The newest route table, made from reflectors on backends and on the endpoints of their Services."""

import asyncio
import time
from collections.abc import Callable, Sequence

from splai.gateway.metrics import Metrics
from splai.gateway.routing.observed import Backend, Endpoints
from splai.gateway.routing.reflector import Reflector
from splai.gateway.routing.routes import RouteTable, build_routes
from splai.kube.client import Client
from splai.kube.resource import ENDPOINT_SLICES, MODEL_BACKENDS

# The endpoint slice controller copies a Service's labels to its slices. Selecting by ours spares the apiserver from
# sending every slice of the cluster, and keeps us from routing to somebody else's Service of a backend's name.
BACKEND_SELECTOR = "splai.dev/modelbackend"
SETTLE_SECONDS = 0.02
# Of the time that passes while changes keep coming, a table of thousands of backends may take a tenth.
SETTLE_BUILDS = 9


class Discovery:
    """Watches the given namespaces, or all, and replaces ``table`` as a whole."""

    def __init__(self, client: Client, namespaces: Sequence[str], metrics: Metrics) -> None:
        self.table = RouteTable()
        self.synced = False
        """Whether the table ever showed all that there is."""
        self._metrics = metrics
        self._listeners: list[Callable[[RouteTable], None]] = []
        self._dirty = asyncio.Event()
        scopes: Sequence[str | None] = namespaces or (None,)
        self._backends = [
            Reflector(
                client,
                MODEL_BACKENDS,
                Backend.from_object,
                changed=self._dirty.set,
                failed=metrics.watch_failures.labels(MODEL_BACKENDS.name).inc,
                namespace=namespace,
            )
            for namespace in scopes
        ]
        self._endpoints = [
            Reflector(
                client,
                ENDPOINT_SLICES,
                Endpoints.from_object,
                changed=self._dirty.set,
                failed=metrics.watch_failures.labels(ENDPOINT_SLICES.name).inc,
                namespace=namespace,
                selector=BACKEND_SELECTOR,
            )
            for namespace in scopes
        ]

    def on_change(self, listener: Callable[[RouteTable], None]) -> None:
        """Call the listener with each new table, once it is the one that ``table`` gives."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the cluster for ever."""
        async with asyncio.TaskGroup() as tasks:
            for backends, endpoints in zip(self._backends, self._endpoints, strict=True):
                tasks.create_task(backends.run())
                tasks.create_task(endpoints.run())
            tasks.create_task(self._rebuild())

    async def _rebuild(self) -> None:
        """One new table for a burst of changes."""
        build_seconds = 0.0
        while True:
            await self._dirty.wait()
            await asyncio.sleep(max(SETTLE_SECONDS, SETTLE_BUILDS * build_seconds))
            self._dirty.clear()
            began = time.perf_counter()
            if self._are_listed():
                backends = (backend for reflector in self._backends for backend in reflector.objects)
                endpoints = (part for reflector in self._endpoints for part in reflector.objects)
                self.table = table = build_routes(backends, endpoints)
                self.synced = True
                self._metrics.models.set(len(table.listed))
                for listener in self._listeners:
                    listener(table)
            build_seconds = time.perf_counter() - began

    def _are_listed(self) -> bool:
        """A table of half the cluster would answer 404 for models that exist."""
        backends = all(reflector.listed for reflector in self._backends)
        return backends and all(reflector.listed for reflector in self._endpoints)
