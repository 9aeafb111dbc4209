"""The models as values: what they read, what they write, what they refuse."""

from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.api.ledger import MAX_TASKS, split_into_tasks
from splai.api.model_backend import ModelBackend


def make_job(**spec: Any) -> InferenceJob:
    return InferenceJob.model_validate(
        {"metadata": {"name": "a"}, "spec": {"model": "m", "input": {"text": "t"}, **spec}}
    )


def test_fields_that_a_newer_release_wrote_are_ignored() -> None:
    assert make_job(budget="10").spec == make_job().spec


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_job().spec.cancel = True  # type: ignore[misc]


def test_llm_inference_means_chat() -> None:
    assert make_job(type="llm_inference").spec.request_type == "chat"
    assert make_job(type="embedding").spec.request_type == "embedding"


def test_the_wire_form_is_camel_case_without_what_is_unset() -> None:
    status = InferenceJobStatus(spec_hash="h", progress_percent=5).to_wire()
    assert (status["specHash"], status["progressPercent"]) == ("h", 5)
    assert "startTime" not in status
    assert "spec_hash" not in status


def test_initialisms_are_written_as_kubernetes_writes_them() -> None:
    backend = ModelBackend.model_validate(
        {"metadata": {}, "spec": {"model": {"id": "m"}}, "status": {"modelIDs": ["m"]}}
    )
    assert backend.status.model_ids == ["m"]
    assert backend.status.to_wire()["modelIDs"] == ["m"]


@pytest.mark.parametrize(
    ("records", "tasks", "largest"),
    [
        (1, 1, 1),
        (1000, 1000, 1),
        (1001, 201, 5),
        (10_000, 250, 40),
        (100_000, 250, 400),
        (300_000, 586, 512),
        (600_000, 1000, 600),
        (10_000_000, MAX_TASKS, 10_000),
    ],
)
def test_tasks_are_at_most_a_thousand_ranges_without_gaps(records: int, tasks: int, largest: int) -> None:
    split = split_into_tasks(records)
    assert len(split) == tasks
    assert max(task.count for task in split) == largest
    assert all(before.positions.stop == after.first for before, after in pairwise(split))
    assert (split[0].first, split[-1].positions.stop) == (0, records)


def test_no_records_make_no_tasks() -> None:
    assert split_into_tasks(0) == ()
