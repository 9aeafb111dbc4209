"""Backends that cannot work, one for each way: within a minute each says why, in words that can be acted on.

All of them are made at once, so that the whole takes as long as the slowest.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Namespace, eventually, run_kubectl
from tests.e2e.conftest import fresh_namespace
from tests.e2e.volumes import bound, refuse_to_attach, volume_name

Object = dict[str, Any]
MINUTE = 60.0
GRACE = 6
"""Python as a container's first process ignores SIGTERM; a pod waits for five seconds before it is told to end."""

PROMPT = "what somebody asked"
SERVER = """
import http.server, os, time
began = time.monotonic()
class Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        late = time.monotonic() - began > 12
        if late and os.environ.get("THEN") == "exit":
            print("PROMPT", flush=True)
            os._exit(3)
        self.send_response(500 if late and os.environ.get("THEN") == "fail" else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8000), Engine).serve_forever()
"""
LOGGER = """
import signal
for _ in range(40_000):
    print("x" * 99)
signal.pause()
"""
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "none-of-these"},
    "spec": {"hard": {"requests.example.com/scarce": "0"}},
}


def custom(command: list[str], **engine: Any) -> Object:
    """An engine that is Python alone, in the image that is there already."""
    return {"engine": {"type": "Custom", "image": "IMAGE", "command": command, **engine}}


def serving(*, then: str = "", **spec: Any) -> Object:
    template = {"env": [{"name": "THEN", "value": then}]}
    return {**custom(["python3", "-c", SERVER.replace("PROMPT", PROMPT)]), "template": template, **spec}


def with_template(**template: Any) -> Object:
    return serving(template=template)


def remote(**remote: Any) -> Object:
    return {"engine": {"type": "Remote"}, "remote": remote}


def weights_of(claim: str) -> Object:
    return {"model": {"id": "m", "source": f"pvc://{claim}/m.gguf"}}


KEYS = {"name": "keys", "mountPath": "/keys"}
NO_KEY = {"name": "no-such-secret", "key": "key"}
NO_DESK = {"callable": "desk:workflow", "configMap": {"name": "no-such-desk"}}
TOKEN = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "token"}}}

ANY_NODE = {"key": "kubernetes.io/hostname", "operator": "Exists"}
DEVICE: Object = {
    "volumeMode": "Block",
    "local": {"path": "/dev/no-such-device"},
    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [ANY_NODE]}]}},
}
ATTACHED_ELSEWHERE = "the disk is attached to another node"

