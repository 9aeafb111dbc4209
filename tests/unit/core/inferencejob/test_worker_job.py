from dataclasses import replace
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
    assert build()["spec"]["template"]["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "splai",
        "app.kubernetes.io/component": "worker",
        "splai.dev/inferencejob": "triage",
        "splai.dev/inferencejob-uid": UID,
        "splai.dev/child": "3",
    }
    assert metadata["labels"].items() >= build()["spec"]["template"]["metadata"]["labels"].items()


def test_a_worker_gets_the_installations_variables_and_the_jobs_own_win() -> None:
    settings = replace(SETTINGS, worker_variables={"OTEL_TRACES_SAMPLER": "always_on", "OTEL_BSP_SCHEDULE_DELAY": "9"})
    job = make_job(workers={"template": {"env": [{"name": "OTEL_TRACES_SAMPLER", "value": "always_off"}]}})

    body = build_worker_job(job, None, settings, number=0, parallelism=1, backoff_limit=6)

    variables = env_of(pod_of(body)["containers"][0])
    assert (variables["OTEL_TRACES_SAMPLER"], variables["OTEL_BSP_SCHEDULE_DELAY"]) == ("always_off", "9")


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

    def test_a_remote_backends_adapter_runs_beside_each_worker_with_the_key(self) -> None:
        remote = {"provider": "Gemini", "apiKeySecretRef": {"name": "keys", "key": "gemini"}}
        backend = {"engine": {"type": "Remote"}, "remote": remote}
        pod = pod_of(build(backend=backend, workers={"mode": "Dedicated"}))
        (adapter,) = pod["initContainers"]
        assert adapter["args"][:2] == ["adapter", "serve"]
        assert "keys" in {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        assert not any("keys" in str(container) for container in pod["containers"])

    def test_weights_are_fetched_before_the_engine_starts(self) -> None:
        model = {"id": "llama3-8b-q4", "source": "https://example.org/m.gguf", "cache": {"claimName": "shared"}}
        pod = pod_of(build(backend={"model": model}, workers={"mode": "Dedicated"}))

        fetch, engine = pod["initContainers"]
        assert (fetch["name"], fetch["image"]) == ("fetch-model", "splai/splai:1")
        assert "restartPolicy" not in fetch
        assert engine["name"] == "engine"
        assert pod["securityContext"]["fsGroup"] == 65532

    def test_the_engine_asks_for_what_neither_template_speaks_of(self) -> None:
        (engine,) = self.pod(resources={"limits": {"memory": "512Mi"}})["initContainers"]
        assert engine["resources"]["limits"]["memory"] == "512Mi"
        assert engine["resources"]["requests"] == {"cpu": "100m"}

    def test_the_jobs_template_lies_over_the_backends(self) -> None:
        pod = self.pod(nodeSelector={"zone": "b"}, env=[{"name": "HF_TOKEN", "value": "x"}])
        assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4", "zone": "b"}
        assert "HF_TOKEN" in env_of(pod["initContainers"][0])
        assert "HF_TOKEN" not in env_of(pod["containers"][0])

    def test_it_goes_where_the_backends_gpus_are(self) -> None:
        gpu = {"vendor": "amd", "product": "AMD_Instinct_MI300X_OAM"}
        tolerations = [{"key": "team", "operator": "Exists"}]
        template = {"tolerations": tolerations}
        pod = pod_of(build(backend={"resources": {"gpu": gpu}}, workers={"mode": "Dedicated", "template": template}))
        assert pod["nodeSelector"] == {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}
        assert [it["key"] for it in pod["tolerations"]] == ["amd.com/gpu", "sku", "team"]

    def test_devices_can_be_claimed_for_the_engine(self) -> None:
        pod = self.pod(
            resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "h100"}],
            resources={"claims": [{"name": "gpu"}]},
        )
        assert pod["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": "h100"}]
        assert pod["initContainers"][0]["resources"]["claims"] == [{"name": "gpu"}]

    def test_every_mount_has_its_volume_and_no_name_comes_twice(self) -> None:
        pod = self.pod()
        names = [volume["name"] for volume in pod["volumes"]]
        mounts = {
            it["name"] for group in ("containers", "initContainers") for c in pod[group] for it in c["volumeMounts"]
        }
        assert len(names) == len(set(names))
        assert mounts == set(names)


