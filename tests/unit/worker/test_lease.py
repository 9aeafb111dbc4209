"""Rule (b): when a claim may be taken over."""

from splai.api.ledger import ALIVE_SECONDS
from splai.worker.lease import Lease, Leases
from splai.worker.settings import Identity

ME = Identity("job-2", 3, "pod-b")
OTHER = "job-2-4-pod-x"


def test_a_report_that_was_seen_to_change_is_alive_for_a_minute() -> None:
    leases = Leases(ME)
    leases.observe(OTHER, "1", released=False, now=0.0)
    leases.observe(OTHER, "2", released=False, now=5.0)
    assert leases.judge(OTHER, now=5.0 + ALIVE_SECONDS - 0.1) is Lease.ALIVE
    assert leases.judge(OTHER, now=5.0 + ALIVE_SECONDS) is Lease.DEAD


def test_a_report_seen_once_may_be_what_a_dead_worker_left() -> None:
    leases = Leases(ME)
    leases.observe(OTHER, "1", released=False, now=100.0)
    leases.observe(OTHER, "1", released=False, now=130.0)
    assert leases.judge(OTHER, now=130.0) is Lease.UNKNOWN
    assert leases.judge(OTHER, now=160.0) is Lease.DEAD


def test_a_worker_without_a_report_is_dead_a_minute_after_it_was_first_missed() -> None:
    leases = Leases(ME)
    assert leases.judge(OTHER, now=100.0) is Lease.UNKNOWN
    assert leases.judge(OTHER, now=159.0) is Lease.UNKNOWN
    assert leases.judge(OTHER, now=160.0) is Lease.DEAD


def test_a_dead_worker_that_reports_again_is_alive_again() -> None:
    leases = Leases(ME)
    leases.observe(OTHER, "1", released=False, now=0.0)
    assert leases.judge(OTHER, now=90.0) is Lease.DEAD
    leases.observe(OTHER, "2", released=False, now=91.0)
    assert leases.judge(OTHER, now=91.0) is Lease.ALIVE


def test_released_claims_are_free_at_once() -> None:
    leases = Leases(ME)
    leases.observe(OTHER, "1", released=True, now=0.0)
    assert leases.judge(OTHER, now=0.0) is Lease.DEAD


def test_an_earlier_pod_of_the_same_child_and_index_is_gone() -> None:
    leases = Leases(ME)
    leases.observe("job-2-3-pod-a", "1", released=False, now=0.0)
    leases.observe("job-2-3-pod-a", "2", released=False, now=1.0)
    assert leases.judge("job-2-3-pod-a", now=1.0) is Lease.DEAD


def test_other_indexes_and_other_children_are_not_the_same_place() -> None:
    leases = Leases(ME)
    for worker in ("job-2-33-pod-a", "job-1-3-pod-a", "job-22-3-pod-a"):
        assert leases.judge(worker, now=0.0) is Lease.UNKNOWN, worker


def test_only_changed_reports_need_to_be_read() -> None:
    leases = Leases(ME)
    assert leases.changed(OTHER, "1")
    leases.observe(OTHER, "1", released=False, now=0.0)
    assert not leases.changed(OTHER, "1")
    assert leases.changed(OTHER, "2")
