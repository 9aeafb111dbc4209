from typing import Any, ClassVar

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


def test_an_adapter_is_an_id() -> None:
    model = {"id": "llama", "source": "hf://team/llama", "adapters": [{"id": "sql", "source": "hf://team/sql"}]}
    backend = make_backend(model=model, engine={"type": "vLLM"})

    assert choose(backend, model="sql")[1] == "BackendReady"


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


def test_a_replica_of_several_nodes_cannot_run_beside_a_worker() -> None:
    backend = make_backend(
        model={"id": "llama3-8b-q4", "source": "hf://a/b"}, engine={"type": "vLLM"}, resources={"nodes": 2}
    )
    name, reason, message = choose(backend, workers={"mode": "Dedicated"})
    assert (name, reason) == ("smol", "BackendNotReady")
    assert "spans 2 nodes" in message
    assert choose(backend)[1] == "BackendReady"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_a_pool_the_oldest_ready_one_is_taken(order: tuple[int, ...]) -> None:
    pool = [
        make_backend("oldest", ready=False, created="2026-01-01T00:00:00Z"),
        make_backend("older", created="2026-02-01T00:00:00Z"),
        make_backend("new", created="2026-03-01T00:00:00Z"),
    ]
    assert choose(*(pool[position] for position in order))[0] == "older"


AT_ZERO: dict[str, Any] = {"ready": True, "reason": "ScaledToZero"}


def test_one_that_autoscaling_has_at_zero_is_started_by_the_job() -> None:
    assert choose(make_backend(**AT_ZERO, replicas=1, autoscaling={"maxReplicas": 1})) == (
        "smol",
        "BackendReady",
        "ModelBackend smol is at zero replicas and starts one for the job",
    )


def test_one_that_somebody_has_set_to_zero_is_waited_for() -> None:
    assert choose(make_backend(**AT_ZERO, replicas=0))[1:] == (
        "BackendNotReady",
        "ModelBackend smol is not ready: its spec.replicas is 0",
    )


def test_of_a_pool_one_with_replicas_comes_before_an_older_one_at_zero() -> None:
    asleep = make_backend("asleep", **AT_ZERO, created="2026-01-01T00:00:00Z", autoscaling={"maxReplicas": 1})
    assert choose(asleep, make_backend("awake", created="2026-02-01T00:00:00Z"))[0] == "awake"


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


class TestAnotherNamespace:
    OPEN: ClassVar[dict[str, Any]] = {"namespace": "platform", "access": {"from": "All"}}

    def test_a_backend_that_is_open_is_found(self) -> None:
        assert choose(make_backend("big", **self.OPEN)) == (
            "big",
            "BackendReady",
            "ModelBackend platform/big is ready",
        )

    def test_one_that_is_open_to_selected_namespaces_is_open_to_those(self) -> None:
        selected = {"from": "Selected", "namespaces": ["team"]}
        assert choose(make_backend("big", namespace="platform", access=selected))[0] == "big"

    @pytest.mark.parametrize("access", [{}, {"from": "Selected", "namespaces": ["others"]}])
    def test_one_that_is_not_is_as_if_it_were_not_there(self, access: dict[str, object]) -> None:
        assert choose(make_backend("big", namespace="platform", access=access))[0] is None

    def test_the_jobs_own_namespace_comes_first_ready_or_not(self) -> None:
        own = make_backend("own", ready=False)
        assert choose(make_backend("big", **self.OPEN, created="2020-01-01T00:00:00Z"), own)[0] == "own"

    def test_a_namespace_may_be_named(self) -> None:
        two = make_backend("older", namespace="other", access={"from": "All"}, created="2020-01-01T00:00:00Z")
        assert choose(two, make_backend("big", **self.OPEN), model="platform/llama3-8b-q4")[0] == "big"

    def test_nobody_takes_the_qualified_name_of_another_namespace(self) -> None:
        evil = make_backend(
            "evil",
            namespace="evil",
            model_id="platform/llama3-8b-q4",
            access={"from": "All"},
            created="2020-01-01T00:00:00Z",
        )
        assert choose(evil, make_backend("big", **self.OPEN), model="platform/llama3-8b-q4")[0] == "big"

    def test_dedicated_workers_need_one_of_their_own_namespace(self) -> None:
        choice = choose(make_backend("big", **self.OPEN), workers={"mode": "Dedicated"})
        assert choice[::2] == (
            None,
            "no ModelBackend of namespace team serves 'llama3-8b-q4'; served there: nothing",
        )

    def test_a_reference_is_to_the_jobs_own_namespace(self) -> None:
        assert choose(make_backend("big", **self.OPEN), backendRef={"name": "big"})[2] == (
            "namespace team has no ModelBackend big; it has: nothing"
        )

    def test_an_unknown_model_is_answered_with_what_is_open_too(self) -> None:
        assert choose(make_backend("big", **self.OPEN), model="gpt-5")[2] == (
            "no ModelBackend of namespace team serves 'gpt-5'; served there: nothing; open to it: platform/llama3-8b-q4"
        )

    def test_a_planned_job_stays_with_it_also_when_it_was_closed(self) -> None:
        planned = InferenceJobStatus(spec_hash="h", backend="platform/big")
        assert choose(make_backend("big"), make_backend("big", namespace="platform"), status=planned)[2] == (
            "ModelBackend platform/big is ready"
        )

    def test_a_planned_job_whose_backend_there_is_gone_says_which(self) -> None:
        planned = InferenceJobStatus(spec_hash="h", backend="platform/big")
        assert choose(status=planned)[2] == "ModelBackend platform/big, which the work was planned for, is gone"


class TestDefault:
    def test_a_job_that_names_no_model_gets_the_default_of_its_namespace(self) -> None:
        assert choose(make_backend("a"), make_backend("b", routing={"default": True}), model=None)[0] == "b"

    def test_without_one_it_says_what_to_set(self) -> None:
        elsewhere = make_backend("a", namespace="platform", access={"from": "All"}, routing={"default": True})
        assert choose(make_backend("b"), elsewhere, model=None)[2] == (
            "the job names no model, and no ModelBackend of namespace team has routing.default"
        )

    def test_between_two_nobody_chooses_for_the_user(self) -> None:
        two = [make_backend(name, routing={"default": True}) for name in ("a", "b")]
        assert choose(*two, model=None) == (
            None,
            "BackendNotFound",
            "the job names no model, and namespace team has more than one default backend: a, b; "
            "leave routing.default to one of them",
        )

    def test_a_planned_job_stays_with_its_backend_whatever_the_defaults_are(self) -> None:
        two = [make_backend(name, routing={"default": True}) for name in ("a", "b")]
        planned = InferenceJobStatus(spec_hash="h", backend="a")
        assert choose(*two, model=None, status=planned)[0] == "a"
