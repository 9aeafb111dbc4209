"""A whole installation to kill parts of: everything is real but the containers, whose commands run as processes."""

import asyncio
import json
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.job_loads import NAMESPACE
from benchmarks.kill_run import FIRST_MOMENT, Outcome, Run, Victim, judge
from benchmarks.measured_cluster import prepare
from benchmarks.operator_process import QuietHandler, kubectl
from benchmarks.pod_processes import PodProcesses
from benchmarks.restartable import Restartable
from local_cluster.control_plane import ISSUER, ControlPlane
from local_cluster.kwok import Kwok, create_nodes, default_stages
from local_cluster.ports import free_ports
from splai.core.observed import JOB_LABEL
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.kube.errors import NotFound
from splai.kube.resource import CONFIG_MAPS, INFERENCE_JOBS, LEASES, MODEL_BACKENDS, PODS
from tests.fake_engine import FakeEngine, running

PARALLELISM = 3
ENGINE_DELAY = 0.002
LONGEST_RUN = 300.0  # seconds
SYSTEM = "splai-system"


class Site:
    """The installation, its engine, and one job after the other."""

    def __init__(
        self, client: Client, pods: PodProcesses, engine: FakeEngine, parts: dict[Victim, Restartable], root: Path
    ) -> None:
        self._client = client
        self._pods = pods
        self._engine = engine
        self._parts = parts
        self._root = root
        self.kills: Counter[Victim] = Counter()

    async def run(self, run: Run) -> Outcome:
        """One job from its creation to its deletion."""
        self._engine.prompts.clear()
        data = "\n".join(json.dumps({"text": text}) for text in run.texts)
        await self._client.create(CONFIG_MAPS, NAMESPACE, _config_map(run.name, data))
        job = await self._client.create(INFERENCE_JOBS, NAMESPACE, _inference_job(run.name))
        killing = asyncio.create_task(self._kill(run))
        status: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(LONGEST_RUN):
                status = await self._until_over(run.name)
        except TimeoutError:
            pass
        finally:
            killing.cancel()
            await asyncio.wait([killing])
            await self._remove(run.name)
        if not killing.cancelled():
            killing.result()  # a run in which nobody could be killed says nothing
        if status is None:
            return Outcome(wrong=[f"not over after {LONGEST_RUN:g} s"])
        folder = self._root / NAMESPACE / job["metadata"]["uid"]
        output, errors = _lines(folder / "output.jsonl"), _lines(folder / "errors.jsonl")
        return judge(run, status, output, errors, self._engine.prompts)

    async def _until_over(self, name: str) -> dict[str, Any]:
        while True:
            status: dict[str, Any] = (await self._client.get(INFERENCE_JOBS, NAMESPACE, name)).get("status", {})
            if status.get("phase") in {"Completed", "Failed", "Canceled"}:
                return status
            await asyncio.sleep(0.2)

    async def _remove(self, name: str) -> None:
        await self._client.delete(INFERENCE_JOBS, NAMESPACE, name)
        await self._client.delete(CONFIG_MAPS, NAMESPACE, name)
        selector = f"{JOB_LABEL}={name}"
        while (await self._client.list(PODS, NAMESPACE, selector=selector)).items:  # noqa: ASYNC110 - in the apiserver
            await asyncio.sleep(0.1)

    async def _kill(self, run: Run) -> None:
        """Kill this and that; what Kubernetes would start again is started again."""
        started = time.monotonic()
        for kill in run.kills:
            await self._wait_for(kill.moment, started, len(run.texts))
            if kill.victim == "worker":
                while not (uids := self._pods.running):  # noqa: ASYNC110 - other processes change it
                    await asyncio.sleep(0.05)
                self._pods.kill(uids[int(kill.place * len(uids))])
                self.kills[kill.victim] += 1
                continue
            self.kills[kill.victim] += 1
            self._parts[kill.victim].kill()
            try:
                await asyncio.sleep(kill.pause)
            finally:
                if kill.victim == "operator":
                    await asyncio.shield(self._free_lease())
                self._parts[kill.victim].start()

    async def _wait_for(self, moment: float, started: float, records: int) -> None:
        if moment < 0:
            await asyncio.sleep(started + 10 * (moment - FIRST_MOMENT) - time.monotonic())
        while len(self._engine.prompts) < min(moment, 1) * records:  # noqa: ASYNC110 - the engine only counts
            await asyncio.sleep(0.01)
        if moment > 1:
            await asyncio.sleep(10 * (moment - 1))

    async def _free_lease(self) -> None:
        """Spare the successor the Lease's 15 seconds: nobody but its killed holder can have it."""
        try:
            await self._client.patch(LEASES, SYSTEM, "splai-operator", {"spec": {"holderIdentity": ""}})
        except NotFound:
            return


