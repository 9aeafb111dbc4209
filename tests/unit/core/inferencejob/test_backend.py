import pytest

from splai.api.inference_job import InferenceJobStatus
from splai.core.inferencejob.backend import choose_backend
from tests.unit.core.builders import make_backend, make_job


def choose(*backends: object, **job: object) -> tuple[str | None, str, str]:
    choice = choose_backend(make_job(**job), backends)  # type: ignore[arg-type]
    name = choice.backend.metadata["name"] if choice.backend else None
    return name, choice.verdict.reason, choice.verdict.message


def test_a_ready_backend_is_found_by_its_id() -> None:
    assert choose(make_backend()) == ("smol", "BackendReady", "ModelBackend smol is ready")


def test_an_alias_is_an_id() -> None:
    assert choose(make_backend(), model="gpt-4o-mini")[1] == "BackendReady"


def test_a_reference_names_the_backend_itself() -> None:
    assert choose(make_backend("other"), backendRef={"name": "other"})[0] == "other"


def test_an_unknown_model_is_answered_with_the_ids_that_exist() -> None:
    assert choose(make_backend(model_id="qwen"), make_backend("b"), model="gpt-5") == (
        None,
        "BackendNotFound",
        "no ModelBackend of namespace team serves 'gpt-5'; served there: gpt-4o-mini, llama3-8b-q4, qwen",
    )


def test_a_namespace_without_backends_says_so() -> None:
    assert choose()[2] == "no ModelBackend of namespace team serves 'llama3-8b-q4'; served there: nothing"


def test_an_unknown_reference_is_answered_with_the_names_that_exist() -> None:
    assert choose(make_backend("a"), backendRef={"name": "b"})[2] == ("namespace team has no ModelBackend b; it has: a")


def test_an_unready_backend_is_waited_for_in_its_own_words() -> None:
    assert choose(make_backend(ready=False)) == (
        "smol",
        "BackendNotReady",
        "ModelBackend smol is not ready: Loading: 0 of 1 replicas are ready",
    )


def test_dedicated_workers_only_need_it_to_exist() -> None:
    name, reason, _ = choose(make_backend(ready=False), workers={"mode": "Dedicated"})
    assert (name, reason) == ("smol", "Dedicated")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_a_pool_the_oldest_ready_one_is_taken(order: tuple[int, ...]) -> None:
    pool = [
        make_backend("oldest", ready=False, created="2026-01-01T00:00:00Z"),
        make_backend("older", created="2026-02-01T00:00:00Z"),
        make_backend("new", created="2026-03-01T00:00:00Z"),
    ]
    assert choose(*(pool[position] for position in order))[0] == "older"


def test_one_that_is_being_deleted_is_gone() -> None:
    leaving = make_backend()
    leaving.metadata["deletionTimestamp"] = "2026-05-01T12:00:00Z"
    assert choose(leaving)[1] == "BackendNotFound"


def test_a_planned_job_stays_with_its_backend() -> None:
    planned = InferenceJobStatus(spec_hash="h", backend="mine")
    mine = make_backend("mine", ready=False, model_id="renamed")
    assert choose(make_backend("other"), mine, status=planned)[:2] == ("mine", "BackendNotReady")


def test_a_planned_job_whose_backend_is_gone_says_which() -> None:
    planned = InferenceJobStatus(spec_hash="h", backend="mine")
    assert choose(make_backend("other"), status=planned) == (
        None,
        "BackendNotFound",
        "ModelBackend mine of namespace team, which the work was planned for, is gone",
    )
