"""Steps that compose: each is called by ``await step.execute(data, context)``, and any of them may hold others.

``a >> b`` hands a's result to b. An ``async def f(data, context)`` is a step wherever one is expected.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .errors import UnknownRoute

_LONGEST_QUOTE: Final = 60
_COST: Final = "cost"


@dataclass(slots=True)
class WorkflowContext:
    """What belongs to one run of a workflow, from its first step to its last."""

    workflow_id: str
    correlation_id: str | None = None
    user_id: str | None = None
    _state: dict[str, Any] = field(default_factory=dict, repr=False)

    def get_state(self, key: str, default: Any = None) -> Any:
        """What a step has left under a key."""
        return self._state.get(key, default)

    def set_state(self, key: str, value: Any) -> None:
        """Leave something for later steps."""
        self._state[key] = value

    def add_cost(self, dollars: float) -> None:
        """Say what a call has cost, in US dollars; the sum is the state ``cost``."""
        self._state[_COST] = self.cost + dollars

    @property
    def cost(self) -> float:
        """The sum of what steps said, in US dollars."""
        return float(self._state.get(_COST, 0.0))


class WorkflowPrimitive(ABC):
    """A step. Subclasses say what it does in ``_execute_impl``."""

    async def execute(self, data: Any, context: WorkflowContext) -> Any:
        """Do it; raises what it raises. ``data`` may be shared with other steps, so none changes it."""
        return await self._execute_impl(data, context)

    @abstractmethod
    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any: ...

    def __rshift__(self, after: Step) -> SequentialPrimitive:
        return SequentialPrimitive([self, after]) if _is_step(after) else NotImplemented

    def __rrshift__(self, before: Step) -> SequentialPrimitive:
        return SequentialPrimitive([before, self]) if _is_step(before) else NotImplemented


Function: TypeAlias = Callable[[Any, WorkflowContext], Awaitable[Any]]
Step: TypeAlias = WorkflowPrimitive | Function


def _is_step(thing: object) -> bool:
    return isinstance(thing, WorkflowPrimitive) or callable(thing)


def as_primitive(step: Step) -> WorkflowPrimitive:
    """The step as a primitive; raises TypeError for what is neither that nor callable."""
    if isinstance(step, WorkflowPrimitive):
        return step
    if callable(step):
        return FunctionPrimitive(step)
    raise TypeError(f"a step is a primitive or an async function of (data, context), not {type(step).__name__}")


class FunctionPrimitive(WorkflowPrimitive):
    """An ``async def f(data, context)``."""

    def __init__(self, function: Function) -> None:
        self._function = function

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        result = self._function(data, context)
        if not inspect.isawaitable(result):
            name = getattr(self._function, "__qualname__", type(self._function).__name__)
            raise TypeError(f"{name} is not asynchronous: a step is an async function of (data, context)")
        return await result


class SequentialPrimitive(WorkflowPrimitive):
    """One step after the other, each with the result of the one before."""

    def __init__(self, primitives: Sequence[Step]) -> None:
        """Raises ValueError without steps."""
        if not primitives:
            raise ValueError("primitives must name at least one step")
        self._steps: list[WorkflowPrimitive] = []
        for step in map(as_primitive, primitives):
            self._steps += step._steps if type(step) is SequentialPrimitive else [step]

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        for step in self._steps:
            data = await step.execute(data, context)
        return data


class ParallelPrimitive(WorkflowPrimitive):
    """All steps at once with the same data; the result is the list of their results, in the order of the steps."""

    def __init__(self, primitives: Sequence[Step]) -> None:
        """Raises ValueError without steps."""
        if not primitives:
            raise ValueError("primitives must name at least one step")
        self._steps = [as_primitive(step) for step in primitives]

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> list[Any]:
        """When a step fails the others are cancelled, and its error is raised when all have ended."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(step.execute(data, context)) for step in self._steps]
        except BaseExceptionGroup as failures:
            # The first one is why the others were cancelled; what those raised while they ended is its consequence.
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]


class RouterPrimitive(WorkflowPrimitive):
    """One of several steps: the one that a function of data and context names."""

    def __init__(
        self,
        *,
        routes: Mapping[str, Step],
        router_fn: Callable[[Any, WorkflowContext], str],
        default: str | None = None,
    ) -> None:
        """``default`` is the route for names that there is none of; raises ValueError if that is no route itself."""
        self._routes = {name: as_primitive(step) for name, step in routes.items()}
        self._router_fn = router_fn
        if default is not None and default not in self._routes:
            raise ValueError(f"default must be one of the routes {', '.join(self._routes)}, not {_quoted(default)}")
        self._default = default

    async def _execute_impl(self, data: Any, context: WorkflowContext) -> Any:
        """Raises UnknownRoute where there is neither a route of that name nor a default."""
        name = self._router_fn(data, context)
        route = name if isinstance(name, str) and name in self._routes else self._default
        if route is None:
            raise UnknownRoute(f"no route {_quoted(name)}; there are {', '.join(self._routes)}")
        return await self._routes[route].execute(data, context)


def _quoted(name: object) -> str:
    """Short, because a wrong name may be anything."""
    text = repr(name)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
