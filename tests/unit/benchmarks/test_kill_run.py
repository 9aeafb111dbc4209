"""The kill loop's verdict: what it says of a job that is right, and of each way to be wrong."""

from collections import Counter
from typing import Any

import pytest

from benchmarks.kill_run import Run, judge

RUN = Run.make(1, 0, records=40)
STATUS = {
    "phase": "Completed",
    "succeeded": len(RUN.answered),
    "failed": len(RUN.refused),
    "requestCounts": {"total": 40, "completed": len(RUN.answered), "failed": len(RUN.refused)},
}


def output() -> list[dict[str, Any]]:
    return [
        {"custom_id": name, "response": {"body": {"choices": [{"message": {"content": content}}]}}}
        for name, content in RUN.answered.items()
    ]


def errors() -> list[dict[str, Any]]:
    return [{"custom_id": name} for name in RUN.refused]


def asked() -> Counter[str]:
    """The requests of a job in which nobody was killed."""
    return Counter({text: 2 if text.endswith("*1") and "slow" not in text else 1 for text in RUN.texts})


def test_a_run_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert Run.make(1, 0, 40).texts == RUN.texts
    assert Run.make(2, 0, 40).texts != RUN.texts


def test_every_run_kills_a_worker_the_operator_and_the_artifact_server() -> None:
    for number in range(20):
        kills = Run.make(1, number, 40).kills
        assert {kill.victim for kill in kills} == {"worker", "operator", "artifact server"}
        assert [kill.moment for kill in kills] == sorted(kill.moment for kill in kills)


def test_a_job_that_is_right_is_equal() -> None:
    outcome = judge(RUN, STATUS, output(), errors(), asked())
    assert (outcome.wrong, outcome.lost, outcome.duplicated, outcome.reexecuted) == ([], 0, 0, 0)


def test_a_lost_line_is_counted() -> None:
    outcome = judge(RUN, STATUS, output()[1:], errors(), asked())
    assert (outcome.wrong, outcome.lost) == (["lost", "output"], 1)


def test_a_second_line_of_a_record_is_counted() -> None:
    outcome = judge(RUN, STATUS, output(), [*errors(), {"custom_id": "record-1"}], asked())
    assert outcome.duplicated == 1
    assert "duplicated" in outcome.wrong


def test_another_order_or_another_answer_is_wrong() -> None:
    assert judge(RUN, STATUS, output()[::-1], errors(), asked()).wrong == ["output"]
    answers = output()
    answers[3]["response"] = answers[4]["response"]
    assert judge(RUN, STATUS, answers, errors(), asked()).wrong == ["output"]


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        ({"phase": "Failed"}, ["phase"]),
        ({"requestCounts": {**STATUS["requestCounts"], "total": 39}}, ["total"]),  # type: ignore[dict-item]
        ({"succeeded": 38}, ["completed"]),
        ({"failed": 0}, ["failed"]),
    ],
)
def test_a_status_that_counts_wrongly_is_wrong(status: dict[str, Any], wrong: list[str]) -> None:
    assert judge(RUN, {**STATUS, **status}, output(), errors(), asked()).wrong == wrong


def test_requests_that_no_fault_asked_for_are_repeats() -> None:
    again = asked() + Counter(RUN.texts[:3])
    assert judge(RUN, STATUS, output(), errors(), again).reexecuted == 3
