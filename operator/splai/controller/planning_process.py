"""Decisions about jobs whose input is still unproven are made in a process of their own, which can be killed.

Validation renders a user's template for every record. The sandbox bounds each rendering, but ten thousand of them
could still hold up everybody's reconciles for minutes; there is no way to stop Python code in a thread. So the
whole pure decision runs over there, one at a time, and one that takes too long costs nobody else more than its limit.

Over the pipes go pickles, each with its length before it: both ends are this very file.
"""

import asyncio
import os
import pickle
import struct
import sys
from collections.abc import Callable
from datetime import datetime
from typing import BinaryIO

from splai.api.inference_job import InferenceJobStatus
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import JobSnapshot
from splai.core.plan import Plan

TIME_LIMIT = 10.0
START_LIMIT = 60.0

_LENGTH = struct.Struct(">Q")
_READY = b"ready"
_ENDED = (asyncio.IncompleteReadError, ConnectionError)


class PlanningTimeout(Exception):
    """The decision took too long."""


class PlanningDied(Exception):
    """The process ended before it had decided, which may be nobody's fault here: memory is short on its node."""


class PlanningProcess:
    """Started when first needed; after a decision that had to be killed a new one is."""

    def __init__(self, *, time_limit: float = TIME_LIMIT) -> None:
        self._time_limit = time_limit
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def plan(self, snapshot: JobSnapshot, now: datetime) -> Plan[InferenceJobStatus]:
        """The same as ``core``'s; raises PlanningTimeout, PlanningDied, and whatever the decision raises."""
        async with self._turn:
            try:
                reply = await self._decide(await self._started(), pickle.dumps((snapshot, now)))
            except BaseException:  # also when nobody waits any more: the next request would read this one's reply
                await self.close()
                raise
        result = pickle.loads(reply)  # noqa: S301 - written by our own process
        if isinstance(result, Exception):
            raise result
        decided: Plan[InferenceJobStatus] = result
        return decided

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us: its pipe ends when we do
            )
            try:
                async with asyncio.timeout(START_LIMIT):
                    await _receive(self._process)
            except (TimeoutError, *_ENDED) as error:
                raise PlanningDied("the process that plans did not start") from error
        return self._process

    async def _decide(self, process: asyncio.subprocess.Process, request: bytes) -> bytes:
        assert process.stdin is not None  # noqa: S101 - for mypy: it is a pipe
        try:
            async with asyncio.timeout(self._time_limit):
                process.stdin.write(_LENGTH.pack(len(request)) + request)
                await process.stdin.drain()
                return await _receive(process)
        except TimeoutError as error:
            raise PlanningTimeout(f"the template did not finish in {self._time_limit:g} s") from error
        except _ENDED as error:
            raise PlanningDied("the process that plans has ended") from error


async def _receive(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
    (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
    return await process.stdout.readexactly(length)


def serve(requests: BinaryIO, replies: BinaryIO, decide: Callable[..., object] = plan) -> None:
    """Answer until the pipe ends, which it does when the operator does."""
    _send(replies, _READY)
    while header := requests.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(header)
        try:
            result = decide(*pickle.loads(requests.read(length)))  # noqa: S301 - written by our own process
        except Exception as error:
            result = error
        _send(replies, pickle.dumps(result))


def _send(replies: BinaryIO, message: bytes) -> None:
    replies.write(_LENGTH.pack(len(message)) + message)
    replies.flush()


if __name__ == "__main__":
    os.nice(5)  # the operator's own work goes first
    serve(sys.stdin.buffer, sys.stdout.buffer)
