"""A short turn of the kill loop: real processes, killed in the middle of a job."""

from pathlib import Path

from benchmarks.kill_loop import loop
from benchmarks.kill_run import VICTIMS

SEED = 49
"""A worker first, then the artifact server, then the operator, each well before the job can be over."""


async def test_a_job_whose_workers_operator_and_store_are_killed_ends_right(tmp_path: Path) -> None:
    result = await loop(tmp_path, runs=1, seed=SEED, records=400)

    assert result["kills"].keys() == VICTIMS.keys()
    assert (result["equal"], result["lost"], result["duplicated"]) == (1, 0, 0)
