"""Waiting in a test for what follows from an event elsewhere."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Return once it is true; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a count tells nobody that it changed
            await asyncio.sleep(0.002)
