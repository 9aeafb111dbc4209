from dataclasses import replace
from typing import Any

import pytest

from splai.core.inferencejob.plan_job import build_plan_job
from tests.unit.core.builders import SETTINGS, UID, make_job
from tests.unit.core.inferencejob.child_pods import env_of, pod_of, volume_of

S3 = {"s3": {"uri": "s3://bucket/questions.jsonl"}}


def build(source: dict[str, Any] = S3, *, earlier_uid: str | None = None, **spec: Any) -> dict[str, Any]:
    return build_plan_job(make_job(input=source, **spec), SETTINGS, earlier_uid=earlier_uid)


def test_it_reads_the_source_once_without_an_engine() -> None:
    body = build(workers={"mode": "Dedicated"})
    assert body["metadata"]["name"] == "triage-plan"
    assert body["metadata"]["labels"]["app.kubernetes.io/component"] == "plan"
    assert body["metadata"]["labels"]["splai.dev/child"] == "plan"
    assert "completionMode" not in body["spec"]
    assert pod_of(body).keys() & {"initContainers"} == set()
    assert pod_of(body)["containers"][0]["args"] == ["worker", "plan"]


def test_a_bad_input_is_told_from_a_source_that_is_away() -> None:
    spec = build()["spec"]
    actions = {tuple(it["onExitCodes"]["values"]): it["action"] for it in spec["podFailurePolicy"]["rules"][1:]}
    assert actions == {(42,): "FailJob", (143,): "Ignore"}
    assert spec["backoffLimit"] == 6


