"""A probe that raises is seen by whoever asks kopf's /healthz, at once and for as long as it raises."""

import asyncio
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from local_cluster.ports import free_ports
from splai.controller import handlers
from splai.controller.caches import Caches
from splai.controller.liveness import Unhealthy
from tests.integration.running_control_plane import RunningControlPlane


def ask(port: int) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as reply:
            return int(reply.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


async def answers(namespace: str, problems: list[Exception]) -> list[int]:
    """What /healthz says while there is a problem, twice, and when there is none any more."""

    def probe() -> str:
        if problems:
            raise problems[0]
        return "well"

    ready, stop, (port,) = asyncio.Event(), asyncio.Event(), free_ports(1)
    registry = handlers.registry(Caches(lambda *_: None), {"probe": probe})
    serving = asyncio.create_task(
        handlers.serve(registry, namespaces=(namespace,), health_port=port, ready=ready, stop=stop)
    )
    async with asyncio.timeout(60):
        while not (first := await asyncio.to_thread(ask, port)):  # noqa: ASYNC110 - kopf tells nobody
            await asyncio.sleep(0.1)
        second = await asyncio.to_thread(ask, port)
        problems.clear()
        third = await asyncio.to_thread(ask, port)
        stop.set()
        await serving
    return [first, second, third]


def test_a_probe_that_raises_fails_healthz(
    control_plane: RunningControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))

    assert asyncio.run(answers(namespace, [Unhealthy("1 of 6 watches run")])) == [500, 500, 200]
