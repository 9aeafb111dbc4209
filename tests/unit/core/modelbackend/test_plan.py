"""What is applied for a backend, and when nothing is."""

from dataclasses import replace
from typing import Any

import pytest

from splai.core.content_hash import content_hash
from splai.core.modelbackend.deployment import build_deployment
from splai.core.modelbackend.plan import plan
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.plan import Apply
from tests.unit.core.modelbackend.builders import (
    NOW,
    SETTINGS,
    UID,
    applied,
    decide,
    make_backend,
    make_deployment,
    make_service,
    ready_pod,
)


def applied_kinds(**snapshot: Any) -> list[str]:
    return [action.body["kind"] for action in decide(**snapshot).actions if isinstance(action, Apply)]


def pod_template(**spec: Any) -> dict[str, Any]:
    template: dict[str, Any] = applied(make_backend(**spec))["spec"]["template"]
    return template


def test_a_new_backend_gets_a_deployment_and_a_service() -> None:
    assert applied_kinds(deployment=None, service=None) == ["Deployment", "Service"]


def test_nothing_is_written_when_all_is_applied() -> None:
    assert decide(ready_pod()).actions == ()


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"id": "other"}},
        {"replicas": 2},
        {"rollout": {"maxSurge": 0, "maxUnavailable": 1}},
        {"template": {"nodeSelector": {"a": "b"}}},
    ],
)
def test_a_changed_spec_is_applied_to_the_deployment_alone(change: dict[str, Any]) -> None:
    before = make_backend()
    kinds = applied_kinds(
        backend=make_backend(**change), deployment=make_deployment(before), service=make_service(before)
    )
    assert kinds == ["Deployment"]


@pytest.mark.parametrize(
    "change",
    [
        {"routing": {"weight": 5, "capabilities": ["chat"], "default": True, "cache": {"ttl": "1m"}}},
        {"access": {"from": "All"}},
    ],
    ids=["routing", "access"],
)
def test_how_requests_come_is_nothing_to_the_pods(change: dict[str, Any]) -> None:
    before = make_backend()
    kinds = applied_kinds(
        backend=make_backend(**change), deployment=make_deployment(before), service=make_service(before)
    )
    assert kinds == []


def test_a_new_image_of_the_installation_is_applied() -> None:
    backend = make_backend()
    settings = replace(SETTINGS, engine_images=replace(SETTINGS.engine_images, llamacpp="splai/llamacpp:2"))
    snapshot = BackendSnapshot(
        backend=backend, settings=settings, deployment=make_deployment(backend), service=make_service(backend)
    )
    assert len(plan(snapshot, NOW).actions) == 1


def without(fields: Any, *path: str) -> Any:
    """The fields after somebody else has taken one; what is empty then is not written down."""
    name, *rest = path
    (found,) = (field for field in fields if field == name or (name in field and not name.startswith("f:")))
    left = without(fields[found], *rest) if rest else None
    others = {field: value for field, value in fields.items() if field != found}
    return {**others, found: left} if left else others


@pytest.mark.parametrize(
    "path",
    [
        ("f:spec", "f:replicas"),
        ("f:spec", "f:template", "f:spec", "f:containers", "engine", "f:image"),
        ("f:spec", "f:template", "f:spec", "f:containers", "engine", "f:ports", "containerPort"),
        ("f:metadata", "f:labels", "managed-by"),
        ("f:metadata", "f:annotations", "applied"),
    ],
    ids="/".join,
)
def test_what_somebody_changed_on_the_deployment_is_put_right(path: tuple[str, ...]) -> None:
    deployment = make_deployment(make_backend())
    assert applied_kinds(deployment=replace(deployment, applied=without(deployment.applied, *path))) == ["Deployment"]


@pytest.mark.parametrize("path", [("f:spec", "f:ports", '"port"'), ("f:spec", "f:selector", "component")], ids="/".join)
def test_what_somebody_changed_on_the_service_is_put_right(path: tuple[str, ...]) -> None:
    service = make_service(make_backend())
    assert applied_kinds(service=replace(service, applied=without(service.applied, *path))) == ["Service"]


def test_a_child_whose_managed_fields_were_wiped_is_applied_again() -> None:
    assert applied_kinds(deployment=make_deployment(make_backend(), applied={})) == ["Deployment"]


