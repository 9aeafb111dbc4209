"""Thousands of requests to our gateway while most calls of engines fail, each in one of many ways.

Engines refuse, reset, cut their answers after every event, send garbage, give up, report errors; a few callers leave.
The gateway runs in this process, so that what it has taken can be seen, with its own HTTP on both sides. Counted are:

- truncated answers that a caller had to take for whole ones: it saw an end, or no error, and the engine had not ended;
- what was taken for requests and never given back: places at pods, turns in queues, connections.

    make benchmark NAME=gateway-faults ARGS='--requests 10000'
"""

import argparse
import json
import logging
import random
import sys
import time
from unittest import mock

import uvloop

from splai.gateway.inference import attempts
from splai.gateway.routing.selection import Selection
from tests.unit.gateway.conftest import running_gateway
from tests.unit.gateway.fault_run import FaultRun, short_breaker


async def measure(requests: int, seed: int) -> dict[str, int]:
    """The result; exits where callers saw nothing but refusals, which would prove nothing."""
    patient = mock.patch.multiple(attempts, FIRST_PAUSE_SECONDS=0.0, FREE_RETRIES=requests * 3)
    async with running_gateway(selection=Selection(new_breaker=short_breaker)) as gateway:
        run = FaultRun(gateway, random.Random(seed))  # noqa: S311 - a seed, not a secret
        began = time.perf_counter()
        with patient:
            await run.run(requests)
        print(f"{requests} requests in {time.perf_counter() - began:.1f} s; callers saw {dict(run.outcomes)}")
        if not run.outcomes["answer"] > requests / 4 or not run.outcomes["stream_interrupted"]:
            sys.exit("too few answers, whole or cut, to say anything")
        return {
            "requests": run.outcomes.total(),
            "truncated_shown_as_complete": run.truncated_shown_as_complete,
            "leaked_slots": sum(gateway.leaked().values()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # a line for each failure of an engine
    print("RESULT", json.dumps(uvloop.run(measure(arguments.requests, arguments.seed))))


if __name__ == "__main__":
    main()
