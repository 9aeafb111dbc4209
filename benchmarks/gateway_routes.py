"""What 1,000 ModelBackends cost our gateway, and how soon a backend that became ready is used.

Everything is seen from outside, at the real process and a real kube-apiserver:

- An update's cost is the gateway's CPU time while pods become unready and ready one at a time, far enough apart for
  each to be a new route table, less what it uses while nothing changes; by updates. Reading the watch is part of it.
- Memory is its resident size with all backends, and how much of it came with them.
- Readiness to route: a backend without a ready pod answers 503, or holds the request. Its EndpointSlice
  gets a ready pod as the middle one of 101 changes that are sent as fast as the apiserver takes them, and a caller asks
  for a chat completion until one is answered 200. The time counts from before the change is sent to the apiserver to
  that answer's end; from the apiserver's reply it is printed too.

    make benchmark NAME=gateway-routes ARGS='--backends 1000'
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import aiohttp

from benchmarks.gateway_site import (
    NAMESPACE,
    Server,
    apply,
    control_plane,
    endpoint_slice,
    model_backend,
    our_gateway,
    own_address,
)
from benchmarks.gateway_traffic import MODEL, Traffic
from benchmarks.operator_process import cost, resident_mb
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.kube.resource import ENDPOINT_SLICES, MODEL_BACKENDS

WRITERS = 16
OTHERS = 100
APART_SECONDS = 0.2
IDLE_SECONDS = 5.0
ASK_AGAIN_SECONDS = 0.005
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Reached:
    """One backend that became ready, in seconds until its route was used."""

    after_sending: float
    after_reply: float


class Cluster:
    """The backends and the EndpointSlices in the apiserver."""

    def __init__(self, client: Client, engine: str) -> None:
        self._client = client
        self._engine = engine
        self._ready: dict[str, bool] = {}

    async def create(self, names: Iterable[str]) -> None:
        """Backends with one ready pod each."""

        async def create_one(name: str) -> None:
            await self._client.create(MODEL_BACKENDS, NAMESPACE, model_backend(name, model=name))
            await self._client.create(ENDPOINT_SLICES, NAMESPACE, endpoint_slice(name, self._engine))
            self._ready[name] = True

        await in_lanes(create_one, names)

    async def flip(self, name: str) -> None:
        """The pod of a backend becomes unready, or ready again."""
        ready = self._ready[name] = not self._ready[name]
        endpoints = endpoint_slice(name, self._engine, ready=ready)["endpoints"]
        await self._client.patch(ENDPOINT_SLICES, NAMESPACE, f"{name}-1", {"endpoints": endpoints})


class Caller:
    """Asks the gateway for chat completions."""

    def __init__(self, session: aiohttp.ClientSession, server: Server) -> None:
        self._session = session
        self._url = f"{server.url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {server.token}"}

    async def status(self, model: str) -> int:
        """Of one request."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        async with self._session.post(self._url, json=body, headers=self._headers) as reply:
            await reply.read()
            return reply.status

    async def until_answered(self, model: str) -> float:
        """When (of the monotonic clock) a request for the model was answered."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if await self.status(model) == 200:
                    return time.monotonic()
                await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def until_refused(self, model: str) -> None:
        """Return when the gateway has no pod for the model: it says 503, or holds the request."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    async with asyncio.timeout(1):
                        if await self.status(model) != 200:
                            return
                except TimeoutError:
                    return
                await asyncio.sleep(ASK_AGAIN_SECONDS)


async def in_lanes(act: Callable[[str], Awaitable[None]], names: Iterable[str]) -> None:
    """Do it for all names, a few at a time."""
    pending = list(names)[::-1]

    async def lane() -> None:
        while pending:
            await act(pending.pop())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(lane())


