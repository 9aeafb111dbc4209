"""The names of a folder's objects: who writes one and who reads it mean the same."""

from splai.api.ledger import (
    PLAN,
    claim_path,
    commit_path,
    committed_tasks,
    highest_epochs,
    part_names,
    part_path,
    worker_path,
)

PATHS = [
    PLAN,
    worker_path("child-0-uid"),
    *(claim_path("0000", epoch) for epoch in (1, 9, 10)),
    *(part_path("0000", epoch, number) for epoch, number in ((10, 0), (9, 11), (9, 2))),
    commit_path("0000"),
    claim_path("final", 1),
]


def test_the_last_claim_of_a_task_is_that_of_the_highest_epoch() -> None:
    assert highest_epochs(PATHS) == {"0000": 10, "final": 1}


def test_parts_are_in_the_order_in_which_they_were_written() -> None:
    assert part_names(PATHS) == {"0000": ["9-2", "9-11", "10-0"]}


def test_a_task_is_done_once_it_has_a_commit() -> None:
    assert committed_tasks(PATHS) == ["0000"]