def test_children_of_an_earlier_backend_of_that_name_are_not_taken_for_its_own() -> None:
    backend = make_backend()
    kinds = applied_kinds(
        deployment=make_deployment(backend, owner_uid="uid-of-another"),
        service=make_service(backend, owner_uid="uid-of-another"),
    )
    assert kinds == ["Deployment", "Service"]


@pytest.mark.parametrize("change", [{"replicas": 2}, {"model": {"id": "other"}}])
def test_children_that_are_being_deleted_are_waited_for(change: dict[str, Any]) -> None:
    before = make_backend()
    kinds = applied_kinds(
        backend=make_backend(**change),
        deployment=make_deployment(before, deletion=NOW),
        service=make_service(before, deletion=NOW),
    )
    assert kinds == []


def test_a_backend_that_is_being_deleted_is_left_alone() -> None:
    backend = make_backend(metadata={"deletionTimestamp": "2026-05-01T12:00:00Z"})
    decision = plan(BackendSnapshot(backend=backend, settings=SETTINGS), NOW)
    assert decision.actions == ()
    assert decision.status == backend.status


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_children_are_owned_and_labelled(kind: str) -> None:
    actions = decide(deployment=None, service=None).actions
    body = next(it.body for it in actions if isinstance(it, Apply) and it.body["kind"] == kind)
    metadata = body["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("team", "smol")
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "splai",
        "app.kubernetes.io/component": "engine",
        "splai.dev/modelbackend": "smol",
    }
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "splai.dev/v1alpha1",
            "kind": "ModelBackend",
            "name": "smol",
            "uid": UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_the_service_listens_on_80_whatever_the_engines_port() -> None:
    actions = decide(service=None).actions
    assert isinstance(actions[0], Apply)
    service = actions[0].body
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    assert service["spec"]["selector"].items() <= pod_template()["metadata"]["labels"].items()


def test_the_selector_finds_the_pods_and_does_not_change_with_the_revision() -> None:
    one, two = applied(make_backend()), applied(make_backend(model={"id": "other"}))
    assert one["spec"]["selector"] == two["spec"]["selector"]
    assert one["spec"]["selector"]["matchLabels"].items() <= pod_template()["metadata"]["labels"].items()


def test_the_rollout_is_passed_on() -> None:
    strategy = applied(make_backend(rollout={"maxSurge": "25%", "maxUnavailable": 1}))["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}


@pytest.mark.parametrize(
    ("change", "new_revision"),
    [
        ({"replicas": 3}, False),
        ({"rollout": {"maxSurge": 2}}, False),
        ({"engine": {"args": ["--ctx-size", "1"]}}, True),
        ({"resources": {"gpu": {}}}, True),
        ({"template": {"env": [{"name": "A", "value": "b"}]}}, True),
    ],
)
def test_what_changes_the_pods_is_a_new_revision(change: dict[str, Any], new_revision: bool) -> None:
    def revision(**spec: Any) -> str:
        label: str = pod_template(**spec)["metadata"]["labels"]["splai.dev/revision"]
        return label

    assert (revision(**change) != revision()) is new_revision


def test_pods_get_no_token_and_no_variables_named_after_services() -> None:
    spec = pod_template()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False


def test_the_installations_pull_policy_is_kept() -> None:
    settings = replace(SETTINGS, image_pull_policy="Never")
    deployment = build_deployment(make_backend(), settings)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Never"


def test_a_leaving_pod_serves_on_until_nobody_is_sent_to_it() -> None:
    spec = pod_template()["spec"]
    wait = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < wait < spec["terminationGracePeriodSeconds"]


def test_a_rollout_is_not_given_up_while_a_model_may_still_load() -> None:
    deployment = applied(make_backend())["spec"]
    probe = deployment["template"]["spec"]["containers"][0]["startupProbe"]
    assert deployment["progressDeadlineSeconds"] > probe["periodSeconds"] * probe["failureThreshold"]


def test_the_template_lies_over_the_engine() -> None:
    template = pod_template(
        template={
            "labels": {"team": "a", "splai.dev/modelbackend": "not-mine"},
            "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
            "resources": {"limits": {"nvidia.com/gpu": "2"}},
            "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}],
        },
        resources={"gpu": {}},
    )
    engine = template["spec"]["containers"][0]
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["splai.dev/modelbackend"] == "smol"
    assert template["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert engine["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert engine["env"] == [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}]


def test_the_revision_does_not_depend_on_the_order_of_keys() -> None:
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"b": [2], "a": 1})
