"""One row for each way in which a pod fails, as a kubelet, a scheduler or a controller reports it.

The statuses and Events are in the words of kubelet 1.36 and containerd, cut to what they would hold.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from splai.api.base import format_time
from splai.core.conditions import find_condition
from splai.core.modelbackend.deployment import build_deployment
from splai.core.modelbackend.workload import revision
from splai.core.observed import REVISION_LABEL, ObservedCondition, ObservedEvent, ObservedPod
from splai.core.plan import Plan
from tests.unit.core.modelbackend.builders import NOW, SETTINGS, decide, make_backend, make_deployment

Object = dict[str, Any]
CREATED = NOW - timedelta(minutes=3)
CONFIG = "container has runAsNonRoot and image will run as root"
MEMORY = "0/3 nodes are available: 2 Insufficient memory, 3 Insufficient nvidia.com/gpu. no new claims to deallocate"
NO_CLAIM = '0/1 nodes are available: persistentvolumeclaim "weights" not found. preemption: not helpful'
NO_SELECTOR = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
NO_SECRET_VOLUME = 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'
NO_RELATIONSHIP = (
    "Unable to attach or mount volumes: error processing PVC team/weights: failed to fetch PVC from API server: "
    "persistentvolumeclaims \"weights\" is forbidden: no relationship found between node 'node-1' and this object"
)
NO_HANDLER = 'Failed to create pod sandbox: rpc error: no runtime for "gvisor" is configured'
NO_PATH = "Startup probe failed: HTTP probe failed with statuscode: 404"
REFUSED = 'Startup probe failed: Get "http://10.1.2.3:8080/health": dial tcp 10.1.2.3:8080: connect: connection refused'
LOST = "Readiness probe failed: HTTP probe failed with statuscode: 500"
NO_COMMAND = 'failed to create containerd task: exec: "serve": executable file not found in $PATH: unknown'
LLAMA_CPP = """\
gguf_init_from_file: failed to open GGUF file '/models/x.gguf'
llama_model_load_from_file_impl: failed to load model
srv    load_model: failed to load model, '/models/x.gguf'

