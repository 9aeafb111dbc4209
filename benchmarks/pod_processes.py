"""A kubelet's part in a job without containers: the worker of each pod runs as a process of this machine.

Pods are created by the Job controller and placed by the scheduler. Here their first container's command is started
with the pod's own environment, and with a token that the apiserver issues for the audience that the pod asks for;
phase, exit code and termination message are reported as a kubelet reports them.
"""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_cluster.api import Api, ApiError
from splai.kube.client import Client
from splai.kube.errors import ApiError as WatchFailed
from splai.kube.resource import PODS

SPLAI = Path(sys.executable).parent / "splai"
LONGEST_MESSAGE = 4096  # bytes of a termination message that a kubelet takes
GRACE_SECONDS = 30.0
# The Job controller starts a failed pod's successor 10, 20, 40 … seconds after the failure, also when it does not count
# the failure. A failure of the past saves a loop of kills that wait.
LONG_AGO = "2000-01-01T00:00:00Z"
Object = dict[str, Any]


@dataclass
class _Running:
    process: subprocess.Popen[bytes]  # asyncio's own loses the exit code of a process that is signalled as it ends
    ended: asyncio.Future[int]
    was_killed: bool = False


class PodProcesses:
    """All pods of one namespace that Jobs own."""

    def __init__(self, client: Client, api: Api, namespace: str, directory: Path) -> None:
        self._client = client
        self._api = api
        self._turn = asyncio.Lock()  # the connection is for one at a time
        self._namespace = namespace
        self._directory = directory
        self._seen: set[str] = set()
        self._running: dict[str, _Running] = {}
        self._waiting = ThreadPoolExecutor(max_workers=64, thread_name_prefix="pod")

    @property
    def running(self) -> list[str]:
        """The UIDs of the pods that run, oldest first."""
        return list(self._running)

    def kill(self, uid: str) -> None:
        """End a pod's process as a crash of its node would."""
        running = self._running[uid]
        running.was_killed = True
        running.process.kill()

    async def run(self) -> None:
        """Start, report and end pods until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    page = await self._client.list(PODS, self._namespace)
                    for pod in page.items:
                        self._look(pod, tasks)
                    with suppress(WatchFailed):  # too old, or broken off: list again
                        async for event in self._client.watch(
                            PODS, self._namespace, resource_version=page.resource_version
                        ):
                            if event.type in {"ADDED", "MODIFIED"}:
                                self._look(event.object, tasks)
        finally:
            for running in self._running.values():
                running.process.kill()
            self._waiting.shutdown()

    def _look(self, pod: Object, tasks: asyncio.TaskGroup) -> None:
        metadata, uid = pod["metadata"], pod["metadata"]["uid"]
        if not any(owner["kind"] == "Job" for owner in metadata.get("ownerReferences", [])):
            return
        if "deletionTimestamp" in metadata:
            tasks.create_task(self._end(pod))
        elif pod["spec"].get("nodeName") and pod["status"]["phase"] == "Pending" and uid not in self._seen:
            self._seen.add(uid)
            tasks.create_task(self._start(pod))

    async def _start(self, pod: Object) -> None:
        """A pod's whole life."""
        uid = pod["metadata"]["uid"]
        directory = self._directory / uid
        directory.mkdir()
        try:
            (directory / "token").write_text(await self._token(pod))
        except ApiError as error:
            if error.status in {404, 409}:  # deleted meanwhile
                return
            raise
        container = pod["spec"]["containers"][0]
        environment = {
            **_environment(pod, container),
            "PATH": os.environ["PATH"],
            "SPLAI_ARTIFACTS_TOKEN_FILE": str(directory / "token"),
            "SPLAI_TERMINATION_LOG": str(directory / "termination"),
        }
        process = _start_process([str(SPLAI), *container["args"]], environment, directory)
        ended = asyncio.get_running_loop().run_in_executor(self._waiting, process.wait)
        running = self._running[uid] = _Running(process, ended)
        started = _now()
        await self._report(pod, "Running", {"running": {"startedAt": started}})
        code = await ended
        del self._running[uid]
        terminated = {
            "exitCode": 128 - code if code < 0 else code,
            "reason": "Error" if code else "Completed",
            "message": _termination_message(directory / "termination"),
            "startedAt": started,
            "finishedAt": LONG_AGO if running.was_killed else _now(),
        }
        await self._report(
            pod, "Failed" if code else "Succeeded", {"terminated": terminated}, disrupted=running.was_killed
        )

    async def _end(self, pod: Object) -> None:
        """The pod was deleted: stop its process, and let the object go when that has ended."""
        running = self._running.get(pod["metadata"]["uid"])
        if running is not None:
            running.process.send_signal(signal.SIGTERM)
            await asyncio.wait([running.ended], timeout=GRACE_SECONDS)
            running.process.kill()
        await self._call(self._api.delete, f"{self._path(pod)}?gracePeriodSeconds=0")

    async def _report(self, pod: Object, phase: str, state: Object, *, disrupted: bool = False) -> None:
        """Write the pod's status, unless it is gone; its sidecars, which nobody runs, share the state of the worker.

        ``disrupted`` says that the pod did not fail of itself, as a kubelet says of pods that end with their node: the
        Job controller then replaces it at once, and does not count it.
        """
        is_running = phase == "Running"
        conditions = {"PodScheduled": True, "Initialized": True, "ContainersReady": is_running, "Ready": is_running}
        if disrupted:
            conditions["DisruptionTarget"] = True
        containers = pod["spec"]["containers"]
        sidecars = pod["spec"].get("initContainers", [])
        status = {
            "phase": phase,
            "startTime": _now(),
            "conditions": [
                {"type": name, "status": str(holds), "lastTransitionTime": _now()} for name, holds in conditions.items()
            ],
            "initContainerStatuses": [_container_status(sidecar, state, ready=is_running) for sidecar in sidecars],
            "containerStatuses": [_container_status(container, state, ready=is_running) for container in containers],
        }
        await self._call(self._api.merge, f"{self._path(pod)}/status", {"status": status})

    async def _token(self, pod: Object) -> str:
        """What the kubelet would mount: the token of the pod's first projected source."""
        projected = next(volume["projected"] for volume in pod["spec"]["volumes"] if "projected" in volume)
        source = projected["sources"][0]["serviceAccountToken"]
        metadata = pod["metadata"]
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [source["audience"]],
                "expirationSeconds": source["expirationSeconds"],
                "boundObjectRef": {
                    "apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"],
                },
            },
        }  # fmt: skip
        account = pod["spec"]["serviceAccountName"]
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
        async with self._turn:
            answer = await asyncio.to_thread(self._api.create, path, request)
        return str(answer["status"]["token"])

    async def _call(self, call: Any, *arguments: Any) -> None:
        """A call about a pod, which may be gone."""
        async with self._turn:
            try:
                await asyncio.to_thread(call, *arguments)
            except ApiError as error:
                if error.status not in {404, 409}:
                    raise

    def _path(self, pod: Object) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods/{pod['metadata']['name']}"


def _start_process(command: list[str], environment: dict[str, str], directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=directory)


def _environment(pod: Object, container: Object) -> dict[str, str]:
    """The container's variables, with fields of the pod filled in."""
    found: dict[str, str] = {}
    for variable in container["env"]:
        if "value" in variable:
            found[variable["name"]] = variable["value"]
            continue
        path = variable["valueFrom"]["fieldRef"]["fieldPath"]
        field, _, key = path.removeprefix("metadata.").partition("[")
        value = pod["metadata"][field]
        found[variable["name"]] = value[key.strip("'\"]")] if key else value
    return found


def _container_status(container: Object, state: Object, *, ready: bool) -> Object:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    }


def _termination_message(path: Path) -> str:
    return path.read_bytes()[:LONGEST_MESSAGE].decode(errors="replace") if path.exists() else ""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
