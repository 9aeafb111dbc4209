"""An application's metrics are served, counted by how its steps end."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from local_cluster.ports import free_ports
from splai.resilience import WorkflowContext
from splai.resilience.observability import Observability, initialize_observability, tracked
from splai.resilience.recovery import RetryPrimitive

CONTEXT = WorkflowContext("w-1")


@pytest.fixture(scope="module")
def served() -> Iterator[Observability]:
    (port,) = free_ports(1)
    observability = initialize_observability(service_name="tta-app", enable_prometheus=True, prometheus_port=port)
    assert observability
    yield observability
    observability.close()


async def process(data: dict[str, Any], context: WorkflowContext) -> str:
    """Does it."""
    if "failure" in data:
        raise data["failure"]
    return "done"


def count(endpoint: str, status: str) -> float | None:
    return REGISTRY.get_sample_value("app_requests_total", {"endpoint": endpoint, "status": status})


def test_metrics_are_served_with_the_name_of_the_service(served: Observability) -> None:
    page = httpx.get(f"http://localhost:{served.port}/metrics").text

    assert 'target_info{service_name="tta-app"} 1.0' in page


def test_a_second_call_finds_the_endpoint_that_runs(served: Observability) -> None:
    again = initialize_observability(service_name="tta-app", prometheus_port=served.port)

    assert again is served


def test_a_closed_endpoint_is_gone_and_can_be_opened_again() -> None:
    (port,) = free_ports(1)
    for _ in range(2):
        observability = initialize_observability(service_name="tta-app", prometheus_port=port)
        assert observability
        assert httpx.get(f"http://localhost:{port}/metrics").status_code == 200
        observability.close()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://localhost:{port}/metrics")


def test_nothing_is_served_where_it_is_not_wanted() -> None:
    (port,) = free_ports(1)

    assert initialize_observability(service_name="tta-app", enable_prometheus=False, prometheus_port=port) is None

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://localhost:{port}/metrics")


async def test_good_and_bad_calls_are_counted_and_the_error_still_reaches_the_caller(served: Observability) -> None:
    step = tracked("counted")(process)
    failure = RuntimeError("broken")

    assert await step({}, CONTEXT) == "done"
    with pytest.raises(RuntimeError) as raised:
        await step({"failure": failure}, CONTEXT)

    assert raised.value is failure
    assert (count("counted", "success"), count("counted", "error")) == (1, 1)
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"http://localhost:{served.port}/metrics")).text
    assert 'app_requests_total{endpoint="counted",status="success"} 1.0' in page
    assert 'app_request_duration_seconds_count{endpoint="counted"} 2.0' in page
    assert 'app_request_duration_seconds_bucket{endpoint="counted",le="+Inf"} 2.0' in page


async def test_a_primitive_is_tracked_like_a_function() -> None:
    step = tracked("primitive")(RetryPrimitive(primitive=process))

    await RetryPrimitive(primitive=step).execute({}, CONTEXT)

    assert count("primitive", "success") == 1


def test_a_tracked_function_keeps_its_name() -> None:
    assert (tracked("named")(process).__name__, tracked("named")(process).__doc__) == ("process", "Does it.")
