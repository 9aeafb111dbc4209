"""How the operator asks the pods of the gateway."""

from collections.abc import AsyncIterator

import pytest

from splai.controller.gateways import LIST_SECONDS, MOST_BYTES, Gateways, gateways_of
from splai.core.modelbackend.gateways import Gateway
from splai.kube.errors import Unavailable
from splai.kube.resource import ENDPOINT_SLICES
from tests.unit.controller.gateway_pods import GatewayPod, endpoint_slice, running_pod
from tests.unit.kube.memory_client import MemoryClient


class World:
    """One gateway pod, and whoever asks it."""

    def __init__(self, pod: GatewayPod) -> None:
        self.pod = pod
        self.now = 100.0
        self.client = MemoryClient()
        self.list(endpoint_slice("one", [("127.0.0.1", pod.name)], port=pod.port))
        self.gateways = Gateways(
            self.client, namespace="splai-system", service="splai-api-gateway", clock=lambda: self.now
        )

    def list(self, body: dict[str, object]) -> None:
        self.client.objects[ENDPOINT_SLICES, "splai-system", "one"] = body

    async def look(self) -> tuple[int, tuple[str, ...]]:
        self.now += LIST_SECONDS
        await self.gateways.look()
        return self.gateways.view.requests()["n/b"], self.gateways.view.silent()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_pod("gw-1") as pod:
        world = World(pod)
        yield world
        await world.gateways.close()


async def test_a_pod_is_found_by_its_service_and_asked(world: World) -> None:
    world.pod.has("b", in_flight=2, held=1)

    assert await world.look() == (3, ())
    assert world.client.selectors == [("kubernetes.io/service-name=splai-api-gateway", "")]


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, None), (500, None), (200, b"no JSON"), (200, b'{"models": []}'), (200, b" " * (MOST_BYTES + 1))],
    ids=["an older gateway", "a broken one", "no JSON", "another JSON", "too much"],
)
async def test_any_other_answer_is_none(world: World, status: int, body: bytes | None) -> None:
    world.pod.has("b", in_flight=2)
    await world.look()

    world.pod.status, world.pod.body = status, body

    assert await world.look() == (2, ("gw-1",))


async def test_nobody_at_the_address_is_no_answer_either(world: World) -> None:
    world.list(endpoint_slice("one", [("127.0.0.1", "gw-1")], port=1))

    assert await world.look() == (0, ("gw-1",))


async def test_while_the_apiserver_is_away_the_pods_that_are_known_are_asked(world: World) -> None:
    world.pod.has("b", in_flight=2)
    await world.look()
    world.pod.has("b", in_flight=5)
    world.client.fail.append(Unavailable("away"))

    assert await world.look() == (5, ())


async def test_who_the_gateways_are_is_asked_less_often_than_what_they_do(world: World) -> None:
    await world.look()
    await world.gateways.look()

    assert (world.pod.asked, len(world.client.selectors)) == (2, 1)


def test_a_pod_with_two_addresses_is_asked_once() -> None:
    six = endpoint_slice("six", [("fd00::1", "gw-1")], family="IPv6")
    four = endpoint_slice("four", [("10.0.0.1", "gw-1")])

    assert gateways_of([six, four]) == [Gateway("10.0.0.1:9464", "gw-1", is_ready=True)]


def test_an_address_of_the_other_family_is_written_as_urls_want_it() -> None:
    six = endpoint_slice("six", [("fd00::1", "gw-1")], family="IPv6", ready=False)

    assert gateways_of([six]) == [Gateway("[fd00::1]:9464", "gw-1", is_ready=False)]


def test_a_service_without_a_port_for_metrics_has_nobody_to_ask() -> None:
    body = endpoint_slice("one", [("10.0.0.1", "gw-1")])
    body["ports"] = [{"name": "http", "port": 8080}]

    assert gateways_of([body]) == []
