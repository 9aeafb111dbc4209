"""Counts and tokens of many lines at once."""

from splai.api.inference_job import Usage
from splai.api.ledger import TaskCounts
from splai.artifacts.part_lines import RecordLine
from splai.worker.outcome import Tokens
from splai.worker.tally import Tally


def test_every_count_and_every_kind_of_token_is_summed() -> None:
    tally = Tally()
    tally.add(
        [RecordLine(0, "output", 1, b"{}"), RecordLine(1, "output", 2, b"{}"), RecordLine(2, "error", 3, b"{}")],
        [Tokens(1, 2, 3, 4, 5), Tokens(10, 20, 30, 40, 50), Tokens()],
    )
    tally.add([RecordLine(3, "output", 1, b"{}")], [Tokens(100, 200, 300, 400, 500)])

    assert tally.counts == TaskCounts(completed=3, failed=1, retried=2)
    assert tally.usage == Usage(
        prompt_tokens=111, completion_tokens=222, total_tokens=333, cached_tokens=444, reasoning_tokens=555
    )


def test_no_lines_add_nothing() -> None:
    tally = Tally()
    tally.add([], [])
    assert (tally.counts, tally.usage) == (TaskCounts(), Usage())
