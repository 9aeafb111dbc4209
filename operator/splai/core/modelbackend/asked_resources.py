"""How much of what no node has a pod asks for: the scheduler names the resource, not the amount."""

import re
from typing import Any

from splai.core.pod_problem import PodProblem

_INSUFFICIENT = re.compile(r"Insufficient ([A-Za-z0-9][-A-Za-z0-9._/]*[A-Za-z0-9])")


def with_demand(problem: PodProblem, pod_template: dict[str, Any]) -> PodProblem:
    """The problem, and how much a pod asks for of each resource that the scheduler found too little of."""
    asked = _asked(pod_template["spec"]["containers"])
    names = dict.fromkeys(_INSUFFICIENT.findall(problem.message))
    found = [f"{asked[name]} {name}" for name in names if name in asked]
    if not found:
        return problem
    return PodProblem(problem.reason, f"{problem.message} (each pod asks for {', '.join(found)})")


def _asked(containers: list[dict[str, Any]]) -> dict[str, str]:
    """Of the container with the resource; a pod's engine is its only one."""
    asked: dict[str, str] = {}
    for container in containers:
        resources = container.get("resources", {})
        amounts = {**resources.get("limits", {}), **resources.get("requests", {})}
        asked |= {name: str(amount) for name, amount in amounts.items()}
    return asked
