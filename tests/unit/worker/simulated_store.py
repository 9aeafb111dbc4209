"""A job's folder in memory, as unreliable as a network can make it."""

import asyncio
import random
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from splai.api.ledger import Progress
from splai.artifacts.folder import StoredObject, StoreUnavailable

_Result = TypeVar("_Result")


@dataclass
class Store:
    """The objects themselves: each call is one indivisible step."""

    objects: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)

    def create(self, path: str, data: bytes) -> bool:
        if path in self.objects:
            return False
        self.put(path, data)
        return True

    def put(self, path: str, data: bytes) -> None:
        self.objects[path] = data
        self.versions[path] = self.versions.get(path, 0) + 1
        self.log.append(("put", path))

    def list(self, prefix: str) -> list[StoredObject]:
        return [
            StoredObject(path, len(data), str(self.versions[path]))
            for path, data in sorted(self.objects.items())
            if path.startswith(prefix)
        ]


@dataclass(frozen=True)
class Weather:
    """How bad the network is: probabilities for every call."""

    refused: float = 0.0  # nothing happens, and the caller learns that
    lost_reply: float = 0.0  # it happens, and the caller sees a failure
    echo: float = 0.0  # it happens, and the client's own retry sees the second answer
    late: float = 0.0  # the caller sees a failure, and it happens up to 100 seconds afterwards
    slow: float = 0.0  # it takes up to 40 seconds
    latency: float = 0.01


class SimulatedFolder:
    """One process's access to the store; implements ``JobFolder`` as far as a worker uses it."""

    def __init__(self, store: Store, weather: Weather | None = None, chance: random.Random | None = None) -> None:
        self.store = store
        self.weather = weather or Weather()
        self.calls = 0
        self.before_call: Callable[[str, str], None] = lambda call, path: None
        self.after_call: Callable[[str, str], None] = lambda call, path: None
        self.frozen_until = 0.0
        self.dead = False
        self._chance = chance or random.Random(0)

    async def create(self, path: str, data: bytes) -> bool:
        return await self._call("create", path, lambda: self.store.create(path, data))

    async def put(self, path: str, data: bytes) -> None:
        await self._call("put", path, lambda: self.store.put(path, data))

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        data = b"".join([chunk async for chunk in chunks])
        await self._call("put_stream", path, lambda: self.store.put(path, data))

    async def get(self, path: str) -> bytes | None:
        return await self._call("get", path, lambda: self.store.objects.get(path))

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        return await self._call("list", prefix, lambda: self.store.list(prefix))

    async def remove(self) -> None:
        raise NotImplementedError

    async def progress(self) -> Progress:
        raise NotImplementedError

    async def _call(self, call: str, path: str, effect: Callable[[], _Result]) -> _Result:
        self.calls += 1
        self.before_call(call, path)
        await self._alive()
        loop = asyncio.get_running_loop()
        weather, luck = self.weather, self._chance.random()
        slow = self._chance.random() < weather.slow
        await asyncio.sleep(self._chance.uniform(0, 40 if slow else weather.latency))
        if self.frozen_until > loop.time():
            await asyncio.sleep(self.frozen_until - loop.time())
        await self._alive()
        for probability, happen in (
            (weather.refused, lambda: None),
            (weather.lost_reply, effect),
            (weather.late, lambda: loop.call_later(self._chance.uniform(0, 100), effect)),
        ):
            if luck < probability:
                happen()
                raise StoreUnavailable("simulated")
            luck -= probability
        result = effect()
        if luck < weather.echo:
            result = effect()
        self.after_call(call, path)
        await self._alive()
        return result

    async def _alive(self) -> None:
        if self.dead:
            await asyncio.Event().wait()  # SIGKILL: nothing ever comes back
