"""`/health` answers 200 whatever it finds, looks at each part once for all who ask, and waits for none for long."""

import asyncio
from collections import Counter

import pytest

from splai.gateway.endpoints.health import KEPT_SECONDS, Check, Health
from splai.gateway.endpoints.schemas import HealthReport
from splai.gateway.metric_families import BackendState
from tests.unit.gateway.endpoints.conftest import Cold

READY = BackendState("team-a", "llama", available=True)
DOWN = BackendState("team-b", "llama", available=False, breaker="open")


def answers(value: bool) -> Check:
    async def check() -> bool:
        return value

    return check


async def test_what_is_not_configured_is_healthy(cold: Cold) -> None:
    reply = await cold.get("/health")

    assert reply.status_code == 200
    assert reply.json() == {
        "status": "healthy",
        "checks": {"database": True, "redis": True, "vector_db": True, "llm_api": True},
        "backends": {},
    }


async def test_a_part_that_is_away_degrades_that_check_alone_and_is_still_200() -> None:
    cold = Cold(checks={"redis": answers(False), "database": answers(True)}, backends=[READY])

    reply = await cold.get("/health")

    assert reply.status_code == 200
    assert reply.json()["status"] == "degraded"
    assert reply.json()["checks"] == {"database": True, "redis": False, "vector_db": True, "llm_api": True}


@pytest.mark.parametrize(
    ("backends", "llm_api"), [([READY, DOWN], True), ([DOWN], False), ([READY], True)], ids=["one", "none", "all"]
)
async def test_models_can_be_asked_while_one_backend_can(backends: list[BackendState], llm_api: bool) -> None:
    report = (await Cold(backends=backends).get("/health")).json()

    assert report["checks"]["llm_api"] is llm_api
    assert report["backends"] == {f"{state.namespace}/{state.name}": state.available for state in backends}
    HealthReport.model_validate(report)


async def test_a_check_that_fails_or_does_not_answer_is_false(caplog: pytest.LogCaptureFixture) -> None:
    words = "redis://:password@host"

    async def fails() -> bool:
        raise ConnectionError(words)

    async def hangs() -> bool:
        await asyncio.Event().wait()
        return True

    reply = await Cold(checks={"redis": fails, "vector_db": hangs}).get("/health")

    assert reply.json()["checks"] == {"database": True, "redis": False, "vector_db": False, "llm_api": True}
    assert words not in "".join(str(record.__dict__) for record in caplog.records)


async def test_a_storm_of_requests_looks_once() -> None:
    calls: Counter[str] = Counter()

    async def check() -> bool:
        calls["redis"] += 1
        await asyncio.sleep(0)
        return True

    cold = Cold(checks={"redis": check})

    await asyncio.gather(*(cold.get("/health") for _ in range(20)))
    assert calls["redis"] == 1

    cold.now += KEPT_SECONDS
    await cold.get("/health")
    assert calls["redis"] == 2


async def test_a_caller_that_leaves_does_not_take_the_report_of_others_along() -> None:
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def check() -> bool:
        looking.set()
        await go_on.wait()
        return True

    cold = Cold(checks={"redis": check})
    first = asyncio.create_task(cold.get("/health"))
    await looking.wait()
    second = asyncio.create_task(cold.get("/health"))
    first.cancel()
    await asyncio.wait([first])
    go_on.set()

    assert (await second).json()["status"] == "healthy"


def test_a_check_of_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="not queue"):
        Health(list, {"queue": answers(True)})
