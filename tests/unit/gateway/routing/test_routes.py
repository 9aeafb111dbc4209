"""From backends and endpoints to the pods that answer for a name."""

from typing import Any

import pytest

from splai.gateway.routing.routes import Backend, Endpoints, RouteTable, Target, build_routes


def backend(namespace: str, name: str, model: str, *aliases: str, created: int = 100) -> Backend:
    return Backend(namespace, name, created, model, aliases)


def addresses(table: RouteTable, name: str) -> list[str]:
    pool = table.find(name)
    assert pool is not None, f"{name} is unknown"
    return [target.address for target in pool.targets]


def test_an_id_and_its_aliases_lead_to_the_ready_pods_of_the_backend() -> None:
    table = build_routes(
        [backend("a", "llama", "llama3-8b-q4", "gpt-4o-mini", "llama3.1:8b")],
        [Endpoints("a", "llama", ("10.0.0.1:8000", "10.0.0.2:8000")), Endpoints("a", "other", ("10.0.0.9:8000",))],
    )

    for name in ("llama3-8b-q4", "gpt-4o-mini", "llama3.1:8b", "a/llama3-8b-q4", "a/gpt-4o-mini"):
        assert addresses(table, name) == ["10.0.0.1:8000", "10.0.0.2:8000"]
    assert table.listed == ("gpt-4o-mini", "llama3-8b-q4", "llama3.1:8b")


def test_a_target_knows_the_id_that_its_engine_serves() -> None:
    table = build_routes([backend("a", "llama", "llama", "gpt")], [Endpoints("a", "llama", ("10.0.0.1:8000",))])

    assert table.pools["gpt"].targets == (Target("10.0.0.1:8000", "llama"),)


def test_backends_of_one_namespace_that_serve_a_name_are_one_pool() -> None:
    table = build_routes(
        [backend("a", "big", "llama"), backend("a", "small", "tiny", "llama")],
        [Endpoints("a", "big", ("10.0.0.1:8000",)), Endpoints("a", "small", ("10.0.0.2:8000",))],
    )

    assert set(table.pools["llama"].targets) == {Target("10.0.0.1:8000", "llama"), Target("10.0.0.2:8000", "tiny")}


def test_a_name_in_two_namespaces_belongs_to_the_oldest_backend() -> None:
    table = build_routes(
        [backend("a", "x", "llama", created=200), backend("b", "y", "llama", created=100)],
        [Endpoints("a", "x", ("10.0.0.1:8000",)), Endpoints("b", "y", ("10.0.0.2:8000",))],
    )

    assert addresses(table, "llama") == ["10.0.0.2:8000"]
    assert addresses(table, "a/llama") == ["10.0.0.1:8000"]
    assert addresses(table, "b/llama") == ["10.0.0.2:8000"]
    assert table.listed == ("a/llama", "llama")


def test_a_younger_backend_beside_the_oldest_joins_its_pool() -> None:
    table = build_routes(
        [
            backend("a", "old", "llama", created=100),
            backend("b", "mid", "llama", created=150),
            backend("a", "new", "llama", created=200),
        ],
        [Endpoints("a", "new", ("10.0.0.3:8000",)), Endpoints("a", "old", ("10.0.0.1:8000",))],
    )

    assert set(addresses(table, "llama")) == {"10.0.0.1:8000", "10.0.0.3:8000"}


def test_two_backends_of_one_second_are_told_apart_by_name() -> None:
    backends = [backend("b", "x", "llama"), backend("a", "x", "llama")]

    for order in (backends, backends[::-1]):
        assert build_routes(order, []).pools["llama"].namespace == "a"


def test_nobody_takes_the_qualified_name_of_another_namespace() -> None:
    table = build_routes(
        [backend("a", "x", "llama", created=200), backend("evil", "y", "a/llama", created=100)],
        [Endpoints("a", "x", ("10.0.0.1:8000",)), Endpoints("evil", "y", ("10.6.6.6:8000",))],
    )

    assert addresses(table, "a/llama") == ["10.0.0.1:8000"]
    assert addresses(table, "evil/a/llama") == ["10.6.6.6:8000"]
    assert table.listed == ("evil/a/llama", "llama")


def test_a_backend_without_ready_pods_is_known_and_empty() -> None:
    table = build_routes([backend("a", "llama", "llama")], [])

    assert addresses(table, "llama") == []


def test_an_unknown_name_has_no_pool() -> None:
    assert build_routes([backend("a", "llama", "llama")], []).find("llam") is None


def test_an_address_in_two_slices_counts_once() -> None:
    table = build_routes(
        [backend("a", "llama", "llama")],
        [Endpoints("a", "llama", ("10.0.0.1:8000",)), Endpoints("a", "llama", ("10.0.0.1:8000", "10.0.0.2:8000"))],
    )

    assert addresses(table, "llama") == ["10.0.0.1:8000", "10.0.0.2:8000"]


def slice_of(*endpoints: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": "llama-x", "labels": {"kubernetes.io/service-name": "llama"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": list(endpoints),
        **other,
    }


READY = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(slice_of(READY), ("10.0.0.1:8000",), id="ready"),
        pytest.param(slice_of({"addresses": ["10.0.0.1"]}), ("10.0.0.1:8000",), id="unknown means ready"),
        pytest.param(
            slice_of({"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True}}),
            (),
            id="terminating",
        ),
        pytest.param(
            slice_of({"addresses": ["fd00::1"]}, addressType="IPv6"), ("[fd00::1]:8000",), id="IPv6 in brackets"
        ),
        pytest.param(slice_of({"addresses": ["example.org"]}, addressType="FQDN"), (), id="names are not pods"),
        pytest.param(slice_of(READY, ports=[{"name": "metrics", "port": 9}]), (), id="another port"),
        pytest.param(slice_of(READY, ports=None, endpoints=None), (), id="nothing"),
    ],
)
def test_the_ready_addresses_of_a_slice(body: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert Endpoints.from_object(body) == Endpoints("a", "llama", expected)


def test_a_backend_is_read_from_its_object() -> None:
    body = {
        "metadata": {"namespace": "a", "name": "llama", "creationTimestamp": "2026-11-21T10:00:00Z"},
        "spec": {"model": {"id": "llama3-8b-q4", "aliases": ["gpt"]}, "engine": {"type": "FromTheFuture"}},
    }

    assert Backend.from_object(body) == Backend("a", "llama", 1795255200, "llama3-8b-q4", ("gpt",))


def test_a_backend_whose_id_breaks_the_rules_is_refused() -> None:
    body = {
        "metadata": {"namespace": "a", "name": "x", "creationTimestamp": "2026-11-21T10:00:00Z"},
        "spec": {"model": {"id": 'a"b'}},
    }

    with pytest.raises(ValueError, match="id"):
        Backend.from_object(body)
