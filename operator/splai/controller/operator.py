"""The composition root: builds the operator's parts, starts them in order, and ends them in order.

::

    access check ─▶ caches filled by LIST ─▶ watches ─▶ Lease held ─▶ reconcile workers
                                             (also on standby, so that a takeover finds warm caches)

Every long task lives in one TaskGroup: when any of them fails the process ends with an exit code, because an operator
that runs on half of its tasks is worse than one that restarts. SIGTERM lets running reconciles finish, gives the
Lease away, then stops the watches.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import uuid4

from prometheus_client import start_http_server

from splai.artifacts.client import ArtifactClient
from splai.artifacts.folder import JobFolder
from splai.controller import handlers
from splai.controller.autoscaler import Autoscaler
from splai.controller.caches import OWN_KINDS, Caches
from splai.controller.child_watches import ChildWatches
from splai.controller.creation_troubles import CreationTroubles
from splai.controller.decide import Decider
from splai.controller.gateways import Gateways
from splai.controller.liveness import Liveness
from splai.controller.metrics import Metrics
from splai.controller.observe import Observer
from splai.controller.permissions import rules
from splai.controller.planning_process import PlanningProcess
from splai.controller.policies import READ_INTERVAL, PoliciesInvalid, PolicyFile
from splai.controller.queue import WorkQueue
from splai.controller.reconcile import Kind, Reconciler
from splai.controller.resync import Resync
from splai.controller.retention import Retention
from splai.controller.settings import Settings, SettingsInvalid
from splai.controller.spans import ReconcileSpans
from splai.controller.status_writer import StatusWriter
from splai.garbage import collect_garbage_seldom
from splai.history import HistorySettingsInvalid, HistoryStore, open_history
from splai.kube.access import AccessDenied, require_access
from splai.kube.client import Client
from splai.kube.connection import ConfigException, Configuration, default_namespace, load_configuration
from splai.kube.errors import ApiError, NotFound, VersionFell
from splai.kube.events import EventRecorder
from splai.kube.executor import Executor
from splai.kube.lease import Elector, LeaseLost
from splai.kube.resource import INFERENCE_JOBS, MODEL_BACKENDS
from splai.logs import configure_logging, origin
from splai.signals import stop_on_signals
from splai.tracing.environment import TracingInvalid, tracing_from_environment
from splai.tracing.span import Tracing

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2
EXIT_VERSION_FELL = 3

DRAIN_SECONDS = 20.0
STORE_DEADLINE = 5.0
"""Of a call to the artifact server: the work queue retries, so a worker is not held longer."""

_log = logging.getLogger(__name__)


class Misconfigured(Exception):
    """The cluster lacks something that only its administrator can add."""


_EXITS: dict[type[Exception], tuple[str, int]] = {
    AccessDenied: ("permissions are missing", EXIT_MISCONFIGURED),
    Misconfigured: ("the cluster is not prepared", EXIT_MISCONFIGURED),
    VersionFell: ("the apiserver fell back to an older state", EXIT_VERSION_FELL),
    LeaseLost: ("the lease is lost", EXIT_FAILED),
    ApiError: ("the apiserver cannot be used", EXIT_FAILED),
}
_CRASH = ("the operator crashed", EXIT_FAILED)


def run() -> None:
    """The command ``splai operator run``."""
    configure_logging("operator", level=os.environ.get("SPLAI_LOG_LEVEL") or "INFO")
    tracing: Tracing | None = None
    try:
        settings = Settings.from_environment(os.environ, default_namespace=default_namespace())
        tracing = tracing_from_environment("operator")
        collect_garbage_seldom()
        code = asyncio.run(_main(settings, tracing))
    except (SettingsInvalid, PoliciesInvalid, HistorySettingsInvalid, ConfigException, TracingInvalid) as error:
        _log.critical("misconfigured", extra={"error": str(error)})
        code = EXIT_MISCONFIGURED
    if tracing is not None:
        tracing.close()
    sys.exit(code)


async def _main(settings: Settings, tracing: Tracing | None) -> int:
    """Run until told to stop; returns the exit code."""
    configuration = await load_configuration()
    policies = PolicyFile(settings.policies_file, clock=time.monotonic)
    artifacts = ArtifactClient(settings.artifacts_client_url, settings.artifacts_token_file)
    async with artifacts, open_history(os.environ, artifacts, deadline=STORE_DEADLINE) as history:
        return await _run(Operator(settings, configuration, policies, artifacts, history, tracing))


async def _run(operator: "Operator") -> int:
    try:
        async with operator:
            await operator.run()
    except Exception as failure:
        cause = _cause(failure)
        message, code = next((answer for kind, answer in _EXITS.items() if isinstance(cause, kind)), _CRASH)
        _log.critical(message, extra=origin(cause) if (message, code) == _CRASH else {"error": str(cause)})
        return code
    return EXIT_STOPPED


class Operator:
    """All parts of one running operator."""

    def __init__(
        self,
        settings: Settings,
        configuration: Configuration,
        policies: PolicyFile,
        artifacts: ArtifactClient,
        history: HistoryStore,
        tracing: Tracing | None = None,
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._artifacts = artifacts
        self._history = history
        self._identity = f"{socket.gethostname()}_{uuid4()}"
        self._metrics = metrics = Metrics()
        # The fence stands before every write but those of the Lease itself, which have a pool of their own.
        self._unfenced = Client(configuration, component="operator", observe=metrics.requested)
        self._elector = Elector(
            self._unfenced,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=self._identity,
            clock=time.monotonic,
            duration=settings.lease_seconds,
        )
        self._spans = None if tracing is None else ReconcileSpans(tracing)
        observe = metrics.requested if self._spans is None else self._spans.counting(metrics.requested)
        self._client = Client(configuration, component="operator", observe=observe, fence=self._elector.require)
        self._planning = PlanningProcess()
        self._queue = WorkQueue(observer=metrics, clock=time.monotonic)
        self._caches = Caches(lambda key, delay: self._queue.add(key, delay=delay))
        self._resync = Resync(self._client, self._caches, namespaces=settings.watch_namespaces)
        self._child_watches = ChildWatches(
            self._client, self._caches, self._resync, namespaces=settings.watch_namespaces
        )
        self._retention = Retention(
            artifacts,
            keep=settings.artifact_retention,
            namespaces=settings.watch_namespaces,
            is_known=self._caches.jobs.knows,
        )
        self._gateways = Gateways(
            self._client, namespace=settings.namespace, service=settings.gateway_service, clock=time.monotonic
        )
        self._autoscaler = Autoscaler(
            self._gateways, self._caches, policies=policies.current, enqueue=self._queue.add, now=_now
        )
        self._troubles = CreationTroubles(self._client, self._caches, enqueue=self._queue.add, now=_now)
        self._reconciler = self._make_reconciler()
        watches = len(OWN_KINDS) * (len(settings.watch_namespaces) or 1)
        self._liveness = Liveness(self._queue, self._elector, watches=watches)
        self._stop = asyncio.Event()
        metrics.show(queue_depth=lambda: len(self._queue), phases=self._caches.phases)

    async def __aenter__(self) -> "Operator":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._planning.close()
        await self._gateways.close()
        await self._client.close()
        await self._unfenced.close()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; raises what ended it otherwise."""
        stop_on_signals(self._stop)
        settings = self._settings
        needed = rules(namespace=settings.namespace, lease=settings.lease_name)
        await require_access(self._unfenced, needed, settings.watch_namespaces)
        await self._fill_caches()
        with self._metrics_served():
            async with asyncio.TaskGroup() as tasks:
                kopf_stop = asyncio.Event()
                watching = tasks.create_task(self._watch(kopf_stop))
                workers: list[asyncio.Task[None]] = []
                others: list[asyncio.Task[Any]] = [
                    tasks.create_task(self._lead(tasks, workers)),
                    tasks.create_task(self._resync.run()),
                    tasks.create_task(self._child_watches.run()),
                    tasks.create_task(self._follow_policies()),
                ]
                await self._stop.wait()
                await self._drain(workers)
                for other in others:
                    other.cancel()
                await self._elector.release()
                kopf_stop.set()
                await watching
        _log.info("stopped")

    async def _fill_caches(self) -> None:
        try:
            await self._resync.once()
        except NotFound as error:
            raise Misconfigured("SPLAI's custom resources are not installed: apply crds/ first") from error

    async def _watch(self, stop: asyncio.Event) -> None:
        """Run kopf. It takes the signals for itself when it starts, so they are taken back."""
        ready = asyncio.Event()
        serving = asyncio.ensure_future(
            handlers.serve(
                handlers.registry(self._caches, self._liveness.probes()),
                namespaces=self._settings.watch_namespaces,
                health_port=self._settings.health_port,
                ready=ready,
                stop=stop,
            )
        )
        started = asyncio.ensure_future(ready.wait())
        try:
            await asyncio.wait((serving, started), return_when=asyncio.FIRST_COMPLETED)
            stop_on_signals(self._stop)
            await serving
        finally:
            started.cancel()
            serving.cancel()
        self._stop.set()

    async def _lead(self, tasks: asyncio.TaskGroup, workers: list[asyncio.Task[None]]) -> NoReturn:
        """Wait for the Lease, work, and hold it."""
        await self._elector.acquire()
        self._metrics.leader.set(1)
        workers += [tasks.create_task(self._reconciler.work()) for _ in range(self._settings.reconcile_workers)]
        loops = (self._retention.run(), self._autoscaler.run(), self._troubles.run())
        while_leading = [tasks.create_task(loop) for loop in loops]
        try:
            await self._elector.hold()
        finally:
            for task in while_leading:
                task.cancel()

    async def _follow_policies(self) -> NoReturn:
        """A changed policy is the work of the jobs that name one."""
        known = self._policies.current()
        while True:
            self._metrics.policies_current.set(self._policies.is_current)
            await asyncio.sleep(READ_INTERVAL)
            if (current := self._policies.current()) is not known:
                known = current
                self._caches.policies_changed()

    async def _drain(self, workers: list[asyncio.Task[None]]) -> None:
        """Let running reconciles finish while the Lease is still renewed; what takes too long is repeated elsewhere."""
        _log.info("stopping")
        self._queue.close()
        if workers:
            await asyncio.wait(workers, timeout=DRAIN_SECONDS)
        for worker in workers:
            worker.cancel()

    def _make_reconciler(self) -> Reconciler:
        observer = Observer(
            self._client,
            self._caches,
            settings=self._settings.core,
            policies=self._policies.current,
            folder=self._folder,
            now=_now,
            troubles=self._troubles,
            demand=self._autoscaler.demand,
        )
        decider = Decider(self._planning)
        kinds = {
            INFERENCE_JOBS.kind: Kind(collection=self._caches.jobs, observe=observer.job, decide=decider.job),
            MODEL_BACKENDS.kind: Kind(
                collection=self._caches.backends, observe=observer.backend, decide=decider.backend
            ),
        }
        return Reconciler(
            kinds,
            queue=self._queue,
            executor=Executor(self._client, known=self._caches, folder=self._folder, history=self._history),
            statuses=StatusWriter(
                self._client, written=self._caches.status_written, clock=time.monotonic, deferred=self._metrics.deferred
            ),
            events=EventRecorder(self._client, instance=self._identity, clock=time.monotonic),
            metrics=self._metrics,
            now=_now,
            spans=self._spans,
        )

    def _folder(self, namespace: str, uid: str) -> JobFolder:
        return self._artifacts.job(namespace, uid, deadline=STORE_DEADLINE)

    @contextlib.contextmanager
    def _metrics_served(self) -> Iterator[None]:
        server, thread = start_http_server(self._settings.metrics_port, registry=self._metrics.registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _now() -> datetime:
    return datetime.now(UTC)


def _cause(failure: BaseException) -> BaseException:
    """The first of the failures that a group of tasks ended with; the others followed from it."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
