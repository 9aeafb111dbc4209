"""How conditions change: a transition time moves only with the status, the rest follows what is known now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from splai.api.base import format_time
from splai.api.condition import Condition, ConditionStatus

MESSAGE_LIMIT = 8192  # of metav1.Condition's 32768: a status has room for several


@dataclass(frozen=True)
class Verdict:
    """What is decided about one condition, before it is compared with what was."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def merge_conditions(
    previous: Sequence[Condition], verdicts: Iterable[Verdict], *, generation: int, now: datetime
) -> list[Condition]:
    """The conditions after ``verdicts``, in their order; types without a verdict are gone."""
    known = {condition.type: condition for condition in previous}
    return [_merge(known.get(verdict.type), verdict, generation, now) for verdict in verdicts]


def _merge(before: Condition | None, verdict: Verdict, generation: int, now: datetime) -> Condition:
    kept = before is not None and before.status == verdict.status
    return Condition(
        type=verdict.type,
        status=verdict.status,
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and kept else format_time(now),
        reason=verdict.reason,
        message=verdict.message[:MESSAGE_LIMIT],
    )


def find_condition(conditions: Iterable[Condition], condition_type: str) -> Condition | None:
    """The condition of that type, if it was ever decided."""
    return next((condition for condition in conditions if condition.type == condition_type), None)


def is_true(conditions: Iterable[Condition], condition_type: str) -> bool:
    """Whether the condition is there with status True."""
    condition = find_condition(conditions, condition_type)
    return condition is not None and condition.status == "True"