BROKEN: dict[str, tuple[Object, str, str]] = {
    "image": ({"engine": {"image": "registry.invalid/engine:1"}}, "ImagePullFailed", "registry.invalid/engine:1"),
    "memory": ({"resources": {"memory": "64Mi"}}, "OOMKilled", "raise the limit"),
    "model": ({"model": {"id": "m", "source": "file:///nowhere.gguf"}}, "ModelLoadFailed", "it said: "),
    "exit": (custom(["python3", "-c", "import sys; sys.exit('no GPU')"]), "ModelLoadFailed", "it said: no GPU"),
    "key": (
        remote(provider="OpenAI", apiKeySecretRef=NO_KEY),
        "ModelLoadFailed",
        "remote.apiKeySecretRef names no key",
    ),
    "address": (
        remote(provider="OpenAICompatible", baseURL="http://169.254.169.254"),
        "ModelLoadFailed",
        "unless the installation has allowPrivateURLs",
    ),
    "workflow": ({"engine": {"type": "Workflow"}, "workflow": NO_DESK}, "ModelLoadFailed", "neither has the ConfigMap"),
    "command": (custom(["/no-such-program"]), "RunContainerError", "/no-such-program"),
    "crash": (serving(then="exit"), "CrashLoopBackOff", "exit code 3"),
    "path": (custom(["python3", "-m", "http.server", "8000"], healthPath="/nope"), "ProbeFailed", "404"),
    "readiness": (serving(then="fail"), "NotAnswering", "statuscode: 500"),
    "selector": (with_template(nodeSelector={"no": "node"}), "Unschedulable", "didn't match Pod's node affinity"),
    "gpus": (serving(resources={"gpu": {"count": 64}}), "Unschedulable", "asks for 64 nvidia.com/gpu"),
    "claim": (weights_of("no-such-claim"), "Unschedulable", 'persistentvolumeclaim "no-such-claim" not found'),
    "device": (weights_of("device"), "FailedMount", "has volumeMode Block, but is specified in volumeMounts"),
    "driver": (weights_of("driver"), "FailedAttachVolume", ATTACHED_ELSEWHERE),
    "disk": (
        {**custom(["python3", "-c", LOGGER]), "template": {"resources": {"limits": {"ephemeral-storage": "1Mi"}}}},
        "PodFailed",
        "Evicted: Pod ephemeral local storage usage exceeds",
    ),
    "secret": (with_template(env=[TOKEN]), "CreateContainerConfigError", 'secret "no-such-secret" not found'),
    "volume": (
        with_template(volumes=[{"name": "keys", "secret": {"secretName": "no-such-keys"}}], volumeMounts=[KEYS]),
        "FailedMount",
        'secret "no-such-keys" not found',
    ),
    "priority": (with_template(priorityClassName="no-such-class"), "PriorityClassNotFound", "no-such-class"),
    "runtime": (with_template(runtimeClassName="no-such-runtime"), "RuntimeClassNotFound", "no-such-runtime"),
    "account": (with_template(serviceAccountName="no-such-account"), "ServiceAccountNotFound", "no-such-account"),
    "quota": (
        with_template(resources={"limits": {"example.com/scarce": "1"}}),
        "QuotaExceeded",
        "exceeded quota: none-of-these",
    ),
}


def engine_image() -> str:
    """The image that the installation runs llama.cpp from."""
    operator = json.loads(run_kubectl("-n", "splai-system", "get", "deployment", "splai-operator", "-o", "json"))
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    image: str = environment["SPLAI_LLAMACPP_IMAGE"]
    return image


def backend(name: str, spec: Object, image: str) -> Object:
    template = {"terminationGracePeriodSeconds": GRACE, **spec.get("template", {})}
    body: Object = {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": name},
        "spec": {"model": {"id": "m"}, **spec, "template": template},
    }
    if body["spec"].get("engine", {}).get("image") == "IMAGE":
        body["spec"]["engine"] = {**spec["engine"], "image": image}
    return body


@pytest.fixture(scope="module")
def broken() -> Iterator[Namespace]:
    """All of them, just made."""
    image = engine_image()
    with fresh_namespace() as namespace:
        namespace.apply(
            QUOTA,
            *bound(namespace, "device", **DEVICE),
            *bound(namespace, "driver", csi={"driver": "disks.example.com", "volumeHandle": namespace.name}),
        )
        bodies = [backend(name, spec, image) for name, (spec, _, _) in BROKEN.items()]
        namespace.apply({"apiVersion": "v1", "kind": "List", "items": bodies})
        refuse_to_attach(volume_name(namespace, "driver"), ATTACHED_ELSEWHERE)
        yield namespace
    run_kubectl("delete", "pv", *(volume_name(namespace, name) for name in ("device", "driver")), "--wait=false")


@pytest.mark.parametrize("name", BROKEN)
def test_the_reason_and_what_to_do_are_told_within_a_minute(broken: Namespace, name: str) -> None:
    _, reason, words = BROKEN[name]

    def told() -> bool:
        ready = broken.condition("mb", name, "Ready")
        return (ready.get("status"), ready.get("reason")) == ("False", reason) and words in ready["message"]

    try:
        eventually(told, timeout=MINUTE, what=f"{name}: {reason}, with {words!r}")
    except AssertionError as error:
        raise AssertionError(f"{error}\nits condition: {broken.condition('mb', name, 'Ready')}") from None
    assert PROMPT not in json.dumps(broken.status("mb", name))
