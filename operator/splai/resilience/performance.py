"""Steps that save work, and the measure of what is left."""

import copy
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

from .cache import RecentlyUsed, ResponseCache
from .core import Step, WorkflowContext, WorkflowPrimitive, as_primitive

DEFAULT_TTL_SECONDS: Final = 1800.0
_MOST_RESULTS: Final = 1024


class CachePrimitive(WorkflowPrimitive):
    """Remembers results in this process; those who ask for the same at the same time share one execution.

    Everybody gets a copy of their own, so that nobody can change what others will get. Errors are not remembered.
    """

    def __init__(
        self,
        *,
        primitive: Step,
        key_fn: Callable[[Any, WorkflowContext], Hashable],
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        max_results: int = _MOST_RESULTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``key_fn`` names all that a result depends on; if it differs between users, the user as well."""
        self._primitive = as_primitive(primitive)
        self._key_fn = key_fn
        self._ttl_seconds = ttl_seconds
        # A tuple around each result, for None may be one.
        self._cache = ResponseCache[tuple[Any]](RecentlyUsed(max_results, size=lambda _: 1, clock=clock))

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        async def compute() -> tuple[Any]:
            return (copy.deepcopy(await self._primitive.execute(data, context)),)

        found, _ = await self._cache.get_or_compute(self._key_fn(data, context), compute, self._ttl_seconds)
        assert found is not None  # noqa: S101 - compute always returns something to keep
        return copy.deepcopy(found[0])


class MeasuredPrimitive(WorkflowPrimitive):
    """Adds ``duration_ms`` and ``cost`` to a result that is a dict, unless the result has its own.

    The cost, in US dollars, is the sum of what the steps told the context by ``add_cost``: 0 for models of one's own.
    """

    def __init__(self, *, primitive: Step) -> None:
        self._primitive = as_primitive(primitive)

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        started = time.perf_counter()
        result = await self._primitive.execute(data, context)
        if not isinstance(result, dict):
            return result
        return {"duration_ms": round((time.perf_counter() - started) * 1000), "cost": context.cost, **result}
