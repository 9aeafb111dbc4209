"""The real store under virtual time, failing as networks and processes do, at the moments that a test chooses."""

import asyncio
import random
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from splai.api.ledger import CLOSING, ERRORS, FINAL, OUTPUT, WORKERS_PREFIX, Progress, commit_path
from splai.artifacts.folder import StoredObject, StoreRefused, StoreUnavailable
from splai.artifacts.store_folder import StoreFolder

LATENCY = 0.2  # seconds at most, of an ordinary call
_Result = TypeVar("_Result")


class Fault(Enum):
    """What becomes of one call."""

    UNAVAILABLE = "nothing happens, and the caller sees a failure"
    FORBIDDEN = "the server refuses it for good"
    LOST_REPLY = "it happens, and the caller sees a failure"
    ECHO = "it happens, and the answer is that of the client's own second try"
    LATE = "the caller sees a failure, and it happens a while afterwards"
    SLOW = "it happens after a while"
    SLOW_REPLY = "it happens, and the caller hears of it after a while"
    CRASH_BEFORE = "the caller is killed, and nothing happens"
    CRASH_AFTER = "it happens, and the caller is killed"


class Call(Enum):
    """The calls that are told apart: one for each step of the protocol."""

    CLAIM = "claim"
    PART = "part"
    COMMIT = "commit"
    DECISION = "decision"
    CLOSING = "closing"
    FINAL = "final"
    OUTPUT = "output"
    ERRORS = "errors"
    REPORT = "report"
    READ = "read"
    LIST = "list"

    @classmethod
    def that_writes(cls, path: str) -> "Call":
        named = {CLOSING: cls.CLOSING, FINAL: cls.FINAL, OUTPUT: cls.OUTPUT, ERRORS: cls.ERRORS}
        named[commit_path("final")] = cls.DECISION
        if path in named:
            return named[path]
        if path.startswith(WORKERS_PREFIX):
            return cls.REPORT
        if path.endswith("/commit"):
            return cls.COMMIT
        return cls.CLAIM if "/claim-" in path else cls.PART


@dataclass(frozen=True, slots=True)
class Trap:
    """The fault of a process's next call of one kind."""

    process: str
    call: Call
    fault: Fault
    seconds: float


class StoreThread:
    """Runs calls of the real store to their end, while virtual time stands still: each is one indivisible step."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(timeout=60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Site:
    """What all processes of a job share: the store, the traps, and whoever watches the writes."""

    thread: StoreThread
    store: StoreFolder
    wrote: Callable[[str, str, bytes], None]  # process, path, content; called for every write that had an effect
    chance: random.Random
    traps: list[Trap] = field(default_factory=list)

    def create(self, process: str, path: str, data: bytes) -> bool:
        created = self.thread.run(self.store.create(path, data))
        if created:
            self.wrote(process, path, data)
        return created

    def put(self, process: str, path: str, data: bytes, *, streamed: bool = False) -> None:
        self.thread.run(self.store.put_stream(path, _whole(data)) if streamed else self.store.put(path, data))
        self.wrote(process, path, data)

    def spring(self, process: str, call: Call) -> Trap | None:
        """The trap that this call steps on; it is gone then."""
        for trap in self.traps:
            if (trap.process, trap.call) == (process, call):
                self.traps.remove(trap)
                return trap
        return None


class FaultyFolder:
    """One process's access to the job's folder; the calls are those of ``JobFolder``."""

    def __init__(self, site: Site, process: str, *, latency: float = LATENCY) -> None:
        self.frozen_until = 0.0
        self.dead = False
        self.on_crash: Callable[[], object] = lambda: None
        self._site = site
        self._process = process
        self._latency = latency

    async def create(self, path: str, data: bytes) -> bool:
        return await self._call(Call.that_writes(path), lambda: self._site.create(self._process, path, data))

    async def put(self, path: str, data: bytes) -> None:
        await self._call(Call.that_writes(path), lambda: self._site.put(self._process, path, data))

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        data = b"".join([chunk async for chunk in chunks])
        await self._call(Call.that_writes(path), lambda: self._site.put(self._process, path, data, streamed=True))

    async def get(self, path: str) -> bytes | None:
        return await self._call(Call.READ, lambda: self._site.thread.run(self._site.store.get(path)))

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        return await self._call(Call.LIST, lambda: self._site.thread.run(self._site.store.list(prefix)))

    async def remove(self) -> None:
        raise NotImplementedError

    async def progress(self) -> Progress:
        raise NotImplementedError

    async def _call(self, call: Call, effect: Callable[[], _Result]) -> _Result:
        await self._pass(self._site.chance.uniform(0, self._latency))
        trap = self._site.spring(self._process, call)
        result = effect() if trap is None else await self._suffer(trap, effect)
        await self._pass(self._site.chance.uniform(0, self._latency))
        return result

    async def _suffer(self, trap: Trap, effect: Callable[[], _Result]) -> _Result:
        match trap.fault:
            case Fault.FORBIDDEN:
                raise StoreRefused("made to refuse", code="forbidden", status=403)
            case Fault.ECHO:
                effect()
            case Fault.SLOW:
                await self._pass(trap.seconds)
            case Fault.SLOW_REPLY:
                result = effect()
                await self._pass(trap.seconds)
                return result
            case Fault.LATE:
                asyncio.get_running_loop().call_later(trap.seconds, effect)
            case Fault.LOST_REPLY | Fault.CRASH_AFTER:
                effect()
        if trap.fault in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER}:
            self.on_crash()
            await self._pass(0)
        if trap.fault in {Fault.UNAVAILABLE, Fault.LOST_REPLY, Fault.LATE}:
            raise StoreUnavailable("made to fail")
        return effect()

    async def _pass(self, seconds: float) -> None:
        """Let time pass; a frozen process finds that more of it has passed, and a dead one never returns."""
        await asyncio.sleep(seconds)
        if (frozen := self.frozen_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(frozen)
        if self.dead:
            await asyncio.Event().wait()


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
