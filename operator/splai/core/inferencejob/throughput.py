"""How fast a job goes, from the counts of two moments: those of the status that was written last, and now's.

The rate is an exponential average over the last minutes of work, more of them for a job that takes long for a record,
and a plain one in the beginning. All that it needs is in the status, so a restart of the operator costs nothing, and
the time during which it was away counts as well.
"""

import math
from datetime import UTC, datetime

from splai.api.base import format_time, parse_time
from splai.api.inference_job import InferenceJobStatus, RequestCounts, Throughput, Usage

AVERAGED_SECONDS = (120.0, 600.0)
AVERAGED_RECORDS = 10
IDLE_SECONDS = 60.0
"""A job that makes no progress is said to go slower only so often: each time costs a write."""


def measure(
    before: InferenceJobStatus, counts: RequestCounts, usage: Usage, now: datetime, *, working: bool
) -> Throughput:
    """The rate now; as it was while nothing has changed, but none once no worker has run for a while."""
    known = before.throughput
    if known is None or known.measured_at is None:
        return Throughput(measured_at=format_time(now))
    seconds = int((_whole(now) - parse_time(known.measured_at)).total_seconds())
    records = _done(counts) - _done(before.request_counts)
    tokens = usage.total_tokens - before.usage.total_tokens
    idle = not records and not tokens
    if seconds <= 0 or (idle and (seconds < IDLE_SECONDS or known.records_per_second == "0")):
        return known
    if idle and not working:
        return Throughput(measured_at=format_time(now))
    started = parse_time(before.start_time) if before.start_time else parse_time(known.measured_at)
    age = max(seconds, (now - started).total_seconds())
    weight = max(1 - math.exp(-seconds / _averaged_seconds(known)), seconds / age)
    return Throughput(
        records_per_second=_mix(known.records_per_second, records / seconds, weight),
        tokens_per_second=_mix(known.tokens_per_second, tokens / seconds, weight),
        measured_at=format_time(now),
    )


def next_look(status: InferenceJobStatus) -> float | None:
    """Seconds until a job that has a speed may have to be said to have none."""
    speed = status.throughput
    return IDLE_SECONDS if speed is not None and speed.records_per_second != "0" else None


def estimate(speed: Throughput, counts: RequestCounts) -> int | None:
    """Seconds until the last record is answered at this speed."""
    rate = float(speed.records_per_second)
    return math.ceil((counts.total - _done(counts)) / rate) if rate else None


def _averaged_seconds(known: Throughput) -> float:
    least, most = AVERAGED_SECONDS
    rate = float(known.records_per_second)
    return min(most, max(least, AVERAGED_RECORDS / rate)) if rate else least


def _done(counts: RequestCounts) -> int:
    return counts.completed + counts.failed


def _whole(now: datetime) -> datetime:
    """As the status has it: without fractions of a second, so that what one interval loses the next has."""
    return now.astimezone(UTC).replace(microsecond=0)


def _mix(before: str, rate: float, weight: float) -> str:
    """Enough digits that small steps add up; a rate of one record in three hours is none."""
    value = (1 - weight) * float(before) + weight * rate
    text = f"{value:.6f}" if value < 1 else f"{value:.4f}"
    return text.rstrip("0").rstrip(".") if value >= 0.0001 else "0"
