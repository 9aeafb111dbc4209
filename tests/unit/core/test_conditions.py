from datetime import UTC, datetime, timedelta

from splai.core.conditions import MESSAGE_LIMIT, Verdict, find_condition, is_true, merge_conditions

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
FIRST = merge_conditions([], [Verdict("Ready", "False", "Loading", "wait")], generation=1, now=NOON)


def test_a_new_condition_starts_now() -> None:
    (ready,) = FIRST
    assert ready.to_wire() == {
        "type": "Ready",
        "status": "False",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-05-01T12:00:00Z",
        "reason": "Loading",
        "message": "wait",
    }


def test_the_transition_time_stays_while_the_status_does() -> None:
    (ready,) = merge_conditions(FIRST, [Verdict("Ready", "False", "Crashed", "no")], generation=2, now=LATER)
    assert ready.last_transition_time == "2026-05-01T12:00:00Z"
    assert (ready.reason, ready.message, ready.observed_generation) == ("Crashed", "no", 2)


def test_it_moves_with_the_status() -> None:
    (ready,) = merge_conditions(FIRST, [Verdict("Ready", "True", "Ready")], generation=1, now=LATER)
    assert ready.last_transition_time == "2026-05-01T12:01:00Z"


def test_the_set_and_the_order_are_those_of_the_verdicts() -> None:
    verdicts = [Verdict("B", "True", "B"), Verdict("A", "True", "A")]
    assert [it.type for it in merge_conditions(FIRST, verdicts, generation=1, now=NOON)] == ["B", "A"]


def test_a_long_message_is_cut() -> None:
    (ready,) = merge_conditions([], [Verdict("Ready", "True", "R", "x" * 10_000)], generation=1, now=NOON)
    assert len(ready.message) == MESSAGE_LIMIT


def test_a_condition_is_found_by_its_type() -> None:
    assert find_condition(FIRST, "Ready") is FIRST[0]
    assert find_condition(FIRST, "Other") is None
    assert not is_true(FIRST, "Ready")
    assert not is_true(FIRST, "Other")