def test_it_knows_its_folder_and_itself() -> None:
    env = env_of(pod_of(build())["containers"][0])
    assert env["SPLAI_CHILD_JOB"] == "triage-plan"
    assert env["SPLAI_JOB_UID"] == UID
    assert env["SPLAI_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


@pytest.mark.parametrize(
    "source",
    [
        {"s3": {"uri": "s3://bucket/questions.jsonl", "secretRef": {"name": "keys"}}},
        {"http": {"url": "https://example.com/questions.csv", "secretRef": {"name": "keys"}}},
        {"huggingFace": {"dataset": "team/questions", "secretRef": {"name": "keys"}}},
    ],
)
def test_the_sources_secret_reaches_it_through_the_kubelet(source: dict[str, Any]) -> None:
    (container,) = pod_of(build(source))["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]


def test_the_destinations_secret_does_not_reach_it() -> None:
    output = {"s3": {"uri": "s3://bucket/answers", "secretRef": {"name": "keys"}}}
    assert "envFrom" not in pod_of(build(output=output))["containers"][0]


@pytest.mark.parametrize(("allowed", "value"), [(True, "true"), (False, "false")])
def test_the_administrator_says_where_urls_may_lead_and_no_secret_can(allowed: bool, value: str) -> None:
    settings = replace(SETTINGS, allow_private_urls=allowed)
    (container,) = pod_of(build_plan_job(make_job(input=S3), settings))["containers"]
    assert env_of(container)["SPLAI_ALLOW_PRIVATE_URLS"] == value


def test_a_volume_of_the_users_is_only_read() -> None:
    source = {"persistentVolumeClaim": {"claimName": "questions", "path": "today.csv"}}
    volume = volume_of(pod_of(build(source)), "/input")
    assert volume["persistentVolumeClaim"] == {"claimName": "questions", "readOnly": True}
    assert volume["mount"] == {"readOnly": True}


PROXY = {"name": "HTTPS_PROXY", "value": "http://proxy.corp.example:3128"}
CERTIFICATES = {"name": "certificates", "configMap": {"name": "corporate-ca"}}


@pytest.mark.parametrize("mode", ["Shared", "Dedicated"])
def test_it_has_the_proxy_and_the_certificates_of_the_template(mode: str) -> None:
    mount = {"name": "certificates", "mountPath": "/certificates", "readOnly": True}
    template = {"env": [PROXY], "volumes": [CERTIFICATES], "volumeMounts": [mount]}
    pod = pod_of(build(workers={"mode": mode, "template": template}))
    assert env_of(pod["containers"][0])["HTTPS_PROXY"] == "http://proxy.corp.example:3128"
    assert volume_of(pod, "/certificates") == {**CERTIFICATES, "mount": {"readOnly": True}}


def test_no_claim_ties_it_to_a_node_and_no_mount_lacks_its_volume() -> None:
    claim = {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}
    mounts = [{"name": "models", "mountPath": "/models"}, {"name": "of-the-backend", "mountPath": "/cache"}]
    pod = pod_of(build(workers={"mode": "Dedicated", "template": {"volumes": [claim], "volumeMounts": mounts}}))
    assert pod["volumes"] == pod_of(build())["volumes"]
    assert pod["containers"][0]["volumeMounts"] == pod_of(build())["containers"][0]["volumeMounts"]


def test_a_template_takes_the_place_of_nothing_that_it_has_of_its_own() -> None:
    source = {"persistentVolumeClaim": {"claimName": "questions", "path": "today.csv"}}
    env = [{"name": "SPLAI_ALLOW_PRIVATE_URLS", "value": "true"}, {"name": "SPLAI_ARTIFACTS_URL", "value": "http://x"}]
    volumes = [{"name": "splai-token", "emptyDir": {}}, {"name": "other", "emptyDir": {}}]
    mounts = [{"name": "other", "mountPath": path} for path in ("/input", "/tmp", "/var/run/secrets/splai")]
    template = {"env": env, "volumes": volumes, "volumeMounts": mounts}
    seen, want = (pod_of(build(source, workers={"template": it})) for it in (template, {}))
    assert seen["containers"] == want["containers"]
    assert [it for it in seen["volumes"] if it["name"] != "other"] == want["volumes"]


@pytest.mark.parametrize("name", ["HF_TOKEN", "AUTHORIZATION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_an_engines_credential_is_not_sent_to_the_source(name: str) -> None:
    variable = {"name": name, "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
    pod = pod_of(build(workers={"mode": "Dedicated", "template": {"env": [variable, PROXY]}}))
    assert name not in env_of(pod["containers"][0])


def test_the_folder_of_an_earlier_job_is_opened_by_a_token_of_its_own() -> None:
    pod = pod_of(build({"failedOf": {"name": "yesterday"}}, earlier_uid="uid-of-yesterday"))
    tokens = [it["serviceAccountToken"] for it in pod["volumes"][0]["projected"]["sources"]]
    assert [(it["path"], it["audience"]) for it in tokens] == [
        ("token", f"splai-artifacts/{UID}"),
        ("earlier-token", "splai-artifacts/uid-of-yesterday"),
    ]
    env = env_of(pod["containers"][0])
    assert env["SPLAI_EARLIER_TOKEN_FILE"] == "/var/run/secrets/splai/earlier-token"
    assert env["SPLAI_EARLIER_UID"] == "uid-of-yesterday"


def test_any_other_job_has_only_its_own_token() -> None:
    pod = pod_of(build())
    assert len(pod["volumes"][0]["projected"]["sources"]) == 1
    assert "SPLAI_EARLIER_TOKEN_FILE" not in env_of(pod["containers"][0])


def test_no_queue_holds_it_back() -> None:
    job = make_job(input=S3)
    labelled = job.model_copy(update={"metadata": {**job.metadata, "labels": {"kueue.x-k8s.io/queue-name": "gpus"}}})
    body = build_plan_job(labelled, SETTINGS)
    assert "suspend" not in body["spec"]
    assert "kueue.x-k8s.io/queue-name" not in body["metadata"]["labels"]


def test_it_needs_no_gpu_and_none_of_the_nodes_that_have_them() -> None:
    template = {
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "serviceAccountName": "reader",
    }
    pod = pod_of(build(workers={"mode": "Dedicated", "template": template}))
    assert "nodeSelector" not in pod
    assert pod["containers"][0]["resources"].keys() == {"requests"}
    assert pod["serviceAccountName"] == "reader"


def test_it_waits_for_a_node_as_the_jobs_priority_says() -> None:
    assert pod_of(build(priority="batch"))["priorityClassName"] == "splai-batch"
    template = {"priorityClassName": "own"}
    assert pod_of(build(priority="batch", workers={"template": template}))["priorityClassName"] == "own"
