"""The custom resources as a real apiserver takes them: what it refuses and with which words, and what it fills in.

The operator never meets an object that is refused here, so each rule has a case that breaks it and one that keeps it.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from splai.api.crd import RESOURCES, object_schema
from tests.integration.running_control_plane import KubectlError, RunningControlPlane

JOB: dict[str, Any] = {"model": "m", "input": {"text": "hello"}}
BACKEND: dict[str, Any] = {"model": {"id": "m"}}
LONG = "a" * 53


def manifest(kind: str, spec: dict[str, Any] | None, *, name: str = "a", **fields: Any) -> dict[str, Any]:
    body = {"apiVersion": "splai.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, **fields}
    return body if spec is None else {**body, "spec": spec}


def job(name: str = "a", **spec: Any) -> dict[str, Any]:
    return manifest("InferenceJob", JOB | spec, name=name)


def backend(name: str = "a", **spec: Any) -> dict[str, Any]:
    return manifest("ModelBackend", BACKEND | spec, name=name)


def source(engine: str, url: str | None, **more: Any) -> dict[str, Any]:
    return backend(model={"id": "m", **({"source": url} if url else {})}, engine={"type": engine, **more})


def worker_template(**template: Any) -> dict[str, Any]:
    return job(workers={"template": template})


def env_from(**value_from: Any) -> dict[str, Any]:
    return worker_template(env=[{"name": "A", "valueFrom": value_from}])


def volume(**kinds: Any) -> dict[str, Any]:
    return worker_template(volumes=[{"name": "v", **kinds}])


KEY = {"name": "n", "key": "k"}

# (the manifest, what the apiserver says about it)
ONE_SOURCE = "set exactly one of text, items, configMap, persistentVolumeClaim, s3, http, huggingFace, failedOf"
REFUSED: list[tuple[dict[str, Any], str]] = [
    (job(name=LONG), "the name must have at most 52 characters"),
    (job(name="1st"), "the name must be a DNS-1035 label: it becomes part of the child Jobs' names"),
    (job(name="a.b"), "the name must be a DNS-1035 label: it becomes part of the child Jobs' names"),
    (backend(name=LONG), "the name must have at most 52 characters"),
    (backend(name="llama3.1"), "the name must be a DNS-1035 label: it becomes the Service's name"),
    (manifest("InferenceJob", None), "spec: Required value"),
    (manifest("ModelBackend", None), "spec: Required value"),
    (manifest("InferenceJob", {"model": "m"}), "spec.input: Required value"),
    (job(workrs={}), 'unknown field "spec.workrs"'),
    (job(workers={"template": {"nodeSelectr": {}}}), 'unknown field "spec.workers.template.nodeSelectr"'),
    (manifest("InferenceJob", {"input": {"text": "t"}}), "set model, backendRef or a policy that has a model"),
    (job(backendRef={"name": "b"}), "set at most one of model and backendRef"),
    (job(input={}), ONE_SOURCE),
    (job(input={"text": "t", "items": ["u"]}), ONE_SOURCE),
    (job(input={"text": "t", "configMap": KEY}), ONE_SOURCE),
    (job(type="embedding", prompt={"system": "s"}), "prompt.system belongs to the types chat and response"),
    (job(type="translate"), 'Unsupported value: "translate"'),
    (job(parameters=5), "spec.parameters in body must be of type object"),
    (job(workers={"parallelism": 0}), "should be greater than or equal to 1"),
    (job(workers={"parallelism": 1001}), "should be less than or equal to 1000"),
    (job(retry={"initialBackoff": "soon"}), "spec.retry.initialBackoff in body should match"),
    (env_from(), "set one of secretKeyRef and configMapKeyRef"),
    (env_from(secretKeyRef=KEY, configMapKeyRef=KEY), "set one of secretKeyRef and configMapKeyRef"),
    (volume(), "set exactly one of configMap, secret, emptyDir, persistentVolumeClaim"),
    (
        volume(emptyDir={}, secret={"secretName": "s"}),
        "set exactly one of configMap, secret, emptyDir, persistentVolumeClaim",
    ),
    (volume(hostPath={"path": "/"}), 'unknown field "spec.workers.template.volumes[0].hostPath"'),
    (worker_template(env=[{"name": "A"}, {"name": "A"}]), 'Duplicate value: {"name":"A"}'),
    (source("LlamaCpp", "s3://bucket/m"), "source must read hf://owner/name, file:///path or pvc://claim/path"),
    (source("vLLM", "hf://only-a-name"), "source must read hf://owner/name, file:///path or pvc://claim/path"),
    (source("vLLM", None), "engine type vLLM needs model.source: its image carries no model"),
    (
        source("LlamaCpp", "hf://owner/name"),
        "engine type LlamaCpp loads one GGUF file: model.source must be file:///path or pvc://claim/path",
    ),
    (
        source("LlamaCpp", "pvc://claim"),
        "engine type LlamaCpp loads one GGUF file: model.source must be file:///path or pvc://claim/path",
    ),
    (
        source("Custom", "hf://owner/name", image="i"),
        "engine type Custom takes no model.source but pvc://claim: name the model in engine.args",
    ),
    (
        source("Custom", "pvc://claim/a-path-that-nobody-reads", image="i"),
        "engine type Custom takes no model.source but pvc://claim: name the model in engine.args",
    ),
    (source("Custom", None), "engine type Custom needs an image"),
    (backend(engine={"command": ["x"]}), "command belongs to engine type Custom; use args"),
    (backend(engine={"port": 9000}), "port belongs to engine type Custom"),
    (backend(engine={"healthPath": "/"}), "healthPath belongs to engine type Custom"),
    (
        backend(resources={"gpu": {"vendor": "amd", "profile": "mig-1g.10gb"}}),
        "profile names a MIG slice: vendor must be nvidia",
    ),
    (backend(resources={"memory": "lots"}), "spec.resources.memory in body should match"),
    (backend(resources={"memory": "4Gim"}), "spec.resources.memory in body should match"),
    (backend(resources={"cpu": "-1"}), "spec.resources.cpu in body should match"),
    (backend(resources={"cpu": -1}), "should be greater than or equal to 0"),
    (
        backend(rollout={"maxSurge": 0}),
        "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
    ),
    (
        backend(rollout={"maxSurge": "0%", "maxUnavailable": "0%"}),
        "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced",
    ),
    (backend(rollout={"maxSurge": -1}), "should be greater than or equal to 0"),
    (backend(model={"id": "m", "aliases": ["n", "n"]}), 'Duplicate value: "n"'),
]

TAKEN: list[dict[str, Any]] = [
    job(name="a" * 52),
    job(name="a-1"),
    backend(name="a" * 52),
    manifest("InferenceJob", {"backendRef": {"name": "b"}, "input": {"text": "t"}}),
    job(input={"items": ["a string", {"an": "object", "with": [{"more": 1}]}]}),
    job(input={"configMap": KEY}),
    job(prompt={"system": "s", "template": "{{ text }}"}),
    job(type="llm_inference", prompt={"system": "s"}),
    job(type="embedding", prompt={"template": "{{ text }}"}),
    job(parameters={"max_tokens": 64, "stop": ["\n"], "response_format": {"type": "json_object"}}),
    job(retry={"initialBackoff": "500ms", "maxBackoff": "1m30s"}),
    env_from(secretKeyRef=KEY),
    env_from(configMapKeyRef=KEY),
    volume(configMap={"name": "c"}),
    volume(secret={"secretName": "s"}),
    volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"}),
    volume(persistentVolumeClaim={"claimName": "c"}),
    source("LlamaCpp", None),
    source("LlamaCpp", "file:///models/a.gguf"),
    source("LlamaCpp", "pvc://weights/a.gguf"),
    source("vLLM", "hf://Qwen/Qwen3-0.6B"),
    source("vLLM", "pvc://weights"),
    source("Custom", None, image="i", command=["serve"], port=9000, healthPath="/ready"),
    source("Custom", "pvc://weights", image="i"),
    backend(resources={"gpu": {"profile": "mig-1g.10gb"}, "cpu": 2, "memory": "4Gi"}),
    backend(resources={"cpu": "250m", "memory": "1.5Gi"}),
    backend(resources={"cpu": ".5", "memory": "2e9"}),
    backend(rollout={"maxSurge": 0, "maxUnavailable": 1}),
    backend(rollout={"maxSurge": "25%", "maxUnavailable": 0}),
]

FULL_JOB = job(
    input={"items": ["a", {"b": {"c": 1}}]},
    prompt={"template": "{{ text }}"},
    parameters={"max_tokens": 8, "stop": [{"x": 1}]},
    workers={"template": {"nodeSelector": {"gpu": "l4"}}},
)["spec"]

# (what is changed in FULL_JOB, what the apiserver says about it)
FROZEN: list[tuple[dict[str, Any], str]] = [
    ({"type": "completion"}, "type is immutable"),
    ({"model": "other"}, "model is immutable"),
    ({"model": None, "backendRef": {"name": "b"}}, "backendRef is immutable"),
    ({"input": {"items": ["b", {"b": {"c": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"c": 2}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"z": {"c": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"z": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"c": 1, "z": 1}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {}}]}}, "input is immutable"),
    ({"input": {"items": ["a", {}]}}, "input is immutable"),
    ({"input": {"items": ["a", {"b": {"c": 1}, "d": None}]}}, "input is immutable"),
    ({"input": {"items": ["a"]}}, "input is immutable"),
    ({"input": {"text": "a"}}, "input is immutable"),
    ({"input": {"configMap": KEY}}, "input is immutable"),
    ({"input": FULL_JOB["input"] | {"format": "jsonl"}}, "input is immutable"),
    ({"prompt": {"template": "{{ other }}"}}, "prompt is immutable"),
    ({"prompt": None}, "prompt is immutable"),
    ({"parameters": {"max_tokens": 9, "stop": [{"x": 1}]}}, "parameters are immutable"),
    ({"parameters": {"max_tokens": 8, "stop": [{"y": 1}]}}, "parameters are immutable"),
    ({"parameters": {"max_tokens": 8, "stop": [{"x": 1, "y": 1}]}}, "parameters are immutable"),
    ({"parameters": {"renamed": 8, "stop": [{"x": 1}]}}, "parameters are immutable"),
    ({"parameters": {}}, "parameters are immutable"),
    ({"workers": FULL_JOB["workers"] | {"mode": "Dedicated"}}, "workers.mode is immutable"),
    ({"workers": FULL_JOB["workers"] | {"concurrency": 1}}, "workers.concurrency is immutable"),
    (
        {"workers": {"template": {"nodeSelector": {"gpu": "a100"}}}},
        "workers.template is immutable unless the job is suspended",
    ),
    ({"workers": {}}, "workers.template is immutable unless the job is suspended"),
    ({"retry": {"maxAttempts": 1}}, "retry is immutable"),
    ({"requestTimeoutSeconds": 1}, "requestTimeoutSeconds is immutable"),
    ({"backoffLimit": 1}, "backoffLimit is immutable"),
]


def name_of(case: object) -> str | None:
    """Test ids: the words of the refusal, else the manifest."""
    return json.dumps(case.get("spec", case))[:100] if isinstance(case, dict) else None


class Cluster:
    """kubectl in one namespace."""

    def __init__(self, control_plane: RunningControlPlane, namespace: str) -> None:
        self.kubectl = control_plane.kubectl
        self.namespace = namespace

    def send(self, verb: str, body: dict[str, Any], *options: str) -> dict[str, Any]:
        answer = self.kubectl(verb, "-n", self.namespace, "-f", "-", "-o", "json", *options, input=json.dumps(body))
        sent: dict[str, Any] = json.loads(answer)
        return sent

    def try_out(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create without keeping: everything but the write itself happens."""
        return self.send("create", body, "--dry-run=server")