@asynccontextmanager
async def installation(directory: Path) -> AsyncIterator[Site]:
    """A control plane with one node, SPLAI's processes, an engine, and a backend that names it."""
    engine = FakeEngine(delay=ENGINE_DELAY, retry_after="0")
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(directory / "control-plane", queries_per_second=1000))
        stack.enter_context(Kwok(control_plane, stages=default_stages()[:1]))  # keeps the node alive, and no pod
        create_nodes(control_plane, 1)
        prepare(control_plane)
        stack.enter_context(variable("KUBECONFIG", str(control_plane.kubeconfig)))
        api = stack.enter_context(closing(control_plane.api()))
        keys = stack.enter_context(published_keys(control_plane, directory))
        parts = make_parts(control_plane, directory, keys)
        for part in parts.values():
            part.start()
            stack.callback(part.stop)
        async with AsyncExitStack() as processes:
            url = await processes.enter_async_context(running(engine))
            client = Client(await load_configuration(), component="benchmark")
            processes.push_async_callback(client.close)
            await client.create(MODEL_BACKENDS, NAMESPACE, _backend(int(url.rpartition(":")[2])))
            (directory / "pods").mkdir()
            pods = PodProcesses(client, api, NAMESPACE, directory / "pods")
            running_pods = asyncio.create_task(pods.run())
            try:
                yield Site(client, pods, engine, parts, directory / "artifacts")
            finally:
                running_pods.cancel()
                await asyncio.wait([running_pods])


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """An environment variable, for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    yield
    if before is None:
        del os.environ[name]
    else:
        os.environ[name] = before


def make_parts(control_plane: ControlPlane, directory: Path, keys: str) -> dict[Victim, Restartable]:
    token = directory / "operator-token"
    create = ("create", "token", "splai-operator", "--audience=splai-artifacts", "--duration=12h")
    token.write_text(kubectl(control_plane, "-n", SYSTEM, *create).strip())
    port, health, *metrics = free_ports(4)
    store = {
        "SPLAI_ARTIFACTS_ROOT": str(directory / "artifacts"),
        "SPLAI_ARTIFACTS_PORT": str(port),
        "SPLAI_METRICS_PORT": str(metrics[0]),
        "SPLAI_TRUSTED_SERVICE_ACCOUNTS": f"{SYSTEM}/splai-operator",
        "SPLAI_OIDC_ISSUER": ISSUER,
        "SPLAI_OIDC_JWKS_URI": keys,
    }
    operator = {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SPLAI_NAMESPACE": SYSTEM,
        "SPLAI_ARTIFACTS_URL": f"http://127.0.0.1:{port}",
        "SPLAI_ARTIFACTS_TOKEN_FILE": str(token),
        "SPLAI_HEALTH_PORT": str(health),
        "SPLAI_METRICS_PORT": str(metrics[1]),
    }
    return {
        "artifact server": Restartable("artifacts", "serve", store, directory / "artifacts.log"),
        "operator": Restartable("operator", "run", operator, directory / "operator.log"),
    }


@contextmanager
def published_keys(control_plane: ControlPlane, directory: Path) -> Iterator[str]:
    """The keys that the cluster signs tokens with, where the artifact server can read them."""
    folder = directory / "keys"
    folder.mkdir()
    (folder / "jwks").write_text(kubectl(control_plane, "get", "--raw", "/openid/v1/jwks"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()


def _config_map(name: str, data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"records": data}}


def _backend(port: int) -> dict[str, Any]:
    """Its engine would run beside each worker; here all workers find ours at that port."""
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": "fake"},
        "spec": {
            "model": {"id": "fake"},
            "replicas": 0,
            "engine": {"type": "Custom", "image": "example.com/none", "port": port},
        },
    }


def _inference_job(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "InferenceJob",
        "metadata": {"name": name},
        "spec": {
            "model": "fake",
            "input": {"configMap": {"name": name, "key": "records"}, "format": "jsonl"},
            "prompt": {"template": "{{ text }}"},
            "workers": {"mode": "Dedicated", "parallelism": PARALLELISM},
            "retry": {"maxAttempts": 5, "initialBackoff": "50ms", "maxBackoff": "1s"},
        },
    }


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
