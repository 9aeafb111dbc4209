"""Every rule of every role beside the code that needs it: a rule that nobody can name a reason for does not pass."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from splai.controller import handlers
from splai.controller.event_lists import EventLists
from splai.controller.gateways import Gateways
from splai.controller.observe import Observer
from splai.controller.resync import Resync
from splai.controller.status_writer import StatusWriter
from splai.core.ownership import child_metadata
from splai.gateway.routing.reflector import Reflector
from splai.kube.events import EventRecorder
from splai.kube.executor import Executor
from splai.kube.lease import Elector
from tests.unit.chart.test_permissions import ROLES, granted

Code = tuple[Callable[..., Any], str]
"""A function, and the words in it that make the request."""

LIST: Code = (Resync._read, "self._client.pages(resource")
WATCH: Code = (handlers.registry, "kopf.on.event(resource.group")
STATUS: Code = (StatusWriter.write, "self._client.patch_status(resource")
OWNER: Code = (child_metadata, '"blockOwnerDeletion": True')
APPLY: dict[str, Code] = {
    "get": (Executor._apply, "self._client.get(resource"),
    "create": (Executor._apply, "self._client.apply(resource"),
    "patch": (Executor._apply_by_force, "self._client.apply(resource"),
}
DELETE: Code = (Executor._delete, "self._client.delete(resource")
OWN: dict[str, dict[str, Code]] = {"": {"list": LIST, "watch": WATCH}, "/status": {"patch": STATUS}}

NEEDED: dict[str, dict[str, dict[str, Code]]] = {
    "splai-operator": {
        "splai.dev/inferencejobs": {**OWN[""], "delete": (Executor._perform, "self._delete(Delete(action.reference))")},
        "splai.dev/inferencejobs/status": OWN["/status"],
        "splai.dev/inferencejobs/finalizers": {"update": OWNER},
        "splai.dev/modelbackends": OWN[""],
        "splai.dev/modelbackends/status": OWN["/status"],
        "splai.dev/modelbackends/finalizers": {"update": OWNER},
        "apps/deployments": {"list": LIST, "watch": WATCH, **APPLY, "delete": DELETE},
        "leaderworkerset.x-k8s.io/leaderworkersets": {
            "list": (Observer._leader_worker_set, "self._client.list(LEADER_WORKER_SETS"),
            **APPLY,
            "delete": DELETE,
        },
        "/services": {"list": LIST, "watch": WATCH, **APPLY},
        "batch/jobs": {
            "list": LIST,
            "watch": WATCH,
            "get": (Executor._create, "self._client.get(resource"),
            "create": (Executor._create, "self._client.create(resource"),
            "patch": (Executor._scale, "self._client.patch(resource"),
            "delete": DELETE,
        },
        "/pods": {"list": LIST, "watch": WATCH},
        "/configmaps": {"get": (Observer._config_map, "self._client.get(CONFIG_MAPS")},
        "/events": {"list": (EventLists._list, "self._client.list(CORE_EVENTS")},
        "events.k8s.io/events": {"create": (EventRecorder.record, "self._client.create(EVENTS")},
        "kueue.x-k8s.io/workloads": {"list": (Observer._workload, "self._client.list(WORKLOADS")},
    },
    "splai-operator-lease": {
        "coordination.k8s.io/leases": {
            "create": (Elector._create, "self._client.create(LEASES"),
            "get": (Elector._read, "self._client.get(LEASES"),
            "update": (Elector._write, "self._client.replace(LEASES"),
        },
    },
    "splai-operator-gateways": {
        "discovery.k8s.io/endpointslices": {"list": (Gateways._list, "ENDPOINT_SLICES, self._namespace")},
    },
    "splai-gateway": {
        resource: {
            "list": (Reflector._follow, "self._client.list(self._resource"),
            "watch": (Reflector._follow, "self._client.watch("),
        }
        for resource in ("splai.dev/modelbackends", "discovery.k8s.io/endpointslices")
    },
}

LISTED = [(role, rule, verb) for role, rules in NEEDED.items() for rule, verbs in rules.items() for verb in verbs]


@pytest.mark.parametrize("role", ROLES)
def test_each_rule_has_its_code_and_each_code_its_rule(role: str) -> None:
    rules = sorted((f"{group}/{resource}", verb) for group, resource, _name, verb in granted(role))
    assert rules == sorted((rule, verb) for at, rule, verb in LISTED if at == role)


@pytest.mark.parametrize(("role", "rule", "verb"), LISTED)
def test_the_code_makes_the_request(role: str, rule: str, verb: str) -> None:
    function, request = NEEDED[role][rule][verb]
    assert request in inspect.getsource(function)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_reads_secrets_and_nothing_is_granted_by_a_wildcard(role: str) -> None:
    for rule in ROLES[role]:
        named = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not named & {"secrets", "*"}
        assert not any(resource.startswith(("secrets/", "*/")) for resource in rule["resources"])
