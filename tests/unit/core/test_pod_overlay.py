from typing import Any, ClassVar

import pytest

from splai.api.pod_template import PodTemplate
from splai.core.pod_overlay import overlay_pod, with_default_requests


def make_pod() -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app.kubernetes.io/managed-by": "splai"}},
        "spec": {
            "containers": [
                {
                    "name": "worker",
                    "env": [{"name": "A", "value": "ours"}, {"name": "B", "value": "ours"}],
                    "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "initContainers": [{"name": "engine", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def lay(*templates: dict[str, Any], container: str = "worker") -> dict[str, Any]:
    return overlay_pod(make_pod(), [PodTemplate.model_validate(it) for it in templates], container=container)


def test_no_template_leaves_the_pod_as_it_is() -> None:
    assert overlay_pod(make_pod(), [None], container="worker") == make_pod()


def test_the_pod_that_was_given_is_not_changed() -> None:
    pod = make_pod()
    overlay_pod(pod, [PodTemplate(node_selector={"a": "b"}, env=[])], container="worker")
    assert pod == make_pod()


def test_labels_are_added_but_ours_win() -> None:
    pod = lay({"labels": {"team": "a", "app.kubernetes.io/managed-by": "me"}}, {"labels": {"team": "b"}})
    assert pod["metadata"]["labels"] == {"team": "b", "app.kubernetes.io/managed-by": "splai"}


@pytest.mark.parametrize(
    ("first", "second", "field", "want"),
    [
        ({"nodeSelector": {"a": "1", "b": "1"}}, {"nodeSelector": {"b": "2"}}, "nodeSelector", {"a": "1", "b": "2"}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, "tolerations", [{"key": "a"}, {"key": "b"}]),
        ({"priorityClassName": "low"}, {"priorityClassName": "high"}, "priorityClassName", "high"),
        ({"runtimeClassName": "nvidia"}, {}, "runtimeClassName", "nvidia"),
        (
            {
                "resourceClaims": [
                    {"name": "gpu", "resourceClaimName": "mine"},
                    {"name": "nic", "resourceClaimName": "n"},
                ]
            },
            {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]},
            "resourceClaims",
            [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}, {"name": "nic", "resourceClaimName": "n"}],
        ),
        (
            {"volumes": [{"name": "data", "emptyDir": {}}]},
            {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]},
            "volumes",
            [{"name": "tmp", "emptyDir": {}}, {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}],
        ),
    ],
)
def test_a_later_template_wins(first: dict[str, Any], second: dict[str, Any], field: str, want: object) -> None:
    assert lay(first, second)["spec"][field] == want


def test_env_is_replaced_by_name() -> None:
    worker = lay({"env": [{"name": "B", "value": "theirs"}, {"name": "C", "value": "theirs"}]})["spec"]["containers"][0]
    assert worker["env"] == [
        {"name": "A", "value": "ours"},
        {"name": "B", "value": "theirs"},
        {"name": "C", "value": "theirs"},
    ]


def test_resources_are_replaced_name_by_name_in_the_named_container_only() -> None:
    spec = lay({"resources": {"limits": {"memory": "8Gi"}}}, container="engine")["spec"]
    assert spec["initContainers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1", "memory": "8Gi"}}
    assert spec["containers"] == make_pod()["spec"]["containers"]


@pytest.mark.parametrize(
    ("templates", "want"),
    [
        ([{"claims": [{"name": "gpu"}]}], {"limits": {"nvidia.com/gpu": "1"}, "claims": [{"name": "gpu"}]}),
        (
            [{"claims": [{"name": "gpu"}]}, {"claims": [{"name": "gpu", "request": "big"}, {"name": "nic"}]}],
            {"limits": {"nvidia.com/gpu": "1"}, "claims": [{"name": "gpu", "request": "big"}, {"name": "nic"}]},
        ),
        ([{"limits": {"habana.ai/gaudi": 8}}], {"limits": {"nvidia.com/gpu": "1", "habana.ai/gaudi": 8}}),
        (
            [{"claims": [{"name": "gpu"}]}, {"requests": {"cpu": "1"}}],
            {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "1"}, "claims": [{"name": "gpu"}]},
        ),
    ],
)
def test_devices_of_any_kind_reach_the_container(templates: list[dict[str, Any]], want: dict[str, Any]) -> None:
    spec = lay(*({"resources": resources} for resources in templates), container="engine")["spec"]
    assert spec["initContainers"][0]["resources"] == want


class TestDefaultRequests:
    DEFAULTS: ClassVar = {"cpu": "2", "memory": "6Gi"}

    def asked(self, resources: dict[str, Any], *, container: str = "worker") -> Any:
        pod = make_pod()
        pod["spec"]["containers"][0] |= {"resources": resources}
        made = with_default_requests(pod, self.DEFAULTS, container=container)
        return made["spec"]["containers"][0]["resources"]

    @pytest.mark.parametrize(
        ("resources", "requests"),
        [
            ({}, {"cpu": "2", "memory": "6Gi"}),
            ({"requests": {"cpu": "1"}}, {"cpu": "1", "memory": "6Gi"}),
            ({"limits": {"memory": "1Gi"}}, {"cpu": "2"}),
            ({"requests": {"cpu": "0", "memory": "0"}}, {"cpu": "0", "memory": "0"}),
        ],
        ids=["nothing is said", "a request is", "a limit is, which is the request too", "none is wanted"],
    )
    def test_a_resource_that_somebody_speaks_of_is_left_alone(
        self, resources: dict[str, Any], requests: dict[str, str]
    ) -> None:
        made = self.asked(resources)

        assert made["requests"] == requests
        assert made.get("limits") == resources.get("limits")

    def test_other_containers_are_left_alone(self) -> None:
        assert self.asked({}, container="engine") == {}
