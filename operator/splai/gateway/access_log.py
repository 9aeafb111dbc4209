"""One line of JSON a request on standard output, never with what was asked or answered.

In the form of all other log lines. A logger's record would cost a good part of what a request does, so the lines are
put together here and written many at a time.
"""

import asyncio
import sys
import time
from functools import lru_cache
from typing import TextIO

import orjson

WRITE_SECONDS = 1.0
WRITE_BYTES = 64 * 1024


class AccessLog:
    """Collects lines; ``close`` writes the last of them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lines: list[str] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._second = 0
        self._beginning = ""

    def add(self, request_id: str, path: str, model: str, stream: bool, status: int, seconds: float) -> None:
        """``model`` is the caller's text, and so is quoted; path and id are made of safe characters only."""
        now = int(time.time())
        if now != self._second:
            self._second, self._beginning = now, _beginning(now)
        line = (
            f'{self._beginning}"request_id": "{request_id}", "path": "{path}", "model": {_quoted(model)}, '
            f'"stream": {"true" if stream else "false"}, "status": {status}, "seconds": {seconds:.6f}}}\n'
        )
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= WRITE_BYTES:
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._write)

    def close(self) -> None:
        self._write()

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            self._stream.write("".join(self._lines))
            self._stream.flush()
            self._lines.clear()
            self._bytes = 0


@lru_cache(maxsize=1024)
def _quoted(model: str) -> str:
    return orjson.dumps(model).decode()


def _beginning(now: int) -> str:
    """What all lines of a second have in common."""
    time_of_day = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(now))
    return (
        f'{{"time": "{time_of_day}", "level": "INFO", "logger": "{__name__}", "message": "request", '
        '"component": "gateway", '
    )
