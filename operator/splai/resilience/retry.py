"""How often something is tried, and the pause between two tries.

Pauses double from ``initial`` to ``maximum``. The upper half of each is random: clients that failed together do not
come back together, and none comes back at once.
"""

from dataclasses import dataclass

_MOST_DOUBLINGS = 60  # beyond every sensible maximum; keeps the power small


def seconds_of(retry_after: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110 §10.2.3); its other form, a date, would compare two machines' clocks."""
    return float(retry_after) if retry_after and retry_after.strip().isdecimal() else None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential pauses, in seconds."""

    initial: float
    maximum: float

    def delay(self, failures: int, *, jitter: float) -> float:
        """The pause after the given number of failures in a row, from 1; ``jitter`` is random in [0, 1)."""
        longest = min(self.maximum, self.initial * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
        return longest * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A bounded number of tries with backoff between them."""

    max_attempts: int
    backoff: Backoff

    def delay_after(self, attempts: int, *, jitter: float) -> float | None:
        """The pause before the next try after ``attempts`` failed ones, or None when that was the last."""
        if attempts >= self.max_attempts:
            return None
        return self.backoff.delay(attempts, jitter=jitter)