@pytest.mark.parametrize(
    ("spec", "backend", "want"),
    [
        ({"priority": "interactive"}, {}, "splai-interactive"),
        ({"priority": "batch"}, {}, "splai-batch"),
        ({"priority": "gold"}, {}, "gold"),
        ({"priority": "batch"}, {"priorityClassName": "serving"}, "splai-batch"),
        ({"priority": "batch", "workers": {"template": {"priorityClassName": "own"}}}, {}, "own"),
        ({}, {"priorityClassName": "serving"}, "serving"),
        ({}, {}, None),
    ],
)
def test_the_priority_names_a_priority_class(spec: dict[str, Any], backend: dict[str, Any], want: str | None) -> None:
    workers = {"mode": "Dedicated", **spec.get("workers", {})}
    pod = pod_of(build(backend={"template": backend}, **{**spec, "workers": workers}))
    assert pod.get("priorityClassName") == want


@pytest.mark.parametrize(
    ("template", "engine", "pod"),
    [
        ({"resources": {"limits": {"amd.com/gpu": 4}}}, {"limits": {"amd.com/gpu": 4}}, {}),
        ({"resources": {"limits": {"nvidia.com/mig-1g.10gb": 1}}}, {"limits": {"nvidia.com/mig-1g.10gb": 1}}, {}),
        (
            {
                "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}],
                "resources": {"claims": [{"name": "gpu"}]},
                "runtimeClassName": "nvidia",
            },
            {"claims": [{"name": "gpu"}]},
            {
                "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}],
                "runtimeClassName": "nvidia",
            },
        ),
    ],
)
def test_any_kind_of_gpu_reaches_the_engine_of_a_dedicated_worker(
    template: dict[str, Any], engine: dict[str, Any], pod: dict[str, Any]
) -> None:
    made = pod_of(build(workers={"mode": "Dedicated", "template": template}))
    assert made["initContainers"][0]["resources"].items() >= engine.items()
    assert made.items() >= pod.items()


class TestQueue:
    def build(
        self,
        *,
        parallelism: int = 4,
        labels: dict[str, str] | None = None,
        backend: dict[str, Any] | None = None,
        **workers: Any,
    ) -> dict[str, Any]:
        job = make_job(workers=workers)
        queue = {"kueue.x-k8s.io/queue-name": "gpus", "team": "a"} if labels is None else labels
        queued = job.model_copy(update={"metadata": {**job.metadata, "labels": queue}})
        made = make_backend(**(backend or {}))
        return build_worker_job(queued, made, SETTINGS, number=0, parallelism=parallelism, backoff_limit=6)

    @pytest.mark.parametrize(
        ("labels", "wants_disk"), [(None, False), ({}, True)], ids=["in a queue", "without a queue"]
    )
    def test_an_engine_asks_no_queue_for_a_disk(self, labels: dict[str, str] | None, wants_disk: bool) -> None:
        backend = {"model": {"id": "llama3-8b-q4", "source": "https://example.org/m.gguf"}}
        body = self.build(labels=labels, backend=backend, mode="Dedicated")
        engine = body["spec"]["template"]["spec"]["initContainers"][-1]
        assert ("ephemeral-storage" in engine["resources"]["requests"]) is wants_disk
        assert engine["resources"]["requests"]["memory"] == "1Gi"

    def test_a_queued_job_waits_for_kueue_to_start_it(self) -> None:
        body = self.build()
        assert body["spec"]["suspend"] is True
        assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
        assert body["metadata"]["annotations"] == {"kueue.x-k8s.io/job-completions-equal-parallelism": "true"}

    def test_no_other_label_of_the_users_goes_along(self) -> None:
        assert "team" not in self.build()["metadata"]["labels"]

    def test_its_priority_in_the_queue_goes_along(self) -> None:
        labels = {"kueue.x-k8s.io/queue-name": "gpus", "kueue.x-k8s.io/priority-class": "high"}
        assert self.build(labels=labels)["metadata"]["labels"].items() >= labels.items()

    @pytest.mark.parametrize(
        ("least", "parallelism", "want"), [(2, 4, "2"), (3, 4, "3"), (4, 4, None), (9, 4, None), (1, 1, None)]
    )
    def test_kueue_may_admit_fewer_workers_only_if_they_are_fewer(
        self, least: int, parallelism: int, want: str | None
    ) -> None:
        body = self.build(parallelism=parallelism, minParallelism=least)
        assert body["metadata"]["annotations"].get("kueue.x-k8s.io/job-min-parallelism") == want

    def test_without_a_queue_nothing_is_said_about_kueue(self) -> None:
        body = self.build(labels={"team": "a"}, minParallelism=2)
        assert "suspend" not in body["spec"]
        assert "annotations" not in body["metadata"]
        assert not [name for name in body["metadata"]["labels"] if "kueue" in name]