async def update_cost(cluster: Cluster, pid: int, names: list[str]) -> float:
    """Seconds of the gateway's CPU for one change, beyond what it uses anyway."""
    started, before = time.monotonic(), cost(pid).cpu_seconds
    await asyncio.sleep(IDLE_SECONDS)
    idle = (cost(pid).cpu_seconds - before) / (time.monotonic() - started)
    changes = [name for name in names for _ in ("unready", "ready")]
    started, before = time.monotonic(), cost(pid).cpu_seconds
    for name in changes:
        await cluster.flip(name)
        await asyncio.sleep(APART_SECONDS)
    used = cost(pid).cpu_seconds - before
    return (used - idle * (time.monotonic() - started)) / len(changes)


async def ready_to_route(cluster: Cluster, caller: Caller, name: str, others: list[str]) -> Reached:
    """Make one backend ready in the middle of the others' changes."""
    await cluster.flip(name)
    await caller.until_refused(name)
    moments: list[float] = []

    async def change(one: str) -> None:
        started = time.monotonic()
        await cluster.flip(one)
        if one == name:
            moments.extend((started, time.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        answered = tasks.create_task(caller.until_answered(name))
        half = len(others) // 2
        tasks.create_task(in_lanes(change, [*others[:half], name, *others[half:]]))
    sent, replied = moments
    return Reached(answered.result() - sent, max(0.0, answered.result() - replied))


async def measure(stack: ExitStack, directory: Path, *, backends: int, trials: int) -> dict[str, float]:
    traffic = Traffic.build(directory)
    engine = stack.enter_context(traffic.engine(own_address()))
    running = stack.enter_context(control_plane(directory))
    os.environ["KUBECONFIG"] = str(running.kubeconfig)
    apply(running, directory, model_backend(MODEL), endpoint_slice(MODEL, engine))
    server = stack.enter_context(our_gateway(running, directory))
    await asyncio.to_thread(server.wait, traffic)
    names = [f"backend-{number}" for number in range(backends - 1)]  # with the first one it makes so many
    async with site(server, engine) as (cluster, caller):
        empty_mb = resident_mb(server.pid)
        await cluster.create(names)
        for name in names[-WRITERS:]:
            await caller.until_answered(name)
        await asyncio.sleep(1)
        filled_mb = resident_mb(server.pid)
        print(f"{backends} backends: {filled_mb:.1f} MB, with one backend {empty_mb:.1f} MB", flush=True)
        update_seconds = await update_cost(cluster, server.pid, names[: OTHERS // 2])
        print(f"an update: {1e6 * update_seconds:.0f} µs of CPU", flush=True)
        reached = [
            await ready_to_route(cluster, caller, names[-1 - number], names[:OTHERS]) for number in range(trials)
        ]
    sent = [1000 * one.after_sending for one in reached]
    replied = [1000 * one.after_reply for one in reached]
    print(f"ready to route: {median(sent):.0f} ms after sending, {median(replied):.0f} ms after the apiserver's reply")
    return {
        "update_ms": 1000 * update_seconds,
        "rss_mb": resident_mb(server.pid),
        "rss_kb_per_backend": 1024 * (filled_mb - empty_mb) / backends,
        "ready_to_route_ms_median": median(sent),
        "ready_to_route_ms_p90": quantiles(sent, n=10, method="inclusive")[8],
        "ready_to_route_ms_max": max(sent),
        "ready_to_route_after_reply_ms_median": median(replied),
    }


@asynccontextmanager
async def site(server: Server, engine: str) -> AsyncIterator[tuple[Cluster, Caller]]:
    """Clients of the apiserver and of the gateway."""
    configuration = await load_configuration()
    configuration.connection_pool_maxsize = WRITERS + 1
    client = Client(configuration, component="benchmark")
    async with aiohttp.ClientSession() as session:
        try:
            yield Cluster(client, engine), Caller(session, server)
        finally:
            await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=40)
    arguments = parser.parse_args()
    if arguments.backends <= OTHERS + arguments.trials:
        parser.error(f"--backends must be more than {OTHERS} + --trials")
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        figures = asyncio.run(measure(stack, Path(directory), backends=arguments.backends, trials=arguments.trials))
        rounded = {name: float(f"{value:.4g}") for name, value in figures.items()}
        print("RESULT", json.dumps({"backends": arguments.backends, **rounded}))


if __name__ == "__main__":
    main()
