import pytest

from splai.api.ledger import split_into_tasks
from splai.core.inferencejob.tasks import count_tasks


@pytest.mark.parametrize("records", [0, 1, 2, 999, 1000, 1001, 1999, 2000, 2001, 12_345, 10_000])
def test_tasks_are_counted_without_making_them(records: int) -> None:
    assert count_tasks(records) == len(split_into_tasks(records))
