"""Requests for a backend at zero wait for its first pod, a bounded time and no more than a bounded number of them.

Each table is looked at once, whatever number waits. A backend that was seen at zero and is starting now is still waited
for, as is any that starts and has autoscaling: another gateway may have woken it. One that has no ready pod for another
reason is not: nobody knows when it will have one.

Deadlines are points of the running loop's clock (``loop.time()``), in seconds.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final

from splai.gateway.errors import RequestError
from splai.gateway.routing.resolve import find_pool
from splai.gateway.routing.routes import BackendRoute, Pool, RouteSource, RouteTable

RETRY_AFTER_SECONDS: Final = 5
MAX_HOLD_SECONDS: Final = 60.0
"""Below the time after which common proxies before us give up."""
DEFAULT_MOST_HELD: Final = 1000


class Hold:
    """Whoever waits for a first pod, and for whose."""

    def __init__(
        self, routes: RouteSource, *, max_hold: float = MAX_HOLD_SECONDS, most_held: int = DEFAULT_MOST_HELD
    ) -> None:
        """``max_hold`` in seconds, for backends that do not say it themselves; ``most_held`` requests in all."""
        self._routes = routes
        self._max_hold = max_hold
        self._most_held = most_held
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        """By the name that is waited for."""
        self._waking: set[str] = set()
        """Keys of backends that were at zero and have had no pod since."""

    async def until_ready(self, name: str, deadline: float) -> Pool:
        """The pool of a name as soon as it has a ready pod, which is at once for most.

        Raises RequestError: 503 with `Retry-After` when there is none within the hold or until the deadline, when
        too many wait already, or when nothing says that there will be one; 404 when the name is gone.
        """
        pool = find_pool(self._routes.table, name)
        if pool.is_ready:
            return pool
        awaited = self._awaited(pool)
        if awaited is None:
            raise _unavailable("The model has no ready replica", "model_not_ready")
        if self._held.total() >= self._most_held:
            raise _unavailable("Too many requests wait for a model to start", "too_many_held")
        most = self._max_hold if awaited.policy.max_hold is None else awaited.policy.max_hold
        self._held[awaited.key] += 1
        try:
            async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + most)):
                return await self._ready(name)
        except TimeoutError:
            message = "The model runs at zero replicas, and none has started in time"
            raise _unavailable(message, "model_not_ready") from None
        finally:
            self._held[awaited.key] -= 1
            if not self._held[awaited.key]:
                del self._held[awaited.key]

    def held(self) -> Mapping[str, int]:
        """How many requests wait for each backend, by its key."""
        return dict(self._held)

    def update(self, table: RouteTable) -> None:
        """Wake those whose pool has a pod now, or is gone."""
        at_zero = {key for key, backend in table.backends.items() if backend.at_zero}
        still = {key for key in self._waking if (it := table.backends.get(key)) is not None and not it.addresses}
        self._waking = at_zero | still
        for name, waiting in self._waiting.items():
            pool = table.find(name)
            for changed in waiting if pool is None or pool.is_ready else ():
                if not changed.done():
                    changed.set_result(None)

    async def _ready(self, name: str) -> Pool:
        while True:
            waiting = self._waiting.setdefault(name, set())
            changed = asyncio.get_running_loop().create_future()
            waiting.add(changed)
            try:
                await changed
            finally:
                waiting.discard(changed)
                if not waiting and self._waiting.get(name) is waiting:
                    del self._waiting[name]
            pool = find_pool(self._routes.table, name)
            if pool.is_ready:
                return pool

    def _awaited(self, pool: Pool) -> BackendRoute | None:
        """The backend whose first pod would answer; None when none is to be expected."""
        return next((it for it in pool.backends if it.at_zero or (it.is_starting and self._comes(it))), None)

    def _comes(self, backend: BackendRoute) -> bool:
        return backend.policy.is_elastic or backend.key in self._waking


def _unavailable(message: str, code: str) -> RequestError:
    return RequestError(
        503,
        message,
        type="service_unavailable_error",
        code=code,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
