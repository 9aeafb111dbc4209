"""A policy fills in what the user left out, and holds back what the user asked for too much of."""

from typing import Any

import pytest

from splai.api.inference_job import InferenceJobSpec
from splai.api.ledger import Limits
from splai.api.policy import Policy
from splai.core.inferencejob.policy import (
    PolicyNotFound,
    PolicyViolation,
    apply_policy,
    check_backend,
    record_limits,
)
from tests.unit.core.builders import make_backend, make_job


def policies(**policy: Any) -> dict[str, Policy]:
    return {"enterprise-default": Policy.model_validate(policy), "lab": Policy()}


def make_spec(*, model: str | None = "m", policy: str | None = "enterprise-default", **spec: Any) -> InferenceJobSpec:
    return make_job(**{"model": model, "policy": policy, **spec}).spec


def effective(spec: InferenceJobSpec, *, planned: bool = False, **policy: Any) -> InferenceJobSpec:
    result = apply_policy(spec, policies(**policy), planned=planned)
    assert isinstance(result, InferenceJobSpec)
    return result


def violation(spec: InferenceJobSpec, **policy: Any) -> tuple[str, ...]:
    result = apply_policy(spec, policies(**policy))
    assert isinstance(result, PolicyViolation)
    return result.problems


class TestDefaults:
    def test_without_a_policy_the_built_in_ones_hold(self) -> None:
        spec = effective(make_spec(policy=None), defaults={"parallelism": 4})
        assert (spec.workers.parallelism, spec.workers.concurrency, spec.retry.max_attempts) == (1, 16, 3)

    @pytest.mark.parametrize(
        ("field", "given", "default"),
        [
            ("priority", "interactive", "batch"),
            ("retry", {"maxAttempts": 7, "initialBackoff": "1s", "maxBackoff": "60s"}, {"maxAttempts": 5}),
            ("failurePolicy", {"maxFailedRecords": 3}, {"maxFailedRecords": "5%"}),
            ("completionWindow", "1h", "24h"),
            ("activeDeadlineSeconds", 60, 3600),
            ("ttlSecondsAfterFinished", 60, 86400),
        ],
    )
    def test_the_users_value_wins_over_the_policys(self, field: str, given: Any, default: Any) -> None:
        asked = effective(make_spec(**{field: given}), defaults={field: default}).to_wire()[field]
        silent = effective(make_spec(), defaults={field: default}).to_wire()[field]
        assert asked == given
        assert silent == default or silent.items() >= default.items()

    @pytest.mark.parametrize("field", ["parallelism", "concurrency"])
    def test_so_it_does_inside_workers_also_when_it_is_the_built_in_value(self, field: str) -> None:
        built_in = getattr(make_spec().workers, field)
        asked = effective(make_spec(workers={field: built_in}), defaults={field: 40})
        silent = effective(make_spec(workers={"mode": "Dedicated"}), defaults={field: 40})
        assert getattr(asked.workers, field) == built_in
        assert getattr(silent.workers, field) == 40
        assert silent.workers.mode == "Dedicated"

    def test_a_job_without_a_model_gets_the_policys(self) -> None:
        assert effective(make_spec(model=None), model="llama").model == "llama"
        assert effective(make_spec(model="own"), model="llama").model == "own"

    def test_a_job_that_names_its_backend_gets_no_model(self) -> None:
        spec = make_spec(model=None, backendRef={"name": "smol"})
        assert effective(spec, model="llama").model is None

    def test_a_built_in_default_is_cut_down_to_the_limit(self) -> None:
        assert effective(make_spec(), limits={"maxConcurrency": 8}).workers.concurrency == 8

    def test_applying_it_again_changes_nothing(self) -> None:
        policy: Any = {
            "model": "llama",
            "defaults": {"parallelism": 3, "completionWindow": "1h"},
            "limits": {"maxConcurrency": 8, "maxTokens": 100},
        }
        once = effective(make_spec(model=None), **policy)
        assert effective(once, **policy) == once


