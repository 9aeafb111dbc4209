"""What a named policy of the installation makes of a spec: defaults where the user said nothing, and limits.

The effective spec holds the user's values, else the policy's, else the built-in ones; all that follows looks at it and
never at the spec as it was written. A default never exceeds its own policy's limit: only what a user asked for can.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splai.api.inference_job import InferenceJobSpec, RequestType
from splai.api.job_workers import Workers
from splai.api.ledger import Limits
from splai.api.model_backend import ModelBackend
from splai.api.policy import Policy, PolicyDefaults

TOKEN_PARAMETERS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The names by which a request of any type bounds its answer."""
_TOKEN_PARAMETER: Mapping[RequestType, str] = {
    "chat": "max_tokens",
    "completion": "max_tokens",
    "response": "max_output_tokens",
}
_DEFAULTS = (
    *("priority", "retry", "failure_policy"),
    *("completion_window", "active_deadline_seconds", "ttl_seconds_after_finished"),
)


@dataclass(frozen=True)
class PolicyNotFound:
    """The operator's configuration has no policy of that name, or has it no longer."""

    message: str


@dataclass(frozen=True)
class PolicyViolation:
    """What the user asked for and may not have, each problem with its field and its limit."""

    problems: tuple[str, ...]


def apply_policy(
    spec: InferenceJobSpec, policies: Mapping[str, Policy], *, planned: bool = False
) -> InferenceJobSpec | PolicyNotFound | PolicyViolation:
    """The effective spec.

    A job that is planned is judged no more: what is over a limit then is brought back to it, and where its policy is
    gone the built-in defaults hold.
    """
    if spec.policy is None:
        return spec
    policy = policies.get(spec.policy)
    if policy is None:
        return spec if planned else PolicyNotFound(_not_found(spec.policy, policies))
    problems = () if planned else tuple(_problems(spec, spec.policy, policy))
    return PolicyViolation(problems) if problems else _filled(spec, policy)


def record_limits(spec: InferenceJobSpec, policies: Mapping[str, Policy]) -> Limits:
    """What the job's policy allows of its records; whoever reads them checks it."""
    policy = policies.get(spec.policy) if spec.policy else None
    if policy is None:
        return Limits()
    return Limits(max_records=policy.limits.max_records, max_tokens=policy.limits.max_tokens)


def check_backend(
    spec: InferenceJobSpec, policies: Mapping[str, Policy], backend: ModelBackend
) -> PolicyViolation | None:
    """Whether the policy lets a job that names no model have the one that its backend serves."""
    policy = policies.get(spec.policy) if spec.policy else None
    allowed = policy.limits.models if policy else None
    served = backend.spec.model
    if spec.model is not None or allowed is None or set(served.ids) & set(allowed):
        return None
    field = "backendRef.name:" if spec.backend_ref else "model: is not set, and the default backend"
    problem = f"spec.{field} serves {served.id}, policy {spec.policy} allows only {_listed(allowed)}"
    return PolicyViolation((problem,))


def _not_found(name: str, policies: Mapping[str, Policy]) -> str:
    known = f"there are {_listed(sorted(policies))}" if policies else "there is none"
    return f"spec.policy: the operator has no policy {name}; {known}"


def _problems(spec: InferenceJobSpec, name: str, policy: Policy) -> list[str]:
    limits = policy.limits
    asked = {
        "spec.workers.parallelism": (_given(spec.workers, "parallelism"), limits.max_parallelism),
        "spec.workers.concurrency": (_given(spec.workers, "concurrency"), limits.max_concurrency),
    }
    for parameter in TOKEN_PARAMETERS:
        tokens = spec.parameters.get(parameter)
        if type(tokens) is int:  # what is no number is told when the records are read
            asked[f"spec.parameters.{parameter}"] = (tokens, limits.max_tokens)
    problems = [
        f"{field}: is {value}, policy {name} allows at most {most}"
        for field, (value, most) in asked.items()
        if value is not None and most is not None and value > most
    ]
    model = spec.model or (None if spec.backend_ref else policy.model)
    if model is not None and limits.models is not None and model not in limits.models:
        problems.append(f"spec.model: is {model}, policy {name} allows only {_listed(limits.models)}")
    return problems


def _filled(spec: InferenceJobSpec, policy: Policy) -> InferenceJobSpec:
    defaults, limits = policy.defaults, policy.limits
    changes: dict[str, Any] = {
        name: getattr(defaults, name)
        for name in _DEFAULTS
        if name not in spec.model_fields_set and getattr(defaults, name) is not None
    }
    if spec.model is None and spec.backend_ref is None:
        changes["model"] = policy.model
    changes["workers"] = spec.workers.model_copy(
        update={
            "parallelism": _number(spec.workers, defaults, "parallelism", limits.max_parallelism),
            "concurrency": _number(spec.workers, defaults, "concurrency", limits.max_concurrency),
        }
    )
    parameter = _TOKEN_PARAMETER.get(spec.request_type)
    if limits.max_tokens is not None and parameter and not spec.parameters.keys() & set(TOKEN_PARAMETERS):
        # Without a bound of its own an answer is as long as the engine lets it be, which no limit would hold back.
        changes["parameters"] = {**spec.parameters, parameter: limits.max_tokens}
    return spec.model_copy(update=changes)


def _number(workers: Workers, defaults: PolicyDefaults, name: str, most: int | None) -> int:
    given, default = _given(workers, name), getattr(defaults, name)
    built_in: int = getattr(workers, name)
    wanted = next(value for value in (given, default, built_in) if value is not None)
    return wanted if most is None else min(wanted, most)


def _given(workers: Workers, name: str) -> int | None:
    """The user's own value."""
    value: int = getattr(workers, name)
    return value if name in workers.model_fields_set else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
