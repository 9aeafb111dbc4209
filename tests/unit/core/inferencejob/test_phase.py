"""The table, read as a specification: given what is observed, the job is in this phase for this reason.

Each case changes only what it names in a job that nothing is known about but that it exists; where several lines of
the table hold, the case says which one wins.
"""

from typing import Any

import pytest

from splai.core.inferencejob.backend import choose_backend
from splai.core.inferencejob.children import Children
from splai.core.inferencejob.endings import Ending
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.input_state import GoodInput, Waiting
from splai.core.inferencejob.phase import RULES, decide_phase
from splai.core.inferencejob.records import Records
from splai.core.inferencejob.validation import Rejection
from tests.unit.core.builders import make_backend, make_child, make_final, make_job

READY = choose_backend(make_job(), [make_backend()])
NOT_READY = choose_backend(make_job(), [make_backend(ready=False)])
NO_BACKEND = choose_backend(make_job(), [])
WAITING = Waiting("ConfigMapNotFound", "gone")
BAD = Rejection("ValidationFailed", ("item 1: no",), 1)
CANCEL = Ending("batch_cancelled", "Canceling", "canceled", "")
WINDOW = Ending("batch_expired", "Expired", "the window is over", "")
DEADLINE = Ending("deadline_exceeded", "DeadlineExceeded", "too long", "")
TOO_MANY = Ending("too_many_failures", "FailurePolicyExceeded", "2 of 3 records failed", "")
FAILURE = Ending("job_failed", "BackoffLimitExceeded", "7 worker pods failed", "")
ALL = make_final()
PART = make_final(complete=False, code="job_failed")
HELD = Children((make_child(suspended=True),), None, 1)


def facts(**observed: Any) -> Facts:
    nothing: dict[str, Any] = {
        "over": None,
        "deleting": False,
        "suspended": False,
        "ending": None,
        "input": None if observed.get("planned") else GoodInput(Records("jsonl", [])),
        "planned": False,
        "total": 3,
        "backend": READY,
        "children": Children((), None, 0),
        "pods": (),
        "busy": (),
        "plan_pods": (),
        "finish_pods": (),
        "failures": 0,
        "started": False,
        "progress": None,
        "store_trouble": None,
        "all_committed": False,
        "final": None,
        "final_unread": False,
        "too_many_failed": False,
        "output_failed": False,
        "queue": None,
        "workload": None,
        "creation_trouble": "",
    }
    return Facts(**{**nothing, **observed})


def closed(code: str) -> Any:
    return make_final(complete=False, code=code)


WORKING: dict[str, Any] = {"planned": True, "started": True}