@pytest.fixture(scope="module")
def cluster(control_plane: RunningControlPlane) -> Iterator[Cluster]:
    control_plane.kubectl("create", "namespace", "crds")
    yield Cluster(control_plane, "crds")
    control_plane.kubectl("delete", "namespace", "crds", "--wait=false")


@pytest.fixture(scope="module")
def running_job(cluster: Cluster) -> dict[str, Any]:
    """A job in the cluster, whose spec some tests try to change."""
    return cluster.send("create", manifest("InferenceJob", FULL_JOB, name="running"))


@pytest.mark.parametrize(("body", "words"), REFUSED, ids=name_of)
def test_what_cannot_work_is_refused_with_words_that_help(cluster: Cluster, body: dict[str, Any], words: str) -> None:
    with pytest.raises(KubectlError) as refused:
        cluster.try_out(body)
    assert words in str(refused.value)


@pytest.mark.parametrize("body", TAKEN, ids=name_of)
def test_what_works_is_taken(cluster: Cluster, body: dict[str, Any]) -> None:
    taken = cluster.try_out(body)["spec"]
    for field, value in body["spec"].items():
        assert contains(taken[field], value)


@pytest.mark.parametrize(("change", "words"), FROZEN, ids=name_of)
def test_what_the_work_was_planned_from_cannot_change(
    cluster: Cluster, running_job: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    spec = {field: value for field, value in (FULL_JOB | change).items() if value is not None}
    with pytest.raises(KubectlError) as refused:
        cluster.send("replace", running_job | {"spec": spec}, "--dry-run=server")
    assert words in str(refused.value)


@pytest.mark.parametrize("change", [{}, {"workers": FULL_JOB["workers"] | {"parallelism": 7}}, {"cancel": True}])
def test_parallelism_and_cancel_may_change(
    cluster: Cluster, running_job: dict[str, Any], change: dict[str, Any]
) -> None:
    changed = cluster.send("replace", running_job | {"spec": FULL_JOB | change}, "--dry-run=server")
    assert contains(changed["spec"], change)


def test_a_cancelled_job_stays_cancelled(cluster: Cluster) -> None:
    cancelled = cluster.send("create", job(name="cancelled", cancel=True))
    with pytest.raises(KubectlError, match="cancel is one-way"):
        cluster.send("replace", cancelled | {"spec": JOB | {"cancel": False}}, "--dry-run=server")


def test_every_rule_of_the_models_has_a_case_here() -> None:
    asserted = {words for _, words in (*REFUSED, *FROZEN)} | {"cancel is one-way"}
    messages = {message for resource in RESOURCES for message in rule_messages(object_schema(resource.model))}
    assert messages
    assert messages <= asserted


def test_a_job_is_filled_in_with_what_it_left_out(cluster: Cluster) -> None:
    made = cluster.try_out(job())
    assert made["spec"] == {
        "type": "chat",
        "model": "m",
        "input": {"text": "hello", "format": "auto"},
        "parameters": {},
        "workers": {"mode": "Shared", "parallelism": 1, "concurrency": 16},
        "retry": {"maxAttempts": 3, "initialBackoff": "1s", "maxBackoff": "60s"},
        "requestTimeoutSeconds": 600,
        "backoffLimit": 6,
        "cancel": False,
    }


def test_a_backend_is_filled_in_with_what_it_left_out(cluster: Cluster) -> None:
    made = cluster.try_out(backend())
    assert made["spec"] == {
        "model": {"id": "m", "aliases": []},
        "engine": {"type": "LlamaCpp", "args": []},
        "resources": {},
        "replicas": 1,
        "rollout": {"maxSurge": 1, "maxUnavailable": 0},
    }


@pytest.mark.parametrize("body", [job(), backend()], ids=["InferenceJob", "ModelBackend"])
def test_a_status_that_nobody_wrote_yet_says_so(cluster: Cluster, body: dict[str, Any]) -> None:
    assert cluster.try_out(body)["status"] == {"observedGeneration": -1}


def test_a_user_cannot_write_the_status_by_the_way(cluster: Cluster) -> None:
    made = cluster.try_out(job() | {"status": {"phase": "Completed"}})
    assert "phase" not in made["status"]


def test_a_backend_can_be_scaled(cluster: Cluster) -> None:
    cluster.send("create", backend(name="scaled"))
    cluster.kubectl("scale", "-n", cluster.namespace, "modelbackend/scaled", "--replicas=3")
    replicas = cluster.kubectl("get", "-n", cluster.namespace, "mb", "scaled", "-o", "jsonpath={.spec.replicas}")
    assert replicas == "3"


def set_status(cluster: Cluster, resource: str, name: str, **status: Any) -> None:
    patch = json.dumps({"status": status})
    where = ("-n", cluster.namespace, resource, name)
    cluster.kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", patch)


def test_jobs_are_listed_with_what_one_wants_to_know_at_first_sight(
    cluster: Cluster, running_job: dict[str, Any]
) -> None:
    name = running_job["metadata"]["name"]
    counts = {"succeeded": 3, "failed": 1, "total": 8, "progressPercent": 50}
    set_status(cluster, "ij", name, phase="Running", backend="smol", **counts)
    header, row = cluster.kubectl("get", "-n", cluster.namespace, "ij", name).splitlines()
    assert header.split() == ["NAME", "PHASE", "MODEL", "BACKEND", "DONE", "FAILED", "TOTAL", "PERCENT", "AGE"]
    assert row.split()[:-1] == [name, "Running", "m", "smol", "3", "1", "8", "50"]


def test_backends_are_listed_with_why_they_are_not_ready(cluster: Cluster) -> None:
    cluster.send("create", backend(name="listed", replicas=2))
    times = {"lastTransitionTime": "2026-05-01T12:00:00Z"}
    condition = {"type": "Ready", "status": "False", "reason": "Unschedulable", "message": "no GPU", **times}
    set_status(cluster, "mb", "listed", conditions=[condition], readyReplicas=0)
    header, row = cluster.kubectl("get", "-n", cluster.namespace, "mb", "listed").splitlines()
    assert header.split() == ["NAME", "MODEL", "ENGINE", "READY", "REASON", "REPLICAS", "ANSWERING", "AGE"]
    assert row.split()[:-1] == ["listed", "m", "LlamaCpp", "False", "Unschedulable", "2", "0"]


def test_the_category_lists_both_kinds(cluster: Cluster, running_job: dict[str, Any]) -> None:
    cluster.send("create", backend(name="of-the-category"))
    listed = cluster.kubectl("get", "splai", "-n", cluster.namespace, "-o", "name").split()
    assert f"inferencejob.splai.dev/{running_job['metadata']['name']}" in listed
    assert "modelbackend.splai.dev/of-the-category" in listed


def test_explain_explains(cluster: Cluster) -> None:
    explained = " ".join(cluster.kubectl("explain", "inferencejob.spec.workers").split())
    assert "parallelism <integer> Worker pods at once." in explained
    assert "enum: Shared, Dedicated" in explained


def contains(whole: Any, part: Any) -> bool:
    """Everything in ``part`` is in ``whole``, which may hold defaults beside it."""
    if isinstance(part, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(contains(*pair) for pair in zip(whole, part, strict=True))
    return bool(whole == part)


def rule_messages(schema: dict[str, Any]) -> Iterator[str]:
    yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
    for inner in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from rule_messages(inner)
