"""Which phase an InferenceJob is in: one table, read from the top, the first line that holds decides.

::

                  suspend  ┌───────────┐
       ┌──────────────────▶│ Suspended │◀───────┐
       │                   └─────┬─────┘        │ suspend
       │                         │ resume       │
    Pending ◀────────────────────┘              │
       │  │  its child is held                  │
       │  └─────────────────▶ Queued ◀────┐     │
       │                         │        │ evicted by Kueue
       │      a worker runs      ▼        │     │
       └─────────────────────▶ Running ───┴─────┘
                                 │
       from each of these four, once the work is planned:
              ┌──────────────────┴───────┐
              │ every task is committed, │
              │ or the window or the     │ cancel
              │ deadline is over, or too │
              ▼ much failed              ▼
          Finalizing                 Canceling
              │  the output is there     │  the output is there
              ├────▶ Completed           ├────▶ Completed, after all
              └────▶ Failed              └────▶ Canceled

    before the work is planned: a bad input, the window over ──▶ Failed;  cancel ──▶ Canceled
    the output can never be written, or cannot and the job is canceled ──▶ Failed

The outcome is read from ``final`` in the ledger, and where there will be none from what says so; the last three phases
are for ever.
Nothing is remembered: each line looks at what is observed now, so a lost event or a restart changes no answer.
"""

from collections.abc import Callable
from typing import NamedTuple

from splai.api.inference_job import JobPhase
from splai.core.inferencejob.endings import CANCELLED, DEADLINE_EXCEEDED, EXPIRED, JOB_FAILED, TOO_MANY_FAILURES
from splai.core.inferencejob.facts import Facts


class Rule(NamedTuple):
    """A line of the table: while ``holds``, the job is in ``phase`` because of ``reason``."""

    phase: JobPhase
    reason: str
    holds: Callable[[Facts], bool]


def was_completed(facts: Facts) -> bool:
    return facts.over == "Completed"


def was_failed(facts: Facts) -> bool:
    return facts.over == "Failed"


def was_canceled(facts: Facts) -> bool:
    return facts.over == "Canceled"


def too_many_records_have_no_answer(facts: Facts) -> bool:
    return facts.too_many_failed


def every_task_is_in_the_output(facts: Facts) -> bool:
    return facts.final is not None and facts.final.complete


def was_closed_by_cancel(facts: Facts) -> bool:
    return facts.final is not None and facts.final.closing_code == CANCELLED


def was_closed_by_the_window(facts: Facts) -> bool:
    return facts.final is not None and facts.final.closing_code == EXPIRED


def was_closed_by_the_deadline(facts: Facts) -> bool:
    return facts.final is not None and facts.final.closing_code == DEADLINE_EXCEEDED


def was_closed_by_the_failure_policy(facts: Facts) -> bool:
    return facts.final is not None and facts.final.closing_code == TOO_MANY_FAILURES


def was_closed_by_a_failure(facts: Facts) -> bool:
    return facts.final is not None


def output_is_given_up(facts: Facts) -> bool:
    return facts.output_failed


def is_canceled_before_it_was_planned(facts: Facts) -> bool:
    return not facts.planned and _ends_by(facts, CANCELLED)


def window_is_over_before_it_was_planned(facts: Facts) -> bool:
    return not facts.planned and _ends_by(facts, EXPIRED)


def input_is_bad(facts: Facts) -> bool:
    return facts.rejection is not None


def is_canceled(facts: Facts) -> bool:
    return _ends_by(facts, CANCELLED)


def every_task_is_committed(facts: Facts) -> bool:
    return facts.all_committed


def window_is_over(facts: Facts) -> bool:
    return _ends_by(facts, EXPIRED)


def deadline_is_over(facts: Facts) -> bool:
    return _ends_by(facts, DEADLINE_EXCEEDED)


def too_many_records_failed(facts: Facts) -> bool:
    return _ends_by(facts, TOO_MANY_FAILURES)


def workers_failed(facts: Facts) -> bool:
    return _ends_by(facts, JOB_FAILED)


def is_suspended(facts: Facts) -> bool:
    return facts.suspended


def child_is_held_by_a_queue(facts: Facts) -> bool:
    child = facts.children.latest
    return child is not None and child.suspended


def a_worker_has_run(facts: Facts) -> bool:
    return facts.started


def input_is_waited_for(facts: Facts) -> bool:
    return facts.waiting is not None


def backend_is_missing(facts: Facts) -> bool:
    return facts.backend.backend is None


def backend_is_not_ready(facts: Facts) -> bool:
    return not facts.planned and not facts.backend.usable


def anything(_facts: Facts) -> bool:
    return True


def _ends_by(facts: Facts, code: str) -> bool:
    return facts.ending is not None and facts.ending.code == code


RULES: tuple[Rule, ...] = (
    Rule("Completed", "Completed", was_completed),
    Rule("Failed", "Failed", was_failed),
    Rule("Canceled", "Canceled", was_canceled),
    Rule("Failed", "FailurePolicyExceeded", too_many_records_have_no_answer),
    Rule("Completed", "Completed", every_task_is_in_the_output),
    Rule("Canceled", "Canceled", was_closed_by_cancel),
    Rule("Failed", "Expired", was_closed_by_the_window),
    Rule("Failed", "DeadlineExceeded", was_closed_by_the_deadline),
    Rule("Failed", "FailurePolicyExceeded", was_closed_by_the_failure_policy),
    Rule("Failed", "WorkersFailed", was_closed_by_a_failure),
    Rule("Failed", "OutputFailed", output_is_given_up),
    Rule("Canceled", "Canceled", is_canceled_before_it_was_planned),
    Rule("Failed", "Expired", window_is_over_before_it_was_planned),
    Rule("Failed", "InputRejected", input_is_bad),
    Rule("Canceling", "Canceling", is_canceled),
    Rule("Finalizing", "AllTasksCommitted", every_task_is_committed),
    Rule("Finalizing", "Expired", window_is_over),
    Rule("Finalizing", "DeadlineExceeded", deadline_is_over),
    Rule("Finalizing", "FailurePolicyExceeded", too_many_records_failed),
    Rule("Finalizing", "WorkersFailed", workers_failed),
    Rule("Suspended", "Suspended", is_suspended),
    Rule("Queued", "Queued", child_is_held_by_a_queue),
    Rule("Running", "Running", a_worker_has_run),
    Rule("Pending", "WaitingForInput", input_is_waited_for),
    Rule("Pending", "BackendNotFound", backend_is_missing),
    Rule("Pending", "BackendNotReady", backend_is_not_ready),
    Rule("Pending", "WaitingForWorkers", anything),
)
"""WaitingForInput, InputRejected and WorkersFailed stand for the reason that the input or the workers gave."""


def decide_phase(facts: Facts) -> Rule:
    """The first line of the table that holds."""
    return next(rule for rule in RULES if rule.holds(facts))
