"""Asking at start for every permission we will need.

A missing rule would else show as an operator that is slow or silent: a 403 in the middle of a watch is retried for
most of a minute. Here it ends the process with the rule's name.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from splai.kube.client import Client
from splai.kube.resource import ACCESS_REVIEWS, Resource


@dataclass(frozen=True)
class Rule:
    """A verb on a resource, as an RBAC rule names them.

    With ``namespace`` it is needed only there, with ``name`` only for that object.
    """

    verb: str
    resource: Resource
    subresource: str = ""
    namespace: str | None = None
    name: str = ""

    def __str__(self) -> str:
        name = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        return f'{self.verb} {name} (apiGroup "{self.resource.group}")'


class AccessDenied(Exception):
    """Permissions are missing; the message names each."""

    def __init__(self, missing: Sequence[tuple[Rule, str | None]]) -> None:
        places = [f"{rule} in {f'namespace {place}' if place else 'all namespaces'}" for rule, place in missing]
        super().__init__("the operator's ServiceAccount lacks: " + "; ".join(places))


async def require_access(client: Client, rules: Iterable[Rule], namespaces: Sequence[str]) -> None:
    """Raise AccessDenied unless every rule holds in each of the namespaces; none means all of them."""
    everywhere: list[str | None] = [*namespaces] or [None]
    questions = [(rule, place) for rule in rules for place in ([rule.namespace] if rule.namespace else everywhere)]
    answers = await asyncio.gather(*(_allowed(client, rule, place) for rule, place in questions))
    if missing := [question for question, allowed in zip(questions, answers, strict=True) if not allowed]:
        raise AccessDenied(missing)


async def _allowed(client: Client, rule: Rule, namespace: str | None) -> bool:
    attributes = {
        "group": rule.resource.group,
        "version": rule.resource.version,
        "resource": rule.resource.plural,
        "subresource": rule.subresource,
        "verb": rule.verb,
        "namespace": namespace or "",
        "name": rule.name,
    }
    review = {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": ACCESS_REVIEWS.kind,
        "spec": {"resourceAttributes": attributes},
    }
    answer = await client.create(ACCESS_REVIEWS, None, review)
    return bool(answer["status"]["allowed"])
