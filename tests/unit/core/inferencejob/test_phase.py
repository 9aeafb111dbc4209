"""The table, read as a specification: given what is observed, the job is in this phase for this reason.

Each case changes only what it names in a job that nothing is known about but that it exists; where several lines of
the table hold, the case says which one wins.
"""

from typing import Any

import pytest

from splai.core.inferencejob.backend import choose_backend
from splai.core.inferencejob.children import Children
from splai.core.inferencejob.facts import Facts, Failure
from splai.core.inferencejob.phase import RULES, decide_phase
from splai.core.inferencejob.snapshot import ConfigMapMissing
from splai.core.inferencejob.validation import Invalid
from tests.unit.core.builders import make_backend, make_child, make_final, make_job

READY = choose_backend(make_job(), [make_backend()])
NOT_READY = choose_backend(make_job(), [make_backend(ready=False)])
NO_BACKEND = choose_backend(make_job(), [])
FAILURE = Failure("BackoffLimitExceeded", "7 worker pods failed")
ALL = make_final()
PART = make_final(complete=False)
HELD = Children((make_child(suspended=True),), None, 1)


def facts(**observed: Any) -> Facts:
    nothing: dict[str, Any] = {
        "over": None,
        "canceled": False,
        "deleting": False,
        "missing_input": None,
        "invalid": None,
        "records": None,
        "planned": False,
        "total": 3,
        "backend": READY,
        "children": Children((), None, 0),
        "pods": (),
        "busy": (),
        "finish_pods": (),
        "failures": 0,
        "started": False,
        "failure": None,
        "progress": None,
        "store_trouble": None,
        "all_committed": False,
        "final": None,
    }
    return Facts(**{**nothing, **observed})


@pytest.mark.parametrize(
    ("observed", "phase", "reason"),
    [
        # Waiting, each with the thing it waits for.
        ({}, "Pending", "WaitingForWorkers"),
        ({"missing_input": ConfigMapMissing("gone")}, "Pending", "ConfigMapNotFound"),
        ({"backend": NO_BACKEND}, "Pending", "BackendNotFound"),
        ({"backend": NOT_READY}, "Pending", "BackendNotReady"),
        ({"missing_input": ConfigMapMissing("gone"), "backend": NO_BACKEND}, "Pending", "ConfigMapNotFound"),
        ({"planned": True, "backend": NOT_READY}, "Pending", "WaitingForWorkers"),
        ({"planned": True, "children": HELD}, "Queued", "Queued"),
        # An input that is wrong ends the job before anything is made, whatever the backend does.
        ({"invalid": Invalid(("item 1: no",))}, "Failed", "ValidationFailed"),
        ({"invalid": Invalid(("item 1: no",)), "backend": NO_BACKEND}, "Failed", "ValidationFailed"),
        # Working; once a worker has run, a lost pod or backend does not lead back to Pending.
        ({"planned": True, "started": True}, "Running", "Running"),
        ({"planned": True, "started": True, "backend": NO_BACKEND}, "Running", "Running"),
        ({"planned": True, "started": True, "children": HELD}, "Queued", "Queued"),
        # The work is done, or never will be; the output is being written.
        ({"planned": True, "started": True, "all_committed": True}, "Finalizing", "AllTasksCommitted"),
        ({"planned": True, "started": True, "failure": FAILURE}, "Finalizing", "WorkersFailed"),
        # The output is there: that, and only that, ends a job that was planned.
        ({"planned": True, "final": ALL}, "Completed", "Completed"),
        ({"planned": True, "final": ALL, "canceled": True}, "Completed", "Completed"),
        ({"planned": True, "final": ALL, "failure": FAILURE}, "Completed", "Completed"),
        ({"planned": True, "final": PART, "failure": FAILURE}, "Failed", "WorkersFailed"),
        ({"planned": True, "final": PART}, "Failed", "WorkersFailed"),
        ({"planned": True, "final": PART, "canceled": True}, "Canceled", "Canceled"),
        ({"planned": True, "final": PART, "canceled": True, "failure": FAILURE}, "Canceled", "Canceled"),
        # Cancel.
        ({"canceled": True}, "Canceled", "Canceled"),
        ({"canceled": True, "invalid": Invalid(("item 1: no",))}, "Canceled", "Canceled"),
        ({"canceled": True, "planned": True}, "Canceling", "Canceling"),
        ({"canceled": True, "planned": True, "started": True, "failure": FAILURE}, "Canceling", "Canceling"),
        ({"canceled": True, "planned": True, "all_committed": True}, "Canceling", "Canceling"),
        # Terminal is final.
        ({"over": "Completed", "canceled": True}, "Completed", "Completed"),
        ({"over": "Failed", "planned": True, "final": ALL}, "Failed", "Failed"),
        ({"over": "Canceled", "planned": True, "final": ALL}, "Canceled", "Canceled"),
    ],
)
def test_the_phase_follows_from_what_is_observed(observed: dict[str, Any], phase: str, reason: str) -> None:
    rule = decide_phase(facts(**observed))
    assert (rule.phase, rule.reason) == (phase, reason)


def test_the_last_line_holds_always() -> None:
    assert RULES[-1].holds(facts())


def test_every_line_is_reached() -> None:
    """A line that no case above leads to would be dead, or untested."""
    cases = test_the_phase_follows_from_what_is_observed.pytestmark[0].args[1]
    reached = {decide_phase(facts(**observed)).holds for observed, _, _ in cases}
    assert reached == {rule.holds for rule in RULES}
