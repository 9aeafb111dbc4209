"""The condition QuotaReserved: what Kueue, which admits the child Job of a job with a queue-name label, says about it.

Kueue says it in a Workload of the child. A queue may hold a child for days, so that it waits is no trouble; that there
is no Workload after a minute is. Jobs for which no queue was asked are looked at as well: in a namespace with a
LocalQueue named ``default`` Kueue puts them into that one, and no label of a Job keeps it from doing so.
"""

from splai.core.conditions import Verdict
from splai.core.inferencejob.children import is_active
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.snapshot import QUEUE_LABEL, WorkloadMissing
from splai.core.observed import ObservedJob, ObservedWorkload

MESSAGE_LIMIT = 1024


def quota_reserved(facts: Facts) -> Verdict:
    """The condition; True as well where no queue is asked."""
    status, reason, message = _quota_reserved(facts)
    return Verdict("QuotaReserved", "True" if status else "False", reason, message[:MESSAGE_LIMIT])


def _quota_reserved(facts: Facts) -> tuple[bool, str, str]:
    if facts.children.held:
        return False, *_held(facts, facts.children.held)
    latest = facts.children.latest
    child = latest if latest and is_active(latest) else None
    queue = (child.labels.get(QUEUE_LABEL) if child else None) or facts.queue
    if queue is None:
        return True, "NotQueued", "the job has no queue"
    if child is None:
        return False, "Pending", f"no workers' Job waits in LocalQueue {queue}"
    return True, "QuotaReserved", f"Kueue admitted Job {child.name} with {child.parallelism} of its workers"


def _held(facts: Facts, child: ObservedJob) -> tuple[str, str]:
    queue = child.labels.get(QUEUE_LABEL)
    waits = f"Job {child.name} waits in LocalQueue {queue}"
    if queue is None:
        return "Pending", f"Job {child.name} is suspended"
    if isinstance(facts.workload, WorkloadMissing):
        return "NoKueue", (
            f"no Kueue answered for Job {child.name} within 60 s: is Kueue installed, and does it manage batch/job?"
        )
    words = _words(facts.workload) if facts.workload else ""
    if "LocalQueue" in words and "exist" in words:
        return "LocalQueueNotFound", f"Job {child.name}: {words}"
    return "Pending", f"{waits}: {words}" if words else waits


def _words(workload: ObservedWorkload) -> str:
    """Why it has no quota, and why it lost the one it had."""
    reserved, evicted = (workload.conditions.get(name) for name in ("QuotaReserved", "Evicted"))
    reasons = [reserved] if reserved and reserved.status == "False" else []
    reasons += [evicted] if evicted and evicted.status == "True" else []
    return "; ".join(dict.fromkeys(it.message for it in reasons if it.message))
