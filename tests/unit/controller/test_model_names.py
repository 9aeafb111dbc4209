"""Whose a model's name is at the gateway, and who has to say something when that changes."""

from typing import Any

import pytest

from splai.api.model_backend import ModelBackend
from splai.controller.caches import SETTLE_SECONDS, Caches
from splai.controller.queue import Key
from splai.kube.resource import MODEL_BACKENDS
from tests.unit.controller.objects import model_backend

SETTLES = SETTLE_SECONDS["ModelBackend"]


def backend(namespace: str, name: str = "b", *, day: int = 1, version: int = 1, **model: Any) -> dict[str, Any]:
    body = model_backend(name, namespace=namespace, version=version, model={"id": "m", **model})
    body["metadata"] |= {"uid": f"{namespace}-{name}", "creationTimestamp": f"2026-01-{day:02}T00:00:00Z"}
    return body


class World:
    """Caches, and what they enqueued since it was last asked."""

    def __init__(self) -> None:
        self._keys: list[tuple[Key, float]] = []
        self.caches = Caches(lambda key, delay: self._keys.append((key, delay)))

    def add(self, *bodies: dict[str, Any]) -> None:
        for body in bodies:
            self.caches.changed(MODEL_BACKENDS, body)

    def taken(self, body: dict[str, Any]) -> dict[str, str]:
        return self.caches.model_names.taken(ModelBackend.model_validate(body))

    def told(self) -> set[str]:
        """Backends that settle before they are looked at: others than the one that was changed."""
        keys, self._keys[:] = list(self._keys), []
        return {f"{key.namespace}/{key.name}" for key, delay in keys if delay == SETTLES}


@pytest.fixture
def world() -> World:
    return World()


def test_a_name_belongs_to_the_namespace_of_the_oldest_backend(world: World) -> None:
    old, young = backend("z", day=1), backend("a", day=2)
    world.add(young, old)

    assert world.taken(old) == {}
    assert world.taken(young) == {"m": "z"}


def test_of_one_age_the_namespace_decides_as_in_the_gateways_table(world: World) -> None:
    world.add(backend("b"), backend("a"))

    assert world.taken(backend("b")) == {"m": "a"}


def test_aliases_and_adapters_are_names_too(world: World) -> None:
    world.add(backend("a", day=1, id="x", aliases=["m"]))
    young = backend("b", day=2, id="n", adapters=[{"id": "x", "source": "hf://team/lora"}], aliases=["m", "free"])
    world.add(young)

    assert world.taken(young) == {"m": "a", "x": "a"}


def test_backends_of_one_namespace_share_a_name(world: World) -> None:
    old, young = backend("n", "one", day=1), backend("n", "two", day=2)
    world.add(old, young)

    assert (world.taken(old), world.taken(young)) == ({}, {})
    assert world.told() == set()


def test_who_serves_the_same_name_elsewhere_looks_again_when_one_comes_or_goes(world: World) -> None:
    old, young = backend("a", day=1), backend("b", day=2)
    world.add(young)
    world.told()

    world.add(old)
    assert world.told() == {"b/b"}

    world.caches.deleted(MODEL_BACKENDS, old)
    assert world.told() == {"b/b"}
    assert world.taken(young) == {}


def test_a_name_that_is_given_up_is_free(world: World) -> None:
    world.add(backend("a", day=1), backend("b", day=2))
    world.told()

    world.add(backend("a", day=1, version=2, id="other"))

    assert world.told() == {"b/b"}
    assert world.taken(backend("b", day=2)) == {}


def test_a_change_of_anything_else_is_nobody_elses_work(world: World) -> None:
    world.add(backend("a", day=1), backend("b", day=2))
    world.told()

    body = backend("a", day=1, version=2)
    body["metadata"]["generation"] = 2
    world.add({**body, "spec": {**body["spec"], "replicas": 2}})

    assert world.told() == set()
