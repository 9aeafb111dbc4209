"""Reading on after a broken connection."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from splai.inputs.errors import SourceUnavailable
from splai.resilience.retry import Backoff, RetryPolicy

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Patience:
    """How long a source may fail, in tries without a byte between them; then the pod ends, and its Job tries again."""

    tries: RetryPolicy
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def wait(self, failures: int, failure: SourceUnavailable) -> None:
        """Sleep until the next try; raises ``failure`` if that was the last."""
        delay = self.tries.delay_after(failures, jitter=self.jitter())
        if delay is None or not failure.passes:
            raise failure
        _log.warning("the source is unavailable", extra={"cause": str(failure), "failures": failures})
        self.sleep(max(delay, min(failure.retry_after, self.tries.backoff.maximum)))


PATIENCE: Final = Patience(RetryPolicy(max_attempts=6, backoff=Backoff(initial=1.0, maximum=30.0)))


def read_resumed(open_at: Callable[[int], Iterator[bytes]], patience: Patience) -> Iterator[bytes]:
    """All bytes of what ``open_at`` gives from an offset on; it raises SourceUnavailable where it breaks off."""
    offset = 0
    failures = 0
    while True:
        try:
            for block in open_at(offset):
                offset += len(block)
                failures = 0
                yield block
        except SourceUnavailable as error:
            failures += 1
            patience.wait(failures, error)
        else:
            return


def call_again(call: Callable[[], _Result], patience: Patience) -> _Result:
    """What a call that is safe to repeat gives."""
    failures = 0
    while True:
        try:
            return call()
        except SourceUnavailable as error:
            failures += 1
            patience.wait(failures, error)
