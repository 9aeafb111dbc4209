from typing import Any

import pytest

from splai.core.inferencejob.finish_job import build_finish_job
from tests.unit.core.builders import SETTINGS, make_job
from tests.unit.core.inferencejob.child_pods import env_of, pod_of, volume_of


def build(**spec: Any) -> dict[str, Any]:
    return build_finish_job(make_job(**spec), SETTINGS, code="batch_cancelled", message="canceled")


def test_it_runs_once_without_an_engine() -> None:
    body = build(workers={"mode": "Dedicated"})
    assert body["metadata"]["name"] == "triage-finish"
    assert body["metadata"]["labels"]["app.kubernetes.io/component"] == "finish"
    assert "completionMode" not in body["spec"]
    assert "initContainers" not in pod_of(body)
    assert pod_of(body)["containers"][0]["args"] == ["worker", "finish"]


def test_a_drained_node_costs_no_try_and_a_place_that_cannot_be_costs_only_one() -> None:
    spec = build()["spec"]
    actions = {tuple(it["onExitCodes"]["values"]): it["action"] for it in spec["podFailurePolicy"]["rules"][1:]}
    assert actions == {(42,): "FailJob", (143,): "Ignore"}
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (6, "Failed")


def test_it_is_told_what_to_write_for_records_without_an_answer() -> None:
    env = env_of(pod_of(build())["containers"][0])
    assert (env["SPLAI_CLOSING_CODE"], env["SPLAI_CLOSING_MESSAGE"]) == ("batch_cancelled", "canceled")


def test_it_needs_no_gpu_and_none_of_the_nodes_that_have_them() -> None:
    template = {
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
        "runtimeClassName": "nvidia",
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}],
        "resources": {"limits": {"nvidia.com/gpu": 1}, "claims": [{"name": "gpu"}]},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
    }
    pod = pod_of(build(workers={"mode": "Dedicated", "template": template}))
    assert pod.keys() & {"nodeSelector", "runtimeClassName", "resourceClaims"} == set()
    assert pod["containers"][0]["resources"].keys() == {"requests"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]


def test_it_has_the_proxy_and_the_certificates_of_the_template() -> None:
    template = {
        "env": [{"name": "SSL_CERT_FILE", "value": "/certificates/ca.crt"}],
        "volumes": [{"name": "certificates", "configMap": {"name": "corporate-ca"}}],
        "volumeMounts": [{"name": "certificates", "mountPath": "/certificates"}],
    }
    pod = pod_of(build(workers={"template": template}))
    assert env_of(pod["containers"][0])["SSL_CERT_FILE"] == "/certificates/ca.crt"
    assert volume_of(pod, "/certificates")["configMap"] == {"name": "corporate-ca"}


@pytest.mark.parametrize(
    "destination",
    [
        {"s3": {"uri": "s3://bucket/answers", "secretRef": {"name": "keys"}}},
        {"gcs": {"uri": "gs://bucket/answers", "secretRef": {"name": "keys"}}},
        {"azure": {"uri": "az://account/container", "secretRef": {"name": "keys"}}},
    ],
)
def test_the_destinations_secret_reaches_it_through_the_kubelet(destination: dict[str, Any]) -> None:
    (container,) = pod_of(build(output=destination))["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]


@pytest.mark.parametrize("output", [{}, {"s3": {"uri": "s3://bucket"}}, {"format": "parquet"}])
def test_without_a_secret_it_has_the_identity_of_its_service_account(output: dict[str, Any]) -> None:
    pod = pod_of(build(output=output, workers={"template": {"serviceAccountName": "writer"}}))
    assert "envFrom" not in pod["containers"][0]
    assert pod["serviceAccountName"] == "writer"


def test_a_volume_of_the_users_can_be_written() -> None:
    pod = pod_of(build(output={"persistentVolumeClaim": {"claimName": "answers", "path": "today"}}))
    volume = volume_of(pod, "/output")
    assert volume["persistentVolumeClaim"] == {"claimName": "answers"}
    assert volume["mount"] == {}
    assert pod["securityContext"]["fsGroup"] == 65532


def test_without_such_a_volume_nothing_is_asked_of_the_cluster_about_groups() -> None:
    assert "fsGroup" not in pod_of(build())["securityContext"]


def test_it_waits_for_a_node_as_the_jobs_priority_says() -> None:
    assert pod_of(build(priority="batch"))["priorityClassName"] == "splai-batch"
    template = {"priorityClassName": "own"}
    assert pod_of(build(priority="batch", workers={"template": template}))["priorityClassName"] == "own"
