"""The two pods of the scale benchmark as processes of their own: ``python -m benchmarks.scale_runs plan|worker``.

Identity and addresses come from the environment, as in a pod. ``plan`` is the planning pod's command over a folder that
stands for its volume; ``worker`` is a worker whose engine is a function, so that nothing but SPLAI takes time.
"""

import asyncio
import json
import logging
import os
import re
import resource as process_limits
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import patch

import uvloop
from pydantic import BaseModel

from splai.artifacts.client import ArtifactClient
from splai.garbage import collect_garbage_seldom
from splai.worker import plan as planning
from splai.worker.batch import Batch, Engine
from splai.worker.ledger import Ledger
from splai.worker.main import STORE_DEADLINE, read_plan
from splai.worker.outcome import Answer, Reaction
from splai.worker.settings import WorkerSettings
from splai.worker.store import PatientFolder

REFUSED_EACH = 1000
"""One record in so many is refused, so that there are errors too."""
_NUMBER = re.compile(rb"record (\d+)")
_REFUSAL = b'{"error":{"message":"record %d is refused","type":"invalid_request_error","param":null,"code":null}}'
_ANSWER = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"answer to record %d"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":9}}'
)


class Measured(BaseModel):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def is_refused(number: int) -> bool:
    return number % REFUSED_EACH == 7


class EngineInProcess:
    """Answers with the number that the request names."""

    async def post(self, body: bytes, traceparent: bytes | None = None) -> Reaction:
        await asyncio.sleep(0)
        match = _NUMBER.search(body)
        assert match is not None
        number = int(match[1])
        return Answer(400, _REFUSAL % number) if is_refused(number) else Answer(200, _ANSWER % number)

    async def close(self) -> None:
        """Nothing is open."""


async def plan(settings: WorkerSettings) -> None:
    with patch.object(planning, "VOLUME", Path(os.environ["VOLUME"])):
        ended = await planning.plan_input(settings, os.environ)
    assert ended.code == 0, ended


async def work(settings: WorkerSettings) -> None:
    collect_garbage_seldom()
    async with ArtifactClient(settings.artifacts_url, settings.token_file, deadline=STORE_DEADLINE) as client:
        folder = client.job(settings.namespace, settings.job_uid)
        order = await read_plan(Ledger(PatientFolder(folder, pulse=_nothing), settings.identity.worker))
        engine = Engine(new_client=EngineInProcess, probe=_works)
        batch = Batch(order, folder, settings.identity, engine, clock=time.monotonic, pulse=_nothing)
        assert (await batch.run(asyncio.Event())).final is not None


async def _works() -> str:
    return ""


def _nothing() -> None:
    """Nobody watches."""


RUNS: dict[str, Callable[[WorkerSettings], Awaitable[None]]] = {"plan": plan, "worker": work}


async def _measure(name: str) -> Measured:
    logging.basicConfig(level=logging.WARNING)
    settings = WorkerSettings.from_environment(os.environ)
    started, cpu_started = time.monotonic(), time.process_time()
    await RUNS[name](settings)
    peak = process_limits.getrusage(process_limits.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(seconds=time.monotonic() - started, cpu_seconds=time.process_time() - cpu_started, peak_rss_mb=peak)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_measure(sys.argv[1])).model_dump()))
