"""Answers in Redis, shared by all replicas: a help while it is quick, and never in the way when it is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from .circuit_breaker import CircuitBreaker

_PREFIX: Final = "splai:answer:"
_MOST_CONNECTIONS: Final = 32


class RedisStore:
    """A Redis behind a circuit breaker: while it does not answer, nobody waits for it."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 0.05,
        max_value_bytes: int = 4 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects when it is first asked. Raises ValueError for a URL that is not one of a Redis."""
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MOST_CONNECTIONS,
            timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._failures = (RedisError, OSError, TimeoutError)
        self._timeout_seconds = timeout_seconds
        self._max_value_bytes = max_value_bytes
        self._breaker = CircuitBreaker(open_seconds=5.0, longest_open_seconds=30.0, half_open_calls=1, clock=clock)

    async def get(self, key: str) -> bytes | None:
        """The value; None when it is not there, or Redis fails or takes too long."""
        value: bytes | None = await self._ask(lambda: self._redis.get(_PREFIX + key))
        return value

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for ``ttl`` seconds, unless it is too large or Redis fails."""
        milliseconds = int(ttl * 1000)
        if milliseconds > 0 and len(value) <= self._max_value_bytes:
            await self._ask(lambda: self._redis.set(_PREFIX + key, value, px=milliseconds))

    async def answers(self) -> bool:
        """Whether Redis does."""
        return await self._ask(self._redis.ping) is not None

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def _ask(self, call: Callable[[], Awaitable[Any]]) -> Any:
        if not self._breaker.admits():
            return None
        token = self._breaker.begin()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reply = await call()
        except self._failures:
            self._breaker.fail(token)
            return None
        except BaseException:
            self._breaker.abandon(token)
            raise
        self._breaker.succeed(token)
        return reply