main: exiting due to model loading error
"""


def conditions(*, ready: str = "False", ready_since: timedelta = timedelta(), **others: Object) -> list[Object]:
    """Of a pod that has a node; ``ready_since`` is how long after the first look Ready changed last."""
    first = format_time(CREATED)
    return [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": first} | others.get("scheduled", {}),
        {"type": "Initialized", "status": "True", "lastTransitionTime": first},
        {"type": "Ready", "status": ready, "lastTransitionTime": format_time(CREATED + ready_since)},
    ]


def pod(
    state: Object, *, last: Object | None = None, restarts: int = 0, started: bool = False, **status: Any
) -> Object:
    """A pod that the kubelet reports, with the state of its engine."""
    container = {"name": "engine", "state": state, "restartCount": restarts, "started": started, "ready": False}
    return {
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": conditions(),
            "containerStatuses": [container | ({"lastState": {"terminated": last}} if last else {})],
            **status,
        },
    }


def waiting(reason: str, message: str = "", **fields: Any) -> Object:
    return pod({"waiting": {"reason": reason, "message": message}}, **fields)


def unscheduled(message: str) -> Object:
    refused = {"status": "False", "reason": "Unschedulable", "message": message}
    return {"spec": {}, "status": {"phase": "Pending", "conditions": conditions(scheduled=refused)[:1]}}


def ended(code: int, reason: str = "Error", message: str = "") -> Object:
    return {"exitCode": code, "reason": reason, "message": message}


def looping(last: Object, **fields: Any) -> Object:
    back_off = "back-off 40s restarting failed container=engine"
    return waiting("CrashLoopBackOff", back_off, last=last, restarts=3, **fields)


SERVED_BEFORE: dict[str, Any] = {"conditions": conditions(ready_since=timedelta(minutes=1))}
CREATING = waiting("ContainerCreating", phase="Pending")
RUNNING = pod({"running": {"startedAt": format_time(CREATED)}})
LOADING = "the engine is loading the model, since 2026-05-01T11:57:00Z and until 2026-05-01T12:17:00Z at the latest"

PODS: dict[str, tuple[Object, str, str]] = {
    "the image does not exist": (
        waiting("ErrImagePull", 'failed to resolve reference "example.com/x:1": not found'),
        "ImagePullFailed",
        'ErrImagePull: failed to resolve reference "example.com/x:1": not found',
    ),
    "the image's name is none": (
        waiting("InvalidImageName", 'Failed to apply default image tag "X": invalid reference format'),
        "ImagePullFailed",
        'InvalidImageName: Failed to apply default image tag "X": invalid reference format',
    ),
    "the Secret of a variable lacks the key": (
        waiting("CreateContainerConfigError", "couldn't find key token in Secret team/hf"),
        "CreateContainerConfigError",
        "couldn't find key token in Secret team/hf",
    ),
    "the ConfigMap of a variable is missing": (
        waiting("CreateContainerConfigError", 'configmap "settings" not found'),
        "CreateContainerConfigError",
        'configmap "settings" not found',
    ),
    "the image runs as root": (
        waiting("CreateContainerConfigError", CONFIG),
        "CreateContainerConfigError",
        CONFIG,
    ),
    "the command is not in the image": (
        waiting("RunContainerError", NO_COMMAND, last=ended(128, "StartError", NO_COMMAND)),
        "RunContainerError",
        NO_COMMAND,
    ),
    "the command is not in the image, between two attempts": (
        looping(ended(128, "StartError", NO_COMMAND)),
        "RunContainerError",
        f"StartError: {NO_COMMAND}",
    ),
    "the memory limit is too small": (
        looping(ended(137, "OOMKilled", "loading weights")),
        "OOMKilled",
        "engine used more memory than its limit and was killed (3 restarts): raise the limit",
    ),
    "the model does not load": (
        looping(ended(1, message=LLAMA_CPP)),
        "ModelLoadFailed",
        "engine ended with exit code 1 (3 restarts): see `kubectl logs -n team smol-1 -c engine --previous`; it said: "
        "llama_model_load_from_file_impl: failed to load model | "
        "srv    load_model: failed to load model, '/models/x.gguf' | main: exiting due to model loading error",
    ),
    "the engine ends at once and says nothing": (
        pod({"terminated": ended(1)}),
        "ModelLoadFailed",
        "engine ended with exit code 1 (0 restarts): see `kubectl logs -n team smol-1 -c engine --previous`",
    ),
    "the startup probe gave up": (
        looping(ended(137, message="still loading")),
        "ModelLoadFailed",
        "engine ended with exit code 137, killed: by a failed probe, or for memory (3 restarts): "
        "see `kubectl logs -n team smol-1 -c engine --previous`; it said: still loading",
    ),
    "the engine served, and crashes since": (
        looping(ended(139, message="while answering: what the user asked"), **SERVED_BEFORE),
        "CrashLoopBackOff",
        "engine ended with exit code 139, a segmentation fault (3 restarts): "
        "see `kubectl logs -n team smol-1 -c engine --previous`",
    ),
    "no node has the GPUs and the memory": (
        unscheduled(MEMORY),
        "Unschedulable",
        f"{MEMORY} (each pod asks for 8Gi memory, 2 nvidia.com/gpu)",
    ),
    "no node has the labels": (unscheduled(NO_SELECTOR), "Unschedulable", NO_SELECTOR),
    "the PersistentVolumeClaim is missing": (unscheduled(NO_CLAIM), "Unschedulable", NO_CLAIM),
    "the model is being loaded": (RUNNING, "Loading", LOADING),
    "the engine stopped to answer": (
        pod({"running": {}}, started=True, **SERVED_BEFORE),
        "NotAnswering",
        "the model was loaded, but the engine fails its readiness probe",
    ),
    "images are pulled": (CREATING, "Starting", "the pods are starting: images are pulled and volumes mounted"),
    "the node threw the pod out": (
        {"spec": {}, "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: x"}},
        "PodFailed",
        "smol-1: Evicted: The node was low on resource: x",
    ),
}

EVENTS: dict[str, tuple[Object, tuple[str, str], str, str]] = {
    "the Secret of a volume is missing": (CREATING, ("FailedMount", NO_SECRET_VOLUME), "FailedMount", NO_SECRET_VOLUME),
    "the node has no such runtime": (
        CREATING,
        ("FailedCreatePodSandBox", NO_HANDLER),
        "FailedCreatePodSandBox",
        NO_HANDLER,
    ),
    "the disk is held by another node": (
        CREATING,
        ("FailedAttachVolume", "Multi-Attach error for volume pvc-1"),
        "FailedAttachVolume",
        "Multi-Attach error for volume pvc-1",
    ),
    "the kubelet looked for the claim too early": (
        CREATING,
        ("FailedMount", NO_RELATIONSHIP),
        "Starting",
        "the pods are starting: images are pulled and volumes mounted",
    ),
    "the health path does not exist": (
        RUNNING,
        ("Unhealthy", NO_PATH),
        "ProbeFailed",
        f"{NO_PATH}: the engine runs, but has nothing at its health path",
    ),
    "the engine does not listen yet": (
        RUNNING,
        ("Unhealthy", REFUSED),
        "Loading",
        f"{LOADING}: {REFUSED}",
    ),
    "the engine answers that it is loading": (
        RUNNING,
        ("Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 503"),
        "Loading",
        f"{LOADING}: Startup probe failed: HTTP probe failed with statuscode: 503",
    ),
    "the engine answers with an error": (
        pod({"running": {}}, started=True, **SERVED_BEFORE),
        ("Unhealthy", LOST),
        "NotAnswering",
        f"the model was loaded, but the engine fails its readiness probe: {LOST}",
    ),
}

REFUSALS: dict[str, tuple[str, str]] = {
    'pods "smol-1" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1': (
        "QuotaExceeded",
        "exceeded quota: gpus",
    ),
    'pods "smol-1" is forbidden: no PriorityClass with name gold was found': ("PriorityClassNotFound", "gold"),
    'pods "smol-1" is forbidden: pod rejected: RuntimeClass "gvisor" not found': ("RuntimeClassNotFound", "gvisor"),
    'pods "smol-1" is forbidden: error looking up service account team/models: serviceaccount "models" not found': (
        "ServiceAccountNotFound",
        "team/models",
    ),
    'pods "smol-1" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes': (
        "Forbidden",
        "violates PodSecurity",
    ),
}

BACKEND = make_backend(resources={"gpu": {"count": 2}, "memory": "8Gi"})


def observed(body: Object, name: str = "smol-1", age: timedelta = NOW - CREATED) -> ObservedPod:
    labels = {REVISION_LABEL: revision(build_deployment(BACKEND, SETTINGS))}
    metadata = {
        "namespace": "team",
        "name": name,
        "uid": f"uid-of-{name}",
        "labels": labels,
        "creationTimestamp": format_time(NOW - age),
    }
    return ObservedPod.from_object({**body, "metadata": metadata})


def look(body: Object, *events: tuple[str, str], age: timedelta = timedelta(seconds=9)) -> Plan[Any]:
    said = [ObservedEvent(reason=reason, message=message, at=NOW - age) for reason, message in events]
    pod_events: Mapping[str, Sequence[ObservedEvent]] = {"uid-of-smol-1": said}
    return decide(observed(body), backend=BACKEND, pod_events=pod_events)


def ready(plan: Plan[Any]) -> tuple[str, str, str]:
    condition = find_condition(plan.status.conditions, "Ready")
    assert condition is not None
    return condition.status, condition.reason, condition.message


@pytest.mark.parametrize("case", PODS)
def test_what_a_pods_status_tells(case: str) -> None:
    body, reason, message = PODS[case]
    assert ready(look(body)) == ("False", reason, message)


@pytest.mark.parametrize("case", EVENTS)
def test_what_only_the_kubelets_events_tell(case: str) -> None:
    body, event, reason, message = EVENTS[case]
    assert ready(look(body, event)) == ("False", reason, message)


@pytest.mark.parametrize("words", REFUSALS)
def test_what_keeps_pods_from_being_made(words: str) -> None:
    reason, part = REFUSALS[words]
    failure = ObservedCondition(status="True", reason="FailedCreate", message=words)
    deployment = make_deployment(BACKEND, conditions={"ReplicaFailure": failure})

    status, found, message = ready(decide(backend=BACKEND, deployment=deployment))

    assert (status, found) == ("False", reason)
    assert part in message


@pytest.mark.parametrize("case", ["the model is being loaded", "images are pulled", "the engine stopped to answer"])
def test_what_the_status_does_not_explain_is_looked_at_again_within_a_minute(case: str) -> None:
    after = look(PODS[case][0]).requeue_after
    assert after is not None
    assert after <= 30


@pytest.mark.parametrize(
    "case", ["the image does not exist", "the memory limit is too small", "no node has the labels"]
)
def test_what_a_watch_tells_is_not_polled_for(case: str) -> None:
    assert look(PODS[case][0]).requeue_after is None


def test_a_volume_that_was_missing_long_ago_is_no_longer_to_blame() -> None:
    plan = look(CREATING, ("FailedMount", NO_SECRET_VOLUME), age=timedelta(minutes=7))
    assert ready(plan)[1] == "Starting"


def test_an_eviction_is_news_for_a_while_only() -> None:
    gone = observed(PODS["the node threw the pod out"][0])
    later = decide(gone, backend=BACKEND, now=NOW + timedelta(minutes=3))
    assert ready(later)[1] == "Creating"


def test_an_eviction_is_news_however_old_the_pod_was() -> None:
    body = PODS["the node threw the pod out"][0]
    ready_until_now = [{"type": "Ready", "status": "False", "lastTransitionTime": format_time(NOW)}]
    gone = observed({**body, "status": {**body["status"], "conditions": ready_until_now}}, age=timedelta(days=3))
    assert ready(decide(gone, backend=BACKEND))[1] == "PodFailed"


@pytest.mark.parametrize(("evictions", "reason"), [(1, "Loading"), (2, "PodFailed")])
def test_a_pod_that_is_evicted_in_the_place_of_one_that_was_is_told_while_the_next_one_loads(
    evictions: int, reason: str
) -> None:
    gone = [observed(PODS["the node threw the pod out"][0], f"smol-{number}") for number in range(evictions)]
    plan = decide(*gone, observed(RUNNING, "smol-9"), backend=BACKEND)
    assert ready(plan)[1] == reason


def test_progress_that_the_deployment_controller_gave_up_on_hides_no_cause() -> None:
    overdue = ObservedCondition(status="False", reason="ProgressDeadlineExceeded", message="timed out")
    deployment = make_deployment(BACKEND, conditions={"Progressing": overdue})
    body, reason, message = PODS["the image does not exist"]
    plan = decide(observed(body), backend=BACKEND, deployment=deployment)
    assert ready(plan) == ("False", reason, message)


def test_what_an_engine_said_after_it_served_is_nowhere_in_the_status() -> None:
    plan = look(PODS["the engine served, and crashes since"][0])
    assert "what the user asked" not in plan.status.model_dump_json()
    assert not any("what the user asked" in event.message for event in plan.events)
