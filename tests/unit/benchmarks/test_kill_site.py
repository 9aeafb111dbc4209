"""The kill loop's site: a run in which the killing itself fails is no run."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_run import Kill, Run, Victim
from benchmarks.kill_site import Site
from benchmarks.restartable import Restartable
from splai.kube.client import Object
from splai.kube.resource import INFERENCE_JOBS, Resource
from tests.fake_engine import FakeEngine
from tests.unit.kube.memory_client import MemoryClient

RUN = Run("run", ["question"], [Kill(moment=0, victim="operator", place=0, pause=0)])
NO_PODS: Any = None


class SlowJobs(MemoryClient):
    """Jobs are over when they are looked at for the second time."""

    looks = 0

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        body = await super().get(resource, namespace, name)
        if resource == INFERENCE_JOBS:
            self.looks += 1
            body["status"] = {"phase": "Completed" if self.looks > 1 else "Running"}
        return body


class Unkillable(Restartable):
    def __init__(self) -> None:
        super().__init__("operator", "run", {}, Path("log"))

    def kill(self) -> None:
        raise PermissionError("it cannot be killed")


@pytest.mark.looptime
async def test_a_kill_that_fails_fails_the_run(tmp_path: Path) -> None:
    parts: dict[Victim, Restartable] = {"operator": Unkillable()}
    site = Site(SlowJobs(), NO_PODS, FakeEngine(), parts, tmp_path)

    with pytest.raises(PermissionError, match="it cannot be killed"):
        await site.run(RUN)
