"""All faults at once: no truncated answer looks like a whole one, and nothing that was taken stays taken."""

import random

import pytest

from splai.gateway.inference import attempts
from splai.gateway.routing.selection import Selection
from tests.unit.gateway.apis import ANSWER
from tests.unit.gateway.conftest import running_gateway
from tests.unit.gateway.fault_run import FaultRun, short_breaker


async def test_among_faults_no_truncated_answer_looks_whole_and_nothing_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(attempts, "FREE_RETRIES", 100_000)
    async with running_gateway(selection=Selection(new_breaker=short_breaker)) as gateway:
        run = FaultRun(gateway, random.Random(5))

        await run.run(2000)

    assert run.truncated_shown_as_complete == 0
    assert gateway.leaked() == {}
    assert run.outcomes.total() == 2000
    assert run.outcomes[ANSWER] > 500
    assert run.outcomes["stream_interrupted"] > 100
    assert run.outcomes["left"] > 10
