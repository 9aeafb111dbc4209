"""Which phase an InferenceJob is in: one table, read from the top, the first line that holds decides.

::

                    cancel                      cancel
    Pending ──┬──────────────▶ Canceled ◀─────────────────┐
      │  ▲    │ bad input                                 │
      ▼  │    ├──────────────▶ Failed ◀────┐              │
    Queued    │                            │ output of    │ output of
      │       │ a worker runs              │ what is done │ what is done
      └───────┴──▶ Running ────────▶ Finalizing       Canceling
                     │   all tasks         │              ▲
                     │   committed, or     ▼              │
                     │   workers failed  Completed        │ cancel
                     └────────────────────────────────────┘

The outcome is read from ``final`` in the ledger, never from a Job's conditions, and the last three phases are for ever.
Nothing is remembered: each line looks at what is observed now, so a lost event or a restart changes no answer.
"""

from collections.abc import Callable
from typing import NamedTuple

from splai.api.inference_job import JobPhase
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


def every_task_is_in_the_output(facts: Facts) -> bool:
    return facts.final is not None and facts.final.complete


def is_closed_after_cancel(facts: Facts) -> bool:
    return facts.final is not None and facts.canceled


def is_closed_after_failure(facts: Facts) -> bool:
    return facts.final is not None


def is_canceled_before_it_was_planned(facts: Facts) -> bool:
    return facts.canceled and not facts.planned


def is_canceled(facts: Facts) -> bool:
    return facts.canceled


def input_is_wrong(facts: Facts) -> bool:
    return facts.invalid is not None


def workers_failed(facts: Facts) -> bool:
    return facts.failure is not None


def every_task_is_committed(facts: Facts) -> bool:
    return facts.all_committed


def child_is_held_by_a_queue(facts: Facts) -> bool:
    child = facts.children.latest
    return child is not None and child.suspended


def a_worker_has_run(facts: Facts) -> bool:
    return facts.started


def input_is_missing(facts: Facts) -> bool:
    return facts.missing_input is not None


def backend_is_missing(facts: Facts) -> bool:
    return facts.backend.backend is None


def backend_is_not_ready(facts: Facts) -> bool:
    return not facts.planned and not facts.backend.usable


def anything(_facts: Facts) -> bool:
    return True


RULES: tuple[Rule, ...] = (
    Rule("Completed", "Completed", was_completed),
    Rule("Failed", "Failed", was_failed),
    Rule("Canceled", "Canceled", was_canceled),
    Rule("Completed", "Completed", every_task_is_in_the_output),
    Rule("Canceled", "Canceled", is_closed_after_cancel),
    Rule("Failed", "WorkersFailed", is_closed_after_failure),
    Rule("Canceled", "Canceled", is_canceled_before_it_was_planned),
    Rule("Canceling", "Canceling", is_canceled),
    Rule("Failed", "ValidationFailed", input_is_wrong),
    Rule("Finalizing", "WorkersFailed", workers_failed),
    Rule("Finalizing", "AllTasksCommitted", every_task_is_committed),
    Rule("Queued", "Queued", child_is_held_by_a_queue),
    Rule("Running", "Running", a_worker_has_run),
    Rule("Pending", "ConfigMapNotFound", input_is_missing),
    Rule("Pending", "BackendNotFound", backend_is_missing),
    Rule("Pending", "BackendNotReady", backend_is_not_ready),
    Rule("Pending", "WaitingForWorkers", anything),
)


def decide_phase(facts: Facts) -> Rule:
    """The first line of the table that holds."""
    return next(rule for rule in RULES if rule.holds(facts))
