"""Which of several operators acts: an elector over a coordination.k8s.io Lease.

Two rules make it safe. Nobody compares clocks of two machines: a standby takes over when the Lease has not changed
for its whole duration on the standby's own monotonic clock. And a leader stops before anybody may take over: it counts
from the moment it *sent* its last successful renewal, and gives up after two thirds of the duration.
``require()`` is the fence that every write passes, for the process that slept through both.

The elector of the ``kubernetes`` package is not used: it renews for ever when the led task is dead, does not release
the Lease at exit, and reads wall clocks.

The Lease is also what is read most often, so here it is noticed first when the apiserver falls back to an older state.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NoReturn

from splai.kube.client import Client, Object
from splai.kube.errors import AlreadyExists, ApiError, Conflict, NotFound, VersionFell
from splai.kube.resource import LEASES

DURATION = 15
"""Seconds that a Lease stands still before another candidate takes it. A whole number, as the Lease says it."""

_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """This process leads no more: it has to end, because others may act now."""


class Elector:
    """One candidate for one Lease."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float],
        duration: int = DURATION,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``client`` is used by nobody else, so that a renewal never waits for a free connection."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._duration = duration
        self.renew_deadline = duration * 2 / 3
        self._retry_period = duration * 2 / 15
        self._jitter = jitter
        self._valid_until = float("-inf")
        self._seen_version = 0
        self._seen_at = float("-inf")

    @property
    def leading(self) -> bool:
        return self._clock() < self._valid_until

    def require(self) -> None:
        """The fence before a write; raises LeaseLost."""
        if not self.leading:
            raise LeaseLost(f"{self._identity} does not hold the lease {self._namespace}/{self._name} any more")

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while not await self._try(self._take):  # noqa: ASYNC110 - the Lease is in the apiserver
            await asyncio.sleep(self._retry_period * (0.5 + self._jitter()))
        _log.info("leading", extra={"lease": self._name, "identity": self._identity})

    async def hold(self) -> NoReturn:
        """Renew for as long as it works; raises LeaseLost when it does not."""
        while True:
            await asyncio.sleep(self._retry_period * (0.5 + self._jitter() / 2))
            await self._try(self._renew)
            self.require()

    async def release(self) -> None:
        """Let another take over at once; without an answer it will after the lease's duration."""
        if not self.leading:
            return
        self._valid_until = float("-inf")
        try:
            lease = await self._client.get(LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(LEASES, self._namespace, self._name, lease)
        except ApiError as error:
            _log.warning("lease not released", extra={"error": error.message})

    async def _try(self, attempt: Callable[[], Awaitable[bool]]) -> bool:
        """One attempt, counted from before it was sent; a failure is a missed turn, not the end."""
        sent = self._clock()
        try:
            async with asyncio.timeout(self.renew_deadline / 2):
                held = await attempt()
        except Conflict:
            return False  # somebody was faster
        except (ApiError, TimeoutError) as error:
            _log.warning("lease not reached", extra={"lease": self._name, "error": str(error) or "timeout"})
            return False
        if held:
            self._valid_until = sent + self.renew_deadline
        return held

    async def _take(self) -> bool:
        """Create the Lease, or take one that is free, ours, or unchanged for its whole duration."""
        try:
            lease = await self._read()
        except NotFound:
            return await self._create()
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity")
        expired = self._clock() - self._seen_at >= (spec.get("leaseDurationSeconds") or self._duration)
        if holder and holder != self._identity and not expired:
            return False
        transitions = (spec.get("leaseTransitions") or 0) + (holder != self._identity)
        lease["spec"] = self._spec(acquired=_now(), transitions=transitions)
        await self._write(lease)
        return True

    async def _create(self) -> bool:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": self._spec(acquired=_now(), transitions=0),
        }
        try:
            self._see(await self._client.create(LEASES, self._namespace, body))
        except AlreadyExists:
            return False
        return True

    async def _renew(self) -> bool:
        lease = await self._read()
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") != self._identity:
            self._valid_until = float("-inf")
            return False
        lease["spec"] = self._spec(acquired=spec.get("acquireTime") or _now(), transitions=spec["leaseTransitions"])
        await self._write(lease)
        return True

    async def _read(self) -> Object:
        lease = await self._client.get(LEASES, self._namespace, self._name)
        self._see(lease)
        return lease

    async def _write(self, lease: Object) -> None:
        self._see(await self._client.replace(LEASES, self._namespace, self._name, lease))

    def _see(self, lease: Object) -> None:
        """Remember since when the Lease is as it is; raises VersionFell when it was newer before."""
        version = int(lease["metadata"]["resourceVersion"])
        if version < self._seen_version:
            raise VersionFell(f"the lease is at version {version}, but {self._seen_version} was seen before")
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, self._clock()

    def _spec(self, *, acquired: str, transitions: int) -> Object:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration,
            "acquireTime": acquired,
            "renewTime": _now(),
            "leaseTransitions": transitions,
        }


def _now() -> str:
    """For people who look at the Lease; nothing decides by it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
