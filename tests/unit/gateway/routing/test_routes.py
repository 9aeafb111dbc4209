"""From backends and endpoints to the pods that answer for a name."""

from typing import Any

import pytest

from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import Pool, RouteTable, build_routes


def backend(
    namespace: str, name: str, model: str, *aliases: str, created: int = 100, at_zero: bool = False, **policy: Any
) -> Backend:
    return Backend(namespace, name, created, model, aliases, Policy(**policy), scaled_to_zero=at_zero)


def found(table: RouteTable, name: str) -> Pool:
    pool = table.find(name)
    assert pool is not None, f"{name} is unknown"
    return pool


def addresses(table: RouteTable, name: str) -> list[str]:
    return list(found(table, name).addresses)


def test_an_id_and_its_aliases_lead_to_the_ready_pods_of_the_backend() -> None:
    table = build_routes(
        [backend("a", "llama", "llama3-8b-q4", "gpt-4o-mini", "llama3.1:8b")],
        [Endpoints("a", "llama", ("10.0.0.1:8000", "10.0.0.2:8000")), Endpoints("a", "other", ("10.0.0.9:8000",))],
    )

    for name in ("llama3-8b-q4", "gpt-4o-mini", "llama3.1:8b", "a/llama3-8b-q4", "a/gpt-4o-mini"):
        assert addresses(table, name) == ["10.0.0.1:8000", "10.0.0.2:8000"]
    assert table.listed == ("gpt-4o-mini", "llama3-8b-q4", "llama3.1:8b")


def test_a_backend_knows_the_id_that_its_engine_serves() -> None:
    table = build_routes([backend("a", "llama", "llama", "gpt")], [Endpoints("a", "llama", ("10.0.0.1:8000",))])

    assert [(it.key, it.model) for it in table.pools["gpt"].backends] == [("a/llama", "llama")]


def test_an_adapter_is_asked_of_its_engine_by_its_own_name() -> None:
    adapters = (("sql", "llama:sql"),)
    table = build_routes(
        [Backend("a", "llama", 1, "llama3.1:8b", ("gpt",), adapters=adapters, served_name="llama")],
        [Endpoints("a", "llama", ("10.0.0.1:8000",))],
    )

    (route,) = found(table, "sql").backends
    asked = ("sql", "a/sql", "llama3.1:8b", "gpt", "auto")
    assert [route.named(name) for name in asked] == ["llama:sql", "llama:sql", "llama", "llama", "llama"]
    assert table.listed == ("gpt", "llama3.1:8b", "sql")


def test_an_adapter_and_its_model_share_their_pods_limits() -> None:
    table = build_routes([Backend("a", "llama", 1, "llama", adapters=(("sql", "sql"),))], [])

    assert found(table, "sql") is found(table, "llama")


def test_backends_of_one_namespace_that_serve_a_name_are_one_pool() -> None:
    table = build_routes(
        [backend("a", "big", "llama"), backend("a", "small", "tiny", "llama")],
        [Endpoints("a", "big", ("10.0.0.1:8000",)), Endpoints("a", "small", ("10.0.0.2:8000",))],
    )

    ready = {(it.model, it.addresses) for it in table.pools["llama"].backends}
    assert ready == {("llama", ("10.0.0.1:8000",)), ("tiny", ("10.0.0.2:8000",))}


def test_a_name_in_two_namespaces_belongs_to_the_oldest_backend() -> None:
    table = build_routes(
        [backend("a", "x", "llama", created=200), backend("b", "y", "llama", created=100)],
        [Endpoints("a", "x", ("10.0.0.1:8000",)), Endpoints("b", "y", ("10.0.0.2:8000",))],
    )

    assert addresses(table, "llama") == ["10.0.0.2:8000"]
    assert addresses(table, "a/llama") == ["10.0.0.1:8000"]
    assert addresses(table, "b/llama") == ["10.0.0.2:8000"]
    assert table.listed == ("a/llama", "llama")
    assert table.shadowed == ("a/llama",)


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


def test_names_of_the_same_backends_are_one_pool() -> None:
    table = build_routes([backend("a", "x", "llama", "gpt"), backend("a", "y", "llama")], [])

    assert table.pools["gpt"] is table.pools["a/gpt"]
    assert table.pools["gpt"].key == table.by_backend["a/x"].key == "a/x"
    assert table.pools["llama"] is not table.pools["gpt"]


