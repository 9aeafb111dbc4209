"""An event loop whose clock jumps to the next timer, so that a minute of lease takes no time and every run is alike."""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _JumpingSelector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing can ever happen any more: every task waits for another")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Without real I/O: a task that waits for a socket would wait for ever."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """``asyncio.run`` in virtual time, with the same chances every time."""
    random.seed(0)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