@pytest.mark.parametrize(
    ("observed", "phase", "reason"),
    [
        # Waiting, each with the thing it waits for.
        ({}, "Pending", "WaitingForWorkers"),
        ({"input": WAITING}, "Pending", "WaitingForInput"),
        ({"backend": NO_BACKEND}, "Pending", "BackendNotFound"),
        ({"backend": NOT_READY}, "Pending", "BackendNotReady"),
        ({"input": WAITING, "backend": NO_BACKEND}, "Pending", "WaitingForInput"),
        ({"planned": True, "backend": NOT_READY}, "Pending", "WaitingForWorkers"),
        ({"planned": True, "children": HELD}, "Queued", "Queued"),
        # An input that is bad ends the job before anything is made, whatever the backend does.
        ({"input": BAD}, "Failed", "InputRejected"),
        ({"input": BAD, "backend": NO_BACKEND}, "Failed", "InputRejected"),
        # Working; once a worker has run, a lost pod or backend does not lead back to Pending.
        (WORKING, "Running", "Running"),
        ({**WORKING, "backend": NO_BACKEND}, "Running", "Running"),
        ({**WORKING, "children": HELD}, "Queued", "Queued"),
        # Suspended by the user, at any time before its work is done or ends early; a queue's hold counts less.
        ({"suspended": True}, "Suspended", "Suspended"),
        ({"suspended": True, "backend": NO_BACKEND}, "Suspended", "Suspended"),
        ({**WORKING, "suspended": True}, "Suspended", "Suspended"),
        ({**WORKING, "suspended": True, "children": HELD}, "Suspended", "Suspended"),
        ({**WORKING, "suspended": True, "all_committed": True}, "Finalizing", "AllTasksCommitted"),
        ({**WORKING, "suspended": True, "ending": CANCEL}, "Canceling", "Canceling"),
        ({**WORKING, "suspended": True, "ending": WINDOW}, "Finalizing", "Expired"),
        ({"suspended": True, "ending": WINDOW}, "Failed", "Expired"),
        # The work is done, or never will be; the output is being written.
        ({**WORKING, "all_committed": True}, "Finalizing", "AllTasksCommitted"),
        ({**WORKING, "all_committed": True, "ending": WINDOW}, "Finalizing", "AllTasksCommitted"),
        ({**WORKING, "all_committed": True, "ending": TOO_MANY}, "Finalizing", "AllTasksCommitted"),
        ({**WORKING, "ending": FAILURE}, "Finalizing", "WorkersFailed"),
        ({**WORKING, "ending": WINDOW}, "Finalizing", "Expired"),
        ({**WORKING, "ending": DEADLINE}, "Finalizing", "DeadlineExceeded"),
        ({**WORKING, "ending": TOO_MANY}, "Finalizing", "FailurePolicyExceeded"),
        ({"planned": True, "children": HELD, "ending": WINDOW}, "Finalizing", "Expired"),
        # The output is there, or never will be: that, and only that, ends a job that was planned.
        ({**WORKING, "all_committed": True, "output_failed": True}, "Failed", "OutputFailed"),
        ({**WORKING, "ending": CANCEL, "output_failed": True}, "Failed", "OutputFailed"),
        ({"planned": True, "final": ALL}, "Completed", "Completed"),
        ({"planned": True, "final": ALL, "ending": CANCEL}, "Completed", "Completed"),
        ({"planned": True, "final": ALL, "ending": FAILURE}, "Completed", "Completed"),
        ({"planned": True, "final": ALL, "suspended": True}, "Completed", "Completed"),
        ({"planned": True, "final": ALL, "too_many_failed": True}, "Failed", "FailurePolicyExceeded"),
        # Why it was cut short is what the ledger says, whatever has happened since.
        ({"planned": True, "final": closed("batch_cancelled")}, "Canceled", "Canceled"),
        ({"planned": True, "final": closed("batch_cancelled"), "ending": FAILURE}, "Canceled", "Canceled"),
        ({"planned": True, "final": closed("batch_expired")}, "Failed", "Expired"),
        ({"planned": True, "final": closed("batch_expired"), "ending": CANCEL}, "Failed", "Expired"),
        ({"planned": True, "final": closed("deadline_exceeded")}, "Failed", "DeadlineExceeded"),
        ({"planned": True, "final": closed("too_many_failures")}, "Failed", "FailurePolicyExceeded"),
        ({"planned": True, "final": PART}, "Failed", "WorkersFailed"),
        ({"planned": True, "final": PART, "ending": CANCEL}, "Failed", "WorkersFailed"),
        # Cancel, and the end of the window, before and after the work was planned.
        ({"ending": CANCEL}, "Canceled", "Canceled"),
        ({"ending": CANCEL, "suspended": True}, "Canceled", "Canceled"),
        ({"planned": True, "ending": CANCEL}, "Canceling", "Canceling"),
        ({"planned": True, "ending": CANCEL, "all_committed": True}, "Canceling", "Canceling"),
        ({"ending": WINDOW}, "Failed", "Expired"),
        ({"ending": WINDOW, "input": WAITING}, "Failed", "Expired"),
        # Terminal is final.
        ({"over": "Completed", "ending": CANCEL}, "Completed", "Completed"),
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