def test_a_pool_is_found_again_by_its_own_name() -> None:
    table = build_routes([backend("a", "x", "llama", "gpt"), backend("b", "y", "gpt", created=50)], [])

    assert [pool for pool in table.pools.values() if table.find(pool.name) is not pool] == []


def test_backends_are_asked_by_priority_and_then_by_age() -> None:
    table = build_routes(
        [
            backend("a", "spare", "m", created=1, priority=5),
            backend("a", "empty", "m", created=2),
            backend("a", "young", "m", created=4),
            backend("a", "old", "m", created=3),
        ],
        [Endpoints("a", name, (f"{name}:80",)) for name in ("spare", "young", "old")],
    )

    pool = found(table, "m")
    assert [it.key for it in pool.backends] == ["a/empty", "a/old", "a/young", "a/spare"]
    assert [[it.key for it in tier] for tier in pool.tiers] == [["a/old", "a/young"], ["a/spare"]]
    assert pool.created == 1


def test_the_first_backend_speaks_for_its_pool() -> None:
    table = build_routes([backend("a", "x", "m", timeout=5.0), backend("a", "y", "m", created=200, timeout=9.0)], [])

    assert found(table, "m").policy.timeout == 5.0


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        pytest.param((4, 3), 4 * 2 + 3, id="for each ready pod"),
        pytest.param((4, None), None, id="one without a limit takes the rest"),
        pytest.param((None, None), None, id="no limit"),
    ],
)
def test_a_pool_takes_what_its_ready_pods_take(limits: tuple[int | None, int | None], most: int | None) -> None:
    table = build_routes(
        [backend("a", name, "m", max_in_flight=limit) for name, limit in zip("xy", limits, strict=True)]
        + [backend("a", "unready", "m", max_in_flight=100)],
        [Endpoints("a", "x", ("1:80", "2:80")), Endpoints("a", "y", ("3:80",))],
    )

    assert found(table, "m").max_in_flight == most


def test_a_backend_is_at_zero_only_while_it_has_no_pod() -> None:
    backends = [backend("a", "idle", "idle", at_zero=True), backend("a", "ending", "ending", at_zero=True)]
    table = build_routes([*backends, backend("a", "broken", "broken")], [Endpoints("a", "ending", ("1:80",))])

    assert [key for key, it in table.backends.items() if it.at_zero] == ["a/idle"]


def fallbacks(table: RouteTable, name: str) -> list[str]:
    return [pool.key for pool in table.fallbacks(found(table, name))]


def test_fallbacks_come_in_order_and_theirs_after_them() -> None:
    table = build_routes(
        [
            backend("a", "x", "m", fallbacks=("a/y", "a/z")),
            backend("a", "y", "n", fallbacks=("a/last",)),
            backend("a", "z", "o"),
            backend("a", "last", "p"),
        ],
        [],
    )

    assert fallbacks(table, "m") == ["a/y", "a/z", "a/last"]


def test_fallbacks_in_a_circle_end() -> None:
    table = build_routes(
        [
            backend("a", "x", "m", fallbacks=("a/y",)),
            backend("a", "y", "n", fallbacks=("a/x", "a/y")),
        ],
        [],
    )

    assert fallbacks(table, "m") == ["a/y"]


def test_a_fallback_that_is_in_the_pool_or_nowhere_is_passed_over() -> None:
    table = build_routes(
        [backend("a", "x", "m", fallbacks=("a/y", "a/missing", "a/z")), backend("a", "y", "m"), backend("a", "z", "n")],
        [],
    )

    assert fallbacks(table, "m") == ["a/z"]


def test_a_fallback_is_that_backend_alone_though_others_serve_its_id() -> None:
    table = build_routes(
        [backend("a", "x", "m", fallbacks=("a/y",)), backend("a", "y", "n"), backend("a", "z", "n")], []
    )

    assert fallbacks(table, "m") == ["a/y"]


def test_auto_is_listed_when_there_is_something_to_choose_by() -> None:
    assert build_routes([backend("a", "x", "m")], []).listed == ("m",)
    assert build_routes([backend("a", "x", "m", capabilities=("chat",))], []).listed == ("auto", "m")


def test_a_backend_may_serve_the_id_auto_itself() -> None:
    table = build_routes([backend("a", "x", "auto", capabilities=("chat",))], [])

    assert table.listed == ("auto",)
