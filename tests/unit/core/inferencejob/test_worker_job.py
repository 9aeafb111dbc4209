from typing import Any

import pytest

from splai.core.inferencejob.worker_job import build_worker_job
from tests.unit.core.builders import SETTINGS, UID, make_backend, make_job
from tests.unit.core.inferencejob.child_pods import env_of, pod_of

GPU = {"gpu": {"vendor": "nvidia", "count": 2}}


def build(*, backend: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return build_worker_job(
        make_job(**spec), make_backend(**(backend or {})), SETTINGS, number=3, parallelism=4, backoff_limit=6
    )


def test_the_job_is_indexed_with_a_seat_for_every_worker() -> None:
    body = build()
    assert body["metadata"]["name"] == "triage-3"
    assert {field: body["spec"][field] for field in ("completionMode", "completions", "parallelism")} == {
        "completionMode": "Indexed",
        "completions": 4,
        "parallelism": 4,
    }
    assert body["spec"]["podReplacementPolicy"] == "Failed"
    assert body["spec"]["backoffLimit"] == 6


def test_failures_of_pods_are_told_apart() -> None:
    rules = build()["spec"]["podFailurePolicy"]["rules"]
    assert [(it["action"], it.get("onExitCodes", {}).get("values")) for it in rules] == [
        ("Ignore", None),
        ("FailJob", [42]),
        ("Ignore", [143]),
    ]
    assert rules[0]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]


def test_children_belong_to_their_job_and_are_found_by_labels() -> None:
    metadata = build()["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("InferenceJob", UID, True)
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "splai",
        "app.kubernetes.io/component": "worker",
        "splai.dev/inferencejob": "triage",
        "splai.dev/inferencejob-uid": UID,
        "splai.dev/child": "3",
    }
    assert build()["spec"]["template"]["metadata"]["labels"] == metadata["labels"]


def test_a_worker_knows_its_folder_and_holds_a_token_for_nothing_else() -> None:
    pod = pod_of(build())
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    (token,) = pod["volumes"][0]["projected"]["sources"]
    assert token["serviceAccountToken"]["audience"] == f"splai-artifacts/{UID}"
    worker = pod["containers"][0]
    assert worker["volumeMounts"][0] == {
        "name": pod["volumes"][0]["name"],
        "mountPath": "/var/run/secrets/splai",
        "readOnly": True,
    }
    assert env_of(worker) == {
        "SPLAI_ARTIFACTS_URL": SETTINGS.artifacts_url,
        "SPLAI_ARTIFACTS_TOKEN_FILE": "/var/run/secrets/splai/token",
        "SPLAI_JOB_NAMESPACE": "team",
        "SPLAI_JOB_UID": UID,
        "SPLAI_CHILD_JOB": "triage-3",
        "SPLAI_POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "SPLAI_POD_UID": {"fieldRef": {"fieldPath": "metadata.uid"}},
    }


@pytest.mark.parametrize("mode", ["Shared", "Dedicated"])
def test_pods_meet_pod_security_restricted(mode: str) -> None:
    pod = pod_of(build(workers={"mode": mode}))
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
    assert pod["containers"][0]["securityContext"]["runAsUser"] == 65532
    assert pod["restartPolicy"] == "Never"


def test_shared_workers_run_no_engine_and_take_the_template_themselves() -> None:
    pod = pod_of(
        build(
            backend={"resources": GPU},
            workers={"template": {"nodeSelector": {"pool": "cpu"}, "resources": {"limits": {"memory": "1Gi"}}}},
        )
    )
    assert "initContainers" not in pod
    assert pod["nodeSelector"] == {"pool": "cpu"}
    assert pod["containers"][0]["resources"] == {
        "limits": {"memory": "1Gi"},
        "requests": {"cpu": "50m", "memory": "128Mi"},
    }


class TestDedicated:
    def pod(self, **template: Any) -> dict[str, Any]:
        backend = {
            "resources": GPU,
            "template": {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4", "zone": "a"}},
        }
        return pod_of(build(backend=backend, workers={"mode": "Dedicated", "template": template}))

    def test_the_engine_is_a_native_sidecar_with_the_gpus(self) -> None:
        (engine,) = self.pod()["initContainers"]
        assert engine["restartPolicy"] == "Always"
        assert engine["image"] == "splai/llamacpp:1"
        assert engine["resources"]["limits"] == {"nvidia.com/gpu": "2"}
        assert "startupProbe" in engine

    def test_the_jobs_template_lies_over_the_backends(self) -> None:
        pod = self.pod(nodeSelector={"zone": "b"}, env=[{"name": "HF_TOKEN", "value": "x"}])
        assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4", "zone": "b"}
        assert "HF_TOKEN" in env_of(pod["initContainers"][0])
        assert "HF_TOKEN" not in env_of(pod["containers"][0])

    def test_every_mount_has_its_volume_and_no_name_comes_twice(self) -> None:
        pod = self.pod()
        names = [volume["name"] for volume in pod["volumes"]]
        mounts = {
            it["name"] for group in ("containers", "initContainers") for c in pod[group] for it in c["volumeMounts"]
        }
        assert len(names) == len(set(names))
        assert mounts == set(names)
