"""Answers that were computed before: one caller computes, and all who ask for the same meanwhile wait for it.

```
get_or_compute ──▶ somebody computes this key? ──yes──▶ wait ──▶ its value        (a hit)
                         │ no                             └────▶ it failed: the next one computes
                         ▼                                └────▶ nothing to keep: compute for oneself
                   in the store? ──yes──▶ the value       (a hit)
                         │ no
                         ▼
                      compute ──▶ store ──▶ the value     (a miss)
```

Keys are the caller's; ``cache_key`` makes one that no other tenant can have.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from hashlib import sha256
from json import JSONEncoder
from typing import Any, Final, Generic, Protocol, TypeVar

Value = TypeVar("Value")

_ENTRY_BYTES: Final = 300
"""What an entry takes beside its value: the key, two objects and a place in the table."""

_SAYS_NOTHING_OF_THE_ANSWER: Final = frozenset({"stream", "stream_options", "user", "metadata"})
_canonical_json: Final = JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def cache_key(tenant: str, model: str, path: str, document: Mapping[str, Any]) -> str:
    """A key for a request's answer: the SHA-256 of all that the answer depends on, the tenant included.

    Fields that say how an answer is delivered or for whom are left out; whether a request may be answered from a cache
    at all is not decided here.
    """
    fields = {name: value for name, value in document.items() if name not in _SAYS_NOTHING_OF_THE_ANSWER}
    return sha256(_canonical_json([tenant, model, path, fields]).encode()).hexdigest()


class Store(Protocol[Value]):
    """Where values are kept; what goes wrong in it is a miss, never an error."""

    async def get(self, key: Any, /) -> Value | None:
        """The value, or None when it is not there or too old."""

    async def put(self, key: Any, value: Value, ttl: float, /) -> None:
        """Keep a value for ``ttl`` seconds at most."""


class RecentlyUsed(Generic[Value]):
    """Values in this process; what was not asked for the longest makes room."""

    def __init__(self, capacity: int, *, size: Callable[[Value], int], clock: Callable[[], float]) -> None:
        """``size`` says how much of the capacity a value takes."""
        self._capacity = capacity
        self._size = size
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[Value, float, int]] = OrderedDict()
        self._used = 0

    async def get(self, key: Hashable) -> Value | None:
        """The value, if it is there and not too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, expires_at, _ = entry
        if self._clock() >= expires_at:
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return value

    async def put(self, key: Hashable, value: Value, ttl: float) -> None:
        """Keep it for ``ttl`` seconds; a value that exceeds the capacity by itself is not kept."""
        size = self._size(value)
        if key in self._entries:
            self._remove(key)
        if size > self._capacity or ttl <= 0:
            return
        self._entries[key] = (value, self._clock() + ttl, size)
        self._used += size
        while self._used > self._capacity:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: Hashable) -> None:
        self._used -= self._entries.pop(key)[2]


class MemoryStore(RecentlyUsed[bytes]):
    """Answers in this process, within ``max_bytes``."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(max_bytes, size=lambda value: len(value) + _ENTRY_BYTES, clock=clock)


class ResponseCache(Generic[Value]):
    """In front of a store: the same key is computed once at a time."""

    def __init__(self, store: Store[Value]) -> None:
        self._store = store
        # What is being computed: a value, None where there is nothing to keep, cancelled where it failed.
        self._leaders: dict[Hashable, asyncio.Future[Value | None]] = {}

    async def get_or_compute(
        self, key: Hashable, compute: Callable[[], Awaitable[Value | None]], ttl: float
    ) -> tuple[Value | None, bool]:
        """The value for a key, and whether it was computed before or for somebody else.

        ``compute`` returns None when there is nothing to keep; then so does this, and those who waited compute each
        for themselves, at once. Raises what this caller's own ``compute`` raises, never another caller's failure: when
        the one who computes fails or leaves, the next one computes.
        """
        while leader := self._leaders.get(key):
            await asyncio.wait([leader])  # which, unlike awaiting it, does not cancel it when this caller leaves
            if leader.cancelled():
                continue
            value = leader.result()
            return (await compute(), False) if value is None else (value, True)
        return await self._lead(key, compute, ttl)

    async def _lead(
        self, key: Hashable, compute: Callable[[], Awaitable[Value | None]], ttl: float
    ) -> tuple[Value | None, bool]:
        outcome = self._leaders[key] = asyncio.get_running_loop().create_future()
        try:
            value = await self._store.get(key)
            if value is not None:
                outcome.set_result(value)
                return value, True
            value = await compute()
            outcome.set_result(value)  # nobody waits for the store
            if value is not None:
                await self._store.put(key, value, ttl)
            return value, False
        finally:
            outcome.cancel()  # no effect once it has a result
            del self._leaders[key]
