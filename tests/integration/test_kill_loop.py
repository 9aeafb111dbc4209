"""A short turn of the kill loop: real processes, killed in the middle of a job."""

from pathlib import Path

from benchmarks.kill_loop import loop


async def test_a_job_whose_workers_operator_and_store_are_killed_ends_right(tmp_path: Path) -> None:
    result = await loop(tmp_path, runs=1, seed=4, records=400)
    assert (result["equal"], result["lost"], result["duplicated"]) == (1, 0, 0)
