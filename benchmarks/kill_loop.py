"""Jobs whose workers, operator and artifact server are killed at random moments: is every record there exactly once?

Each run is one InferenceJob of 5,000 records on three workers, whose engine answers some with errors, resets, 429 or
late. Everything is real but the containers: apiserver, etcd, controller-manager, scheduler, and SPLAI's own processes.
A run is ``equal`` when both output files hold exactly the lines that they must, and the status counts them exactly.

    make benchmark NAME=kill-loop ARGS='--runs 50 --seed 1'
"""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.kill_run import Run
from benchmarks.kill_site import installation

RECORDS = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=RECORDS, help="of each job")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="splai-kill-loop-"))
    result = asyncio.run(loop(directory, runs=arguments.runs, seed=arguments.seed, records=arguments.records))
    if result["equal"] == result["runs"]:
        shutil.rmtree(directory)
    else:
        print(f"logs and artifacts are in {directory}")
    print("RESULT", json.dumps(result))


async def loop(directory: Path, *, runs: int, seed: int, records: int = RECORDS) -> dict[str, Any]:
    """All runs on one installation, one after the other."""
    result: dict[str, Any] = dict.fromkeys(("runs", "equal", "lost", "duplicated", "reexecuted"), 0)
    async with installation(directory) as site:
        for number in range(runs):
            started, killed_before = time.monotonic(), Counter(site.kills)
            outcome = await site.run(Run.make(seed, number, records))
            result["runs"] += 1
            result["equal"] += not outcome.wrong
            result["lost"] += outcome.lost
            result["duplicated"] += outcome.duplicated
            result["reexecuted"] += outcome.reexecuted
            verdict = f"wrong: {', '.join(outcome.wrong)}" if outcome.wrong else "equal"
            kills = ", ".join(f"{count} {victim}" for victim, count in (site.kills - killed_before).items())
            print(
                f"run {number}: {verdict}; {time.monotonic() - started:.1f} s, killed: {kills or 'nothing'}, "
                f"{outcome.reexecuted} records sent again",
                flush=True,
            )
        result["kills"] = dict(site.kills)
    return result


if __name__ == "__main__":
    main()