class TestLimits:
    @pytest.mark.parametrize(
        ("spec", "limits", "problem"),
        [
            (
                {"workers": {"parallelism": 20}},
                {"maxParallelism": 10},
                "spec.workers.parallelism: is 20, policy enterprise-default allows at most 10",
            ),
            (
                {"workers": {"concurrency": 64}},
                {"maxConcurrency": 32},
                "spec.workers.concurrency: is 64, policy enterprise-default allows at most 32",
            ),
            (
                {"parameters": {"max_tokens": 2000}},
                {"maxTokens": 1000},
                "spec.parameters.max_tokens: is 2000, policy enterprise-default allows at most 1000",
            ),
            (
                {"parameters": {"max_tokens": 1, "max_completion_tokens": 2000}},
                {"maxTokens": 1000},
                "spec.parameters.max_completion_tokens: is 2000, policy enterprise-default allows at most 1000",
            ),
            (
                {"model": "secret"},
                {"models": ["a", "b"]},
                "spec.model: is secret, policy enterprise-default allows only a, b",
            ),
        ],
    )
    def test_what_is_over_a_limit_is_told_with_its_field(
        self, spec: dict[str, Any], limits: dict[str, Any], problem: str
    ) -> None:
        assert violation(make_spec(**spec), limits=limits) == (problem,)

    @pytest.mark.parametrize(
        ("spec", "limits"),
        [
            ({"workers": {"parallelism": 10}}, {"maxParallelism": 10}),
            ({"workers": {"concurrency": 32}}, {"maxConcurrency": 32}),
            ({"parameters": {"max_tokens": 1000}}, {"maxTokens": 1000}),
            ({"model": "b"}, {"models": ["a", "b"]}),
        ],
    )
    def test_what_is_at_the_limit_is_allowed(self, spec: dict[str, Any], limits: dict[str, Any]) -> None:
        assert effective(make_spec(**spec), limits=limits)

    def test_all_problems_are_told_at_once(self) -> None:
        problems = violation(
            make_spec(workers={"parallelism": 9, "concurrency": 9}), limits={"maxParallelism": 1, "maxConcurrency": 1}
        )
        assert len(problems) == 2

    def test_where_neither_has_a_model_it_is_left_to_the_default_backend(self) -> None:
        assert effective(make_spec(model=None), limits={"models": ["a"]}).model is None

    @pytest.mark.parametrize(
        ("job_type", "name"), [("chat", "max_tokens"), ("completion", "max_tokens"), ("response", "max_output_tokens")]
    )
    def test_an_answer_that_nobody_bounded_is_bounded_by_the_limit(self, job_type: str, name: str) -> None:
        spec = effective(make_spec(type=job_type, parameters={"seed": 1}), limits={"maxTokens": 100})
        assert spec.parameters == {"seed": 1, name: 100}

    @pytest.mark.parametrize("parameters", [{"max_completion_tokens": 5}, {"max_tokens": None}, {"max_tokens": "5"}])
    def test_a_bound_that_is_there_stays_for_those_who_check_it(self, parameters: dict[str, Any]) -> None:
        assert effective(make_spec(parameters=parameters), limits={"maxTokens": 100}).parameters == parameters

    def test_an_embedding_has_no_answer_to_bound(self) -> None:
        assert effective(make_spec(type="embedding"), limits={"maxTokens": 100}).parameters == {}

    def test_records_are_checked_by_whoever_reads_them(self) -> None:
        named = policies(limits={"maxRecords": 500, "maxTokens": 100})
        assert record_limits(make_spec(), named) == Limits(max_records=500, max_tokens=100)
        assert record_limits(make_spec(policy="lab"), named) == Limits()
        assert record_limits(make_spec(policy=None), named) == Limits()

    def test_a_job_that_names_its_backend_may_have_only_an_allowed_model(self) -> None:
        spec = make_spec(model=None, backendRef={"name": "smol"})
        refused = check_backend(spec, policies(limits={"models": ["a"]}), make_backend(model_id="b"))
        assert refused == PolicyViolation(("spec.backendRef.name: serves b, policy enterprise-default allows only a",))
        assert check_backend(spec, policies(limits={"models": ["b"]}), make_backend(model_id="b")) is None
        assert check_backend(spec, policies(), make_backend(model_id="b")) is None

    def test_neither_may_one_that_gets_the_default_backend(self) -> None:
        refused = check_backend(make_spec(model=None), policies(limits={"models": ["a"]}), make_backend(model_id="b"))
        assert refused == PolicyViolation(
            ("spec.model: is not set, and the default backend serves b, policy enterprise-default allows only a",)
        )


class TestUnknownPolicy:
    def test_it_is_told_with_those_that_there_are(self) -> None:
        result = apply_policy(make_spec(policy="gold"), policies())
        assert result == PolicyNotFound(
            "spec.policy: the operator has no policy gold; there are enterprise-default, lab"
        )

    def test_also_when_there_is_none(self) -> None:
        result = apply_policy(make_spec(policy="gold"), {})
        assert result == PolicyNotFound("spec.policy: the operator has no policy gold; there is none")


class TestPlanned:
    def test_a_limit_that_was_lowered_does_not_fail_a_job_that_works(self) -> None:
        spec = make_spec(workers={"parallelism": 20}, model="x")
        assert effective(spec, planned=True, limits={"maxParallelism": 5, "models": []}).workers.parallelism == 5

    def test_parallelism_that_is_raised_later_stays_within_the_limit(self) -> None:
        spec = make_spec(workers={"parallelism": 500})
        assert effective(spec, planned=True, limits={"maxParallelism": 10}).workers.parallelism == 10

    def test_a_policy_that_is_gone_leaves_what_the_user_wrote(self) -> None:
        spec = make_spec(policy="gold", workers={"parallelism": 2})
        assert apply_policy(spec, {}, planned=True) == spec
