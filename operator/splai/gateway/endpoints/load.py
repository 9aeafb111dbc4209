"""What the operator's autoscaling asks each gateway: the requests of every backend that has any.

Served beside the metrics, on their port. Callers of the API do not come there, and it says no more than the metrics do.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from splai.api.gateway_load import BackendLoad, GatewayLoad
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.hold import Hold
from splai.gateway.routing.routes import BackendRoute, RouteSource
from splai.gateway.routing.selection import Selection


class Load:
    """The handler of ``/internal/load``."""

    def __init__(
        self,
        replica: str,
        *,
        routes: RouteSource,
        selection: Selection,
        admission: Admission,
        hold: Hold,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replica = replica
        self._routes = routes
        self._selection = selection
        self._admission = admission
        self._hold = hold
        self._clock = clock

    async def report(self, _: Request) -> Response:
        """The newest numbers; a backend that is left out has no request."""
        return Response(self.load().model_dump_json(by_alias=True), media_type="application/json")

    def load(self) -> GatewayLoad:
        """The same as a value."""
        in_flight = self._selection.peaks.read(self._selection.in_flight_by_backend(), self._clock())
        held = Counter(self._hold.held())
        backends = self._routes.table.backends
        for members, queued in self._admission.queues().items():
            held.update(_shared(queued, [backends[key] for key in members if key in backends]))
        models = [
            BackendLoad(namespace=namespace, backend=name, in_flight=in_flight.get(key, 0), held=held[key])
            for key in sorted({*in_flight, *held})
            for namespace, _, name in [key.partition("/")]
            if in_flight.get(key) or held[key]
        ]
        return GatewayLoad(replica=self._replica, models=models)


def _shared(queued: int, members: Sequence[BackendRoute]) -> dict[str, int]:
    """Requests that wait for a turn, as of the backends of a pool that would have given it: those asked first."""
    able = [backend for backend in members if backend.addresses] or members
    first = min((backend.policy.priority for backend in able), default=0)
    keys = [backend.key for backend in able if backend.policy.priority == first]
    return {key: queued // len(keys) + (place < queued % len(keys)) for place, key in enumerate(keys)}
